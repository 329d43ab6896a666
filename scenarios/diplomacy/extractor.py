"""Text → acts: what a press message commits to, read from the text alone with its author and readers.

Rules, not a model: `lexicon` makes tokens of the text, `patterns` finds what is talked about (an order, a support, a DMZ, an alliance,
a draw), and here the words in front of it say with what force: proposed, promised, refused … Talk that matches no pattern is inert; an
order of which the unit was not said is still noticed ('? ? - GAL'). Never raises; time grows linearly with the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scenarios.diplomacy.lexicon import CLAUSE, ENDS, KIND, Token, tokens
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.patterns import Found, Sentence
from scenarios.diplomacy.press import UNKNOWN, about_alliance, about_dmz, about_order, act, join_order
from sociallm.conversation import AgentID

MAX_TEXT, MAX_ACTS = 8192, 16  # characters read of one message, and acts taken from it; nobody commits to more than that


# ---- force: what the words in front make of it -----------------------------------------------------------------------

_STRONG = re.compile(
    r"\b(propose|proposal|suggest|suggestion|recommend|how about|what about|what if|what do you (say|think)|shall we|"
    r"should we|would you|could we|can we|could you|can you|will you|do you want|interested|offer|i would like|would like|"
    r"want to|want a|may i|would love|"
    r"are you (open|up|ok)|any chance|open to)\b"
)
_WEAK = re.compile(r"\b(let us|we should|we could|we can|please|hope|hoping|should)\b|\?$")
_ACCEPT_FIRST = re.compile(
    r"^(?:(?:hi|hey|hello|well|oh|ah)\b ?,? ?)?(?:\w+ [,:] )?"
    r"(yes|yeah|yep|yup|sure|ok|okay|agreed|deal|sounds good|of course|certainly|absolutely|fine|alright|all right|"
    r"definitely|very well|happy to|glad to|gladly|works for me|perfect|great|done|good)\b"
)
_ACCEPT = re.compile(
    r"\bi (?:can |would |do |also |will |fully |gladly |am happy to )*(?:agree|accept)\b|\bi am (?:happy|glad|willing) to\b|"
    r"\bi would be (?:happy|glad) to\b|\bcount me in\b|\bwe have (?:a )?deal\b|\bit is (?:a )?deal\b"
)
_ACCEPT_AFTER = re.compile(r"^(?:\w+ ){0,2}?(works for me|sounds (?:good|great|fine)|is (?:fine|good|ok|okay|agreed)|it is|works)\b")
_PROMISE = re.compile(
    r"\b(promise|my word|swear|pledge|guarantee|count on me|rely on me|commit|i will|i shall|i can|i could|we will|rest assured|assure)\b"
)
_NEGATIVE = re.compile(r"\b(not|never|refuse|refuses|decline|declining|reject|unable|rather not)\b")
_PLANS = re.compile(
    r"\b(are you|do you (?:plan|intend|expect|mean)|will you be|whether you|if you (?:plan|intend|are)|is your plan|your plan)\b"
)
_IF_ASK = re.compile(
    r"\b(appreciate it|wonder|wondering|ask|great|good|grateful|love it|like it|nice|glad|happy|check|see|help\w*|best|lot|"
    r"both|useful|better)"
    r"(?: \w+){0,3} if (?:you|we)\b"
)
_GLAD = r"\b(happy|glad|gladly)\b"
_PAST = re.compile(
    r"\b(moved|supported|went|attacked|took|held|convoyed|bounced|did|was|were|had|thanks|thank|helped|entered|asked|used to)\b"
)


@dataclass(frozen=True)
class Force:
    """How the words before a thing talked about put it."""

    who: str  # ME, YOU, WE, a power, or '' where nobody is named
    words: str  # the words in front, in this sentence
    last: str  # those of the last clause
    after: str
    verb: str  # the word the thing starts with
    negated: bool
    question: bool


def _subject(s: Sentence, start: int, end: int) -> str:
    for i in range(end - 1, start - 1, -1):
        token = s.t[i]
        if token.kind in ("ME", "YOU", "WE"):
            if token.word in ("my", "your", "our") and s.kind(i + 1) != "SUP" and s.word(i + 1) not in ("plan", "orders", "order"):
                continue  # 'my suggestion', 'your call': not who acts
            if token.word in ("me", "us") and s.word(i - 1) not in (
                "let",
                "on",
                "for",
                "of",
                "both",
                "want",
                "like",
                "need",
                "allow",
                "prefer",
            ):
                continue  # 'tell me', 'help us': the one spoken to acts
            if s.word(i + 1) in ("recommend", "suggest", "propose"):
                return "YOU"
            return token.kind
        if token.kind == "POWER" and not (s.word(i + 1) in (",", ":") and i - start <= 1):
            return token.value
    return ""


def _last_clause(words: Sequence[str]) -> int:
    for i in range(len(words) - 1, -1, -1):
        if words[i] in CLAUSE and i + 1 < len(words):
            return i + 1
    return 0


def _force(s: Sentence, found: Found, start: int, end: int) -> Force:
    before = [t.word for t in s.t[start : found.start]]
    cut = _last_clause(before)
    last = " ".join(before[cut:])
    negatives = len(_NEGATIVE.findall(last.replace("rather not", "not"))) + (before[-1:] == ["no"])
    who = found.owner or _subject(s, start + cut, found.start) or _subject(s, start, found.start)
    after = [t.word for t in s.t[found.end : end]]
    negated = (negatives + found.negated) % 2 == 1
    return Force(
        who, " ".join(before), last, " ".join(after[: _first_clause(after)]), s.word(found.start), negated, s.word(len(s.t) - 1) == "?"
    )


def _first_clause(words: Sequence[str]) -> int:
    return next((i for i, w in enumerate(words) if w in CLAUSE), len(words))


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
    hypothetical = bool(re.search(r"\b(if|unless|when|whether|in case|once)\b", last)) and not _IF_ASK.search(words)
    asks = _STRONG.search(words) or _WEAK.search(words)
    who = force.who
    if who in ("", "WE"):
        bare = (not words and not _commands(force.verb)) or words.endswith(":") or re.search(r"\b(fyi|orders|plan)\b", words)
        who = "ME" if who == "WE" or re.search(_GLAD, words) or (bare and not asks) else "YOU"
    power = parties.of(who)
    if power is None or (_PAST.search(last) and not asks):
        return None
    support = found.kind == "support"
    about = about_order(power, join_order(found.spec))
    if power == parties.author:
        kind = _own_deed(found, force, hypothetical)
        if kind == "dmz":
            return "promise" if not _accepts(force) else "accept", about_dmz([power], found.places)
        return (kind, about) if kind else None
    if power in parties.others and (power == parties.you):
        if force.negated:
            forbids = (
                found.spec.verb == "-"
                and found.spec.unit == UNKNOWN
                and re.search(r"\b(please|do not|should not|could you not|would you)\b", last)
            )
            return ("propose", about_dmz([power], found.places)) if forbids else None
        if support:
            return "inform" if force.who == power and not asks and not force.question else "ask", about
        if re.search(r"\byou (?:are|will be)\b", last) and not force.question and not _STRONG.search(words):
            return "inform", about
        return ("ask" if _PLANS.search(words) else "propose"), about
    if force.negated or hypothetical or force.question or re.search(r"\b(ask|get|tell|convince|persuade|let)\b", last):
        return None
    return "inform", about


def _commands(verb: str) -> bool:
    """Whether a sentence that starts with this verb tells the reader what to do: 'Take Rumania', not 'Taking Rumania'."""
    return KIND.get(verb) in ("MOVE", "SUP", "CON", "HOLD", "KEEP") and not verb.endswith(("ing", "s"))


def _own_deed(found: Found, force: Force, hypothetical: bool) -> str | None:
    assert found.spec is not None
    if force.negated:
        return "dmz" if found.spec.verb == "-" and found.spec.unit == UNKNOWN and not hypothetical else "refuse"
    if hypothetical:
        return None
    if _accepts(force):
        return "accept"
    return "promise" if _PROMISE.search(force.words) else "inform"


def _accepts(force: Force) -> bool:
    return bool(_ACCEPT_FIRST.search(force.words) or _ACCEPT.search(force.words))


def _read_zone(found: Found, force: Force, parties: Parties) -> tuple[str, dict[str, Any]] | None:
    """(kind, about) of a DMZ."""
    mutual = found.noun or force.who == "WE" or bool(found.powers)
    kind = _pact_force(found, force)
    if mutual:
        return (kind, about_dmz(parties.pact(found.powers), found.places)) if kind else None
    power = parties.of(force.who or ("ME" if re.search(_GLAD, force.words) else "YOU"))
    if power is None or _PAST.search(force.last):
        return None
    about = about_dmz([power], found.places)
    if power == parties.author:
        hypothetical = bool(re.search(r"\b(if|unless|when|whether)\b", force.last))
        return None if hypothetical else ("refuse" if force.negated else "accept" if _accepts(force) else "promise", about)
    if power in parties.others:
        return None if force.negated else ("propose", about)
    return None


def _pact_force(found: Found, force: Force) -> str | None:
    """propose, accept, refuse or nothing, of something mutual."""
    if force.negated or re.search(r"\bnot\b", force.after) or (force.words.endswith("no") and found.noun):
        return "refuse"
    if _STRONG.search(force.words):
        return "propose"
    if _accepts(force) or (_ACCEPT_AFTER.search(force.after) and not force.question):
        return "accept"
    if _WEAK.search(force.words + ("?" if force.question else "")):
        return "propose"
    if re.search(r"\b(vote|voting) for\b", force.words) and "will" in force.words:
        return "accept"
    return "propose" if not force.last and found.kind == "dmz" else None


def _read(found: Found, force: Force, parties: Parties) -> list[tuple[str, dict[str, Any]]]:
    if found.kind in ("order", "support"):
        read = _read_deed(found, force, parties)
        if read and read[1]["kind"] == "order" and len(found.places) > 1 and found.spec:
            return [(read[0], about_order(read[1]["power"], f"{UNKNOWN} - {place}")) for place in found.places]
        return [read] if read else []
    if found.kind == "dmz":
        read = _read_zone(found, force, parties)
        return [read] if read else []
    kind = _pact_force(found, force)
    if not kind:
        return []
    if found.kind == "draw":
        return [(kind, {"kind": "draw"})]
    return [(kind, about_alliance(parties.pact(found.powers, found.places), foe)) for foe in found.places or (None,)]


def meaning(text: str, author: AgentID, readers: frozenset[AgentID]) -> tuple[dict[str, Any], ...]:
    """The acts a text performs, in canonical form and in the order of the text; empty if none is recognised."""
    others = tuple(sorted(readers - {author}))
    acts: list[dict[str, Any]] = []
    sentence: list[Token] = []
    for token in [*tokens(text[:MAX_TEXT]), Token("END", ".")]:
        sentence.append(token)
        if token.word in ENDS:
            for kind, about in _sentence(sentence, author, others):
                made = act(kind, others, about)
                if made not in acts:
                    acts.append(made)
            sentence = []
            if len(acts) >= MAX_ACTS:
                break
    return tuple(acts[:MAX_ACTS])


def _sentence(sentence: Sequence[Token], author: AgentID, others: tuple[AgentID, ...]) -> list[tuple[str, dict[str, Any]]]:
    s = Sentence(sentence)
    called = next(
        (t.value for i, t in enumerate(sentence[:3]) if t.kind == "POWER" and t.value in others and s.word(i + 1) in (",", ":")), None
    )
    parties = Parties(author, others, called)
    founds: list[Found] = []
    i = 0
    while i < len(s.t) and len(founds) < MAX_ACTS:
        found = s.find(i)
        if found:
            founds.append(found)
        i = found.end if found else i + 1
    read: list[tuple[str, dict[str, Any]]] = []
    start, previous = 0, None
    for n, found in enumerate(founds):
        end = founds[n + 1].start if n + 1 < len(founds) else len(s.t) - 1
        force = _force(s, found, start, end)
        if previous and not re.search(r"[a-z]{2}", re.sub(r"\b(and|then|also|or|to|with)\b", "", force.words)) and not found.owner:
            force = Force(
                previous.who, previous.words, previous.last, force.after, force.verb, previous.negated != found.negated, force.question
            )
        read += _read(found, force, parties)
        start, previous = found.end, force
    return read
