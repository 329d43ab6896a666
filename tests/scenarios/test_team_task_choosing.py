"""What a member of a team could tell, as options: traits computed by hand, and a head that decides."""

from __future__ import annotations

import numpy as np
import pytest

from agents.choosing import LearnedHead, Weighing
from agents.deciding import decide
from agents.memory import AgentMemory
from agents.types import Channel, Message, Observation, Turn
from scenarios.team_task.choosing import KINDS, acts, answers, claim
from scenarios.team_task.environment import Options, make

WORLD = make(Options(members=3, suspects=3, clues=2, public=0, network="complete", reach="room", relay=True))
LANGUAGE = WORLD.language
ALL = Channel(name="ALL", readers=frozenset(WORLD.agents))
ASH, BIRCH, ELM = LANGUAGE.talk.suspects
VIEW = {
    "me": "M1", "members": ["M1", "M2", "M3"], "suspects": [ASH, BIRCH, ELM], "neighbours": ["M2", "M3"], "window": 0, "windows": 4, "reliability": 0.8,
    "public": [], "tell": "all", "relay": True, "opinions": True, "alpha": 0.95,
    "private": [{"witness": WORLD.witnesses[0], "suspect": ASH, "evidence": "strong yes"}, {"witness": WORLD.witnesses[1], "suspect": BIRCH, "evidence": "maybe no"}],
}  # fmt: skip


def said(author: str, act: str, suspect: str, evidence: str | None = None, witness: str | None = None, readers: frozenset[str] = ALL.readers) -> Message:
    text = LANGUAGE.talk.texts(LANGUAGE.talk.act(act, sorted(readers - {author}), suspect, evidence, witness))[0]
    return Message(id=f"{author}-{act}-{suspect}", author=author, channel=Channel(name="X", readers=readers), time=0, text=text)


def notes_after(*messages: Message) -> dict:
    return LANGUAGE.hear(Observation(agent="M1", step=1, time=9, heard=messages, view=VIEW), None)


def found(notes: dict, others: tuple[str, ...] = ("M2", "M3")) -> dict[str, dict[str, float]]:
    """Traits by witness of the fact, or kind of act."""
    options = acts(LANGUAGE.talk, VIEW, notes, others, np.array([0.6, 0.3, 0.1]))
    return {(o.what or {"act": "silent"}).get("witness") or (o.what or {"act": "silent"})["act"]: dict(o.traits) for o in options}


def test_traits_of_facts_by_hand():
    """M2 tells M1 alone that Ash is maybe cleared; M3 asks about Birch."""
    told = said("M2", "inform", ASH, "maybe no", WORLD.witnesses[2], frozenset({"M1", "M2"}))
    traits = found(notes_after(told, said("M3", "ask", BIRCH)))
    first, second, third = (traits[WORLD.witnesses[i]] for i in range(3))
    # of Ash M1 knows a strong yes and a maybe no: 1 - 1/2; M2 is known to know the maybe no, M3 nothing: (-1/2 + 0) / 2
    assert (first["lacking"], first["strong"], first["yes"], first["mine"], first["theirs"], first["top"]) == (1.0, 1.0, 1.0, 0.5, -0.25, 1.0)
    assert (first["towards"], first["away"], first["asked"]) == (1.0, 0.0, 0.0)
    assert (second["strong"], second["yes"], second["mine"], second["theirs"], second["asked"]) == (0.0, 0.0, 0.5, 0.0, 1.0)  # a no: the signs turn
    assert (third["lacking"], third["mine"], third["theirs"], third["towards"], third["away"]) == (0.5, -0.5, 0.25, 0.0, 1.0)
    assert all(first[kind] == 0 for kind in KINDS) and traits["silent"] == {**dict.fromkeys(first, 0.0), "silent": 1.0}
    assert traits["guess"]["guess"] == 1.0 and {*traits} >= {"guess", "ask", "remark", "silent"}


def test_claims_are_that_it_was_the_suspect():
    options = acts(LANGUAGE.talk, VIEW, notes_after(), ["M2"], np.array([0.6, 0.3, 0.1]))
    by_witness = {o.what["witness"]: o for o in options if o.what and o.what["act"] == "inform"}
    assert by_witness[WORLD.witnesses[0]].claims == {claim(ASH): 1.0} and by_witness[WORLD.witnesses[1]].claims == {claim(BIRCH): -1.0}
    assert all(o.about == ("M2",) for o in options)


def test_traits_of_answers_by_hand():
    notes = notes_after(said("M2", "inform", ASH, "maybe no", WORLD.witnesses[2]), said("M3", "guess", ELM))
    held = np.array([0.5, 0.25, 0.25])
    ash, birch, elm = answers(LANGUAGE.talk, VIEW, notes, held)
    assert [o.what for o in (ash, birch, elm)] == [ASH, BIRCH, ELM]
    assert (ash.traits["strong yes"], ash.traits["maybe no"], birch.traits["maybe no"], elm.traits["named"]) == (1.0, 1.0, 1.0, 1.0)
    assert ash.traits["held"] - elm.traits["held"] == pytest.approx(np.log(2))


def turn(due: bool, **changes: object) -> Turn:
    seen = Observation(agent="M1", step=1, time=9, may_write=() if due else (ALL,), move_due=due, view=VIEW, **changes)
    return Turn(observation=seen, memory=AgentMemory(), rng=np.random.default_rng(5))


def test_a_head_decides_what_is_told_and_answered():
    head = LearnedHead("team_task", {"tell": {"strong": 40.0}, "answer": {"maybe no": 30.0}})
    weighing = Weighing(head, 1.0, turn(False), None)
    ((_, act),) = decide(turn(False), LANGUAGE, weighing).acts
    assert (act["act"], act["witness"]) == ("inform", WORLD.witnesses[0])
    answer = decide(turn(True), LANGUAGE, Weighing(head, 1.0, turn(True), None)).move
    assert answer[BIRCH] > 0.99 and sum(answer.values()) == pytest.approx(1)


def test_with_no_weight_all_is_as_without_a_head():
    """The world decides; the head looks on, and what it saw can be learned from."""
    for due in (False, True):
        weighing = Weighing(None, 0.0, turn(due), None)
        decision = decide(turn(due), LANGUAGE, weighing)
        assert decision == decide(turn(due), LANGUAGE)
        (kept,) = weighing.choices(decision)
        assert kept["kind"] == ("answer" if due else "tell") and kept["p"] == 1.0
