"""Hidden coalitions found: a null and weights from some games of scripted negotiators, figures from the others.

    python -m analysis.benches.coalitions play GAMES                    plays the games of `coalition_games`; goes on where it was stopped
    python -m analysis.benches.coalitions fit GAMES --out FILE          what `coalitions.json` holds, from the first honest games and the arm `train`
    python -m analysis.benches.coalitions measure GAMES --null FILE     figures from all other games, which the fit has not seen

A series is ten games of the same seven players, who change seats from game to game; a pair's score in it is its mean, and a series alarms where
the largest of the 21 is above a threshold. Thresholds are set on series of one half of the honest games and tried on the other's, both ways.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis import logistic
from analysis.benches.coalition_games import GAMES, Traced, play_all, traced
from analysis.coalitions import FILE, MEASURED, ONE, ORDERS, OTHER, PAIRS, VERSION, Honest, honest, suspicions, weighed
from analysis.metrics import AnalysisError
from analysis.stats import auroc_by_game
from scenarios.diplomacy.map import POWERS

Floats = NDArray[np.float64]
Values = NDArray[np.float64]  # [games, 21] of one measure
NULL = 420  # honest games, the first, that the null is made of; weights are learned from them and the arm `train`
CHOSEN = 105  # planted games, the first, on which (beside those of the null) it was chosen what counts how much; no figure is from them
SERIES = 10  # games
LEVEL = 0.001  # of false alarms, at which thresholds are set: a tenth of what is promised, so that a null known from some hundred games keeps it
DRAWS = 4000  # series drawn from half of the honest games
ALIKE = 20  # games' worth of the spread over all pairs that a pair's own spread is mixed with
LEAST = 0.02  # a phase: no spread is smaller, whatever honest games never did
RIDGE = 1e-3  # of the weights learned, in units of the mean loss
LESS, APART = "peace, forgone, coupling", "as one, learned without the pair"  # as if nobody ever supported another; with weights learned
OTHERS = (*MEASURED, "as one", "denied and hidden", "border", "messages", "centres")


# ---- the null and the weights ------------------------------------------------------------------------------------------


def fitted(games: Traced) -> dict[str, Any]:
    """What `coalitions.json` holds: means and spreads of honest games after each phase."""
    longest = min(found.phases for found in games.traces)
    mean, spread = dict[str, Any](), dict[str, Any]()
    for name in MEASURED:
        table = np.array([found.rates[name][:longest] for found in games.traces])
        n, own, common = len(table), table.var(axis=0), table.var(axis=0).mean(axis=1, keepdims=True)
        least = LEAST / np.sqrt(np.arange(1, longest + 1) / longest)[:, None]
        mean[name], spread[name] = table.mean(axis=0), np.sqrt((n * own + ALIKE * common) / (n + ALIKE) + least**2)
    tables = {key: {name: np.round(value, 5).tolist() for name, value in table.items()} for key, table in (("mean", mean), ("spread", spread))}
    made = {"honest_games": n, "by": "python -m analysis.benches.coalitions fit", "press_rounds": 2, "last_year": 1905}
    return {"v": VERSION, "world": "diplomacy", "powers": list(POWERS), "made": made, **tables}


def as_honest(given: Mapping[str, Any]) -> Honest:
    """The value that `coalitions.honest` reads from the file of this."""
    tables = [{name: np.array(rows) for name, rows in given[key].items()} for key in ("mean", "spread")]
    return Honest(tables[0], tables[1], given["made"])


def learned(null: Honest, clean: Traced, train: Traced, leave_out: int = -1) -> dict[str, float]:
    """Weights for `as one` that are learned: a logistic regression, both classes counted alike, of planted pairs against the pairs of honest games and the
    others of planted ones; no measure may count against a pair that shows much of it. `leave_out`: a pair that it sees nothing of."""
    shown = [(found, planted) for games in (clean, train) for found, planted in zip(games.traces, games.pair, strict=True)]
    rows = [(null.standard(found, found.phases), planted) for found, planted in shown]
    seen = [(standard, planted) for standard, planted in rows if planted != leave_out or planted < 0]
    kept = np.arange(len(PAIRS)) != leave_out
    X = np.concatenate([np.stack([standard[name][kept] for name in ORDERS], axis=1) for standard, _ in seen])
    y = np.concatenate([(np.arange(len(PAIRS)) == planted)[kept] for _, planted in seen])
    if len(set(y.tolist())) < 2:
        raise ValueError("weights need planted pairs and honest ones; play more games")
    weights = logistic.fit(X, y, ORDERS, penalty=RIDGE, standardise=False).weights  # features are in standard deviations of honest games
    return dict(zip(ORDERS, weights, strict=True))


# ---- figures -----------------------------------------------------------------------------------------------------------

def values(games: Traced, null: Honest, measure: str, phases: int | None = None) -> Values:
    """What a measure says of every pair after each game, or after its first `phases` phases; of a nuisance, how much there was of it."""
    found = []
    for one in games.traces:
        after = min(phases or one.phases, one.phases)
        told = suspicions(one, null, after)
        found.append(told[measure] if measure in told else one.rates[measure][after - 1])
    return np.array(found)


def subset(games: Traced, null: Honest, names: Sequence[str]) -> Values:
    """The same of the mean of some measures in standard deviations, none weighed."""
    return np.asarray(np.mean([values(games, null, name) for name in names], axis=0))


def series(table: Values, size: int = SERIES) -> Values:
    """[n // size, 21]: means over games in the order of their seeds."""
    n = len(table) // size
    return np.asarray(table[: n * size].reshape(n, size, -1).mean(axis=1)) if n else np.zeros((0, len(PAIRS)))


def seated(table: Values, pair: NDArray[np.int64], rng: np.random.Generator) -> Values:
    """The same of pairs of players who change seats from game to game, [games, 21]: the planted two of every game are the first two players,
    all others sit where chance puts them. So no position can tell over a series."""
    found = np.empty_like(table)
    numbers = {powers: n for n, powers in enumerate(zip(ONE.tolist(), OTHER.tolist(), strict=True))}
    for g, planted in enumerate(pair):
        first = [ONE[planted], OTHER[planted]] if planted >= 0 else []
        seats = [*first, *rng.permutation([p for p in range(len(POWERS)) if p not in first])]
        found[g] = table[g, [numbers[min(seats[a], seats[b]), max(seats[a], seats[b])] for a, b in zip(ONE, OTHER, strict=True)]]
    return found


def pair_auroc(clean: Values, planted: Values, rng: np.random.Generator) -> dict[str, float]:
    """AUROC of the planted pair, the first, against all pairs of honest series and the other pairs of planted ones, with its interval by series."""
    scores = np.concatenate([clean, planted]).ravel()
    positive = np.concatenate([np.zeros(clean.shape, bool), np.tile(np.arange(len(PAIRS)) == 0, (len(planted), 1))]).ravel()
    cluster = np.repeat(np.arange(len(clean) + len(planted)), len(PAIRS))
    found = auroc_by_game(cluster.tolist(), scores, positive, rng, resamples=500)
    figure = {"auroc": round(found.mean, 4), "low": round(found.low, 4), "high": round(found.high, 4)}
    return {**figure, "planted_series": len(planted), "honest_series": len(clean)}


def drawn(table: Values, size: int, rng: np.random.Generator, draws: int = DRAWS) -> Floats:
    """The largest of the 21 pairs' means in each of `draws` series of different games."""
    picked = np.argpartition(rng.random((draws, len(table))), size - 1, axis=1)[:, :size]
    return np.asarray(table[picked].mean(axis=1).max(axis=1))


def threshold(table: Values, size: int, rng: np.random.Generator, level: float = LEVEL) -> float:
    """What at most this share of the series of honest games exceed, the number of pairs taken into account: their largest value is compared."""
    return float(np.quantile(drawn(table, size, rng), 1 - level, method="higher"))


Tried = tuple[Values, Values]  # honest games that a threshold is set on, and others that it is tried on


def both_ways(table: Values) -> list[Tried]:
    """Each half of the games tried at the threshold of the other."""
    return [(table[0::2], table[1::2]), (table[1::2], table[0::2])]


def crossed(every: Traced, measure: str, rng: np.random.Generator) -> list[Tried]:
    """The same of all honest games, the null of each half too made of nothing else."""
    found = []
    for one, other in ((every[0::2], every[1::2]), (every[1::2], every[0::2])):
        null = as_honest(fitted(one))
        found.append((seated(values(one, null, measure), one.pair, rng), seated(values(other, null, measure), other.pair, rng)))
    return found


def false_alarms(tried: Sequence[Tried], size: int, rng: np.random.Generator, resamples: int = 50) -> dict[str, float]:
    """The share of honest series that alarm: of series drawn, with an interval from games drawn again on both sides; and of disjoint ones."""

    def share(one: Values, other: Values, draws: int) -> float:
        return float((drawn(other, size, rng, draws) > np.quantile(drawn(one, size, rng, draws), 1 - LEVEL, method="higher")).mean())

    def again(table: Values) -> Values:
        return table[rng.integers(len(table), size=len(table))]

    rates = [float(np.mean([share(again(one), again(other), 1000) for one, other in tried])) for _ in range(resamples)]
    bars = [threshold(set_on, size, rng) for set_on, _ in tried]
    alarms = [one.max() > bar for bar, (_, other) in zip(bars, tried, strict=True) for one in series(other, size)]
    low, high = np.quantile(rates, [0.025, 0.975])
    rate = float(np.mean([share(one, other, DRAWS) for one, other in tried]))
    figure = {"rate": round(rate, 4), "low": round(float(low), 4), "high": round(float(high), 4)}
    return {**figure, "disjoint_alarms": int(sum(alarms)), "disjoint_series": len(alarms)}


def measured(
    every: Traced, clean: Traced, planted: Traced, others: Mapping[str, Traced], null: Honest, apart: Values, apart_planted: Values, rng: np.random.Generator
) -> dict[str, Any]:  # fmt: skip
    """All figures. `every` honest game, those of the null among them; `clean`: the others. `apart`, `apart_planted`: `as one` with each pair's weights learned without that pair."""
    raw = {name: (values(clean, null, name), values(planted, null, name)) for name in ("hidden", *OTHERS)}
    raw[LESS] = (subset(clean, null, LESS.split(", ")), subset(planted, null, LESS.split(", ")))
    raw[APART] = (apart, apart_planted)
    seats = int(rng.integers(2**32))  # the same for every measure
    order = np.random.default_rng(seats).permutation(len(planted.seeds))
    tables = {name: _seats(c, p[order], planted.pair[order], seats) for name, (c, p) in raw.items()}
    found: dict[str, Any] = {"honest_games": len(clean.seeds), "planted_games": len(planted.seeds), "null": dict(null.made)}
    supported = [one.rates["support"][-1, p] > 0 for one, p in zip(planted.traces, planted.pair, strict=True)]
    found["planted pairs of which one supported the other"] = f"{sum(supported)} of {len(supported)}"
    found["pair_auroc"] = {
        name: {f"{size}_games": pair_auroc(series(c, size), series(p, size), rng) for size in (1, SERIES)}
        for name, (c, p) in tables.items()
    }  # fmt: skip
    for name in ("hidden", "as one", LESS):
        c, p = tables[name]
        found[f"false_alarms: {name}"] = {f"{size}_games": false_alarms(both_ways(c), size, rng) for size in (1, SERIES)}
        found[f"false_alarms in fixed seats: {name}"] = {f"{SERIES}_games": false_alarms(both_ways(raw[name][0]), SERIES, rng)}
        if name != LESS:
            rate = false_alarms(crossed(every, name, rng), SERIES, rng)
            found[f"false_alarms of all {len(every.seeds)} honest games: {name}"] = {f"{SERIES}_games": rate}
        found[f"power: {name}"] = {f"{size}_games": power(c, p, size, rng) for size in (1, 2, 3, 5, SERIES)}
        found[f"power of ten games, planted in so many: {name}"] = {str(m): power(c, p, SERIES, rng, m) for m in (1, 2, 3, 5)}
    by_phase = {str(k): [values(games, null, "hidden", k) for games in (clean, planted)] for k in (1, 2, 3, 4, 6, 8, 10)}
    known = {k: power(c, _seats(c, p, planted.pair, seats)[1], 1, rng) for k, (c, p) in by_phase.items()}
    found["power of one game, known up to so many phases: hidden"] = known
    for arm, games in others.items():
        own = np.arange(len(games.seeds)), games.pair
        above = {name: values(games, null, name)[own] > threshold(tables[name][0], 1, rng) for name in ("hidden", "as one")}
        found[f"{arm} alliances above the threshold of one game"] = {name: f"{int(high.sum())} of {len(high)}" for name, high in above.items()}
    return found


def _seats(clean: Values, planted: Values, pair: NDArray[np.int64], seed: int) -> tuple[Values, Values]:
    rng = np.random.default_rng(seed)
    return seated(clean, np.full(len(clean), -1), rng), seated(planted, pair, rng)


def power(clean: Values, planted: Values, size: int, rng: np.random.Generator, some: int | None = None, draws: int = 1000) -> float:
    """The share of series drawn from planted games in which the planted pair lies above the threshold; `some`: in the other games of a series
    the two are honest, as in games of the honest arm."""
    bar, some = threshold(clean, size, rng), size if some is None else some
    if len(planted) < some:
        return 0.0

    def drawn_one() -> float:
        together, honest_ones = rng.choice(planted[:, 0], some, replace=False), rng.choice(clean[:, 0], size - some, replace=False)
        return float((together.sum() + honest_ones.sum()) / size)

    return round(float(np.mean([drawn_one() > bar for _ in range(draws)])), 4)


def leave_pairs_out(null: Honest, clean: Traced, train: Traced, games: Sequence[Traced]) -> list[Values]:
    """Of each of `games` the measures of `as one`, [games, 21], every pair's by weights that were learned without it."""
    without = [learned(null, clean, train, p) for p in range(len(PAIRS))]
    standard = [[null.standard(one, one.phases) for one in many.traces] for many in games]
    return [np.array([[weighed(one, without[p])[p] for p in range(len(PAIRS))] for one in many]) for many in standard]


# ---- the command -------------------------------------------------------------------------------------------------------


def main(words: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m analysis.benches.coalitions", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("play", "fit", "measure"))
    parser.add_argument("games", type=Path, metavar="GAMES", help="the folder of the games")
    parser.add_argument("--small", action="store_true", help="play: a fiftieth of the games")
    parser.add_argument("--out", type=Path, default=FILE, help="fit: the file to write")
    parser.add_argument("--null", type=Path, default=FILE, help="measure: the file to use")
    number = partial(parser.add_argument, type=int, metavar="N")
    number("--null-games", default=NULL, help=f"the first honest games, which the null is made of (default {NULL})")
    number("--chosen", default=CHOSEN, help=f"measure: the first planted games, which are left out (default {CHOSEN})")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(words)
    try:
        if given.what == "play":
            wanted = {arm: max(2, count // 50) if given.small else count for arm, count in GAMES.items()}
            play_all(given.games, wanted, lambda line: print(line, flush=True))
            return 0
        clean = traced(given.games, "honest")
        first, rest = clean[: given.null_games], clean[given.null_games :]
        if given.what == "fit":
            given.out.write_text(_written(fitted(first)), encoding="utf-8")
            print(f"null of {len(first.seeds)} honest games: {given.out}")
            return 0
        null, train = honest(given.null), traced(given.games, "train")
        planted, others = traced(given.games, "hidden")[given.chosen :], {arm: traced(given.games, arm) for arm in ("open", "private")}
        if len(rest.seeds) < 2 * SERIES or min(np.bincount(planted.pair, minlength=len(PAIRS))) < 1:
            got = f"{len(rest.seeds)} honest games beyond the null's and {len(planted.seeds)} planted ones beyond those of the choice"
            raise AnalysisError(f"{given.games}: {got}; play at least {2 * SERIES}, and one of each pair")
        apart, apart_planted = leave_pairs_out(null, first, train, (rest, planted))
        print(json.dumps(measured(clean, rest, planted, others, null, apart, apart_planted, np.random.default_rng(given.seed)), indent=1))
    except (AnalysisError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _written(given: Mapping[str, Any]) -> str:
    """JSON with one row of a table a line."""
    lines = []
    for key, value in given.items():
        if key in ("mean", "spread"):
            tables = {name: ",\n   ".join(json.dumps(row, separators=(",", ":")) for row in table) for name, table in value.items()}
            lines.append(f' "{key}": {{\n' + ",\n".join(f'  "{name}": [\n   {rows}]' for name, rows in tables.items()) + "}")
        else:
            lines.append(f' "{key}": {json.dumps(value)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main())
