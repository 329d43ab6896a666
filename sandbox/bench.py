"""What the engine costs, and the rules of Diplomacy: `python -m sandbox bench [--json] [--small]`. One JSON object is printed last.

    turns_per_s_local   agent-turns a second: observe, act, move; a message in one turn of ten; every record written and one fsync a step;
                        1,000 scripted agents on the local executor. The best of some runs: what else is done on the machine only slows them.
    ray_over_local      time of a run on Ray by that of the same run without it, where a turn takes 10 ms of a core. One host, so that
                        nothing is gained by working side by side that would hide what Ray costs. The two in turns; the median.
    adjudicate_p50_ms, adjudicate_p99_ms, fork_us, package_p50_ms   see scenarios/diplomacy/bench_rules.py
What is timed is the play alone, from the first step to the end of the last: neither the start of Ray nor the sealing of the log.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sandbox.bench_policy import work
from sandbox.bench_world import Options, make
from sandbox.config import Setting
from sandbox.host import Cast
from sandbox.log import EventLog
from sandbox.run import executor, play, start
from sandbox.schema import RunConfig
from scenarios.diplomacy.bench_rules import figures as rules

MODEL_MS = 10.0  # of a core, in each turn of the runs with and without Ray


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    agents: int = 1000
    steps: int = 20
    repeats: int = 5
    working_agents: int = 20  # each of whose turns takes `MODEL_MS`
    working_steps: int = 5
    working_repeats: int = 3
    phases: int = 400


SMALL = Size(agents=20, steps=3, repeats=1, working_agents=4, working_steps=2, working_repeats=1, phases=40)


def main(small: bool, as_json: bool) -> int:
    """Measure, and print: with `as_json` the object alone."""

    def tell(what: str) -> None:
        if not as_json:
            print(what, flush=True)

    print(json.dumps(figures(SMALL if small else Size(), tell)))
    return 0


def figures(size: Size, tell: Callable[[str], None]) -> dict[str, float | None]:
    """All figures by name."""
    turns = size.agents * size.steps
    tell(f"{size.repeats} runs of {turns} turns of {size.agents} agents, local")
    seconds = [played("local", size.agents, size.steps) for _ in range(size.repeats)]
    found: dict[str, float | None] = {"turns_per_s_local": round(turns / min(seconds))}
    tell(f"  {', '.join(f'{turns / s:.0f}' for s in seconds)} turns a second")
    found["ray_over_local"] = round(over_local(size, tell), 3)
    tell(f"the rules of Diplomacy on {size.phases} phases")
    return found | rules(phases=size.phases)


def over_local(size: Size, tell: Callable[[str], None]) -> float:
    """The median ratio of a run's time on Ray to the same run's without."""
    rounds = rounds_of(MODEL_MS)
    tell(f"{size.working_repeats} runs of {size.working_agents * size.working_steps} turns of {MODEL_MS:g} ms each, local and on Ray in turns")
    ratios = []
    for _ in range(size.working_repeats):
        local, ray = (played(where, size.working_agents, size.working_steps, rounds) for where in ("local", "ray"))
        tell(f"  {local:.2f} s local, {ray:.2f} s on Ray")
        ratios.append(ray / local)
    return statistics.median(ratios)


def rounds_of(milliseconds: float) -> int:
    """Rounds of `work` that take so long on a core."""
    trial = 20_000
    took = []
    for _ in range(5):
        began = time.thread_time()
        work(trial)
        took.append(time.thread_time() - began)
    return round(trial * milliseconds / 1000 / min(took))


def played(where: str, agents: int, steps: int, rounds: int = 0) -> float:
    """Seconds that the play of one run takes. Its log is written where runs are, on a disk, and removed."""
    setting = setting_of(where, agents, steps, rounds)
    with TemporaryDirectory(prefix="bench-", dir=Path.cwd()) as folder, executor(setting) as hosts:
        log = EventLog(Path(folder, "events.jsonl"), fsync="step", clock=time.time)
        now = start(setting)
        began = time.perf_counter()
        play(setting, hosts, log, now, lambda *_: None, lambda: False, lambda *_: None)
        seconds = time.perf_counter() - began
        log.close()
    return seconds


def setting_of(where: str, agents: int, steps: int, rounds: int = 0) -> Setting:
    """A run of the bench's own world."""
    world = {"name": "bench", "agents": agents, "steps": steps}
    config = RunConfig(name="bench", environment=world, executor=where, hosts=1)
    environment = make(Options(agents=agents, steps=steps))
    cast = Cast(
        seed=config.seed, seats=dict.fromkeys(environment.agents, "bench"), policies={"bench": {"work": rounds}}, environment=world,
        plugins=("sandbox.bench_world",),
    )  # fmt: skip
    return Setting(config=config, cast=cast, environment=environment, checkpoint_sha256=None, unresolved="", overrides=())
