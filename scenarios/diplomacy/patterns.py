"""Patterns over the tokens of one sentence: orders, supports, DMZs, alliances and draws talked about, whatever is said of them."""

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
            return UnitRef(self.t[i].value, "?", owner, i + 1) if owner or self.word(i) in ("army", "fleet", "unit") else None
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
        if self.word(i) in ("his", "her", "their", "its", "one", "that", "this"):
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

    def find(self, i: int) -> Found | None:
        """What starts at token i, the longest-standing patterns first."""
        for pattern in (self.alliance, self.draw, self.dmz, self.support, self.convoy, self.helped, self.move):
            found = pattern(i)
            if found:
                return found
        return None

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
        """'help you into Rumania', 'get you into Rumania'."""
        if self.word(i) in HELP and self.kind(i + 1) in ("ME", "YOU"):
            j = self.skip(i + 2, ("MOVE",), most=1)
            j = self.skip(j, ("TO",), most=2)
            if self.kind(j) == "PLACE" and j > i + 2:
                return Found("support", i, j + 1, Spec(UNKNOWN, "S", UNKNOWN, self.t[j].value))
        return None

    def helping(self, verb: str, start: int, j: int, first: UnitRef | None, negated: bool) -> Found | None:
        """The rest of a support or convoy after its verb: whom, where to, and with what."""
        j = (
            self.skip(j, ("HOLD",), ("for", "of", "to", "with", "an", "a", "attack", "on", "movement"), most=3)
            if self.kind(j) != "UNIT"
            else j
        )
        other = self.unit(j)
        if other is None and self.kind(j) in ("ME", "YOU"):
            other = UnitRef("?", "?", self.kind(j), self.skip(j + 1, ("WORD",), ("hold", "in", "s"), most=0))
        if other is None:
            return None
        end = other.end
        move = self.skip(end, ("MOVE", "AUX"), ("'s", "attack", "on", "in"), most=3)
        target = self.target(end) or self.target(move)
        if target is None and self.kind(move) == "PLACE" and move > end and any(self.kind(k) == "MOVE" for k in range(end, move)):
            target = self.t[move].value, move + 1
        if target:
            goal, end = target
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
        return Found("support" if verb == "S" else "order", start, end, spec, owner=by.owner if by else "", negated=negated)

    def move(self, i: int) -> Found | None:
        kind = self.kind(i)
        if kind in ("HOLD", "KEEP"):
            return self.held(i)
        if kind == "MOVE":
            return self.going(i)
        ref = self.unit(i)
        if not ref:
            return None
        j = self.skip(ref.end, ("AUX", "NEG", "MOVE"), most=6)
        if self.word(j) == "to" and self.kind(j + 1) in ("AUX", "MOVE"):  # 'my army is going to move to Galicia'
            j = self.skip(j + 1, ("AUX", "NEG", "MOVE"), most=4)
        negated = any(self.kind(k) == "NEG" for k in range(ref.end, j))
        target = self.target(ref.end) or self.target(j)
        if target:
            end = self.by_convoy(target[1])
            return Found("order", i, end, Spec(ref.text, "-", "", target[0], end > target[1]), owner=ref.owner, negated=negated)
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
        if self.kind(i) == "KEEP" and not stays and not (j > i + 1 and self.word(i).startswith("stay")):
            return None
        if self.target(ref.end):
            return None
        return Found("order", i, ref.end + stays, Spec(ref.text, "H"), owner=ref.owner)

    def going(self, i: int) -> Found | None:
        """'move to Galicia', 'take Rumania with my army in Budapest'; no unit said: '? ? - GAL'."""
        j = self.skip(i + 1, ("MOVE",), ("to", "into", "in", "back", "over", "on"), most=3)
        if self.kind(j) != "PLACE" or (self.kind(j + 1) in ("TO", "UNIT", "HOLD", "SUP", "CON") and self.word(j + 1) != "to"):
            return None
        if self.target(j + 1):  # 'move Vienna to Galicia': the unit pattern reads it from its place on
            return None
        places, k = self.places(j)
        if len(places) > 1 and self.kind(k) not in ("TO", "HOLD", "SUP", "CON", "AUX"):
            return Found("order", i, k, Spec(UNKNOWN, "-", "", places[0]), places)
        end = self.by_convoy(j + 1)
        via, ref = end > j + 1, None
        if self.word(end) in ("from", "with", "using"):
            ref = self.unit(end + 1)
        text = ref.text if ref else UNKNOWN
        return Found(
            "order", i, ref.end if ref else end, Spec(text, "-", "", self.t[j].value, via), places[:1], owner=ref.owner if ref else ""
        )

    # dmz, alliance, draw ----------------------------------------------------------------------------------------------

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
        while self.kind(j) in ("POWER", "ME", "YOU", "WE") or (powers and self.word(j) in (",", "and", "of")):
            if self.kind(j) in ("POWER", "ME", "YOU", "WE"):
                powers.append(self.t[j].value or self.kind(j))
            j += 1
        return tuple(powers), j if powers else i

    def dmz(self, i: int) -> Found | None:
        kind = self.kind(i)
        if kind == "DMZ":
            powers, j = self.between(i + 1)
            j = self.skip(j, words=("in", "at", "of", "over", "for", "covering", "on", "around", ":", "be", "zone", "across"), most=2)
            places, end = self.places(j)
            late, after = self.between(end)
            return Found("dmz", i, after if late else end, places=places, powers=powers or late, noun=True) if places else None
        if kind == "PLACE" or (kind in ("KEEP", "MOVE") and self.kind(i + 1) == "PLACE"):
            places, j = self.places(i if kind == "PLACE" else i + 1)
            k = self.skip(j, ("AUX", "NEG", "KEEP"), ("as", "a", "an", "become", "stays"), most=5)
            if self.kind(k) in ("DMZ", "FREE") and not (self.kind(k) == "FREE" and kind == "PLACE" and k == j):
                negated = any(self.kind(n) == "NEG" for n in range(j, k))
                verb = kind != "PLACE" and self.kind(k) == "FREE"
                return Found("dmz", i, k + 1, places=places, negated=negated, noun=not verb)
            return None
        if kind == "KEEP":
            j = self.skip(i + 1, ("ME", "YOU", "WE", "UNIT"), ("all", "each", "other", "your", "well"), most=4)
            if self.word(j) == "outof":
                places, end = self.places(j + 1)
                return Found("dmz", i, end, places=places) if places else None
        return None

    def alliance(self, i: int) -> Found | None:
        foes: list[str] = []
        if self.kind(i) == "ALLY":
            if self.word(i) == "ally" and any(self.word(k) in ("a", "an", "your", "my", "his") for k in range(max(0, i - 2), i)):
                return None  # 'a bad ally' is somebody, not a pact
            powers, j = self.between(i + 1)
            end = j
            j = self.skip(j, words=("together", "this", "turn", "year", "right", "now", "up"), most=3)
            if self.kind(j) == "FOE" and self.kind(j + 1) == "POWER":
                foes, end = [self.t[j + 1].value], j + 2
                if self.word(end) == "and" and self.kind(end + 1) == "POWER":
                    foes, end = [*foes, self.t[end + 1].value], end + 2
            late, end = self.between(end) if not powers and self.word(end) == "between" else ((), end)
            return Found("alliance", i, end, places=tuple(foes), powers=powers or late, noun=self.word(i) == "alliance")
        if (
            self.kind(i) == "MOVE"
            and self.word(i).startswith(("attack", "take"))
            and self.kind(i + 1) == "POWER"
            and self.word(i + 2) == "together"
        ):
            return Found("alliance", i, i + 3, places=(self.t[i + 1].value,))
        return None

    def draw(self, i: int) -> Found | None:
        if self.kind(i) != "DRAW":
            return None
        before = (
            self.word(i - 1) in ("a", "to", "us", "we", "for", "no", "not", "can", "all", "accept", "propose", "")
            or self.kind(i - 1) == "AUX"
            or i == 0
        )
        after = self.kind(i + 1) in ("END", "AUX") or self.word(i + 1) in (
            "now",
            "vote",
            "time",
            "this",
            "here",
            "together",
            "with",
            "and",
            "in",
            "if",
            ",",
            ".",
            "!",
            "?",
            "works",
            "sounds",
            "at",
            "too",
            ")",
            ";",
            ":",
            "but",
            "so",
            "between",
            "-",
        )
        return Found("draw", i, i + 1, noun=True) if before and after else None
