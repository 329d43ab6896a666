"""Diplomacy told in words: the position, the legal orders, and whether what somebody wrote are some of them (`agents.legal`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from agents.legal import Legal, Read
from agents.types import JSON, Observation
from scenarios.diplomacy.orders import OrderError, format_order, parse_order

MOST_ENUMERATED = 400  # orders in a schema: servers refuse longer ones, and the words list them anyway
MOST_ORDERS = 64  # that are read of one move
DASH = re.compile(r"\s*(?:-+>?|–|—|→)\s*")
HOLDS = re.compile(r"\s(?:HOLDS?|H)$")
SAYS = {"BUILD": "builds", "REMOVE": "removals"}


def legal(observation: Observation, notes: JSON) -> Legal:
    """What a power may order now; while it only talks, what it may order when the talk is over."""
    view = observation.view
    options: dict[str, tuple[str, ...]] = {unit: tuple(orders) for unit, orders in view.get("legal", {}).items()}
    count = abs(int(view.get("count", 0)))
    adjusting = bool(options) and next(iter(options)) in SAYS
    if not options:
        return Legal(seen=_seen(view), moves=("You have nothing to order now; leave the move null.",), schema={"type": "null"}, read=lambda _: Read())
    if adjusting:
        what = next(iter(options))
        first = f'A move is {{"{what}": [{count} of the following]}}: your {SAYS[what]}.'
        moves: tuple[str, ...] = (first, f"{what}: {' | '.join(options[what])}")
        schema: dict[str, Any] = {"type": "object", "properties": {what: {"type": "array", "items": _choice(options[what], len(options[what]))}}, "required": [what]}
    else:
        total = sum(map(len, options.values()))
        moves = ('A move is one order for each of your units, as in {"A PAR": "A PAR - BUR"}; copy the orders from these lines.',)
        moves += tuple(f"{unit}: {' | '.join(orders)}" for unit, orders in options.items())
        schema = {"type": "object", "properties": {unit: _choice(orders, total) for unit, orders in options.items()}, "required": list(options)}
    read = partial(read_orders, options, count if adjusting else None)
    return Legal(seen=_seen(view), moves=moves, schema={**schema, "additionalProperties": False}, read=read, lists=tuple(options.items()))


def _choice(orders: Sequence[str], total: int) -> dict[str, Any]:
    return {"type": "string", "enum": list(orders)} if total <= MOST_ENUMERATED else {"type": "string"}


def _seen(view: Mapping[str, Any]) -> tuple[str, ...]:
    """The position as the table sees it."""
    board = view["board"]
    lines = [f"You play {view['power']}. It is {view['phase']} (S, F, W: season; M movement, R retreats, A adjustments); the game ends after {view['last_year']}."]
    if view["phase"].endswith("M") and view["rounds"]:
        lines.append(f"Press rounds before the orders: {view['rounds']}; this is round {min(view['round'] + 1, view['rounds'])}.")
    for power, units in board["units"].items():
        centers = board["centers"].get(power, ())
        if units or centers:
            lines.append(f"{power}: units {', '.join(units) or 'none'}; {len(centers)} centres {', '.join(centers)}")
    for dislodged in board.get("dislodged", ()):
        lines.append(f"dislodged: {dislodged['power']} {dislodged['unit']}, may retreat to {', '.join(dislodged['retreats']) or 'nowhere'}")
    for record in view.get("recent", ()):
        for power, results in record["results"].items():
            lines.append(f"{record['phase']} {power}: " + "; ".join(f"{order} ({word})" if word else order for order, word in results.items()))
    return tuple(lines)


def plain_order(text: str) -> str:
    """The order a text means, as the board writes it; the text itself, in capitals, if it means none."""
    tidy = HOLDS.sub(" H", DASH.sub(" - ", " ".join(text.upper().split())))
    tidy = re.sub(r"\s(?:SUPPORTS?)\s", " S ", re.sub(r"\s(?:CONVOYS?)\s", " C ", tidy))
    try:
        return format_order(parse_order(tidy))
    except OrderError:
        return tidy[:80]


def read_orders(options: Mapping[str, Sequence[str]], count: int | None, value: JSON) -> Read:
    """Orders of any JSON value: {unit: order}, a list of orders, or one. Those of units that are not one's own are left out, and said so."""
    if count is not None:
        return _adjustments(next(iter(options)), next(iter(options.values())), count, value)
    chosen: dict[str, str] = {}
    dropped: list[str] = []
    wrong: list[str] = []
    for unit, text in _pairs(value):
        if not isinstance(text, str) or len(text) > 200:
            wrong.append(f"{text!r:.40} is no order")
            continue
        order = plain_order(text)
        of = next((own for own in options if order == own or order.startswith(f"{own} ")), None)
        if of is None and unit is not None and (own := plain_order(unit)) in options and not order.startswith(("A ", "F ")):
            of, order = own, plain_order(f"{own} {text}")  # the unit stands before the colon alone
        if of is None:
            dropped.append(f"{order[:60]!r} is an order of no unit of yours")
        elif order not in options[of]:
            wrong.append(f"{order[:60]!r} is not legal")
        elif chosen.setdefault(of, order) != order:
            wrong.append(f"{of} has two orders")
    if missing := [unit for unit in options if unit not in chosen]:
        wrong.append(f"no legal order for {', '.join(missing)}")
    if wrong:
        return Read(wrong=f"move: {'; '.join(wrong)[:400]}; copy one legal order for each of {', '.join(options)}", dropped=tuple(dropped))
    return Read(move=chosen, intent={unit: {order: 1.0} for unit, order in chosen.items()}, dropped=tuple(dropped))


def _pairs(value: JSON) -> list[tuple[str | None, Any]]:
    found: list[tuple[str | None, Any]]
    if isinstance(value, Mapping):
        found = [(str(unit), text) for unit, texts in value.items() for text in (texts if isinstance(texts, list) else [texts])]
    else:
        found = [(None, text) for text in (value if isinstance(value, list) else [value])]
    return found[:MOST_ORDERS]


def _adjustments(what: str, options: Sequence[str], count: int, value: JSON) -> Read:
    """As many builds or removals as are due, all different but for what is waived."""
    texts = [plain_order(text) for _, text in _pairs(value) if isinstance(text, str) and len(text) <= 200]
    known = [text for text in texts if text in options]
    chosen = [text for i, text in enumerate(known) if text == "WAIVE" or text not in known[:i]]
    places = [text[2:5] for text in chosen if text != "WAIVE"]
    dropped = tuple(f"{text[:60]!r} is none of your {SAYS[what]}" for text in texts if text not in options)
    if len(chosen) != count or len(set(places)) != len(places):
        return Read(wrong=f'move: expected {{"{what}": [{count} different of {" | ".join(options)[:300]}]}}', dropped=dropped)
    return Read(move={what: chosen}, intent={what: dict.fromkeys(chosen, 1.0)}, dropped=dropped)
