"""What the judge learns besides `paraphrases.tsv`: deeds in many words, put by chance into the lead-ins of `judge_leads`.

Written for the judge and used by nothing else. In a deed P stands for a place, Q for a power, U for army or fleet; m and y are "my" and
"your", exchanged where the reader's deeds are meant.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scenarios.diplomacy.judge_leads import LEADS, lines

_P = ("Vienna", "Gal", "Rumania", "the North Sea", "Belgium", "MUN", "Ukraine", "Den", "Tyrolia", "Greece", "the Ionian Sea", "Bur")
_Q = ("Turkey", "Germany", "France", "Russia", "Italy", "Austria", "England")

# base verb | gerund | the rest
DEEDS = {
    "order": lines("""
        move|moving|m U in P to P
        move|moving|m U in P into P
        move|moving|m U from P to P by convoy
        move|moving|into P
        take|taking|P
        take|taking|P with m U in P
        send|sending|m U in P over to P
        send|sending|m U to P
        go|going|to P
        go|going|from P to P
        march|marching|into P
        head|heading|for P
        slide|sliding|m U from P across to P
        attack|attacking|P
        order|ordering|A P - P
        order|ordering|F P - P
        order|ordering|A P - P via
        order|ordering|F P C A P - P
        order|ordering|A P H
        hold|holding|m U in P
        hold|holding|in P
        keep|keeping|m U in P where it is
        leave|leaving|m U in P right where it stands
        convoy|convoying|the army in P to P with m U in P
        use|using|m fleet in P to convoy y army in P to P
        put|putting|m U in P
        push|pushing|on to P"""),
    "support": lines("""
        support|supporting|y U in P to P with m U in P
        support|supporting|y U in P into P
        support|supporting|y U in P with m U in P
        support|supporting|yo into P
        support|supporting|yo to P from P
        support|supporting|P to P
        support|supporting|y U in P in place
        support|supporting|P to hold
        back|backing|y U in P into P with m U in P
        back|backing|yo into P
        order|ordering|A P S A P - P
        order|ordering|F P S F P - P
        order|ordering|A P S A P
        use|using|m U in P to support y U in P to P
        use|using|m U in P to support y U in P in place
        help|helping|y U in P into P with m U in P
        give|giving|yo support into P
        lend|lending|y U in P m support to P"""),
    "dmz": lines("""
        stay|staying|out of P
        stay|staying|away from P
        keep|keeping|out of P
        keep|keeping|m units out of P
        keep|keeping|m units away from P and P
        keep|keeping|clear of P
        leave|leaving|P alone
        leave|leaving|P empty
        avoid|avoiding|P and P
        respect|respecting|P"""),
    "alliance": lines("""
        ally|allying|
        ally|allying|against Q
        ally|allying|with yo against Q
        team up|teaming up|against Q
        join forces|joining forces|
        join forces|joining forces|against Q
        work together|working together|
        work together|working together|against Q
        work|working|with yo against Q
        fight|fighting|Q together
        go after|going after|Q side by side
        be allies|being allies|against Q
        cooperate|cooperating|against Q"""),
    "draw": lines("""
        draw|drawing|
        vote|voting|for a draw
        call it a draw|calling it a draw|
        end|ending|this in a draw
        settle|settling|for a draw
        accept|accepting|a draw"""),
}
THINGS = {
    "dmz": ("a DMZ in P", "a DMZ in P and P", "a demilitarised zone in P", "a demilitarised P", "keeping P empty", "P as a DMZ", "the DMZ in P", "DMZ P"),
    "alliance": ("an alliance", "an alliance against Q", "the alliance against Q", "an alliance with you", "a pact against Q", "a partnership",
                 "working together against Q", "an alliance with you against Q"),
    "draw": ("a draw", "the draw", "a shared draw", "ending it in a draw"),
}  # fmt: skip
# class → (lead-ins, what of) drawn from with equal chance
RECIPES = {
    "propose order": (("propose you", "order", True),), "ask order": (("ask", "order", True),), "promise order": (("promise", "order", False),),
    "inform order": (("inform", "order", False),), "inform order other": (("inform other", "order", None),), "accept order": (("accept", "order", False),),
    "refuse order": (("refuse", "order", False),), "ask support": (("propose you", "support", True),), "promise support": (("promise", "support", False),),
    "inform support": (("inform", "support", False),), "inform support other": (("inform other", "support", None),),
    "accept support": (("accept", "support", False),), "refuse support": (("refuse", "support", False),),
    "propose dmz we": (("propose we", "dmz", False), ("propose it", "dmz", False)), "propose dmz you": (("propose you", "dmz", True),),
    "promise dmz": (("promise", "dmz", False),), "accept dmz we": (("accept we", "dmz", False), ("accept it", "dmz", False)),
    "accept dmz I": (("accept", "dmz", False),), "refuse dmz we": (("refuse it", "dmz", False),), "refuse dmz I": (("refuse", "dmz", False),),
    "propose alliance": (("propose we", "alliance", False), ("propose it", "alliance", False)),
    "accept alliance": (("accept we", "alliance", False), ("accept it", "alliance", False)),
    "refuse alliance": (("refuse we", "alliance", False), ("refuse it", "alliance", False)),
    "propose draw": (("propose we", "draw", False), ("propose it", "draw", False)),
    "accept draw": (("accept we", "draw", False), ("accept it", "draw", False)), "refuse draw": (("refuse we", "draw", False), ("refuse it", "draw", False)),
}  # fmt: skip


def composed(number: int, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """`number` sentences of each class as (class, text): its lead-ins in turn, with deeds drawn at random."""
    for kind, recipes in RECIPES.items():
        for n in range(number):
            leads, what, readers = recipes[n % len(recipes)]
            lead = LEADS[leads][n // len(recipes) % len(LEADS[leads])]
            if leads.endswith(" it"):
                text = lead.replace("{it}", str(rng.choice(THINGS[what])))
            else:
                do, ing, rest = str(rng.choice(DEEDS[what])).split("|")
                text = lead.replace("{do}", f"{do} {rest}".strip()).replace("{ing}", f"{ing} {rest}".strip())
            yield kind, _spoken(text, readers, rng)


def _spoken(text: str, readers: bool | None, rng: np.random.Generator) -> str:
    """The pattern with names in it; `readers`: whose deeds are meant, the reader's, the author's or (None) a third power's."""
    own, other = {True: ("your", "my"), False: ("my", "your"), None: ("their", "the")}[readers]
    fill = {"m": own, "y": other, "yo": {"my": "me", "your": "you", "the": "the unit"}[other], "U": str(rng.choice(("army", "fleet", "unit")))}
    words = [str(rng.choice(_P)) if w.rstrip(".,?:") == "P" else str(rng.choice(_Q)) if w.rstrip(".,?:") == "Q" else fill.get(w.rstrip(".,?:"), w) +
             (w[len(w.rstrip(".,?:")):] if w.rstrip(".,?:") in fill else "") for w in text.split()]  # fmt: skip
    ends = [w[len(w.rstrip(".,?:")):] if w.rstrip(".,?:") in ("P", "Q") else "" for w in text.split()]  # fmt: skip
    said = " ".join(w + e for w, e in zip(words, ends, strict=True))
    return said[0].upper() + said[1:]
