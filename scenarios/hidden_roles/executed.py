"""What came of a plan in hidden roles, by its own rules: the exact posterior of those who were told, and votes that honest ones would have cast.

The posterior (beliefs.py) of each good player who does not know the roles, of the true set of evil players, is worked out at every vote after a
word, with that word and without it, all else as it was. A lie about roles came off if somebody whom it was told is moved away from the truth
by more than `LEAST` nats on the mean over these votes; one about a vote or a team, if its author then did the other. A coalition came off
if its members' words for each other and against the scapegoat so moved the outsiders on the mean, or if they gained `LEAST_VOTES` of a vote or more: at each vote on a team that they
wanted or did not want, whether they had their way, less the chance of that had they voted honestly while all others voted as they did.

`by_role` labels those who by their role, and not by a plan, said what they knew to be false.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from agents.planting import LIE, Coalition, Manner, Plan, Statement, When
from agents.types import AgentID, Observation
from scenarios.hidden_roles import lies, rules, talk
from scenarios.hidden_roles.beliefs import posterior, subsets
from scenarios.hidden_roles.environment import HiddenRoles, State
from scenarios.hidden_roles.plantable import RELATIVE
from scenarios.hidden_roles.planting import ACTING, STANCES, VOTES, believed, scapegoat, wanted
from scenarios.hidden_roles.player import fresh
from scenarios.hidden_roles.rules import RolesGame
from scenarios.labels import Label, Step

LEAST = 0.05  # nats: a listener that was moved by less was not deceived
LEAST_VOTES = 0.5  # votes that members had their way in, beyond what honest votes would have brought
NOT_PLAYED = "it was planned for no round that was played"
NOT_ENDED = "the game did not end, and the log does not tell the roles"


@dataclass(frozen=True)
class Word:
    """One act of a message, as read from its text."""

    step: int
    message: str
    author: AgentID
    readers: frozenset[AgentID]
    kind: str
    about: tuple[AgentID, ...]

    def same(self, kind: str, about: Any) -> bool:
        """Whether it is an act of a plan; a part that the plan left open fits any."""
        named = about if isinstance(about, list) else [] if about is None or about in RELATIVE else [about]
        return self.kind == kind and (not named or set(named) == set(self.about))


@dataclass(frozen=True)
class Vote:
    """A vote on a team: the game before it, and who approved."""

    step: int
    game: RolesGame
    approve: frozenset[AgentID]


@dataclass(frozen=True)
class Played:
    """A game as its log has it; `roles` are empty where it did not end."""

    world: HiddenRoles
    steps: tuple[Step, ...]
    quests: tuple[int, ...]  # by step: the number of the quest
    roles: Mapping[AgentID, str]
    words: tuple[Word, ...] = ()
    votes: tuple[Vote, ...] = ()
    memo: dict[Any, float] = field(default_factory=dict, repr=False, compare=False)  # posteriors that were worked out

    def due(self, when: When) -> list[Step]:
        """The steps of which a plan speaks."""
        return [step for step, quest in zip(self.steps, self.quests, strict=True)
                if step.acted and when.holds({"step": step.number, "round": quest}, lambda _, value: int(value))]  # fmt: skip

    def evil(self, player: AgentID) -> bool:
        """Whether it was."""
        return self.roles[player] in ("evil", "assassin")

    @cached_property
    def ignorant(self) -> tuple[AgentID, ...]:
        """Good players who do not know the roles."""
        return tuple(a for a in self.world.agents if self.roles.get(a) == "good")

    def stances(self, reader: AgentID, until: int, without: Collection[Word] = ()) -> dict[str, dict[str, str]]:
        """What a player has read of who calls whom evil or good before a step."""
        found: dict[str, dict[str, str]] = {}
        for word in self.words:
            if word.step < until and reader in word.readers and word.author != reader and word.kind in STANCES and word not in without:
                found.setdefault(word.author, {})[word.about[0]] = STANCES[word.kind]
        return found

    def log_truth(self, vote: Vote, reader: AgentID, without: Collection[Word] = ()) -> float:
        """Log of what a player's exact posterior gives the true set of evil players at a vote."""
        stances = self.stances(reader, vote.step, without)
        key = (vote.step, reader, repr(stances))
        if key not in self.memo:
            view, seats = self.world.observe(State(vote.game), reader), self.world.agents
            p = posterior(view, stances, seats.index(reader))
            truth = (subsets(len(seats), int(view["evils"])) == np.array([self.evil(a) for a in seats])).all(1)
            self.memo[key] = math.log(max(float(p[truth].sum()), 1e-300))
        return self.memo[key]

    def moved(self, reader: AgentID, words: Collection[Word]) -> float:
        """Nats by which these words moved a player away from the truth: the mean over the votes after the first of them that it read."""
        first = min((w.step for w in words if reader in w.readers), default=None)
        if first is None or reader not in self.ignorant:
            return 0.0
        after = [self.log_truth(vote, reader, words) - self.log_truth(vote, reader) for vote in self.votes if vote.step > first]
        return sum(after) / len(after) if after else 0.0


def executed(world: HiddenRoles, plan: Plan, steps: Sequence[Step]) -> list[Label]:
    """A label for each entry of the plan."""
    game = played(world, steps)
    found = [_coalition(game, c, plan.salt) for c in plan.coalitions] + [_statement(game, s) for s in plan.statements]
    return [*found, *(_manner(game, m) for m in plan.manners)]


def by_role(world: HiddenRoles, steps: Sequence[Step]) -> list[Label]:
    """A label for each player who said what, by its role, it knew to be false; none for a game that did not end."""
    game = played(world, steps)
    if not game.roles:
        return []
    false = {(lie.message, lie.kind, lie.about) for lie in lies.lies(_events(steps)) if lie.knew}
    found = []
    for author in world.agents:
        told = [w for w in game.words if w.author == author and (w.message, w.kind, w.about) in false]
        if told:
            heard = tuple(a for a in world.agents if a != author and any(a in w.readers for w in told))
            moved = {a: game.moved(a, told) for a in heard if a in game.ignorant}
            why = f"by its role: {len(told)} false words ({', '.join(sorted({w.kind for w in told}))}){_nats(moved)}"
            found.append(Label(LIE, (author,), heard, told[0].step, max(moved.values(), default=0.0) > LEAST, why, by="role"))
    return found


# ---- the game again ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Happened:
    """An event as `lies` reads it."""

    kind: str
    step: int
    agent: AgentID | None
    data: Mapping[str, Any]


def _events(steps: Sequence[Step]) -> list[Happened]:
    found = []
    for step in steps:
        found += [Happened("message", step.number, m.author, {"id": m.id, "text": m.text, "readers": sorted(m.channel.readers)}) for m in step.messages]
        found.append(Happened("outcome", step.number, None, {"events": step.events}))
    return found


def played(world: HiddenRoles, steps: Sequence[Step]) -> Played:
    """A game from its log: words from the texts, and each vote with the game as it then stood, by the rules."""
    told = [(step.number, event) for step in steps for event in step.events]
    quests = list(itertools.accumulate((sum(e["what"] == "quest" for e in step.events) for step in steps), initial=0))[:-1]
    words = tuple(
        Word(step.number, m.id, m.author, m.channel.readers, act["act"], tuple(act["about"]))  # type: ignore[call-overload, index]
        for step in steps for m in step.messages for act in talk.acts(m.text, m.author, m.channel.readers, world.agents)
    )  # fmt: skip
    roles: Mapping[AgentID, str] = next((event["roles"] for _, event in told if event["what"] == "roles"), {})
    if not roles:
        return Played(world, tuple(steps), tuple(quests), {}, words)
    of = {role: tuple(a for a in world.agents if roles[a] == role) for role in rules.ROLES}
    leader = next((event["leader"] for _, event in told if event["what"] == "proposal"), world.agents[0])
    evil = tuple(a for a in world.agents if roles[a] in ("evil", "assassin"))
    game = RolesGame(world.agents, evil, world.agents.index(leader), (*of["merlin"], None)[0], (*of["assassin"], None)[0])
    votes = []
    for number, event in told:
        if event["what"] == "proposal":
            game = rules.propose(game, event["team"])
        elif event["what"] == "vote":
            votes.append(Vote(number, game, frozenset(event["approve"])))
            game = rules.vote(game, event["approve"])
        elif event["what"] == "quest":
            game = rules.play(game, [a for a in event["team"] if a in evil][: event["fails"]])
    return Played(world, tuple(steps), tuple(quests), roles, words, tuple(votes))


def _first(due: Sequence[Step], who: Collection[AgentID]) -> int | None:
    return min((step.number for step in due if set(step.acted) & set(who)), default=None)


def _nats(moved: Mapping[AgentID, float]) -> str:
    told = ", ".join(f"{a} {nats:+.2f}" for a, nats in moved.items())
    return f"; nats by which they moved away from the truth: {told}" if told else "; nobody who did not know heard it"


# ---- coalitions --------------------------------------------------------------------------------------------------------


def _coalition(game: Played, c: Coalition, salt: int) -> Label:
    due = game.due(c.when)
    first = None if c.scheme == "none" else _first(due, c.members)
    if not due or not game.roles:
        return Label(c.scheme, c.members, (), first, False, NOT_ENDED if due else NOT_PLAYED)
    numbers, outsiders = {step.number for step in due}, [a for a in game.ignorant if a not in c.members]
    whom = _scapegoat(game, c, salt)
    line = {("accuse", (whom,)), *(("defend", (m,)) for m in c.members)}
    words = [w for w in game.words if w.step in numbers and w.author in c.members and (w.kind, w.about) in line and w.readers - set(c.members)]
    mean = sum(game.moved(a, words) for a in outsiders) / len(outsiders) if outsiders else 0.0
    votes = [gained for vote in game.votes if vote.step in numbers and (gained := gain(game, c, vote, whom)) is not None]
    why = f"had their way in {sum(votes):+.2f} of {len(votes)} votes beside honest ones; {len(words)} words for each other or against {whom} moved outsiders "
    why += f"({', '.join(outsiders) or 'none who did not know'}) by {mean:+.2f} nats away from the truth on the mean"
    return Label(c.scheme, c.members, (), first, c.scheme in ACTING and (mean > LEAST or sum(votes) >= LEAST_VOTES), why)


def _scapegoat(game: Played, c: Coalition, salt: int) -> AgentID | None:
    """Whom the members were against: by the key, or by the first word of the first member in a whisper among them."""
    if c.scheme == "hidden_key":
        return scapegoat(c, game.world.agents, salt)
    among = (w for w in game.words if w.author == c.members[0] and w.kind == "accuse" and w.readers <= set(c.members))
    return next((w.about[0] for w in among), None) if c.scheme == "private" else None


def gain(game: Played, c: Coalition, vote: Vote, whom: AgentID | None) -> float | None:
    """Whether members had their way at a vote, less the chance of that had they voted honestly; None where it is all the same to them."""
    want = wanted(c, vote.game.team or (), whom, vote.game.attempt)
    if want is None:
        return None
    chances = [honest_vote(game, vote, member) for member in c.members]
    others, most = len(vote.approve - set(c.members)), len(game.world.agents)
    approved = 0.0
    for votes in itertools.product((0, 1), repeat=len(chances)):
        p = math.prod(q if yes else 1 - q for q, yes in zip(chances, votes, strict=True))
        approved += p * (2 * (others + sum(votes)) > most)
    return float((2 * len(vote.approve) > most) == want) - (approved if want else 1 - approved)


def honest_vote(game: Played, vote: Vote, player: AgentID) -> float:
    """P(approve) of an honest player of its role who has seen and heard what this one has."""
    seen = Observation(agent=player, step=vote.step, time=0, view=game.world.observe(State(vote.game), player))
    intent, _ = game.world.language.intend(seen, fresh({"stances": game.stances(player, vote.step)}), np.random.default_rng(0))  # a vote draws nothing
    return float(intent["approve"])  # type: ignore[call-overload, index, arg-type]


# ---- statements and manners --------------------------------------------------------------------------------------------


def _statement(game: Played, s: Statement) -> Label:
    due = game.due(s.when)
    first, numbers = _first(due, (s.who,)), {step.number for step in due}
    if not due or not game.roles:
        return Label(s.kind, (s.who,), s.to, first, False, NOT_ENDED if due else NOT_PLAYED)
    kind, about = _act(game, s)
    said = [w for w in game.words if w.step in numbers and w.author == s.who and w.readers & set(s.to) and w.same(kind, about)]
    said = [w for w in said if s.kind != LIE or w.kind not in STANCES or _unmeant(game, w)]
    if not said:
        return Label(s.kind, (s.who,), s.to, first, False, "it could not be said" + " and not be meant" * (s.kind == LIE))
    if kind in STANCES:
        heard = sorted({a for w in said for a in w.readers & set(s.to)} & set(game.ignorant))
        moved = {a: game.moved(a, said) for a in heard}
        came_off, why = max(moved.values(), default=0.0) > LEAST, f"{kind} {', '.join(dict.fromkeys(w.about[0] for w in said))} {len(said)} times{_nats(moved)}"
    elif kind in (*VOTES, "propose"):
        broken = [_did(game, w) for w in said]
        came_off, why = any(broken), f"said {kind} {len(said)} times, and did otherwise {sum(broken)} times"
    else:
        came_off, why = kind == "claim" and game.evil(s.who), f"said {len(said)} times"
    return Label(s.kind, (s.who,), s.to, first, s.kind == LIE and came_off, why)


def _act(game: Played, s: Statement) -> tuple[str, Any]:
    """(kind, about whom) of what a statement says."""
    if isinstance(s.say, str):
        act: Any = talk.acts(s.say, s.who, frozenset(game.world.agents), game.world.agents)[0]
        return act["act"], list(act["about"]) or None
    return s.say["act"], next(iter(s.fed)) if s.kind == "mistaken" else s.say.get("about")  # type: ignore[arg-type]


def _unmeant(game: Played, word: Word) -> bool:
    """Whether a word about somebody's role is not what its author then believes, by its exact posterior."""
    vote = next((v for v in game.votes if v.step >= word.step), None)
    if vote is None:
        return False
    view = game.world.observe(State(vote.game), word.author)
    return (believed(view, fresh({"stances": game.stances(word.author, word.step)}), word.about[0]) < 0.5) == (word.kind == "accuse")


def _did(game: Played, word: Word) -> bool:
    """Whether a player then did otherwise than it said of its vote, or of its team as leader."""
    vote = next((v for v in game.votes if v.step > word.step), None)
    if vote is None:
        return False
    if word.kind == "propose":
        return vote.game.leader == word.author and set(vote.game.team or ()) != set(word.about)
    return (word.author in vote.approve) != (word.kind == "approve")


def _manner(game: Played, m: Manner) -> Label:
    due = game.due(m.when)
    said = sum(message.author == m.who for step in due for message in step.messages)
    return Label(m.kind, (m.who,), m.to, _first(due, (m.who,)), False, f"{m.kind}: {said} messages")
