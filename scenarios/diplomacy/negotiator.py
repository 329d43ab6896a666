"""The negotiator: what to say and what to order, from the world's evaluation and from what others have said and done.

Pure functions over notes, a JSON value owned by the policy (see `notes.py`). In each turn: hear (promises are noted, broken ones cost
trust), intend (scores of all legal orders → a distribution per unit), speak (answers first, then proposals that would help), move.
Agreements enter the scores through `Stance`; trust decides how far one counts on them, and whom one attacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agents.types import JSON, Observation
from scenarios.diplomacy import press
from scenarios.diplomacy.board import Board, adjustment_count, board_from_json
from scenarios.diplomacy.evaluation import scores
from scenarios.diplomacy.extractor import meaning
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.notes import add, agree, begin_phase, fresh, judge, resolve
from scenarios.diplomacy.orders import legal_orders
from scenarios.diplomacy.planning import draw, draw_other, intent, other_phase_intent
from scenarios.diplomacy.proposals import Seat, candidates, stance_of
from sociallm.conversation import AgentID, Channel

ACTS_PER_TURN = 2
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

    def intend(self, observation: Observation, notes: JSON, rng: np.random.Generator) -> tuple[JSON, JSON]:
        """({unit: {order: probability}}, notes); in a retreat or adjustment phase by unit, 'BUILD' or 'REMOVE'."""
        seat = _seat(observation, notes)
        legal = legal_orders(seat.board, seat.power)
        stance = stance_of(seat)
        if seat.board.phase != "M":
            return other_phase_intent(seat.board, seat.power, legal, stance), notes
        return intent(scores(seat.board, seat.power, stance, legal)), notes

    def speak(self, observation: Observation, notes: JSON, intent: JSON, rng: np.random.Generator) -> tuple[Sequence[Said], JSON]:
        """At most two acts: answers to what is pending, then the most useful proposals."""
        seat = _seat(observation, notes)
        if seat.board.phase != "M" or not observation.may_write:
            return (), notes
        said: list[Said] = []
        found = dict(seat.notes)
        kinds: set[str] = set()
        for other, act in candidates(seat, intent, rng):
            channel, key = seat.channel(other), f"{other}:{_key(act)}"
            kind = act["act"] + act["about"]["kind"]
            if channel is None or channel in {c for c, _ in said}:  # one after another: the next one knows of the first
                continue
            if key in found["said"] or (kind in kinds and act["act"] not in ("accept", "refuse")):
                continue
            said.append((channel, act))
            kinds.add(kind)
            found = _committed(add(found, "said", key), act, seat.power)
            if len(said) == ACTS_PER_TURN:
                break
        return said, found

    def word(self, act: JSON, speaker: AgentID) -> Sequence[str]:
        """Texts that perform the act, the plainest first."""
        return press.texts(act, speaker)

    def meaning(self, text: str, author: AgentID, readers: frozenset[AgentID]) -> Sequence[JSON]:
        """The acts a text performs."""
        return meaning(text, author, readers)

    def move(self, observation: Observation, notes: JSON, intent: JSON, rng: np.random.Generator) -> tuple[JSON, JSON]:
        """({unit: order}, notes), drawn from the intent; {'BUILD' or 'REMOVE': [orders]} in an adjustment phase."""
        board = _board(observation)
        if not intent:
            return {}, notes
        if board.phase == "M":
            return draw(intent, rng), notes
        drawn = draw_other(intent, adjustment_count(board, observation.agent) if board.phase == "A" else 1, rng)
        return (drawn if board.phase == "A" else {unit: orders[0] for unit, orders in drawn.items() if orders}), notes


def _board(observation: Observation) -> Board:
    return board_from_json(observation.view["board"])


def _seat(observation: Observation, notes: JSON) -> Seat:
    return Seat(observation.agent, _board(observation), observation, fresh(notes))


def _key(act: Mapping[str, Any]) -> str:
    about = act["about"]
    return " ".join([act["act"], about["kind"], about.get("power", ""), about.get("order", ""), ",".join(about.get("provinces", ()))])


# ---- what was heard, what was said -----------------------------------------------------------------------------------


def _note(notes: Mapping[str, Any], act: Mapping[str, Any], author: AgentID, me: AgentID, board: Board) -> dict[str, Any]:
    """Notes after one act of another."""
    about = resolve(act["about"], board)
    kind, found = act["act"], dict(notes)
    if kind in ("propose", "ask"):
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


def _committed(notes: Mapping[str, Any], act: Mapping[str, Any], me: AgentID) -> dict[str, Any]:
    """Notes after an act of one's own."""
    found, about = dict(notes), act["about"]
    phase = found["phase"]
    for other in act["to"]:
        if act["act"] in ("propose", "ask"):
            found = add(found, "offers", {"with": other, "about": about})
        elif act["act"] in ("accept", "promise"):
            found = agree(found, me, other, about, phase)
            if act["act"] == "accept" and about["kind"] in ("dmz", "alliance") and len(about["powers"]) > 1:
                found = agree(found, other, me, about, phase)
        if act["act"] in ("accept", "refuse", "inform"):
            found["pending"] = [p for p in found["pending"] if not (p["from"] == other and p["about"] == about)]
    return found
