"""What the negotiator is worth and how it behaves, measured: `python -m scenarios.diplomacy.bench play | behaviour`.

    play         one negotiator among six random movers: its centres at the end; and a pair of negotiators among five silent
                 ones: their centres together, the pair allowed to talk less the same pair silenced (paired by seed)
    behaviour    negotiators beside people, one table (see `behaviour`); needs the recorded games

Every figure is a mean over games with its 95 % percentile bootstrap interval, whole games (or pairs of games) resampled.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scenarios.diplomacy.behaviour import COMPARED, FACTOR, alike, measure, table
from scenarios.diplomacy.environment import Options, make
from scenarios.diplomacy.games import Game, GameError, cicero_game, lies_games
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.selfplay import centres, game_of, play
from scenarios.playing import stream

RESAMPLES = 10_000
# Powers that can reach each other's centres within two years: what the others say to each other hardly matters by 1905.
NEIGHBOURS = (
    "AUSTRIA-GERMANY", "AUSTRIA-ITALY", "AUSTRIA-RUSSIA", "AUSTRIA-TURKEY", "ENGLAND-FRANCE", "ENGLAND-GERMANY", "ENGLAND-RUSSIA",
    "FRANCE-GERMANY", "FRANCE-ITALY", "GERMANY-RUSSIA", "ITALY-TURKEY", "RUSSIA-TURKEY",
)  # fmt: skip


def among_random(games: int, last_year: int, seed: int = 0) -> list[int]:
    """The centres of one negotiator among six random movers, a game each; the power changes from game to game."""
    world = make(Options(last_year=last_year, press_rounds=0))
    return [
        centres(play(world, seed + game, set(POWERS) - {power}))[power] for game, power in zip(range(games), _round_robin(POWERS), strict=False)
    ]


def talking_pairs(games: int, last_year: int, seed: int = 0) -> list[tuple[int, int]]:
    """(centres of two neighbours together where they may talk, and where not) by game; the other five are silent negotiators in both."""
    found = []
    for game, pair in zip(range(games), _round_robin(NEIGHBOURS), strict=False):
        both = []
        for silenced in ([], [pair]):
            world = make(Options(last_year=last_year, press="private", pairs=[pair], silenced=silenced))
            held = centres(play(world, seed + game))
            both.append(sum(held[power] for power in pair.split("-")))
        found.append((both[0], both[1]))
    return found


def _round_robin(items: Sequence[Any]) -> Iterator[Any]:
    while True:
        yield from items


def interval(values: Sequence[float], rng: np.random.Generator) -> dict[str, float]:
    """Mean and 95 % percentile bootstrap interval. Raises ValueError for fewer than two values."""
    if len(values) < 2:
        raise ValueError(f"an interval needs at least two games, got {len(values)}; give a larger --games")
    each = np.asarray(values, dtype=float)
    low, high = np.quantile(each[rng.integers(len(each), size=(RESAMPLES, len(each)))].mean(axis=1), (0.025, 0.975))
    return {"mean": float(each.mean()), "low": float(low), "high": float(high), "games": len(each)}


def negotiators(games: int, last_year: int, seed: int = 0) -> list[Game]:
    """Games of seven negotiators under the default options."""
    world = make(Options(last_year=last_year))
    return [game_of(f"seed {seed + game}", play(world, seed + game)) for game in range(games)]


def measured_play(games: int, pairs: int, last_year: int, seed: int) -> dict[str, Any]:
    """The two figures of `play`, and what a game costs."""
    begun = time.process_time()
    alone = interval(among_random(games, last_year, seed), stream(seed, "alone"))
    both = talking_pairs(pairs, last_year, seed)
    gain = interval([talk - silent for talk, silent in both], stream(seed, "gain"))
    begun, spent = time.process_time(), time.process_time() - begun
    negotiators(1, last_year, seed)
    return {
        "centres_among_random": alone,
        "pair_gain_from_talk": gain,
        "pair_talking": float(np.mean([talk for talk, _ in both])),
        "pair_silenced": float(np.mean([silent for _, silent in both])),
        "cpu_s": round(spent, 1),
        "cpu_s_per_game_of_seven": round(time.process_time() - begun, 2),
        "last_year": last_year,
        "seed": seed,
    }


def measured_behaviour(data: Path, games: int, last_year: int, seed: int) -> tuple[dict[str, Any], str]:
    """(the rows, the table) of negotiators beside Cicero's games (the reference) and the games of the lies corpus."""
    files = sorted((data / "cicero_games").glob("game_*.json"))
    if not files:
        raise GameError(f"{data / 'cicero_games'}: no recorded games there; name the folder that holds cicero_games with --data")
    sets = {"negotiators": negotiators(games, last_year, seed), "cicero_games": [cicero_game(f) for f in files]}
    if (data / "diplomacy_lies" / "moves.jsonl").is_file():
        sets["diplomacy_lies"] = lies_games(data / "diplomacy_lies")
    columns = {name: measure(found, stream(seed, name)) for name, found in sets.items()}
    rows = {
        row: {name: [round(v, 4) for v in (c[row].value, c[row].low, c[row].high)] for name, c in columns.items()}
        | ({"within": alike(columns["negotiators"][row], columns["cicero_games"][row])} if row in COMPARED else {})
        for row in columns["negotiators"]
    }
    return {"rows": rows, "factor": FACTOR, "games": {n: len(g) for n, g in sets.items()}, "seed": seed}, table(columns, "cicero_games")


def main(words: Sequence[str] | None = None) -> int:
    """The command. With --json the last line is one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m scenarios.diplomacy.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("play", "behaviour"))
    parser.add_argument("--games", type=int, default=20, help="games of one negotiator among random movers; of seven negotiators (default 20)")
    parser.add_argument("--pairs", type=int, default=84, help="play: paired games of a pair, allowed and silenced (default 84, each of the twelve pairs of neighbours seven times)")
    parser.add_argument("--last-year", type=int, default=1905)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="behaviour: the folder that holds cicero_games")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(words)
    try:
        if given.what == "play":
            found, told = measured_play(given.games, given.pairs, given.last_year, given.seed), ""
        else:
            found, told = measured_behaviour(given.data, given.games, given.last_year, given.seed)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps(found))
    else:
        print(told or "\n".join(f"{key}: {_line(value)}" for key, value in found.items()))
    return 0


def _line(value: Any) -> str:
    return f"{value['mean']:.2f} [{value['low']:.2f}, {value['high']:.2f}] over {value['games']} games" if isinstance(value, dict) else str(value)


if __name__ == "__main__":
    sys.exit(main())
