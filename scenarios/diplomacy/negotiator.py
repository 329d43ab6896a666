"""The negotiator: what to say and what to order, from the world's evaluation and from what others have said and done.

Pure functions over notes, a JSON value owned by the policy (see `notes.py`). In each turn: hear (promises are noted, broken ones cost
trust), intend, speak, move. `intend` first scores all legal orders, then decides what to say, then scores again under the deals that it
means to keep: so the intent on record before the words holds what an honest promise says, and does not hold what a lie says.
Agreements enter the scores through `Stance`; trust decides how far one counts on them, and whom one attacks.

A policy may add its own judgement: a `Head` gives points to an order or an act, on top of the world's evaluation. Without one (None)
the world's evaluation decides alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agents.legal import Legal
from agents.types import JSON, Head, Observation
from scenarios.diplomacy import choosing, grammar
from scenarios.diplomacy.board import Board, adjustment_count, board_from_json
from scenarios.diplomacy.channels import EVERYONE
from scenarios.diplomacy.evaluation import scores
from scenarios.diplomacy.extractor import meaning
from scenarios.diplomacy.legal import legal
from scenarios.diplomacy.lexicon import denies, idle
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.notes import add, agree, begin_phase, fresh, judge, resolve
from scenarios.diplomacy.orders import legal_orders
from scenarios.diplomacy.planning import draw, draw_other, intent, other_phase_intent
from scenarios.diplomacy.proposals import Option, Plans, Seat, options
from sociallm.conversation import AgentID, Channel

ACTS_PER_TURN = 2
LEAST = 1.5  # points below which a thing is not worth saying
Said = tuple[Channel, dict[str, Any]]


class DiplomacyLanguage:
    """`agents.types.Language` for Diplomacy. Stateless."""

    def hear(self, observation: Observation, notes: JSON) -> JSON:
        """Notes after the new messages, and, when a new phase has begun, after the last phase's orders."""
        board = _board(observation)
        found = fresh(notes)
        if board.phase == "M" and found["phase"] != board.name:
            found = begin_phase(judge(found, observation.agent, observation.view.get("recent", ())), observation.agent, board)
        for message in observation.heard:
            if message.author not in POWERS or message.author == observation.agent:
                continue
            for act in self.meaning(message.text, message.author, message.channel.readers):
                found = _note(found, act, message.author, observation.agent, board)
        return found

    def intend(self, observation: Observation, notes: JSON, rng: np.random.Generator, head: Head | None = None) -> tuple[JSON, JSON]:
        """({unit: {order: probability}}, notes with what to say); in a retreat or adjustment phase by unit, 'BUILD' or 'REMOVE'."""
        seat = _seat(observation, notes)
        legal = legal_orders(seat.board, seat.power)
        if seat.board.phase != "M":
            return other_phase_intent(seat.board, seat.power, legal, seat.stance), notes
        plans = _plans(seat, legal, head)
        if not observation.may_write:
            return plans, notes
        found = _decided(seat, plans, rng, head)
        if found["agreed"] != seat.notes["agreed"]:  # what it has just promised, and means, is now part of its plan
            plans = _plans(Seat(seat.power, seat.board, observation, found), legal, head)
        return plans, found

    def speak(
        self, observation: Observation, notes: JSON, intent: JSON, rng: np.random.Generator, head: Head | None = None
    ) -> tuple[Sequence[Said], JSON]:
        """What `intend` decided to say, where a head had its say: answers to what is pending, then what is most useful, two acts at most."""
        if not notes or not notes.get("saying"):
            return (), notes
        channels = {channel.name: channel for channel in observation.may_write}
        said = [(channels[entry["channel"]], entry["act"]) for entry in notes["saying"] if entry["channel"] in channels]
        return said, {**notes, "saying": []}

    def word(self, act: JSON, speaker: AgentID) -> Sequence[str]:
        """Texts that perform the act, the plainest first."""
        return grammar.texts(act, speaker)

    def meaning(self, text: str, author: AgentID, readers: frozenset[AgentID]) -> Sequence[JSON]:
        """The acts a text performs."""
        return meaning(text, author, readers)

    def idle(self, text: str) -> bool:
        """Whether words added to a message name no province, power, unit or deed."""
        return idle(text)

    def denies(self, text: str) -> bool:
        """Whether there is a 'not', 'never', 'cannot' in them."""
        return denies(text)

    def move(self, observation: Observation, notes: JSON, intent: JSON, rng: np.random.Generator) -> tuple[JSON, JSON]:
        """({unit: order}, notes), drawn from the intent; {'BUILD' or 'REMOVE': [orders]} in an adjustment phase."""
        board = _board(observation)
        if not intent:
            return {}, notes
        if board.phase == "M":
            return draw(intent, rng), notes
        drawn = draw_other(intent, adjustment_count(board, observation.agent) if board.phase == "A" else 1, rng)
        return (drawn if board.phase == "A" else {unit: orders[0] for unit, orders in drawn.items() if orders}), notes

    def legal(self, observation: Observation, notes: JSON) -> Legal:
        """What is legal now, for those who answer in words."""
        return legal(observation, notes)


def _board(observation: Observation) -> Board:
    return board_from_json(observation.view["board"])


def _seat(observation: Observation, notes: JSON) -> Seat:
    return Seat(observation.agent, _board(observation), observation, fresh(notes))


def _plans(seat: Seat, legal: Mapping[str, Sequence[str]], head: Head | None) -> dict[str, dict[str, float]]:
    """The intent: a distribution per unit from the world's scores, with a head's points added."""
    scored = scores(seat.board, seat.power, seat.stance, legal)
    if head is not None:
        for unit, weighed in list(choosing.orders(seat, scored)):
            points = head("order", weighed)
            scored[unit] = {order: score + p for (order, score), p in zip(scored[unit].items(), points, strict=True)}
    return intent(scored)


def _decided(seat: Seat, plans: Plans, rng: np.random.Generator, head: Head | None) -> dict[str, Any]:
    """Notes with what to say now and what it commits to: the options of most worth, one for each channel, one new thing of a kind."""
    found = {**seat.notes, "saying": []}
    kinds: set[str] = set()
    for option in _weighed(seat, options(seat, plans, rng), head):
        channel, act = seat.channel(option.other), option.act
        kind, answer = act["act"] + act["about"]["kind"], act["act"] in ("accept", "refuse")
        if channel is None or option.worth < LEAST or any(entry["channel"] == channel.name for entry in found["saying"]):
            continue  # in one channel one after another: the next thing said knows of the first
        if f"{option.other}:{_key(act)}" in found["said"] or (kind in kinds and not answer):
            continue
        if channel == EVERYONE:
            act = {**act, "to": sorted(EVERYONE.readers - {seat.power})}
        kinds.add(kind)
        found = add(add(found, "saying", {"channel": channel.name, "act": dict(act)}), "said", f"{option.other}:{_key(act)}")
        found = _committed(found, {**act, "to": [option.other]}, seat.power, option.meant)
        if len(found["saying"]) == ACTS_PER_TURN:
            break
    return found


def _weighed(seat: Seat, found: Sequence[Option], head: Head | None) -> list[Option]:
    """The options in order of their worth, with a head's points added."""
    if head is None or not found:
        return list(found)
    points = head("act", choosing.acts(seat, found))
    weighed = [Option(o.other, o.act, o.worth + p, o.meant) for o, p in zip(found, points, strict=True)]
    return sorted(weighed, key=lambda option: -option.worth)


def _key(act: Mapping[str, Any]) -> str:
    about = act["about"]
    return " ".join([act["act"], about["kind"], about.get("power", ""), about.get("order", ""), ",".join(about.get("provinces", ()))])


# ---- what was heard, what was said -----------------------------------------------------------------------------------


def _note(notes: Mapping[str, Any], act: Mapping[str, Any], author: AgentID, me: AgentID, board: Board) -> dict[str, Any]:
    """Notes after one act of another."""
    about = resolve(act["about"], board)
    kind, found = act["act"], dict(notes)
    if kind in ("propose", "ask"):
        if about["kind"] != "draw" and me not in about.get("powers", (about.get("power"),)):
            return found  # said in public to somebody else
        return add(found, "pending", {"from": author, "act": kind, "about": about})
    if kind == "refuse":
        return found
    if kind == "accept":
        offered = {"with": author, "about": about} in found["offers"]
        if offered and about["kind"] in ("dmz", "alliance"):
            found = agree(found, me, author, about, board.name)
    if kind == "inform" and about.get("power") != author:
        return found  # hearsay
    if about["kind"] == "alliance" and kind != "accept":
        return found
    return agree(found, author, me, about, board.name, firm=kind != "inform")


def _committed(notes: Mapping[str, Any], act: Mapping[str, Any], me: AgentID, meant: bool) -> dict[str, Any]:
    """Notes after an act of one's own; `meant` is False where it is a lie."""
    found, about = dict(notes), act["about"]
    phase = found["phase"]
    for other in act["to"]:
        if act["act"] in ("propose", "ask"):
            found = add(found, "offers", {"with": other, "about": about})
        elif act["act"] in ("accept", "promise"):
            found = agree(found, me, other, about, phase, meant=meant)
            if act["act"] == "accept" and about["kind"] in ("dmz", "alliance") and len(about["powers"]) > 1:
                found = agree(found, other, me, about, phase)
        if act["act"] in ("accept", "refuse", "inform"):
            found["pending"] = [p for p in found["pending"] if not (p["from"] == other and p["about"] == about)]
    return found
