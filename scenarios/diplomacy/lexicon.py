"""Press text → tokens: which words are places, units, powers, the verbs of orders.

Abbreviations are those players use ('Gal', 'StP/NC', 'West Med'); any case will do. Common contractions and idioms are written out first
('won't' → 'will not', 'no problem' → 'sure', 'team up' → 'ally'), so that the patterns need to know one form of each.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from scenarios.diplomacy.map import COASTS, FULL_NAMES
from scenarios.diplomacy.press import powers_named

_NICKNAMES = """
ADR adriatic|AEG aegean|BAL baltic|BAR barents|BLA black,black sea|BOT bothnia,gob|EAS east med,eastern med,emed|ENG channel,ech
HEL heligoland,helgoland,heligoland bight|ION ionian|IRI irish|LYO lyon,gulf of lyons,gol|MAO mid atlantic,mid,mat
NAO north atlantic,nat|NTH nts|NWG norwegian,nrg|SKA skag,skaggerak|TYS tyrrhenian,tyn,tyrr|WES west med,western med,wmed
CON const|LVN liv|LVP lpl|RUM romania|STP st petersburg,st pete,petersburg,st p|TYR tyrol|BUL bulg
SER serb|BUD buda|GAL gali|MAR marseille,marse|HOL netherlands|BUR burg|SEV sevas|MUN muni|VEN venezia|NWY norw|SWE swed|TYR trl,tyl
WES wms|EAS ems|NWG nws|PIE pied|TUS tusc|GAS gasc|SMY smyr|STP petes,st petes|MAO mid atl|NAO north atl|BUL bulg
"""
_PLACES: dict[tuple[str, ...], str] = {}


def _name(words: str, code: str) -> None:
    _PLACES[tuple(re.findall(r"[a-z]+", words.lower()))] = code


for _code, _full in FULL_NAMES.items():
    _name(_full, _code)
    _name(_code, _code)
for _entry in re.split(r"[|\n]", _NICKNAMES.strip()):
    for _nick in _entry[4:].split(","):
        _name(_nick, _entry[:3])
_LONGEST = max(map(len, _PLACES))
_FIRST = {words[0] for words in _PLACES}

_SHORT_POWERS = {"aus": "AUSTRIA", "ger": "GERMANY", "fra": "FRANCE", "ita": "ITALY", "rus": "RUSSIA", "tur": "TURKEY"}
_POWERS = {**powers_named(), **_SHORT_POWERS}
_COAST_WORDS = {"nc": "NC", "sc": "SC", "ec": "EC", "wc": "WC", "north": "NC", "south": "SC", "east": "EC", "west": "WC"}


def _misspelt() -> dict[str, str]:
    """One letter left out of a long name → the name: two words a letter apart, or with two letters swapped, share such a rest."""
    names = [words[0] for words in _PLACES if len(words) == 1] + [*_POWERS, "support", "supporting", "convoy"]
    return {rest: name for name in names if len(name) > 5 for rest in _shortened(name)}


def _shortened(word: str) -> set[str]:
    return {word[:i] + word[i + 1 :] for i in range(1, len(word))}


_RESTS = _misspelt()
_LONG_NAMES = set(_RESTS.values())


def _spelt(word: str) -> str:
    """'burgandy' → 'burgundy', 'germnay' → 'germany': the long name a letter away from a word that is none, else the word."""
    if not 5 <= len(word) <= 14 or word in KIND or (word,) in _PLACES or word in _POWERS or word in _WORDS or word.endswith("ian"):
        return word
    if word in _RESTS:
        return _RESTS[word]
    return next((name for rest in sorted(_shortened(word)) if (name := rest if rest in _LONG_NAMES else _RESTS.get(rest, ""))), word)


_WORDS = set("channels serving turned turning grease service prince".split())  # words of the language that close to a name


def _kinds(table: Mapping[str, str]) -> dict[str, str]:
    return {word: kind for kind, words in table.items() for word in words.split()}


KIND = _kinds({
    "UNIT": "army armies fleet fleets navy navies ship ships boat boats unit units piece pieces troop troops force forces",
    "ME": "i me my mine myself", "YOU": "you your yours yourself", "WE": "we us our ours both ourselves neither",
    "TO": "to into onto > → towards toward", "AT": "in at on from of", "WITH": "with by",
    "SUP": "support supports supporting back backing", "HOLD": "hold holds holding", "CON": "convoy convoys convoying",
    "MOVE": "move moves moving order orders ordering send sends sending go goes going take takes taking attack attacks attacking enter "
            "enters entering bring brings bringing march marches marching sail sails sailing advance push pushing head heading retake "
            "cut cuts cutting retakes retaking invade invading tap taps tapping hit hits hitting cover covers covering occupy occupies occupying grab "
            "grabbing nab walk walking step drop set get gets getting come coming open opening aim aiming jump sneak "
            "sneaking slip slipping poke poking snap snag snagging swipe steal stealing scoop walk swing swinging slide sliding shift shifting "
            "rotate rotating return returning dive roll rolling nip squeeze dash capture capturing seize seizing secure securing reclaim "
            "reclaiming regain recapture fall falling pull pulling pop popping",
    "BOUNCE": "bounce bounces bouncing",
    "PUT": "put puts putting",
    "KEEP": "keep keeping stay staying stays leave leaving leaves make making remain remains keeps",
    "DMZ": "dmz dmzs dmzed dmzing demilitarised demilitarized demilitarise demilitarize demilitarizing demilitarising",
    "FREE": "empty neutral unoccupied vacant clear alone free",
    "ALLY": "ally allies allied alliance partnership",
    "DRAW": "draw draws drawing", "FOE": "against versus vs",
    "AUX": "will would should shall can could might may must is are am be been being do does planning also then just able afraid want "
           "wants try trying attempt attempting please which that",
    "NEG": "not never refuse refuses decline declining reject unable cannot nor",
    "PAST": "moved supported went attacked took held convoyed bounced asked told did was were had thanks thank helped entered",
})
_UNIT = {"army": "A", "armies": "A", "a": "A"} | dict.fromkeys("f fleet fleets navy navies ship ships boat boats".split(), "F")
CLAUSE = {",", ";", ":", "but", "so", "because", "and", "then", "or", "(", ")", "although", "though", "since"}
ENDS = {".", "!", "?", "\n"}
_NAMING = {"PLACE", "POWER", "UNIT", "SUP", "CON", "HOLD", "BOUNCE", "DMZ", "ALLY", "DRAW", "FOE"}
_OF_THE_BOARD = frozenset(  # words that begin to name a place or a deed, and of which the rest may be left out: "we both stay out of the North"
    "order orders ordered ordering move moves moved moving enter enters entered entering attack attacks attacked attacking invade invades invading march "
    "stay stays stayed staying outof empty together north northern south southern east eastern west western sea seas coast gulf team "
    "province provinces".split()
)
_NOTATION = re.compile(r"\b[A-Z]{2,}\b")
HELP = {"help", "helps", "helping"}


@dataclass(frozen=True)
class Token:
    """A word with what it is: UNIT, PLACE, POWER, ME, YOU, … or WORD; `value` is the code it stands for."""

    kind: str
    word: str
    value: str = ""

# Alliances that players call by a nickname, as the initials of their powers; "IR" and "AIR" are read as such themselves.
_PACTS = {"western triple": "efg", "wt": "efg", "central triple": "agi", "ct": "agi", "juggernaut": "rt", "jugger": "rt", "jugg": "rt", "jug": "rt", "wintergreen": "ir", "anschluss": "ag"}
_INITIALS = {power[0].lower(): power for power in _POWERS.values()}

_CAPITAL_WAR = re.compile(r"\b(?<=[a-z,] )War\b(?= (?:to|S|s|-|into|support|and|is|army)|[-.,;)!?>]|$)(?! with)|\b(?<=to )War\b")
_NEAR_WAR = re.compile(r"\b(gal|ukr|mos|lvn|pru|sil|galicia|ukraine|moscow|livonia|prussia|silesia) (to|into) war\b")

_SHORT_FORMS = [(re.compile(pattern), by) for pattern, by in (
    (r"[\u2018\u2019\u02bc`\u00b4]", "'"), (r"[\u2010-\u2015\u2212]", "-"), (r"\bcan'?t\b|\bcannot\b", "can not"),
    (r"\bwon'?t\b", "will not"), (r"\bshan't\b", "shall not"), (r"n't\b", " not"),
    (r"\b(do|does|did|is|are|was|were|would|could|should|have|has)nt\b", r"\1 not"), (r"'ll\b", " will"), (r"\bill\b(?= )", "i will"),
    (r"\b(you|they)ll\b", r"\1 will"), (r"\b(you|they)re\b", r"\1 are"), (r"\bid\b(?= )", "i would"), (r"'m\b", " am"),
    (r"\bim\b", "i am"), (r"'re\b", " are"), (r"'ve\b", " have"), (r"'d\b", " would"),
    (r"\blet'?s\b", "let us"), (r"\bgonna\b", "going to"), (r"\bwanna\b", "want to"), (r"\bw/o\b", "without"), (r"\bw/", "with "),
    (r"\bhow bout\b", "how about"), (r"\btoo (?=[a-z]{3,}\b)(?!much|many|far|late|early|big|good|bad|long|hard)", "too "), (r"\b(to|in|will|should)(?: \1\b)+", r"\1"), (r"\bpl[sz]\b", "please"), (r"\bu\b", "you"),
    (r"\bur\b", "your"), (r"\b(it|that|what|here|there|who)'s\b", r"\1 is"), (r"'s?\b|'", " 's "), (r"\bst\.\s?p", "st p"),
    (r"\bst\s?pete\b", "st pete"), (r"~n~", " . "), (r"(?<=\d)\.(?=\d)", " "), (r"-+>", "-"), (r"\bd\.m\.z\.?", "dmz"),
    (r"demilitari[sz]ed zone", "dmz"), (r"\bno doubt\b|\bno worries\b", " "),
    (_NEAR_WAR.pattern, r"\1 \2 warsaw"), (r"\b(cover|take|tap|hit|from|into|in) war with\b", r"\1 warsaw with"),
    (r"\b(?:withdraw(?:ing)?|pull(?:ing)? (?:out|back)|back(?:ing)? (?:out|off)) from\b", "keep outof"),
    (r"\b(to|into|in|for) (?:the )?english\b(?! (?:channel|home|centers?|army|fleets?|units?|player|to)\b)", r"\1 channel"),
    (r"\bno way\b(?= i\b)|\bno (?:intentions?|plans?|desire|interest) (?:of|to|in|on)\b", "not"), (r"\b(i|we|you|they) gotta\b", r"\1 have to"),
    (r"\bgotta\b", "i have to"),
    (r"\bsup(?= (?:me|my|your|hold|holding)\b)|(?<=to )sup\b|(?<=you )sup\b|\bsupp\b", "support"), (r"\bcalling\b(?= (?:it )?a draw)", "call"),
    (r"\bback(?:ing)? (?:off|out|away)(?: of| from)?\b", "keep outof"),
    (r"\bheads up\b", "fyi"),
    (r"\bdo not (?:worry|forget|mind|hesitate|get me wrong)\b", " "), (r"\bwhy (?:can|could|do|should) (?:not (we|you)|(we|you) not)\b", r"how about \1\2"), (r"\bwhy not\b", "how about"),
    (r"\bnot (?:only|just)\b", " "), (r"\b(can|could|would|will) not you\b", r"\1 you"),
    (r"\b(can|could|would|will|do) you not\b", r"\1 you"), (r"\bno (?:problem|prob)\b", "sure"), (r"\bwithout (?:doubt|fail)\b", " "),
    (r"\bif not\b", " "), (r"\b(?:that|this)(?: is|s) why\b", "so"), (r"\bunited? (?=against\b)", "ally "),
    (r"\bi was thinking (?:of|about)\b", "i am thinking of"), (r"\bshould of\b", "should have"),
    (r"\b(?:stay|remain|be|become) (?:allied|allies)\b", "ally"), (r"\bteam(?:ing)? up\b|\b(?:join|joining|combine) forces\b|\b(?:work|working|fight|fighting|band) together\b", "ally"),
    (r"\bgeneral draw\b|\b\w+[- ]way draw\b", "draw"), (r"\b(?:would|do|will) not mind\b", "would like"),
    (r"\bif you (?:went|moved)\b", "if you go"), (r"\bif you (?:took|entered)\b", "if you take"),
    (r"\bif you (support|attack|convoy|bounce)(?:e?d)\b", r"if you \1"),
    (r"\bstay(?:ing)? (?:in place|put|where (?:it|you|i) (?:is|are|am))\b|\bwhere it is\b|\bin place\b", "hold"),
    (r"\bout of\b|\bclear of\b|\boff of\b|\baway from\b", "outof"), (r"\bkeep(?:ing)? off\b|\bavoid(?:ing)?\b", "keep outof"),
    (r"\bback(?:ing)?\b(?! (?:me|you|my|your|up)\b)", " "),
    (r"\b(?:the|a|an|that|this|your|his|her|their|first|next|nice|bad) (?:fleet |army |surprise )?(?:move|attack|push)\b(?= (?:back |over )?(?:to|on|into|against|in)\b)", "deed"),
    (r"\bsupport[ -]hold(?:ing)? (me|you)\b", r"holding \1"), (r"\bsupport[ -]hold(?:ing)?\b", "support"), (r"\bsupport-move\b", "support"),
)]
_WAR = re.compile(r"\b(?:at|of|declar\w+|go(?:ing|es)? to|the|this|to) war\b(?! ?[-/])|"
                  r"(?<! s )\ba war\b(?! ?(?:-|to |h\b|s\b|hold|support))|\bwar (?=with|on |against|between)")


_BY_INITIALS = re.compile(r"\b(?!(?:ARE|IF|GET|AGE|ATE|ART|EAT|FAR|FAT|FIT|TIE|TEA|RAT)\b)(?=[AEFGIRT]{2,3}\b)(?:([AEFGIRT])(?!\w?\1))+\b")
_BY_NICKNAME = re.compile(r"\b(?:" + "|".join(_PACTS) + r")\b")
_PACT = "pactof"  # written in front of the initials


def _named_pacts(text: str) -> str:
    """'Want to AIR?' → 'want to pactofair?': pacts named by initials, while capitals still say something."""
    text = _CAPITAL_WAR.sub("Warsaw", text)
    spoken = _BY_INITIALS.sub(lambda m: m[0] if m[0].lower() in _FIRST else f" {_PACT}{m[0].lower()} ", text) if re.search("[a-z]", text) else text
    return _BY_NICKNAME.sub(lambda m: f" {_PACT}{_PACTS[m[0]]} ", spoken.lower())


def partners(letters: str) -> tuple[str, ...]:
    """'air' → the three powers of those initials."""
    return tuple(_INITIALS[c] for c in letters if c in _INITIALS)


def tokens(text: str) -> list[Token]:
    """The words of a text as tokens; places, coasts and powers found; articles dropped."""
    plain = _named_pacts(unicodedata.normalize("NFKC", text))
    for pattern, by in _SHORT_FORMS:
        plain = pattern.sub(by, plain)
    words = re.findall(r"[a-z]+|'s|[-./(),;:!?>\n→]", _WAR.sub(" battle ", plain))
    words = ["to" if w == "too" and after in _FIRST else w for w, after in zip(words, [*words, ""][1:], strict=True)]
    words = [_spelt(w) for w in words if w not in ("the", "own")]
    found: list[Token] = []
    i = 0
    while i < len(words):
        token, i = _token(words, i)
        found.append(token)
    return _letters(found)


@lru_cache(maxsize=8192)  # every policy of every run asks of all tokens
def idle(text: str) -> bool:
    """Whether words say nothing of the game: no name of it, no deed by name; nor capitals that look like an order's notation."""
    return not _NOTATION.search(text) and all(token.kind not in _NAMING and token.word not in _OF_THE_BOARD for token in tokens(text))


@lru_cache(maxsize=8192)
def denies(text: str) -> bool:
    """Whether words deny something, whatever it is."""
    return any(token.kind == "NEG" for token in tokens(text))


def _token(words: Sequence[str], i: int) -> tuple[Token, int]:
    word = words[i]
    if word in ("north", "south", "east", "west") and words[i + 1 : i + 3] == ["coast", "of"]:
        code, j = _place(words, i + 3)
        coast = f"{code}/{_COAST_WORDS[word]}"
        return (Token("PLACE", coast.lower(), coast), j) if coast in COASTS.get(code, ()) else (Token("WORD", word), i + 1)
    code, j = _place(words, i)
    if code:
        return _coasted(words, code, j)
    if word in _POWERS:
        return Token("POWER", word, _POWERS[word]), i + 1
    if word.startswith(_PACT):
        return Token("ALLY", "alliance", word.removeprefix(_PACT)), i + 1
    return Token(KIND.get(word, "WORD"), word, _UNIT.get(word, "?") if KIND.get(word) == "UNIT" else ""), i + 1


def _place(words: Sequence[str], i: int) -> tuple[str, int]:
    """(code, the word after) of the longest place name at i, hyphens left aside; ('', i) if there is none."""
    if i >= len(words) or words[i] not in _FIRST:
        return "", i
    for n in range(_LONGEST, 0, -1):
        spoken = [w for w in words[i : i + n + 1] if w != "-"][:n] if n > 1 else [words[i]]
        code = _PLACES.get(tuple(spoken))
        if code:
            return code, i + n + (1 if n > 1 and "-" in words[i : i + n] else 0)
    return "", i


def _coasted(words: Sequence[str], code: str, j: int) -> tuple[Token, int]:
    rest = list(words[j : j + 4])
    opened = bool(rest) and rest[0] in ("/", "(")
    after = rest[1:] if opened else rest
    coast = f"{code}/{_COAST_WORDS.get(after[0], '?')}" if after else ""
    if coast in COASTS.get(code, ()) and (len(after[0]) == 2 or after[1:2] == ["coast"]):
        used = 1 + (after[1:2] == ["coast"])
        closed = opened and rest[0] == "(" and after[used : used + 1] == [")"]
        return Token("PLACE", coast.lower(), coast), j + opened + used + closed
    return Token("PLACE", code.lower(), code), j


def _letters(found: list[Token]) -> list[Token]:
    """Single letters by their neighbours: 'a' and 'f' before a place that is ordered, 's', 'h', 'c' and '-' after one."""
    out = list(found)
    for i, token in enumerate(found):
        before, after, later = (found[k] if 0 <= k < len(found) else Token("END", "") for k in (i - 1, i + 1, i + 2))
        if token.word in ("a", "f") and after.kind == "PLACE":
            ordered = later.word in ("-", "h", "s", "c") or later.kind in ("TO", "HOLD", "SUP", "CON")
            closing = before.kind in ("SUP", "CON", "MOVE", "WITH", "HOLD") or before.word in ("s", "c", ":") or i == 0
            ended = later.word in ("", ".", "!", "?", ",", ";", "\n", ")", "and", "with", "if", "please")
            if token.word == "f" or ordered or (closing and ended):
                out[i] = Token("UNIT", token.word, _UNIT[token.word])
        elif before.kind == "PLACE" and token.word in ("s", "h", "c"):
            if token.word == "h" or after.word in ("a", "f") or after.kind in ("UNIT", "PLACE"):
                out[i] = Token({"h": "HOLD", "c": "CON", "s": "SUP"}[token.word], token.word)
        elif token.word == "-" and before.kind == "PLACE" and after.kind == "PLACE":
            out[i] = Token("TO", "-")
    return out
