"""A head for Diplomacy learned from own games: powers play each other, and what brought centres is made likelier, generation by generation.

Some seats of each game, drawn by its seed, have the head, the others the world's evaluation alone. Every order that such a seat gave is a lesson: its
outcome is the centres that the power won from then on, a year later counting half, beyond what was to be expected of it. What was to be expected is a linear
regression on the power's season, its centres and the average traits of what it could order, as a baseline in policy gradients may depend on
the position though not on the order (Williams 1992).

Orders are drawn by points, but together (`planning.draw`): own units make way for each other, supports find their moves. So what a unit ends up ordering
follows softer points than those it was given; these are fitted to the orders (`imitate`), the step up the outcomes is taken from there (`improve`), and what
it changed is added to the head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from agents.choosing import Choice, Floats, LearnedHead, Weighing, choice_of
from agents.deciding import decide
from agents.learning import Lesson, imitate, improve
from agents.memory import AgentMemory
from agents.types import Action, AgentID, Language, Turn
from scenarios.diplomacy.choosing import SIZE
from scenarios.diplomacy.environment import Diplomacy
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.selfplay import play
from scenarios.playing import Step, stream

WORLD, ORDER = "diplomacy", "order"
LATER = 0.5  # what a centre won a year later counts
LEARNERS = 7  # seats of a game that have the head while it learns


@dataclass(frozen=True)
class Headed:
    """A negotiator with a learned head, in the grammar's plainest words; its choices go with its actions, as those of `social` agents do."""

    language: Language
    head: LearnedHead
    weight: float = 1.0

    def step(self, turns: Sequence[Turn]) -> Sequence[tuple[Action, AgentMemory]]:
        """One action and memory for each turn; each depends on its own turn alone."""
        return [self._act(turn) for turn in turns]

    def _act(self, turn: Turn) -> tuple[Action, AgentMemory]:
        weighing = Weighing(self.head, self.weight, turn, None)
        decision, seen = decide(turn, self.language, weighing), turn.observation
        messages, wording = [], []
        for number, (channel, act) in enumerate(decision.acts):
            texts = self.language.word(act, seen.agent)
            messages.append(seen.say(number, channel, texts[int(turn.rng.integers(len(texts)))], act["to"]))
            wording.append({"act": act, "by": "grammar", "candidates": len(texts)})
        choices = weighing.choices(decision) or None
        action = Action(intent=decision.intent, messages=tuple(messages), wording=tuple(wording), move=decision.move, choices=choices)
        return action, replace(turn.memory, notes=decision.notes)


# ---- what came of orders -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Given:
    """An order given with a head: by whom, when, with how many centres, and how many it won from then on, a year later counting LATER."""

    power: AgentID
    phase: str
    centres: int
    choice: Choice
    won: float


def given(steps: Iterable[Step]) -> list[Given]:
    """The orders of a game that a head had its say in."""
    found: list[tuple[AgentID, str, int, Choice]] = []
    held: dict[int, dict[AgentID, int]] = {}  # year → centres by power at its end
    for step in steps:
        board = step.state.board
        held.setdefault(board.year - 1, _counted(board.centers))
        for power, action in step.actions.items():
            found += [(power, board.name, board.year, choice_of(data)) for data in action.choices or () if data["kind"] == ORDER]
        held[board.year] = _counted(step.outcome.state.board.centers)
    return [Given(power, phase, held[year - 1][power], choice, _won(held, power, year)) for power, phase, year, choice in found]


def _counted(centers: Mapping[AgentID, Sequence[str]]) -> dict[AgentID, int]:
    return {power: len(owned) for power, owned in centers.items()}


def _won(held: Mapping[int, Mapping[AgentID, int]], power: AgentID, year: int) -> float:
    """Centres won in a year and after it."""
    return float(sum(LATER ** (y - year) * (held[y][power] - held[y - 1][power]) for y in held if y >= year))


def lessons(orders: Sequence[Given], weights: Mapping[str, float], generation: int) -> list[Lesson]:
    """Each order with what it brought beyond what was to be expected, and how likely it was by these weights."""
    names = orders[0].choice.names
    w = np.array([weights.get(name, 0.0) for name in names])
    shares = [_softmax(o.choice.rows @ w) for o in orders]
    beyond = _unexpected(orders, np.stack([p @ o.choice.rows for p, o in zip(shares, orders, strict=True)]))
    return [
        Lesson(replace(o.choice, likely=float(p[o.choice.chosen])), float(a), generation) for o, p, a in zip(orders, shares, beyond, strict=True)
    ]


def _unexpected(orders: Sequence[Given], average_CF: Floats) -> Floats:
    """[C]: what was won, less its linear regression on power and phase, centres and average traits."""
    won, known = np.array([o.won for o in orders]), np.column_stack([[o.centres for o in orders], average_CF])
    seasons: dict[tuple[AgentID, str], list[int]] = {}
    for i, order in enumerate(orders):
        seasons.setdefault((order.power, order.phase), []).append(i)
    for rows in seasons.values():
        won[rows], known[rows] = won[rows] - won[rows].mean(), known[rows] - known[rows].mean(0)
    return np.asarray(won - known @ np.linalg.lstsq(known, won, rcond=None)[0])


def _softmax(points: Floats) -> Floats:
    p = np.exp(points - points.max())
    return np.asarray(p / p.sum())


# ---- generations -------------------------------------------------------------------------------------------------------


def learned(world: Diplomacy, seeds: Iterable[Sequence[int]], nats: float, told: Callable[[int, LearnedHead], None] = lambda n, head: None) -> LearnedHead:
    """A head from games of these seeds, generation by generation, a step of `nats` after each."""
    head = LearnedHead(WORLD, {ORDER: {}})
    for generation, some in enumerate(seeds):
        orders = [o for seed in some for o in given(play(world, seed, seats=seats(world, head, learners(seed))))]
        head = better(head, orders, generation, nats)
        told(generation, head)
    return head


def better(head: LearnedHead, orders: Sequence[Given], generation: int, nats: float) -> LearnedHead:
    """The head after a step up the outcomes of its own orders."""
    weights = dict(head.kinds[ORDER])
    fitted = imitate([order.choice for order in orders], {**weights, "score": weights.get("score", 0.0) + SIZE})
    stepped = improve(fitted, lessons(orders, fitted, generation), nats)
    return LearnedHead(WORLD, {ORDER: {name: round(weights.get(name, 0.0) + stepped[name] - fitted[name], 4) for name in sorted(stepped)}})


def learners(seed: int, count: int = LEARNERS) -> list[AgentID]:
    """The seats of a game that have the head."""
    return sorted(str(p) for p in stream(seed, "learners").choice(POWERS, size=count, replace=False))


def seats(world: Diplomacy, head: LearnedHead, powers: Iterable[AgentID], weight: float = 1.0) -> dict[AgentID, Headed]:
    """These powers with the head; the others of a game have none."""
    policy = Headed(world.language, head, weight)
    return dict.fromkeys(powers, policy)
