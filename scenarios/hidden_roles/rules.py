"""The rules of The Resistance (Eskridge 2009) and of Avalon's Merlin (2012), as pure functions of one frozen value, the `RolesGame`.

A leader names a team, all vote, and a team that most approve goes on a quest, where each of its evil members may let it fail. Three quests
of five decide, and so do five teams refused in a row, which evil wins. With Merlin, who knows evil, good must also survive the assassin's
one guess at him. 5 to 10 players; team sizes, numbers of evil players and the fourth quest's two fails as printed on the boards.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sociallm.conversation import AgentID

EVIL: Mapping[int, int] = {5: 2, 6: 2, 7: 3, 8: 3, 9: 3, 10: 4}  # players → how many of them are evil
SIZES: Mapping[int, tuple[int, ...]] = {  # players → how many go on each quest
    5: (2, 3, 2, 3, 3), 6: (2, 3, 4, 3, 4), 7: (2, 3, 3, 4, 4), 8: (3, 4, 4, 5, 5), 9: (3, 4, 4, 5, 5), 10: (3, 4, 4, 5, 5),
}  # fmt: skip
TO_WIN = 3  # quests, of five
ATTEMPTS = 5  # teams refused in a row: evil wins
TWO_FAILS_FROM, TWO_FAILS_AT = 7, 3  # with so many players the fourth quest (counted from 0) takes two fails
ROLES = ("good", "evil", "merlin", "assassin")
GOOD, BAD = "good", "evil"


def fails_needed(players: int, quest: int) -> int:
    """How many fails make a quest (counted from 0) fail."""
    return 2 if players >= TWO_FAILS_FROM and quest == TWO_FAILS_AT else 1


@dataclass(frozen=True)
class Proposal:
    """A team that was voted on; the approving in the order of the seats."""

    quest: int
    attempt: int
    leader: AgentID
    team: tuple[AgentID, ...]
    approve: tuple[AgentID, ...]
    approved: bool


@dataclass(frozen=True)
class Quest:
    """A quest that was played: how many let it fail is known to all, who did to nobody."""

    team: tuple[AgentID, ...]
    fails: int
    success: bool


@dataclass(frozen=True)
class RolesGame:
    """Who is what, and all that has happened. `team` is on the table, not yet voted on; `struck` whom the assassin named."""

    players: tuple[AgentID, ...]
    evil: tuple[AgentID, ...]  # in the order of the seats, as all teams are
    first: int  # the seat of the first leader
    merlin: AgentID | None = None
    assassin: AgentID | None = None
    proposals: tuple[Proposal, ...] = ()
    quests: tuple[Quest, ...] = ()
    team: tuple[AgentID, ...] | None = None
    struck: AgentID | None = None

    @property
    def quest(self) -> int:
        """The number of the present quest, from 0."""
        return len(self.quests)

    @property
    def attempt(self) -> int:
        """How many teams have been refused for this quest."""
        return sum(p.quest == self.quest and not p.approved for p in self.proposals)

    @property
    def leader(self) -> AgentID:
        """Whose turn it is to name a team: it goes around the table."""
        return self.players[(self.first + len(self.proposals)) % len(self.players)]

    @property
    def size(self) -> int:
        """Of the present quest's team."""
        return SIZES[len(self.players)][min(self.quest, 4)]

    @property
    def needed(self) -> int:
        """How many fails make the present quest fail."""
        return fails_needed(len(self.players), self.quest)

    @property
    def won(self) -> int:
        """Quests that succeeded."""
        return sum(q.success for q in self.quests)

    @property
    def lost(self) -> int:
        """Quests that failed."""
        return len(self.quests) - self.won

    @cached_property
    def ended(self) -> tuple[str, str] | None:
        """(the side that has won, why), or None while the game goes on."""
        if self.lost >= TO_WIN:
            return BAD, "three quests failed"
        if self.attempt >= ATTEMPTS:
            return BAD, "five teams were refused"
        if self.won < TO_WIN or (self.merlin is not None and self.struck is None):
            return None
        if self.merlin is not None and self.struck == self.merlin:
            return BAD, "Merlin was found"
        return GOOD, "three quests succeeded"

    @property
    def phase(self) -> str:
        """What is to be done next: propose, vote, quest, strike; over."""
        if self.ended is not None:
            return "over"
        if self.won >= TO_WIN:
            return "strike"
        if self.team is not None:
            return "vote"
        last = self.proposals[-1] if self.proposals else None
        return "quest" if last is not None and last.approved and last.quest == self.quest else "propose"

    @property
    def acting(self) -> tuple[AgentID, ...]:
        """Whose move it is."""
        movers = {"propose": (self.leader,), "vote": self.players, "quest": self.proposals[-1].team if self.proposals else (), "over": ()}
        return movers.get(self.phase) or ((self.assassin,) if self.phase == "strike" and self.assassin else ())

    def role(self, agent: AgentID) -> str:
        """One of `ROLES`."""
        if agent in self.evil:
            return "assassin" if agent == self.assassin else "evil"
        return "merlin" if agent == self.merlin else "good"

    def seated(self, names: Collection[AgentID]) -> tuple[AgentID, ...]:
        """These players in the order of their seats."""
        return tuple(a for a in self.players if a in names)


def deal(players: tuple[AgentID, ...], merlin: bool, fixed: Mapping[AgentID, str], rng: np.random.Generator) -> RolesGame:
    """Roles: those that are fixed, the rest drawn among the others, and a first leader. Raises ValueError for roles that cannot be dealt."""
    wanted = ["evil"] * (EVIL[len(players)] - merlin) + ["assassin"] * merlin + ["merlin"] * merlin
    wanted += ["good"] * (len(players) - len(wanted))
    for agent, role in fixed.items():
        if agent not in players or role not in wanted:
            left = ", ".join(sorted(set(wanted))) or "none"
            raise ValueError(f"roles.{agent}: {role!r:.40}; expected one of {', '.join(players)}, and a role that is left: {left}")
        wanted.remove(role)
    rest = [a for a in players if a not in fixed]
    roles = dict(fixed) | {rest[int(i)]: role for i, role in zip(rng.permutation(len(rest)), wanted, strict=True)}
    of = {role: tuple(a for a in players if roles[a] == role) for role in ROLES}
    evil = tuple(a for a in players if roles[a] in ("evil", "assassin"))
    return RolesGame(players, evil, int(rng.integers(len(players))), (*of["merlin"], None)[0], (*of["assassin"], None)[0])


def propose(game: RolesGame, team: Collection[AgentID]) -> RolesGame:
    """The leader's team lies on the table."""
    return replace(game, team=game.seated(team))


def vote(game: RolesGame, approve: Collection[AgentID]) -> RolesGame:
    """All have voted on the team on the table: more than half must approve."""
    assert game.team is not None, "a vote needs a team on the table"
    yes = game.seated(approve)
    done = Proposal(game.quest, game.attempt, game.leader, game.team, yes, 2 * len(yes) > len(game.players))
    return replace(game, team=None, proposals=(*game.proposals, done))


def play(game: RolesGame, failing: Collection[AgentID]) -> RolesGame:
    """The approved team has been on its quest, and these of it let it fail."""
    team = game.proposals[-1].team
    fails = len(set(team).intersection(failing))
    return replace(game, quests=(*game.quests, Quest(team, fails, fails < game.needed)))


def strike(game: RolesGame, target: AgentID) -> RolesGame:
    """The assassin has named whom it holds for Merlin."""
    return replace(game, struck=target)


# ---- moves: what a JSON value means, or None ---------------------------------------------------------------------------------


def read_team(game: RolesGame, move: object) -> tuple[AgentID, ...] | None:
    """A list of as many different players as the quest takes."""
    if not isinstance(move, list) or len(move) != game.size or not all(isinstance(a, str) for a in move):
        return None
    team = game.seated(move)
    return team if len(team) == game.size else None


def read_choice(game: RolesGame, agent: AgentID, move: object) -> str | None:
    """A vote, a part in a quest (only evil may fail), a victim (not one of evil), by the phase."""
    if not isinstance(move, str):
        return None
    if game.phase == "vote":
        return move if move in ("approve", "reject") else None
    if game.phase == "quest":
        return move if move == "success" or (move == "fail" and agent in game.evil) else None
    return move if move in game.players and move not in game.evil else None
