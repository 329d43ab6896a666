"""Ways of speaking of an order or support that name no unit first: gifts of support, whoever is forced out, notation without a dash, any verb
of motion. `deed` tries them and the patterns of `patterns` in their order.
"""

from __future__ import annotations

from scenarios.diplomacy.map import reach
from scenarios.diplomacy.patterns import CARRIED, Found, Sentence
from scenarios.diplomacy.press import UNKNOWN, Spec

_GIVE = {"give", "giving", "throw", "throwing", "lend", "lending"}
_OUST = set(
    "force forcing push pushing kick kicking knock knocking drive driving boot throw throwing get getting pop popping dislodge dislodging".split()
)
_BEFORE_BARE = {"suggest", "propose", "recommend", ",", "then", "and", ":", "do", "ordered", "order", "is"}
_NO_MOVE = set(
    "let letting next close adjacent access way path route due thanks according back up agree agreed agreeing agreement listen talk talking "
    "speak related lead leads leading entitled committed like similar help helps helping welcome here there only not even straight out down over "
    "allow allowing want able ready keep prefer know think lose losing lost give giving given build building built belong said say see deal dmz".split()
)


def deed(s: Sentence, i: int) -> Found | None:
    """The order or support that starts at token i, the longest-standing patterns first."""
    return (
        given(s, i) or s.support(i) or s.convoy(i) or s.helped(i) or s.bounce(i) or ousted(s, i)
        or s.put(i) or carried(s, i) or s.move(i) or bare(s, i) or into(s, i)
    )  # fmt: skip


def given(s: Sentence, i: int) -> Found | None:
    """'throw Bulgaria the support hold', 'give Budapest support to Rumania'."""
    if s.word(i) not in _GIVE:
        return None
    ref = s.unit(i + 1)
    j = s.skip(ref.end, words=("a", "some", "that", "your", "my"), most=2) if ref else i
    if not ref or s.kind(j) != "SUP":
        return None
    j = s.skip(j + 1, ("HOLD",), most=1)
    target = s.target(j)
    return Found("support", i, target[1] if target else j, Spec(UNKNOWN, "S", ref.text, target[0] if target else ""))


def ousted(s: Sentence, i: int) -> Found | None:
    """'force Italy out of Greece', 'kick Russia out of Sweden': a move there."""
    if s.word(i) not in _OUST:
        return None
    j = s.skip(i + 1, ("POWER", "UNIT"), ("'s",), most=3)
    if j == i + 1 or s.word(j) != "outof" or s.kind(j + 1) != "PLACE":
        return None
    return Found("order", i, j + 2, Spec(UNKNOWN, "-", "", s.t[j + 1].value))


def bare(s: Sentence, i: int) -> Found | None:
    """'Tri Tyr', 'Con Bul ofc': notation without a dash, where the second place borders on the first; 'not to Norway' after an order."""
    if s.kind(i) == "NEG" and s.word(i + 1) == "to" and s.kind(i + 2) == "PLACE" and any(t.kind == "MOVE" for t in s.t[max(0, i - 12) : i]):
        return Found("order", i, i + 3, Spec(UNKNOWN, "-", "", s.t[i + 2].value), (s.t[i + 2].value,), negated=True)
    if s.kind(i) != "PLACE" or s.kind(i + 1) != "PLACE" or (s.kind(i - 1) not in ("END", "YOU") and s.word(i - 1) not in _BEFORE_BARE):
        return None
    ref = s.unit(i)
    goal = s.t[i + 1].value
    near = any(goal[:3] in reach(kind, s.t[i].value) for kind in "AF")
    if (
        not near
        or ref is None
        or (s.kind(i + 2) not in ("END", "WORD", "ME", "YOU") and not (s.word(i + 2) == "to" and s.kind(i + 3) in ("WORD", "MOVE")))
        or s.word(i + 2) in ("/", "&", "or")
    ):
        return None
    return Found("order", i, i + 2, Spec(ref.text, "-", "", goal))


def into(s: Sentence, i: int) -> Found | None:
    """'I am sailing over to Tunis', 'will creep into Galicia': whatever the verb, it is a move where somebody is said to do it."""
    word, said = s.word(i), s.kind(i - 1)
    if s.kind(i) != "WORD" or len(word) < 3 or word in _NO_MOVE or word.startswith("retreat") or word.endswith("ed"):
        return None
    if not (said == "AUX" or s.word(i - 1) in ("to", "and", "then") or (said in ("ME", "YOU", "WE", "POWER") and word.endswith("ing"))):
        return None
    j = s.skip(i + 1, words=("over", "up", "down", "back", "north", "south", "east", "west", "forward", "straight", "around"), most=2)
    target = s.target(j)
    if (
        not target
        or s.word(j) not in ("to", "into", "onto", "towards", "toward")
        or s.kind(target[1]) in ("DMZ", "SUP", "BOUNCE", "TO", "HOLD")
    ):
        return None
    return Found("order", i, target[1], Spec(UNKNOWN, "-", "", target[0]), (target[0],))


def carried(s: Sentence, i: int) -> Found | None:
    """'moving Venice to Trieste': a unit sent somewhere, the verb in front."""
    sent = s.word(i) in CARRIED or s.word(i) in ("try", "trying")
    ref = s.unit(i + 1 + (s.word(i + 1) == "from")) if sent else None
    aside = s.skip(ref.end, words=("south", "north", "east", "west", "up", "down", "over", "out", "in"), most=2) if ref else i
    target = s.target(aside) if ref else None
    if not ref or not target or any(s.word(k).startswith(("build", "built")) for k in (i - 2, i - 1)):
        return None
    end = s.by_convoy(target[1])
    return Found("order", i, end, Spec(ref.text, "-", "", target[0], end > target[1]), owner=ref.owner)
