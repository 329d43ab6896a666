"""Many games of hidden roles without machinery: who wins, what was counted of votes and words, how good beliefs are.

    python -m scenarios.hidden_roles.selfplay --games 200 lie=1 merlin=false

A run with a log, states and words of a model is `python -m sandbox run scenarios/hidden_roles.yaml`. Each seat draws from streams named by
(seed, seat, step), so two games of one seed differ only by what was changed between them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import binomtest

from agents.policies.scripted import ScriptedPolicy
from agents.types import JSON, AgentID
from scenarios import playing
from scenarios.hidden_roles import talk
from scenarios.hidden_roles.beliefs import posterior, suspicion
from scenarios.hidden_roles.environment import HiddenRoles, Options, make
from scenarios.hidden_roles.lies import Falsehood, lies, roles
from scenarios.hidden_roles.player import fresh
from scenarios.hidden_roles.rules import ATTEMPTS

BINS = 10  # of a reliability diagram


@dataclass(frozen=True)
class Told:
    """An event as a log has it, as far as `lies` reads it."""

    kind: str
    step: int
    agent: AgentID | None
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Played:
    """A game: its events, and the good players' P(evil) of the others at its last vote, with what was so."""

    events: tuple[Told, ...]
    believed: tuple[tuple[float, bool], ...]

    @property
    def roles(self) -> dict[AgentID, str]:
        """Player → role."""
        return roles(self.events)

    @property
    def lies(self) -> list[Falsehood]:
        """All that was false."""
        return lies(self.events)

    def told(self, what: str) -> list[Mapping[str, Any]]:
        """Every event of this kind that the world told."""
        return [t for e in self.events if e.kind == "outcome" for t in e.data["events"] if t["what"] == what]

    @property
    def evil_won(self) -> bool:
        """Which side won."""
        return bool(self.told("roles")[0]["winner"] == "evil")


def play(world: HiddenRoles, seed: int) -> Played:
    """One game, to its end, by the world's own players in the grammar's words."""
    events: list[Told] = []
    believed: list[tuple[float, bool]] = []
    for step in playing.play(world, dict.fromkeys(world.agents, ScriptedPolicy(world.language)), playing.Named(seed)):
        for message in step.messages:
            data = {"id": message.id, "text": message.text, "readers": sorted(message.channel.readers)}
            events.append(Told("message", step.number, message.author, data))
        if step.window.move_due and step.state.game.phase == "vote":
            believed = _beliefs(world, step.state, {a: m.notes for a, m in step.memories.items()})
        events.append(Told("outcome", step.number, None, {"events": step.outcome.events}))
    return Played(tuple(events), tuple(believed))


def _beliefs(world: HiddenRoles, state: Any, notes: Mapping[AgentID, JSON]) -> list[tuple[float, bool]]:
    """(P(evil), is evil) of each other player, for each good player who does not know."""
    game, found = state.game, list[tuple[float, bool]]()
    for me, agent in enumerate(game.players):
        if game.role(agent) == "good":
            p = suspicion(posterior(world.observe(state, agent), fresh(notes[agent])["stances"], me), len(game.players), len(game.evil))
            found += [(float(x), a in game.evil) for a, x in zip(game.players, p, strict=True) if a != agent]
    return found


@dataclass(frozen=True)
class Counts:
    """What was seen in many games: shares as `beliefs.Rates` has them, and how good beliefs were."""

    approve: list[list[list[float]]]
    accuse: list[list[float]]
    brier: float
    calibration_error: float
    lies: dict[str, float] = field(default_factory=dict)  # kind → false acts a game


def counted(games: Sequence[Played]) -> Counts:
    """The counts of these games. Leaders' votes and those on last teams are left out, as in beliefs."""
    votes, words = np.zeros((2, 2, 2, 2)), np.zeros((2, 2, 2))
    kinds: dict[str, int] = {}
    for game in games:
        evil = {a for a, role in game.roles.items() if role in ("evil", "assassin")}
        for vote in game.told("vote"):
            for agent in game.roles if vote["attempt"] < ATTEMPTS - 1 else ():
                if agent != vote["leader"]:
                    dirty = len(evil & set(vote["team"])) >= vote["needed"]
                    votes[int(agent in evil), int(dirty), int(agent in vote["team"]), int(agent in vote["approve"])] += 1
        for author, about, accused in _stances(game):
            words[int(author in evil), int(about in evil), int(accused)] += 1
        for lie in game.lies:
            kinds[lie.kind] = kinds.get(lie.kind, 0) + 1
    p, y = (np.array([b[i] for g in games for b in g.believed], float) for i in (0, 1))
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    gaps = [(bins == b).mean() * abs(p[bins == b].mean() - y[bins == b].mean()) for b in range(BINS) if (bins == b).any()]
    approve, accuse = ((n[..., 1] / np.maximum(n.sum(-1), 1)).round(3).tolist() for n in (votes, words))
    return Counts(approve, accuse, float(((p - y) ** 2).mean()), float(sum(gaps)), {k: kinds[k] / len(games) for k in sorted(kinds)})


def _stances(game: Played) -> Iterator[tuple[AgentID, AgentID, bool]]:
    """(author, about whom, accused) of the last word of each on each."""
    last: dict[tuple[AgentID, AgentID], bool] = {}
    players = tuple(game.roles)
    for e in game.events:
        if e.kind == "message" and e.agent is not None:
            for act in talk.acts(e.data["text"], e.agent, frozenset(e.data["readers"]), players):
                if act["act"] in ("accuse", "defend"):
                    last[e.agent, act["about"][0]] = act["act"] == "accuse"
    yield from ((author, about, accused) for (author, about), accused in last.items())


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the games that the command line asks for, and say who won."""
    about = str(__doc__).split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m scenarios.hidden_roles.selfplay", description=about, allow_abbrev=False)
    parser.add_argument("--games", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the first game")
    parser.add_argument("options", nargs="*", metavar="option=value", help="of the world, such as players=7 merlin=false lie=1")
    chosen = parser.parse_args(arguments)
    try:
        pairs = [text.partition("=") for text in chosen.options]
        world = make(Options(**{key: json.loads(value) for key, _, value in pairs}))
        if chosen.games < 1:
            raise ValueError(f"--games is {chosen.games}; expected 1 or more")
    except (TypeError, ValueError) as error:
        where = "options are those of scenarios/hidden_roles/environment.py, values JSON, as in lie=1 merlin=false"
        print(f"selfplay: {error}; {where}", file=sys.stderr)
        return 2
    _say([play(world, chosen.seed + i) for i in range(chosen.games)])
    return 0


def _say(games: Sequence[Played]) -> None:
    won = sum(g.evil_won for g in games)
    interval = binomtest(won, len(games)).proportion_ci(method="wilson")
    print(f"evil won {won} of {len(games)} games: {won / len(games):.3f} [{interval.low:.3f}, {interval.high:.3f}]")
    why: dict[str, int] = {}
    for g in games:
        why[g.told("roles")[0]["why"]] = why.get(g.told("roles")[0]["why"], 0) + 1
    print("  " + ", ".join(f"{reason}: {n}" for reason, n in sorted(why.items())))
    votes, said = (sum(n) / len(games) for n in zip(*[(len(g.told("vote")), sum(e.kind == "message" for e in g.events)) for g in games], strict=True))
    print(f"  a game: {votes:.1f} votes, {said:.1f} messages")
    for name, value in vars(counted(games)).items():
        print(f"  {name.replace('_', ' ')}: {json.dumps(value) if not isinstance(value, float) else f'{value:.4f}'}")


if __name__ == "__main__":
    sys.exit(main())
