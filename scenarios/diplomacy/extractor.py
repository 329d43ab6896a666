"""Text → acts: what a press message commits to, read from the text alone with its author and readers.

Rules, not a model: `lexicon` makes tokens of the text, `patterns` and `pacts` find what is talked about (an order, a support, a DMZ, an
alliance, a draw), `force` looks at the words around it, and here they say: proposed, promised, refused … Talk that matches no pattern is inert; an
order of which the unit was not said is still noticed ('? ? - GAL'). Never raises; time grows linearly with the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from scenarios.diplomacy import force as f
from scenarios.diplomacy.force import Force, force_of
from scenarios.diplomacy.lexicon import ENDS, KIND, Token, tokens
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.pact_force import pact_force
from scenarios.diplomacy.pacts import find
from scenarios.diplomacy.patterns import Found, Sentence
from scenarios.diplomacy.press import UNKNOWN, about_alliance, about_dmz, about_order, act, join_order
from sociallm.conversation import AgentID

MAX_TEXT, MAX_ACTS = 8192, 16  # characters read of one message, and acts taken from it; nobody commits to more than that
MAX_CONSENT = 4  # tokens of a sentence that only consents, its end included


@dataclass(frozen=True)
class Parties:
    """Who 'I', 'you' and 'we' are."""

    author: AgentID
    others: tuple[AgentID, ...]
    called: AgentID | None  # a reader called by name at the head of the sentence

    @property
    def you(self) -> AgentID | None:
        return self.called or (self.others[0] if len(self.others) == 1 else None)

    def of(self, who: str) -> AgentID | None:
        """The power meant by ME, YOU or a power's name."""
        return {"ME": self.author, "YOU": self.you}.get(who, who if who in POWERS else None)

    def pact(self, named: Sequence[str], without: Sequence[str] = ()) -> tuple[AgentID, ...]:
        """The powers of something mutual: those named, else author and reader."""
        if named and not set(named) & {"WE", "YOU", "ME"}:
            powers = set(named) if len(named) > 1 else {*named, self.author}
        elif set(named) - {"WE", "YOU", "ME"}:
            powers = {p for p in map(self.of, named) if p} | {self.author}
        else:
            powers = {self.author} | ({self.you} if self.you else set(self.others))
        return tuple(sorted(powers - set(without)))


def _read_deed(found: Found, force: Force, parties: Parties) -> tuple[str, dict[str, Any]] | None:
    """(kind, about) of an order or support."""
    assert found.spec is not None
    words, last = force.words, force.last
    asks = f.STRONG.search(words) or f.WEAK.search(words)
    who = _doer(found, force, bool(asks))
    power = parties.of(who)
    if power is None or (f.PAST.search(last) and not asks) or f.UNMEANT.search(words):
        return None
    if _SETTLED.search(last) or _PRAISED.search(last):
        return None
    if f.TOLD.search(words) and not force.question and power in (parties.author, parties.you):
        return None
    depends = bool(f.DEPENDS.search(last)) and not f.IF_ASK.search(words)
    about = about_order(power, join_order(found.spec))
    if power == parties.author:
        kind = _own_deed(found, force, depends and not f.THEN_I.search(last))
        if kind == "dmz":
            return "promise" if not f.accepts(force) else "accept", about_dmz([power], found.places or (found.spec.target,))
        return (kind, about) if kind else None
    if power in parties.others and power == parties.you:
        return _readers_deed(found, force, power, about, depends and not force.bargain and not force.closing)
    if force.negated or depends or (force.question and not _GUESSED.search(words)) or _NOT_SAID.search(_SHOULD_BE.sub("", last)):
        return None
    return "inform", about


_SETTLED = re.compile(r"\bi (?:did|have) not\b|\b(?:we|they|he|she|have) (?:\w+ )?agreed\b|\b(?:i|we|he|they) (?:should|could|would) have\b(?! you\b| to\b)")  # said or missed before now
_PRAISED = re.compile(r"(?<!sounds )\b(?:nice|good|great|solid|gg(?: on)?)$|\b(?:nice|good|great) (?:work|job|going|play|call|luck)\b")
_GUESSED = re.compile(r"\bi (?:suspect|think|guess|imagine|bet|assume|believe|expect|am (?:guessing|assuming|thinking))\b")
_SHOULD_BE = re.compile(r"\bshould be$|\b(?:said|says|told me|tells me|promised)(?: \w+){0,2} (?:would|wants? to)(?: be)?\b")  # 'Austria should be moving to Piedmont' expects it
_NOT_SAID = re.compile(r"\b(?:told|asked) \w+ (?:not )?to\b|\b(ask|asks|asked|get|tell|convince|persuade|let|can|could|should|would|wants?|advise|easy|ok|okay|happy|if)\b")
_FORBIDS = re.compile(
    r"\b(?:please|do not|should not|could you|can you|would you|would|appreciate|any chance|by not|to not|not to|never|must not|better not|promise not to)\b|"
    r"\bif you\b.* not\b"
)


_FORECAST = re.compile(r"\b(?:when|once|in case|while|after)\b|\byou (?:are|(?:should|will|would) be) (?:good|fine|okay|clear|free|safe) to\b|\byou (?:can|could|may) (?:probably|likely|easily|hopefully)\b|\byou (?:have(?! to\b| (?:any )?plans?)|had|got|said|(?:should|might|may|could|would|will) be able)\b")


def _readers_deed(found: Found, force: Force, power: AgentID, about: dict[str, Any], supposed: bool) -> tuple[str, dict[str, Any]] | None:
    assert found.spec is not None
    words, last = force.words, force.last
    if found.spec.unit != UNKNOWN and re.search(r"\bif you (?:do |can )?not$", last):
        return ("ask" if found.kind == "support" else "propose"), about  # 'Germany runs me over if you don't move Vienna to Bohemia'
    if supposed or _FORECAST.search(last):
        return None
    if force.negated and not (force.question and re.search(r"\bare you not\b", last)):
        forbids = found.spec.verb == "-" and found.spec.unit == UNKNOWN and _FORBIDS.search(last)
        return ("propose", about_dmz([power], found.places or (found.spec.target,))) if forbids else None
    stated = re.search(r"(?<!if )\byou (?:are(?! welcome| free to)|will)\b", last) and not force.question and not f.STRONG.search(words)
    if found.kind == "support":
        return "inform" if stated else "ask", about
    if stated:
        return "inform", about
    if found.kind == "order" and re.search(r"\byou (?:are )?(?:still )?(?:going|doing|moving|playing|ordering)$", words):
        return "ask", about
    if force.question and re.search(r"^(?:so |and )?(?:is|was)$", words):
        return "ask", about  # 'is Venice to Trieste agreed?'
    if re.search(r"\bwill you$", words) and not f.ongoing(force.verb) and found.kind == "order" and found.spec.unit != UNKNOWN:
        return "propose", about
    heads_there = force.question and re.search(r"\byou(?: still)?(?: are| will)?(?: still)?$", words)
    if heads_there and not (f.ongoing(force.verb) or re.search(r"\b(?:are|will)\b", words)):
        heads_there = None
    return ("ask" if heads_there or f.PLANS.search(words) else "propose"), about


_NOT_ALONE = re.compile(r"\b(?:them|him|someone|others)(?: \w+){0,2}$|\byou and (?!i\b|me\b)\w+(?: \w+)?$|\byou guys\b")
_WISHES = re.compile(r"\bi (?:will |would |really |just |also )*(?:need|want|prefer)$")  # 'I need Mos to support …', 'I'd prefer Venice holds'


def _doer(found: Found, force: Force, asks: bool) -> str:
    """ME, YOU, a power, or '' where nobody in particular does it."""
    words, who = force.words, force.who
    if found.asked and re.search(r"\b(?:can|could|may) i (?:get|have|ask|borrow|count)\b", words):
        return "YOU"
    if _NOT_ALONE.search(words) or (force.question and re.search(r"\b(?:am|do|should|can|could|may|shall) i\b(?!.*\byour?\b)", words)):
        return ""
    if f.ongoing(force.verb) and re.search(r"\b(?:after|before|from|than|without|me)$", words):
        return ""
    if f.ongoing(force.verb) and not asks and re.search(r"(?<!except )\b(?:for|of)$", words) and not re.search(r"\b(?:thinking|think|up|down|planning|plan|plans) (?:for|of)$", words):
        return ""  # 'retaliation for going to Tyrolia'
    free = f.NO_DOER.sub("", words)
    if found.kind == "support" and re.search(r"\byou (?:already |will |still |do )*(?:have|got|have got|get)(?: my| our)?$", words):
        return "ME"  # 'you have my support into Moscow'
    if found.kind == "support" and re.search(r"\byour(?: \w+)?$", words) and not asks:
        return "YOU"
    if f.ongoing(force.verb) and force.negated and not who and re.search(r"\b(?:was|is|would|seems)\b", force.after):
        return ""  # 'not moving Vienna to Tyrolia was dumb'
    if found.asked:
        return _wanted(found, force, asks)
    if f.ongoing(force.verb) and f.DESCRIBED.search(force.after) and not re.search(r"\b(?:am|are|is|be|about|suggest|recommend)\b", force.last):
        return ""
    if who == "WE":
        return "ME" if re.search(rf"{f.GLAD}(?! we\b| you\b| that\b)", words) else ""
    if who == "ME" and not found.owner and _WISHES.search(words):
        return "YOU"
    if who:
        return who
    if re.search(f.GLAD, words) or (not asks and (words.endswith(":") or re.search(r"\b(fyi|orders|plan)\b", words))):
        return "ME"
    told_of_mine = found.spec is not None and "?" != found.spec.unit[-1] and not asks and not f.NO_DOER.sub("", force.last) and re.search(r"\bi\b", words)
    noted = (not free or bool(told_of_mine)) and not _commands(force.verb)
    if noted and f.DESCRIBED.search(force.after):
        return ""
    if noted and (force.question or re.search(r"\b(?:if you|please)\b", force.after)):
        return "YOU"
    return "ME" if (noted and not asks) or (f.IMPLIED_ME.search(free) and not force.question) else "YOU"


def _wanted(found: Found, force: Force, asks: bool) -> str:
    """Of a support or bounce spoken of as a thing: who is to do it."""
    if found.kind == "order":
        agreed = (f.accepts(force) and not asks) or (f.ACCEPT_AFTER.search(force.after) and not force.question)
        wished = force.who == "ME" and re.search(r"\bi (?:would |still |really |do |just )*(?:think|want|need|suggest|propose|prefer|hope|guess|say|like|love|vote|feel)\b", force.words)
        return force.who if force.who not in ("", "WE", "YOU") and not wished else "ME" if agreed else "YOU"
    if re.search(r"\bi (?:will |can |could |would |am happy to )?(?:give|giving|lend|throw|offer)\b", force.words):
        return "ME"
    if force.question and re.search(r"\b(?:do you|would you|you) (?:still |also )*(?:want|need|like|be interested in|interested in|prefer)(?: (?:a|my|any|some|more|that|another))*$", force.words):
        return ""  # 'do you want support into Greece?' offers it
    wants = re.search(r"\b(?:want|need|appreciated?|get|getting|accept|like|use|give|throw|spare|lend|hope|hoping|would be|would help|would really)\b", force.words + force.after)
    return "YOU" if (asks or force.question or wants) and force.who in ("", "ME", "YOU", "WE") else ""


def _commands(verb: str) -> bool:
    """Whether a sentence that starts with this verb tells the reader what to do: 'Take Rumania', not 'Taking Rumania'."""
    return (KIND.get(verb) in ("MOVE", "SUP", "CON", "HOLD", "KEEP", "PUT") or verb in ("try", "help")) and not (f.ongoing(verb) or verb.endswith("s"))


def _own_deed(found: Found, force: Force, supposed: bool) -> str | None:
    assert found.spec is not None
    if force.negated:
        if found.spec.verb == "H" and (re.search(r"\b(?:can|could)\b", force.spoken) or re.search(r"\bbe able to$", force.last)):
            return None  # 'Paris can't hold'
        if found.spec.verb != "-" or found.spec.unit != UNKNOWN:
            return "refuse"
        return None if supposed or re.search(r"\b(?:can|could|able)\b", force.last) else "dmz"
    if supposed or re.search(r"\bif (?:you and )?i\b|\bwant me to\b|\bmind\b", f"{force.words} {force.after}"):
        return None
    if f.accepts(force) or (found.asked and f.ACCEPT_AFTER.search(force.after)):
        return "accept"
    return "promise" if f.PROMISE.search(force.words) or re.search(r"\bwill(?= |$)", force.last) or re.search(r"\b(?:will|can|could)\b", force.spoken) else "inform"


def _read_zone(found: Found, force: Force, parties: Parties) -> tuple[str, dict[str, Any]] | None:
    """(kind, about) of a DMZ."""
    mutual = found.noun or force.who == "WE" or bool(found.powers)
    kind = pact_force(found, force)
    if mutual:
        return (kind, about_dmz(parties.pact(found.powers), found.places)) if kind else None
    power = parties.of(force.who or ("ME" if re.search(f.GLAD, force.words) else "YOU"))
    if power is None or f.PAST.search(force.last) or f.UNMEANT.search(force.words) or (force.negated and force.verb.startswith("leav")):
        return None
    if power != parties.author and re.search(r"\bif you are\b|\bwhether\b", force.last):
        return None  # 'depends if you are leaving Tyrolia'
    about = about_dmz([power], found.places)
    if power == parties.author:
        hypothetical = bool(re.search(r"\b(if|unless|when|whether)\b", force.last))
        return None if hypothetical else ("refuse" if force.negated else "accept" if f.accepts(force) else "promise", about)
    if power in parties.others:
        return None if force.negated else ("propose", about)
    return None


def _read(found: Found, force: Force, parties: Parties) -> list[tuple[str, dict[str, Any]]]:
    if found.kind in ("order", "support"):
        read = _read_deed(found, force, parties)
        if read and read[1]["kind"] == "order" and len(found.places) > 1 and found.spec:
            return [(read[0], about_order(read[1]["power"], f"{UNKNOWN} - {place}")) for place in found.places]
        if read and read[1]["kind"] == "support" and len(found.places) > 1 and found.spec:
            return [(read[0], about_order(read[1]["power"], join_order(replace(found.spec, target=place)))) for place in found.places]
        return [read] if read else []
    if found.kind == "dmz":
        read = _read_zone(found, force, parties)
        return [read] if read else []
    kind = pact_force(found, force)
    if not kind:
        return []
    if found.kind == "draw":
        return [(kind, {"kind": "draw"})]
    powers = parties.pact(found.powers, found.places)
    of_others = parties.author not in powers or len(powers) < 2 or force.who in set(POWERS) - {parties.you}
    together = force.who in ("", "YOU") and force.question and re.search(r"\b(?:interested in|up for|down for|fancy|want to|how about)\b", force.words)
    both = not found.deed or force.who == "WE" or together or re.search(r"\byou (?:\w+ )?and (?:i|me)\b|\btime to$|\bwith (?:you|me)\b", f"{force.words} {force.after}")
    if of_others or not both:
        return []
    return [(kind, about_alliance(powers, foe)) for foe in found.places or (None,)]


def meaning(text: str, author: AgentID, readers: frozenset[AgentID]) -> tuple[dict[str, Any], ...]:
    """The acts a text performs, in canonical form and in the order of the text; empty if none is recognised."""
    others = tuple(sorted(readers - {author}))
    acts: list[dict[str, Any]] = []
    sentence: list[Token] = []
    for token in [*tokens(text[:MAX_TEXT]), Token("END", ".")]:
        sentence.append(token)
        if token.word in (".", "!") and _consents(sentence):
            sentence[-1] = Token("WORD", ",")
        elif token.word in ENDS:
            for kind, about in _sentence(sentence, author, others):
                made = act(kind, others, about)
                if made not in acts:
                    acts.append(made)
            sentence = []
            if len(acts) >= MAX_ACTS:
                break
    return tuple(acts[:MAX_ACTS])


def _consents(sentence: Sequence[Token]) -> bool:
    """Whether it is a word or two of consent and nothing else ('Sounds good!', 'OK...'): what follows is said with it."""
    words = " ".join(token.word for token in sentence[:-1]).rstrip(" ,")
    return len(sentence) <= MAX_CONSENT and bool(f.ACCEPT_FIRST.fullmatch(words))


def _called(sentence: Sequence[Token], others: tuple[AgentID, ...]) -> list[Token]:
    """'England move to Syria' with the comma that belongs behind a reader's name in front of a command."""
    for i, token in enumerate(sentence[:2]):
        rest = [t for t in sentence[i + 1 : i + 3] if t.word not in ("please", "just")][:1]
        if token.kind == "POWER" and token.value in others and rest and _commands(rest[0].word):
            return [*sentence[: i + 1], Token("WORD", ","), *sentence[i + 1 :]]
    return list(sentence)


def _goes_on(between: Sequence[Token]) -> bool:
    """Whether what follows is said with the force of what came before: '… and move Vienna to Trieste'."""
    joined = any(t.word in ("and", "then") for t in between)
    return all(t.word in _JOINTS or (len(t.word) < 2 and t.kind != "ME") or (joined and t.kind in ("MOVE", "PUT")) for t in between)


_JOINTS = {"and", "then", "also", "or", "to", "with"}


def _sentence(sentence: Sequence[Token], author: AgentID, others: tuple[AgentID, ...]) -> list[tuple[str, dict[str, Any]]]:
    s = Sentence(_called(sentence, others))
    called = next((t.value for i, t in enumerate(s.t[:3]) if t.kind == "POWER" and t.value in others and s.word(i + 1) in (",", ":")), None)
    parties = Parties(author, others, called)
    founds: list[Found] = []
    i = 0
    while i < len(s.t) and len(founds) < MAX_ACTS:
        found = find(s, i)
        if found:
            founds.append(found)
        i = found.end if found else i + 1
    read: list[tuple[str, dict[str, Any]]] = []
    start, previous = 0, None
    for n, found in enumerate(founds):
        end = founds[n + 1].start if n + 1 < len(founds) else len(s.t) - 1
        force = force_of(s, found, start, end)
        if previous and not found.owner and _goes_on(s.t[start : found.start]):
            force = replace(previous, after=force.after, negated=previous.negated != found.negated)
        read += _read(found, force, parties)
        start, previous = found.end, force
    return read
