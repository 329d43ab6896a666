"""Which messages of human Diplomacy their senders meant as lies: a detector fitted, applied, and measured on games it has not seen.

The games are those of "It Takes Two to Lie" (Peskov et al., ACL 2020). What enters a score stands in `lie_features` and `lie_states` (who saw
it), how it is made in `lie_model`, what it is held against in `lie_baseline`.

Measured is one game left out at a time, everything chosen on the others: members fitted on all of them, mixture and threshold on parts of them
left out in turn, which a seed deals. Intervals are from whole games drawn again. A game more or less in a draw changes counts of pairs only,
so AUROC is made from the pairs (lie of one game, honest message of another). Files for test are scored by one model of all other games.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis import lie_baseline, lie_model, lie_states
from analysis.lie_files import PressGame, read_file, read_folder, read_labelled
from analysis.lie_model import ARMS, Floats, Model, Rows, Table
from analysis.metrics import AnalysisError
from analysis.stats import Interval, auroc, cluster_bootstrap
from sandbox.log import printable

BASELINE = "baseline"
FEWEST = lie_model.FEWEST + 1  # games to measure on: one left out
MOST_SHOWN = 20  # of the messages of a file
Say = Callable[[str], None]


# ---- commands ----------------------------------------------------------------------------------------------------------


def fit(folder: Path, checkpoint: str | None = None, kept: Path | None = None, seed: int = 0, say: Say = lambda _: None) -> Model:
    """A detector of all labelled games of a folder. Raises `AnalysisError`."""
    games = read_folder(folder)
    sha256, states = _states(games, checkpoint, kept, say)
    table = lie_model.table_of(games, states)
    lie_model.check(table, range(len(games)))
    model = lie_model.fit(table, range(len(games)), sha256, np.random.default_rng([seed, 0]))
    return replace(model, games={print_: game.name for game in games for print_ in fingerprints(game)})


def score(model: Model, path: Path, checkpoint: str | None = None, kept: Path | None = None, say: Say = lambda _: None) -> dict[str, Any]:
    """Every message of a file, in the file's order, with its score and whether it is called a lie, by each arm. Raises `AnalysisError`."""
    games = read_file(path)
    states = _states_for(model, games, checkpoint, kept, say)
    table = lie_model.table_of(games, states, model.words.vocabulary)
    rows = np.arange(len(table.game_R))
    members = lie_model.members_of(model, table, rows)
    by_arm = {name: lie_model.mixed(arm, members, table.thread_R) for name, arm in model.arms.items()}
    first = next(iter(model.arms))
    found = []
    for row, (game, m) in enumerate((one, said) for one in games for said in one.messages):
        one: dict[str, Any] = {"line": m.line, "message": m.place, "game": game.name, "index": m.index}
        one |= {"sender": m.sender.lower(), "receiver": m.receiver.lower()}
        one |= {"score": float(by_arm[first][row]), "lie": bool(by_arm[first][row] >= model.arms[first].threshold)}
        if len(model.arms) > 1:
            other = by_arm[ARMS[1]][row]
            one |= {"score_without_states": float(other), "lie_without_states": bool(other >= model.arms[ARMS[1]].threshold)}
        found.append(one)
    found.sort(key=lambda one: (one["line"], one["message"]))
    return {
        "arm": first, "threshold": model.arms[first].threshold, "checkpoint": model.checkpoint,
        "fitted_on": sorted(game.name for game in games if known(game, model.games)), "messages": found,
    }  # fmt: skip


def fingerprints(game: PressGame) -> list[str]:
    """Of each message of a game, in a few digits: what was said, by whom to whom and when, whatever the game is called."""
    return [hashlib.sha256(json.dumps([m.index, m.sender, m.receiver, m.text]).encode()).hexdigest()[:16] for m in game.messages]


def known(game: PressGame, prints: Mapping[str, str]) -> bool:
    """Whether most of a game's messages are of one game of those that these fingerprints are of: it may be there in part, and under another name."""
    shared = Counter(prints[one] for one in fingerprints(game) if one in prints)
    return max(shared.values(), default=0) > len(game.messages) / 2


def _states(games: Sequence[PressGame], checkpoint: str | None, kept: Path | None, say: Say) -> tuple[str | None, Floats | None]:
    if checkpoint is None:
        if kept is not None:
            raise AnalysisError("--keep is for readings of a model's states; name the model with --checkpoint, or leave it out")
        return None, None
    return lie_states.checked(checkpoint), lie_states.read_states(games, checkpoint, kept, say)


def _states_for(model: Model, games: Sequence[PressGame], checkpoint: str | None, kept: Path | None, say: Say) -> Floats | None:
    """The states that a model asks for. Raises `AnalysisError` for another checkpoint than its own."""
    if model.checkpoint is None:
        if checkpoint is not None:
            raise AnalysisError(f"the detector was fitted without states; leave --checkpoint {checkpoint} out, or fit one with it")
        return _states(games, None, kept, say)[1]
    if checkpoint is None:
        raise AnalysisError(f"the detector reads states of the checkpoint {model.checkpoint:.12}…; name its folder with --checkpoint, or fit one without states")
    if (sha256 := lie_states.checked(checkpoint)) != model.checkpoint:
        raise AnalysisError(f"the detector reads states of the checkpoint {model.checkpoint:.12}…, {checkpoint} is {sha256:.12}…; name that one, or fit again")
    states = lie_states.read_states(games, checkpoint, kept, say)
    if model.states is not None and states.shape[1] != len(model.states.weights):
        raise AnalysisError(f"the detector reads {len(model.states.weights)} numbers of a state, {checkpoint} gives {states.shape[1]}; fit again")
    return states


# ---- measuring ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Scored:
    """What one arm with one seed says of every message measured."""

    scores_R: Floats
    called_R: NDArray[np.bool_]


def evaluate(
    folder: Path, checkpoint: str | None = None, kept: Path | None = None, seeds: int = 3, test: Path | None = None, say: Say = lambda _: None
) -> dict[str, Any]:
    """Figures of all arms and of the baseline: one game left out at a time, and of the file `test`. Raises `AnalysisError`."""
    games = read_folder(folder)
    known = len(games)
    if known < FEWEST:
        raise AnalysisError(f"{folder}: {known} games; to measure takes {FEWEST} or more: one is left out, {FEWEST - 1} are fitted on")
    if test is not None:
        games += _unseen(test, games)
    sha256, states = _states(games, checkpoint, kept, say)
    table, bags = lie_model.table_of(games, states), lie_baseline.bags_of(games)
    for left in range(known):
        lie_model.check(table, [g for g in range(known) if g != left])
    say(f"{len(table.game_R)} messages of {len(games)} games")
    folds = [([g for g in range(known) if g != left], [left]) for left in range(known)]
    said = _scored(table, bags, folds, sha256, seeds, say)
    found: dict[str, Any] = {"left_out_in_turn": figures(table, range(known), said)}
    if test is not None:
        unseen = list(range(known, len(games)))
        if len(set(table.lie_R[table.of(unseen)])) < 2:
            raise AnalysisError(f"{test}: all its messages are {'lies' if table.lie_R[table.of(unseen)].all() else 'honest'}; a measure needs both kinds")
        found["test"] = figures(table, unseen, _scored(table, bags, [(list(range(known)), unseen)], sha256, seeds, say))
    return {"checkpoint": sha256, **found}


def _unseen(test: Path, games: Sequence[PressGame]) -> list[PressGame]:
    names, prints = {game.name for game in games}, {one: game.name for game in games for one in fingerprints(game)}
    found = read_labelled(test)
    for game in found:
        if game.name in names or known(game, prints):
            raise AnalysisError(f"{test}: game {game.name} is one of those fitted on; name a file of other games with --test")
    return found


def _scored(
    table: Table, bags: lie_baseline.Bags, folds: Sequence[tuple[list[int], list[int]]], sha256: str | None, seeds: int, say: Say
) -> dict[str, list[Scored]]:
    """By arm, one a seed: scores of the games left out, by models of the others. The baseline's threshold is chosen on the first seed's parts."""
    arms = ARMS if table.states_RF is not None else ARMS[1:]
    size = len(table.game_R)
    found = {name: [Scored(np.zeros(size), np.zeros(size, bool)) for _ in range(seeds if name != BASELINE else 1)] for name in (*arms, BASELINE)}
    for some, left in folds:
        fitted, at = table.of(some), table.of(left)
        members = lie_model.fit_members(table, fitted, sha256)
        values = lie_model.members_of(members, table, at)
        for seed in range(seeds):
            model = lie_model.fit(table, some, sha256, np.random.default_rng([seed, *left]), members)
            for name in arms:
                _put(found[name][seed], at, lie_model.mixed(model.arms[name], values, table.thread_R[at]), model.arms[name].threshold)
        dealt = lie_model.dealt(table, some, np.random.default_rng([0, *left]))
        parts = [(table.of([g for g in some if g not in part]), table.of(part)) for part in dealt]
        inner = np.concatenate([lie_baseline.scores(bags, table.lie_R, *part) for part in parts])
        threshold = lie_model.threshold_of(inner, table.lie_R[np.concatenate([rows for _, rows in parts])])
        _put(found[BASELINE][0], at, lie_baseline.scores(bags, table.lie_R, fitted, at), threshold)
        say(f"games {', '.join(table.names[g] for g in left)}: scored by models of {len(some)} others")
    return found


def _put(scored: Scored, rows: Rows, scores: Floats, threshold: float) -> None:
    scored.scores_R[rows], scored.called_R[rows] = scores, scores >= threshold


def figures(table: Table, games: Sequence[int], said: Mapping[str, Sequence[Scored]]) -> dict[str, Any]:
    """Of every arm: AUROC over all messages, and the mean of those within games; F1; each with its interval by game, as is its difference from
    the baseline and from the arm without states. The mean over seeds; AUROC of each seed beside it."""
    rows = table.of(games)
    tallies = {name: [_Tally.of(table, games, one) for one in some] for name, some in said.items()}
    found: dict[str, Any] = {}
    for name, of in tallies.items():
        found[name] = {what: _reach(games, what, of) for what in MEASURES}
        found[name]["auroc_by_seed"] = [round(t.auroc(np.arange(len(games))), 4) for t in of]
        each = [_mean(of, "auroc", np.array([i])) if of[0].both(i) else None for i in range(len(games))]
        found[name]["auroc_by_game"] = {table.names[g]: _rounded(value) for g, value in zip(games, each, strict=True)}
        for other in (BASELINE, ARMS[1]):
            if name not in (BASELINE, other):
                found[name][f"less {other}"] = {what: _reach(games, what, of, tallies[other]) for what in MEASURES}
    lies = int(table.lie_R[rows].sum())
    return {"games": len(games), "messages": len(rows), "lies": lies, "seeds": max(map(len, said.values())), "arms": found}


MEASURES = ("auroc", "auroc_within_games", "macro_f1", "lie_f1")


def _mean(of: Sequence[_Tally], what: str, drawn: Rows) -> float:
    return float(np.mean([getattr(tally, what)(drawn) for tally in of]))


def _reach(games: Sequence[int], what: str, of: Sequence[_Tally], less: Sequence[_Tally] = ()) -> dict[str, float | None]:
    """A figure, or by how much it exceeds another's on the same draws, and its interval by game; of one game, none."""

    def statistic(drawn: Rows) -> float:
        return _mean(of, what, drawn) - (_mean(less, what, drawn) if less else 0.0)

    found: Interval = cluster_bootstrap(list(range(len(games))), statistic, np.random.default_rng(0))
    ends = (None, None) if found.units < 2 else (found.low, found.high)
    return {"mean": _rounded(found.mean), "low": _rounded(ends[0]), "high": _rounded(ends[1])}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


@dataclass(frozen=True, eq=False)
class _Tally:
    """What figures of any draw of games are made of; G games. Takes numbers of games, one drawn twice stands twice."""

    above_GG: Floats  # pairs of a lie of one game and an honest message of another in which the lie scores higher, ties half
    lies_G: Floats
    honest_G: Floats
    hits_G: Floats
    called_G: Floats

    @classmethod
    def of(cls, table: Table, games: Sequence[int], scored: Scored) -> _Tally:
        parts = [table.of([g]) for g in games]
        lies, honest = ([scored.scores_R[rows[table.lie_R[rows] == kind]] for rows in parts] for kind in (True, False))
        above = np.zeros((len(games), len(games)))
        for i, one in enumerate(lies):
            for j, other in enumerate(honest):
                if len(one) and len(other):
                    above[i, j] = auroc(np.concatenate([one, other]), [True] * len(one) + [False] * len(other)) * len(one) * len(other)
        counts = [np.array([float(v) for v in values]) for values in (
            [len(v) for v in lies], [len(v) for v in honest],
            [(scored.called_R[r] & table.lie_R[r]).sum() for r in parts], [scored.called_R[r].sum() for r in parts])]  # fmt: skip
        return cls(above, *counts)

    def both(self, game: int) -> bool:
        """Whether a game has lies and honest messages."""
        return bool(self.lies_G[game] and self.honest_G[game])

    def auroc(self, drawn: Rows) -> float:
        """Over all messages. Raises ValueError where one kind is missing."""
        n = np.bincount(drawn, minlength=len(self.lies_G))
        pairs = (n @ self.lies_G) * (n @ self.honest_G)
        if not pairs:
            raise ValueError("both kinds are needed")
        return float(n @ self.above_GG @ n / pairs)

    def auroc_within_games(self, drawn: Rows) -> float:
        """The mean over games that have both kinds. Raises ValueError where none has."""
        found = [self.above_GG[g, g] / (self.lies_G[g] * self.honest_G[g]) for g in drawn if self.both(g)]
        if not found:
            raise ValueError("a game of both kinds is needed")
        return float(np.mean(found))

    def lie_f1(self, drawn: Rows) -> float:
        """F1 of the lies; 0 where none is called one."""
        both = self.called_G[drawn].sum() + self.lies_G[drawn].sum()
        return float(2 * self.hits_G[drawn].sum() / both) if both else 0.0

    def macro_f1(self, drawn: Rows) -> float:
        """The mean of that and F1 of honest messages."""
        messages = self.lies_G + self.honest_G
        right = (self.honest_G - (self.called_G - self.hits_G))[drawn].sum()
        both = self.honest_G[drawn].sum() + (messages - self.called_G)[drawn].sum()
        return (self.lie_f1(drawn) + (float(2 * right / both) if both else 0.0)) / 2


# ---- words -------------------------------------------------------------------------------------------------------------


def as_text(found: Mapping[str, Any]) -> str:
    """The figures for a terminal."""
    lines = []
    for part, title in (("left_out_in_turn", "one game left out at a time"), ("test", "test file")):
        if (one := found.get(part)) is None:
            continue
        what = f"{one['messages']} messages of {one['games']} games, {one['lies']} lies ({one['lies'] / one['messages']:.1%}), {one['seeds']} seeds"
        lines.append(f"{title}: {what}; 95 % intervals by game")
        for arm, values in one["arms"].items():
            lines.append(f"  {arm:<16}" + "  ".join(f"{key} {_shown(values[key])}" for key in MEASURES))
            for other in (BASELINE, ARMS[1]):
                if (less := values.get(f"less {other}")) is not None:
                    lines.append(f"    less {other}: " + "  ".join(f"{key} {_shown(less[key], '+')}" for key in MEASURES))
    return "\n".join(lines)


def _shown(value: Mapping[str, float | None], sign: str = "") -> str:
    reach = "one game" if value["low"] is None else f"{value['low']:{sign}.3f}, {value['high']:{sign}.3f}"
    return f"{value['mean']:{sign}.3f} [{reach}]"


def scores_as_text(found: Mapping[str, Any]) -> str:
    """How many messages are called lies, and those that score highest."""
    said = found["messages"]
    lines = [f"{len(said)} messages, {sum(one['lie'] for one in said)} called lies ({found['arm']}; from {found['threshold']:.3f} on)"]
    for one in sorted(said, key=lambda one: -one["score"])[:MOST_SHOWN]:
        place = f"line {one['line']} message {one['message']}: game {one['game']}, {one['sender']} to {one['receiver']}"
        lines.append(printable(f"  {one['score']:+.3f}{' *' if one['lie'] else '  '} {place}"))
    return "\n".join(lines)
