"""The dataset card: README.md of an export, with the front matter that `datasets` reads. Counts, seeds, who made it with what, licences.

Nothing that was said in a run stands in it, and no name that a run brings along but those of scenarios and imported files, checked; no clock and no folder
of this machine, so that the same runs give the same card. What was not worded here is under its source's licence: `unknown`, as the Hub calls it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

import sociallm
from sandbox.exporting.columns import MEANS, Type, columns
from sandbox.exporting.source import Source
from sandbox.exporting.wish import SIDES, VIEWS, Counts, Wish

OURS, MODELS, ELSEWHERE, PEOPLE, RECORDED, IMPORTED = "ours", "models", "elsewhere", "people", "recorded", "imported"  # whose words a run holds, the last that is true
NOT_OURS = {  # what runs of the others are, and whose words they hold
    MODELS: "with seats played by models of others (`llm`, `hf`): their words are under the terms of those models",
    ELSEWHERE: "with a seat that repeats another run (`replay`), a policy of a plug-in, or a checkpoint that is not shipped: whose words these are is not known here",
    PEOPLE: "with a person at the table (`human`): what is said there is said by people too",
    RECORDED: "repeating recorded games (`watch`): words of the people whose games were recorded, under the licence of the recording",
    IMPORTED: "imported from files (below): their words are not this program's, and may be people's; their licence is that of the files",
}
WORDED, THEIRS = {"social", "planted_social"}, {"llm", "hf"}  # policies that a checkpoint, or a model of others, finds words for
HERE = {"scripted", "planted", *WORDED}
MOST_FILES = 50


def card(chosen: Sequence[Source], counts: Counts, wish: Wish, generator: str, made: Sequence[str]) -> str:
    """The text of README.md."""
    return f"---\n{yaml.safe_dump(_front(chosen, wish, made), sort_keys=False, allow_unicode=False)}---\n\n{_body(chosen, counts, wish, generator)}"


def features(wish: Wish) -> list[dict[str, Any]]:
    """The columns of rows that are points of view, as `datasets` writes them."""
    return [{"name": name, **(_listed(kind) if isinstance(kind, list) else {"dtype": kind})} for name, kind in columns(wish).items()]


def _listed(kind: list[Type]) -> dict[str, Any]:
    (of,) = kind
    if isinstance(of, dict):
        return {"list": [{"name": key, "dtype": word} for key, word in of.items()]}
    return {"list": _listed(of) if isinstance(of, list) else of}


def _front(chosen: Sequence[Source], wish: Wish, made: Sequence[str]) -> dict[str, Any]:
    words = {whose(run) for run in chosen}
    licences = ["apache-2.0"] * (OURS in words) + ["unknown"] * bool(words - {OURS})
    front: dict[str, Any] = {
        "license": licences[0] if len(licences) == 1 else licences, **({"language": ["en"]} if words == {OURS} else {}), "pretty_name": "Dialogues of social-sandbox",
        "tags": [*(["synthetic"] if words <= {OURS, MODELS} else []), "multi-agent", "dialogue"], "task_categories": ["text-generation"],
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
    by = Counter((_word(run.scenario), _word(run.world), run.checkpoint[:16] or "none", _known(run)) for run in chosen)
    lines = [
        "# Dialogues of social-sandbox", "",
        *_whose(chosen), "Rows are " + ("points of view: what one agent read and said." if wish.format in VIEWS else "whole games."), "",
        "| | train | validation |", "|---|---|---|",
        *(f"| {what} | {of['train']} | {of['validation']} |" for what, of in (("games", counts.games), ("rows", counts.rows), ("messages in rows", counts.turns))), "",
        f"{counts.runs} runs, {counts.messages} messages in their logs, the world's own among them, each counted once. A game, with all its runs (twins, arms, forks), is on one side.", "",
        *_counted("Rows left out", counts.left_out), *_counted("Runs left out", counts.skipped), *_counted("Texts cleaned", counts.texts),
        "## Runs", "", "| scenario | world | checkpoint | planted | runs |", "|---|---|---|---|---|",
        *(f"| {name} | {world} | {point} | {planted} | {n} |" for (name, world, point, planted), n in sorted(by.items())), "",
        "| world | rows for train | rows for validation |", "|---|---|---|",
        *(f"| {_word(world)} | {of['train']} | {of['validation']} |" for world, of in sorted(counts.worlds.items())), "",
        f"Seeds: {_ranges(sorted({run.seed for run in chosen}))}.", "",
        *_files(chosen),
        "## Made with", "", f"{generator}, format `{wish.format}`; runs made with {'; '.join(sorted({run.versions for run in chosen}))}.", "",
        "| option | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in wish.to_json().items() if name != "format"), "",
        *_columns(wish), "## Who was planted", "", *_planted(chosen, wish), "",
        "## Licences", "", *_licences(chosen),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _known(run: Source) -> str:
    """Whether somebody was planted in a run."""
    return "not known" if run.labels is None else "yes" if run.planted else "no"


def whose(run: Source) -> str:
    """Whose words a run holds; of a fork, those of who sat there before among them."""
    seats = {*run.seats.values(), *run.before}
    worded = {run.checkpoint} - _shipped() if seats & WORDED else set()
    if run.imported:
        return IMPORTED
    if run.world == "watch":
        return RECORDED
    if "human" in seats:
        return PEOPLE
    return ELSEWHERE if worded or seats - HERE - THEIRS else MODELS if seats & THEIRS else OURS


@cache
def _shipped() -> frozenset[str]:
    """The hashes of the weights that come with the program, from files: no card loads a model."""
    return frozenset(json.loads(path.read_bytes())["sha256"]["model.safetensors"] for path in sorted((Path(sociallm.__file__).parent / "checkpoints").glob("*/config.json")))


def _whose(chosen: Sequence[Source]) -> list[str]:
    """What the rows are, in sentences."""
    of = Counter(map(whose, chosen))
    played = of[OURS] + of[MODELS] + of[ELSEWHERE] + of[PEOPLE]
    found = ["What agents said to each other in games, market rounds and tasks of a simulation." + (" None of it was said by people." if set(of) <= {OURS, MODELS} else "")] if played else []
    if set(of) - {OURS}:
        others = [f"- {of[kind]} {what}" for kind, what in NOT_OURS.items() if of[kind]]
        found += [f"Of {len(chosen)} runs {of[OURS] or 'none'} hold words of this program alone. The others are", "", *others, ""]
    return found


def _columns(wish: Wish) -> list[str]:
    """What stands in which column of a row."""
    rows = [f"| `{name}` | {MEANS[name]} |" for name in columns(wish)] if wish.format in VIEWS else []
    return ["## Columns", "", "| column | what it holds |", "|---|---|", *rows, ""] if rows else []


def _files(chosen: Sequence[Source]) -> list[str]:
    """What was imported, by file."""
    by = Counter(run.imported for run in chosen if run.imported)
    rows = [f"| {_word(format)} | {_path(file)} | {_word(sha256, 64)} | {n} |" for (format, file, sha256), n in sorted(by.items())]
    more = [f"| and {len(rows) - MOST_FILES} files more | | | |"] if len(rows) > MOST_FILES else []
    return ["## Imported", "", "| format | file | SHA-256 | runs |", "|---|---|---|---|", *rows[:MOST_FILES], *more, ""] if rows else []


def _licences(chosen: Sequence[Source]) -> list[str]:
    of = set(map(whose, chosen))
    ours = [
        "Texts of the worlds' grammars and of the shipped model: Apache-2.0, as the program. The shipped model was trained on public sets under licences",
        "of their own, which its MODEL_CARD.md names.",
    ] if of & {OURS, MODELS, ELSEWHERE, PEOPLE} else []  # fmt: skip
    rest = "All else is" if ours else "The words are"
    return ours + [f"{rest} under the source's licence, which this program does not know: look at the sources before the set is passed on."] * bool(of - {OURS})


def _planted(chosen: Sequence[Source], wish: Wish) -> list[str]:
    some, unknown = sum(bool(run.planted) for run in chosen), sum(run.labels is None for run in chosen)
    how = "tagged in `planted`"
    if wish.planted == "exclude":
        how = "left out, but what they said to others stands in the rows of those who read it" + (" (`planted_others`)" if "labels" not in wish.without and wish.format in VIEWS else "")
    return [f"Liars or colluders were planted in {some} runs{f'; their rows are {how}' if some else ''}. {unknown} runs have no labels: nothing is known of them, which is not to say that",
            "nobody lied (seats can be made to lie by a scenario's own settings, and roles by a game's rules)."]  # fmt: skip


def _counted(title: str, counts: Any) -> list[str]:
    return [f"{title}: {', '.join(f'{n} {what}' for what, n in sorted(counts.items()))}.", ""] if counts else []


def _word(text: str, most: int = 60) -> str:
    """A name from outside, as a cell of a table."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text)[:most]


def _path(text: str) -> str:
    """A file's name, as a cell of a table: no link and no markup in it."""
    return "/".join(_word(part) for part in text.split("/"))[:200]


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
