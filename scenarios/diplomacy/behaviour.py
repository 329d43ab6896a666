"""How players talk and move, as ratios that people and agents can be compared in. Pure functions of recorded games.

    messages      private messages a movement phase and pair of living powers whose talk is on record
    talking       share of such pairs that wrote at all before a phase's orders
    characters    length of a message
    supports      share of supports among the orders of movement phases
    given         share of those supports that were given to another power's unit
    promises      things promised or accepted about the author's own next orders, a message
    kept          share of promises that these orders kept

What a text promises is read by the extractor from the text alone, for people and agents alike; it misses most of what people
say in other words, so `promises` does not compare, and `kept` does. The unit of inference is the game.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scenarios.diplomacy.commitments import BINDING, binds, kept
from scenarios.diplomacy.extractor import meaning
from scenarios.diplomacy.games import Game, Phase, Said
from scenarios.diplomacy.map import POWERS
from sociallm.conversation import AgentID

ROWS = ("messages", "characters", "supports", "given", "kept", "talking", "promises")
COMPARED = ("messages", "characters", "supports", "given", "kept")  # the rows in which agents should be like people; the rest is context
FACTOR = 2.0  # how far from the people's figure still counts as alike
Counts = Mapping[str, tuple[float, float]]  # row → (numerator, denominator)


@dataclass(frozen=True)
class Ratio:
    """A ratio over games with its 95 % percentile bootstrap interval, whole games resampled; NaN where nothing was counted."""

    value: float
    low: float
    high: float
    games: int


def counts(game: Game) -> dict[str, tuple[float, float]]:
    """Row → (numerator, denominator) of one game."""
    total = dict.fromkeys(ROWS, (0.0, 0.0))
    for phase in game.phases:
        found = _talk(phase, game) | _deeds(phase) | _promises(phase)
        total = {row: (total[row][0] + found[row][0], total[row][1] + found[row][1]) for row in ROWS}
    return total


def _talk(phase: Phase, game: Game) -> dict[str, tuple[float, float]]:
    alive = {power for power, orders in phase.orders.items() if orders}
    pairs = [pair for pair in game.pairs if pair <= alive]
    private = [said for said in phase.said if said.to and frozenset((said.author, said.to)) in pairs]
    talking = {frozenset((said.author, said.to)) for said in private}
    return {
        "messages": (len(private), len(pairs)),
        "talking": (len(talking), len(pairs)),
        "characters": (sum(len(said.text) for said in phase.said), len(phase.said)),
    }


def _deeds(phase: Phase) -> dict[str, tuple[float, float]]:
    orders = [(power, order.split()) for power, given in phase.orders.items() for order in given]
    supports = [(power, words) for power, words in orders if words[2:3] == ["S"]]
    to_others = [words for power, words in supports if phase.owner(words[4][:3]) not in (power, None)]
    return {"supports": (len(supports), len(orders)), "given": (len(to_others), len(supports))}


def _promises(phase: Phase) -> dict[str, tuple[float, float]]:
    verdicts = promises(phase)
    return {"promises": (len(verdicts), len(phase.said)), "kept": (sum(verdicts), len(verdicts))}


def promises(phase: Phase) -> list[bool]:
    """For each thing promised before the orders, whether they kept it; the same thing promised twice to one reader counts once."""
    found: dict[tuple[AgentID, AgentID | None, str], bool] = {}
    for said in phase.said:
        orders = phase.orders.get(said.author, ())
        for about in _promised(said):
            verdict = kept(about, orders)
            if verdict is not None:
                found[said.author, said.to, repr(sorted(about.items()))] = verdict
    return list(found.values())


def _promised(said: Said) -> list[Mapping[str, object]]:
    readers = frozenset((said.author, said.to)) if said.to else frozenset(POWERS)
    acts = meaning(said.text, said.author, readers)
    return [act["about"] for act in acts if act["act"] in BINDING and binds(act["about"], said.author)]


def measure(games: Sequence[Game], rng: np.random.Generator, resamples: int = 2000) -> dict[str, Ratio]:
    """Row → its ratio over all games, counts pooled. Raises ValueError without games."""
    if not games:
        raise ValueError("no games to measure; name at least one")
    each = [counts(game) for game in games]
    picks = rng.integers(len(games), size=(resamples, len(games)))
    found = {}
    for row in ROWS:
        pairs = np.array([one[row] for one in each])
        drawn = pairs[picks].sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            value, spread = pairs[:, 0].sum() / pairs[:, 1].sum(), drawn[:, 0] / drawn[:, 1]
        low, high = (float("nan"),) * 2 if len(games) < 2 or np.isnan(spread).all() else np.nanquantile(spread, (0.025, 0.975))
        found[row] = Ratio(float(value), float(low), float(high), len(games))
    return found


def alike(found: Ratio, reference: Ratio) -> bool:
    """Whether a ratio is within a factor of two of the other."""
    return bool(reference.value / FACTOR <= found.value <= reference.value * FACTOR)


def table(columns: Mapping[str, Mapping[str, Ratio]], reference: str) -> str:
    """The rows as Markdown, one column a set of games; the last says the first one's factor of the reference's, (!) where it should be alike."""
    first = next(iter(columns))
    head = ["", *columns, f"{first} ÷ {reference}"]
    lines = [head, ["---"] * len(head)]
    for row in ROWS:
        cells = [f"{r.value:.3g} [{r.low:.3g}, {r.high:.3g}]" for r in (column[row] for column in columns.values())]
        factor = columns[first][row].value / columns[reference][row].value if columns[reference][row].value else float("nan")
        apart = row in COMPARED and not alike(columns[first][row], columns[reference][row])
        lines.append([row, *cells, f"{factor:.2f}" + (" (!)" if apart else "")])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
