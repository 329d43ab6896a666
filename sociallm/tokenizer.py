"""Byte-level BPE for messages: one message → (ids, mask), a header of special tokens, the words, `<end>`.

    <gap b> <by s> <to s>… words… <end>
`<gap b>` says how long the channel was silent (log-binned, `<gap none>` for its first message), `<by s>` the author's slot,
`<to s>` for whom it is meant (`<to all>` for none or more than three). The mask is True where the model has to predict:
words and `<end>`. Vocabulary 4,096 in all; any UTF-8 text comes back exactly; no text can spell a special token.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as BPE
from tokenizers import decoders, models, pre_tokenizers, trainers

from sociallm.conversation import Conversation, clean
from sociallm.corpora import training

VOCABULARY = 4096
SLOTS = 16
GAP_BINS, FIRST_GAP, LAST_GAP = 24, 1_000, 7 * 24 * 3600 * 1_000  # ms: one second to one week
MOST_ADDRESSEES = 3
MOST_WORDS = 1024  # tokens of one message that are read; the rest of a longer one is cut
SPECIALS = ("<end>", "<pad>", *(f"<gap {b}>" for b in range(GAP_BINS)), "<gap none>", *(f"<by {s}>" for s in range(SLOTS)),
            *(f"<to {s}>" for s in range(SLOTS)), "<to all>")
END, PAD = 0, 1
_GAP, _NO_GAP = 2, 2 + GAP_BINS
_BY = _NO_GAP + 1
_TO = _BY + SLOTS
_TO_ALL = _TO + SLOTS
WEIGHTS = {"diplomacy_lies": 3, "cicero_games": 3}  # what the shipped model is mostly asked to say


def gap_bin(gap_ms: int) -> int:
    """The bin of a silence, 0 for a second or less to 23 for a week or more, equal steps of the logarithm between."""
    if gap_ms <= FIRST_GAP:
        return 0
    return min(GAP_BINS - 1, int((GAP_BINS - 1) * math.log(gap_ms / FIRST_GAP) / math.log(LAST_GAP / FIRST_GAP)))


class Tokenizer:
    """A trained byte-level BPE with the special tokens in front (ids 0 to len(SPECIALS) − 1). Immutable after construction."""

    END, PAD = END, PAD

    def __init__(self, bpe: BPE):
        """Raises ValueError for one that is not ours: its words could be special tokens, its ids beyond the vocabulary, a text lost."""
        if bpe.get_added_tokens_decoder() or [bpe.id_to_token(i) for i in range(len(SPECIALS))] != list(SPECIALS):
            raise ValueError(f"not a tokenizer of this project: its first {len(SPECIALS)} tokens must be {SPECIALS[0]} … {SPECIALS[-1]}, none of them added; train it again")
        vocabulary, merged = bpe.get_vocab(), ["".join(pair) for pair in json.loads(bpe.to_str())["model"]["merges"]]
        if sorted(vocabulary.values()) != list(range(len(vocabulary))):
            raise ValueError(f"its {len(vocabulary)} tokens have not the ids 0 to {len(vocabulary) - 1}, one each; train it again")
        if lost := sorted(set(pre_tokenizers.ByteLevel.alphabet()) - vocabulary.keys()):
            raise ValueError(f"it has no token for {lost[0]!r}, {len(lost)} of 256 bytes are missing; train it again")
        if spelt := sorted(set(SPECIALS).intersection(merged)):
            raise ValueError(f"a text can spell its special token {spelt[0]}; train it again")
        self._bpe = bpe

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary: int = VOCABULARY) -> Tokenizer:
        """Learn the merges from texts. The same texts in the same order give the same tokenizer."""
        bpe = _untrained()
        # The specials are ordinary entries of the vocabulary, not "added tokens": a text that spells one is split into bytes.
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        bpe.train_from_iterator(texts, trainers.BpeTrainer(
            vocab_size=vocabulary, special_tokens=list(SPECIALS), initial_alphabet=alphabet, show_progress=False))
        return cls(_without_added_tokens(bpe))

    @classmethod
    def load(cls, path: Path | str) -> Tokenizer:
        """Read a tokenizer.json. Raises ValueError in one line if it is missing or not ours."""
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise ValueError(f"{path}: cannot read the tokenizer ({error.strerror}); name a checkpoint folder that has tokenizer.json") from None
        return cls.from_json(content, path)

    @classmethod
    def from_json(cls, content: bytes, where: Path | str) -> Tokenizer:
        """The tokenizer of a tokenizer.json. Raises ValueError in one line, `where` in front, if it is not ours."""
        try:
            form = json.loads(content)
            _like_ours(form)
            bpe = BPE.from_str(json.dumps(form))
        except Exception as error:  # noqa: BLE001 - the library raises bare Exception for a malformed file
            raise ValueError(f"{where}: not a tokenizer file ({' '.join(str(error).split()):.120}); fetch the checkpoint again") from None
        try:
            return cls(bpe)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None

    def save(self, path: Path | str) -> None:
        """Write a tokenizer.json, creating its folder."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(self._bpe.to_str(pretty=False), encoding="utf-8")

    @property
    def vocabulary(self) -> int:
        """How many ids there are, specials included."""
        return self._bpe.get_vocab_size()

    def encode_text(self, text: str) -> list[int]:
        """The words alone; never a special token, whatever the text spells."""
        return self._bpe.encode(clean(text), add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; special tokens are skipped, invalid UTF-8 is replaced."""
        return self._bpe.decode([i for i in ids if i >= len(SPECIALS)], skip_special_tokens=False)

    def header(self, gap_ms: int | None, author_slot: int, audience_slots: Sequence[int] = ()) -> list[int]:
        """`<gap> <by> <to>…`: gap None for a channel's first message; no or more than three addressees are `<to all>`."""
        for slot in (author_slot, *audience_slots):
            if not 0 <= slot < SLOTS:
                raise ValueError(f"slot {slot} is out of range; slots go from 0 to {SLOTS - 1}, share the last ones beyond that")
        audience = sorted(set(audience_slots))
        to = [_TO + s for s in audience] if 0 < len(audience) <= MOST_ADDRESSEES else [_TO_ALL]
        return [_NO_GAP if gap_ms is None else _GAP + gap_bin(gap_ms), _BY + author_slot, *to]

    def message(self, text: str, *, gap_ms: int | None, author_slot: int, audience_slots: Sequence[int] = ()) -> tuple[list[int], list[bool]]:
        """(ids, mask) of a whole message: header, words, `<end>`; the mask is True for words and `<end>`."""
        head, words = self.header(gap_ms, author_slot, audience_slots), self.encode_text(text)
        return [*head, *words, END], [False] * len(head) + [True] * (len(words) + 1)


def _untrained() -> BPE:
    """Bytes to letters, letters to words, nothing learnt yet."""
    bpe = BPE(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    return bpe


def _like_ours(form: Any) -> None:
    """Raises ValueError where a file sets anything but what was learnt: normalisers that change a text, patterns that take for ever,
    merges dropped at random, options that make the library panic."""
    ours = json.loads(_untrained().to_str())
    for part, expected in ((form, ours), (form.get("model") if isinstance(form, dict) else None, ours["model"])):
        if not isinstance(part, dict):
            raise ValueError("no object with a model")
        for key, value in part.items():
            if key not in ("model", "vocab", "merges") and (key not in expected or value != expected[key]):
                raise ValueError(f"{key!r:.40} is {value!r:.60}, this project's have {expected.get(key)!r:.60}")


def _without_added_tokens(bpe: BPE) -> BPE:
    """The same tokenizer with the specials in the vocabulary only, so that encoding never looks for them in a text."""
    form = json.loads(bpe.to_str())
    form["added_tokens"] = []
    return BPE.from_str(json.dumps(form))


def training_texts(corpora: Mapping[str, Sequence[Conversation]]) -> Iterator[str]:
    """The texts the shipped tokenizer learns from: Diplomacy three times, IRC thinned to at most half of all characters."""
    texts = {name: [m.text for c in conversations for m in c.messages] for name, conversations in corpora.items()}
    others = sum(WEIGHTS.get(name, 1) * sum(map(len, t)) for name, t in texts.items() if name != "irc_disentanglement")
    for name, chosen in texts.items():
        if name == "irc_disentanglement":
            every = max(1, math.ceil(sum(map(len, chosen)) / max(1, others)))
            yield from chosen[::every]
        else:
            for _ in range(WEIGHTS.get(name, 1)):
                yield from chosen


def train_shipped(root: Path | str, path: Path | str) -> Tokenizer:
    """Train on the sets in `root` that may train the shipped model, held-out games excluded, and save to `path`."""
    tokenizer = Tokenizer.train(training_texts(training(root)))
    tokenizer.save(path)
    return tokenizer
