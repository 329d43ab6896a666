"""How large a page is, how fast it opens and how smoothly it scrubs, in a headless Chromium: python -m tests.benchmarks.viewing [--messages 10000].

The run is a game of Diplomacy that scripted seats played, said again and again until it has so many messages; its steps and ids go on counting.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from analysis.viewing.view import view
from sandbox.__main__ import main as sandbox
from sandbox.log import Event, EventLog
from sandbox.sealed import events_of
from tests.analysis.browser import MISSING, chromium, opened

# One change of the moment a frame, as a hand on the scrubber gives: milliseconds between frames.
SCRUB = """
const done = arguments[arguments.length - 1], frames = arguments[0], bar = document.getElementById('scrub'), times = [];
let n = 0, last = performance.now();
function next(now) {
  if (n) times.push(now - last);
  last = now;
  if (n++ === frames) return done(times);
  bar.value = String(Math.floor(n / frames * Number(bar.max)));
  bar.dispatchEvent(new Event('input'));
  requestAnimationFrame(next);
}
requestAnimationFrame(next);
"""


def repeated(events: Sequence[Event], messages: int) -> Iterator[Event]:
    """The events of a game, as often as it takes."""
    each, steps, time_ = sum(e.kind == "message" for e in events), 1 + max(e.step for e in events), 1 + max(e.time for e in events)
    for n in range(-(-messages // each)):
        for event in events:
            if event.kind != "end":
                yield event._replace(step=event.step + n * steps, time=event.time + n * time_, data=_renamed(event.data, n), seq=-1, wall=None)


def _renamed(value: dict, n: int) -> dict:
    found = dict(value)
    for key in ("id", "message", "reply_to"):
        if isinstance(found.get(key), str):
            found[key] = f"{n}.{found[key]}"
    if isinstance(found.get("heard"), list):
        found["heard"] = [f"{n}.{one}" for one in found["heard"]]
    return found


def measured(messages: int, folder: Path) -> dict[str, object]:
    """The figures."""
    if sandbox(["run", "scenarios/liars.yaml", "seats.default=scripted", "executor=local", "environment.last_year=1904", "plots=false", f"run_dir={folder}"]):
        raise SystemExit("the game could not be played")
    game = tuple(events_of(next(folder.glob("liars/*/"))))
    run = folder / "long"
    run.mkdir()
    log = EventLog(run / "events.jsonl", fsync="none", clock=time.time)
    log.commit(repeated(game, messages))
    log.close()
    began = time.perf_counter()
    page, notes = view(run)
    made = time.perf_counter() - began
    with chromium() as driver:
        driver.set_script_timeout(110)
        opens, frames = [], []
        for _ in range(3):
            opened(driver, page)
            opens.append(driver.execute_script("return performance.getEntriesByName('drawn')[0].startTime"))
            frames.append(driver.execute_async_script(SCRUB, 300))  # five seconds at 60 frames a second
        rows = driver.execute_script("return document.querySelectorAll('#list article').length")
    every = [1000 / statistics.mean(times) for times in frames]
    return {
        "messages": sum(e.kind == "message" for e in events_of(run)), "steps": max(e.step for e in events_of(run)) + 1, "made_s": round(made, 2), "mb": round(page.stat().st_size / 1e6, 2),
        "opens_ms": [round(one) for one in opens], "frames_per_s": [round(one, 1) for one in every],
        "slowest_frame_ms": round(max(max(times) for times in frames)), "rows_drawn": rows, "notes": notes,
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=10_000)
    asked = parser.parse_args()
    if MISSING:
        sys.exit(MISSING)
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(measured(asked.messages, Path(place))))
