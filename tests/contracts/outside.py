"""What policies of the table need that nothing ships: a model in a folder, a person, a server, a log. Given to them here, so that the contract is tried on each."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager

from agents.doors import CLOSED, Doors
from agents.policies import POLICIES, policy
from sandbox.log import Event, encode
from tests.agents.stub_server import serving
from tests.agents.tiny_models import model_in


class Typing:
    """Somebody who says one thing to all, and is done, turn after turn: two lines a turn, or four where a move is due that is not made."""

    def __init__(self):
        self.lines = 0

    def readline(self, most=-1):
        self.lines += 1
        return "all: hello\n" if self.lines % 2 else "\n"


class Shown:
    """A terminal that nobody looks at."""

    def write(self, text):
        return len(text)

    def flush(self):
        pass


@contextmanager
def given(name, environment, folder):
    """(options, doors) under which a policy of the table can be made."""
    options = dataclasses.asdict(policy(name).Options()) if name in POLICIES else {}
    if name == "llm":
        with serving() as server:
            yield {**options, "base_url": f"{server.origin}/v1", "model": "player", "checkpoint": None}, Doors(servers={server.origin: ""})
        return
    if name == "hf":
        yield {**options, "model": str(model_in(folder, "mamba2")), "checkpoint": None, "max_tokens": 8, "attempts": 1}, CLOSED
    elif name == "human":
        yield options, Doors(terminal=(Typing(), Shown()))
    elif name == "replay":
        acts = [("observation", {"heard": [], "may_write": [], "view": ""}), ("intent", {"intent": {"1": 1.0}}), ("move", {"move": 7})]
        events = [Event(kind, step, 10, agent, data) for step in range(3) for agent in environment.agents for kind, data in acts]
        path = folder / "events.jsonl"
        path.write_bytes(b"".join(encode(event._replace(seq=seq, wall=0.0)) for seq, event in enumerate(events)))
        yield {**options, "run": str(path)}, CLOSED
    else:
        yield options, CLOSED
