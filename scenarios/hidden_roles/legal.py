"""Hidden roles told in words: what a player may know, and whether what somebody wrote is a move of the phase (`agents.legal`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from agents.legal import Legal, Read
from agents.types import JSON, Observation


def legal(observation: Observation, notes: JSON) -> Legal:
    """A team, a vote, a part in the quest, a victim, by the phase. Who only listens to the leader's plans thinks of the vote to come."""
    view = observation.view
    players: Sequence[str] = view["players"]
    if view["phase"] == "propose" and view["leader"] == view["me"]:
        first = f"A move is your team: a list of {view['size']} different players, as in {list(players[: view['size']])}."
        schema: dict[str, Any] = {"type": "array", "items": {"type": "string", "enum": list(players)}, "minItems": view["size"], "maxItems": view["size"]}
        read, lists = partial(read_party, players, view["size"]), (("team", tuple(players)),)
        return Legal(seen=_seen(view), moves=(first.replace("'", '"'),), schema=schema, read=read, lists=lists)
    choices: tuple[str, ...] = ("approve", "reject")
    what = "A move is your vote on the team."
    if view["phase"] == "quest":
        choices = ("success", "fail") if view["evil"] is not None and view["me"] in view["evil"] else ("success",)
        what = "A move is your part in the quest, which nobody sees."
    elif view["phase"] == "strike":
        choices = tuple(a for a in players if a not in (view["evil"] or ()))
        what = "A move is the player whom you name as Merlin."
    schema = {"type": "string", "enum": list(choices)}
    return Legal(seen=_seen(view), moves=(what, f"one of: {' | '.join(choices)}"), schema=schema, read=partial(read_word, choices), lists=(("choice", choices),))


def _seen(view: Mapping[str, Any]) -> tuple[str, ...]:
    """The table, from one seat."""
    n = len(view["players"])
    lines = [
        f"You are {view['me']}, one of {n} players: {', '.join(view['players'])}. {view['evils']} of them are evil. Your role: {view['role']}.",
        f"Good wins with three quests that succeed, evil with three that fail or five teams refused in a row{'; then the assassin may name Merlin' if view['merlin'] else ''}.",
        f"Quest {view['quest'] + 1} of 5 ({view['won']} succeeded, {view['lost']} failed), attempt {view['attempt'] + 1} of 5; a team has {view['size']} players, {view['needed']} fail(s) spoil it.",
        f"Phase: {view['phase']}. Leader: {view['leader']}. Team on the table: {', '.join(view['team']) if view['team'] else 'none'}.",
    ]
    if view["evil"] is not None:
        lines.append(f"You know that these are evil: {', '.join(view['evil'])}.")
    for p in view["proposals"]:
        lines.append(f"quest {p['quest'] + 1}: {p['leader']} named {', '.join(p['team'])}; approving: {', '.join(p['approve']) or 'nobody'}; {'approved' if p['approved'] else 'refused'}")
    for i, (team, fails, success, _) in enumerate(view["quests"]):
        lines.append(f"quest {i + 1} of {', '.join(team)}: {fails} fail(s), {'succeeded' if success else 'failed'}")
    return tuple(lines)


def read_party(players: Sequence[str], size: int, value: JSON) -> Read:
    """A team of any JSON value: a list of names, or their text as in Ada+Ben or Ada, Ben."""
    if isinstance(value, str) and len(value) <= 400:
        value = value.replace("+", ",").split(",")
    known = {a.casefold(): a for a in players}
    named = [known.get(str(name).strip().casefold()) for name in value[:32]] if isinstance(value, list) else []
    team = [a for a in players if a in named]
    if None in named or len(named) != len(team) or len(team) != size:
        return Read(wrong=f"move: {value!r:.80} is no team; expected a list of {size} different players of {', '.join(players)}")
    return Read(move=team, intent={"+".join(team): 1.0})


def read_word(choices: Sequence[str], value: JSON) -> Read:
    """A vote, a part, a victim."""
    known = {choice.casefold(): choice for choice in choices}
    chosen = known.get(value.strip().casefold()) if isinstance(value, str) else None
    if chosen is None:
        return Read(wrong=f"move: {value!r:.60} is none of {', '.join(choices)}")
    return Read(move=chosen, intent={chosen: 1.0} | ({other: 0.0 for other in choices if other != chosen} if len(choices) == 2 else {}))
