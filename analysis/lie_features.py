"""What a message shows without a model: its words and punctuation, and how its sender has talked to whom before it.

All is seen from the sender's chair: the messages that the sender wrote or read before this one, the supply centres (public) and the number of
messages in the game so far (the clock). No later message, no message between two others, and no label of any message enters; each message's
row is computed by itself, so leaving out later ones, or others' talk, changes no bit of it.

Word lists are this project's own, after what is known of deceivers' language: fewer or more pronouns, hedges, negations (Newman et al. 2003);
politeness, planning and talk of the future (Niculae et al. 2015, of betrayal in Diplomacy).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analysis.lie_files import Press

Floats = NDArray[np.float64]
LEXICON: Mapping[str, str] = {
    "hedge": r"maybe|perhaps|possibly|probably|might|could|would|guess|think|seems?|hope|hopefully|unsure|not sure|kind of|sort of|likely",
    "assure": r"definitely|absolutely|certainly|of course|sure|totally|completely|guarantee|promise|honest|honestly|truth|truthfully|trust|swear|frankly|"
              r"sincerely|really|fully|no worries|don't worry|rest assured|assure",
    "plan": r"i'll|i will|will|going to|gonna|plan|planning|intend|won't|i'm moving|i am moving",
    "i": r"i|i'm|i'll|i've|i'd|me|my|mine|myself",
    "you": r"you|your|yours|you're|you'll|you've|u",
    "we": r"we|us|our|ours|we're|we'll|let's",
    "not": r"no|not|never|don't|won't|can't|didn't|isn't|doesn't|wasn't|haven't|nothing|none",
    "sorry": r"sorry|apolog\w*|my bad|regret|mistake|oops",
    "polite": r"thanks?|thank you|appreciate|grateful|please|glad|great|awesome|love|nice|good luck|congrat\w*|cheers",
    "greet": r"hi|hello|hey|howdy|greetings|dear|morning|evening",
    "ally": r"ally|allies|alliance|allied|friends?|friendship|partner\w*|together|team|work with|peace|dmz|demilitari\w*|deal|agree\w*",
    "attack": r"attack\w*|stab\w*|betray\w*|war|invade|against|enem\w*|threat\w*|kill|destroy|take|taking|lie|lied|lying|liar|backstab\w*",
    "order": r"support\w*|convoy\w*|bounc\w*|hold\w*|mov\w*|retreat\w*|build\w*|order\w*",
    "when": r"next|later|soon|after|before|then|turn|season|year|spring|fall|winter|now|already|when|until|eventually|long[- ]term",
    "why": r"because|since|so that|therefore|thus|reason|if|but|however|though|although|unless|except",
    "claim": r"told|said|says|heard|tell|telling|talk\w*|spoke|offer\w*|ask\w*|inform\w*|news|word",
    "power": r"austria\w*|england|english|france|french|german\w*|ital\w*|russia\w*|turk\w*",
}  # fmt: skip
_LEXICON = {name: re.compile(rf"\b(?:{words})\b") for name, words in LEXICON.items()}
_MARKS = {
    "questions": re.compile(r"\?"), "exclamations": re.compile("!"), "dots": re.compile(r"\.\."), "lines": re.compile("\n"),
    "capitals": re.compile(r"\b[A-Z]{2,}\b"), "digits": re.compile(r"\d"), "sentences": re.compile(r"[.!?]+"),
    "faces": re.compile("[^\x00-\x7f\u2018\u2019\u201c\u201d\u2013\u2014\u2026]|[:;]-?[()DP]"),
}  # fmt: skip
MOST_CHARACTERS = 8192  # read of one message
FEW = 5  # words added to a length before a rate is taken of it
LONG_AGO, NEVER = 50, 7.0  # messages since one's last where there was none, and the log of that gap to a partner never met
AT_FIRST = 3  # supply centres

OF_WORDS = ("words", "characters", "letters a word", *_MARKS, *(f"{name} {what}" for name in LEXICON for what in ("count", "share")))
OF_POWER = ("score", "delta", "receiver's score", "score gained", "delta gained", "distance", "season", "log season", "fall", "winter")
OF_TALK = (
    "game", "game a season", "sent", "received", "sent less received", "sent a season", "to it", "from it", "to it less from it", "with it a season",
    "share to it", "partners", "usual length", "usual length to it", "its usual length", "length less usual", "length less usual to it",
    "since either", "first since", "in a row", "own before", "length before", "asked before", "first of season", "since own",
    "sent this season", "to it this season", "partners this season", "from it this season",
)  # fmt: skip
NAMES = (*OF_WORDS, *OF_POWER, *OF_TALK)


def features(messages: Sequence[Press]) -> Floats:
    """[messages, NAMES] of one game's messages in order."""
    tally = _Tally()
    rows = []
    for message in messages:
        said = wording(message.text)
        rows.append([*said, *tally.power(message), *tally.talk(message, said[0])])
        tally.take(message, said[0])
    return np.array(rows, dtype=float).reshape(len(rows), len(NAMES))


def wording(text: str) -> list[float]:
    """Of OF_WORDS: logs of counts, and shares of the words."""
    text = text[:MOST_CHARACTERS]
    low = text.lower().replace("\u2019", "'")
    words = len(text.split())
    found = [math.log1p(words), math.log1p(len(text)), len(text) / max(1, words)]
    found += [math.log1p(sum(1 for _ in mark.finditer(text))) for mark in _MARKS.values()]
    for pattern in _LEXICON.values():
        count = sum(1 for _ in pattern.finditer(low))
        found += [math.log1p(count), count / (words + FEW)]
    return found


@dataclass
class _Line:
    """What one power wrote to another so far, or to all. Changes as a game is read."""

    count: int = 0
    words: float = 0.0  # sum of logs

    @property
    def usual(self) -> float:
        return self.words / self.count if self.count else 0.0


@dataclass
class _Tally:
    """A game so far. What is asked of it for a message is about its sender's own messages. Changes as the game is read."""

    to: dict[tuple[str, str], _Line] = field(default_factory=dict)
    sent: dict[str, _Line] = field(default_factory=dict)
    received: dict[str, int] = field(default_factory=dict)
    season: dict[tuple[str, str, int], int] = field(default_factory=dict)  # messages of a season from one to another
    latest: dict[frozenset[str], tuple[Press, int, float]] = field(default_factory=dict)  # of two: the last message, how many in a row, its length
    last: dict[str, int] = field(default_factory=dict)  # number of the last message of each
    scores: dict[str, dict[int, int]] = field(default_factory=dict)
    deltas: dict[tuple[str, str], dict[int, int]] = field(default_factory=dict)

    def power(self, m: Press) -> list[float]:
        """Of OF_POWER: the score, and what it was in the latest earlier season in which the sender wrote."""
        was = _before(self.scores.get(m.sender, {}), m.season, AT_FIRST)
        apart = _before(self.deltas.get((m.sender, m.receiver), {}), m.season, 0)
        kind = m.season % 3
        return [m.score, m.delta, m.score - m.delta, m.score - was, m.delta - apart, abs(m.delta), m.season, math.log1p(m.season), kind == 1, kind == 2]

    def talk(self, m: Press, length: float) -> list[float]:
        """Of OF_TALK."""
        sent, to, back = self.sent.get(m.sender, _Line()), self.to.get((m.sender, m.receiver), _Line()), self.to.get((m.receiver, m.sender), _Line())
        received, seasons = self.received.get(m.sender, 0), m.season + 1
        before, row, before_length = self.latest.get(frozenset((m.sender, m.receiver)), (None, 0, 0.0))
        own = before is not None and before.sender == m.sender
        gap = NEVER if before is None else math.log1p(m.index - before.index)
        now = {other: self.season.get((m.sender, other, m.season), 0) for other in dict.fromkeys(o for s, o in self.to if s == m.sender)}
        return [
            math.log1p(m.index), math.log1p(m.index / seasons), math.log1p(sent.count), math.log1p(received), math.log((sent.count + 1) / (received + 1)),
            math.log1p(sent.count / seasons), math.log1p(to.count), math.log1p(back.count), math.log((to.count + 1) / (back.count + 1)),
            math.log1p((to.count + back.count) / seasons), (to.count + 1) / (sent.count + 7), len(now), sent.usual, to.usual, back.usual,
            length - sent.usual, length - to.usual, gap, before is None, row if own else 0, own, before_length,
            before is not None and not own and "?" in before.text, before is None or before.season != m.season,
            math.log1p(m.index - self.last[m.sender] if m.sender in self.last else LONG_AGO), math.log1p(sum(now.values())), math.log1p(now.get(m.receiver, 0)),
            sum(1 for count in now.values() if count), math.log1p(self.season.get((m.receiver, m.sender, m.season), 0)),
        ]  # fmt: skip

    def take(self, m: Press, length: float) -> None:
        """Read a message."""
        for line in (self.to.setdefault((m.sender, m.receiver), _Line()), self.sent.setdefault(m.sender, _Line())):
            line.count += 1
            line.words += length
        self.received[m.receiver] = self.received.get(m.receiver, 0) + 1
        key = (m.sender, m.receiver, m.season)
        self.season[key] = self.season.get(key, 0) + 1
        pair = frozenset((m.sender, m.receiver))
        before, row, _ = self.latest.get(pair, (None, 0, 0.0))
        self.latest[pair] = m, row + 1 if before is not None and before.sender == m.sender else 1, length
        self.last[m.sender] = m.index
        self.scores.setdefault(m.sender, {})[m.season] = m.score
        self.deltas.setdefault((m.sender, m.receiver), {})[m.season] = m.delta


def _before(values: Mapping[int, int], season: int, otherwise: int) -> int:
    """The value of the latest season before this one."""
    earlier = [s for s in values if s < season]
    return values[max(earlier)] if earlier else otherwise
