"""Watched human games: is a reader less surprised with its states than without them? One row a game, intervals by game.

The surprise of a message is the mean over its readers, of a game the sum over its messages by their tokens (nats per token).
Each difference is paired within a game; the interval resamples games. Games the model never saw are told apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

import sociallm
from analysis.metrics import STATES, AnalysisError, nats_per_token, outcomes, read_run, surprises
from analysis.stats import Interval, paired_bootstrap
from sandbox.log import printable

MODEL_CARD = Path(sociallm.__file__).parent / "checkpoints" / "base" / "MODEL_CARD.md"
_GAME = re.compile(r"game_[A-Za-z0-9_]+\.json")
_CARD_BYTES = 1_000_000
WITHOUT = tuple(key for key in STATES if key != "surprise")


def held_out_games(path: Path) -> frozenset[str]:
    """The game files named in a text (a model card, a list): those the model was never trained on."""
    try:
        with open(path, encoding="utf-8", errors="replace") as card:
            named = frozenset(_GAME.findall(card.read(_CARD_BYTES)))
    except OSError as error:
        raise AnalysisError(f"{path}: cannot read the held-out games ({error.strerror}); name a file that lists them") from None
    if not named:
        raise AnalysisError(f"{path}: names no game_….json; name a file that lists the held-out games")
    return named


def games(runs: Sequence[Path], held_out: Collection[str], torn: Callable[[str], None] | None = None) -> pd.DataFrame:
    """One row a game: game, held_out, messages, tokens, nats per token for each state of memory, and the differences.

    Of several runs of one game the last counts (folders of runs are named by date), and `torn` is told.
    """
    latest: dict[object, dict[str, object]] = {}
    for run in runs:
        row = _row(run, held_out, torn)
        if row["game"] in latest and torn is not None:
            torn(f"{run}: watches {printable(str(row['game']))} again; the run named before it is left out")
        latest[row["game"]] = row
    rows = list(latest.values())
    keys = set.intersection(*(set(row) for row in rows))  # what every run has measured
    table = pd.DataFrame([{key: value for key, value in row.items() if key in keys} for row in rows])
    for key in WITHOUT:
        if key in table:
            table[f"gain_{key.removeprefix('surprise_')}"] = table["surprise"] - table[key]
    return table.sort_values("game", ignore_index=True)


def _row(run: Path, held_out: Collection[str], torn: Callable[[str], None] | None) -> dict[str, object]:
    events = read_run(run, torn)
    named = [str(game.get("game")) for _, game in outcomes(events, "game")]
    if len(named) != 1:
        raise AnalysisError(f"{run}: not a run of a watched game; make one with `python -m sandbox run scenarios/watch.yaml game=FILE`")
    read = surprises(events)
    measured = nats_per_token(read)
    if not {"surprise", "surprise_no_states"} <= set(measured):
        raise AnalysisError(f"{run}: holds no surprise; watch the game again with measure.surprise=true")
    if events[-1].kind != "end" or events[-1].data.get("ended") != "done":
        raise AnalysisError(f"{run}: the game was not watched to its end; watch it again")
    tokens = read.drop_duplicates("message")["tokens"].sum()
    return {"game": named[0], "held_out": named[0] in held_out, "messages": read["message"].nunique(), "tokens": int(tokens), **measured}


def intervals(table: pd.DataFrame, rng: np.random.Generator) -> list[tuple[str, str, Interval]]:
    """(which games, which difference, its interval): over all, then over the held-out and over the other games if there are any."""
    groups = [("all games", table), ("held out", table[table["held_out"]]), ("other games", table[~table["held_out"]])]
    return [(name, f"both states − {STATES[key]}", paired_bootstrap(part["surprise"].tolist(), part[key].tolist(), rng))
            for name, part in groups if len(part) for key in reversed(WITHOUT) if key in part]


def as_text(table: pd.DataFrame, found: Sequence[tuple[str, str, Interval]]) -> str:
    """Both tables for a terminal."""
    shown = table.assign(game=table["game"].map(lambda game: printable(str(game))), held_out=table["held_out"].map({True: "yes", False: ""}))
    shown = shown.rename(columns=dict(STATES) | {f"gain_{key.removeprefix('surprise_')}": f"minus {STATES[key]}" for key in WITHOUT})
    lines = [shown.to_string(index=False, float_format=lambda value: f"{value:.4f}"), "", "surprise in nats per token, below 0: the states help; mean over games, 95 % interval by paired bootstrap over games"]
    for name, what, interval in found:
        reach = "one game, no interval" if np.isnan(interval.low) else f"[{interval.low:+.4f}, {interval.high:+.4f}]"
        lines.append(f"{name:<11} {what:<36} {interval.mean:+.4f}  {reach}  ({interval.units} games)")
    return "\n".join(lines)
