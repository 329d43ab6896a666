"""Dialogues in which it is known what every message is worth: one member tells another its clues, between them repeats, small talk and gibberish.

The material that a measure of information is held against (and, from other seeds, fine-tuned on). Kinds, drawn with the shares given:

| kind | text |
|---|---|
| `new` | a clue that the reader has not heard, in any wording |
| `repeat` | one told before, in any wording |
| `phatic` | small talk |
| `gibberish` | syllables that are no words, as long as a message |
| `salad` | the words of a message about a clue in an order in which they mean nothing |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scenarios.team_task.environment import Options, TeamTask, make
from scenarios.team_task.exact import Worth, solver, worths
from scenarios.team_task.talk import PHATIC
from sociallm.conversation import Channel, Message

SHARES: Mapping[str, float] = {"new": 0.5, "repeat": 0.2, "phatic": 0.1, "gibberish": 0.15, "salad": 0.05}
TELLER, READER = "M1", "M2"
PACE = 5_000  # ms between messages
SYLLABLES = ("ba", "dre", "fo", "gli", "hul", "ka", "lom", "mi", "nup", "pra", "quo", "ri", "sta", "tev", "vu", "wex", "yo", "zim")


@dataclass(frozen=True)
class Dialogue:
    """Messages of one to another, what kind each was drawn as, and what each is worth to the reader."""

    case: Mapping[str, Any]  # as in the log of a run
    messages: tuple[Message, ...]
    kinds: tuple[str, ...]
    worth: tuple[Worth, ...]


def dialogue(seed: int, clues: int = 8, reliability: float = 0.8, suspects: int = 5, shares: Mapping[str, float] = SHARES) -> Dialogue:
    """One dialogue: as many messages as it takes to tell all `clues` of the teller. The reader knows two clues of its own and a public one."""
    rng = np.random.default_rng((seed, 31))
    world = make(Options(members=2, suspects=suspects, clues=max(clues, 2), reliability=reliability, reach="room"))
    state = world.start(np.random.default_rng((seed, 30)))
    case = dict(next(e for e in world.step(state, {}, rng).events if e["what"] == "case"))
    case["private"] = {TELLER: case["private"][TELLER][:clues], READER: case["private"][READER][:2]}
    facts: list[Mapping[str, str]] = list(case["private"][TELLER])
    names, chances = list(shares), np.array(list(shares.values())) / sum(shares.values())
    channel, told = Channel(name="ALL", readers=frozenset((TELLER, READER))), 0
    kinds: list[str] = []
    messages: list[Message] = []
    while told < len(facts):
        kind = names[int(rng.choice(len(names), p=chances))]
        if kind == "repeat" and not told:
            continue
        fact = facts[int(rng.integers(told)) if kind == "repeat" else told]
        told += kind == "new"
        kinds.append(kind)
        text = _text(world, kind, fact, rng)
        name, time = f"{seed}-{len(messages)}", PACE * len(messages)
        messages.append(Message(id=name, author=TELLER, channel=channel, time=time, text=text, addressees=frozenset({READER})))
    return Dialogue(case, tuple(messages), tuple(kinds), tuple(worths(solver(case), messages)))


def _text(world: TeamTask, kind: str, fact: Mapping[str, str], rng: np.random.Generator) -> str:
    talk = world.language.talk
    if kind == "gibberish":
        words = ["".join(SYLLABLES[int(i)] for i in rng.integers(len(SYLLABLES), size=rng.integers(1, 4))) for _ in range(int(rng.integers(5, 10)))]
        return " ".join(words).capitalize() + "."
    told = talk.act("inform", [READER], fact["suspect"], fact["evidence"], fact["witness"])
    texts: Sequence[str] = talk.texts(talk.act(PHATIC, [READER]) if kind == "phatic" else told)
    text = texts[int(rng.integers(len(texts)))]
    return _salad(world, text, rng) if kind == "salad" else text


def _salad(world: TeamTask, text: str, rng: np.random.Generator) -> str:
    """The words in an order that has no meaning to the world's grammar."""
    words = text.rstrip(".").split()
    while True:
        mixed = " ".join(words[int(i)] for i in rng.permutation(len(words))) + "."
        if not world.language.talk.acts(mixed, TELLER, frozenset((TELLER, READER))):
            return mixed
