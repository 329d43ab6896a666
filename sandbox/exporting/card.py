"""The dataset card: README.md of an export, with the front matter that `datasets` reads. Counts, seeds, who made it with what, licences.

Nothing that was said in a run stands in it, and no name that a run brings along but those of scenarios, checked; no clock and no folder of this
machine, so that the same runs give the same card.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import yaml

from sandbox.exporting.source import Source
from sandbox.exporting.wish import SIDES, VIEWS, Counts, Wish

LISTS = {"authors": "string", "channels": "string", "intents": "string", "as": "string", "planted_others": "string", "times": "int64"}
KINDS = {"seed": "int64", "labelled": "bool", "planted": "bool", "executed": "bool"}
COLUMNS = ("id", "run", "game", "world", "scenario", "seed", "agent", "policy", "checkpoint")
BESIDE = ("authors", "to", "channels", "times")
LABELS = ("labelled", "planted", "as", "executed", "planted_others")


def card(chosen: Sequence[Source], counts: Counts, wish: Wish, generator: str, made: Sequence[str]) -> str:
    """The text of README.md."""
    return f"---\n{yaml.safe_dump(_front(wish, made), sort_keys=False, allow_unicode=False)}---\n\n{_body(chosen, counts, wish, generator)}"


def features(wish: Wish) -> list[dict[str, Any]]:
    """The columns of rows that are points of view, as `datasets` writes them."""
    turn = ("conversations", ("from", "value")) if wish.format == "sharegpt" else ("messages", ("role", "content"))
    names = [*COLUMNS, turn[0], *BESIDE, *(["intents"] if "intents" not in wish.without else []), *(LABELS if "labels" not in wish.without else [])]
    found: list[dict[str, Any]] = []
    for name in names:
        if name == turn[0]:
            found.append({"name": name, "list": [{"name": key, "dtype": "string"} for key in turn[1]]})
        elif name == "to":
            found.append({"name": name, "list": {"list": "string"}})
        elif name in LISTS:
            found.append({"name": name, "list": LISTS[name]})
        else:
            found.append({"name": name, "dtype": KINDS.get(name, "string")})
    return found


def _front(wish: Wish, made: Sequence[str]) -> dict[str, Any]:
    front: dict[str, Any] = {
        "license": "apache-2.0", "language": ["en"], "pretty_name": "Dialogues of social-sandbox",
        "tags": ["synthetic", "multi-agent", "dialogue"], "task_categories": ["text-generation"],
    }  # fmt: skip
    if wish.format in VIEWS:
        end = "parquet" if wish.format == "parquet" else "jsonl"
        front["configs"] = [{
            "config_name": "default",
            "data_files": [{"split": which, "path": f"{which}/*.{end}"} for which in SIDES if any(name.startswith(f"{which}/") for name in made)],
        }]  # fmt: skip
        front["dataset_info"] = {"features": features(wish)}
    return front


def _body(chosen: Sequence[Source], counts: Counts, wish: Wish, generator: str) -> str:
    by = Counter((_word(run.scenario), _word(run.world), run.checkpoint[:16] or "none", bool(run.planted)) for run in chosen)
    lines = [
        "# Dialogues of social-sandbox", "",
        "What agents said to each other in games, market rounds and tasks of a simulation. None of it was said by people, but for runs of the world",
        "`watch`, which repeat recorded games. Rows are " + ("points of view: what one agent read and said." if wish.format in VIEWS else "whole games."), "",
        "| | train | validation |", "|---|---|---|",
        *(f"| {what} | {of['train']} | {of['validation']} |" for what, of in (("games", counts.games), ("rows", counts.rows), ("messages in rows", counts.turns))), "",
        f"{counts.runs} runs, {counts.messages} messages in their logs, each counted once. A game, with all its runs (twins, arms, forks), is on one side.", "",
        *_counted("Rows left out", counts.left_out), *_counted("Runs left out", counts.skipped), *_counted("Texts cleaned", counts.texts),
        "## Runs", "", "| scenario | world | checkpoint | planted | runs |", "|---|---|---|---|---|",
        *(f"| {name} | {world} | {point} | {'yes' if planted else 'no'} | {n} |" for (name, world, point, planted), n in sorted(by.items())), "",
        f"Seeds: {_ranges(sorted({run.seed for run in chosen}))}.", "",
        "## Made with", "", f"{generator}, format `{wish.format}`; runs made with {'; '.join(sorted({run.versions for run in chosen}))}.", "",
        "| option | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in wish.to_json().items() if name != "format"), "",
        "## Who was planted", "", *_planted(chosen, wish), "",
        "## Licences", "",
        "Texts of the worlds' grammars and of the shipped model: Apache-2.0, as the program. The shipped model was trained on public sets under licences",
        "of their own, which its MODEL_CARD.md names. Rows of `watch` are words of the people whose games were recorded, under the licence of the recording.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _planted(chosen: Sequence[Source], wish: Wish) -> list[str]:
    some, unknown = sum(bool(run.planted) for run in chosen), sum(run.labels is None for run in chosen)
    how = "left out" if wish.planted == "exclude" else "tagged in `planted`"
    return [f"Liars or colluders were planted in {some} runs; their rows are {how}. {unknown} runs have no labels: nothing is known of them, which is not to say that",
            "nobody lied (seats can be made to lie by a scenario's own settings, and roles by a game's rules)."]  # fmt: skip


def _counted(title: str, counts: Any) -> list[str]:
    return [f"{title}: {', '.join(f'{n} {what}' for what, n in sorted(counts.items()))}.", ""] if counts else []


def _word(text: str) -> str:
    """A name from outside, as a cell of a table."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text)[:60]


def _ranges(numbers: Sequence[int]) -> str:
    """1..3, 7"""
    found: list[list[int]] = []
    for n in numbers:
        if found and n == found[-1][1] + 1:
            found[-1][1] = n
        else:
            found.append([n, n])
    told = [str(a) if a == b else f"{a}..{b}" for a, b in found]
    return ", ".join(told[:50]) + (f" and {len(told) - 50} more spans" if len(told) > 50 else "")
