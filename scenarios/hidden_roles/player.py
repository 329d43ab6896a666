"""How players of hidden roles decide and what they say: `agents.types.Language` for this world, pure functions of view and notes.

A good player goes by its posterior (beliefs.py): as leader it names the team least likely to hold evil, it votes for a team the more gladly
the less there is against it, it accuses whom it suspects and defends whom it trusts. Merlin knows, and lets it show a little (`SHOWN`). An evil
player asks what it would believe if it were good, acts so where that costs nothing, gets evil on the team, lets quests fail as
`fail_chance` says, and lies about roles as often as the world's `lie` says: claims to be good, accuses good players, defends its own.

Notes are a JSON value: {"stances": {author: {about: "evil" or "good"}} as heard, "said": {about: "evil" or "good"} by itself, "claimed": bool,
"asked": bool (or accused) and not yet answered, "plan": the team it would name or null, "plan_for", "told_for": [quest, attempt] or null}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.legal import Legal
from agents.types import JSON, Head, Observation
from scenarios.hidden_roles import talk
from scenarios.hidden_roles.beliefs import Bools, Floats, counts, danger, fail_chance, posterior, subsets, suspicion
from scenarios.hidden_roles.legal import legal
from scenarios.hidden_roles.rules import ATTEMPTS, TO_WIN
from sociallm.conversation import AgentID, Channel

SHOWN = 0.25  # how much of what Merlin knows goes into what it does
ACCUSE, DEFEND = 0.65, 0.2  # P(evil) from which one says so, and up to which one vouches for somebody
PLAUSIBLE = 0.5  # P(evil), as it seems to the good, from which evil accuses somebody, and up to which it defends its own
SLOPE, PATIENCE, HASTE = 12.0, 0.25, 0.1  # of a good vote: steepness; danger above the best team's that is fine, and more each attempt
ALMOST = 0.95  # how likely an evil vote that may decide the game is what evil wants
VOTE_TALK, CLAIM_TALK, WHISPER_TALK, ASK_TALK = 0.5, 0.5, 0.4, 0.4  # how likely one speaks of its vote, claims, whispers at all, asks
PLACES = 6  # decimals of a probability in an intent
Notes = dict[str, Any]
View = Mapping[str, Any]
Said = tuple[Channel, dict[str, Any]]


def fresh(notes: JSON) -> Notes:
    """Notes, or those of a player who knows nothing yet."""
    start: Notes = {"stances": {}, "said": {}, "claimed": False, "asked": False, "plan": None, "plan_for": None, "told_for": None}
    return start | (notes if isinstance(notes, dict) else {})


@dataclass(frozen=True, eq=False)
class Thought:
    """What one player reckons with at one moment: P(evil) of each player [n], every team it could come to [T, n] and its danger [T]."""

    seats: tuple[AgentID, ...]
    me: int
    evil: frozenset[AgentID]  # those it knows of
    is_evil: bool
    suspects: Floats
    teams: Bools
    danger: Floats
    on_team: Floats  # [T] how many of those it knows to be evil

    def index(self, team: Sequence[AgentID]) -> int:
        """The row of a team."""
        return int((self.teams == np.array([a in team for a in self.seats])).all(1).argmax())


def think(view: View, notes: Notes) -> Thought:
    """What a player makes of what it sees and has heard."""
    seats, evils = tuple(view["players"]), int(view["evils"])
    n, me, evil = len(seats), seats.index(view["me"]), frozenset(view["evil"] or ())
    p = posterior(view, notes["stances"], me)
    if view["role"] == "merlin":
        truth = (subsets(n, evils) == np.array([a in evil for a in seats])).all(1)
        p = (1 - SHOWN) * p + SHOWN * truth
    teams = subsets(n, int(view["size"]))
    on_team = counts(np.array([[a in evil for a in seats]]), teams)[0].astype(np.float64)
    dangers = danger(p, teams, int(view["needed"]), evils)
    return Thought(seats, me, evil, view["me"] in evil, suspicion(p, n, evils), teams, dangers, on_team)


@dataclass(frozen=True)
class RolesLanguage:
    """`agents.types.Language` for hidden roles. Stateless; what it holds is who sits at the table."""

    players: tuple[AgentID, ...]

    def hear(self, observation: Observation, notes: JSON) -> JSON:
        """Notes after the new messages: who calls whom evil or good, and whether one is asked or accused oneself."""
        found = fresh(notes)
        for message in observation.heard:
            for act in talk.acts(message.text, message.author, message.channel.readers, self.players):
                if act["act"] in ("accuse", "defend"):
                    own = found["stances"].get(message.author, {})
                    stance = {act["about"][0]: "evil" if act["act"] == "accuse" else "good"}
                    found = found | {"stances": {**found["stances"], message.author: {**own, **stance}}}
                if act["act"] in ("accuse", "ask") and observation.agent in act["about"]:
                    found = found | {"asked": True}
        return found

    def intend(self, observation: Observation, notes: JSON, rng: np.random.Generator, head: Head | None = None) -> tuple[JSON, JSON]:
        """({move: probability}, notes) of the player's next move: a team ('Ada+Ben'), a vote, a part in the quest, a victim; None without one.

        Who is to vote on a team that nobody has named yet intends what it would on a team drawn at random. A head has nothing to choose from.
        """
        view, found = observation.view, fresh(notes)
        if view["phase"] == "strike":  # who does not know the evil has no victim in mind: it is nobody's move but the assassin's
            return None if view["evil"] is None else _victim(view, found), found
        thought = think(view, found)
        if view["phase"] == "quest":
            return _part(view, thought), found
        if view["phase"] == "vote":
            return _shares("approve", "reject", float(_approval(view, thought)[thought.index(view["team"])])), found
        if view["leader"] != view["me"]:
            return _shares("approve", "reject", float(_approval(view, thought).mean())), found
        found = found | _planned(view, thought, found, rng)
        return {"+".join(found["plan"]): 1.0}, found

    def speak(
        self, observation: Observation, notes: JSON, intent: JSON, rng: np.random.Generator, head: Head | None = None
    ) -> tuple[Sequence[Said], JSON]:
        """One act in each channel at most. A head has nothing to choose from."""
        view, found, said = observation.view, fresh(notes), []
        thought = think(view, found)
        for channel in observation.may_write:
            others = sorted(channel.readers - {observation.agent})
            if len(others) == 1 and (rng.random() >= WHISPER_TALK or (thought.is_evil and set(others) <= thought.evil)):
                continue  # evil has nothing to tell evil about roles
            kind, about = _act(view, thought, found, intent, rng)
            if len(others) == 1 and (kind == "ask" or about == others):  # in a whisper one asks the listener, and judges nobody to its face
                kind, about = "ask", others
            said.append((channel, {"act": kind, "to": others, "about": about}))
            found = after(view, found, kind, about)
        return said, found

    def word(self, act: JSON, speaker: AgentID) -> Sequence[str]:
        """Texts that perform the act, the plainest first."""
        return talk.texts(act)

    def meaning(self, text: str, author: AgentID, readers: frozenset[AgentID]) -> Sequence[JSON]:
        """The acts a text performs."""
        return talk.acts(text, author, readers, self.players)

    def idle(self, text: str) -> bool:
        """Whether words added to a message name no player, side, team, vote or deed."""
        return talk.idle(text)

    def denies(self, text: str) -> bool:
        """Whether there is a 'not', 'never', 'doubt' in them."""
        return talk.denies(text)

    def move(self, observation: Observation, notes: JSON, intent: JSON, rng: np.random.Generator) -> tuple[JSON, JSON]:
        """(a move drawn from the intent, notes): a team is a list of names."""
        if not isinstance(intent, dict) or not intent:
            return None, notes
        weight = np.array([intent[choice] for choice in sorted(intent)], np.float64)
        chosen = sorted(intent)[int(rng.choice(len(weight), p=weight / weight.sum()))]
        return (chosen.split("+") if observation.view["phase"] == "propose" else chosen), notes

    def legal(self, observation: Observation, notes: JSON) -> Legal:
        """What is legal now, for those who answer in words."""
        return legal(observation, notes)


# ---- moves -------------------------------------------------------------------------------------------------------------------


def _shares(first: str, second: str, p: float) -> dict[str, float]:
    share = round(p, PLACES)
    return {first: share, second: round(1 - share, PLACES)}


def _approval(view: View, thought: Thought) -> Floats:
    """P(approve) of each team [T]."""
    allowed = PATIENCE + HASTE * view["attempt"]
    as_good = 1 / (1 + np.exp(-SLOPE * (allowed + thought.danger.min() - thought.danger)))
    last = view["attempt"] == ATTEMPTS - 1  # one more refusal, and evil has won
    if not thought.is_evil:
        return np.ones(len(as_good)) if last else as_good
    if last or view["won"] == TO_WIN - 1:  # what it looks like no longer matters
        return np.where(thought.on_team >= view["needed"], ALMOST, 1 - ALMOST)
    return as_good


def _planned(view: View, thought: Thought, notes: Notes, rng: np.random.Generator) -> Notes:
    """The team to name, with oneself on it: the plan while it is as good as any, else the best now, one at random of several equally good."""
    bad = thought.danger.copy()
    if thought.is_evil:  # one fewer or more evil player than it takes is worse than any suspicion
        bad = bad * 0.2 + np.abs(thought.on_team - view["needed"])
    bad[~thought.teams[:, thought.me]] = np.inf
    best, moment, plan = float(bad.min()), [view["quest"], view["attempt"]], notes["plan"]
    if notes["plan_for"] == moment and len(plan or ()) == view["size"] and bad[thought.index(plan)] <= best + 0.1:
        return {"plan": plan}
    rows = np.flatnonzero(bad <= best + 1e-9)
    row = thought.teams[rows[int(rng.integers(len(rows)))]]
    return {"plan": [a for a, on in zip(thought.seats, row, strict=True) if on], "plan_for": moment}


def _part(view: View, thought: Thought) -> dict[str, float]:
    """On a quest: good can only let it succeed."""
    if not thought.is_evil:
        return {"success": 1.0}
    on_team = len(thought.evil & set(view["team"]))
    return _shares("fail", "success", fail_chance(on_team, view["needed"], view["won"], view["lost"]))


def _victim(view: View, notes: Notes) -> dict[str, float]:
    """Whom the assassin holds for Merlin: who voted, accused and defended as if it knew. Each right answer makes twice as likely, a wrong one half."""
    evil = set(view["evil"])
    points = {a: 0.0 for a in view["players"] if a not in evil}
    for p in view["proposals"]:
        dirty = bool(evil & set(p["team"]))
        for a in points:
            points[a] += 0 if p["attempt"] == ATTEMPTS - 1 or a == p["leader"] else 1 if (a in p["approve"]) != dirty else -1
    for author, said in notes["stances"].items():
        if author in points:
            points[author] += sum(1 if (stance == "evil") == (about in evil) else -1 for about, stance in said.items())
    weight = np.exp2(np.array(list(points.values())) - max(points.values()))
    return {a: round(float(w), PLACES) for a, w in zip(points, weight / weight.sum(), strict=True)}


# ---- words -------------------------------------------------------------------------------------------------------------------


def _act(view: View, thought: Thought, notes: Notes, intent: JSON, rng: np.random.Generator) -> tuple[str, list[AgentID]]:
    """(kind, about) of what to say now."""
    moment = [view["quest"], view["attempt"]]
    if view["phase"] == "propose" and view["leader"] == view["me"] and notes["told_for"] != moment and notes["plan"]:
        return "propose", list(notes["plan"])
    if view["phase"] == "vote" and notes["told_for"] != moment and rng.random() < VOTE_TALK:
        return max(sorted(intent), key=intent.__getitem__), []
    return _evil_talk(view, thought, notes, rng) if thought.is_evil else _good_talk(thought, notes, rng)


def _good_talk(thought: Thought, notes: Notes, rng: np.random.Generator) -> tuple[str, list[AgentID]]:
    """What one believes, if it has not been said; an answer; a question. Who knows better says nothing false."""
    if notes["asked"]:
        return "claim", []
    s = {a: float(p) for a, p in zip(thought.seats, thought.suspects, strict=True) if a != thought.seats[thought.me]}
    accused = [a for a in s if s[a] >= ACCUSE and notes["said"].get(a) != "evil" and (not thought.evil or a in thought.evil)]
    if accused:
        return "accuse", [max(accused, key=s.__getitem__)]
    trusted = [a for a in s if s[a] <= DEFEND and notes["said"].get(a) != "good" and a not in thought.evil]
    if trusted:
        return "defend", [min(trusted, key=s.__getitem__)]
    return _small_talk(thought, not notes["claimed"], rng)


def _evil_talk(view: View, thought: Thought, notes: Notes, rng: np.random.Generator) -> tuple[str, list[AgentID]]:
    """A lie about roles as often as the world says; else nothing false: a good word for somebody good, a question, a remark."""
    s = {a: float(p) for a, p in zip(thought.seats, thought.suspects, strict=True) if a != thought.seats[thought.me]}
    good, own = [a for a in s if a not in thought.evil], [a for a in s if a in thought.evil]
    if rng.random() < float(view["lie"]):
        lies: list[tuple[str, list[AgentID]]] = [("claim", [])] if notes["asked"] or not notes["claimed"] else []
        lies += [("accuse", [a]) for a in good if s[a] >= PLAUSIBLE and notes["said"].get(a) != "evil"]
        lies += [("defend", [a]) for a in own if s[a] <= PLAUSIBLE and notes["said"].get(a) != "good"]
        return lies[int(rng.integers(len(lies)))] if lies else ("claim", [])
    praised = [a for a in good if notes["said"].get(a) != "good"]
    if praised and rng.random() < CLAIM_TALK:
        return "defend", [min(praised, key=s.__getitem__)]
    return _small_talk(thought, False, rng)


def _small_talk(thought: Thought, may_claim: bool, rng: np.random.Generator) -> tuple[str, list[AgentID]]:
    claim, ask, whom = rng.random() < CLAIM_TALK, rng.random() < ASK_TALK, int(rng.integers(len(thought.seats) - 1))
    if may_claim and claim:
        return "claim", []
    return ("ask", [thought.seats[whom + (whom >= thought.me)]]) if ask else ("remark", [])


def after(view: View, notes: Notes, kind: str, about: Sequence[AgentID]) -> Notes:
    """Notes of one who has just said this."""
    if kind == "claim":
        return notes | {"claimed": True, "asked": False}
    if kind in ("accuse", "defend"):
        return notes | {"said": {**notes["said"], about[0]: "evil" if kind == "accuse" else "good"}}
    return notes | ({"told_for": [view["quest"], view["attempt"]]} if kind in ("propose", "approve", "reject") else {})
