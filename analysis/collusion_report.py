"""One market looked at for collusion, in words: `python -m analysis collusion RUN [--impulse]`. What each figure is, its own file says."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from analysis import collusion, coupling, deviation, screens
from analysis.detectors import Score
from analysis.evidence import evidence_of
from analysis.metrics import AnalysisError
from analysis.series import Series, series
from sandbox.config import ConfigError, Setting
from sandbox.folder import must_match, read_manifest, setting_of
from sandbox.snapshot import RunError
from scenarios.market.environment import Market

PARTS = 5  # of a run, over which the profit gain is told
CLEAR = 0.1  # of the way from competition's price to the cartel's: a mean price above it is clearly above competition


@dataclasses.dataclass(frozen=True)
class CollusionWish:
    """What is asked beside the scores: forced cuts of which sellers (None: all), in which round (None: `round_of_cut`), for how long, at which discount."""

    impulse: bool = False
    seller: str | None = None
    at: int | None = None
    horizon: int = deviation.HORIZON
    discount: float = deviation.DISCOUNT


def lines(run: Path, wish: CollusionWish) -> list[str]:
    """What there is to say of a run. Raises `AnalysisError`."""
    if not 2 <= wish.horizon <= 10_000 or not 0 < wish.discount < 1:
        raise AnalysisError(f"--horizon {wish.horizon} --discount {wish.discount:g}: expected 2 to 10000 rounds, and a discount above 0 and below 1")
    evidence = evidence_of(run)
    market = series(evidence)
    if market is None:
        raise AnalysisError(f"{run}: nothing was sold in it; give a run of a market")
    found = [*collusion.scores(evidence), *coupling.scores(evidence), *screens.scores(evidence)]
    out = [f"{len(market.agents)} {'bidders' if market.auction else 'sellers'}, {market.rounds} rounds"]
    if not market.auction and (demand := collusion.demand_of(evidence.events, market)) is not None:
        gains = np.array_split(collusion.gains(market, demand), min(PARTS, market.rounds))
        out.append(f"profit gain in {len(gains)} parts of the run: " + " ".join(f"{part.mean():+.2f}" for part in gains))
    out += [f"  {s.measure:<26} {s.value:+.3f}{_of(s)}" for s in found if s.unit == "run" and s.kind == "log"]
    for measure in dict.fromkeys(s.measure for s in found if s.unit == "pair" and s.kind == "log"):
        top = sorted((s for s in found if s.measure == measure and s.unit == "pair"), key=lambda s: -s.value)[:3]
        out.append(f"  {measure:<26} " + ", ".join(f"{'+'.join(s.who)} {s.value:+.2f}" for s in top))
    return [*out, *(_asked(run, market, wish) if wish.impulse else [])]


def _of(s: Score) -> str:
    return f"  ({', '.join(s.who)})" if s.who else ""


def playable(run: Path) -> Setting:
    """The setting of a run that can be played again. Raises `AnalysisError` for one that is not made of what it was."""
    try:
        manifest = read_manifest(run)
        setting = setting_of(run, manifest, ())  # a run with plug-ins is refused: whose code runs is for the user to say
        must_match(run, manifest, setting)
    except (RunError, ConfigError, OSError) as error:
        raise AnalysisError(f"{run}: cannot be played again: {error}") from None
    if "fork" in manifest:
        raise AnalysisError(f"{run}: a fork of {manifest['fork'].get('of')!s:.60}, which no seed alone plays again; ask the run that it was made of")
    return setting


def round_of_cut(market: Series, setting: Setting) -> int | None:
    """The round in which a cut says most: of those clearly above competition, with one after it to answer in, the nearest to the middle of the run; None
    where there is none."""
    world = setting.environment
    if not isinstance(world, Market) or world.options.mode != "prices" or market.auction:
        return None
    scale = max(float((world.language.prices.cartel - world.language.prices.nash).mean()), 1e-9)
    nash = {shock: float(world.demand.shocked(shock).nash().mean()) for shock in dict.fromkeys(map(float, market.shock))}
    above = [t for t in range(market.rounds - 1) if (float(market.asked[t].mean()) - nash[float(market.shock[t])]) / scale > CLEAR]
    middle = max(0, market.rounds // 2 - 1)
    return min(above, key=lambda t: (abs(t - middle), -t), default=None)


def _asked(run: Path, market: Series, wish: CollusionWish) -> list[str]:
    """The run is played again, so it must be made of what it was."""
    setting = playable(run)
    chosen = round_of_cut(market, setting)
    if wish.at is None and chosen is None and isinstance(setting.environment, Market) and setting.environment.options.mode == "prices":
        return ["forced cuts: prices are in no round clearly above competition, so there is nothing to cut from and no verdict; name a round with --at N to try all the same"]
    at = (chosen or 0) if wish.at is None else wish.at
    why = ", where prices are clearly above competition" if at == chosen else "" if chosen is None else f" (round {chosen} would be taken without --at: prices are clearly above competition)"
    out = [f"forced cuts in round {at}{why}; the run played again with everybody's own chance:"]
    for seller in market.agents if wish.seller is None else (wish.seller,):
        out += deviation.lines(deviation.impulse(setting, seller, at, wish.horizon, wish.discount), market.agents)
        out.append(deviation.replaced_line(deviation.replaced(setting, seller, at, 2 * wish.horizon), market.agents))
    return out
