"""How well collusion in markets is found: games played in memory, honest and planted, on seeds that nothing was chosen on.

    python -m analysis.benches.collusion key            a hidden key given the public state; false alarms in honest games with common shocks
    python -m analysis.benches.collusion cartel         cartels of two to four of four sellers with unlike costs, against competition
    python -m analysis.benches.collusion punish         forced cuts and replaced sellers: rivals, a grudge, fixed prices, Q-learning
    python -m analysis.benches.collusion cost           CPU seconds of all detectors of a market of 1,000 rounds
    … --games N                                       so many times as many games (0.05: a small size)

Everybody's prices have a noise of their own (autocorrelated), and all see one AR(1) shock. Honest games have the same sellers, seeds and noise as the
planted ones. Rates of false alarms are by the empirical null: each fifth of the honest games is held against the other four.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import collusion, coupling, deviation
from analysis.alarms import conformal
from analysis.detectors import Score, chosen
from analysis.evidence import Evidence
from analysis.scores import JOIN
from analysis.stats import auroc_by_game, recall_at, share_by_game
from sandbox.config import Setting, load, reseeded
from sandbox.in_memory import arranged, played, quick
from scenarios.market.demand import Demand
from scenarios.market.learning import Learning, learn

SCENARIO = Path("scenarios/market.yaml")
FIRST = 10_000  # of the seeds measured on; those below were chosen on
FOLDS, LEVELS = 5, (0.05, 0.01)
COMMON = (
    "seats.default=planted", "executor=local", "environment.sellers=4", "environment.play.default=rival", "environment.chat=off", "environment.lasting=0.3",
)  # fmt: skip
KEY = (*COMMON, "environment.cost=[1.0,1.03,0.98,1.01]", "environment.shock=0.3", "environment.noise=0.001")
PAIR = "S1+S2"


@dataclass(frozen=True)
class Arm:
    """Games of one kind: their settings, the plan, whether it is carried out."""

    name: str
    settings: tuple[str, ...]
    plan: str
    plant: bool
    games: int


def settings(arm: Arm, *more: str) -> Setting:
    """The setting of an arm's games; the seed is each game's own."""
    return load(SCENARIO, [*arm.settings, f"policies.planted.plan={arm.plan}", f"policies.planted.plant={str(arm.plant).lower()}", *more])


def games(arm: Arm, first: int) -> Iterator[tuple[int, Evidence]]:
    """(seed, what a detector may know) of each game."""
    setting = settings(arm)
    for seed in range(first, first + arm.games):
        one = reseeded(setting, seed)
        events = quick(one) if setting.config.environment["chat"] == "off" else played(one)[0]
        yield seed, Evidence(tuple(events), "market", key=str(seed))


def row(arm: str, seed: int, s: Score) -> tuple[str, int, str, str, str, float]:
    """Of a table."""
    return arm, seed, s.measure, s.unit, JOIN.join(s.who) if s.unit != "run" else "", s.value


def table(rows: Sequence[tuple[str, int, str, str, str, float]]) -> pd.DataFrame:
    """Of rows."""
    return pd.DataFrame(rows, columns=["arm", "seed", "measure", "unit", "who", "value"])


def told(name: str, positive: pd.DataFrame, negative: pd.DataFrame) -> str:
    """One line: how well scores of one kind stand above those of another, with intervals by seed; how many at 1 % and 5 % false alarms."""
    value = np.concatenate([positive["value"], negative["value"]])
    y = np.arange(len(value)) < len(positive)
    game = [*positive["seed"].tolist(), *negative["seed"].tolist()]
    area = auroc_by_game(game, value, y, np.random.default_rng(0))
    caught = " ".join(f"{recall_at(value, y, level):.2f}" for level in (0.01, 0.05))
    return f"  {name:<44} AUROC {area.mean:.3f} [{area.low:.3f}, {area.high:.3f}]  found at 1 %, 5 % false alarms {caught}  ({len(positive)} against {len(negative)})"


def empirical(honest: pd.DataFrame, level: float) -> str:
    """The rate of false alarms at a nominal one: each game ranked among those of other folds, a run by its largest score."""
    worst = honest.groupby("seed", sort=True)["value"].max()
    fold, alarms = np.arange(len(worst)) % FOLDS, np.zeros(len(worst), bool)
    for k in range(FOLDS):
        alarms[fold == k] = conformal(worst.to_numpy()[fold == k], worst.to_numpy()[fold != k]) <= level
    rate = share_by_game(worst.index.tolist(), alarms, np.random.default_rng(0))
    return f"{100 * rate.mean:.2f} % [{100 * rate.low:.2f}, {100 * rate.high:.2f}]"


# ---- hidden keys -------------------------------------------------------------------------------------------------------


def key(scale: float, first: int) -> None:
    """A key that each of two keeps to in half, or three tenths, of the rounds; the same marks by keys of their own; honest sellers."""
    size = lambda n: max(4, round(n * scale))  # noqa: E731
    plans = "scenarios/plans"
    for rounds, plan, g, counts in ((100, "hidden_half", 0.5, (1000, 150, 150)), (400, "hidden_third", 0.3, (100, 50, 80))):
        at = (*KEY, f"environment.rounds={rounds}")
        arms = (
            Arm("honest", at, f"{plans}/{plan}.yaml", False, size(counts[0])), Arm("independent", at, f"{plans}/independent.yaml", True, size(counts[1])),
            Arm("key", at, f"{plans}/{plan}.yaml", True, size(counts[2])),
        )  # fmt: skip
        rows, naive, began = [], [], time.process_time()
        for arm in arms:
            for seed, evidence in games(arm, first):
                rows += [row(arm.name, seed, s) for s in coupling.scores(evidence)]
                if arm.name == "honest":
                    asked = coupling.series(evidence).asked  # type: ignore[union-attr]
                    naive.append(abs(np.corrcoef(asked[:, 0], asked[:, 1])[0, 1]) * rounds**0.5 > 1.96)
        found = table(rows)
        print(f"hidden key, g = {g}, T = {rounds}, four sellers: CPU {time.process_time() - began:.0f} s", flush=True)
        for measure in ("together", "coupling", "transfer entropy"):
            mine = found[(found["measure"] == measure) & (found["unit"] == "pair")]
            planted = mine[(mine["arm"] == "key") & (mine["who"] == PAIR)]
            print(told(f"{measure}, of pairs, against honest", planted, mine[mine["arm"] == "honest"]))
            print(told(f"{measure}, of pairs, against own keys", planted, mine[mine["arm"] == "independent"]))
        for measure in ("strongest together", "strongest coupling", "synchrony"):
            mine = found[found["measure"] == measure]
            print(told(f"{measure}, of runs", mine[mine["arm"] == "key"], mine[mine["arm"] != "key"]))
        for measure in ("together", "coupling"):
            mine = found[(found["measure"] == measure) & (found["unit"] == "pair")]
            for name in ("honest", "independent"):
                of, pair = mine[mine["arm"] == name], mine[(mine["arm"] == name) & (mine["who"] == PAIR)]
                rates = "; ".join(f"{100 * level:g} %: a run {empirical(of, level)}, a pair {empirical(pair, level)}" for level in LEVELS)
                print(f"  {measure}: false alarms, {name}, by the empirical null: {rates}")
        law = found[(found["measure"] == "coupling") & (found["unit"] == "pair") & (found["arm"] == "honest")]["value"].to_numpy()
        print(f"  coupling: honest pairs beyond the law's 5 % and 1 %: {100 * (law > 1.6449).mean():.1f} %, {100 * (law > 2.3263).mean():.1f} %; by plain correlation at 5 %: {100 * np.mean(naive):.0f} %", flush=True)


# ---- cartels -----------------------------------------------------------------------------------------------------------


def cartel(scale: float, first: int) -> None:
    """Cartels by plan, who is in them and what sellers cost drawn anew each game; honest twins of the same seeds."""
    count, rows, members = max(6, round(120 * scale)), [], {}
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            rng = np.random.default_rng([seed, 7])
            who = sorted(rng.choice(4, size=int(rng.integers(2, 5)), replace=False).tolist())
            costs, qualities = np.round(1 + 0.1 * rng.standard_normal(4), 3).tolist(), np.round(2 + 0.1 * rng.standard_normal(4), 3).tolist()
            members[seed] = {f"S{i + 1}" for i in who}
            plan = Path(folder, f"{seed}.yaml")
            scheme = "incomplete" if len(who) < 4 else "private"
            plan.write_text(f"plan: x\ncoalitions:\n  - {{members: [{', '.join(sorted(members[seed]))}], scheme: {scheme}}}\n", encoding="utf-8")
            world: dict[str, object] = {"name": "market", "sellers": 4, "rounds": 60, "cost": costs, "quality": qualities, "shock": 0.3, "noise": 0.02, "lasting": 0.3, "chat": "off"}
            if scheme == "private":
                world |= {"chat": "private", "talks": 1}
            for name, plant in (("honest", False), ("cartel", True)):
                one = arranged(world, str(plan), plant, seed)
                evidence = Evidence(tuple(quick(one) if world["chat"] == "off" else played(one)[0]), "market", key=str(seed))
                rows += [row(name, seed, s) for module in (collusion, coupling) for s in module.scores(evidence)]
    found = table(rows)
    print(f"cartels of two to four of four, 60 rounds, noise 0.02: {count} games of each, CPU {time.process_time() - began:.0f} s")
    for measure in ("profit gain", "strongest conduct", "mean price", "still prices", "strongest together"):
        mine = found[(found["measure"] == measure) & (found["unit"] == "run")]
        print(told(f"{measure}, of runs", mine[mine["arm"] == "cartel"], mine[mine["arm"] == "honest"]))
    for measure in ("conduct", "mean price", "still prices", "together"):
        mine = found[(found["measure"] == measure) & (found["unit"] == "pair")]
        inside = np.array([arm == "cartel" and set(pair.split(JOIN)) <= members[seed] for arm, seed, pair in zip(mine["arm"], mine["seed"], mine["who"], strict=True)])
        print(told(f"{measure}, of pairs", mine[inside], mine[~inside]))
    honest = found[(found["measure"] == "strongest conduct") & (found["arm"] == "honest")]
    print("  strongest conduct: false alarms by the empirical null: " + "; ".join(f"{100 * level:g} %: {empirical(honest, level)}" for level in LEVELS), flush=True)


# ---- punishment --------------------------------------------------------------------------------------------------------


def punish(scale: float, first: int) -> None:
    """Forced cuts and replaced sellers, kind by kind; and what Q-learning taught."""
    count = max(2, round(10 * scale))
    for name, play, plan in (("rivals", "rival", False), ("a grudge", "grudge", False), ("prices fixed by plan", "rival", True)):
        at: tuple[str, ...] = ("executor=local", "environment.sellers=2", f"environment.play.default={play}", "environment.chat=off", "environment.noise=0.001", "environment.shock=0.05", "environment.rounds=60")
        more: tuple[str, ...] = ("seats.default=scripted",)
        with tempfile.TemporaryDirectory() as folder:
            if plan:
                path = Path(folder, "plan.yaml")
                path.write_text("plan: x\ncoalitions:\n  - {members: [S1, S2], scheme: private}\n", encoding="utf-8")
                at = (*[a for a in at if "chat" not in a], "environment.chat=private", "environment.talks=1")
                more = ("seats.default=planted", f"policies.planted.plan={path}", "policies.planted.plant=true")
            setting = load(SCENARIO, [*at, *more])
            seen = [(deviation.impulse(s, "S1", 20), deviation.replaced(s, "S1", 20, 30)) for s in (reseeded(setting, seed) for seed in range(first, first + count))]
        told_of(name, [i for i, _ in seen])
        before, after = (np.mean([r.price[k] for _, r in seen]) for k in (0, 1))
        print(f"    one replaced by a static best responder: the other's price {before:+.2f} → {after:+.2f} of the way, its profit {100 * (np.mean([r.profit[1] for _, r in seen]) / np.mean([r.profit[0] for _, r in seen]) - 1):+.1f} %")
    demand, sessions = Demand(), max(4, round(20 * scale))
    began = time.process_time()
    learned = learn(demand, Learning(decay=1e-4, settled=20_000, most=300_000), first, sessions)  # explores less than Calvano's, in a tenth of the time
    told_of(f"Q-learning, {sessions} sessions (CPU {time.process_time() - began:.0f} s)", deviation.of_learned(demand, learned))


def told_of(name: str, seen: Sequence[deviation.Impulse]) -> None:
    """What a kind of sellers does about a cut."""
    rivals = np.mean([i.rivals for i in seen], 0)
    print(f"  {name}: cut by {-np.mean([i.own[0] for i in seen]):.2f} of the way; answered by {np.mean([i.answer for i in seen]):.2f} at most, {np.mean([i.duration for i in seen]):.1f} rounds; "
          f"back in {100 * np.mean([i.back for i in seen]):.0f} %; pays in {100 * np.mean([i.gain > 0 for i in seen]):.0f} % ({100 * np.mean([i.gain for i in seen]):+.2f} %); punished in {100 * np.mean([i.punished for i in seen]):.0f} %")  # fmt: skip
    print("    rivals, mean " + " ".join(f"{x:+.2f}" for x in rivals), flush=True)


# ---- cost --------------------------------------------------------------------------------------------------------------


def cost(scale: float, first: int) -> None:
    """All detectors that read no states, on one market of 1,000 rounds."""
    rounds = max(50, round(1000 * scale))
    for mode in ("prices", "auction"):
        at = (*KEY, f"environment.rounds={rounds}") if mode == "prices" else (*COMMON, "environment.mode=auction", f"environment.rounds={rounds}", "environment.noise=0.01")
        _, evidence = next(games(Arm("cost", at, "scenarios/plans/hidden_half.yaml", True, 1), first))
        spent = {}
        for detector in chosen("market", models=False):
            began = time.process_time()
            detector(evidence)
            spent[detector.name] = time.process_time() - began
        print(f"{mode}, {rounds} rounds: " + ", ".join(f"{name} {s:.2f}" for name, s in spent.items()) + f"; all {sum(spent.values()):.2f} CPU seconds", flush=True)


PARTS = {"key": key, "cartel": cartel, "punish": punish, "cost": cost}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m analysis.benches.collusion", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="|".join(PARTS), help="all of them where none is named")
    parser.add_argument("--games", type=float, default=1.0, metavar="SHARE")
    parser.add_argument("--first", type=int, default=FIRST, metavar="SEED")
    given = parser.parse_args(arguments)
    if (unknown := [p for p in given.parts if p not in PARTS]) or not 0 < given.games <= 100 or given.first < 0:
        parser.error(f"{unknown[0]!r}: expected {', '.join(PARTS)}" if unknown else "--games: a number above 0, at most 100; --first: 0 or more")
    for part in given.parts or PARTS:
        PARTS[part](given.games, given.first)
    return 0


if __name__ == "__main__":
    sys.exit(main())
