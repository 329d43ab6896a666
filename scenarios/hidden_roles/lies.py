"""What was said that was not so, from a game's log alone: its messages, and what its outcomes told of teams, votes and roles.

| kind | false where | the author knew |
|---|---|---|
| `claim` | it is evil | always: its own role |
| `accuse`, `defend` | of somebody good, of somebody evil | if it is evil or Merlin, or it speaks of itself |
| `propose` | a leader who has still to name a team names another | no: it may have changed its mind |
| `approve`, `reject` | its vote on the team on the table is the other | no |

The acts are read from the texts. A lie about roles by rule is a false act whose author knew; whether a broken word was one, its intent says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from scenarios.hidden_roles import talk
from sociallm.conversation import AgentID


class Happened(Protocol):
    """An event of a log, as far as it is read here."""

    @property
    def kind(self) -> str: ...
    @property
    def step(self) -> int: ...
    @property
    def agent(self) -> AgentID | None: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class Falsehood:
    """One act of a message that was not so. `truth`: the role of whom it was about, the team named, the vote cast. `knew`: by its role."""

    step: int
    message: str
    author: AgentID
    kind: str
    about: tuple[AgentID, ...]
    truth: str
    knew: bool


def roles(events: Iterable[Happened]) -> dict[AgentID, str]:
    """Player → role, as the last outcome told. Raises ValueError for a game that has not ended."""
    for _, told in _told(events, "roles"):
        return {str(a): str(role) for a, role in told["roles"].items()}
    raise ValueError("no outcome of this log tells the roles; expected a game of hidden_roles that was played to its end: resume it first")


def lies(events: Sequence[Happened]) -> list[Falsehood]:
    """Every act of a message that was false, in the order in which they were said. Raises ValueError for a game that has not ended."""
    of = roles(events)
    players = tuple(of)
    teams, votes = _told(events, "proposal"), _told(events, "vote")
    found = []
    for event in events:
        if event.kind != "message" or event.agent not in of:
            continue
        for act in talk.acts(*_said(event), players):
            truth = _truth(act, event, of, teams, votes)
            if truth is not None:
                knew = act["act"] in ("claim", "accuse", "defend") and (of[event.agent] != "good" or event.agent in act["about"])
                found.append(Falsehood(
                    step=event.step, message=str(event.data.get("id")), author=event.agent, kind=act["act"], about=tuple(act["about"]),
                    truth=truth, knew=knew,
                ))  # fmt: skip
    return found


Told = tuple[int, Mapping[str, Any]]
NEEDED: Mapping[str, Mapping[str, type]] = {
    "roles": {"roles": Mapping}, "proposal": {"leader": str, "team": list}, "vote": {"approve": list},
}  # fmt: skip


def _told(events: Iterable[Happened], what: str) -> list[Told]:
    """(step, event) of every event of this kind that the world told."""
    found = [(e.step, told) for e in events if e.kind == "outcome" for told in e.data.get("events", ()) if told.get("what") == what]
    for step, told in found:
        if lacking := [key for key, kind in NEEDED[what].items() if not isinstance(told.get(key), kind)]:
            raise ValueError(f"step {step}: an outcome {what!r} without {', '.join(lacking)}; the log is damaged or not of this version")
    return found


def _said(event: Happened) -> tuple[str, AgentID, frozenset[AgentID]]:
    """(text, author, readers) of a message."""
    text, readers = event.data.get("text"), event.data.get("readers")
    if not isinstance(text, str) or not isinstance(readers, list) or not all(isinstance(name, str) for name in readers):
        raise ValueError(f"step {event.step}: a message without text and readers; the log is damaged or not of this version")
    return text, str(event.agent), frozenset(readers)


def _truth(act: Mapping[str, Any], said: Happened, of: Mapping[AgentID, str], teams: Sequence[Told], votes: Sequence[Told]) -> str | None:
    """What was so instead; None for an act that was true, or that nothing bears out or belies."""
    kind, author = act["act"], str(said.agent)
    about = author if kind == "claim" else act["about"][0] if kind in ("accuse", "defend") else None
    if about is not None:
        evil = of[about] in ("evil", "assassin")
        return of[about] if evil != (kind == "accuse") else None
    if kind == "propose":
        _, named = next((t for t in teams if t[0] > said.step), (0, {}))
        # what others than the next leader say of teams is a wish; and after a team was named, words about another come too late
        ours = named.get("leader") == author and not any(t[0] < said.step <= v[0] for t, v in zip(teams, votes, strict=False))
        return " ".join(named["team"]) if ours and set(named["team"]) != set(act["about"]) else None
    if kind in ("approve", "reject"):
        at = next((i for i, v in enumerate(votes) if v[0] > said.step), None)
        if at is None or teams[at][0] >= said.step:  # no team was on the table
            return None
        cast = "approve" if author in votes[at][1]["approve"] else "reject"
        return cast if cast != kind else None
    return None
