"""Diplomacy as a world: press windows, then orders, then what the adjudicator makes of them.

A movement phase is `press_rounds` windows in which the living powers write to each other (one channel per pair, 'AUSTRIA-ITALY', and
'ALL', as far as the press rules open them), then one window in which orders are due and nobody writes. Retreats and adjustments are one
window for those concerned. Rules as in the adjudicator; press outside movement phases is left out.

A move is {unit: order text} or a list of order texts; in an adjustment {'BUILD': [order texts]} or {'REMOVE': [order texts]} or the list.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from agents.types import JSON
from scenarios.briefing import briefed
from scenarios.diplomacy.adjudicator import Resolution, adjudicate
from scenarios.diplomacy.board import FIRST_YEAR, Board, adjustment_count, board_from_json, board_hash, board_to_json, initial_board
from scenarios.diplomacy.channels import EVERYONE, PAIRS, among, open_channels
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.notes import HONESTY
from scenarios.diplomacy.orders import legal_orders
from scenarios.diplomacy.planting import PlantableDiplomacy
from scenarios.diplomacy.rules import NAMED
from scenarios.environment import Outcome, Window
from sociallm.conversation import AgentID, Channel

__all__ = ["EVERYONE", "PAIRS", "Diplomacy", "Options", "State", "make", "read_move"]
TO_WIN = 18  # centres, more than half of the 34: the rulebook's solo
MAX_ORDERS, MAX_ORDER = 64, 80  # of one move: order texts, and characters in each
LATEST_YEAR = 2000  # games are over long before; a longer one is a slip of the keyboard


@dataclass(frozen=True)
class Options:
    """What YAML may say of this world."""

    last_year: int = 1903  # the game ends after this year's winter
    press_rounds: int = 3  # windows for writing in each movement phase
    phase_ms: int = 600_000  # simulated time of one movement phase; retreats and adjustments take a tenth
    press: str = "both"  # private: by pairs; public: to all; both; none
    pairs: list[str] = field(default_factory=list)  # the pairs that may write in private, such as AUSTRIA-ITALY; empty: all
    silenced: list[str] = field(default_factory=list)  # pairs that may not
    honesty: dict[str, float] = field(default_factory=dict)  # power, or default for the others → 0 (a lie wherever it pays) to 1 (never)
    rules: str = "standard"  # how what the rulebook leaves open is settled: a name of rules.NAMED
    personas: dict[str, str] = field(default_factory=dict)  # power → what it is told of itself: the same as the run's own `personas`, which any world can have


@dataclass(frozen=True)
class State:
    """Where a game stands: the position, how many press rounds have passed, the clock, what was ordered since the last movement phase."""

    board: Board
    round: int = 0
    time: int = 0  # simulated ms at which the phase began
    recent: tuple[Mapping[str, JSON], ...] = ()  # {"phase", "orders", "results"}; the first is the last movement phase


@dataclass(frozen=True)
class Diplomacy:
    """The world; holds its options, its agents and its language, and nothing that changes."""

    options: Options
    agents: tuple[AgentID, ...] = POWERS
    language: PlantableDiplomacy = field(default_factory=PlantableDiplomacy)

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """Those that the press rules open while their readers live."""
        return open_channels(self.options.press, self.options.pairs, self.options.silenced)

    @property
    def rounds(self) -> int:
        """Windows for writing in each movement phase."""
        return 0 if self.options.press == "none" else self.options.press_rounds

    def start(self, rng: np.random.Generator) -> State:
        """Spring 1901."""
        return State(initial_board())

    def window(self, state: State) -> Window:
        """A press round, or orders due."""
        board, rounds = state.board, self.rounds
        if board.phase != "M":
            return Window(agents=_concerned(board), start=state.time, end=state.time + self.options.phase_ms // 10, move_due=True)
        length = self.options.phase_ms // (rounds + 1)
        start = state.time + state.round * length
        if state.round < rounds:
            alive = _alive(board)
            channels = among(self.channels, alive)
            able = tuple(p for p in alive if any(p in c.readers for c in channels))  # who can neither write nor be written to is not asked
            return Window(agents=able, start=start, end=start + length, channels=channels)
        return Window(agents=_concerned(board), start=start, end=start + length, move_due=True)

    def observe(self, state: State, agent: AgentID) -> Mapping[str, JSON]:
        """The public position and what was ordered last, plus the agent's own legal orders where it has any."""
        board = state.board
        seen = {
            "power": agent,
            "phase": board.name,
            "round": state.round,
            "rounds": self.rounds,
            "press": self.options.press,
            "honesty": self.options.honesty.get(agent, self.options.honesty.get("default", HONESTY)),
            "last_year": self.options.last_year,
            "board": board_to_json(board),
            "recent": list(state.recent),
        }
        legal = legal_orders(board, agent) if agent in POWERS else {}
        if legal:
            seen["legal"] = {unit: list(orders) for unit, orders in legal.items()}
        if board.phase == "A":
            seen["count"] = adjustment_count(board, agent)
        return seen

    def step(self, state: State, moves: Mapping[AgentID, JSON], rng: np.random.Generator) -> Outcome:
        """The next press round, or the position after these orders."""
        if state.board.phase == "M" and state.round < self.rounds:
            return Outcome(state=replace(state, round=state.round + 1))
        concerned = _concerned(state.board)
        orders: dict[AgentID, list[str]] = {}
        illegal: list[tuple[str, str, str]] = []
        for power in sorted(moves):
            if power not in concerned:
                illegal += [(power, "", f"{power} has nothing to order in {state.board.name}")] if moves[power] else []
                continue
            orders[power], refused = read_move(moves[power])
            illegal += [(power, order, reason) for order, reason in refused]
        resolution = adjudicate(state.board, orders, NAMED[self.options.rules])
        return self._outcome(state, resolution, illegal)

    def _outcome(self, state: State, resolution: Resolution, illegal: list[tuple[str, str, str]]) -> Outcome:
        before, after = state.board, resolution.board
        orders: dict[str, list[str]] = {}
        results: dict[str, dict[str, str]] = {}
        for (power, order), word in resolution.results.items():
            results.setdefault(power, {})[order] = word
            if word != "void":
                orders.setdefault(power, []).append(order)
        record: dict[str, JSON] = {"phase": before.name, "orders": orders, "results": results}
        event = {
            "what": "adjudication",
            **record,
            "units": {p: list(u) for p, u in after.units.items()},
            "centers": {p: list(c) for p, c in after.centers.items()},
            "next": after.name,
            "board": board_hash(after),
        }
        faults = [
            {"what": "illegal", "agent": power, "order": order, "reason": reason}
            for power, order, reason in (*illegal, *resolution.illegal)
        ]
        moved = before.phase == "M"
        recent = (record,) if moved else (*state.recent, record)
        took = self.options.phase_ms if moved else self.options.phase_ms // 10
        scored = before.season == "F" and after.season != "F"
        rewards = {power: float(len(after.centers[power]) - len(before.centers[power])) for power in POWERS} if scored else {}
        done = after.year > self.options.last_year or any(len(centers) >= TO_WIN for centers in after.centers.values())
        return Outcome(state=State(after, 0, state.time + took, recent), rewards=rewards, events=(event, *faults), done=done)

    def share(self, state: State) -> float:
        """The share of the game that lies behind, by years and press rounds; someone may win before its end."""
        board = state.board
        in_season = state.round / (self.rounds + 1) if board.phase == "M" else 1.0
        years = board.year - FIRST_YEAR + ((board.season != "S") + in_season) / 2
        return min(1.0, years / (self.options.last_year - FIRST_YEAR + 1))

    def to_json(self, state: State) -> JSON:
        """The state as a JSON value."""
        return {"board": board_to_json(state.board), "round": state.round, "time": state.time, "recent": list(state.recent)}

    def from_json(self, value: JSON) -> State:
        """The state that `to_json` gave. Raises `BoardError` for what is no position."""
        return State(board_from_json(value["board"]), value["round"], value["time"], tuple(value["recent"]))


def _alive(board: Board) -> tuple[AgentID, ...]:
    return tuple(p for p in POWERS if board.units[p] or board.centers[p])


def _concerned(board: Board) -> tuple[AgentID, ...]:
    """The powers with something to order."""
    if board.phase == "R":
        return tuple(p for p in POWERS if any(d.power == p for d in board.dislodged))
    if board.phase == "A":
        return tuple(p for p in POWERS if adjustment_count(board, p))
    return tuple(p for p in POWERS if board.units[p])


def read_move(move: JSON) -> tuple[list[str], list[tuple[str, str]]]:
    """(order texts, (text, reason) of what was no order text). Takes any JSON value."""
    found: list[Any] = []
    if isinstance(move, Mapping):
        for value in move.values():
            found += value if isinstance(value, (list, tuple)) else [value]
    elif isinstance(move, (list, tuple)):
        found = list(move)
    elif move is not None:
        found = [move]
    orders, refused = [], []
    for text in found[:MAX_ORDERS]:
        if isinstance(text, str) and len(text) <= MAX_ORDER:
            orders.append(" ".join(text.upper().split()))
        else:
            refused.append((f"{text!r:.60}", f"expected an order text of at most {MAX_ORDER} characters, such as 'A PAR - BUR'"))
    if len(found) > MAX_ORDERS:
        refused.append(("", f"got {len(found)} orders, at most {MAX_ORDERS} are read"))
    return orders, refused


def _near(power: str) -> str:
    """The power that was meant, perhaps."""
    near = difflib.get_close_matches(power.upper(), POWERS, 1)
    return f"; did you mean {near[0]}?" if near else ""


def make(options: Options) -> Diplomacy:
    """The world under these options. Raises ValueError for options out of range."""
    if not FIRST_YEAR <= options.last_year <= LATEST_YEAR:
        raise ValueError(f"environment.last_year: got {options.last_year}, expected a year from {FIRST_YEAR} to {LATEST_YEAR}")
    if options.rules not in NAMED:
        raise ValueError(f"environment.rules: got {options.rules!r:.60}, expected one of {', '.join(NAMED)}")
    if not 0 <= options.press_rounds <= 20:
        raise ValueError(f"environment.press_rounds: got {options.press_rounds}, expected 0 to 20")
    if not 1000 <= options.phase_ms <= 10**9:
        raise ValueError(f"environment.phase_ms: got {options.phase_ms}, expected milliseconds from 1000 to 1000000000")
    for power, honesty in options.honesty.items():
        if power not in (*POWERS, "default"):
            raise ValueError(f"environment.honesty.{power:.40}: no such power, expected {', '.join(POWERS)} or default{_near(power)}")
        if not 0 <= honesty <= 1:
            raise ValueError(f"environment.honesty.{power}: got {honesty!r:.20}, expected 0 (a lie wherever it pays) to 1 (never)")
    open_channels(options.press, options.pairs, options.silenced)
    world = Diplomacy(options, language=PlantableDiplomacy(options.press if options.press_rounds else "none"))
    try:
        return briefed(world, options.personas)  # type: ignore[return-value]  # around it, with personas, and with all that it has
    except ValueError as error:
        raise ValueError(f"environment.personas.{error}") from None
