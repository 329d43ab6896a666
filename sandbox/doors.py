"""What is let out, and with which key: `--allow-host ORIGIN`, `--key ORIGIN=VARIABLE`, and what the user typed on this command line. Nothing else.

A scenario, or the folder of a run, may come from anywhere; so a server that it names is called only if the user has allowed its origin, and a key
goes to the origin that the user bound it to. Keys come from the environment of this process, which forgets them before anything else starts:
no worker, no child, no file has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agents.asking.origins import Origin, host_of, literal, origin_of
from agents.doors import Doors
from agents.policies import policy
from sandbox.config import Setting
from sandbox.guard import ConfigError, checked

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,100}")


@dataclass(frozen=True)
class Opening:
    """What the user opened. In another process nothing is open: it travels without its keys."""

    servers: dict[str, str] = field(default_factory=dict, repr=False)  # origin → key, "" for none
    addresses: dict[str, str] = field(default_factory=dict)  # origin → the address that it may lead to

    def __reduce__(self) -> tuple[type[Opening], tuple[()]]:
        return Opening, ()

    def doors(self, setting: Setting, typed: Sequence[str], file: Path) -> Doors:
        """The doors of a run. `typed`: overrides of this very command line; `file`: where the settings stand. Raises `ConfigError`, with its line,
        for a server that nobody allowed."""
        servers = dict(self.servers)
        words = {text.lstrip("+").partition("=")[0] for text in typed}
        for name in sorted({setting.cast.seats[agent] for agent in setting.cast.outside}):
            module = policy(name, setting.cast.plugins)
            wanted = getattr(module, "servers", None)
            try:
                urls = list(wanted(module.Options(**setting.cast.options(name)))) if wanted else []
            except ValueError as error:
                raise ConfigError(f"policy {name!r}: {error}") from None
            for under, url in urls:
                self._allow(servers, ("policies", name, *under), url, words, file)
        return Doors(servers=servers, addresses=self.addresses)

    def _allow(self, servers: dict[str, str], key: tuple[str, ...], url: str, words: set[str], file: Path) -> None:
        try:
            origin = origin_of(url)
        except ValueError as error:
            raise ConfigError(f"{checked(file).where(key)}: {'.'.join(key)}: {error}") from None
        if str(origin) in servers:
            return
        if ".".join(key) not in words:
            why = f"{'.'.join(key)} names {origin}, which was not allowed; if you know it, add --allow-host {origin}"
            raise ConfigError(f"{checked(file).where(key)}: {why} (with a key: --key {origin}=VARIABLE)")
        if origin.scheme == "http" and not origin.loopback:
            raise ConfigError(f"{'.'.join(key)}: {origin} would be called in plain text; if that is meant, add --allow-host {origin}")
        servers[str(origin)] = ""


CLOSED = Opening()
ONE_AT_A_TIME = "seats whose answers come from outside act in this process alone, where their keys are; leave --tasks out, or set it to 1"


def as_words(doors: Doors) -> str:
    """The options that open these doors again."""
    return "".join(f" --key {origin}=VARIABLE" if key else f" --allow-host {origin}{_beside(doors, origin)}" for origin, key in sorted(doors.servers.items()))


def _beside(doors: Doors, origin: str) -> str:
    return f"={doors.addresses[origin]}" if origin in doors.addresses else ""


def opened(allow: Iterable[str], keys: Iterable[str], secrets: Mapping[str, str]) -> Opening:
    """What the options of a command line open. `secrets`: variable → key, as `sandbox.opening.forget` took them out of the environment. Raises
    `ConfigError`, which never repeats what may be a key."""
    servers: dict[str, str] = {}
    addresses: dict[str, str] = {}
    for text in allow:
        url, _, address = text.partition("=")
        origin = _origin("--allow-host", url)
        servers.setdefault(str(origin), "")
        if address:
            addresses[str(origin)] = _address(origin, address)
    for text in keys:
        url, mark, variable = text.rpartition("=")
        if not mark or not VARIABLE.fullmatch(variable):
            raise ConfigError("--key: expected ORIGIN=VARIABLE, as in https://api.example.org=EXAMPLE_API_KEY; the key itself is not typed")
        origin = _origin("--key", url)
        if not (key := secrets.get(variable, "").strip()):
            raise ConfigError(f"--key {origin}: the environment has no variable of that name, or it is empty; export it first")
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ConfigError(f"--key {origin}: the variable holds more than a key: blanks, or what no header can hold")
        if origin.scheme == "http" and not origin.loopback and str(origin) not in servers:
            raise ConfigError(f"--key {origin}: the key would travel in plain text; if that is meant, add --allow-host {origin}")
        servers[str(origin)] = key
    return Opening(servers, addresses)


def _origin(option: str, url: str) -> Origin:
    try:
        return origin_of(url)
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from None


def _address(origin: Origin, text: str) -> str:
    """The address beside an allowed name."""
    try:
        address = host_of(text.strip("[]"))
    except ValueError as error:
        raise ConfigError(f"--allow-host {origin}=…: {error}") from None
    if literal(address) is None or literal(origin.host) is not None:
        raise ConfigError(f"--allow-host {origin}={text:.60}: expected NAME=ADDRESS, as in http://models.lan:8000=192.168.1.20")
    return address
