"""A run as points of view: of each agent that said something, what it was told it is, what it read and what it said, in the order of its knowledge.

    {"id", "run", "game", "world", "scenario", "seed", "agent", "policy", "checkpoint",
     "messages": [{"role": "system", "content": persona}, {"role": "user", "content": "ITALY to all: …"}, {"role": "assistant", "content": "to ITALY: …"}, …],
     "authors", "to", "channels", "times": of each message behind the system's,
     "intents": of each message, what its author planned in that step, as JSON, at the first of its own in that step; "" at all others
     "labelled", "planted", "as", "executed", "planted_others": what is known of the agent, and which of those it read were planted}

An agent reads what its channels carry, and nothing else. Agents of one step speak at once, each on what it had read before: so in a row, what an
agent says in a step stands before what others say in it. Other people's words are marked by a name that stands before them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from sandbox.exporting.reading import Line, Said
from sandbox.exporting.row import Row, Rows, lineage, told
from sandbox.exporting.texts import called, fit
from sandbox.exporting.wish import Wish

Turn = tuple[str, str]  # role, content
SAID_BY = {"assistant": "gpt", "user": "human"}


def views(wish: Wish) -> Rows:
    """Rows of `messages`, `sharegpt` or `parquet`."""
    def rows(said: Said, cleaned: Counter[str]) -> Iterator[Row]:
        talk = told(said, cleaned)
        lines = [line for line in talk.lines if line.id not in talk.before]
        everybody = {reader for line in lines for reader in line.readers}
        marked = {line.id: _marked(line, everybody) for line in lines}
        for agent in said.agents:
            if wish.planted == "exclude" and agent in said.source.planted:
                yield Row(id=f"{said.source.id}/{agent}", why="planted")
                continue
            seen = sorted((line for line in lines if agent in line.readers), key=lambda line: (line.step, line.author != agent or line.told))
            if any(line.author == agent and not line.told for line in seen):
                yield _row(said, agent, seen, talk.personas.get(agent, ""), marked, wish)
            else:  # without a word of its own there is nothing to learn from it
                yield Row(id=f"{said.source.id}/{agent}", why="silent")

    return rows


def _row(said: Said, agent: str, seen: Sequence[Line], persona: str, marked: dict[str, tuple[str, str]], wish: Wish) -> Row:
    source = said.source
    mine = [line.author == agent and not line.told for line in seen]
    turns: list[Turn] = [("system", _system(agent, seen, persona))]
    turns += [("assistant", marked[line.id][0]) if own else ("user", marked[line.id][1]) for line, own in zip(seen, mine)]
    record: dict[str, Any] = {
        "id": f"{source.id}/{agent}", "run": source.id, "game": source.game, "world": source.world, "scenario": source.scenario, "seed": source.seed,
        "agent": agent, "policy": source.seats.get(agent, ""), "checkpoint": source.checkpoint[:16],
    } | _told(turns, wish.format) | {
        "authors": [line.author for line in seen], "to": [list(line.to) for line in seen], "channels": [line.channel for line in seen],
        "times": [line.time for line in seen],
    }  # fmt: skip
    if "intents" not in wish.without:
        record["intents"] = _intents(said, agent, seen, mine)
    if "labels" not in wish.without:
        label = (source.labels or {}).get(agent) or {"planted": False, "as": [], "executed": False}
        others = sorted({line.author for line in seen} & set(source.planted) - {agent})
        record |= {"labelled": source.labels is not None, "planted": label["planted"], "as": list(label["as"]), "executed": label["executed"], "planted_others": others}
    own, read = tuple(t.text for t, is_own in zip(seen, mine) if is_own), tuple(t.text for t, is_own in zip(seen, mine) if not is_own)
    said_by = tuple(line.id for line, is_own in zip(seen, mine) if is_own)
    whose = {lineage(said, agent, persona): sum(len(text.encode()) for text in own)}
    return Row(id=record["id"], record=record, own=own, read=read, said=said_by, bytes=whose)


def _marked(line: Line, everybody: set[str]) -> tuple[str, str]:
    """A message as its author says it and as others read it: to whom, from whom."""
    others = [reader for reader in line.readers if reader != line.author]
    to = _all(line.to) or ("all" if len(others) > 1 and len(others) + 1 >= len(everybody) else _all(others))
    said, author = f"to {to}: {line.text}", called(line.author)
    return said, f"{author} {said}" if others else f"to {author} alone: {line.text}"


def _all(names: Sequence[str]) -> str:
    return ", ".join(map(called, names))


def _system(agent: str, seen: Sequence[Line], persona: str) -> str:
    others = sorted({line.author for line in seen}.union(*{line.readers for line in seen}) - {agent})
    return f"You are {called(agent)}. You talk with {_all(others)}." + (f"\n{persona}" if persona else "")


def _intents(said: Said, agent: str, seen: Sequence[Line], mine: Sequence[bool]) -> list[str]:
    found, before = [], -1
    for line, own in zip(seen, mine):
        fresh = own and line.step != before
        found.append(fit(said.intents.get((line.step, agent), ""))[0] if fresh else "")
        before = line.step if own else before
    return found


def _told(turns: Sequence[Turn], format: str) -> dict[str, Any]:
    if format == "sharegpt":
        return {"conversations": [{"from": role, "value": text} for role, text in alternating(turns)]}
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


def alternating(turns: Sequence[Turn]) -> list[Turn]:
    """system, human, gpt, human, gpt, …: what its readers ask for, who leave out a row that is otherwise. Messages of one side that follow one
    another are one turn of several lines; within each, lines are moved in, so that none can pass for another message. One who speaks first
    answers a dash; what is read after the last word said is left out, for nothing answers it."""
    found: list[Turn] = [turns[0]]
    for role, said in groupby(turns[1:], itemgetter(0)):
        if len(found) == 1 and role == "assistant":
            found.append(("human", "-"))
        found.append((SAID_BY[role], "\n".join([text.replace("\n", "\n  ") for _, text in said])))
    return found[:-1] if found[-1][0] == "human" else found
