"""Games with plans drawn at random, played in this process: who lies, to whom, about what and when differs from seed to seed, and so do the
controls beside the liar. For figures that would say nothing if every game had the same plan.

Every plan has one liar (or, of the honest, none) and controls: changed_mind, mistaken, bluffing, omitting, terse, polite, and in a market
sellers who say what they mean to charge and charge it. `insincere` labels words by the plan, never by an intent or a text's truth alone.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.plan_file import read_plan
from agents.planting import LIE, MANNERS, Plan, Statement
from analysis.spoken import STATEMENT, Word
from sandbox.in_memory import arranged, as_read
from sandbox.in_memory import played as play
from sandbox.labels import labels_of
from sandbox.log import Event
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.planting import number
from scenarios.hidden_roles.talk import NAMES
from scenarios.table import make_environment
from sociallm.conversation import AgentID

SELLERS, ROUNDS = 6, 12
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "market": {"sellers": SELLERS, "rounds": ROUNDS, "chat": "private", "talks": 2, "shock": 0.1},
    "diplomacy": {"last_year": 1903, "honesty": {"default": 1.0}},  # whoever has no plan keeps from lying
    "team_task": {"members": 6, "suspects": 5, "network": "complete", "reach": "neighbours", "talks": 4},
    "hidden_roles": {"players": 6, "talks": 2, "lie": 0.5},
}
NEAR = (
    ("AUSTRIA", "ITALY"), ("AUSTRIA", "RUSSIA"), ("AUSTRIA", "TURKEY"), ("ENGLAND", "FRANCE"), ("ENGLAND", "GERMANY"), ("FRANCE", "GERMANY"), ("FRANCE", "ITALY"),
    ("GERMANY", "RUSSIA"), ("RUSSIA", "TURKEY"), ("ENGLAND", "RUSSIA"), ("ITALY", "TURKEY"),
)  # fmt: skip
OPENINGS: Mapping[AgentID, tuple[str, ...]] = {  # two orders of one unit in the spring of 1901
    "AUSTRIA": ("A BUD - SER", "A BUD - RUM"), "ENGLAND": ("F LON - ENG", "F LON - NTH"), "FRANCE": ("A PAR - PIC", "A PAR - BUR"), "GERMANY": ("A MUN - RUH", "A MUN - BUR"),
    "ITALY": ("A VEN - TYR", "A VEN - PIE"), "RUSSIA": ("A WAR - UKR", "A WAR - GAL"), "TURKEY": ("F ANK - CON", "F ANK - BLA"),
}  # fmt: skip


@dataclass(frozen=True)
class PlantedGame:
    """One game: its log, its plan (None: none), what was planted in it by the labels' rules."""

    world: str
    seed: int
    events: tuple[Event, ...]
    plan: Plan
    labels: Mapping[str, Any]

    def liars(self, executed: bool) -> frozenset[AgentID]:
        """Those whose lies, by the plan or by their role, came off, or did not."""
        came_off = {a for e in self.labels["entries"] if e["kind"] == LIE and e["executed"] for a in e["who"]}
        return frozenset(came_off if executed else {a for e in self.labels["entries"] if e["kind"] == LIE for a in e["who"]} - came_off)


def game(world: str, seed: int, lying: bool = True, **settings: Any) -> PlantedGame:
    """A game of this seed with a plan drawn by it; `lying=False`: the same plan without its liar."""
    rng = np.random.default_rng((seed, *world.encode()))
    made = PLANS[world](rng)
    given = {**SETTINGS[world], **made.pop("settings", {})}
    if not lying:
        made = {key: value for key, value in made.items() if key != "lies"}
        given |= {"lie": 0.0} if "lie" in given else {}
    return played(world, seed, made, **{**given, **settings})


def bluff(seed: int) -> PlantedGame:
    """A market in which somebody says the very price that it will charge, and does not mean it: what it meant instead is dropped when prices are due."""
    rng = np.random.default_rng((seed, *b"bluff"))
    who, settings = f"S{rng.integers(1, 5)}", {"sellers": 4, "rounds": ROUNDS, "chat": "private", "talks": 2}
    settings["play"] = {"default": "rival", who: "cartel"}
    price = round(float(make_environment({"name": "market", **settings}).language.prices.cartel[int(who[1]) - 1]), 4)  # type: ignore[union-attr]
    rounds = sorted(int(r) for r in rng.choice(np.arange(1, ROUNDS), size=4, replace=False))
    to = [f"S{i}" for i in range(1, 5) if f"S{i}" != who]
    say = {"act": "inform", "price": price}
    lies = [{"who": who, "to": to, "say": say, "when": {"step": f"{3 * r}..{3 * r + 1}"}, "intent": round(float(rng.uniform(1.3, 1.6)), 2)} for r in rounds]
    return played("market", seed, {"lies": lies}, **settings)


def played(world: str, seed: int, plan: Mapping[str, Any], **settings: Any) -> PlantedGame:
    """A game with this plan, every seat on the planted policy."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "plan.yaml")
        file.write_text(json.dumps({"plan": "drawn", **plan}), encoding="utf-8")  # JSON is YAML
        setting = arranged({"name": world, **settings}, str(file), True, seed)
        events = tuple(as_read(play(setting)[0]))
        return PlantedGame(world, seed, events, read_plan(str(file), seed), labels_of(setting, events))


# ---- plans drawn at random ---------------------------------------------------------------------------------------------


def _span(rng: np.random.Generator, first: int, last: int, least: int, most: int) -> str:
    """FIRST..LAST of so many rounds within these."""
    size = int(rng.integers(least, most + 1))
    begin = int(rng.integers(first, max(first, last - size + 1) + 1))
    return f"{begin}..{min(begin + size - 1, last)}"


def _market(rng: np.random.Generator) -> dict[str, Any]:
    names = [f"S{i + 1}" for i in rng.permutation(SELLERS)]
    liar, truthful, changed, mistaken, other, mannered = names
    price = lambda low, high: round(float(rng.uniform(low, high)), 2)  # noqa: E731
    to = [str(name) for name in rng.choice(names[1:], size=int(rng.integers(1, 4)), replace=False)]
    when = lambda least, most: {"round": _span(rng, 2, ROUNDS - 1, least, most)}  # noqa: E731
    controls: list[dict[str, Any]] = [
        # who is truthful says what it means to charge, and nothing changes
        {"who": truthful, "kind": "changed_mind", "to": [liar, changed, mistaken], "say": {"act": "inform"}, "when": when(4, 8)},
        {"who": changed, "kind": "changed_mind", "to": [truthful, other], "say": {"act": "inform", "price": price(1.5, 1.9)}, "when": when(1, 2)},
        {"who": mistaken, "kind": "mistaken", "to": [other, liar], "say": {"act": "inform"}, "when": when(2, 5),
         "fed": {other: price(1.6, 1.95), truthful: price(1.6, 1.95)}},
        {"who": other, "kind": "bluffing", "to": [truthful, liar], "say": {"act": "propose", "price": price(1.6, 1.9)}, "when": when(1, 4)},
        {"who": mannered, "kind": str(rng.choice(["terse", "polite"]))},
        {"who": mannered, "kind": "omitting", "acts": ["remark"]},
    ]
    lie = {"who": liar, "to": to, "say": {"act": "inform", "price": price(1.6, 1.95)}, "when": when(3, 7), "intent": price(1.25, 1.45)}
    play = {"default": "rival", **{str(n): "grudge" for n in (mannered, truthful) if rng.random() < 0.5}}
    return {"lies": [lie], "controls": controls, "settings": {"play": play}}


def _diplomacy(rng: np.random.Generator) -> dict[str, Any]:
    liar, victim = (str(p) for p in rng.permutation(NEAR[int(rng.integers(len(NEAR)))]))
    others = [str(p) for p in rng.permutation([p for p in POWERS if p not in (liar, victim)])]
    changed, mistaken, bluffing, omitting, mannered = others
    said, done = (OPENINGS[liar][i] for i in rng.permutation(2))
    lies: list[dict[str, Any]] = [
        {"who": liar, "to": [victim], "say": {"act": "promise", "about": {"kind": "order", "order": said}},
         "when": {"phase": "S1901M", "round": "0..2"}, "intent": {said[:5]: done}},
        {"who": liar, "to": [victim], "say": {"act": "promise", "about": {"kind": str(rng.choice(["dmz", "order"]))}}, "when": {"phase": "F1901M.."}},
        {"who": liar, "to": [victim], "say": {"act": "promise", "about": {"kind": "support"}}, "when": {"phase": f"{rng.choice(['S1902M', 'F1902M'])}.."}},
    ]  # fmt: skip
    meant, ordered = (OPENINGS[changed][i] for i in rng.permutation(2))
    boast, true = (OPENINGS[bluffing][i] for i in rng.permutation(2))
    to = lambda who: [next(b if a == who else a for a, b in NEAR if who in (a, b))]  # noqa: E731
    controls: list[dict[str, Any]] = [
        {"who": changed, "kind": "changed_mind", "to": to(changed), "say": {"act": "promise", "about": {"kind": "order", "order": meant}},
         "when": {"phase": "S1901M", "round": "0..2"}, "intent": {meant[:5]: ordered}},
        {"who": mistaken, "kind": "mistaken", "to": to(mistaken), "say": {"act": "inform", "about": {"kind": "order", "power": victim, "order": OPENINGS[victim][0]}},
         "when": {"phase": "S1901M", "round": "0..2"}},
        {"who": bluffing, "kind": "bluffing", "to": to(bluffing), "say": {"act": "inform", "about": {"kind": "order", "order": boast}},
         "when": {"phase": "S1901M", "round": "0..2"}, "intent": {boast[:5]: true}},
        {"who": omitting, "kind": "omitting", "acts": ["inform"]}, {"who": mannered, "kind": str(rng.choice(["terse", "polite"]))},
    ]  # fmt: skip
    return {"lies": lies, "controls": controls}


def _team(rng: np.random.Generator) -> dict[str, Any]:
    names = [f"M{i + 1}" for i in rng.permutation(6)]
    liar, mistaken, changed, omitting, bluffing, mannered = names
    to = lambda who: [n for n in names if n != who]  # noqa: E731
    turned = {"act": "inform"} if rng.random() < 0.5 else {"act": "inform", "suspect": "least", "evidence": str(rng.choice(["strong yes", "maybe yes"]))}
    lies = [{"who": liar, "to": to(liar), "say": turned, "when": {"round": f"{int(rng.integers(0, 2))}.."}}]
    controls = [
        {"who": mistaken, "kind": "mistaken", "to": to(mistaken), "say": {"act": "inform"}, "fed": {"suspect": "least", "evidence": "strong yes"}},
        {"who": changed, "kind": "changed_mind", "to": to(changed), "say": {"act": "guess", "suspect": "second"}, "when": {"round": "1..2"}},
        {"who": omitting, "kind": "omitting", "acts": ["inform"]},
        {"who": bluffing, "kind": "bluffing", "to": to(bluffing), "say": {"act": "ask", "suspect": "likeliest"}, "when": {"round": "2.."}},
        {"who": mannered, "kind": str(rng.choice(["terse", "polite"]))},
    ]
    return {"lies": lies, "controls": controls}


def _roles(rng: np.random.Generator) -> dict[str, Any]:
    names = [str(n) for n in rng.permutation(NAMES[:6])]
    liar, mistaken, changed, omitting, bluffing, polite = names
    to = lambda who: [n for n in names if n != who]  # noqa: E731
    lies = [
        {"who": liar, "to": to(liar), "say": {"act": "accuse"}, "when": {"round": "0.."}},
        {"who": liar, "to": to(liar), "say": {"act": "defend"}, "when": {"round": f"{int(rng.integers(0, 2))}.."}},
    ]
    controls = [
        {"who": mistaken, "kind": "mistaken", "to": to(mistaken), "say": {"act": "accuse"}, "fed": {str(rng.choice(to(mistaken))): "evil"}},
        {"who": changed, "kind": "changed_mind", "to": to(changed), "say": {"act": "approve"}, "when": {"round": "0..0"}},
        {"who": omitting, "kind": "omitting", "acts": ["accuse", "defend"]},
        {"who": bluffing, "kind": "bluffing", "to": to(bluffing), "say": {"act": "propose"}},
        {"who": polite, "kind": "polite"},
    ]
    return {"lies": lies, "controls": controls}


PLANS: dict[str, Any] = {"market": _market, "diplomacy": _diplomacy, "team_task": _team, "hidden_roles": _roles}


# ---- labels of words ---------------------------------------------------------------------------------------------------


def insincere(of: PlantedGame, found: Sequence[Word]) -> list[bool]:
    """Of each word whether the plan had it said by somebody who means another thing.

    A lie that names its words is found by them. Of one that leaves them to be found (a zone, a support, a witness turned round) it is the first
    such word to its readers in a phase, or, in a team, a clue that no witness gave: honest members quote theirs, and who is mistaken has a
    statement of its own in the plan.
    """
    lies = [s for s in of.plan.statements if s.kind == LIE]
    seen: set[tuple[Any, ...]] = set()
    out = []
    for w in found:
        hit = False
        for s in (s for s in lies if s.who == w.author and set(s.to) & set(w.to)):
            if of.world == "hidden_roles":
                continue  # whose lies are about roles; what was meant by those is known by role alone
            if of.world == "team_task":
                hit |= w.kind == STATEMENT and not w.kept
            elif of.world == "market":
                hit |= w.said == f"{s.say['price']:.4f}".rstrip("0").ljust(4, "0") and _due(s, w)
            else:
                hit |= _of_phase(s, w, seen)
        out.append(hit)
    return out


def _due(s: Statement, w: Word) -> bool:
    return s.when.holds({"round": int(w.about.split()[-1]), "step": w.step}, lambda _, value: int(value))


def _of_phase(s: Statement, w: Word, seen: set[tuple[Any, ...]]) -> bool:
    about, phase = s.say["about"], w.about.split()[0]
    if "order" in about:
        return bool(w.said == about["order"])
    kind = "dmz" if w.said.startswith("out of") else "support" if " S " in w.said else "order"
    first = (id(s), phase, w.to) not in seen
    if kind != about["kind"] or not first or not s.when.holds({"phase": number("phase", phase), "round": 0, "step": 0}, number):
        return False
    if kind == "order" and not w.said.endswith(" H"):  # a lie about an order that the plan leaves open is that a unit holds
        return False
    seen.add((id(s), phase, w.to))
    return True


def control(of: PlantedGame, agent: AgentID) -> str:
    """What an agent is by the plan: lie, a control, or plain."""
    kinds = [s.kind for s in of.plan.statements if s.who == agent]
    kinds += [m.kind for m in of.plan.manners if m.who == agent and m.kind in MANNERS]
    return kinds[0] if kinds else "plain"
