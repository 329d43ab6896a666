"""The grammar of press: from an act to plain English, in many wordings.

A wording is a frame, what makes a deed a proposal, a promise, a refusal, with the deed, the provinces or the common enemy put into it.
`extractor.meaning` reads every one of them back as just its act.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scenarios.diplomacy.map import FULL_NAMES, KINDS
from scenarios.diplomacy.press import SAYABLE, UNKNOWN, Act, split_order
from sociallm.conversation import AgentID

COASTS = {"NC": "north coast", "SC": "south coast", "EC": "east coast", "WC": "west coast"}


def texts(act: Act, speaker: AgentID) -> tuple[str, ...]:
    """Texts that perform the act, the plainest first, all different. Raises ValueError for an act outside `SAYABLE`."""
    kind, about, to = act["act"], act["about"], tuple(act["to"])
    if about["kind"] not in SAYABLE.get(kind, ()):
        raise ValueError(f"expected one of {sorted(SAYABLE)} about what each of them can be about, got {kind!r} about {about['kind']!r}")
    if about["kind"] in ("order", "support"):
        made = _deed_texts(kind, about, to, speaker)
    elif about["kind"] == "dmz":
        made = _zone_texts(kind, about, to, speaker)
    elif about["kind"] == "alliance":
        foe = f" against {power_name(about['against'])}" if about.get("against") else ""
        made = [_with(f, foe=foe) for f in _PACT_FRAMES[kind]]
        others = set(about["powers"]) - {speaker}
        if len(to) > 1 and others != set(to) - {about.get("against")}:
            made = _named(made, others)
    else:
        made = list(_DRAW_FRAMES[kind])
    return tuple(dict.fromkeys(t[0].upper() + t[1:] for t in made))


# ---- the parts of a sentence ---------------------------------------------------------------------------------------


def place_name(code: str) -> str:
    """'STP/NC' → 'Saint Petersburg (north coast)', 'NTH' → 'the North Sea'."""
    base, _, coast = code.partition("/")
    name = ("the " if KINDS[base] == "sea" else "") + FULL_NAMES[base]
    return f"{name} ({COASTS[coast]})" if coast else name


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def power_name(power: AgentID) -> str:
    """'AUSTRIA' → 'Austria'."""
    return power.capitalize()


def _unit(unit: str, owner: str) -> str:
    kind, place = unit.split()
    noun = f"{owner} {({'A': 'army', 'F': 'fleet'}).get(kind, 'unit')}"
    return noun if place == "?" else f"{noun} in {place_name(place)}"


def _named_unit(unit: str, owner: str) -> str:
    """'my Vienna army', the unit by its place; nothing where kind or place are not said, or it stands on a coast or at sea."""
    kind, place = unit.split()
    if kind == "?" or place not in KINDS or KINDS[place] == "sea":
        return ""
    return f"{owner} {place_name(place)} {({'A': 'army', 'F': 'fleet'})[kind]}"


def _short(order: str) -> str:
    return " ".join(w if len(w) == 1 or w == "VIA" else w.capitalize() for w in order.split())


def _deeds(order: str, owner: str, other: str) -> list[str]:
    """Infinitives that say the order, plain to terse. `owner`, `other`: 'my', 'your' or 'the', of the unit ordered and the unit helped."""
    spec = split_order(order)
    known, mine = spec.unit != UNKNOWN, _unit(spec.unit, owner)
    target = place_name(spec.target) if spec.target else ""
    named = _named_unit(spec.unit, owner)
    terse = [f"order {order}", f"order {_short(order)}"] if "?" not in order else []
    if spec.verb == "H":
        return [f"hold {mine}", f"keep {mine} where it is", *terse, *([f"hold {named}"] if named else [])]
    if spec.verb == "-":
        by = " by convoy" if spec.via else ""
        if not known:
            return [f"move to {target}{by}", f"move into {target}{by}", f"go to {target}{by}"]
        also = [f"move {named} to {target}{by}", f"send {named} into {target}{by}"] if named else []
        return [f"move {mine} to {target}{by}", *terse, f"send {mine} to {target}{by}", f"move {mine} into {target}{by}", *also,
                f"bring {mine} to {target}{by}"]  # fmt: skip
    helped = _unit(spec.other, other)
    if spec.other == UNKNOWN:
        helped = {"my": "me", "your": "you"}.get(other, "the unit")
    if spec.verb == "C":
        return [f"convoy {helped} to {target} with {mine}", *terse, f"use {mine} to convoy {helped} to {target}"]
    if not spec.target:
        goal, into = " in place", " to hold"
    else:
        goal, into = f" to {target}", f" into {target}"
    use = [f"use {mine} to support {helped}{goal}"] if known else []
    tail = f" with {mine}" if known else ""
    also = [f"support {helped}{goal} with {named}", f"use {named} to support {helped}{goal}"] if named else []
    if helped.startswith(("my ", "your ")):
        also.append(f"back {helped}{into}{tail}")
    return [f"support {helped}{goal}{tail}", *terse, *use, f"support {helped}{into}{tail}", *also]


_GERUND = {"hold": "holding", "keep": "keeping", "move": "moving", "go": "going", "order": "ordering", "send": "sending",
           "convoy": "convoying", "use": "using", "support": "supporting", "back": "backing", "bring": "bringing"}


def _ing(deed: str) -> str:
    verb, rest = deed.split(" ", 1)
    return f"{_GERUND[verb]} {rest}"


# ---- frames: what makes a deed a proposal, a promise, a refusal ----------------------------------------------------
# {do}, {doing}: the deed; {zone}: provinces; {foe}: ' against Turkey' or nothing; {who}: a third power

_DEED_FRAMES: Mapping[str, tuple[str, ...]] = {
    "propose": (
        "I suggest you {do}.", "Could you {do}?", "Please {do}.", "How about you {do}?", "I think you should {do}.", "Would you {do}?",
        "I propose that you {do}.", "Why don't you {do}?", "My suggestion: {do}.", "I'd like you to {do}.", "You should {do}.",
        "It would help us both if you {do}.", "I recommend {doing}.", "What if you {do}?",
        "Maybe you could {do}?", "How about {doing}?", "It might be best if you {do}.", "Any chance you could {do}?",
        "I'd love it if you could {do}.", "Would you mind {doing}?",
    ),
    "ask order": (
        "Are you going to {do}?", "Do you plan to {do}?", "Are you {doing}?", "Are you planning to {do}?", "Do you intend to {do}?",
        "Will you be {doing}?", "Are you thinking of {doing}?", "Can you tell me whether you will {do}?", "So, are you {doing}?",
        "Quick question: are you {doing}?", "May I ask if you plan to {do}?", "Are you about to {do}?",
        "I wonder whether you are {doing}?",
        "Just checking, are you {doing}?", "Are you still planning to {do}?", "Do you have any plans to {do}?",
    ),
    "ask support": (
        "Can you {do}?", "Could you {do}?", "Please {do}.", "Would you {do}?", "I need you to {do}.", "Would you be willing to {do}?",
        "I'd appreciate it if you could {do}.", "May I ask you to {do}?", "Any chance you could {do}?",
        "It would help me a lot if you {do}.", "I'd like you to {do}.", "Will you {do}?", "Do you think you can {do}?",
        "Can I count on you to {do}?",
        "Would you mind {doing}?", "Please, could you {do}?", "How about you {do}?", "Do you want to {do}?",
        "I could really use your help, can you {do}?",
    ),
    "promise": (
        "I will {do}.", "I promise to {do}.", "I'll {do}.", "You have my word that I will {do}.", "I promise I'll {do}.",
        "Count on me to {do}.", "I give you my word: I will {do}.", "You can rely on me to {do}.", "I guarantee that I will {do}.",
        "As promised, I'll {do}.", "I swear I will {do}.", "I commit to {doing}.", "Rest assured, I'll {do}.",
        "Don't worry, I'll {do}.", "I will definitely {do}.", "Trust me, I'll {do}.", "No worries, I will {do}.",
    ),
    "inform": (
        "I am {doing}.", "I am going to {do}.", "I plan to {do}.", "Just so you know, I am {doing}.", "I intend to {do}.",
        "My plan is to {do}.", "I'm planning to {do}.", "For your information, I am {doing}.", "FYI, I'm {doing}.",
        "Heads up: I am {doing}.", "I expect to {do}.", "This turn I am {doing}.", "I'm thinking of {doing}.",
        "I'm just going to {do}.", "Planning to {do}.", "I'm probably {doing}.", "I think I'm {doing}.", "My orders: {doing}.",
        "I'm trying to {do}.",
    ),
    "inform other": (
        "{who} is {doing}.", "{who} is going to {do}.", "I hear that {who} plans to {do}.", "I think {who} is {doing}.",
        "{who} intends to {do}.", "Watch out: {who} is {doing}.", "I expect {who} to {do}.", "It looks like {who} is {doing}.",
        "My guess is that {who} will {do}.", "Word is that {who} plans to {do}.", "Just so you know, {who} is {doing}.",
        "I believe {who} will {do}.",
        "Careful, {who} is about to {do}.", "Looks to me like {who} is {doing}.", "I'm pretty sure {who} is {doing}.",
    ),
    "accept": (
        "Yes, I will {do}.", "Agreed, I'll {do}.", "Sure, I will {do}.", "Ok, I'll {do}.", "Deal, I will {do}.",
        "Sounds good, I'll {do}.", "Yes, I can {do}.", "Of course, I'll {do}.", "I agree to {do}.", "Happy to {do}.",
        "Alright, I will {do}.", "I accept and will {do}.", "No problem, I'll {do}.", "Absolutely, I'll {do}.",
        "Yep, I'll {do}.", "Sure thing, I will {do}.", "Great, I'll {do}.", "Perfect, I will {do}.", "Yeah, I can {do}.",
        "Fine, I'll {do}.", "Glad to {do}.",
    ),
    "refuse": (
        "No, I will not {do}.", "Sorry, I can't {do}.", "I won't {do}.", "I'm sorry, but I cannot {do}.", "I'd rather not {do}.",
        "I'm afraid I can't {do}.", "I'm not going to {do}.", "I refuse to {do}.", "Sorry, but I won't {do}.",
        "I have to decline: I will not {do}.", "I'm not able to {do}.", "Unfortunately I cannot {do}.", "I don't want to {do}.",
        "Nope, I won't {do}.", "I really can't {do}.", "I don't think I can {do}.", "Sorry, but I'm not going to {do}.",
    ),
}

_ZONE_FRAMES: Mapping[str, tuple[str, ...]] = {
    "propose we": (
        "I propose a DMZ in {zone}.", "Let's keep {zone} demilitarised.", "How about a DMZ in {zone}?", "Shall we make {zone} a DMZ?",
        "DMZ in {zone}?", "Would you agree to a DMZ in {zone}?", "I suggest we both stay out of {zone}.",
        "Can we both stay out of {zone}?", "Let's both keep our units out of {zone}.", "What do you say to a DMZ in {zone}?",
        "I'd like a demilitarised zone in {zone}.", "Shall we leave {zone} empty?", "Could we agree on a DMZ in {zone}?", "DMZ {codes}?",
        "Want to DMZ {codes}?",
        "How about we both leave {zone} empty?", "Any interest in a DMZ in {zone}?", "I think we should both stay out of {zone}.",
        "Do you mind a DMZ in {codes}?", "DMZ in {codes}, ok?",
    ),
    "propose you": (
        "Please stay out of {zone}.", "Could you stay out of {zone}?", "I suggest you stay out of {zone}.",
        "Can you keep your units out of {zone}?", "I'd like you to stay out of {zone}.", "Would you leave {zone} empty?",
        "Please do not move into {zone}.", "Please don't enter {zone}.", "You should keep out of {zone}.",
        "May I ask you to stay out of {zone}?", "I need you to stay out of {codes}.", "Please keep out of {codes}.",
        "Mind staying out of {zone}?", "Any chance you could stay out of {zone}?", "Do you think you could leave {zone} empty?",
    ),
    "promise": (
        "I will stay out of {zone}.", "I promise to stay out of {zone}.", "I won't enter {zone}.", "I'll keep my units out of {zone}.",
        "I will not move into {zone}.", "You have my word that I'll stay out of {zone}.", "I'll leave {zone} empty.",
        "I'm staying out of {zone}.", "Count on me to stay out of {zone}.", "I promise I won't enter {zone}.",
        "I'll keep out of {codes}.", "I swear I will stay out of {codes}.",
        "Don't worry, I'll stay out of {zone}.", "Trust me, I won't enter {zone}.", "I will definitely keep out of {zone}.",
    ),
    "accept we": (
        "Agreed, a DMZ in {zone}.", "Yes, let's keep {zone} demilitarised.", "Deal, we both stay out of {zone}.", "Ok, {zone} is a DMZ.",
        "I agree to a DMZ in {zone}.", "I accept the DMZ in {zone}.", "Sure, let's leave {zone} empty.", "A DMZ in {zone} works for me.",
        "Sounds good, we both stay out of {zone}.", "Yes to a DMZ in {zone}.", "Fine, let's make {zone} a DMZ.", "Ok, DMZ {codes}.",
        "Yep, {zone} is a DMZ.", "Sure, DMZ in {zone}.", "Great, we both stay out of {zone}.",
    ),
    "accept I": (
        "Agreed, I will stay out of {zone}.", "Yes, I'll stay out of {zone}.", "Ok, I will keep my units out of {zone}.",
        "Sure, I won't enter {zone}.", "Deal, I'll stay out of {zone}.", "I agree to stay out of {zone}.",
        "Of course, I'll leave {zone} empty.", "Fine, I will not move into {zone}.", "Sounds good, I'll keep out of {zone}.",
        "Yes, I can stay out of {zone}.", "Happy to stay out of {zone}.", "Ok, I'll stay out of {codes}.",
        "Yep, I'll stay out of {zone}.", "Perfect, I won't enter {zone}.", "Glad to stay out of {zone}.",
    ),
    "refuse we": (
        "No, I do not want a DMZ in {zone}.", "Sorry, I can't agree to a DMZ in {zone}.", "I don't want a DMZ in {zone}.",
        "No DMZ in {zone}, sorry.", "I won't accept a DMZ in {zone}.", "I'd rather not have a DMZ in {zone}.",
        "A DMZ in {zone} does not work for me.", "I must refuse a DMZ in {zone}.", "I'm not interested in a DMZ in {zone}.",
        "I can't keep {zone} demilitarised.", "I'm afraid we cannot leave {zone} empty.", "I have to decline a DMZ in {codes}.",
        "Nope, I don't want a DMZ in {zone}.", "I really can't agree to a DMZ in {zone}.",
    ),
    "refuse I": (
        "No, I will not stay out of {zone}.", "Sorry, I can't stay out of {zone}.", "I won't stay out of {zone}.",
        "I cannot keep my units out of {zone}.", "I'm afraid I can't stay out of {zone}.", "I refuse to stay out of {zone}.",
        "I'd rather not stay out of {zone}.", "I'm not going to stay out of {zone}.", "Sorry, but I won't keep out of {zone}.",
        "I don't want to stay out of {zone}.", "I'm not able to stay out of {codes}.", "Unfortunately I cannot keep out of {codes}.",
        "Nope, I won't stay out of {zone}.", "I really can't stay out of {zone}.",
    ),
}

_PACT_FRAMES: Mapping[str, tuple[str, ...]] = {
    "propose": (
        "I propose an alliance{foe}.", "Let's ally{foe}.", "Shall we work together{foe}?", "How about an alliance{foe}?",
        "Would you like to ally with me{foe}?", "Do you want to team up{foe}?", "I suggest we join forces{foe}.", "Let's team up{foe}.",
        "Are you interested in an alliance{foe}?", "I'd like an alliance with you{foe}.", "What do you say to an alliance{foe}?",
        "Can we be allies{foe}?", "Let's join forces{foe}.",
        "We should work together{foe}.", "Want to team up{foe}?", "I think we should ally{foe}.", "Up for an alliance{foe}?",
        "Any interest in an alliance{foe}?", "I hope we can work together{foe}.",
    ),
    "accept": (
        "Agreed, let's ally{foe}.", "Yes, I accept an alliance{foe}.", "Deal, we are allies{foe}.", "Sure, let's work together{foe}.",
        "I accept the alliance{foe}.", "I agree to an alliance{foe}.", "Ok, let's team up{foe}.", "Yes, let's join forces{foe}.",
        "An alliance{foe} works for me.", "An alliance{foe} sounds good.", "Of course, we are allies{foe}.", "Happy to ally{foe}.",
        "Yep, let's work together{foe}.", "Sounds good, let's ally{foe}.", "Great, let's team up{foe}.",
        "Yeah, an alliance{foe} sounds good.",
    ),
    "refuse": (
        "No, I do not want an alliance{foe}.", "Sorry, I can't ally with you{foe}.", "I won't join an alliance{foe}.",
        "No alliance{foe}, sorry.", "I can't agree to an alliance{foe}.", "I'd rather not ally{foe}.",
        "I'm not interested in an alliance{foe}.", "I have to decline an alliance{foe}.", "I must refuse an alliance{foe}.",
        "I'm afraid I cannot team up{foe}.", "An alliance{foe} does not work for me.", "I don't want to join forces{foe}.",
        "Nope, I don't want an alliance{foe}.", "I really can't ally with you{foe}.",
    ),
}

_DRAW_FRAMES: Mapping[str, tuple[str, ...]] = {
    "propose": (
        "I propose a draw.", "Shall we draw?", "Let's call it a draw.", "How about a draw?", "Would you vote for a draw?",
        "Would you accept a draw?", "I suggest a draw.", "What do you say to a draw?", "Want to draw?", "Let's draw.",
        "Can we agree on a draw?", "Are you interested in a draw?", "I'd like a draw.",
        "I think we should draw.", "Up for a draw?", "Any interest in a draw?", "Everyone ok with a draw?",
    ),
    "accept": (
        "Agreed, a draw.", "Yes, let's draw.", "I accept the draw.", "I agree to a draw.", "Ok, let's call it a draw.",
        "A draw works for me.", "Sure, I will vote for a draw.", "Deal, we draw.", "Yes, I'll vote for a draw.", "A draw sounds good.",
        "Fine, I accept a draw.", "Of course, let's draw.",
        "Yep, let's draw.", "Great, I accept the draw.", "A draw is fine.",
    ),
    "refuse": (
        "No, I do not want a draw.", "Sorry, I can't agree to a draw.", "I won't vote for a draw.", "No draw, sorry.",
        "I won't accept a draw.", "I'm not interested in a draw.", "I'd rather not draw.", "I must refuse a draw.",
        "I have to decline a draw.", "A draw does not work for me.", "I don't want a draw.", "I'm afraid I cannot agree to a draw.",
        "Nope, I don't want a draw.", "I really can't agree to a draw.",
    ),
}


def _with(frame: str, **parts: str) -> str:
    for name, part in parts.items():
        frame = frame.replace("{" + name + "}", part)
    return frame


def _deed_texts(kind: str, about: Mapping[str, Any], to: tuple[AgentID, ...], speaker: AgentID) -> list[str]:
    power, helps_speaker = about["power"], kind == "ask"
    if kind == "refuse" and about["order"].startswith(f"{UNKNOWN} - "):
        raise ValueError(f"a refusal must name the unit ('I will not move to Galicia' promises a DMZ), got {about['order']!r}")
    if power == speaker:
        frames, owner, other = _DEED_FRAMES[kind], "my", "the" if kind == "inform" else "your"
    elif power in to:
        key = f"{kind} {about['kind']}" if f"{kind} {about['kind']}" in _DEED_FRAMES else kind
        frames, owner, other = _DEED_FRAMES[key], "your", "my" if helps_speaker else "the"
    else:
        frames, owner, other = _DEED_FRAMES["inform other"], "the", "the"
    deeds = _deeds(about["order"], owner, other)
    made = [_with(f, do=deeds[i % len(deeds)], doing=_ing(deeds[i % len(deeds)]), who=power_name(power)) for i, f in enumerate(frames)]
    made += [_with(f, do=d, doing=_ing(d), who=power_name(power)) for f in frames[:4] for d in deeds[:3]]
    return _named(made, {power}) if power in to and len(to) > 1 else made


def _zone_texts(kind: str, about: Mapping[str, Any], to: tuple[AgentID, ...], speaker: AgentID) -> list[str]:
    powers = set(about["powers"])
    who = "I" if powers == {speaker} else "you" if len(powers) == 1 else "we"
    frames = _ZONE_FRAMES.get(f"{kind} {who}") or _ZONE_FRAMES[kind]
    parts = {"zone": _listed([place_name(p) for p in about["provinces"]]), "codes": ", ".join(about["provinces"])}
    made = [_with(f, **parts) for f in frames]
    short = {"zone": _listed([p.capitalize() for p in about["provinces"]]), "codes": "/".join(p.capitalize() for p in about["provinces"])}
    made += [_with(f, **short) for f in frames[:5]]
    others = powers - {speaker}
    return _named(made, others) if len(to) > 1 and others and others != set(to) else made


def _named(made: Iterable[str], others: Iterable[AgentID]) -> list[str]:
    """In a channel of several readers 'you' is called by name."""
    name = _listed([power_name(p) for p in sorted(others)])
    return [f"{name}: {t}" for t in made]
