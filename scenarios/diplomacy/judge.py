"""A second reader of press: does a message mean the act it was logged with?

It shares no rules and no texts with the extractor and the grammar. Each sentence is put three questions (with what force, about what, who
is to do it), each answered by a linear classifier over word n-grams, fitted to `paraphrases.tsv`, sentences written by hand, and to
`judge_texts`, lead-ins and deeds put together by chance; a gazetteer of provinces and powers then compares what the sentence names with
what the act names. The classifiers are regularised least squares, one answer against all others (Rifkin & Klautau 2004): closed form, and
so are the leave-one-out scores on which their confidence is calibrated (a temperature each, Guo et al. 2017). A message means its act if one sentence says it and no other commits anybody to something else.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from scenarios.diplomacy.judge_texts import RECIPES, composed
from scenarios.diplomacy.map import FULL_NAMES, POWERS
from sociallm.conversation import AgentID

PARAPHRASES = Path(__file__).with_name("paraphrases.tsv")
MAX_SENTENCES, MAX_WORDS = 24, 120  # of a message, and of a sentence: what is judged of it
RIDGE = 0.5
COMPOSED = 40  # sentences put together for each class
NOTHING = "nothing"

# ---- gazetteer: places and powers by name --------------------------------------------------------------------------

_NICK = {
    "channel": "ENG", "mid atlantic": "MAO", "atlantic": "MAO", "north atlantic": "NAO", "st petersburg": "STP", "petersburg": "STP",
    "adriatic": "ADR", "aegean": "AEG", "baltic": "BAL", "barents": "BAR", "bothnia": "BOT", "ionian": "ION", "tyrrhenian": "TYS",
    "norwegian": "NWG", "heligoland": "HEL", "irish": "IRI", "gulf of lyons": "LYO", "lyon": "LYO", "tyrol": "TYR", "romania": "RUM",
    "skag": "SKA", "west med": "WES", "east med": "EAS", "western med": "WES", "eastern med": "EAS", "serb": "SER", "bulg": "BUL",
}  # fmt: skip
_PLACES: dict[tuple[str, ...], str] = {tuple(n.split()): c for n, c in _NICK.items()}
for _code, _name in FULL_NAMES.items():
    _PLACES[tuple(re.findall("[a-z]+", _name.lower()))] = _code
    _PLACES[(_code.lower(),)] = _code
_WORDY = {"war", "bar", "gas", "spa", "con", "pic", "den", "hol", "mar", "par", "por", "arm", "sin", "swe", "bud", "rum", "pie", "ruh"}
_POWER_WORDS = {p.lower(): p for p in POWERS} | {
    "austrian": "AUSTRIA", "english": "ENGLAND", "french": "FRANCE", "german": "GERMANY", "italian": "ITALY", "russian": "RUSSIA", "turkish": "TURKEY",
}  # fmt: skip
_UNIT_WORDS = {"army": "A", "armies": "A", "fleet": "F", "fleets": "F"}
_LETTERS = {"s": "support", "h": "hold", "c": "convoy"}


@dataclass(frozen=True)
class Sentence:
    """A sentence as the classifier and the slot check see it."""

    words: tuple[str, ...]  # names taken out: PLACE, POWER
    places: tuple[str, ...]  # codes in the order named, the one a unit is used from first
    powers: frozenset[AgentID]
    units: frozenset[str]  # A, F


def sentences(text: str) -> list[Sentence]:
    """The sentences of a message; a word or two alone ("Sure.") goes with the next one."""
    plain = unicodedata.normalize("NFKC", text).replace("\u2019", "'")
    plain = re.sub(r"\b[Ss](?:t|aint)\.? (?=[Pp])", "st ", plain)
    parts = [p for p in re.findall(r"[^.!?\n;]+[.!?\n;]*", plain) if re.search("[A-Za-z]", p)]
    found: list[Sentence] = []
    ahead = ""
    for part in parts:
        part, ahead = ahead + part, ""
        if len(part.split()) <= 2 and "?" not in part:
            ahead = part.rstrip(" .!\n;") + ", "
            continue
        found.append(_sentence(part))
        if len(found) == MAX_SENTENCES:
            return found
    return [*found, _sentence(ahead)] if ahead else found


def _sentence(text: str) -> Sentence:
    bare = re.sub(r"/[NnSsEeWw][Cc]\b| ?\((?:north|south|east|west) coast\)", "", text.replace("'", ""))
    raw = re.findall(r"[A-Za-z]+|[?,:>()/-]", bare)[:MAX_WORDS]
    words: list[str] = []
    places: list[tuple[bool, str]] = []
    powers, units = set(), set()
    i = 0
    while i < len(raw):
        code, used = _place(raw, i)
        word = raw[i].lower()
        if code:
            behind = [w for w in words[-6:] if w not in ("my", "your", "the", "a", "in", "unit", "army", "fleet", "UNIT")]
            places.append((bool(behind) and behind[-1] in ("with", "using", "use", "from"), code))
            if words[-1:] == ["a"] or words[-1:] == ["f"]:
                units.add(words.pop().upper())
            words.append("PLACE")
        elif word in _POWER_WORDS:
            powers.add(_POWER_WORDS[word])
            words.append("POWER")
        elif words[-1:] == ["PLACE"] and word in _LETTERS and raw[i].isalpha():
            words.append(_LETTERS[word])
        elif words[-1:] == ["PLACE"] and word in ("-", ">"):
            words.append("to")
        else:
            if word in _UNIT_WORDS:
                units.add(_UNIT_WORDS[word])
            words.append("UNIT" if word in _UNIT_WORDS else word)
        i += used
    ordered = [c for used, c in places if used] + [c for used, c in places if not used]
    return Sentence(tuple(words), tuple(ordered), frozenset(powers), frozenset(units))


def _place(raw: Sequence[str], i: int) -> tuple[str, int]:
    for n in (4, 3, 2, 1):
        words = [w.lower() for w in raw[i : i + n + 1] if w != "-"][:n] if n > 1 else [raw[i].lower()]
        code = _PLACES.get(tuple(words))
        if code and not (n == 1 and words[0] in _WORDY and raw[i].islower() and raw[i - 1].lower() not in ("to", "into", "in", "-", "from") and raw[i + 1 : i + 2] != ["-"]):
            return code, n + ("-" in raw[i : i + n] and n > 1)
    return "", 1


# ---- classifier ------------------------------------------------------------------------------------------------------


def _features(sentence: Sentence) -> Counter[str]:
    words = ("^", *sentence.words, "$")
    grams = Counter({" ".join(words[i : i + n]) for n in (1, 2, 3) for i in range(len(words) - n + 1)})
    grams[f"places {min(3, len(sentence.places))}"] = 1
    return grams


@dataclass(frozen=True)
class Head:
    """One question to a sentence: scores x · weights, probabilities softmax(scores / temperature)."""

    answers: tuple[str, ...]
    weights: np.ndarray  # [gram, answer]
    temperature: float

    def probabilities(self, x: np.ndarray) -> dict[str, float]:
        """Of each answer; they sum to 1."""
        scores = x @ self.weights / self.temperature
        spread = np.exp(scores - scores.max())
        return dict(zip(self.answers, (spread / spread.sum()).tolist(), strict=True))


@dataclass(frozen=True)
class Judge:
    """Three heads over the same n-grams: with what force, about what, and who is to do it."""

    index: Mapping[str, int]
    idf: np.ndarray  # [gram]
    heads: tuple[Head, Head, Head]

    def probabilities(self, sentence: Sentence) -> dict[str, float]:
        """Of each class of act: the product of its three answers', over the classes that there are; they sum to 1."""
        x = _vector(_features(sentence), self.index, self.idf)
        force, about, doer = (head.probabilities(x) for head in self.heads)
        chances = {c: force[f] * about[a] * doer[d] for c, (f, a, d) in _ANSWERS.items()}
        whole = sum(chances.values())
        return {c: p / whole for c, p in chances.items()}


def _answers(kind: str) -> tuple[str, str, str]:
    if kind == NOTHING:
        return NOTHING, NOTHING, NOTHING
    force, about, *who = kind.split()
    return force, about, who[0] if who else "you" if force == "ask" or kind == "propose order" else "both" if about in ("alliance", "draw") else "I"


_ANSWERS = {kind: _answers(kind) for kind in (*RECIPES, NOTHING)}


def _vector(grams: Iterable[str], index: Mapping[str, int], idf: np.ndarray) -> np.ndarray:
    x = np.zeros(len(index))
    for gram in grams:
        if gram in index:
            x[index[gram]] = idf[index[gram]]
    return x / max(1e-9, float(np.linalg.norm(x)))


def paraphrases(path: Path = PARAPHRASES) -> list[tuple[str, Sentence]]:
    """(class, sentence) of each line 'class TAB text'."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        kind, tab, text = line.partition("\t")
        if not tab or not text or kind not in _ANSWERS:
            raise ValueError(f"{path}:{number}: expected 'class TAB sentence', got {line!r:.60}; the classes are {', '.join(sorted(_ANSWERS))}")
        rows.append((kind, _sentence(text)))
    return rows


def fit(hand: Sequence[tuple[str, Sentence]], made: Sequence[tuple[str, Sentence]]) -> tuple[Judge, list[str]]:
    """(judge, class of each of `hand` by the judge that all other rows would have made; the vocabulary is that of all). Calibrated on `hand`, left out one by one."""
    rows = [*hand, *made]
    grams = [_features(sentence) for _, sentence in rows]
    counts = Counter(g for row in grams for g in row)
    index = {g: i for i, g in enumerate(sorted(g for g, n in counts.items() if n > 1))}
    idf = np.array([np.log(1 + len(rows) / counts[g]) for g in index])
    X = np.stack([_vector(row, index, idf) for row in grams]).astype(np.float32)
    # how little a row has to be met: what was written by hand counts for more than what was put together by chance
    penalty = RIDGE * np.array([0.5 if i < len(hand) else 1.0 for i in range(len(rows))], dtype=np.float32)
    answers_of = [tuple(sorted({_ANSWERS[kind][part] for kind, _ in rows})) for part in range(3)]
    targets = [_targets([_ANSWERS[kind][part] for kind, _ in rows], answers_of[part]) for part in range(3)]
    solved, scored = ridge(X, np.concatenate(targets, axis=1), penalty)
    heads, left_out, at = [], [], 0
    for part in range(3):
        answers, here = answers_of[part], slice(at, at + len(answers_of[part]))
        scores, at = scored[: len(hand), here], here.stop
        truth = np.array([answers.index(_ANSWERS[kind][part]) for kind, _ in hand])
        temperature = min(np.geomspace(0.02, 2, 60), key=lambda t, s=scores, y=truth: _loss(s, y, t))  # type: ignore[misc]
        heads.append(Head(answers, solved[:, here], float(temperature)))
        left_out.append(_softmax(scores, float(temperature)))
    best = [
        max(_ANSWERS, key=lambda c: sum(float(np.log(left_out[k][i, heads[k].answers.index(_ANSWERS[c][k])])) for k in range(3)))  # noqa: B023
        for i in range(len(hand))
    ]
    return Judge(index, idf, (heads[0], heads[1], heads[2])), best


def ridge(X: np.ndarray, Y: np.ndarray, penalty: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(weights W, scores of each row by the weights fitted without it) of min Σ_i |x_i W − y_i|²/penalty_i + |W|², in its dual form."""
    inverse = np.linalg.inv(X @ X.T + np.diag(penalty))
    dual = inverse @ Y
    return X.T @ dual, Y - dual / np.diag(inverse)[:, None]


def _targets(given: Sequence[str], answers: Sequence[str]) -> np.ndarray:
    return np.array([[1.0 if g == a else -1 / len(answers) for a in answers] for g in given], dtype=np.float32)


def _softmax(scores: np.ndarray, temperature: float) -> np.ndarray:
    spread = np.exp((scores - scores.max(axis=1, keepdims=True)) / temperature)
    return spread / spread.sum(axis=1, keepdims=True)


def _loss(scores: np.ndarray, truth: np.ndarray, temperature: float) -> float:
    return float(-np.log(_softmax(scores, temperature)[np.arange(len(scores)), truth]).mean())


def lessons() -> tuple[list[tuple[str, Sentence]], list[tuple[str, Sentence]]]:
    """What the judge learns: (sentences written by hand, sentences put together by chance)."""
    return paraphrases(), [(kind, _sentence(text)) for kind, text in composed(COMPOSED, np.random.default_rng(1))]


@cache
def fitted() -> Judge:
    """The shipped judge; fitted once, in a second or two."""
    return fit(*lessons())[0]


# ---- verdict ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """`said`: some sentence says the act; `more`: some other sentence commits to something else. `probability` of the best sentence's class."""

    said: bool
    more: bool
    probability: float

    @property
    def means(self) -> bool:
        """Whether the message means just its act."""
        return self.said and not self.more


def judge(text: str, act: Mapping[str, Any], author: AgentID, readers: frozenset[AgentID], by: Judge | None = None) -> Verdict:
    """Whether a text means an act of the negotiator's vocabulary."""
    by, wanted = by or fitted(), class_of(act, author, readers)
    best, said, extra = 0.0, False, False
    for sentence in sentences(text):
        chances = by.probabilities(sentence)
        ranked = sorted(chances, key=lambda c: -chances[c])
        if _names(sentence, act["about"], author, readers) and wanted in ranked[:2] and chances[wanted] >= 0.5 * chances[ranked[0]]:
            said, best = True, max(best, chances[wanted])
        elif chances[ranked[0]] >= 0.5 and _commits(ranked[0], sentence):
            extra = True
    return Verdict(said, extra, best)


def class_of(act: Mapping[str, Any], author: AgentID, readers: frozenset[AgentID]) -> str:
    """The classifier's name of an act: 'propose order', 'inform support other', 'accept dmz we', 'refuse draw' …"""
    kind, about = act["act"], act["about"]
    name = f"{kind} {about['kind']}"
    if about["kind"] in ("order", "support"):
        return f"{name} other" if about["power"] not in readers | {author} else name
    if about["kind"] == "dmz" and kind != "promise":
        who = "we" if len(about["powers"]) > 1 else "I" if about["powers"] == [author] else "you"
        return f"{name} {who}"
    return name


def _commits(kind: str, sentence: Sentence) -> bool:
    about = kind.split()[1] if " " in kind else ""
    if about in ("order", "support", "dmz"):
        return bool(sentence.places)
    return about in ("alliance", "draw") and bool({"draw", "drawing", "POWER", "alliance", "allies", "ally", "together"} & set(sentence.words))


def _names(sentence: Sentence, about: Mapping[str, Any], author: AgentID, readers: frozenset[AgentID]) -> bool:
    """Whether the sentence names what the act names, and no other power, place or kind of unit."""
    third = ({about[k] for k in ("power", "against") if k in about} | set(about.get("powers", ()))) - readers - {author}
    if third - sentence.powers or sentence.powers - third - readers - {author}:
        return False
    if about["kind"] == "dmz":
        return set(sentence.places) == set(about["provinces"])
    if about["kind"] in ("order", "support"):
        parts = about["order"].split()
        places = [w[:3] for w in parts if len(w) >= 3 and w != "VIA"]
        kinds = {w for w in parts if w in ("A", "F")}
        return list(sentence.places) == places and sentence.units <= (kinds or {"A", "F"})
    return not sentence.places
