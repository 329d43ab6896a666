"""Patterns over the tokens of one sentence: DMZs, alliances and draws talked about, whatever is said of them. Orders: `patterns`."""

from __future__ import annotations

from scenarios.diplomacy.lexicon import HELP, partners
from scenarios.diplomacy.patterns import Found, Sentence
from scenarios.diplomacy.ways import deed


def find(s: Sentence, i: int) -> Found | None:
    """What starts at token i: a pact, else an order or support."""
    for pattern in (alliance, joint, draw, dmz):
        found = pattern(s, i)
        if found:
            return found
    return deed(s, i)


_SOMEBODY = {"a", "an", "your", "my", "his", "great", "good", "best", "better", "bad", "new", "only", "real", "true", "between"}
_ASSAULT = set(
    "attack attacking fight fighting go going work working get take taking kill killing push pushing eliminate eliminating crush stab "
    "stabbing hit hitting finish turn destroy beat invade gang move moving play cripple stop stopping contain containing bop smash murder crushing "
    "eliminating finishing destroying squeeze squeezing jump jumping carve partition dogpile squash pressure pressuring dismantle wipe conquer "
    "defeat target targeting stomp topple knock bring handle".split()
)


_AFTER_LEFT = {",", ".", "please", "now", "if", "so", "then", "?", "!", ";"}


def dmz(s: Sentence, i: int) -> Found | None:
    """'a DMZ in Galicia', 'keep Galicia free', 'stay out of Galicia'."""
    if s.word(i) in ("leave", "leaving") and not any(s.kind(k) == "NEG" for k in range(max(0, i - 3), i)):
        places, end = s.places(i + 1)
        if places and (s.kind(end) == "END" or s.word(end) in _AFTER_LEFT):
            return Found("dmz", i, end, places=places)  # 'please leave Galicia'
    kind = s.kind(i)
    if kind == "DMZ":
        powers, j = s.between(i + 1)
        j = s.skip(j, words=("in", "at", "of", "over", "for", "covering", "on", "around", ":", "be", "zone", "across"), most=2)
        places, end = s.places(j)
        late, after = s.between(end)
        return Found("dmz", i, after if late else end, places=places, powers=powers or late, noun=True) if places else None
    if kind == "PLACE" or (kind in ("KEEP", "MOVE") and s.kind(i + 1) == "PLACE"):
        places, j = s.places(i if kind == "PLACE" else i + 1)
        k = s.skip(j, ("AUX", "NEG", "KEEP"), ("as", "a", "an", "become", "stays"), most=5)
        if s.kind(k) in ("DMZ", "FREE") and not (s.kind(k) == "FREE" and kind == "PLACE" and k == j):
            if s.word(k) in ("clear", "alone", "free") and (kind != "KEEP" or k != j):
                return None  # 'Sweden is clear' says how things are
            negated = any(s.kind(n) == "NEG" for n in range(j, k))
            verb = kind != "PLACE" and s.kind(k) == "FREE"
            return Found("dmz", i, k + 1, places=places, negated=negated, noun=not verb)
        return None
    if s.word(i) in ("vacate", "vacating", "evacuate", "exit") and s.kind(i + 1) == "PLACE":
        places, end = s.places(i + 1)
        return Found("dmz", i, end, places=places)
    if s.word(i) == "want" and s.kind(i + 1) == "YOU" and s.word(i + 2) == "outof":
        places, end = s.places(i + 3)
        return Found("dmz", i + 1, end, places=places, owner="YOU") if places else None
    if kind in ("KEEP", "MOVE") or s.word(i) in ("back", "pull"):
        j = s.skip(i + 1, ("ME", "YOU", "WE", "UNIT"), ("all", "each", "other", "your", "well"), most=4)
        if s.word(j) == "outof" and (kind == "KEEP" or j <= i + 1 or (s.word(i + 1) == "your" and s.kind(i + 2) == "UNIT")):
            places, end = s.places(j + 1)
            return Found("dmz", i, end, places=places) if places else None
    return None


def alliance(s: Sentence, i: int) -> Found | None:
    """'ally against Turkey', 'an alliance between you and me': the pact by name, with the common enemy where one is named."""
    foes: list[str] = []
    if s.kind(i) == "ALLY":
        if s.t[i].value:
            return Found("alliance", i, i + 1 + (s.kind(i + 1) == "ALLY"), powers=partners(s.t[i].value), noun=True)
        before = {s.word(k) for k in range(max(0, i - 2), i)}
        if s.word(i) in ("ally", "allies") and before & _SOMEBODY:
            return None  # 'a bad ally' is somebody, not a pact
        if s.word(i) == "allies" and not {s.word(k) for k in range(i - 3, i)} & {"are", "be", "as", "become", "remain", "stay"}:
            return None
        if s.word(i + 1) in ("with", "between") and s.word(i + 2) in ("them", "him", "her", "someone", "others", "anyone"):
            return None
        powers, j = s.between(i + 1)
        end = j
        j = s.skip(j, words=("together", "this", "turn", "year", "right", "now", "up"), most=3)
        if s.kind(j) == "FOE" and s.kind(j + 1) == "POWER":
            foes, end = [s.t[j + 1].value], j + 2
            if s.word(end) == "and" and s.kind(end + 1) == "POWER":
                foes, end = [*foes, s.t[end + 1].value], end + 2
        late, end = s.between(end) if not powers and s.word(end) == "between" else ((), end)
        return Found("alliance", i, end, places=tuple(foes), powers=powers or late, noun=s.word(i) == "alliance")
    return None


def joint(s: Sentence, i: int) -> Found | None:
    """'go after Germany', 'help you against Turkey': an alliance where it is both that do it; `deed` says that this is still to be seen."""
    if (s.word(i) in HELP or (s.kind(i) == "SUP" and s.kind(i + 2) == "FOE")) and s.kind(i + 1) in ("ME", "YOU", "WE"):
        j = s.skip(i + 2, ("FOE", "TO"), (), most=1)
        j = s.skip(j, (), tuple(_ASSAULT), most=1)
        j = s.skip(j, (), ("out", "off", "down", "on", "against"), most=1) if j > i + 2 else j
        if s.kind(j) == "POWER" and j > i + 2 and s.kind(j + 1) not in ("UNIT", "PLACE", "TO") and s.word(j + 1) not in ("'s", "in", "outof"):
            return Found("alliance", i, j + 1, places=(s.t[j].value,), asked=s.kind(i + 1) == "ME")
    if s.word(i) not in _ASSAULT and s.kind(i) != "FOE":
        return None
    j = i if s.kind(i) == "FOE" else s.skip(i + 1, ("FOE", "MOVE"), ("for", "after", "out", "off", "on", "at", "down", "over", "up", "care", "of", "this", "that"), most=3)
    j += s.kind(j) == "FOE"
    if s.kind(j) == "ALLY" and s.t[j].value and j > i + (s.kind(i) != "FOE") - 1:  # 'kill the AI'
        return Found("alliance", i, j + 1, places=partners(s.t[j].value), deed=True)
    foe = s.t[j].value if s.kind(j) == "POWER" else ""
    if not foe or j == i or s.kind(j + 1) in ("UNIT", "PLACE", "TO") or s.word(j + 1) in ("'s", "in", "outof"):
        return None
    if s.word(i) in ("bring", "take", "taking", "knock", "beat") and s.word(i) != "taking" and s.word(j - 1) == "up":
        return None
    j += s.word(j + 1) in ("down", "out", "on", "off")  # 'take Germany down'
    together = s.word(j + 1) == "together" or (s.word(j + 1) == "with" and s.kind(j + 2) in ("ME", "YOU"))
    return Found("alliance", i, j + 1 + together, places=(foe,), deed=not together)


_BEFORE_DRAW = set("a to us we for no all accept propose vote voting voted still fine with another everyone everybody guys all hit press click please yes yeah sure ok okay , :".split())
_AFTER_DRAW = set("now vote time this here together with and in if , . ! ? works sounds at too ( ) ; : but so between - then rn or".split())


def draw(s: Sentence, i: int) -> Found | None:
    """'a draw' as the end of a game; 'drawing the fleets out' is none, so the words beside it have to fit."""
    if s.kind(i) != "DRAW":
        return None
    before = i == 0 or s.kind(i - 1) in ("AUX", "NEG", "ME", "END") or s.word(i - 1) in _BEFORE_DRAW
    after = s.kind(i + 1) in ("END", "AUX") or s.word(i + 1) in _AFTER_DRAW or any(s.word(k) == "us" for k in (i - 2, i - 1))
    return Found("draw", i, i + 1, noun=True) if before and after else None
