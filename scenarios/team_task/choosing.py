"""What a member could tell, and what it could answer, as options for a policy's learned head: the member's own bookkeeping in numbers.

For a fact about a suspect: whether those who read it lack it, how strong it is and which way it points, and the *balance* of what is known of that
suspect, by the member and by its readers as far as it knows (a strong yes counts 1, a maybe 1/2, no the other way). How far a fact would bring
readers towards what the member holds is not among them: whether that matters is for the head to learn. The claims, whose likelihood is read off the
states, are that it was this suspect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agents.types import AgentID, Option
from scenarios.team_task.clues import EVIDENCE
from scenarios.team_task.mind import STRONG_YES, TINY, Floats
from scenarios.team_task.talk import FRAMES, Act, Talk

Notes = Mapping[str, Any]
KINDS = ("guess", "agree", "ask", "remark", "silent")  # beside a fact
TOLD = ("lacking", "strong", "yes", "own", "asked", "mine", "theirs", "towards", "away", "top", *KINDS)


def tellable(view: Mapping[str, Any], notes: Notes) -> list[Mapping[str, Any]]:
    """Its private facts, with `relay` also what it has heard."""
    return [f for f in notes["facts"] if f["by"] is not None and (view["relay"] or f["by"] == view["me"])]


def acts(talk: Talk, view: Mapping[str, Any], notes: Notes, others: Sequence[AgentID], held: Floats) -> list[Option]:
    """Each fact it could tell these others, whom it thinks it was, a question, small talk, silence."""
    top = talk.suspects[int(np.argmax(held))]
    second = talk.suspects[int(np.argsort(-held, kind="stable")[1])]
    found = [_telling(talk, notes, others, fact, top) for fact in tellable(view, notes)]
    if view["opinions"]:
        heard = any(notes["opinions"].get(m) == top for m in others)
        for kind, suspect in (("agree" if heard else "guess", top), ("ask", second), ("remark", None)):
            told = suspect is not None and all(notes["told"].get(m) == suspect for m in others)
            found.append(_plain(kind, talk.act(kind, others, suspect), others, {"lacking": float(not told)}))
    return [*found, _plain("silent", None, others, {})]


def answers(talk: Talk, view: Mapping[str, Any], notes: Notes, held: Floats) -> list[Option]:
    """Each suspect as the answer: what it holds, how many facts of each kind it knows, how many teammates named it."""
    named = list(notes["opinions"].values())
    return [
        Option(
            what=suspect, about=tuple(view["neighbours"]), claims={claim(suspect): 1.0},
            traits={
                "held": float(np.log(max(p, TINY)) - np.log(np.clip(held, TINY, 1)).mean()),
                **{evidence: float(sum(f["suspect"] == suspect and f["evidence"] == evidence for f in notes["facts"])) for evidence in EVIDENCE},
                "named": float(named.count(suspect)),
            },
        )
        for suspect, p in zip(talk.suspects, held, strict=True)
    ]  # fmt: skip


def claim(suspect: str) -> str:
    """The text whose likelihood says how much it was this suspect."""
    return FRAMES["guess"][0].format(s=suspect)


def _telling(talk: Talk, notes: Notes, others: Sequence[AgentID], fact: Mapping[str, Any], top: str) -> Option:
    suspect, code = fact["suspect"], EVIDENCE[fact["evidence"]] / STRONG_YES
    lacking = sum(fact["witness"] not in notes["has"].get(m, []) for m in others) / max(len(others), 1)
    mine = _balance(notes["facts"], suspect)
    theirs = float(np.mean([_balance([f for f in notes["facts"] if f["witness"] in notes["has"].get(m, [])], suspect) for m in others])) if others else 0.0
    sign = 1.0 if code > 0 else -1.0
    traits = {
        "lacking": lacking, "strong": float(abs(code) == 1), "yes": float(code > 0), "own": float(fact["by"] is not None and fact["by"] not in others),
        "asked": float(any(notes["asked"].get(m) == suspect for m in others)), "mine": sign * mine, "theirs": sign * theirs,
        "towards": float(lacking > 0 and sign * (mine - theirs) > 0), "away": float(sign * (mine - theirs) < 0), "top": float(suspect == top),
    }  # fmt: skip
    act: Act = talk.act("inform", others, suspect, fact["evidence"], fact["witness"])
    return Option(what=act, traits={**traits, **dict.fromkeys(KINDS, 0.0)}, about=tuple(others), claims={claim(suspect): sign})


def _plain(kind: str, act: Act | None, others: Sequence[AgentID], traits: Mapping[str, float]) -> Option:
    claims = {claim(act["suspect"]): 1.0} if act is not None and act["suspect"] is not None else {}
    return Option(what=act, traits={**dict.fromkeys(TOLD, 0.0), **traits, kind: 1.0}, about=tuple(others), claims=claims)


def _balance(facts: Sequence[Mapping[str, Any]], suspect: str) -> float:
    return sum(EVIDENCE[f["evidence"]] for f in facts if f["suspect"] == suspect) / STRONG_YES
