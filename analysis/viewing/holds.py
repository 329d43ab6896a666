"""What each agent holds about each other over time, as far as the log tells: trust, suspicion, the price it saw last.

Each is a long table: the value at a moment is the last one at or before it. Trust and suspicion are worked out again from what each agent had
read and seen by then, by the rules of the world's own players (`analysis.trust`, `scenarios.hidden_roles.beliefs`); of any other mind they are what
such a player in its seat would have come to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from analysis.markets import prices
from analysis.metrics import message_of, outcomes
from analysis.roles import Table
from analysis.trust import trust
from analysis.viewing.moments import Columns, Moments
from sandbox.log import Event
from scenarios.hidden_roles import rules, talk

Rows = list[tuple[int, int, int, float]]


def trusted(events: Sequence[Event], of: Moments) -> list[dict[str, Any]]:
    """Diplomacy: 0 to 1, 0.5 where nothing is known."""
    frame = trust(events)
    columns = (frame[key].tolist() for key in ("step", "agent", "other", "trust"))
    rows = [(of.at[int(step)], of.who[agent], of.who[other], float(value)) for step, agent, other, value in zip(*columns, strict=True) if agent in of.who and other in of.who]
    return _held("trust", "how far it trusts the other after these orders, by the negotiator's rule on what it had read and seen; 0.5: nothing is known", 0.5, rows)


def suspected(events: Sequence[Event], of: Moments) -> list[dict[str, Any]]:
    """Hidden roles: how likely a player who knows no roles must hold it, from this seat, that another is evil."""
    votes = [told for _, told in outcomes(events, "vote")]
    players = next(iter(_roles(events)), None) or (tuple(a for a in of.agents if any(a in told["team"] for told in votes)) if votes else ())
    if len(players) not in rules.EVIL:
        return []
    evils = rules.EVIL[len(players)]
    table, rows = Table(tuple(players), evils, events), Rows()
    seen = frozenset({*(step for step, _ in table.votes), *(step for step, _ in table.quests)})
    changed, last = False, -1
    for event in events:
        if event.step != last and (changed or last in seen):
            rows += _suspicions(table, last + 1, of.at[last], of)
            changed = False
        last = event.step
        if event.kind == "message" and event.agent in players:
            message = message_of(event)
            acts = talk.acts(message.text, message.author, message.channel.readers, tuple(players))
            table.hear(message, acts)
            changed = changed or bool(acts)
    if changed or last in seen:
        rows += _suspicions(table, last + 1, of.at[last], of)
    return _held("suspicion", "how likely it is that the other is evil, to a player in this seat who knows no roles: the exact posterior from votes, quests and what it was told",
                 evils / len(players), rows)  # fmt: skip


def _roles(events: Sequence[Event]) -> Iterator[tuple[str, ...]]:
    for _, told in outcomes(events, "roles"):
        yield tuple(told["roles"])


def _suspicions(table: Table, step: int, at: int, of: Moments) -> Iterator[tuple[int, int, int, float]]:
    """What each holds of each other before this step."""
    for player in table.players:
        held = table.suspicions(step, player)
        yield from ((at, of.who[player], of.who[other], float(p)) for other, p in zip(table.players, held, strict=True) if other != player and other in of.who)


def charged(events: Sequence[Event], of: Moments) -> list[dict[str, Any]]:
    """A market in which prices are public: what the other asked last."""
    if next(outcomes(events, "sales"), None) is None:
        return []
    frame = prices(events)
    columns = (frame[key].tolist() for key in ("step", "agent", "price"))
    rows = [(of.at[int(step)], me, of.who[agent], float(price)) for step, agent, price in zip(*columns, strict=True) for me in range(len(of.agents)) if me != of.who[agent]]
    return _held("last price", "what the other asked in the last round; all sellers see it", None, rows)


def _held(name: str, told: str, start: float | None, rows: Rows) -> list[dict[str, Any]]:
    if not rows:
        return []
    columns: Columns = {key: [row[i] for row in rows] for i, key in enumerate(("at", "of", "about"))}
    top = 1.0 if start is not None else max(value for *_, value in rows)
    return [{"name": name, "told": told, "start": start, "top": top, **columns, "value": [round(row[3], 4) for row in rows]}]
