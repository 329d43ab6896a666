"""`python -m sandbox bench`: its one object, and that what it calls an agent-turn is one. No limits: those are for a quiet machine."""

import json
import time

from sandbox import bench
from sandbox.__main__ import main
from sandbox.log import EventLog, read_events
from sandbox.run import executor, play, start

NAMES = ["turns_per_s_local", "ray_over_local", "adjudicate_p50_ms", "adjudicate_p99_ms", "fork_us", "package_p50_ms"]


def test_the_last_line_is_one_object_with_every_figure(capsys):
    assert main(["bench", "--small"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    found = json.loads(lines[-1])
    assert list(found) == NAMES and len(lines) > 1
    assert found["turns_per_s_local"] > 0 and found["ray_over_local"] > 0


def test_every_turn_observes_and_moves_and_one_in_ten_speaks(tmp_path):
    setting = bench.setting_of("local", agents=50, steps=10)
    with executor(setting) as hosts:
        log = EventLog(tmp_path / "events.jsonl", fsync="step", clock=time.time)
        play(setting, hosts, log, start(setting), lambda *_: None, lambda: False, lambda *_: None)
        log.close()
    events = list(read_events(tmp_path / "events.jsonl"))
    kinds = [event.kind for event in events]
    counts = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
    assert counts == {"delivery": 50, "message": 50, "move": 500, "observation": 500, "outcome": 10, "step": 10}
    heard = sum(len(event.data["heard"]) for event in events if event.kind == "observation")
    assert heard == sum(event.step < 9 for event in events if event.kind == "message")
