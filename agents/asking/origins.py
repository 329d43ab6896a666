"""Origins: which servers may be called at all, and at which addresses. Pure rules; who is allowed to call is the user's to say (`sandbox.doors`).

A scenario from elsewhere may name any URL. So one is read strictly: no user name in it, no number in a disguise (decimal, octal, hex, an IPv4
address inside an IPv6 one), no link-local address (cloud machines keep their credentials at 169.254.169.254), and a name may not lead to an address of
the user's own network, which would make of a public name a way in (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
PORTS = {"http": 80, "https": 443}
NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
PATH = re.compile(r"[A-Za-z0-9._~/%+-]{0,512}")
LOCAL = "localhost"


@dataclass(frozen=True, order=True)
class Origin:
    """Scheme, host, port: what a key belongs to. The host is in lower case, an IPv6 address without its brackets."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether it is this machine's own."""
        address = literal(self.host)
        return self.host == LOCAL or (address is not None and address.is_loopback)


def origin_of(url: str) -> Origin:
    """The origin of a URL. Raises ValueError, one line that does not repeat what may be a secret."""
    return split(url)[0]


def split(url: str) -> tuple[Origin, str]:
    """(origin, path without a slash at its end) of a URL, both put together anew from what was read: nothing else of it is ever used."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url or "\\" in url or len(url) > 1000:
        raise ValueError("the URL is no plain text; expected one such as http://127.0.0.1:8000/v1")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("the URL cannot be read; expected one such as http://127.0.0.1:8000/v1") from None
    if "@" in parts.netloc:
        raise ValueError("the URL holds a user name or password; leave it out: a key comes with --key ORIGIN=VARIABLE")
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"{parts.scheme!r:.20} is no scheme of a server; expected http://HOST:PORT/v1 or https://HOST/v1")
    if parts.query or parts.fragment or "?" in url or "#" in url or not PATH.fullmatch(parts.path) or "//" in parts.path:
        raise ValueError("the URL has more than a plain path; expected one such as http://127.0.0.1:8000/v1")
    return Origin(parts.scheme, host_of(parts.hostname), PORTS[parts.scheme] if port is None else port), parts.path.rstrip("/")


def host_of(text: str) -> str:
    """A host's name or address as it is compared. Raises ValueError for a number in a disguise, and for what may never be called."""
    host = text.lower().removesuffix(".")
    if ":" in host or NUMERIC.fullmatch(host.rpartition(".")[2]):
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            raise ValueError(f"{host!r:.60} is no address as it is usually written; expected one such as 127.0.0.1 or ::1") from None
        if why := never(address):
            raise ValueError(f"{host!r:.60} is {why}; it is never called")
        return str(address)
    if not NAME.fullmatch(host):
        raise ValueError(f"{host!r:.60} is no name of a host; expected one such as api.example.org")
    return host


def literal(host: str) -> Address | None:
    """The address that a host is, None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def never(address: Address) -> str | None:
    """Why an address may not be called whoever allows it; None if it may."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped or address.sixtofour or address.teredo or address.scope_id or address in TRANSLATED:
            return "an address inside another one"
        if address in METADATA:
            return "where a cloud machine keeps its credentials"
    if address.is_link_local:
        return "a link-local address"
    if address.is_unspecified or address.is_multicast or address == ipaddress.ip_address("255.255.255.255"):
        return "the address of no one server"
    return None


TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
METADATA = ipaddress.ip_network("fd00:ec2::/32")


def leads_astray(origin: Origin, address: Address, allowed: str | None) -> str | None:
    """Why a name may not be followed to this address; None if it may. `allowed`: the address that the user named beside the origin."""
    if why := never(address):
        return f"{origin.host} leads to {address}, {why}; it is never called"
    if literal(origin.host) is not None or str(address) == allowed:
        return None
    if origin.host == LOCAL:
        return None if address.is_loopback else f"{origin.host} leads to {address}, another machine"
    if not address.is_global:
        return f"{origin.host} leads to {address}, an address of this machine or its network; if that is meant: --allow-host {origin}={address}"
    return None
