"""Patterns over the tokens of one sentence: the orders and supports talked about, whatever is said of them. Pacts: `pacts`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scenarios.diplomacy.lexicon import HELP, Token
from scenarios.diplomacy.map import KINDS
from scenarios.diplomacy.press import UNKNOWN, Spec


@dataclass(frozen=True)
class Found:
    """Something talked about in a sentence: tokens [start, end), and what the pattern says already."""

    kind: str  # order, support, dmz, alliance, draw
    start: int
    end: int
    spec: Spec | None = None
    places: tuple[str, ...] = ()
    powers: tuple[str, ...] = ()  # POWER values, ME, YOU or WE, as far as the pattern itself names them
    owner: str = ""  # who owns the unit ordered: ME, YOU or a power
    negated: bool = False
    asked: bool = False  # a support or a bounce wanted of the reader: 'any chance of support into Rumania', 'let us bounce in Galicia'
    deed: bool = False  # an assault on a power: an alliance only if author and reader do it together
    noun: bool = False  # a thing ('a DMZ in Galicia'), not a deed ('stay out of Galicia')


@dataclass(frozen=True)
class UnitRef:
    """A unit as named in a sentence, e.g. 'my army in Vienna'; `end` is the token after it."""

    kind: str
    place: str
    owner: str
    end: int

    @property
    def text(self) -> str:
        """'A VIE', '? TRI', 'F ?' or '? ?'."""
        kind = self.kind
        if self.place != "?" and kind == "?":
            kind = {"sea": "F", "land": "A"}.get(KINDS[self.place[:3]], "F" if "/" in self.place else "?")
        return f"{kind} {self.place}"


CARRIED = {"move", "moves", "moving", "send", "sends", "sending", "order", "orders", "ordering", "bring", "brings", "bringing"}
_TOWARDS = set(  # 'get Smyrna' orders nothing
    "get gets getting come coming set aim aiming drop walk swing swinging slide sliding shift shifting rotate rotating return returning "
    "dive roll rolling nip squeeze dash fall falling pull pulling pop popping push pushing".split()
)

_FOR = {"come", "coming", "aim", "aiming"}



class Sentence:
    """The tokens of one sentence and the patterns over them. Each pattern starts at a token and looks a bounded way ahead."""

    def __init__(self, sentence: Sequence[Token]) -> None:
        self.t = list(sentence)

    def kind(self, i: int) -> str:
        return self.t[i].kind if 0 <= i < len(self.t) else "END"

    def word(self, i: int) -> str:
        return self.t[i].word if 0 <= i < len(self.t) else ""

    def skip(self, i: int, kinds: Sequence[str] = (), words: Sequence[str] = (), most: int = 4) -> int:
        """The first token from i on that is none of these."""
        end = i + most
        while i < end and (self.kind(i) in kinds or self.word(i) in words) and i < len(self.t):
            i += 1
        return i

    # units ------------------------------------------------------------------------------------------------------------

    def unit(self, i: int) -> UnitRef | None:
        """'my army in Vienna', 'A VIE', 'the Vienna army', 'Vienna', 'your fleet'."""
        owner, i = self.owner(i)
        if self.kind(i) == "UNIT":
            at = self.skip(i + 1, words=("in", "at", "on", "from", "of", "that", "is", "currently", "outof"), most=3)
            if self.kind(at) == "PLACE":
                return UnitRef(self.t[i].value, self.t[at].value, owner, at + 1)
            known = owner or self.word(i) in ("army", "fleet", "unit", "armies", "fleets")
            return UnitRef(self.t[i].value, "?", owner, i + 1) if known else None
        if self.kind(i) == "PLACE":
            if self.kind(i + 1) == "UNIT":
                return UnitRef(self.t[i + 1].value, self.t[i].value, owner, i + 2)
            return UnitRef("?", self.t[i].value, owner, i + 1)
        return None

    def owner(self, i: int) -> tuple[str, int]:
        if self.kind(i) in ("ME", "YOU", "WE") and self.word(i) in ("my", "your", "our", "mine"):
            return self.kind(i), i + 1
        if self.kind(i) == "POWER" and (self.word(i + 1) == "'s" or self.kind(i + 1) in ("UNIT", "PLACE")):
            return self.t[i].value, i + 1 + (self.word(i + 1) == "'s")
        if self.word(i) in ("his", "her", "their", "its", "one", "that", "this") or (self.word(i) in ("a", "an") and self.kind(i + 1) == "UNIT"):
            return "", i + 1
        return "", i

    def target(self, i: int) -> tuple[str, int] | None:
        """'to Galicia', '- GAL'."""
        if self.kind(i) == "TO" and self.kind(i + 1) == "PLACE":
            return self.t[i + 1].value, i + 2
        return None

    def by_convoy(self, i: int) -> int:
        """The end of 'by convoy', 'VIA' at i, else i."""
        if self.word(i) in ("via", "by", "with") and self.kind(i + 1) == "CON":
            return i + 2
        return i + 1 if self.word(i) == "via" else i

    # patterns ---------------------------------------------------------------------------------------------------------

    def support(self, i: int) -> Found | None:
        first, negated, j = None, False, i
        if self.kind(i) != "SUP":
            first = self.unit(i)
            if not first:
                return None
            j = self.skip(first.end, ("AUX", "NEG"), ("to",))
            negated = any(self.kind(k) == "NEG" for k in range(first.end, j))
        if self.kind(j) != "SUP":
            return None
        return self.helping("S", i, j + 1, first, negated)

    def convoy(self, i: int) -> Found | None:
        first, negated, j = None, False, i
        if self.kind(i) != "CON":
            first = self.unit(i)
            if not first:
                return None
            j = self.skip(first.end, ("AUX", "NEG"), ("to",))
            negated = any(self.kind(k) == "NEG" for k in range(first.end, j))
        if self.kind(j) != "CON":
            return None
        return self.helping("C", i, j + 1, first, negated)

    def helped(self, i: int) -> Found | None:
        """'help you into Rumania', 'help me get in Rumania'; and the noun: 'support into Rumania', 'a support to Rumania'."""
        helps = self.word(i) in HELP
        if not helps and (self.kind(i) != "SUP" or self.word(i - 1) in ("cut", "cuts", "cutting", "his", "their", "potential")):
            return None  # support given already, or cut
        if self.word(i + 1) == "from" and not helps:  # 'support from Galicia to Rumania'
            by = self.unit(i + 2)
            goal = self.target(by.end) if by else None
            return Found("support", i, goal[1], Spec(by.text, "S", UNKNOWN, goal[0]), asked=True) if by and goal else None
        whom = self.kind(i + 1) in ("ME", "YOU") and helps
        told = any(self.kind(k) in ("POWER", "ME", "YOU", "WE") or self.word(k) in ("they", "he") for k in range(max(0, i - 5), i))
        owner = "" if told or not whom else "YOU" if self.kind(i + 1) == "ME" else "ME"
        j = self.skip(i + 1 + whom, ("MOVE",), ("to",), most=2)
        j = self.skip(j, ("TO",), ("in",), most=2)
        if self.kind(j) != "PLACE" or j == i + 1 + whom:
            return None
        noun = not whom and not self.word(i).endswith(("ing", "s"))
        return Found("support", i, j + 1, Spec(UNKNOWN, "S", UNKNOWN, self.t[j].value), owner=owner, asked=noun)

    def bounce(self, i: int) -> Found | None:
        """'bounce in Galicia', 'bounce Russia out of Sweden', 'bounce Galicia', 'a Galicia bounce': a move there."""
        if self.kind(i) == "PLACE" and self.kind(i + 1) == "BOUNCE":
            return Found("order", i, i + 2, Spec(UNKNOWN, "-", "", self.t[i].value), asked=True)
        if self.kind(i) != "BOUNCE":
            return None
        j = self.skip(i + 1, ("POWER", "ME", "YOU", "WE", "WITH"), ("him", "them", "again", "each", "other", "and"), most=4)
        if self.kind(j - 1) == "WITH":
            return None  # 'bounce with Ruhr' names whom, not where
        alone = any(self.kind(k) in ("POWER", "YOU", "ME") or self.word(k) in ("him", "them") for k in range(i + 1, j)) and self.kind(i + 1) != "WITH"
        j += self.word(j) in ("in", "at", "on", "outof", "over")
        if self.kind(j) != "PLACE":
            return None
        return Found("order", i, j + 1, Spec(UNKNOWN, "-", "", self.t[j].value), asked=not alone)

    def put(self, i: int) -> Found | None:
        """'put my fleet in Con', 'move Sev in Rumania': a unit and where it goes."""
        if self.kind(i) not in ("PUT", "MOVE"):
            return None
        owner, j = self.owner(i + 1)
        if self.kind(j) == "UNIT":
            ref = UnitRef(self.t[j].value, "?", owner, j + 1)
        elif self.kind(j) == "PLACE":
            ref = UnitRef("?", self.t[j].value, owner, j + 1)
        else:
            return None
        put = self.kind(i) == "PUT" and self.word(ref.end) in ("in", "to", "into", "at", "on")
        if not (put or self.word(ref.end) == "into") or self.kind(ref.end + 1) != "PLACE":
            return None
        return Found("order", i, ref.end + 2, Spec(ref.text, "-", "", self.t[ref.end + 1].value), owner=ref.owner)

    def helping(self, verb: str, start: int, j: int, first: UnitRef | None, negated: bool) -> Found | None:
        """The rest of a support or convoy after its verb: whom, where to, and with what."""
        if self.word(j) == "with" and self.kind(j + 1) == "PLACE":
            return None  # 'support with Rumania': whom is not said
        aimed = verb == "S" and self.word(j) == "to" and self.kind(j + 1) == "PLACE"
        aimed &= self.kind(j + 2) not in ("TO", "HOLD", "MOVE", "AUX", "UNIT", "PLACE") or self.word(j + 2) == "please"
        noun = aimed and first is None and self.kind(start - 1) not in ("ME", "AUX") and self.word(start) == "support" and self.word(start - 1) != "to"
        j = (
            self.skip(j, ("HOLD",), ("for", "of", "to", "with", "an", "a", "attack", "on", "movement"), most=3)
            if self.kind(j) != "UNIT"
            else j
        )
        other = self.unit(j)
        if other is None and self.kind(j) in ("ME", "YOU"):
            sent = self.unit(j + 1)
            other = sent if sent and self.target(sent.end) else UnitRef("?", "?", self.kind(j), j + 1)  # 'support you Bel - Hol'
            if self.word(j + 1) == "in" and self.kind(j + 2) == "PLACE":
                aims, end = self.places(j + 2)
                return Found("support", start, end, Spec(first.text if first else UNKNOWN, "S", UNKNOWN, aims[0]), aims, negated=negated)
        if other is None and self.kind(j) == "POWER":
            other = UnitRef("?", "?", self.t[j].value, j + 1)
        if other is None:
            return None
        end = other.end
        move = self.skip(end, ("MOVE", "AUX"), ("'s", "attack", "on", "in"), most=3)
        target = self.target(end) or self.target(move)
        if target is None and self.kind(end) == "PLACE" and other.place != "?":
            target = self.t[end].value, end + 1  # notation without a dash: 'War S Ukr Mos'
        if target is None and self.kind(move) == "PLACE" and move > end and any(self.kind(k) == "MOVE" for k in range(end, move)):
            target = self.t[move].value, move + 1
        goals: tuple[str, ...] = ()
        if aimed and target is None and verb == "S":  # 'my support to Galicia from Warsaw'
            other, target = UnitRef("?", "?", "", end), (other.place, end)
        if target:
            goal, end = target
            if other.text == UNKNOWN and self.kind(end) != "TO" and self.kind(end - 1) == "PLACE" and not aimed:
                goals, end = self.places(end - 1)  # 'support you into Constantinople and Serbia'
        else:
            goal, end = "", self.skip(end, ("HOLD",), ("to",), most=2) if "HOLD" in (self.kind(end), self.kind(end + 1)) else end
        if verb == "C" and not goal:
            return None
        if not goal and other.text == UNKNOWN:
            return None  # 'I support you': good will, not an order
        by = first
        if by is None and self.kind(end) in ("WITH", "AT") and self.word(end) in ("with", "from", "using", "by"):
            by = self.unit(end + 1)
            end = by.end if by else end
        kind = "F ?" if verb == "C" else UNKNOWN
        if by:
            kind = by.text
        helped = other.text if verb == "S" or other.kind != "?" else f"A {other.place}"
        spec = Spec(kind, verb, helped, goal)
        return Found("support" if verb == "S" else "order", start, end, spec, goals if verb == "S" else (), owner=by.owner if by else "", negated=negated, asked=noun)

    def move(self, i: int) -> Found | None:
        kind = self.kind(i)
        if kind == "HOLD" and self.kind(i + 1) in ("ME", "YOU") and self.word(i + 2) == "in" and self.kind(i + 3) == "PLACE":
            return Found("support", i, i + 4, Spec(UNKNOWN, "S", UnitRef("?", self.t[i + 3].value, "", 0).text))  # 'holding you in Rumania'
        if kind in ("HOLD", "KEEP"):
            return self.held(i)
        trying = self.word(i) in ("try", "trying") and (self.kind(i + 1) == "PLACE" or (self.word(i + 1) == "for" and self.kind(i + 2) == "PLACE"))
        if kind == "MOVE" or trying:
            return self.going(i)
        if kind == "CON" and self.word(i - 1) != "a" and self.kind(i + 1) == "TO" and self.kind(i + 2) == "PLACE":
            return Found("order", i, i + 3, Spec(UNKNOWN, "-", "", self.t[i + 2].value, True))
        ref = self.unit(i)
        if not ref or any(self.word(k).startswith(("build", "built")) for k in (i - 2, i - 1)):
            return None  # 'build a fleet to …'
        j = self.skip(ref.end, ("AUX", "NEG", "MOVE"), ("has", "have", "need", "needs"), most=6)
        if self.word(j) == "to" and self.kind(j + 1) in ("AUX", "MOVE") and self.kind(j + 2) == "PLACE":  # 'use the army to take Galicia'
            return Found("order", i, j + 3, Spec(ref.text, "-", "", self.t[j + 2].value), owner=ref.owner)
        if self.word(j) == "to" and self.kind(j + 1) in ("AUX", "MOVE"):  # 'my army is going to move to Galicia'
            j = self.skip(j + 1, ("AUX", "NEG", "MOVE"), most=4)
        negated = any(self.kind(k) == "NEG" for k in range(ref.end, j))
        target = self.target(ref.end) or self.target(j)
        if target:
            end = self.by_convoy(target[1])
            return Found("order", i, end, Spec(ref.text, "-", "", target[0], end > target[1]), owner=ref.owner, negated=negated)
        if self.word(i - 1) in ("use", "using") and self.kind(ref.end) == "MOVE" and self.kind(ref.end + 1) == "PLACE":
            return Found("order", i, ref.end + 2, Spec(ref.text, "-", "", self.t[ref.end + 1].value), owner=ref.owner)  # 'use fleet take Rum'
        j = self.skip(ref.end, ("AUX", "NEG"))
        if self.kind(j) == "HOLD":
            return Found("order", i, j + 1, Spec(ref.text, "H"), owner=ref.owner, negated=negated)
        return None

    def held(self, i: int) -> Found | None:
        """'hold my army in Vienna', 'keep your army in Vienna where it is', 'stay in Vienna'."""
        j = self.skip(i + 1, ("AT",), most=1) if self.word(i) in ("stay", "staying", "hold", "holding") else i + 1
        ref = self.unit(j)
        if not ref:
            return None
        stays = self.kind(ref.end) == "HOLD"
        stood = self.word(i) in ("keep", "keeping", "leave", "leaving") and ref.kind != "?" and ref.place != "?" and self.kind(ref.end) != "FREE"
        if self.kind(i) == "KEEP" and not stays and not stood and not (j > i + 1 and self.word(i).startswith("stay")):
            return None
        if self.target(ref.end):
            return None
        return Found("order", i, ref.end + stays, Spec(ref.text, "H"), owner=ref.owner)

    def going(self, i: int) -> Found | None:
        """'move to Galicia', 'take Rumania with my army in Budapest'; no unit said: '? ? - GAL'."""
        it = self.word(i) in CARRIED and self.word(i + 1) == "it"
        aside = ("it", "north", "south", "east", "west") if it else ()  # 'moving it south to Portugal'
        j = self.skip(i + 1, ("MOVE", "TO"), (*aside, "in", "over", "on", "for", "after", "at", "up", "down", "of", "through"), most=3)
        pointed = self.kind(j - 1) == "TO" or self.word(j - 1) == "in" or (self.word(j - 1) == "for" and self.word(i) in _FOR)
        if self.word(i) == "open" and not pointed and self.kind(i - 1) not in ("ME", "YOU", "WE", "AUX") and self.word(i - 1) != "to":
            return None  # 'an open North Sea'
        if (self.word(i) in CARRIED and j == i + 1 + it) or (self.word(i) in _TOWARDS and not pointed):
            return None
        if self.kind(j) != "PLACE" or (self.kind(j + 1) in ("TO", "UNIT", "HOLD", "SUP", "CON") and self.word(j + 1) != "to"):
            return None
        if self.target(j + 1):  # 'move Vienna to Galicia': the unit pattern reads it from its place on
            return None
        if self.word(j + 1) == "or" and self.kind(j + 2) == "PLACE" and not any(self.kind(n) == "NEG" for n in range(i - 3, i)):
            return None  # 'Berlin or Munich' is left open
        places, k = self.places(j)
        if len(places) > 1 and self.kind(k) not in ("TO", "HOLD", "SUP", "CON", "AUX"):
            return Found("order", i, k, Spec(UNKNOWN, "-", "", places[0]), places)
        end = self.by_convoy(j + 1)
        via, ref = end > j + 1, None
        if self.word(end) in ("from", "with", "using"):
            ref = self.unit(end + 1)
            if ref and self.word(ref.end) == "or":
                ref = None
        text = ref.text if ref else UNKNOWN
        return Found(
            "order", i, ref.end if ref else end, Spec(text, "-", "", self.t[j].value, via), places[:1], owner=ref.owner if ref else ""
        )

    # lists ------------------------------------------------------------------------------------------------------------

    def places(self, i: int) -> tuple[tuple[str, ...], int]:
        """'Galicia, Ukraine and Rumania' → codes and the token after."""
        codes: list[str] = []
        while self.kind(i) == "PLACE" and len(codes) < 75:
            codes.append(self.t[i].value)
            j = self.skip(i + 1, words=(",", "and", "/", "&", "or", "nor"), most=2)
            i = j if self.kind(j) == "PLACE" and j > i + 1 else i + 1
        return tuple(codes), i

    def between(self, i: int) -> tuple[tuple[str, ...], int]:
        """'between Austria and Italy', 'between us' → powers and the token after."""
        if self.word(i) not in ("between", "with", "for"):
            return (), i
        powers: list[str] = []
        j = i + 1
        while j <= i + 14 and (self.kind(j) in ("POWER", "ME", "YOU", "WE") or (powers and self.word(j) in (",", "and", "of"))):
            if self.kind(j) in ("POWER", "ME", "YOU", "WE"):
                powers.append(self.t[j].value or self.kind(j))
            j += 1
        return tuple(powers), j if powers else i
