"""Which version of a package is installed here, and what this program calls itself in what it writes."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

NAME = "social-sandbox"


def installed(package: str) -> str | None:
    """The version of a package; None: it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def program() -> str:
    """This program and its version, where it was installed."""
    return " ".join(filter(None, (NAME, installed(NAME))))
