"""S11: what an installation brings is known: every package pinned, few of them, none that has been used against its users."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.security(line="S11")
ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
PINS = {canonicalize_name(name): version for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if (m := line.partition("=="))[1] for name, version in [(m[0], m[2])]}
WITH_TORCH = {"triton"}  # comes with torch's own build for CUDA, in the version that build names
MOST = 65


def brought(requirements: list[str]) -> dict[str, str | None]:
    """Every package that an installation of these brings, by what the installed ones say of themselves → its version; None: it is not installed here."""
    found: dict[str, str | None] = {}
    waiting, seen = [Requirement(text) for text in requirements], set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if (name, frozenset(wanted.extras)) in seen:
            continue
        seen.add((name, frozenset(wanted.extras)))
        try:
            package = metadata.distribution(wanted.name)
        except metadata.PackageNotFoundError:
            found[name] = None
            continue
        found[name] = package.version
        for text in package.requires or ():
            below = Requirement(text)
            if below.marker is None or any(below.marker.evaluate({"extra": extra}) for extra in ("", *wanted.extras)):
                waiting.append(below)
    return found


def test_the_core_is_small_and_all_of_it_is_here():
    core = brought(PROJECT["dependencies"])
    assert len(core) <= MOST and None not in core.values()


@pytest.mark.parametrize("extra", ["core", *EXTRAS])
def test_every_package_that_an_installation_brings_is_pinned(extra):
    """Of an extra that is not installed here: what it names itself."""
    found = brought(PROJECT["dependencies"] if extra == "core" else EXTRAS[extra])
    assert not {name for name in found if name not in PINS} - WITH_TORCH


def test_a_pin_is_one_whole_version():
    assert len(PINS) > 60 and all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in PINS.values())


def test_what_is_installed_here_is_what_the_pins_say():
    found = {name: version for name, version in brought(PROJECT["dependencies"]).items() if version is not None}
    assert not {name: version for name, version in found.items() if version.partition("+")[0] != PINS[name]}


def test_no_package_with_a_known_theft_or_a_licence_that_binds_its_users_comes_with_an_installation():
    every = set().union(*(brought(EXTRAS[extra]) for extra in EXTRAS if extra not in ("dev", "libraries"))) | set(brought(PROJECT["dependencies"]))
    assert not every & {"litellm", "diplomacy", "igraph", "infomeasure", "pingouin", "dill"}
