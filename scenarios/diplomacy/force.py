"""With what force a thing is talked about: what the words in front of it, and behind, make of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from scenarios.diplomacy.lexicon import CLAUSE
from scenarios.diplomacy.patterns import Found, Sentence

STRONG = re.compile(
    r"\b(propose|proposal|suggest|suggestion|recommend|how about|what about|what if|what do you (say|think)|shall we|"
    r"should we|would you|could we|can we|could you|can you|will you|do you want|interested|offer|i would like|would like|"
    r"want to|want a|may i|would love|any thoughts on|thoughts on|interest in|mind if|do you mind|would you mind|fancy|up for|down (?:for|to)|"
    r"(?:fine|ok|okay|good|happy|cool) with|(?:fine|ok|okay|good|cool) to|are you (open|up|ok)|any chance|open to|all for|on board (?:for|with)|i vote we|i say we)\b"
)
WEAK = re.compile(r"\b(let us|we (?:all |both |really |just |still )*(?:should|could|can|need|must|have to)|please|hope|hoping|should)\b|\?$")
ACCEPT_FIRST = re.compile(
    r"^(?:(?:hi|hey|hello|well|oh|ah)\b ?,? ?)?(?:\w+ [,:] )?"
    r"(yes|yeah|yep|yup|accept(?:ed|ing)?|agree(?= to\b)|same(?: here)?|yea|ya|ye|np|kk|ofc|will do|that works|for sure|good idea|sure|ok|okay|agreed|deal|sounds good|of course|certainly|absolutely|fine|alright|all right|"
    r"definitely|very well|happy to|glad to|gladly|works for me|perfect|great|done|good(?! luck))\b"
)
ACCEPT = re.compile(
    r"\bi (?:can |would |do |also |will |fully |gladly |am happy to )*(?:agree|accept)\b|\bi am (?:happy|glad|willing|down|game|prepared) to\b|"
    r"\bi would be (?:happy|glad|willing) to\b|\bi am (?:with you|in)(?= |$)(?! (?:the|a|trouble|danger|[a-z]{3}\b))|\bcount me in\b|\bwe have (?:a )?deal\b|\bit is (?:a )?deal\b"
)
ACCEPT_AFTER = re.compile(r"^(?:\w+ ){0,2}?(works for me|sounds (?:good|great|fine)|is (?:fine|good|ok|okay|agreed)|it is|works)\b")
PROMISE = re.compile(
    r"\b(promise|my word|swear|pledge|guarantee|count on me|rely on me|commit|i will|i shall|i can|i could|we will|rest assured|assure)\b"
)
NEGATIVE = re.compile(r"\b(not|never|refuse|refuses|decline|declining|reject|unable|rather not)\b")
PLANS = re.compile(
    r"\b(are you(?! (?:willing|able|ok|okay|open|up|interested|happy|fine|good|down)\b)|do you (?:plan|intend|expect|mean)|will you be|whether you|if you (?:plan|intend|are)|is your plan|your plan|you have (?:any )?plans?)\b|"
    r"\b(?:let me know|tell me) (?:if|whether) you$"
)
IF_ASK = re.compile(
    r"\b(?:only|long as|provided|assuming) (?:if )?(?:you|we)\b|\b(appreciate it|wonder|wondering|ask|great|good|grateful|love it|like it|nice|glad|happy|check|see|help\w*|best|lot|"
    r"both|useful|better)"
    r"(?: \w+){0,3} if (?:you|we)\b"
)
GLAD = r"\b(happy|glad|gladly)\b"
DEPENDS = re.compile(r"\b(if|unless|when|whether|in case|once)\b")
# 'if you stab him I will go …': what the author does then is said outright
THEN_I = re.compile(r"\b(?:if|unless|when|once) (?!i\b)[^,]* i (?:will|can|could|would|shall|am)\b")
UNMEANT = re.compile(r"\bnot (?:a )?(?:big |huge )?fan of\b|\bwho (?:is|are|will|goes|would|should|can)\b|\bdo you think (?:i|we|they|he|she)\b|\bwhy\b|\bwhich\b|\bwhat$|\blet me(?: (?!know)\w+)?$|\bway to$|\bsee (?:you|me|him|them)\b|\bchange (?:your|my|his|their) mind\b|\bnot sure (?:how|what|where|when|who)\b|\bhow (?:do|does|did|would|could|come|will)\b|\b(?:sorry|thanks|thank you) for\b|\b(?:what|which) would\b")
TOLD = re.compile(r"\b(?:told|tell|telling|convinced?|asked|ask|begging|beg|said|says?) (?!you\b)\w+")
BARGAIN = re.compile(
    r"\bi (?:will|can|could|would|shall|am (?:happy|glad|willing|ready|going|fine|ok|okay))\b|"
    r"\b(?:appreciated?|great|awesome|nice|good|lovely|love|help\w*|deal|grateful|happy|glad|perfect|please|thanks)\b"
)
# of a deed without a doer: 'Nth - Nwy bounces that', 'moving to Arm could be good' only describe it
DESCRIBED = re.compile(r"^(?:is(?! in$)|was|are|were|bounces|works|worked|would|will|could|might|may|too|seems|seemed|looks|helps|does|did|makes|gets|failed)\b")
NO_DOER = re.compile(r"^(?:(?:and|but|so|well|ok|okay|yes|yeah|yep|yup|no|nope|nah|not|sure|fine|alright|then|also|probably|maybe|just|still|now|oh|ah|hm|hmm|lol|haha|damn|hey|hi|hello|actually|anyway|plus|btw|thanks|cool|nice|great|sorry|currently|again|fyi|k|kk|np|agreed|deal|perfect|sounds (?:good|great|fine)|of course|for sure|got it|gotcha|will do)\b ?,? ?)*")
IMPLIED_ME = re.compile(r"^(?:will|shall|would|going|have|need|trying|try|planning|hoping|thinking|am|gonna|about|want|can not|could not|might|may|ordered|doing)\b(?! you| we)")
PAST = re.compile(
    r"\b(moved|supported|went|attacked|took|held|convoyed|bounced|did|was|were|had|thanks|thank|promised|tried|forgot|planned|wanted|hoped|intended|meant to|helped|entered|asked|used to)\b"
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
    closing: bool  # a question mark follows at once
    spoken: str  # the words of the thing itself
    bargain: bool  # the sentence offers or wishes something, so that an 'if you …' in it asks for the deed


def subject(s: Sentence, start: int, end: int) -> str:
    for i in range(end - 1, start - 1, -1):
        token = s.t[i]
        if token.kind in ("ME", "YOU", "WE"):
            if token.word in ("my", "your", "our") and s.kind(i + 1) != "SUP" and s.word(i + 1) not in ("plan", "orders", "order"):
                continue  # 'my suggestion', 'your call': not who acts
            if token.word in ("me", "us") and not s.word(i + 1).endswith("ing") and s.word(i - 1) not in (
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
            if {"recommend", "suggest", "propose"} & {s.word(i + 1), s.word(i + 2)}:
                return "YOU"
            return token.kind
        if token.word in ("they", "he", "she"):
            return next((s.t[k].value for k in range(i - 1, max(-1, i - 24), -1) if s.kind(k) == "POWER"), "THEY")
        if token.kind == "POWER" and not (s.word(i + 1) in (",", ":") and i - start <= 1):
            return token.value
    return ""


def _last_clause(words: Sequence[str]) -> int:
    for i in range(len(words) - 1, -1, -1):
        if words[i] in CLAUSE and i + 1 < len(words):
            return i + 1
    return 0


def force_of(s: Sentence, found: Found, start: int, end: int) -> Force:
    before = [t.word for t in s.t[start : found.start]]
    cut = _last_clause(before)
    last = " ".join(before[cut:])
    denied = "" if before[-1:] == [","] else last.replace("rather not", "not")  # 'I can't do that, Rom to Tyr': a comma ends what is denied
    negatives = len(NEGATIVE.findall(denied)) + (before[-1:] == ["no"] and (found.spec is None or found.asked))
    who = found.owner or subject(s, start + cut, found.start) or subject(s, start, found.start)
    after = [t.word for t in s.t[found.end : end]]
    negated = (negatives + found.negated) % 2 == 1
    return Force(
        who, " ".join(before), last, " ".join(after[: _first_clause(after)]), s.word(found.start), negated, s.word(len(s.t) - 1) == "?", s.word(found.end) == "?",
        " ".join(t.word for t in s.t[found.start : found.end]), bool(BARGAIN.search(" ".join(t.word for t in s.t))),
    )


def _first_clause(words: Sequence[str]) -> int:
    return next((i for i, w in enumerate(words) if w in CLAUSE), len(words))


def accepts(force: Force) -> bool:
    """Whether the words in front consent."""
    return bool(ACCEPT_FIRST.search(force.words) or ACCEPT.search(force.words))


def ongoing(verb: str) -> bool:
    """'moving', 'taking'; 'bring' and 'swing' only look so."""
    return verb.endswith("ing") and verb not in ("bring", "swing")
