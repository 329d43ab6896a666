"""Bid rings found: auctions played in memory, weights learned on some seeds, tried on others.

    python -m analysis.benches.screens train FILE        learns the weights (shipped as analysis/ring.json), on seeds 1 to 300 of each kind
    python -m analysis.benches.screens test              how often honest auctions, rings of all and rings of some are told right, on seeds from 20,000
    … --games SHARE                                   so many times as many games

Each game draws its own market: four to six sellers, how much of every cost is the job's and known to all, everybody's noise, and of a ring how far it
spreads its bids and draws their level anew so as to look like rivals (none of it seen by a detector). Honest games are the same markets without the
ring. A ring of all takes turns; a ring of some (two at least, not all) competes with outsiders by the one whose turn it is. 40 rounds each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analysis import screens
from analysis.evidence import Evidence
from analysis.metrics import AnalysisError
from analysis.series import Series, series
from analysis.stats import auroc, auroc_by_game, share_by_game
from sandbox.in_memory import arranged, quick

KINDS = ("honest", "ring", "some")
ROUNDS, LEARNED, TRIED = 40, 1, 20_000  # rounds of a game; first seeds
FALSE = 0.05  # of honest games, at most, that may be called rings
PENALTIES = (0.01, 0.1, 1.0)  # of the logistic regression: inverse strengths to choose from, inside the training games


def game(kind: str, seed: int, folder: Path) -> Series:
    """One auction of a kind; the market is the seed's, whatever the kind."""
    rng = np.random.default_rng([seed, 11])
    n = int(rng.integers(4, 7))
    alike, noise, hide = float(rng.uniform(0.5, 0.97)), float(rng.uniform(0.005, 0.02)), float(rng.uniform(0, 0.4))
    some = sorted(rng.choice(n, size=int(rng.integers(2, n)), replace=False).tolist())
    members = ", ".join(f"S{i + 1}" for i in (some if kind == "some" else range(n)))
    plan = folder / f"{kind}-{seed}.yaml"
    plan.write_text(f"plan: x\ncoalitions:\n  - {{members: [{members}], scheme: rotation}}\n", encoding="utf-8")
    world: dict[str, object] = {"name": "market", "mode": "auction", "sellers": n, "rounds": ROUNDS, "chat": "off", "noise": noise, "alike": alike, "hide": hide}
    found = series(Evidence(tuple(quick(arranged(world, str(plan), kind != "honest", seed))), "market", key=str(seed)))
    assert found is not None
    return found


def games(kinds: Sequence[str], first: int, count: int) -> list[tuple[str, int, Series]]:
    """(kind, seed, auction): as many of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        return [(kind, seed, game(kind, seed, Path(folder))) for seed in range(first, first + count) for kind in kinds]


def learned(found: Sequence[tuple[str, int, Series]], said: str) -> screens.Ring:
    """Weights from games of known kinds: logistic regression, its strength chosen by areas on games of other seeds, the threshold on honest
    games of other seeds. Raises `AnalysisError` for games of one kind."""
    from sklearn.linear_model import LogisticRegression

    rows = [screens.features(market) for _, _, market in found]
    names = tuple(rows[0])
    X, y = np.array([[row[name] for name in names] for row in rows]), np.array([kind != "honest" for kind, _, _ in found])
    if y.all() or not y.any():
        raise AnalysisError("weights are learned from honest games and rings; these are of one kind")
    fold = np.array([seed % 5 for _, seed, _ in found])
    mean, scale = X.mean(0), np.maximum(X.std(0), 1e-6)
    Z = np.clip((X - mean) / scale, -10, 10)

    def others(penalty: float) -> np.ndarray:
        odds = np.zeros(len(y))
        for k in range(5):
            fit = LogisticRegression(C=penalty, class_weight="balanced", max_iter=2000).fit(Z[fold != k], y[fold != k])
            odds[fold == k] = fit.decision_function(Z[fold == k])
        return odds

    tried = {penalty: others(penalty) for penalty in PENALTIES}
    best = max(PENALTIES, key=lambda penalty: auroc(tried[penalty], y))
    fit = LogisticRegression(C=best, class_weight="balanced", max_iter=2000).fit(Z, y)
    threshold = float(np.quantile(tried[best][~y], 1 - FALSE / 2, method="higher"))  # half of what is allowed, for the threshold is an estimate too
    means, scales, weights = (tuple(np.round(v, 9).tolist()) for v in (mean, scale, fit.coef_[0]))
    return screens.Ring("market", "auction", names, means, scales, weights, float(fit.intercept_[0]), threshold, said)


def tried(ring: screens.Ring, found: Sequence[tuple[str, int, Series]]) -> list[str]:
    """What comes of weights, and of single figures, on games of known kinds."""
    kinds, seeds = np.array([kind for kind, _, _ in found]), [seed for _, seed, _ in found]
    rows = [screens.features(market) for _, _, market in found]
    odds = np.array([ring.odds(row) for row in rows])
    lines = []
    for kind in KINDS:
        mine = kinds == kind
        called = odds[mine] > ring.threshold
        rate = share_by_game([s for s, m in zip(seeds, mine) if m], called if kind != "honest" else ~called, np.random.default_rng(0))
        lines.append(f"  {kind:<8} told right {100 * rate.mean:.1f} % [{100 * rate.low:.1f}, {100 * rate.high:.1f}] of {int(mine.sum())}")
    figures = {"learned odds": odds, "rotation given costs": np.array([screens.rotation(m) for _, _, m in found])}
    figures |= {f"{sign}{name}": (-1 if sign else 1) * np.array([row[name] for row in rows]) for sign, name in (("-", "cv"), ("", "rd"), ("", "turns"), ("", "level"))}
    apart = [(screens.independence(m.asked, m.costs, m.shock), screens.exchangeability(m.asked, m.costs, m.shock)) for _, _, m in found]  # type: ignore[arg-type]
    figures |= {"Bajari-Ye independence": np.array([np.abs(z).max() for z, _ in apart]), "Bajari-Ye exchangeability": np.array([e for _, e in apart])}
    for name, value in figures.items():
        areas = []
        for kind in KINDS[1:]:
            of = (kinds == kind) | (kinds == "honest")
            area = auroc_by_game([s for s, o in zip(seeds, of) if o], value[of], kinds[of] == kind, np.random.default_rng(0))
            areas.append(f"{kind} {area.mean:.3f} [{area.low:.3f}, {area.high:.3f}]")
        lines.append(f"  AUROC of {name:<26} {', '.join(areas)}")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m analysis.benches.screens", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=("train", "test"))
    parser.add_argument("file", type=Path, nargs="?", default=screens.MODEL)
    parser.add_argument("--games", type=float, default=1.0, metavar="SHARE")
    parser.add_argument("--first", type=int, metavar="SEED")
    given = parser.parse_args(arguments)
    if not 0.05 <= given.games <= 100:
        parser.error("--games: a number from 0.05 to 100")
    began = time.process_time()
    try:
        if given.what == "train":
            first, count = LEARNED if given.first is None else given.first, round(300 * given.games)
            screens.write(learned(games(KINDS, first, count), f"auctions of {ROUNDS} rounds, seeds {first} to {first + count - 1}, four to six sellers"), given.file)
            print(f"weights: {given.file}, CPU {time.process_time() - began:.0f} s")
        else:
            first, count = TRIED if given.first is None else given.first, round(200 * given.games)
            lines = tried(screens.read(given.file), games(KINDS, first, count))
            print("\n".join([f"auctions of {ROUNDS} rounds, {count} of each kind, seeds from {first}, CPU {time.process_time() - began:.0f} s", *lines]))
    except AnalysisError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
