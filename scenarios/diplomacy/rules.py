"""Rules: where rulebooks and sites differ, each choice by name. The default is the 2023 rulebook with the DATC 3.0 author's preferences.

Section numbers are those of the DATC 3.0 (Kruijswijk 2024). What is not an option is not in doubt, or nobody who plays asks for it:
convoy paradoxes always end by Szykman's rule (4.A.2), builds left out are waived, and surplus orders are taken in the order given.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

CHOICES = {
    "removals": ("owned centres", "home centres"),
    "convoy_intent": ("own fleet", "explicit"),
    "land_route": ("never", "unordered"),
    "needless_convoys": ("illegal", "taken"),
}


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The options of the rules; each is one of `CHOICES`.

    `removals` (4.D.8), for a power that removes too few units: 'owned centres', 2023, the unit farthest from any centre it owns, every
    distance over land and sea; 'home centres', before 2023, farthest from its home centres whoever owns them, a fleet's distance by sea alone.

    `convoy_intent` (4.A.3), for an army that could also walk: 'own fleet', it goes by convoy if it says VIA or a fleet of its own power is
    ordered to carry it; 'explicit', only if it says VIA.

    `land_route` (4.A.3), for an army that says VIA and could walk: 'never', without a convoy it stays; 'unordered', it walks if no whole
    route is ordered (a route that is ordered and broken still leaves it where it is).

    `needless_convoys` (6.G.19), a fleet ordered to carry an army where no route needs it: 'illegal', or 'taken', without effect.
    """

    removals: str = "owned centres"
    convoy_intent: str = "own fleet"
    land_route: str = "never"
    needless_convoys: str = "illegal"

    def __post_init__(self) -> None:
        for option in fields(self):
            value, choices = getattr(self, option.name), CHOICES[option.name]
            if value not in choices:
                raise ValueError(f"rules.{option.name}: got {value!r:.40}, expected {' or '.join(map(repr, choices))}")


STANDARD = Rules()
WEBDIPLOMACY = Rules(removals="home centres", convoy_intent="explicit", needless_convoys="taken")  # where Cicero's games were played
PACKAGE = Rules(removals="home centres", land_route="unordered", needless_convoys="taken")  # the `diplomacy` package

NAMED = {"standard": STANDARD, "webdiplomacy": WEBDIPLOMACY, "package": PACKAGE}
