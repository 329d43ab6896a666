"""One turn of an agent that is asked in words: prompt, reply, repair, fallback; whoever is asked, a server or a model here.

At most `attempts` replies are asked for: each that cannot be taken is told in a line why. After the last the world's own negotiator moves, in
silence; where a world has none, nothing is said or done; a fault "fallback" says so. What an agent remembers follows from what it saw and from what is logged of
its action alone, so `recalled` gives the same memory without asking anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agents.conversed import Bounds, Kept, after_hearing, after_speaking
from agents.deciding import decide
from agents.legal import legal_of
from agents.memory import AgentMemory
from agents.prompting import Prompt, prompt, repair, reply_schema
from agents.replying import Reply, read_reply
from agents.types import JSON, Action, Language, Turn
from sociallm.conversation import clean

MOST_FAULTS = 24  # that one turn tells
MOST_REPEATED = 2000  # characters of a bad reply that are shown to its author again


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What one asking gave. `text` None: nothing that could be read, and `faults` say why; `final`: asking again is in vain.

    `usage` counts: "calls", "tokens_in", "tokens_out", "cost", "seconds"; they are added up. `seat` is what the policy keeps for the seat.
    """

    text: str | None
    usage: Mapping[str, Any]
    faults: tuple[tuple[str, str], ...] = ()
    final: bool = False
    seat: JSON = None


Ask = Callable[[Prompt, dict[str, Any], int, JSON], Answered]  # (prompt, schema of the reply, seed of this attempt, what is kept for the seat)

Last = Callable[[Action], Action]


def same(action: Action) -> Action:
    """As it is."""
    return action


def answer(
    turn: Turn, language: Language | None, bounds: Bounds, attempts: int, seed: int | None, ask: Ask, model: str, by: str = "llm", last: Last = same
) -> tuple[Action, AgentMemory]:  # fmt: skip
    """What the agent says and does, and its memory after that. `seed`: of every turn the same; None: drawn from the turn's own stream.
    `by`: who words, in the log; `last` is given the action before anything follows from it."""
    seen, notes = turn.observation, heard(turn, language, bounds)
    drawn = int(turn.rng.integers(2**31))
    legal = legal_of(language, seen, notes["world"])
    chat, schema = prompt(seen, notes, legal, bounds), reply_schema(seen, legal)
    usage: dict[str, Any] = {"calls": 0, "attempts": 0, "tokens_in": 0, "tokens_out": 0, "cost": 0.0, "seconds": 0.0, "model": model}
    faults: list[tuple[str, str]] = []
    seat, reply, asked = notes["seat"], Reply(wrong="nobody answered"), chat
    for attempt in range(attempts):
        given = ask([{**said, "content": clean(said["content"])} for said in asked], schema, (drawn if seed is None else seed) + attempt, seat)
        usage["attempts"] += 1
        for key in ("calls", "tokens_in", "tokens_out", "cost", "seconds"):
            usage[key] += given.usage.get(key, 0)
        faults += given.faults
        seat = given.seat
        if given.text is None:
            if given.final:
                break
            continue
        reply = read_reply(given.text, seen, legal)
        faults += reply.dropped if reply.wrong is None else [("reply", reply.wrong[:400])]
        if reply.wrong is None:
            break
        asked = [*chat, {"role": "assistant", "content": given.text[:MOST_REPEATED]}, repair(reply.wrong)]
    usage["cost"], usage["seconds"] = round(usage["cost"], 10), round(usage["seconds"], 3)
    if seat is not None:
        usage["seat"] = seat
    if reply.wrong is None:
        wording = tuple({"by": by} for _ in reply.messages)
        action = Action(intent=reply.intent, messages=reply.messages, wording=wording, move=reply.move, usage=usage, faults=tuple(faults[:MOST_FAULTS]))
    else:
        action = fallback(turn, language, notes["world"], usage, faults)
    action = last(action)
    return action, remembered(turn, notes, action, bounds)


def fallback(turn: Turn, language: Language | None, world: JSON, usage: JSON, faults: list[tuple[str, str]]) -> Action:
    """The world's own negotiator's move without words; nothing where there is none."""
    what = "no reply could be taken; the world's own negotiator moves, in silence" if language is not None else "no reply could be taken; silence, and no move"
    told = (*faults[: MOST_FAULTS - 1], ("fallback", what))
    if language is None:
        return Action(usage=usage, faults=told)
    silent = replace(turn.observation, heard=(), may_write=())
    decision = decide(replace(turn, observation=silent, memory=replace(turn.memory, notes=world)), language)
    return Action(intent=decision.intent, move=decision.move, usage=usage, faults=told)


def heard(turn: Turn, language: Language | None, bounds: Bounds) -> Kept:
    """Notes after what the agent has heard: its own, and the world's, which the world's language keeps."""
    notes = after_hearing(turn.memory.notes, turn, bounds)
    return notes if language is None else {**notes, "world": language.hear(turn.observation, notes["world"])}


def remembered(turn: Turn, notes: Kept, action: Action, bounds: Bounds) -> AgentMemory:
    """The memory after this turn."""
    seat = action.usage.get("seat") if isinstance(action.usage, Mapping) else None
    after = after_speaking({**notes, "seat": seat if seat is not None else notes["seat"]}, action.messages, turn.observation.agent, bounds)
    return replace(turn.memory, notes=after)


def recalled(turn: Turn, action: Action, language: Language | None, bounds: Bounds) -> AgentMemory:
    """The memory after this turn, had `answer` given this action. Asks nobody."""
    return remembered(turn, heard(turn, language, bounds), action, bounds)
