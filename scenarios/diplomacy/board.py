"""Board: one position of Diplomacy as a frozen, canonical value, and its checked JSON form.

Canonical: every power is a key, in alphabetical order; units and centres are sorted. So equal positions are equal values
with equal hashes, however they came about. A unit is text, 'A PAR' or 'F SPA/SC'.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scenarios.diplomacy.map import HOME_CENTERS, KINDS, PLACES, POWERS, START_UNITS, SUPPLY_CENTERS, fleet_neighbours

PHASES = ("SM", "SR", "FM", "FR", "WA")  # season and phase: movement, retreat, adjustment
FIRST_YEAR = 1901


class BoardError(ValueError):
    """What was wrong with a position, and how to mend it: one line."""


@dataclass(frozen=True, order=True)
class Dislodged:
    """A unit driven out: where the attacker came from, and the places open to it (sorted; maybe none)."""

    power: str
    unit: str
    attacker_from: str
    retreats: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Board:
    """A position. `units` are without the dislodged ones; `contested` are the empty provinces a standoff closed to retreats.

    The mappings are made afresh and shared by nobody; treat them as read-only.
    """

    year: int
    season: str
    phase: str
    units: Mapping[str, tuple[str, ...]]
    centers: Mapping[str, tuple[str, ...]]
    dislodged: tuple[Dislodged, ...] = ()
    contested: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        units, centers = self.units, self.centers
        object.__setattr__(self, "units", {power: tuple(sorted(units.get(power, ()))) for power in POWERS})
        object.__setattr__(self, "centers", {power: tuple(sorted(centers.get(power, ()))) for power in POWERS})
        object.__setattr__(self, "dislodged", tuple(sorted(self.dislodged)))
        object.__setattr__(self, "contested", tuple(sorted(self.contested)))

    def __hash__(self) -> int:
        return hash((self.year, self.season, self.phase, *self.units.values(), *self.centers.values(), self.dislodged, self.contested))

    @property
    def name(self) -> str:
        """'S1901M': season, year, phase."""
        return f"{self.season}{self.year}{self.phase}"


def initial_board() -> Board:
    """Spring 1901."""
    return Board(year=FIRST_YEAR, season="S", phase="M", units=START_UNITS, centers=HOME_CENTERS)


def fork(board: Board) -> Board:
    """An equal board that shares nothing mutable with this one."""
    return replace(board)


def adjustment_count(board: Board, power: str) -> int:
    """How many units the power may build (at most its open home centres), or, negative, must remove; 0 for neither."""
    units, centers = board.units.get(power, ()), board.centers.get(power, ())
    count = len(centers) - len(units)
    return min(count, len(open_homes(board, power))) if count > 0 else count


def open_homes(board: Board, power: str) -> tuple[str, ...]:
    """Home centres the power still owns and nobody stands on."""
    taken = {unit[2:5] for units in board.units.values() for unit in units}
    return tuple(home for home in HOME_CENTERS.get(power, ()) if home in board.centers[power] and home not in taken)


def board_to_json(board: Board) -> dict[str, Any]:
    """The position as a JSON object; `board_from_json` takes it back unchanged."""
    return {
        "name": board.name,
        "units": {power: list(units) for power, units in board.units.items()},
        "centers": {power: list(centers) for power, centers in board.centers.items()},
        "dislodged": [
            {"power": d.power, "unit": d.unit, "attacker_from": d.attacker_from, "retreats": list(d.retreats)} for d in board.dislodged
        ],
        "contested": list(board.contested),
    }


def board_hash(board: Board) -> str:
    """SHA-256 of the canonical JSON."""
    return hashlib.sha256(json.dumps(board_to_json(board), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def board_from_json(value: Any) -> Board:
    """A checked position. Raises `BoardError` with what was got, what is expected and the remedy."""
    if not isinstance(value, dict):
        raise BoardError(f"expected an object with \"name\", \"units\" and \"centers\", got {value!r:.60}")
    year, season, phase = _phase(value.get("name"))
    units = _by_power(value, "units")
    centers = _by_power(value, "centers")
    for unit in _flat(units):
        check_unit(unit)
    _no_twice([unit[2:5] for unit in _flat(units)], "units", "one unit may stand in a province")
    for center in _flat(centers):
        if center not in SUPPLY_CENTERS:
            raise BoardError(f"\"centers\" names {center!r:.20}, which is no supply centre; use codes such as 'PAR'")
    _no_twice(list(_flat(centers)), "centers", "a centre has one owner")
    raw = value.get("dislodged", [])
    if not isinstance(raw, list):
        raise BoardError(f"\"dislodged\" must be a list, got {raw!r:.60}")
    dislodged = tuple(_dislodged(entry) for entry in raw)
    _no_twice([d.unit[2:5] for d in dislodged], "dislodged", "one unit is driven out of a province")
    if dislodged and phase != "R":
        raise BoardError(f"\"dislodged\" is not empty in {value['name']}; only a retreat phase has dislodged units")
    contested = _texts(value.get("contested", []), "contested")
    for province in contested:
        if province not in KINDS:
            raise BoardError(f"\"contested\" names {province!r:.20}, which is no province; use codes such as 'BUR'")
    return Board(year=year, season=season, phase=phase, units=units, centers=centers, dislodged=dislodged, contested=contested)


def check_unit(unit: str) -> None:
    """Raises `BoardError` unless the text is a unit on a place where it can stand."""
    kind, _, place = unit.partition(" ")
    ok = (kind == "A" and KINDS.get(place) in ("land", "coast")) or (kind == "F" and bool(fleet_neighbours(place)))
    if not ok:
        raise BoardError(f"got unit {unit!r:.30}, expected 'A' or 'F' and a place it can stand on, such as 'A PAR' or 'F SPA/SC'")


def _phase(name: Any) -> tuple[int, str, str]:
    if isinstance(name, str) and len(name) == 6 and name[0] + name[-1] in PHASES and name[1:-1].isascii() and name[1:-1].isdigit():
        return int(name[1:-1]), name[0], name[-1]
    raise BoardError(f"got phase name {name!r:.30}, expected one like 'S1901M', 'F1902R' or 'W1901A'")


def _by_power(value: Mapping[str, Any], key: str) -> dict[str, tuple[str, ...]]:
    raw = value.get(key)
    if not isinstance(raw, dict):
        raise BoardError(f"{key!r} must be an object of lists by power, got {raw!r:.60}")
    for power in raw:
        if power not in POWERS:
            raise BoardError(f"{key!r} names the power {power!r:.30}; the powers are {', '.join(POWERS)}")
    return {power: _texts(entries, key) for power, entries in raw.items()}


def _texts(raw: Any, key: str) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(isinstance(entry, str) for entry in raw):
        raise BoardError(f"{key!r} must hold lists of text, got {raw!r:.60}")
    return tuple(raw)


def _dislodged(raw: Any) -> Dislodged:
    if not isinstance(raw, dict) or raw.get("power") not in POWERS or not isinstance(raw.get("unit"), str):
        raise BoardError(f"an entry of \"dislodged\" needs \"power\", \"unit\", \"attacker_from\" and \"retreats\", got {raw!r:.60}")
    check_unit(raw["unit"])
    retreats = _texts(raw.get("retreats", []), "retreats")
    if raw.get("attacker_from") not in KINDS or not set(retreats) <= set(PLACES):
        raise BoardError(f"dislodged {raw['unit']}: \"attacker_from\" must be a province, \"retreats\" places such as 'SPA/SC'")
    return Dislodged(raw["power"], raw["unit"], raw["attacker_from"], tuple(sorted(retreats)))


def _flat(by_power: Mapping[str, Iterable[str]]) -> list[str]:
    return [entry for entries in by_power.values() for entry in entries]


def _no_twice(entries: list[str], key: str, rule: str) -> None:
    twice = sorted({entry for entry in entries if entries.count(entry) > 1})
    if twice:
        raise BoardError(f"{key!r} has {twice[0]} twice; {rule}")
