"""How much a seat on a server remembers as a conversation grows: `python -m tests.benchmarks.llm_memory --messages 10000 --out plot.png`.

Two agents talk through the policy llm on a stub until so many messages are said. Measured at every step: characters of the prompt, bytes of the notes,
resident memory of the process that asks (the stub is another one). All three are flat once the window is full; one JSON object is printed last.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from agents.doors import Doors
from agents.memory import AgentMemory
from agents.policies.llm import Options, make
from agents.types import Channel, Observation, Turn

ROOT = Path(__file__).resolve().parents[2]
AGENTS = ("A", "B")
WARM = 0.2  # the share of a run after which nothing may grow
SERVER = """
import random, sys, time
from tests.agents.stub_server import chooser, serving
import json
VOCABULARY = [f"word{i}" for i in range(5000)]
def talk(body):
    chance = chooser(body)
    return json.dumps({"messages": [{"to": "ALL", "text": " ".join(chance.choices(VOCABULARY, k=chance.randrange(3, 60)))}]})
with serving() as server:
    server.asked = type("Nothing", (list,), {"append": lambda self, _: None})()
    server.replies["talk"] = talk
    print(server.url, flush=True)
    time.sleep(10**6)
"""


def resident() -> float:
    """MiB of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(messages: int) -> dict[str, np.ndarray]:
    """{what: its values, one for each step}."""
    stub = subprocess.Popen([sys.executable, "-c", SERVER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert stub.stdout is not None
        url = stub.stdout.readline().strip()
        origin = url.removesuffix("/v1")
        policy = make(None, Options(base_url=url, model="talk", checkpoint=None, form="text"), AGENTS, Doors(servers={origin: ""}))
        size = [0]
        send = policy._servers[url].send

        def counted(request, seconds):
            size[0] = sum(len(m["content"]) for m in request["messages"])
            return send(request, seconds)

        policy._servers[url].send = counted  # type: ignore[method-assign]
        channel, memories, said = Channel(name="ALL", readers=frozenset(AGENTS)), dict.fromkeys(AGENTS, AgentMemory()), ()
        found: dict[str, list[float]] = {"messages": [], "prompt characters": [], "notes bytes": [], "rss MiB": []}
        for step in range(messages):
            agent = AGENTS[step % 2]
            seen = Observation(agent=agent, step=step, time=step, heard=said, may_write=(channel,), view={"step": step})
            [(action, memories[agent])] = policy.step([Turn(observation=seen, memory=memories[agent], rng=np.random.default_rng(step))])
            assert action.faults == (), action.faults
            said = action.messages
            for key, value in zip(found, (step + 1, size[0], len(json.dumps(memories[agent].notes)), resident()), strict=True):
                found[key].append(value)
    finally:
        stub.kill()
    return {key: np.array(values) for key, values in found.items()}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--messages", type=int, default=10_000)
    asked.add_argument("--out", type=Path)
    given = asked.parse_args()
    found = measure(given.messages)
    warm = int(WARM * given.messages)
    told = {}
    for key, values in list(found.items())[1:]:
        late = values[warm:]
        told[key] = {"after warm-up": round(float(late[: len(late) // 10].mean()), 2), "at the end": round(float(late[-len(late) // 10 :].mean()), 2), "most": round(float(values.max()), 2)}
    if given.out:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(3, 1, sharex=True, figsize=(7, 7))
        for axis, key in zip(axes, list(found)[1:], strict=True):
            axis.plot(found["messages"], found[key], linewidth=0.7)
            axis.set(ylabel=key, ylim=(0, None))
        axes[-1].set(xlabel="messages said")
        figure.tight_layout()
        figure.savefig(given.out, dpi=120)
    print(json.dumps({"messages": given.messages, **told}))


if __name__ == "__main__":
    main()
