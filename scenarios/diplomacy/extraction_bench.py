"""The extractor's figures: `python -m scenarios.diplomacy.extraction_bench [--json] [--small] [--data DIR]`.

own     the grammar's texts, every wording equally likely, of acts about any order of seeded boards
worded  candidates as the shipped model went on from the grammar's beginnings, before any filter (tests/scenarios/own_press.jsonl);
        worded_tuning those that rules were written with, worded those that none was
tuning  human messages the rules were written with
development  all other human messages of the same games, annotated before any rule was fitted to them; rules were then written with them too
human   every human message of the twelve held-out games (sociallm.corpora.HELD_OUT), which no rule was written with

All but the first were annotated by hand, with the rules of tests/scenarios/ANNOTATION.md, before the extractor had read any of them. Intervals
resample games (of `worded`, messages).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scenarios.diplomacy import grammar, press
from scenarios.diplomacy.board import initial_board
from scenarios.diplomacy.extraction import Annotated, act_of, annotated, figures
from scenarios.diplomacy.map import POWERS, PROVINCES
from scenarios.diplomacy.orders import legal_orders

ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT / "tests" / "scenarios"


def grammar_texts(rng: np.random.Generator, number: int) -> list[Annotated]:
    """`number` texts of the grammar with the acts they were made from, between two powers drawn at random."""
    board = initial_board()
    orders = {p: [o for options in legal_orders(board, p).values() for o in options] for p in POWERS}
    messages = []
    for i in range(number):
        author, reader, third = (str(p) for p in rng.choice(POWERS, 3, replace=False))
        kind = str(rng.choice([k for k, about in press.SAYABLE.items() for _ in about]))
        what = str(rng.choice(press.SAYABLE[kind]))
        power = reader if kind in ("ask", "propose") else author
        if what in ("order", "support"):
            fitting = [o for o in orders[power] if (" S " in o) == (what == "support")]
            about: dict[str, Any] = press.about_order(power, str(rng.choice(fitting)))
        elif what == "dmz":
            powers = [author] if kind == "promise" else [author, reader]
            about = press.about_dmz(powers, rng.choice(sorted(PROVINCES), int(rng.integers(1, 3)), replace=False).tolist())
        else:
            about = {"kind": "draw"} if what == "draw" else press.about_alliance([author, reader], third if rng.random() < 0.5 else None)
        text = str(rng.choice(grammar.texts(press.act(kind, [reader], about), author)))
        messages.append(Annotated(f"text {i}", author, frozenset({author, reader}), text, ({"act": kind, "about": about},)))
    return messages


def worded(file: Path, part: str) -> list[Annotated]:
    """The annotated candidates of the model of one set."""
    rows = [row for row in map(json.loads, file.read_text(encoding="utf-8").splitlines()) if row["set"] == part]
    return [
        Annotated(f"candidate {i}", r["author"], frozenset(r["readers"]), r["text"], tuple(act_of(line) for line in r["acts"]))
        for i, r in enumerate(rows)
    ]


def measure(data: Path, *, small: bool) -> dict[str, Any]:
    """All figures; those of the human games are left out where the games are not there."""
    rng = np.random.default_rng(20261121)
    report: dict[str, Any] = {"own": figures(grammar_texts(rng, 200 if small else 5000), rng)}
    for name, part in (("worded_tuning", "tuning"), ("worded", "held_out")):
        report[name] = figures(worded(FACTS / "own_press.jsonl", part), rng)
    games = data / "cicero_games"
    if games.is_dir():
        for name, part in (("tuning", "tuning"), ("development", "development"), ("human", "held_out")):
            report[name] = figures(annotated(FACTS / "press_annotations.json", games, part), rng)
    return report


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scenarios.diplomacy.extraction_bench", description="How well commitments are read from text.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--small", action="store_true", help="fewer grammar texts, for tests")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SOCIALLM_DATA") or ROOT.parent / "shared" / "data"))
    given = parser.parse_args(argv)
    try:
        report = measure(given.data, small=given.small)
    except (OSError, ValueError) as error:
        print(f"extraction_bench: {error}", file=sys.stderr)
        return 1
    if given.json:
        print(json.dumps(report))
        return 0
    for name, row in report.items():
        print(f"{name:13s} {row['messages']:5d} messages {row['acts']:5d} acts  precision {row['precision']:.3f}  recall {row['recall']:.3f}  "
              f"F1 {row['f1']:.3f} [{row['f1_low']:.3f}, {row['f1_high']:.3f}]  contents alone {row['deeds_f1']:.3f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
