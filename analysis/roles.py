"""Games of hidden roles: who won and why, who was what, how quests and votes went, and what was said that its author knew to be false.

From the events of the world and the texts of the messages; a game cut short has no roles, and so no lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.metrics import AnalysisError, outcomes
from sandbox.log import Event, printable
from scenarios.hidden_roles.lies import lies


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
