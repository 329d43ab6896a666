"""Conversations from which a model can learn what clues say together: one tells clues, many listen, each says once, to itself, who it thinks it was.

A listener knows nothing but what it has heard, so its guess is a draw from the exact posterior of the clues told so far. Each speaks once and in a
channel that it alone reads: nobody's guess reaches another, or its own memory before it guesses. A model that predicts these guesses holds the
posterior in its states; how well is asked in `analysis/information.py`, on dialogues of other seeds.

    python -m scenarios.team_task.lessons FOLDER --count 9000 --first 1000000      # FOLDER/conversations.jsonl, for `python -m sociallm train own=FOLDER`
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scenarios.team_task.clues import Clue
from scenarios.team_task.exact import Solver, Worth, solver, worths
from scenarios.team_task.stimuli import READER, Dialogue, dialogue
from scenarios.team_task.talk import FRAMES
from sociallm.conversation import AgentID, Channel, Conversation, Message, write_conversations

LISTENERS = 24
MOMENTS = 4  # of a dialogue, after which they guess
MEASURED = 3_000_000  # from this seed on, dialogues are what models are measured on: no lesson is drawn from them
SOON = 500  # ms from a message to the guesses after it


def guess(suspect: str) -> str:
    """How a listener says whom it thinks it was: always in the same words, so that the name alone has to be foretold."""
    return FRAMES["guess"][0].format(s=suspect)


def alone(listener: AgentID) -> Channel:
    """The channel in which a listener speaks to itself."""
    return Channel(name=f"{listener}-SELF", readers=frozenset({listener}))


def heard(told: Dialogue) -> tuple[Solver, list[Worth]]:
    """(exact beliefs, what each message is worth) for a listener who knows nothing else."""
    exact = solver(ignorant(told.case))
    return exact, worths(exact, told.messages)


def ignorant(case: Mapping[str, Any]) -> dict[str, Any]:
    """The case as one sees it who was given no clue."""
    return {**case, "public": [], "private": {agent: [] if agent == READER else own for agent, own in case["private"].items()}}


def lesson(seed: int, listeners: int = LISTENERS) -> Conversation:
    """One dialogue with many listeners, who guess after a few messages drawn at random.

    The guesses after one message are a systematic sample of the posterior, its steps spread evenly: each is a draw from it, and together they lie
    closer to it than draws on their own would, so that a model learns more from as many.
    """
    told = dialogue(seed)
    exact, rng = solver(ignorant(told.case)), np.random.default_rng((seed, 32))
    names = [READER, *(f"L{i}" for i in range(1, listeners))]
    room = Channel(name="ALL", readers=frozenset({*names, told.messages[0].author}))
    moments = rng.choice(len(told.messages), size=min(MOMENTS, len(told.messages)), replace=False).tolist()
    said: list[Message] = []
    who = iter(names[int(i)] for i in rng.permutation(listeners))
    for k, message in enumerate(told.messages):
        said.append(Message(id=message.id, author=message.author, channel=room, time=message.time, text=message.text, addressees=message.addressees))
        if k not in moments:
            continue
        count = listeners // len(moments) + (moments.index(k) < listeners % len(moments))
        share = np.cumsum(exact.belief(clues_of(exact, told.messages[: k + 1])))
        for drawn in np.searchsorted(share / share[-1], (np.arange(count) + rng.random()) / count, side="right"):
            listener, suspect = next(who), exact.talk.suspects[int(drawn)]
            said.append(Message(id=f"{message.id}-{listener}", author=listener, channel=alone(listener), time=message.time + SOON, text=guess(suspect)))
    return Conversation(id=f"lesson-{seed}", messages=tuple(said))


def clues_of(exact: Solver, messages: Sequence[Message]) -> tuple[Clue, ...]:
    """The clues in them, each witness once."""
    found: dict[int, Clue] = {}
    for message in messages:
        for clue in exact.told(message)[1]:
            found.setdefault(clue.witness, clue)
    return tuple(found.values())


def main(words: Sequence[str] | None = None) -> int:
    """Write lessons; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scenarios.team_task.lessons", description="Conversations that teach what clues say together.", allow_abbrev=False)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="gets conversations.jsonl")
    parser.add_argument("--count", type=int, default=1000, metavar="N", help="so many (default: 1000)")
    parser.add_argument("--first", type=int, default=1_000_000, metavar="SEED", help="the first of their seeds (default: 1000000)")
    given = parser.parse_args(words)
    path = given.folder / "conversations.jsonl"
    if wrong := _wrong(given.count, given.first):
        print(f"lessons: {wrong}", file=sys.stderr)
        return 2
    try:
        given.folder.mkdir(parents=True, exist_ok=True)
        write_conversations(path, (lesson(seed) for seed in range(given.first, given.first + given.count)))
    except OSError as error:
        print(f"lessons: {path}: cannot write ({error.strerror}); name another folder", file=sys.stderr)
        return 2
    print(path)
    return 0


def _wrong(count: int, first: int) -> str | None:
    """Why there are no such lessons; None if there are."""
    if count < 1:
        return f"--count is {count}; expected 1 or more"
    if first < 0 or first + count > MEASURED:
        return f"seeds {first} to {first + count - 1}: expected some from 0 to {MEASURED - 1}, for models are measured on those above; change --first or --count"
    return None


if __name__ == "__main__":
    sys.exit(main())
