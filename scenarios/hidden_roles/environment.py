"""Hidden roles as a world: windows to talk in, a leader's move, a vote of all, a quest of some, round after round (rules.py).

Who is what is known to the state and told in the last outcome. Before that, evil players are shown each other, Merlin is shown them,
everybody is shown its own role, and all are shown the teams, the votes and how many fails a quest had.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from agents.types import JSON
from scenarios.environment import Outcome, Window
from scenarios.hidden_roles import rules
from scenarios.hidden_roles.plantable import PlantableRoles
from scenarios.hidden_roles.rules import Proposal, Quest, RolesGame
from scenarios.hidden_roles.talk import NAMES
from sociallm.conversation import AgentID, Channel

MOST_TALKS = 100


@dataclass(frozen=True)
class Options:
    """What YAML may say of this world."""

    players: int = 5
    merlin: bool = True  # with Merlin, who knows evil, and an assassin, who may find him in the end
    talks: int = 2  # windows for writing before a team is named, and as many again before the vote on it
    whispers: bool = False  # also by pairs; else only in one room
    roles: dict[str, str] = field(default_factory=dict)  # player → good, evil, merlin or assassin; whoever is not named draws
    lie: float = 0.5  # how often an evil player who speaks of roles lies about them, from 0 to 1
    window_ms: int = 10_000  # simulated time of one window


@dataclass(frozen=True)
class State:
    """Where a game stands: how many windows for talk have passed before the next move, and how many of all kinds."""

    game: RolesGame
    talk: int = 0
    clock: int = 0


@dataclass(frozen=True)
class HiddenRoles:
    """The world; holds its options and what follows from them, and nothing that changes."""

    options: Options

    @cached_property
    def agents(self) -> tuple[AgentID, ...]:
        """In the order of their seats."""
        return NAMES[: self.options.players]

    @cached_property
    def language(self) -> PlantableRoles:
        """What players can do and say, and what a plan can make of it."""
        return PlantableRoles(self.agents, talks=self.options.talks, whispers=self.options.whispers)

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """The room, and the pairs' where they may whisper."""
        room = Channel(name="ALL", readers=frozenset(self.agents))
        pairs = itertools.combinations(self.agents, 2) if self.options.whispers else ()
        return (room, *(Channel(name=f"{a}-{b}", readers=frozenset((a, b))) for a, b in pairs))

    def start(self, rng: np.random.Generator) -> State:
        """Roles are dealt."""
        return State(rules.deal(self.agents, self.options.merlin, self.options.roles, rng))

    def _talking(self, state: State) -> bool:
        return state.game.phase in ("propose", "vote") and state.talk < self.options.talks

    def window(self, state: State) -> Window:
        """A talk, or a move of those whose turn it is."""
        begin, talking = state.clock * self.options.window_ms, self._talking(state)
        return Window(
            agents=self.agents if talking else state.game.acting, start=begin, end=begin + self.options.window_ms,
            channels=self.channels if talking else (), move_due=not talking and bool(state.game.acting),
        )  # fmt: skip

    def observe(self, state: State, agent: AgentID) -> Mapping[str, JSON]:
        """What a player may know."""
        game = state.game
        role, shown = game.role(agent), agent in game.evil or agent == game.merlin
        team = game.team or (game.proposals[-1].team if game.phase == "quest" else None)
        return {
            "players": list(game.players), "evils": len(game.evil), "merlin": self.options.merlin, "me": agent, "role": role,
            "evil": list(game.evil) if shown else None, "lie": self.options.lie if agent in game.evil else None,
            "phase": game.phase, "quest": game.quest, "attempt": game.attempt, "leader": game.leader, "size": game.size, "needed": game.needed,
            "won": game.won, "lost": game.lost, "team": None if team is None else list(team), "proposals": [_seen(game, p) for p in game.proposals],
            "quests": [[list(q.team), q.fails, q.success, rules.fails_needed(len(game.players), i)] for i, q in enumerate(game.quests)],
        }  # fmt: skip

    def step(self, state: State, moves: Mapping[AgentID, JSON], rng: np.random.Generator) -> Outcome:
        """After a talk the next window; after moves what the rules make of them."""
        if self._talking(state):
            return Outcome(state=replace(state, talk=state.talk + 1, clock=state.clock + 1))
        game, events = _played(state.game, moves)
        after = State(game, 0, state.clock + 1)
        if game.ended is None:
            return Outcome(state=after, events=tuple(events))
        side, why = game.ended
        events.append({"what": "roles", "roles": {a: game.role(a) for a in game.players}, "winner": side, "why": why})
        rewards = {a: float((a in game.evil) == (side == rules.BAD)) for a in game.players}
        return Outcome(state=after, rewards=rewards, events=tuple(events), done=True)

    def to_json(self, state: State) -> JSON:
        """The state as an object."""
        game = state.game
        return {
            "players": list(game.players), "evil": list(game.evil), "first": game.first, "merlin": game.merlin, "assassin": game.assassin,
            "proposals": [[p.quest, p.attempt, p.leader, list(p.team), list(p.approve), p.approved] for p in game.proposals],
            "quests": [[list(q.team), q.fails, q.success] for q in game.quests], "team": None if game.team is None else list(game.team),
            "struck": game.struck, "talk": state.talk, "clock": state.clock,
        }  # fmt: skip

    def from_json(self, value: JSON) -> State:
        """The state that `to_json` gave."""
        proposals = tuple(Proposal(q, a, leader, tuple(team), tuple(yes), done) for q, a, leader, team, yes, done in value["proposals"])
        quests = tuple(Quest(tuple(team), fails, success) for team, fails, success in value["quests"])
        team = None if value["team"] is None else tuple(value["team"])
        game = RolesGame(
            tuple(value["players"]), tuple(value["evil"]), value["first"], value["merlin"], value["assassin"], proposals, quests, team, value["struck"],
        )  # fmt: skip
        return State(game, value["talk"], value["clock"])


def _seen(game: RolesGame, p: Proposal) -> dict[str, JSON]:
    """A vote as all saw it."""
    return {
        "quest": p.quest, "attempt": p.attempt, "leader": p.leader, "team": list(p.team), "approve": list(p.approve), "approved": p.approved,
        "needed": rules.fails_needed(len(game.players), p.quest),
    }  # fmt: skip


def _played(game: RolesGame, moves: Mapping[AgentID, JSON]) -> tuple[RolesGame, list[Mapping[str, Any]]]:
    """(the game after these moves, what happened). What cannot be played is replaced: by the leader and those who sit next, a refusal,
    a success, the first good player."""
    if game.phase == "propose":
        return _named(game, moves.get(game.leader))
    instead = {"vote": "reject", "quest": "success", "strike": next(a for a in game.players if a not in game.evil)}.get(game.phase)
    read = {a: rules.read_choice(game, a, moves.get(a)) for a in game.acting}
    chosen = {a: instead if move is None else move for a, move in read.items()}
    events: list[Mapping[str, Any]] = [_replaced(a, moves.get(a), instead) for a, move in read.items() if move is None]
    if game.phase == "vote":
        after = rules.vote(game, [a for a, move in chosen.items() if move == "approve"])
        return after, [*events, {"what": "vote", **_seen(after, after.proposals[-1])}]
    if game.phase == "quest":
        after = rules.play(game, [a for a, move in chosen.items() if move == "fail"])
        done = after.quests[-1]
        told = {"what": "quest", "quest": game.quest, "team": list(done.team), "fails": done.fails, "success": done.success}
        return after, [*events, told]
    if game.phase == "strike" and game.assassin is not None:
        target = str(chosen[game.assassin])
        told = {"what": "strike", "assassin": game.assassin, "target": target, "merlin": target == game.merlin}
        return rules.strike(game, target), [*events, told]
    return game, events


def _named(game: RolesGame, move: JSON) -> tuple[RolesGame, list[Mapping[str, Any]]]:
    team = rules.read_team(game, move)
    seat = game.players.index(game.leader)
    chosen = team or game.seated([game.players[(seat + i) % len(game.players)] for i in range(game.size)])
    told = {"what": "proposal", "quest": game.quest, "attempt": game.attempt, "leader": game.leader, "team": list(chosen)}
    return rules.propose(game, chosen), [*([_replaced(game.leader, move, list(chosen))] if team is None else []), told]


def _replaced(agent: AgentID, move: JSON, by: JSON) -> dict[str, Any]:
    return {"what": "replaced", "agent": agent, "move": ascii(move)[:80], "by": by}


def make(options: Options) -> HiddenRoles:
    """The world. Raises ValueError in one line for options that make no game."""
    o = options
    limits = (
        ("players", o.players, o.players in rules.EVIL, f"{min(rules.EVIL)} to {max(rules.EVIL)}"),
        ("talks", o.talks, 0 <= o.talks <= MOST_TALKS, f"0 to {MOST_TALKS}"), ("lie", o.lie, 0 <= o.lie <= 1, "a number from 0 to 1"),
        ("window_ms", o.window_ms, o.window_ms >= max(rules.EVIL), f"{max(rules.EVIL)} or more"),
    )  # fmt: skip
    for name, value, good, expected in limits:
        if not good:
            raise ValueError(f"{name} is {value!r:.60}; expected {expected}")
    world = HiddenRoles(o)
    world.start(np.random.default_rng(0))  # roles that cannot be dealt are told here
    return world
