"""Patterns over the tokens of one sentence: DMZs, alliances and draws talked about, whatever is said of them. Orders: `patterns`."""

from __future__ import annotations

from scenarios.diplomacy.lexicon import HELP, partners
from scenarios.diplomacy.patterns import Found, Sentence


def find(s: Sentence, i: int) -> Found | None:
    """What starts at token i: a pact, else an order or support."""
    for pattern in (alliance, joint, draw, dmz):
        found = pattern(s, i)
        if found:
            return found
    return s.deed(i)


_SOMEBODY = {"a", "an", "your", "my", "his", "great", "good", "best", "better", "bad", "new", "only", "real", "true", "between"}
_ASSAULT = set(
    "attack attacking fight fighting go going work working get take taking kill killing push pushing eliminate eliminating crush stab "
    "stabbing hit hitting finish turn destroy beat invade gang move moving play cripple".split()
)


def dmz(s: Sentence, i: int) -> Found | None:
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
            negated = any(s.kind(n) == "NEG" for n in range(j, k))
            verb = kind != "PLACE" and s.kind(k) == "FREE"
            return Found("dmz", i, k + 1, places=places, negated=negated, noun=not verb)
        return None
    if kind in ("KEEP", "MOVE") or s.word(i) in ("back", "pull"):
        j = s.skip(i + 1, ("ME", "YOU", "WE", "UNIT"), ("all", "each", "other", "your", "well"), most=4)
        if s.word(j) == "outof" and (kind == "KEEP" or j <= i + 1):
            places, end = s.places(j + 1)
            return Found("dmz", i, end, places=places) if places else None
    return None


def alliance(s: Sentence, i: int) -> Found | None:
    foes: list[str] = []
    if s.kind(i) == "ALLY":
        if s.t[i].value:
            return Found("alliance", i, i + 1, powers=partners(s.t[i].value), noun=True)
        before = {s.word(k) for k in range(max(0, i - 2), i)}
        if s.word(i) in ("ally", "allies") and before & _SOMEBODY:
            return None  # 'a bad ally' is somebody, not a pact
        if s.word(i) == "allies" and not {s.word(k) for k in range(i - 3, i)} & {"are", "be", "as", "become", "remain", "stay"}:
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
    if s.word(i) in HELP and s.kind(i + 1) in ("ME", "YOU") and s.kind(i + 2) == "FOE" and s.kind(i + 3) == "POWER":
        return Found("alliance", i, i + 4, places=(s.t[i + 3].value,))
    if s.word(i) not in _ASSAULT and s.kind(i) != "FOE":
        return None
    j = i if s.kind(i) == "FOE" else s.skip(i + 1, ("FOE", "MOVE"), ("for", "after", "out", "off", "on", "at", "down", "over"), most=3)
    j += s.kind(j) == "FOE"
    if s.kind(j) != "POWER" or j == i or s.kind(j + 1) in ("UNIT", "PLACE", "TO") or s.word(j + 1) in ("'s", "in", "outof"):
        return None
    together = s.word(j + 1) == "together" or (s.word(j + 1) == "with" and s.kind(j + 2) in ("ME", "YOU"))
    return Found("alliance", i, j + 1 + together, places=(s.t[j].value,), deed=not together)


_BEFORE_DRAW = set("a to us we for no all accept propose vote voting voted still fine with another , :".split())
_AFTER_DRAW = set("now vote time this here together with and in if , . ! ? works sounds at too ( ) ; : but so between - then rn or".split())


def draw(s: Sentence, i: int) -> Found | None:
    if s.kind(i) != "DRAW":
        return None
    before = i == 0 or s.kind(i - 1) in ("AUX", "NEG", "ME", "END") or s.word(i - 1) in _BEFORE_DRAW
    after = s.kind(i + 1) in ("END", "AUX") or s.word(i + 1) in _AFTER_DRAW or any(s.word(k) == "us" for k in (i - 2, i - 1))
    return Found("draw", i, i + 1, noun=True) if before and after else None
