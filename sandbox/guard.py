"""The guard in front of a scenario file: what may reach the config library at all.

A scenario comes from anyone. The configuration languages it is written in can call code (`_target_`, `()` factories, the
`hydra` section), read secrets (`${oc.env:…}`), and grow without bound (aliases, nesting); none of that is needed to say who
plays what. The file is read once, as a stream of YAML events, never expanded: the first thing that is not plain data ends it,
with its line.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES, MAX_DEPTH, MAX_NODES, MAX_SCALAR = 128 * 1024, 12, 2_500, 8192
TOO_MUCH = f"more than {MAX_NODES} values or {MAX_DEPTH} levels; a scenario is a page of settings"
PLAIN_INTERPOLATION = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*\}")
Key = tuple[str, ...]  # a key and those above it


class ConfigError(ValueError):
    """What was wrong with a configuration: file, line, what was got, what is expected; one line."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """A scenario file that holds nothing but data: its text, and the line of each key."""

    path: Path
    text: str
    lines: dict[Key, int]

    def where(self, key: Key) -> str:
        """file:line of a key, or of the nearest key above it that the file has."""
        while key and key not in self.lines:
            key = key[:-1]
        return f"{self.path}:{self.lines.get(key, 1)}"


def checked(path: Path) -> Document:
    """The scenario at `path`, if it is plain data. Raises `ConfigError`."""
    text = _read(path)
    lines: dict[Key, int] = {}
    try:
        _walk(path, text, lines)
    except _TooDeep as error:
        raise ConfigError(f"{path}:{_line(error.problem_mark)}: {TOO_MUCH}") from None
    except yaml.MarkedYAMLError as error:
        line = _line(error.problem_mark or error.context_mark)
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(f"{path}:{line}: not YAML ({what}); check indentation, quotes and colons near this line") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}:1: not YAML ({' '.join(str(error).split())[:120]}); save it as plain UTF-8 text") from None
    return Document(path=path, text=text, lines=lines)


def _read(path: Path) -> str:
    if path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"{path}:1: a scenario is a .yaml file; got a name that ends in {path.suffix or 'nothing'!r}{_meant(path)}")
    if not path.is_file():
        near = ", ".join(str(p) for p in sorted(Path("scenarios").glob("*.yaml"))[:8]) if Path("scenarios").is_dir() else ""
        raise ConfigError(f"{path}:1: no such file" + (_meant(path) or (f"; there are {near}" if near else "; expected the path of a scenario")))
    with open(path, "rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path}:1: more than {MAX_BYTES // 1024} KiB; a scenario is a page of settings, take the data out of it")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text; save it as UTF-8") from None


def _meant(path: Path) -> str:
    """The scenario that was meant, perhaps."""
    shipped = {place.stem: place for place in Path("scenarios").glob("*.yaml")}
    near = difflib.get_close_matches(path.stem.casefold(), shipped, 1)
    return f"; did you mean {shipped[near[0]]}?" if near else ""


@dataclass
class _Open:
    """A mapping or a list that is being read."""

    path: Key
    mapping: bool
    key: str | None = None
    items: int = 0


def _line(mark: Any) -> int:
    """The line a mark of the parser stands at, counted from 1; 1 where the parser gives no mark."""
    return mark.line + 1 if mark else 1


class _TooDeep(yaml.MarkedYAMLError):
    """Lists in lists beyond what is taken, before the parser has told of any."""


class _Shallow(yaml.SafeLoader):
    """Reads no further into lists in lists than is taken: PyYAML looks ahead through all of them, in the square of the time, before it tells of the first."""

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:
        if self.flow_level > MAX_DEPTH:
            raise _TooDeep(None, None, None, self.get_mark())
        super().fetch_flow_collection_start(TokenClass)


def _walk(path: Path, text: str, lines: dict[Key, int]) -> None:
    """One pass over the events; `lines` is filled on the way."""

    def wrong(event: yaml.Event, what: str) -> ConfigError:
        return ConfigError(f"{path}:{_line(event.start_mark)}: {what}")

    stack: list[_Open] = []
    nodes = documents = 0
    for event in yaml.parse(text, Loader=_Shallow):
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise wrong(event, "a second document; expected one, without further '---'")
        if not isinstance(event, (yaml.NodeEvent, yaml.CollectionEndEvent)):
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
            continue
        nodes += 1
        if nodes > MAX_NODES or len(stack) >= MAX_DEPTH:
            raise wrong(event, TOO_MUCH)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise wrong(event, "anchors and aliases (& and *) are not read here; write the value out, or refer to a key as ${key}")
        if (tag := getattr(event, "tag", None)) is not None:
            raise wrong(event, f"the tag {tag!r:.60} is not read here; leave it out")
        here = stack[-1] if stack else None
        if here is None and not isinstance(event, yaml.MappingStartEvent):
            raise wrong(event, "expected settings as `key: value`")
        if here is not None and here.mapping and here.key is None:
            here.key = _key(event, here, wrong)
            if (*here.path, here.key) in lines:
                raise wrong(event, f"the key {here.key!r:.60} stands here a second time; keep one of the two")
            lines[(*here.path, here.key)] = _line(event.start_mark)
            continue
        inner: Key = () if here is None else (*here.path, here.key or str(here.items))
        if here is not None:
            here.key, here.items = None, here.items + 1
        if isinstance(event, yaml.ScalarEvent):
            what = bad_value(event.value)
            if what:
                raise wrong(event, what)
        else:
            stack.append(_Open(path=inner, mapping=isinstance(event, yaml.MappingStartEvent)))
    if not lines:
        raise ConfigError(f"{path}:1: the file is empty; expected settings as `key: value`")


def _key(event: yaml.Event, here: _Open, wrong) -> str:
    if not isinstance(event, yaml.ScalarEvent):
        raise wrong(event, "a key must be a word, got a list or a mapping; quote it if it has braces")
    what = bad_key((*here.path, event.value))
    if what:
        raise wrong(event, what)
    return event.value


def bad_key(at: Key) -> str | None:
    """Why a key may not stand in a scenario (or be overridden), or None."""
    key = at[-1]
    if at[0] == "hydra":
        return "the `hydra` section is not read here; a scenario says who plays what, and names no code"
    if key.startswith("_"):
        return f"{key!r:.60}: keys that begin with _ are not read here; YAML names no code, only entries of the tables"
    if key == "()" or key == "<<" or not key or len(key) > 200 or not key.isprintable() or re.search(r"[${}()\[\]=,@:.\\]", key):
        return f"{key!r:.60} is not a key; expected a plain word"
    return None


def bad_value(value: str) -> str | None:
    """Why a value may not stand in a scenario (or an override), or None."""
    if len(value) > MAX_SCALAR:
        return f"a value of {len(value)} characters; expected at most {MAX_SCALAR}"
    if "${" in value and not PLAIN_INTERPOLATION.fullmatch(value):
        return f"{value!r:.60}: of ${{…}} only a whole value of the form ${{key}} is read here, no resolver, no sum of parts"
    return None
