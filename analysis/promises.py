"""Who promised whom, who allied with whom, and who broke it: a message's text against its author's intents and orders.

What a text says is read by the world's extractor from the text alone; the act that stands beside it in the log is not looked at. Binding
is a promise or an acceptance of an order, a support or a demilitarised zone of the author's own (`scenarios.diplomacy.commitments`).
An alliance is made when one power accepts what the other proposed, and broken by the one whose unit is ordered into a province where
the other has a unit or which it owns. All of it is Diplomacy's; the log of another world gives empty tables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from analysis.metrics import AnalysisError, message_of, outcomes
from sandbox.log import Event
from scenarios.diplomacy.board import initial_board
from scenarios.diplomacy.commitments import BINDING, binds, chance, entered, kept
from scenarios.diplomacy.extractor import meaning
from scenarios.diplomacy.map import POWERS
from sociallm.conversation import AgentID, Message

PROMISES = ["step", "time", "phase", "message", "agent", "to", "kind", "what", "intended_before", "intended_after", "kept"]
ALLIANCES = ["step", "time", "phase", "first", "second", "against", "ended", "ended_phase", "broken_by", "where"]
MEANT = 0.5  # likelier than not under the intent recorded before the words
About = Mapping[str, Any]
Act = Mapping[str, Any]


@dataclass(frozen=True)
class Said:
    """A message with what its text does, and its author's intents beside it: the last before the words, the first after them."""

    step: int
    message: Message
    acts: tuple[Act, ...]
    before: Any
    after: Any = None


@dataclass(frozen=True)
class Phase:
    """A movement phase: what was said before the orders, the orders, and where each power stood (units and centres) when they were given.

    `name` is empty for the talk after the last orders of a log.
    """

    name: str
    said: tuple[Said, ...]
    orders: Mapping[AgentID, tuple[str, ...]] = field(default_factory=dict)
    stood: Mapping[AgentID, frozenset[str]] = field(default_factory=dict)
    alive: frozenset[AgentID] = frozenset()  # after the phase before

    def owner(self, province: str) -> AgentID | None:
        """Whose unit stood there: the power that ordered it."""
        return next((power for power, orders in self.orders.items() for order in orders if order.split()[1:2] and order.split()[1][:3] == province), None)


def phases(events: Sequence[Event]) -> list[Phase]:
    """The movement phases of a game of Diplomacy, and the talk after the last; none for the log of another world."""
    if next(outcomes(events, "adjudication"), None) is None:
        return []
    board = initial_board()
    stood = _stood(board.units, board.centers)
    alive = frozenset(power for power, places in stood.items() if places)
    found: list[Phase] = []
    said: list[Said] = []
    intents: dict[str, Any] = {}
    for event in events:
        if event.kind == "intent" and event.agent in POWERS:
            intents[event.agent] = event.data.get("intent")
            said = [replace(one, after=intents[event.agent]) if one.message.author == event.agent and one.after is None else one for one in said]
        elif event.kind == "message" and event.agent in POWERS:
            message = message_of(event)
            said.append(Said(event.step, message, tuple(meaning(message.text, message.author, message.channel.readers)), intents.get(event.agent)))
        for _, happened in outcomes([event], "adjudication"):
            if str(happened.get("phase")).endswith("M"):
                found.append(Phase(str(happened["phase"]), tuple(said), _orders(event, happened), stood, alive))
                said = []
            stood = _stood(_lists(event, happened, "units"), _lists(event, happened, "centers"))
            alive = frozenset(power for power, places in stood.items() if places)
    return [*found, Phase("", tuple(said), {}, stood, alive)]


def _lists(event: Event, happened: Mapping[str, Any], key: str) -> dict[str, tuple[str, ...]]:
    value = happened.get(key) or {}
    if not isinstance(value, dict) or not all(isinstance(own, list) and all(isinstance(text, str) for text in own) for own in value.values()):
        raise AnalysisError(f"record {event.seq}: {key!r} of an adjudication must be lists of texts by power; the log is damaged or not of this version")
    return {power: tuple(own) for power, own in value.items()}


def _orders(event: Event, happened: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The orders; a power that has none in the record gave none."""
    return {power: tuple(order.partition("#")[0] for order in own) for power, own in _lists(event, happened, "orders").items()}


def _stood(units: Mapping[str, Collection[str]], centers: Mapping[str, Collection[str]]) -> dict[str, frozenset[str]]:
    return {power: frozenset({unit[2:5] for unit in units.get(power, ())} | set(centers.get(power, ()))) for power in POWERS}


# ---- promises --------------------------------------------------------------------------------------------------------


def promises(game: Sequence[Phase]) -> pd.DataFrame:
    """One row a thing that a text bound its author to in its next orders for movement, where these tell whether it was kept.

    `intended_before`, `intended_after`: the probability that it would be kept, in the intent on record before the words and in the author's
    next one. The same thing said twice to the same readers in a phase counts once, the first time. `to`: the other party where the
    promise names one (of a zone, of a supported unit), else all other readers.
    """
    rows: dict[tuple[str, AgentID, tuple[str, ...], str], list[Any]] = {}
    for phase, said, about in _bound(game):
        message, orders = said.message, phase.orders.get(said.message.author, ())
        verdict = kept(about, orders)
        if verdict is not None:
            to = _towards(phase, message, about)
            row = [message.id, message.author, to, about["kind"], what(about), _chance(about, said.before), _chance(about, said.after), verdict]
            rows.setdefault((phase.name, message.author, to, repr(sorted(about.items()))), [said.step, message.time, phase.name, *row])
    return pd.DataFrame(list(rows.values()), columns=PROMISES)


def _bound(game: Sequence[Phase]) -> Iterator[tuple[Phase, Said, About]]:
    for phase in game:
        for said in phase.said if phase.name else ():
            for act in said.acts:
                if act["act"] in BINDING and binds(act["about"], said.message.author):
                    yield phase, said, act["about"]


def _towards(phase: Phase, message: Message, about: About) -> tuple[AgentID, ...]:
    others = message.channel.readers - {message.author}
    named = set(about.get("powers", ()))
    if about["kind"] == "support":
        named = {phase.owner(about["order"].split()[4][:3])} if len(about["order"].split()) > 4 else set()
    return tuple(sorted(named & others or others))


def _chance(about: About, intent: Any) -> float | None:
    """The probability in an intent that may be missing, or another policy's own."""
    if not isinstance(intent, dict) or not intent:
        return None
    try:
        return chance(about, intent)
    except (AttributeError, TypeError, ValueError, IndexError):
        return None


def what(about: About) -> str:
    """A commitment in a few words: 'A VEN S A TYR - TRI', 'out of TYR'."""
    return f"out of {' '.join(about['provinces'])}" if about["kind"] == "dmz" else str(about["order"])


def verdicts(bound: pd.DataFrame) -> pd.DataFrame:
    """The promises with `verdict`: kept, broken (meant when it was said), or lie (broken, and not meant when it was said)."""
    lie = ~bound["kept"].astype(bool) & (pd.to_numeric(bound["intended_before"]) < MEANT)
    verdict = bound["kept"].astype(bool).map({True: "kept", False: "broken"}).astype(object)
    return bound.assign(verdict=verdict.mask(lie, "lie"))


def by_pair(bound: pd.DataFrame) -> pd.DataFrame:
    """One row a pair: promises of `agent` to `to`, how many were kept and broken, and how many of these it did not mean when it said them.

    A promise to several counts with each.
    """
    each = verdicts(bound).explode("to").dropna(subset="to")
    counts = [(agent, to, len(of), int(of["kept"].sum()), int((of["verdict"] != "kept").sum()), int((of["verdict"] == "lie").sum()))
              for (agent, to), of in each.groupby(["agent", "to"])]
    return pd.DataFrame(counts, columns=["agent", "to", "promises", "kept", "broken", "not meant"])


# ---- alliances -------------------------------------------------------------------------------------------------------


def alliances(game: Sequence[Phase]) -> pd.DataFrame:
    """One row an alliance of two, in the order in which they were made: between whom, against whom, how it ended, and who broke it where.

    `ended` is held (to the end of the log), broken, or eliminated. A broken one may be made again: another row.
    """
    rows: list[dict[str, Any]] = []
    standing: dict[frozenset[AgentID], dict[str, Any]] = {}
    proposed: dict[frozenset[AgentID], set[AgentID]] = {}
    for number, phase in enumerate(game):
        for pair in [pair for pair in standing if not pair <= phase.alive]:
            standing.pop(pair).update(ended="eliminated", ended_phase=phase.name)
        for said in phase.said:
            for pair, about in _paired(said, proposed):
                if pair not in standing:
                    first, second = sorted(pair)
                    until = phase.name or "after " + (game[number - 1].name if number else "the start")
                    standing[pair] = dict(zip(ALLIANCES, [said.step, said.message.time, until, first, second, about.get("against", ""),
                                                          "held", "", "", ""], strict=True))
                    rows.append(standing[pair])
        for pair in list(standing):
            attacks = {one: entered(phase.orders.get(one, ())) & phase.stood.get(other, frozenset()) for one, other in _both(pair)}
            if breakers := sorted(one for one, places in attacks.items() if places):
                places = sorted(set().union(*attacks.values()))
                standing.pop(pair).update(ended="broken", ended_phase=phase.name, broken_by="+".join(breakers), where=" ".join(places))
                proposed.pop(pair, None)
    return pd.DataFrame(rows, columns=ALLIANCES)


def _both(pair: frozenset[AgentID]) -> tuple[tuple[AgentID, AgentID], tuple[AgentID, AgentID]]:
    one, other = sorted(pair)
    return (one, other), (other, one)


def _paired(said: Said, proposed: dict[frozenset[AgentID], set[AgentID]]) -> Iterator[tuple[frozenset[AgentID], About]]:
    """The pairs that a message's text makes allies; what it proposes is put down in `proposed`."""
    author = said.message.author
    for act in said.acts:
        about = act["about"]
        if about["kind"] != "alliance" or author not in about["powers"]:
            continue
        for other in (set(about["powers"]) & said.message.channel.readers) - {author}:
            pair = frozenset((author, other))
            if act["act"] == "propose":
                proposed.setdefault(pair, set()).add(author)
            elif act["act"] in BINDING and other in proposed.get(pair, ()):
                yield pair, about
