"""Games of hidden roles: who won and why, who was what, how quests and votes went, what was said that its author knew to be false; and what a player
who knew no roles could know of them.

From the events of the world and the texts of the messages; a game cut short has no roles, and so no lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.metrics import AnalysisError, outcomes
from sandbox.log import Event, printable
from scenarios.hidden_roles.beliefs import Floats, posterior, suspicion
from scenarios.hidden_roles.lies import lies
from scenarios.hidden_roles.rules import fails_needed
from sociallm.conversation import AgentID, Message

STANCES = {"accuse": "evil", "defend": "good"}


def role_lines(events: Sequence[Event]) -> list[str]:
    """What came out, for a terminal; nothing for a run of another world, or one that did not end."""
    ended = next(iter(outcomes(events, "roles")), None)
    if ended is None:
        return []
    event, told = ended
    roles, winner, why = (told.get(key) for key in ("roles", "winner", "why"))
    if not isinstance(roles, Mapping) or not isinstance(winner, str) or not isinstance(why, str):
        raise AnalysisError(f"record {event.seq}: roles needs roles by player, a winner and why; the log is damaged or not of this version")
    try:
        false = lies(events)
    except ValueError as error:
        raise AnalysisError(str(error)) from None
    evil = ", ".join(f"{a} (assassin)" if role == "assassin" else str(a) for a, role in roles.items() if role in ("evil", "assassin"))
    merlin = "".join(f"; Merlin: {a}" for a, role in roles.items() if role == "merlin")
    struck = [f"; {h.get('assassin')} took {h.get('target')} for Merlin" for _, h in outcomes(events, "strike")]
    won = [bool(h.get("success")) for _, h in outcomes(events, "quest")]
    votes = [bool(h.get("approved")) for _, h in outcomes(events, "vote")]
    knew = sum(lie.knew for lie in false)
    lines = [
        f"roles: {winner} won, {why}; evil: {evil}{merlin}{''.join(struck)}",
        f"  {sum(won)} quests succeeded, {len(won) - sum(won)} failed; {len(votes) - votes.count(True)} of {len(votes)} teams refused; "
        f"false words: {knew} by those who knew better, {len(false) - knew} by others",
    ]  # fmt: skip
    return [printable(line) for line in lines]


class Table:
    """What all see of a game, and what each has heard of who calls whom evil or good: from it, what a player could know. Grows as the log is read."""

    def __init__(self, players: tuple[AgentID, ...], evils: int, events: Sequence[Event]):
        self.players, self.evils = players, evils
        self.teams, self.votes = ([(e.step, told) for e, told in outcomes(events, what)] for what in ("proposal", "vote"))
        self.quests = [(e.step, told) for e, told in outcomes(events, "quest")]
        self.heard: dict[AgentID, dict[AgentID, dict[AgentID, str]]] = {a: {} for a in players}

    def hear(self, message: Message, acts: Sequence[Any]) -> None:
        """Who now knows what its author thinks of whom."""
        for act in acts:
            if act["act"] in STANCES:
                for reader in (message.channel.readers - {message.author}) & set(self.heard):
                    self.heard[reader].setdefault(message.author, {})[act["about"][0]] = STANCES[act["act"]]

    def suspicions(self, step: int, player: AgentID) -> Floats:
        """How likely a good player in this seat, who knows nothing else, had to hold it before this step that each of them is evil: by the exact
        posterior from the votes and quests so far and from what it had heard."""
        view = {
            "players": list(self.players), "evils": self.evils, "proposals": [told for at, told in self.votes if at < step],
            "quests": [[q["team"], q["fails"], q["success"], fails_needed(len(self.players), i)] for i, (at, q) in enumerate(self.quests) if at < step],
        }  # fmt: skip
        return suspicion(posterior(view, self.heard[player], self.players.index(player)), len(self.players), self.evils)

    def likely(self, step: int, author: AgentID, whom: AgentID, evil: bool) -> float:
        """The same of one of them: that it is evil, or good."""
        held = float(self.suspicions(step, author)[self.players.index(whom)])
        return held if evil else 1.0 - held
