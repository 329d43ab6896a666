"""Small runs with known numbers, written by the project's own log."""

from collections.abc import Iterable
from itertools import count
from pathlib import Path

from sandbox.log import Event, EventLog


def write_run(folder: Path, events: Iterable[Event]) -> Path:
    """A run folder with these events."""
    folder.mkdir(parents=True)
    ticks = count()
    log = EventLog(folder / "events.jsonl", fsync="none", clock=lambda: float(next(ticks)))
    log.commit(events)
    log.close()
    return folder


def message(id, author, readers, text="hello", step=0, time=0, **more):
    return Event(kind="message", step=step, time=time, agent=author, data={
        "id": id, "channel": "-".join(sorted(readers)), "readers": sorted(readers), "text": text, "to": [], "reply_to": None, **more})


def memory(id, reader, tokens, surprise, no_int, no_states, step=0):
    return Event(kind="memory", step=step, time=0, agent=reader, data={
        "message": id, "reader": reader, "tokens": tokens, "surprise": surprise, "surprise_no_int": no_int, "surprise_no_states": no_states})


def adjudication(phase, centers, orders=None, step=0, units=None):
    return Event(kind="outcome", step=step, time=step, data={"done": False, "events": [
        {"what": "adjudication", "phase": phase, "orders": orders or {}, "results": {}, "centers": centers, "units": units or {}}]})


def end(ended="done", step=9):
    return Event(kind="end", step=step, time=9, data={"ended": ended, "why": ""})


def watched(game, per_message):
    """A watched game: per message (author, readers, tokens, [(surprise, no_int, no_states) per other reader])."""
    events = [Event(kind="outcome", step=0, time=0, data={"done": False, "events": [{"what": "game", "game": game, "messages": len(per_message)}]})]
    for k, (author, readers, tokens, values) in enumerate(per_message):
        events.append(message(f"g{k}", author, readers, step=k, time=k * 1000))
        for reader, value in zip(sorted(set(readers) - {author}), values, strict=True):
            events.append(memory(f"g{k}", reader, tokens, *value, step=k))
    return [*events, end()]
