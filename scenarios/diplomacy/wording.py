"""How agents word their acts: of games that are there, or of games played now, by any checkpoint.

    python -m scenarios.diplomacy.wording RUN…                                           run folders
    python -m scenarios.diplomacy.wording --play 101,102,103,104 --checkpoint base       a game to 1902 for each seed, then the table

The second is the whole table of a checkpoint (a shipped one by name, or a folder): the games as `python -m sandbox run
scenarios/diplomacy.yaml` plays them, the human games beside them, and how far the judge is to be trusted. `--failing` lists the
messages that the judge does not accept.

    means       share of messages that mean just their logged act, judged by `judge`, which shares nothing with the filter that let them pass
    says        share that say their act, whatever else they say
    fallback    share worded by the grammar, because no candidate of the model meant the act and added nothing to it
    distinct_2  different pairs of neighbouring words over all such pairs (Li et al. 2016), in samples of equal size beside the human games
    repeated    share of messages said before, word for word, in the same game
    echo_2      pairs of neighbouring words repeated within a message, over all of its pairs

Intervals resample runs where there are several, else messages; `…_by_message` always resamples messages, since a few games make a poor
bootstrap. How far the judge itself is to be trusted is `judge_accuracy`: sentences written by hand, each judged by a judge fitted without
it; and annotated candidates of the model and human messages, with their act (to be confirmed) and with the act changed in force or place
(to be denied).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scenarios.diplomacy.extraction import Annotated, annotated
from scenarios.diplomacy.extraction_bench import FACTS, ROOT, worded
from scenarios.diplomacy.judge import Judge, Verdict, fit, fitted, judge, lessons
from scenarios.diplomacy.press import UNKNOWN, act
from sociallm.conversation import AgentID

SCENARIO = ROOT / "scenarios" / "diplomacy.yaml"
SEED = 20261121  # of the resampling and of the draws of distinct-2: the same messages give the same figures
WORDS = 2000  # of each side, where distinct-2 is compared: it falls with the size of a text


@dataclass(frozen=True)
class Worded:
    """A message of a run with the act it was to mean and who worded it."""

    game: str
    author: AgentID
    readers: frozenset[AgentID]
    text: str
    act: Mapping[str, Any]
    by: str  # model or grammar


def read_run(folder: Path) -> list[Worded]:
    """The worded messages of a run folder. Raises ValueError naming file and line."""
    file, said = folder / "events.jsonl", []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: {getattr(error, 'strerror', None) or 'not UTF-8'}; give the folder of a run, the last line that `run` printed") from None
    for number, line in enumerate(lines, 1):
        if '"kind":"message"' not in line:
            continue
        try:
            event = json.loads(line)
            data = event["data"]
            if "act" in data:
                said.append(Worded(str(folder), event["agent"], frozenset(data["readers"]), data["text"], data["act"], data["by"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file}:{number}: not a message of a run ({type(error).__name__}: {error}); check the folder with `sandbox replay`") from None
    return said


def played(seed: int, checkpoint: str, last_year: int, folder: Path) -> Path:
    """The folder of a game played now, in a process of its own. Raises ValueError with the run's own last word where it breaks."""
    settings = [f"seed={seed}", f"environment.last_year={last_year}", f"policies.social.checkpoint={checkpoint}", f"run_dir={folder}"]
    command = [sys.executable, "-m", "sandbox", "run", str(SCENARIO), *settings, "executor=local", "plots=false"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
        raise ValueError(f"the game of seed {seed} broke: {said[-1]}")
    return Path(done.stdout.splitlines()[-1])


def pairs(text: str) -> list[tuple[str, str]]:
    """Neighbouring words, lower case."""
    words = re.findall(r"[\w']+", text.lower())
    return list(zip(words, words[1:], strict=False))


def distinct_2(texts: Sequence[str], rng: np.random.Generator, *, words: int = WORDS, draws: int = 50) -> float:
    """Mean over draws of whole messages in random order, until `words` pairs are reached (all of them if there are fewer)."""
    found = [p for p in map(pairs, texts) if p]
    shares = []
    for _ in range(draws if found else 0):
        taken: list[tuple[str, str]] = []
        for i in rng.permutation(len(found)):
            taken += found[i]
            if len(taken) >= words:
                break
        taken = taken[:words]
        shares.append(len(set(taken)) / len(taken))
    return float(np.mean(shares)) if shares else 0.0


def repetition(games: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """`repeated` and `echo_2` of texts by game, in their order."""
    said = again = twice = total = 0
    for texts in games.values():
        heard: set[str] = set()
        for text in texts:
            plain = " ".join(text.lower().split())
            said, again = said + 1, again + (plain in heard)
            heard.add(plain)
            found = pairs(text)
            total, twice = total + len(found), twice + len(found) - len(set(found))
    return {"repeated": round(again / max(1, said), 4), "echo_2": round(twice / max(1, total), 4)}


def share(flags: Mapping[str, Sequence[bool]], rng: np.random.Generator, *, resamples: int = 2000) -> list[float]:
    """[share, low, high]: 95 % percentile bootstrap over the keys, or over the flags if there is one key only."""
    groups = [np.array(f, dtype=float) for f in flags.values() if len(f)]
    groups = [np.array([x]) for x in groups[0]] if len(groups) == 1 else groups
    if not groups:
        return [0.0, 0.0, 0.0]
    counts = np.array([(g.sum(), len(g)) for g in groups])
    picked = counts[rng.integers(len(counts), size=(resamples, len(counts)))].sum(axis=1)
    low, high = np.quantile(picked[:, 0] / picked[:, 1], (0.025, 0.975))
    return [round(float(x), 4) for x in (counts[:, 0].sum() / counts[:, 1].sum(), low, high)]


def _by_game(said: Sequence[Worded], value: Callable[[Worded], bool]) -> dict[str, list[bool]]:
    games: dict[str, list[bool]] = {}
    for message in said:
        games.setdefault(message.game, []).append(value(message))
    return games


def _together(games: Mapping[str, Sequence[bool]]) -> dict[str, list[bool]]:
    return {"": [flag for flags in games.values() for flag in flags]}


def wording(said: Sequence[Worded], rng: np.random.Generator, by: Judge | None = None) -> dict[str, Any]:
    """The figures of the messages of one or more runs."""
    by = by or fitted()
    verdicts = {id(m): judge(m.text, m.act, m.author, m.readers, by) for m in said}
    means, fallback = _by_game(said, lambda m: verdicts[id(m)].means), _by_game(said, lambda m: m.by != "model")
    return {
        "games": len(means),
        "messages": len(said),
        "means": share(means, rng),
        "means_by_message": share(_together(means), rng),
        "says": share(_by_game(said, lambda m: verdicts[id(m)].said), rng),
        "fallback": share(fallback, rng),
        "fallback_by_message": share(_together(fallback), rng),
        "distinct_2": round(distinct_2([m.text for m in said], rng), 4),
        **repetition({game: [m.text for m in said if m.game == game] for game in dict.fromkeys(m.game for m in said)}),
    }


def failing(said: Sequence[Worded]) -> list[str]:
    """A line for each message that the judge does not accept: its text, its act, and what is amiss."""
    lines = []
    for m in said:
        verdict = judge(m.text, m.act, m.author, m.readers, fitted())
        if not verdict.means:
            amiss = "says more" if verdict.said else "says something else" if verdict.more else "does not say it"
            lines.append(f"{m.text!r} ({m.by}) for {m.act['act']} {json.dumps(m.act['about'])}: {amiss}")
    return lines


# ---- the judge judged -----------------------------------------------------------------------------------------------

_OTHER_FORCE = {"propose": "refuse", "ask": "refuse", "promise": "refuse", "inform": "refuse", "accept": "refuse", "refuse": "accept"}


def _changed(about: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The same about another place or enemy; None where it names neither."""
    if "order" in about:
        *rest, last = about["order"].split()
        return {**about, "order": " ".join([*rest, "PAR" if last[:3] != "PAR" else "VIE"])} if last not in ("H", "VIA") else None
    if "provinces" in about:
        return {**about, "provinces": ["PAR" if about["provinces"][0] != "PAR" else "VIE"]}
    return {**about, "against": "FRANCE" if about["against"] != "FRANCE" else "TURKEY"} if "against" in about else None


def trials(message: Annotated) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """(act, whether the message means just it): its own act if it has just one, the first of several, and changed ones."""
    first, about = message.acts[0], message.acts[0]["about"]
    to = message.readers - {message.author}
    yield act(first["act"], to, about), len(message.acts) == 1
    kind = _OTHER_FORCE[first["act"]]
    whose = {**about, "power": message.author} if kind == "refuse" and about.get("power") in to else about
    if "power" not in about or not about["order"].startswith(f"{UNKNOWN} -"):  # such a refusal would promise a DMZ
        yield act(kind, to, whose), False
    changed = _changed(about)
    if changed:
        yield act(first["act"], to, changed), False


def accuracy(messages: Sequence[Annotated], rng: np.random.Generator, by: Judge | None = None) -> dict[str, Any]:
    """Of messages with an act: how often what they mean is confirmed, and what they do not mean denied; balanced: the mean of both."""
    confirmed: dict[str, list[bool]] = {}
    denied: dict[str, list[bool]] = {}
    for message in messages:
        for tried, truth in trials(message) if message.acts else ():
            verdict: Verdict = judge(message.text, tried, message.author, message.readers, by)
            (confirmed if truth else denied).setdefault(message.game, []).append(verdict.means == truth)
    yes, no = share(confirmed, rng), share(denied, rng)
    return {"confirmed": yes, "denied": no, "balanced": round((yes[0] + no[0]) / 2, 4), "trials": sum(map(len, (*confirmed.values(), *denied.values())))}


def judge_accuracy(data: Path, rng: np.random.Generator) -> dict[str, Any]:
    """The judge on sentences written by hand (each left out), on annotated candidates, and on human messages where the games are there."""
    hand, made = lessons()
    by, left_out = fit(hand, made)
    report: dict[str, Any] = {"hand_class": share({"": [k == best for (k, _), best in zip(hand, left_out, strict=True)]}, rng)}
    for part in ("tuning", "held_out"):
        report[f"candidates_{part}"] = accuracy(worded(FACTS / "own_press.jsonl", part), rng, by)
    if (data / "cicero_games").is_dir():
        report["human"] = accuracy(annotated(FACTS / "press_annotations.json", data / "cicero_games", "held_out"), rng, by)
    return report


def human(data: Path, rng: np.random.Generator) -> dict[str, Any]:
    """distinct-2 and repetition of the human messages of the held-out games."""
    messages = annotated(FACTS / "press_annotations.json", data / "cicero_games", "held_out")
    games = {game: [m.text for m in messages if m.game == game] for game in dict.fromkeys(m.game for m in messages)}
    return {"messages": len(messages), "distinct_2": round(distinct_2([m.text for m in messages], rng), 4), **repetition(games)}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scenarios.diplomacy.wording", description="How agents word their acts, judged by a second reader.")
    parser.add_argument("runs", nargs="*", type=Path, help="run folders; none, and nothing to play: the judge's own accuracy alone")
    parser.add_argument("--play", type=_seeds, default=[], metavar="SEEDS", help="play a game for each of these seeds first: 101,102")
    parser.add_argument("--checkpoint", default="base", help="of the games played: a shipped one by name, or a folder (default base)")
    parser.add_argument("--last-year", type=int, default=1902, help="of the games played (default 1902)")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="where the games played are kept (default runs)")
    parser.add_argument("--failing", action="store_true", help="list the messages that the judge does not accept")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SOCIALLM_DATA") or ROOT.parent / "shared" / "data"))
    given = parser.parse_args(argv)
    rng = np.random.default_rng(SEED)
    try:
        runs = [*given.runs, *(played(seed, given.checkpoint, given.last_year, given.out.resolve()) for seed in given.play)]
        said = [message for run in runs for message in read_run(run)]
        report: dict[str, Any] = {"runs": wording(said, rng)} if runs else {}
        if (given.data / "cicero_games").is_dir():
            report["human"] = human(given.data, rng)
        report["judge"] = judge_accuracy(given.data, rng)
    except (OSError, ValueError) as error:
        print(f"wording: {error}", file=sys.stderr)
        return 1
    if given.failing:
        print("\n".join(failing(said)))
    print(json.dumps(report) if given.json else "\n".join(f"{k:6s} {name:19s} {value}" for k, row in report.items() for name, value in row.items()))
    return 0


def _seeds(text: str) -> list[int]:
    try:
        return [int(seed) for seed in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r:.40}, expected seeds with commas between them, such as 101,102") from None


if __name__ == "__main__":
    raise SystemExit(main())
