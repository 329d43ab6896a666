"""Teams with a hidden profile: Westby & Riedl's theory-of-mind agents (AAAI 2023) set beside their 25 published teams, row by row of their Table 1.

Each of five members knew a public clue and one private clue about who did it, talked along a network, and answered. In place of every person
an agent reads what that person read and answers: *performance* is the share of right answers, *agreement* the share equal to the person's.
Where an agent believes in several suspects equally it is counted in equal parts (the authors drew one at random, a hundred times).

A file of teams has one JSON object a line: team, network (5×5, 0 or 1), clues, messages [[sender, [receivers], seconds, v1..v5, text]],
responses (P_Culprit before and Culprit after the talk, 1 to 5, 0 none).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.metrics import AnalysisError
from analysis.stats import cluster_bootstrap, paired_bootstrap
from scenarios.team_task.alerts import ARMS, Compared
from scenarios.team_task.mind import Codes, Floats, Weights, alert, answer, blank, likeliest, normal, read, read_all

TEAMS = "teams.jsonl"
MEMBERS = SUSPECTS = 5
CULPRIT = 2  # the right answer of every published team, from 0
CODES = {-0.5: -2, -0.25: -1, 0: 0, 0.25: 1, 0.5: 2}
CLUES: tuple[tuple[int, ...], ...] = (  # what the published clues 1 to 6 say of suspects 1 to 5
    (0, 1, 0, 0, 1), (-2, 0, 0, 0, 0), (0, -2, 0, 0, 0), (1, 0, 1, 0, 0), (0, 0, 1, 1, 0), (0, 0, 0, -2, -2),
)  # fmt: skip
RUNS = 100  # of the random intervention
COLUMNS = ("row", "performance", "low", "high", "published", "agreement", "agreement_low", "agreement_high", "agreement_published")


@dataclass(frozen=True)
class Team:
    """One published team: each member's own clues, who said what to whom, and the answers from 0, -1 for none."""

    name: str
    clues: NDArray[np.int8]  # [member, (public, private), S]
    said: tuple[tuple[int, tuple[int, ...], Codes], ...]  # (author, those who read it, line), in order
    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """An agent of the published table: its weights, theory-of-mind ability, whether its own words count for its own belief; what was published."""

    name: str
    weights: Weights
    alpha: float
    ego_loop: bool
    performance: float
    agreement: float


BEST = Weights()
ROWS = (
    Row("self-actualisation", Weights(0.05, 0.05, 1.5, 2.0), 0.0, True, 63.6, 73.0),
    Row("partner-actualisation", Weights(0.15, 1.0, 1.55, 2.0), 1.0, False, 76.7, 66.3),
    Row("maximum likelihood", Weights(0.1, 1.0, 1.45, 2.0), 0.95, True, 72.8, 75.1),
    Row("max performance", BEST, 0.95, True, 77.0, 71.4),
    Row("max agreement", Weights(0.05, 0.75, 1.25, 1.95), 0.45, True, 71.7, 79.8),
)
OWN_CLUES = Weights(0.1, 0.2, 1.8, 2.0)
OTHERS = {"random": (19.9, 19.9), "own clues only": (48.8, 46.6), "random intervention": (79.0, 70.8), "targeted intervention": (82.1, 70.0)}
PEOPLE = {"people, before": 33.1, "people, after": 66.2}


# ---- the file ----------------------------------------------------------------------------------------------------------


def teams(path: Path) -> list[Team]:
    """The teams of a file, or of the file teams.jsonl in a folder. Raises AnalysisError with the line for what is no team."""
    file = path / TEAMS if path.is_dir() else path
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AnalysisError(f"{file}: cannot read the teams ({error}); give the folder with {TEAMS}, or the file") from None
    found = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                found.append(_team(json.loads(line)))
            except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
                raise AnalysisError(f"{file}:{number}: not a team: {type(error).__name__} {error!s:.120}; see analysis/teams.py for what one has") from None
    if not found:
        raise AnalysisError(f"{file}: no team in it; give a file with one team a line")
    return found


def _team(value: dict[str, Any]) -> Team:
    clues = [[CLUES[_within(value["clues"][key][0], 1, len(CLUES)) - 1] for key in ("public", str(member + 1))] for member in range(MEMBERS)]
    said = []
    for author, readers, _, *codes in (message[:8] for message in value["messages"]):
        line = np.array([CODES[code] for code in codes], dtype=np.int8)
        if line.shape != (SUSPECTS,):
            raise ValueError(f"a message with {len(line)} of {SUSPECTS} codes")
        said.append((_within(author, 1, MEMBERS) - 1, tuple(_within(r, 1, MEMBERS) - 1 for r in readers), line))
    answers = {int(r["SubjectID"]): (_within(int(r["P_Culprit"]), 0, SUSPECTS) - 1, _within(int(r["Culprit"]), 0, SUSPECTS) - 1) for r in value["responses"]}
    before, after = zip(*(answers[member + 1] for member in range(MEMBERS)), strict=True)
    return Team(str(value["team"]), np.array(clues, dtype=np.int8), tuple(said), before, after)


def _within(value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{value!r:.40}; expected a whole number from {low} to {high}")
    return value


# ---- agents in the members' places -------------------------------------------------------------------------------------


def minds(team: Team, weights: Weights, ego_loop: bool, normalised: bool = False) -> Floats:
    """[member, about whom, S]: what each has come to believe of each other, and, on the diagonal, by itself, after all that it read."""
    b = np.full((MEMBERS, MEMBERS, SUSPECTS), 1 / SUSPECTS)
    for member in range(MEMBERS):
        b[member, member] = read_all(b[member, member], team.clues[member], weights, normalised=normalised)
    for author, readers, line in team.said:
        for reader in (*readers, author) if ego_loop else readers:
            b[reader, author] = read(b[reader, author], line, weights, normalised=normalised)
    return b


def answers(b: Floats, alpha: float) -> Floats:
    """[member, S] from [member, about whom, S]."""
    members = range(len(b))
    return np.stack([answer(b[i, i], b[i, [j for j in members if j != i]], alpha) for i in members])


def own_facts(team: Team, member: int, ego_loop: bool = True) -> list[Codes]:
    """What a member has to tell: its clues, and what it has said (as the authors have it, messages about nothing included)."""
    return [*team.clues[member], *(line for author, _, line in team.said if author == member and ego_loop)]


def targeted(team: Team, weights: Weights, normalised: bool = False) -> Floats:
    """The minds after each member, one after another, has told each teammate it has heard of what brings that one's alter nearest to its ego."""
    b = minds(team, weights, True, normalised)
    heard = {(reader, author) for author, readers, _ in team.said for reader in readers}
    for sender in range(MEMBERS):
        facts = own_facts(team, sender)
        known = [j for j in range(MEMBERS) if j != sender and (sender, j) in heard]
        choices = {j: alert(b[sender, sender], b[sender, j], facts, weights, normalised=normalised) for j in known}
        for reader, choice in choices.items():
            if choice is not None:
                b[reader, sender] = read(b[reader, sender], facts[choice], weights, normalised=normalised)
                heard.add((reader, sender))
    return b


def untargeted(team: Team, b: Floats, weights: Weights, rng: np.random.Generator, normalised: bool = False) -> Floats:
    """Minds `b` after each member has told everybody, itself included, one of its own facts at random, or, as one choice among them, nothing."""
    b = b.copy()
    for sender in range(MEMBERS):
        facts = own_facts(team, sender)
        for reader, choice in enumerate(rng.integers(len(facts) + 1, size=MEMBERS)):
            if choice < len(facts):
                b[reader, sender] = read(b[reader, sender], facts[choice], weights, normalised=normalised)
    return b


# ---- the table ---------------------------------------------------------------------------------------------------------

Scores = tuple[Floats, Floats]  # (performance, agreement) of each team's members [team, member], 0 to 1


def scores(team: Team, beliefs: Floats) -> tuple[Floats, Floats]:
    """(right, as the person) of each member, by what it believes in most, ties in equal parts."""
    chosen = likeliest(beliefs) / likeliest(beliefs).sum(-1, keepdims=True)
    person = np.array(team.after)
    return chosen[:, CULPRIT], np.where(person >= 0, chosen[np.arange(MEMBERS), person], 0.0)


def every_row(found: Sequence[Team], rng: np.random.Generator, *, normalised: bool = False, runs: int = RUNS) -> dict[str, Scores]:
    """Row of the published table → its scores [team, member]."""

    def over(of: Callable[[Team], Floats]) -> Scores:
        both = [scores(team, of(team)) for team in found]
        return np.stack([p for p, _ in both]), np.stack([a for _, a in both])

    def own(team: Team) -> Floats:
        return np.stack([normal(read_all(blank(SUSPECTS), lines, OWN_CLUES, surprise=False)) for lines in team.clues])

    def untold(team: Team) -> tuple[Floats, Floats]:
        before = minds(team, BEST, True, normalised)
        each = [scores(team, answers(untargeted(team, before, BEST, rng, normalised), 0.95)) for _ in range(runs)]
        return np.mean([p for p, _ in each], axis=0), np.mean([a for _, a in each], axis=0)

    table = {"random": over(lambda team: np.tile(blank(SUSPECTS), (MEMBERS, 1))), "own clues only": over(own)}
    for row in ROWS:
        table[row.name] = over(lambda team, row=row: answers(minds(team, row.weights, row.ego_loop, normalised), row.alpha))  # type: ignore[misc]
    drawn = [untold(team) for team in found]
    table["random intervention"] = np.stack([p for p, _ in drawn]), np.stack([a for _, a in drawn])
    table["targeted intervention"] = over(lambda team: answers(targeted(team, BEST, normalised), 0.95))
    for name, said in zip(PEOPLE, ("before", "after"), strict=True):
        right = np.array([[float(a == CULPRIT) for a in getattr(team, said)] for team in found])
        same = np.array([[float(a == b) for a, b in zip(getattr(team, said), team.after, strict=True)] for team in found])
        table[name] = right, same
    return table


def table(found: Sequence[Team], rng: np.random.Generator, *, normalised: bool = False, runs: int = RUNS) -> pd.DataFrame:
    """Per row, in per cent: performance and agreement, each with its 95 % interval by team, and the published figures."""
    published = {row.name: (row.performance, row.agreement) for row in ROWS} | OTHERS | {name: (value, np.nan) for name, value in PEOPLE.items()}
    rows = []
    for name, (performance, agreement) in every_row(found, rng, normalised=normalised, runs=runs).items():
        first, second = (_interval(100 * values, rng) for values in (performance, agreement))
        rows.append((name, *first, published[name][0], *second, published[name][1]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _interval(values: Floats, rng: np.random.Generator) -> tuple[float, float, float]:
    by_team = values.mean(1)
    found = cluster_bootstrap(range(len(by_team)), lambda rows: float(by_team[rows].mean()), rng)
    return found.mean, found.low, found.high


def as_text(rows: pd.DataFrame, count: int) -> str:
    """The table for a terminal."""
    heads = ("agent in the place of each person", "performance", "agreement with the person")
    lines = [f"{count} teams of {MEMBERS}, per cent [95 % by team] (published)", f"{heads[0]:<36}{heads[1]:<30}{heads[2]}"]
    for r in rows.itertuples(index=False):
        published = "" if np.isnan(r.agreement_published) else f" ({r.agreement_published:.1f})"
        agreement = f"{r.agreement:5.1f} [{r.agreement_low:4.1f}, {r.agreement_high:4.1f}]{published}"
        lines.append(f"  {r.row:<34}{r.performance:5.1f} [{r.low:4.1f}, {r.high:4.1f}] {f'({r.published:.1f})':<9}{agreement}")
    return "\n".join(lines)


# ---- alerts in simulated teams -----------------------------------------------------------------------------------------


def alert_text(compared: Sequence[Compared], rng: np.random.Generator) -> str:
    """What each kind of last message brought, and its paired difference by team to messages at random: on each network, then the mean over the
    networks of each team (one number of the draw is one team, the same clues on every network)."""
    lines = [f"{len(compared[0].ceiling)} simulated teams: share of right answers after one last message each, in per cent"]
    for c in compared:
        means = ", ".join(f"{arm} {100 * values.mean():.1f} ({c.told[arm].mean():.1f} messages)" for arm, values in c.accuracy.items())
        lines.append(f"  {c.network}: {means}; of one who knows all clues {100 * c.ceiling.mean():.1f}")
        lines += _differences(c.accuracy, c.ideal, rng)
    if len(compared) > 1:
        lines.append("  over all networks:")
        mean = lambda of: {arm: np.mean([of(c)[arm] for c in compared], axis=0) for arm in ARMS}  # noqa: E731
        lines += _differences(mean(lambda c: c.accuracy), mean(lambda c: c.ideal), rng)
    return "\n".join(lines)


def _differences(accuracy: Mapping[str, Floats], ideal: Mapping[str, Floats], rng: np.random.Generator) -> list[str]:
    """Of each arm to the first: as members answer, and as they would by the exact posterior of the clues that they then know."""
    first, *others = ARMS
    lines = []
    for arm in others:
        pairs = [paired_bootstrap((100 * values[arm]).tolist(), (100 * values[first]).tolist(), rng) for values in (accuracy, ideal)]
        said, exact = (f"{d.mean:+.1f} points [{d.low:+.1f}, {d.high:+.1f}]" for d in pairs)
        lines.append(f"    {arm} - {first}: {said}; answering exactly {exact}")
    return lines
