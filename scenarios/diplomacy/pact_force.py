"""With what force a pact is talked about: a DMZ, an alliance or a draw proposed, accepted, refused, or only mentioned."""

from __future__ import annotations

import re

from scenarios.diplomacy import force as f
from scenarios.diplomacy.force import Force
from scenarios.diplomacy.patterns import Found

_OTHERS = re.compile(
    r"\b(?:they|he|she) (?:are|is|wants?|would|will|asked|offered|proposed|suggested)(?: \w+){0,3}$|\b(?:them|they|he|she|him|someone|others)(?: \w+){0,2}$|\byou and (?!i\b|me\b)\w+(?: \w+)?$|\byou guys\b"
)
_ASKS_ALL = re.compile(
    r"\b(?:is|are|does|do|would|will|can) (?:there )?(?:anyone|anybody|everyone|everybody)\b|^(?:anyone|anybody)\b|\b(?:anyone|anybody) (?:against|opposed|up|down|want|for)\b"
)
_NOBODY = re.compile(r"\b(?:anyone|anybody|who|has|thought|supposed|was|were|did|had)\b")
_IF_WE = re.compile(r"(?<!what )\bif we (?:are|do|were|did|go|went)\b")
_IF_NOT = re.compile(
    r"\b(?:when|whether|until|before|unless) we\b|\b(?:break|breaking|end|ending|betray) \w+$|\bhow$|\bif\b.*\bnot\b|\breason to$|\bhave not\b"
)
_COMPARED = re.compile(
    r"^(?:is|are|was|would be) (?:as|stronger|better|uncommon|common|rare|weaker|too|way|very|really|so|a|an|the|underrated|overrated|dead|over|not)\b"
)


def pact_force(found: Found, force: Force) -> str | None:
    """propose, accept, refuse or nothing, of something mutual."""
    if (
        f.UNMEANT.search(force.words)
        or _OTHERS.search(force.words)
        or (_NOBODY.search(force.last) and not f.STRONG.search(force.words) and not (force.question and _ASKS_ALL.search(force.last)))
    ):
        return None
    if found.kind == "alliance" and (
        _IF_NOT.search(force.last)
        or (found.noun and _IF_WE.search(force.last))
        or (found.noun and _COMPARED.search(force.after) and not f.STRONG.search(force.words))
    ):
        return None
    if force.negated and force.question and found.kind == "alliance":
        return None  # 'you think we can't handle France?'
    if force.negated or re.search(r"\bnot\b", force.after) or (force.words.endswith("no") and found.noun):
        return None if force.who == "YOU" and found.kind != "dmz" else "refuse"
    reacts = (re.search(r"\b(?:too|as well)\b", force.after) and not re.search(r"\bhop(?:e|ing)\b", force.words)) or re.search(
        r"\bi (?:vote|voted|am voting)\b|^voted\b", force.words
    )
    if f.STRONG.search(force.words):
        return "accept" if reacts and not force.question else "propose"
    if reacts or f.accepts(force) or (f.ACCEPT_AFTER.search(force.after) and not force.question):
        return "accept"
    if f.WEAK.search(force.words + ("?" if force.question else "")) or _PLEASANT.search(force.last):
        return "propose"
    if re.search(r"\b(vote|voting) for\b", force.words):
        return "accept" if "will" in force.words else "propose"
    if found.kind == "dmz" and re.search(r"\bi (?:can|could|will)$", force.last):
        return "propose"
    if found.kind == "draw" and _CALLED_ON.search(force.last):
        return "propose"
    if found.kind == "alliance" and _urged(found, force):
        return "propose"
    stated = not force.last or (force.who == "WE" and found.kind == "dmz")
    return "propose" if stated and found.kind in ("dmz", "draw") else None


_PLEASANT = re.compile(
    r"\bbe (?:\w+ )?(?:nice|good|great|fun|cool|better|best|smart|awesome|lovely|ideal|fine)(?: for us| for both of us)? (?:to|if we(?: could| can)?)$"
)
_CALLED_ON = re.compile(
    r"(?:^|\b(?:everyone|everybody|guys|all)(?: \w+)?)(?: ?(?:everyone|everybody|guys|all|vote|hit|press|click|just|now))*$"
)
_LIKED = re.compile(
    r"\b(?:love|opportunity for|chance for|time for|(?:big |huge )?fan of|keen on|in for|game for|happy with)(?: (?:a|an|to do|doing))?(?: \w+)?$"
)
_TOGETHER = re.compile(r"^(?:together|with (?:you|me|us))\b")
_OF_US = re.compile(r"\b(?:we|you and (?:i|me)|me and you)(?: (?:will|can|then|both|all|just|could|definitely|should))*$|\bus$|\btime to$")


_BEST = re.compile(r"^(?:is|would be|might be|seems|looks|sounds|feels)(?: \w+)? (?:our|the|a|like|best|good|great|better|right|smart)\b")


def _urged(found: Found, force: Force) -> bool:
    """Whether an alliance is urged without a word for it: 'I love the FR', 'unite against France', 'then we kill Austria'."""
    if (force.question and not _LIKED.search(force.words)) or re.search(r"\b(?:if|when|once|whether|unless) (?:we|you and)\b", force.last):
        return False
    commanded = not f.NO_DOER.sub("", force.last) and not (f.ongoing(force.verb) or force.verb.endswith("s"))
    if found.noun:
        return bool(found.powers and _LIKED.search(force.words))
    if found.deed and force.verb in ("attack", "stab", "attacking", "stabbing") and _BEST.search(force.after):
        return True
    if found.deed and force.verb not in ("against", "versus", "vs"):
        return bool(_OF_US.search(force.last) or _OF_US.search(force.words)) or (commanded and bool(_TOGETHER.search(force.after)))
    return (commanded and (force.verb not in ("against", "versus", "vs", "help", "allied", "allies") or found.asked)) or bool(
        _OF_US.search(force.last) and found.places
    )
