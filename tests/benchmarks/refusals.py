"""How long hostile files take to be refused, and what 10,000 tampered headers of weights do.

    python -m tests.benchmarks.refusals                      every hostile scenario and every bomb, after imports: the most, in ms
    python -m tests.benchmarks.refusals --headers 10000      the headers too

Prints one JSON object; exit code 1 where a file was taken, a scenario took more than 100 ms, a bomb more than a second, or anything broke.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

MOST_MS, MOST_BOMB_MS = 100.0, 1000.0
LAUGHS = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 31))
TEXTS = {
    "nine to the thirtieth": f"a0: &a0 [x]\n{LAUGHS}", "a list in itself": "a: &a [*a]\n", "a mapping in itself": "a: &a {b: *a}\n", "merges": "a: &a {x: 1}\n" + "".join(f"m{i}: {{<<: *a}}\n" for i in range(5000)),
    "lists 5,000 deep": "a: " + "[" * 5000 + "]" * 5000, "mappings 5,000 deep": "a: " + "{a: " * 5000 + "}" * 5000, "blocks 2,000 deep": "".join(f"{' ' * i}a:\n" for i in range(700)),
    "a million keys": "".join(f"k{i}: 1\n" for i in range(30_000)), "a million values": f"a: [{'1,' * 120_000}]", "one key again": "a: 1\n" * 40_000, "a text without end": f"a: {'x' * 250_000}",
    "quotes without end": 'a: "' + "x" * 250_000, "documents": "---\na: 1\n" * 20_000, "tags": "a: " + "!!python/tuple " * 10_000, "anchors": "".join(f"k{i}: &b{i} 1\n" for i in range(15_000)),
}  # fmt: skip


def bombs(place: Path) -> list[Path]:
    """Files that would grow without bound, if they were read as they ask."""
    paths = []
    for i, text in enumerate(TEXTS.values()):
        (path := place / f"bomb{i}.yaml").write_text(text)
        paths.append(path)
    with open(path := place / "gibibyte.yaml", "wb") as file:
        file.truncate(2**30)
    return [*paths, path]


def headers(folder: Path, count: int, first: int) -> dict[str, int]:
    """So many tampered copies of a checkpoint's weights, loaded under the hash that config.json names and under their own: how many of each were
    refused in one line, were taken (then whole and finite, by what loading holds them to), or broke something."""
    from sociallm.checkpoint import CheckpointError, digest, load
    from tests.security.weights import tampered

    weights, config = folder / "model.safetensors", json.loads((folder / "config.json").read_bytes())
    content = weights.read_bytes()
    found = dict.fromkeys(("of the same hash, refused", "of the same hash, taken", "of a new hash, refused", "of a new hash, taken", "broken"), 0)
    try:
        for seed in range(first, first + count):
            weights.write_bytes(tampered(content, seed))
            for hashed in ("the same", "a new"):
                named = config["sha256"] | ({"model.safetensors": digest(weights)} if hashed == "a new" else {})
                (folder / "config.json").write_text(json.dumps(config | {"sha256": named}))
                try:
                    load(str(folder))
                    found[f"of {hashed} hash, taken"] += 1
                except CheckpointError as error:
                    found[f"of {hashed} hash, refused"] += 1
                    found["broken"] += "\n" in str(error)
                except Exception as error:  # which is what is looked for
                    print(f"seed {seed}: {type(error).__name__}: {error!s:.200}", file=sys.stderr)
                    found["broken"] += 1
    finally:
        weights.write_bytes(content)
        (folder / "config.json").write_text(json.dumps(config))
    return found


def timed(call: Callable[[], object], error: type[Exception]) -> tuple[float, str]:
    """(ms of CPU, what was said) of a refusal."""
    began = time.process_time()  # of this process alone: others may be at work on the machine
    try:
        call()
    except error as said:
        return 1000 * (time.process_time() - began), str(said)
    raise SystemExit("a hostile file was taken")


def scenarios(place: Path) -> dict[str, Any]:
    """Every hostile scenario of tests/sandbox/test_guard.py and test_hostile_yaml.py, written there and loaded after one that is none."""
    from sandbox.config import ConfigError, load
    from tests.sandbox.test_guard import HOSTILE, HOSTILE_OVERRIDES
    from tests.sandbox.test_hostile_yaml import FILES, PLAIN

    plugins = ("tests.sandbox.toy",)
    (place / "x.yaml").write_text(PLAIN)
    load("x.yaml", plugins=plugins)  # what is imported as it is needed
    overrides = {f"override {text:.40}": timed(lambda text=text: load("x.yaml", [text], plugins), ConfigError)[0] for text in HOSTILE_OVERRIDES}
    took, lines = {}, 0
    for name, text in {**{name: text for name, (text, _) in HOSTILE.items()}, **FILES}.items():
        (place / "y.yaml").write_text(text)
        took[name], said = timed(lambda: load("y.yaml", plugins=plugins), ConfigError)
        lines += said.startswith("y.yaml:")
    left = sorted(set(os.listdir(place)) - {"x.yaml", "y.yaml"})
    slowest = max({**took, **overrides}.items(), key=lambda one: one[1])
    return {"files": len(took), "with file and line": lines, "overrides": len(overrides), "median ms": round(median(took.values()), 2), "most ms": round(slowest[1], 2), "slowest": slowest[0], "files left": left}


def bombed(place: Path) -> dict[str, Any]:
    """Every bomb, as a scenario."""
    from sandbox.config import ConfigError, load

    took = {path.name if i == len(TEXTS) else list(TEXTS)[i]: timed(lambda path=path: load(path), ConfigError)[0] for i, path in enumerate(bombs(place))}
    slowest = max(took.items(), key=lambda one: one[1])
    return {"files": len(took), "most ms": round(slowest[1], 2), "slowest": slowest[0]}


def main() -> int:
    """Measure; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.refusals", description="What refusing hostile files takes.")
    parser.add_argument("--headers", type=int, default=0, metavar="N", help="tampered headers of weights")
    given = parser.parse_args()
    here = Path.cwd()
    sys.path.insert(0, str(here))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            found: dict[str, Any] = {"scenarios": scenarios(Path(folder))}
            (inner := Path(folder, "bombs")).mkdir()
            found["bombs"] = bombed(inner)
            if given.headers:
                from tests.sociallm.small import saved

                found["headers"] = headers(Path(saved(Path(folder, "model"))), given.headers, 0)
        finally:
            os.chdir(here)
    print(json.dumps(found))
    broken = given.headers and (found["headers"]["broken"] or found["headers"]["of the same hash, taken"])
    return int(bool(broken or found["scenarios"]["most ms"] > MOST_MS or found["bombs"]["most ms"] > MOST_BOMB_MS or found["scenarios"]["files left"]))


if __name__ == "__main__":
    sys.exit(main())
