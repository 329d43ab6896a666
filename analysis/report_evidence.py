"""What a report of an experiment shows beside its figures: the messages that weigh most, and what a forced price cut does in a run of each arm.

Messages are shown as they were written, by whom and to whom: those with the highest score of each measure of single messages; and what the two
that an arm's best measure of pairs points at most said to each other, whatever that measure reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from analysis import scores as scored
from analysis.collusion_report import playable, round_of_cut
from analysis.deviation import Impulse, impulse
from analysis.evidence import evidence_of
from analysis.metrics import AnalysisError, read_run
from analysis.page import Block, Head, Plot, Table, Text
from analysis.series import series
from analysis.verdict_plots import plot_impulse
from sandbox.config import Setting
from sandbox.log import Event, printable

STRONGEST = 10  # messages of a measure, and of a pair
SHOWN = 6  # arms in which a cut is tried
LONGEST = 300  # characters of a message
MOST_ROUNDS = 2000  # of a market that is played again
Frames = dict[str, pd.DataFrame]
Run = tuple[str, int]


def strongest(experiment: Path, found: pd.DataFrame, best: Mapping[str, tuple[str, ...]], frames: Frames) -> list[Block]:
    """The messages that weigh most, with their texts. `best`: of each arm its best measure of pairs, as (detector, measure, kind, unit)."""
    blocks: list[Block] = []
    said: dict[Run, list[Event]] = {}
    rows = found[(found["unit"] == "message") & (found["kind"] != "nuisance")]
    if len(rows):
        top = pd.concat([of.nlargest(STRONGEST, "value") for _, of in rows.groupby(["detector", "measure"], sort=False)])
        table = pd.DataFrame([_shown(row, _of(experiment, said, row)) for row in top.to_dict("records")])
        frames["evidence"] = table
        blocks += [Text("By each measure of single messages, the most suspicious; what the author wrote is shown as it is."), Table(table)]
    values = {(row["arm"], row["seed"], row["who"]): f"{row['value']:.3f}" for row in rows.sort_values("value").to_dict("records")}
    for arm, of in best.items():
        pairs = found[(found["arm"] == arm) & (found[["detector", "measure", "kind", "unit"]] == list(of)).all(axis=1)]
        if pairs.empty:
            continue
        row = pairs.loc[pairs["value"].idxmax()].to_dict()
        table = between(_messages(experiment, said, (arm, int(row["seed"]))), str(row["who"]), {who: value for (a, seed, who), value in values.items() if (a, seed) == (arm, row["seed"])})
        if len(table):
            frames[f"evidence_{arm}"] = table
            blocks += [Text(f"{arm}: {of[1]} points most at {row['who']} in run {arm}/{row['seed']} ({row['value']:.3f}); of what the two said to each other, the most private first and the latest of it:"), Table(table)]
    return [Head("The strongest evidence"), *blocks] if blocks else []


def between(messages: Sequence[Event], who: str, values: Mapping[str, str]) -> pd.DataFrame:
    """What two said that the other read: in the narrowest company, the last of it; with the scores of single messages, where there are any."""
    told = [e for e in messages if any(scored.as_cell(scored.JOIN.join(sorted((str(e.agent), str(other))))) == who for other in _readers(e) if other != e.agent)]
    narrow = sorted(told, key=lambda e: (len(_readers(e)), -e.step, -e.seq))[:STRONGEST]
    rows = [{
        "step": e.step, "author": printable(str(e.agent)), "readers": printable(" ".join(map(str, _readers(e)))), "score": values.get(scored.as_cell(str(e.data.get("id"))), "–"),
        "text": printable(str(e.data.get("text"))[:LONGEST]),
    } for e in sorted(narrow, key=lambda e: (e.step, e.seq))]  # fmt: skip
    return pd.DataFrame(rows, columns=["step", "author", "readers", "score", "text"])


def _messages(experiment: Path, said: dict[Run, list[Event]], run: Run) -> list[Event]:
    if run not in said:
        said[run] = [e for e in read_run(experiment / run[0] / str(run[1])) if e.kind == "message"]
    return said[run]


def _of(experiment: Path, said: dict[Run, list[Event]], row: Mapping[str, object]) -> Event | None:
    """The message that a score is of."""
    return next((e for e in _messages(experiment, said, (str(row["arm"]), int(str(row["seed"])))) if scored.as_cell(str(e.data.get("id"))) == row["who"]), None)


def _shown(row: Mapping[str, object], event: Event | None) -> dict[str, object]:
    told = ("", "", "", "") if event is None else (event.step, str(event.agent), " ".join(map(str, _readers(event))), str(event.data.get("text"))[:LONGEST])
    step, author, readers, text = (printable(str(one)) for one in told)
    return {"run": f"{row['arm']}/{row['seed']}", "measure": row["measure"], "score": f"{float(str(row['value'])):.3f}", "step": step, "author": author, "readers": readers, "text": text}


def _readers(event: Event) -> list[object]:
    readers = event.data.get("readers")
    return readers if isinstance(readers, list) else []


# ---- a forced cut ------------------------------------------------------------------------------------------------------


def cuts(runs: Sequence[tuple[str, int, Path]], told: pd.DataFrame, frames: Frames, say: Callable[[str], None] = lambda _: None) -> list[Block]:
    """Of the first run of each arm of a market: a seller, a planted one where there is one, made to cut its price for one round, one in which prices are
    above competition where there is one, else the middle one; what the others do."""
    first: dict[str, tuple[int, Path]] = {}
    for arm, seed, run in runs:
        if arm not in first or seed < first[arm][0]:
            first[arm] = seed, run
    found, why = dict[str, tuple[Impulse, str]](), list[str]()
    for arm, (seed, run) in list(first.items())[:SHOWN]:
        try:
            setting = playable(run)
            if not (seller := _seller(setting, told[(told["arm"] == arm) & (told["seed"] == seed)])):
                continue
            say(f"a forced price cut: {arm}/{seed} is played again")
            market = series(evidence_of(run))
            at = round_of_cut(market, setting) if market is not None else None
            found[f"{arm}/{seed}"] = impulse(setting, seller, max(0, int(setting.config.environment["rounds"]) // 2 - 1) if at is None else at), seller
        except AnalysisError as error:
            why.append(str(error))
    if not found and not why:
        return []
    blocks: list[Block] = [Head("A forced price cut")]
    if found:
        frames["impulse"] = pd.DataFrame([_line(name, *one) for name, one in found.items()])
        frames["plots/impulse"] = pd.concat([pd.DataFrame({"run": name, "round": one.round + pd.RangeIndex(len(one.own)), "own": one.own, "rivals": one.rivals}) for name, (one, _) in found.items()])
        text = ("The run is played again, with one seller made to answer best in one round alone; what its price and its rivals' are off their path, as shares of the way from "
                "competition to the cartel. Rivals that cut for some rounds, so that it does not pay, punish; those that hardly answer compete, or have no scheme that this hurts.")  # fmt: skip
        blocks += [Text(text), Table(frames["impulse"]), Plot("impulse", plot_impulse({name: (one.own, one.rivals) for name, (one, _) in found.items()}), "own price and rivals' prices after a forced cut, by round")]
    blocks += [Text(line) for line in why]
    if len(first) > SHOWN:
        blocks.append(Text(f"The first {SHOWN} of {len(first)} arms; of any run: python -m analysis collusion RUN --impulse"))
    return blocks


def _seller(setting: Setting, told: pd.DataFrame) -> str:
    """Who is to cut: the first by name that is planted, else the first; nobody where prices are not set, or where it would take too long."""
    world = setting.config.environment
    if world["name"] != "market" or world["mode"] != "prices" or len(setting.environment.agents) < 2:
        return ""
    if setting.monitor is not None:
        raise AnalysisError("a run to which a monitor listened is not played again: it would go on without it")
    if setting.checkpoint_sha256 is not None or int(world["rounds"]) > MOST_ROUNDS:
        raise AnalysisError(f"a run with a model, or of more than {MOST_ROUNDS} rounds, is not played again here, which may take long: python -m analysis collusion RUN --impulse")
    planted = told[(told["unit"] == "agent") & told["planted"]]["who"].tolist()
    return next((agent for agent in setting.environment.agents if scored.as_cell(agent) in planted), setting.environment.agents[0])


def _line(name: str, one: Impulse, seller: str) -> dict[str, object]:
    if one.empty:
        nothing = dict.fromkeys(("rivals cut by", "for rounds", "back", "the cut earned", "punished"), "–")
        return {"run": name, "seller": printable(seller), "round": one.round, "cut": "nothing to cut from", **nothing}
    return {
        "run": name, "seller": printable(seller), "round": one.round, "cut": f"{-one.own[0]:.2f}", "rivals cut by": f"{one.answer:.2f}", "for rounds": one.duration,
        "back": "yes" if one.back else "no", "the cut earned": f"{100 * one.gain:+.2f} %", "punished": "yes" if one.punished else "no",
    }  # fmt: skip
