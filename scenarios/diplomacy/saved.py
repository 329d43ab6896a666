"""Saved games: the JSON shape that the `diplomacy` package, Cicero and AI_Diplomacy share, checked on the way in.

    {"id", "map": "standard", "phases": [{"name": "S1901M", "state": {"name", "units", "centers", "retreats", …}, "orders": {power: [text] or null},
      "results": {unit: [word]}, "messages": [{"sender", "recipient", "phase", "message", "time_sent"}], …}], …}

Powers, places and orders are written as ours are. A dislodged unit is starred among the units and has its open places in "retreats"; the
public recipient is GLOBAL (Cicero: ALL). Two keys of a retreat phase's state are ours alone, "attackers" {unit: province it was attacked from}
and "contested" [province]: without them a position is known but for these. What a file says beside (builds, homes, rules, scoring, logs …) is kept in `rest`, so that a file that
was read is written again as it was. `history.py` makes a saved game of a run.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from scenarios.diplomacy.board import Board, BoardError, Dislodged, check_unit
from scenarios.diplomacy.map import KINDS, PLACES, POWERS, SUPPLY_CENTERS

MAX_BYTES = 32 * 1024 * 1024  # a long full-press game with all orders is under a megabyte
MAX_PHASES, MAX_ORDERS, MAX_MESSAGES, MAX_TEXT = 2_000, 100, 20_000, 100_000
PUBLIC = ("GLOBAL", "ALL")
OTHER_READERS = ("SYSTEM", "OBSERVER", "OMNISCIENT")  # the package's server speaks and listens too
_PHASE = re.compile(r"(?:S[0-9]{4}[MR]|F[0-9]{4}[MR]|W[0-9]{4}A)", re.ASCII)
NOT_ON_BOARD = ("FORMING", "COMPLETED")
_PLACE_SET, _CENTERS, _POWERS = frozenset(PLACES), frozenset(SUPPLY_CENTERS), frozenset(POWERS)

JSONObject = Mapping[str, Any]
ByPower = Mapping[str, tuple[str, ...]]


class SavedGameError(ValueError):
    """What was wrong with a saved game: file, field, got, expected, in one line."""


@dataclass(frozen=True, kw_only=True)
class SavedMessage:
    """One message. `time_sent` is in the file's own unit; None where the file has none."""

    sender: str
    recipient: str
    phase: str
    text: str
    time_sent: int | None
    rest: JSONObject = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SavedPhase:
    """One phase: the position before it, what was ordered, what became of it, what was said. Lists are in the file's order."""

    name: str
    units: ByPower  # a dislodged one is starred: '*A PAR'
    centers: ByPower
    retreats: Mapping[str, Mapping[str, tuple[str, ...]]]  # power → dislodged unit → places open to it
    orders: Mapping[str, tuple[str, ...] | None]  # None: not set
    results: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    messages: tuple[SavedMessage, ...] = ()
    attackers: Mapping[str, str] | None = None
    contested: tuple[str, ...] | None = None
    state_rest: JSONObject = field(default_factory=dict)
    rest: JSONObject = field(default_factory=dict)

    def board(self) -> Board | None:
        """The position; None before the first and after the last phase. Where attackers came from is '' if the file does not say."""
        if self.name in NOT_ON_BOARD:
            return None
        came_from = self.attackers or {}
        dislodged = tuple(
            Dislodged(power, unit, came_from.get(unit, ""), tuple(sorted(set(places))))
            for power, own in self.retreats.items() for unit, places in own.items()
        )
        units = {power: tuple(unit for unit in own if unit[0] != "*") for power, own in self.units.items()}
        return Board(year=int(self.name[1:-1]), season=self.name[0], phase=self.name[-1], units=units, centers=self.centers,
                     dislodged=dislodged, contested=self.contested or ())  # fmt: skip

    def given(self) -> dict[str, list[str]]:
        """The orders as the adjudicator takes them."""
        return {power: list(orders or ()) for power, orders in self.orders.items()}


@dataclass(frozen=True, kw_only=True)
class SavedGame:
    """One game on the standard map."""

    id: str
    phases: tuple[SavedPhase, ...]
    map: str = "standard"
    rest: JSONObject = field(default_factory=dict)


# ---- out -----------------------------------------------------------------------------------------------------------

def to_json(game: SavedGame) -> dict[str, Any]:
    """The saved game as JSON; `from_json` takes it back unchanged."""
    return {**game.rest, "id": game.id, "map": game.map, "phases": [_phase_to_json(phase) for phase in game.phases]}


def write(game: SavedGame) -> str:
    """The text of a file: one line, keys sorted, ASCII, as Cicero's are."""
    return json.dumps(to_json(game), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _phase_to_json(phase: SavedPhase) -> dict[str, Any]:
    state: dict[str, Any] = {
        **phase.state_rest,
        "name": phase.name,
        "units": {power: list(units) for power, units in phase.units.items()},
        "centers": {power: list(centers) for power, centers in phase.centers.items()},
        "retreats": {power: {unit: list(places) for unit, places in own.items()} for power, own in phase.retreats.items()},
    }
    if phase.attackers is not None:
        state["attackers"] = dict(phase.attackers)
    if phase.contested is not None:
        state["contested"] = list(phase.contested)
    messages = [
        {**m.rest, "sender": m.sender, "recipient": m.recipient, "phase": m.phase, "message": m.text, "time_sent": m.time_sent}
        for m in phase.messages
    ]
    orders = {power: None if own is None else list(own) for power, own in phase.orders.items()}
    results = {unit: list(words) for unit, words in phase.results.items()}
    return {**phase.rest, "name": phase.name, "state": state, "orders": orders, "results": results, "messages": messages}


# ---- in ------------------------------------------------------------------------------------------------------------

def read(path: Path | str) -> SavedGame:
    """A checked game. Raises `SavedGameError` naming the file and the field."""
    return from_json(read_object(Path(path)), str(path))


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file of at most MAX_BYTES. Raises `SavedGameError`."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # a pipe or a device would never end
            raise SavedGameError(f"{path}: not a file; name the JSON file of one game")
        if about.st_size > MAX_BYTES:
            raise SavedGameError(f"{path}: {about.st_size} bytes, at most {MAX_BYTES} are taken; a game is under a megabyte")
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_key_twice)
    except OSError as error:
        raise SavedGameError(f"{path}: cannot read the game ({error.strerror}); name the JSON file of one game") from None
    except RecursionError:
        raise SavedGameError(f"{path}: nested too deeply for a game; name the JSON file of one game") from None
    except SavedGameError:
        raise
    except ValueError as error:
        what = " ".join(str(error).split())
        raise SavedGameError(f"{path}: not JSON ({what:.100}); name the JSON file of one game") from None
    if not isinstance(value, dict) or not isinstance(value.get("phases"), list):
        raise SavedGameError(f"{path}: expected an object with a list \"phases\" (the saved-game shape of Cicero and the diplomacy package)")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r:.40} stands twice in one object")
    return value


def from_json(value: Any, where: str = "saved game") -> SavedGame:
    """A checked game from a JSON value. `where` begins every error."""
    _expect(isinstance(value, dict), where, "an object", value)
    name, kind = value.get("id"), value.get("map", "standard")
    _expect(isinstance(name, str) and len(name) <= MAX_TEXT, f"{where}: id", "a text", name)
    _expect(kind == "standard", f"{where}: map", "'standard', the only map there is", kind)
    phases = value.get("phases")
    _expect(isinstance(phases, list) and len(phases) <= MAX_PHASES, f"{where}: phases", f"a list of at most {MAX_PHASES} phases", phases)
    read_phases = tuple(_phase(phase, f"{where}: phases[{k}]") for k, phase in enumerate(phases))
    _no_twice([phase.name for phase in read_phases], f"{where}: phases", "a game passes each phase once")
    count = sum(len(phase.messages) for phase in read_phases)
    _expect(count <= MAX_MESSAGES, f"{where}: messages", f"at most {MAX_MESSAGES} in all", count)
    return SavedGame(id=name, map=kind, phases=read_phases, rest=_beside(value, "id", "map", "phases"))


def _phase(value: Any, where: str) -> SavedPhase:
    _expect(isinstance(value, dict), where, "an object", value)
    name, state = value.get("name"), value.get("state")
    _expect(_is_phase(name), f"{where}.name", "a name like 'S1901M', 'F1902R', 'W1901A' or 'COMPLETED'", name)
    _expect(isinstance(state, dict), f"{where}.state", "an object", state)
    _expect(state.get("name", name) == name, f"{where}.state.name", f"the phase's own, {name!r}", state.get("name"))
    units = {power: _units(units, f"{where}.state.units.{power}") for power, units in _by_power(state, "units", where)}
    retreats = {power: _retreats(own, f"{where}.state.retreats.{power}") for power, own in _by_power(state, "retreats", where, {})}
    for power in sorted({*units, *retreats}):
        stars = {unit[1:] for unit in units.get(power, ()) if unit[0] == "*"}
        _expect(stars == set(retreats.get(power, ())), f"{where}.state.retreats.{power}", "the units starred in \"units\"", sorted(stars))
    _expect(name[-1] == "R" or not any(retreats.values()), f"{where}.state.retreats", "nobody dislodged outside a retreat phase", name)
    _no_twice([unit[2:5] for own in units.values() for unit in own if unit[0] != "*"], f"{where}.state.units", "one unit may stand in a province")
    centers = {power: _centers(own, f"{where}.state.centers.{power}") for power, own in _by_power(state, "centers", where)}
    _no_twice([center for own in centers.values() for center in own], f"{where}.state.centers", "a centre has one owner")
    orders = {power: None if own is None else _texts(own, f"{where}.orders.{power}", MAX_ORDERS) for power, own in _by_power(value, "orders", where, {})}
    attackers, contested = state.get("attackers"), state.get("contested")
    _expect(attackers is None or isinstance(attackers, dict), f"{where}.state.attackers", "an object, dislodged unit to province", attackers)
    for unit, province in (attackers or {}).items():
        _expect(isinstance(province, str) and province in KINDS, f"{where}.state.attackers.{unit:.20}", "a province such as 'BUR'", province)
    for province in _texts(contested or [], f"{where}.state.contested", MAX_ORDERS):
        _expect(province in KINDS, f"{where}.state.contested", "provinces such as 'BUR'", province)
    messages = value.get("messages", [])
    _expect(isinstance(messages, list), f"{where}.messages", "a list", messages)
    results = value.get("results", {})
    _expect(isinstance(results, dict) and len(results) <= MAX_ORDERS, f"{where}.results", f"an object of at most {MAX_ORDERS} units", results)
    return SavedPhase(
        name=name, units=units, centers=centers, retreats=retreats, orders=orders,
        results={unit: _texts(words, f"{where}.results.{unit:.20}", MAX_ORDERS) for unit, words in results.items()},
        messages=tuple(_message(message, f"{where}.messages[{k}]") for k, message in enumerate(messages)),
        attackers=attackers, contested=None if contested is None else tuple(contested),
        state_rest=_beside(state, "name", "units", "centers", "retreats", "attackers", "contested"),
        rest=_beside(value, "name", "state", "orders", "results", "messages"),
    )  # fmt: skip


def _message(value: Any, where: str) -> SavedMessage:
    _expect(isinstance(value, dict), where, "an object", value)
    readers = (*POWERS, *PUBLIC, *OTHER_READERS)
    for key in ("sender", "recipient"):
        got = value.get(key)
        _expect(isinstance(got, str) and got in readers, f"{where}.{key}", f"one of {', '.join(readers)}", got)
    text, stamp, phase = value.get("message"), value.get("time_sent"), value.get("phase")
    _expect(isinstance(text, str) and len(text) <= MAX_TEXT, f"{where}.message", f"a text of at most {MAX_TEXT} characters", text)
    whole = isinstance(stamp, int) and not isinstance(stamp, bool) and 0 <= stamp < 10**20
    _expect(stamp is None or whole, f"{where}.time_sent", "a whole number from 0 (or null)", stamp)
    _expect(_is_phase(phase), f"{where}.phase", "a name like 'S1901M'", phase)
    return SavedMessage(sender=value["sender"], recipient=value["recipient"], phase=phase, text=text, time_sent=stamp,
                        rest=_beside(value, "sender", "recipient", "phase", "message", "time_sent"))  # fmt: skip


# ---- the parts of a phase ------------------------------------------------------------------------------------------

def _is_phase(name: Any) -> bool:
    return isinstance(name, str) and (name in NOT_ON_BOARD or _PHASE.fullmatch(name) is not None)


def _by_power(value: JSONObject, key: str, where: str, missing: Any = None) -> list[tuple[str, Any]]:
    at = f"{where}.{key}" if key == "orders" else f"{where}.state.{key}"
    raw = value.get(key, missing)
    _expect(isinstance(raw, dict), at, "an object of lists by power", raw)
    for power in raw:
        _expect(power in _POWERS, at, f"powers, {', '.join(POWERS)}", power)
    return list(raw.items())


def _texts(raw: Any, where: str, most: int) -> tuple[str, ...]:
    ok = isinstance(raw, list) and len(raw) <= most and all(isinstance(text, str) and len(text) <= 200 for text in raw)
    _expect(ok, where, f"a list of at most {most} short texts", raw)
    return tuple(raw)


def _units(raw: Any, where: str) -> tuple[str, ...]:
    units = _texts(raw, where, MAX_ORDERS)
    for unit in units:
        _check_unit(unit.removeprefix("*"), where)
    _no_twice([unit for unit in units if unit[0] == "*"], where, "one unit is driven out of a province")
    return units


def _retreats(raw: Any, where: str) -> dict[str, tuple[str, ...]]:
    _expect(isinstance(raw, dict), where, "an object, dislodged unit to places", raw)
    for unit, places in raw.items():
        _check_unit(unit, where)
        for place in _texts(places, f"{where}.{unit}", MAX_ORDERS):
            _expect(place in _PLACE_SET, f"{where}.{unit}", "places such as 'GAS' or 'SPA/SC'", place)
    return {unit: tuple(places) for unit, places in raw.items()}


def _centers(raw: Any, where: str) -> tuple[str, ...]:
    centers = _texts(raw, where, MAX_ORDERS)
    for center in centers:
        _expect(center in _CENTERS, where, "supply centres such as 'PAR'", center)
    return centers


def _check_unit(unit: str, where: str) -> None:
    try:
        check_unit(unit)
    except BoardError as error:
        raise SavedGameError(f"{where}: {error}") from None


def _no_twice(entries: list[str], where: str, rule: str) -> None:
    if len(set(entries)) < len(entries):
        raise SavedGameError(f"{where}: {next(e for e in entries if entries.count(e) > 1)} twice; {rule}")


def _beside(value: JSONObject, *known: str) -> dict[str, Any]:
    return {key: entry for key, entry in value.items() if key not in known}


def _expect(holds: bool, where: str, expected: str, got: Any) -> None:
    if not holds:
        shown = " ".join(f"{got!r:.60}".split()) if isinstance(got, (str, int, float, bool, type(None))) else type(got).__name__
        raise SavedGameError(f"{where}: expected {expected}, got {shown}")
