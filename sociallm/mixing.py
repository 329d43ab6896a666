"""What one generation of a model is trained on: real text and the dialogues of earlier generations, in given shares.

A model that is trained again and again on what models said forgets the tails of what people say (Shumailov et al., Nature 2024); where dialogues
accumulate beside real text, the error stays bounded (Gerstgrasser et al. 2024, arXiv 2404.01413), and about 0.6 of the weight on real text is near the best
(arXiv 2502.18049). So a training of T tokens is put together exactly: dialogues up to a share of T, none of one agent's lineage beyond a cap,
and real text for the rest. Each piece is shown once; the share of real text is never below the one asked for while there is real text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sociallm import corpora
from sociallm.batches import Encoded, encode_conversation
from sociallm.conversation import Conversation
from sociallm.lanes import Sets
from sociallm.tokenizer import Tokenizer

PIECE, OWN_PIECE = 128, 64  # messages of a long conversation, and of a long dialogue, that are shown at a time


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """The sets of a training, and what they hold. `lineages`: tokens by who said them, among the dialogues."""

    sets: Sets
    real_tokens: int
    own_tokens: int
    lineages: Mapping[str, int]
    over_cap: int  # pieces of dialogues left out because an agent in them had its share

    @property
    def tokens(self) -> int:
        """In all."""
        return self.real_tokens + self.own_tokens

    def told(self) -> dict[str, float | int]:
        """For a record."""
        share = self.real_tokens / max(1, self.tokens)
        largest = max(self.lineages.values(), default=0) / max(1, self.tokens)
        return {"tokens": self.tokens, "real_share": round(share, 4), "own_tokens": self.own_tokens, "largest_lineage": round(largest, 4), "over_cap": self.over_cap}


def mixture(
    real: Mapping[str, Sequence[Conversation]], own: Sequence[Conversation], tokenizer: Tokenizer, tokens: int, real_share: float, cap: float, seed: Sequence[int]
) -> Mixture:
    """A training of so many tokens, or of fewer where there is less text. `real`: sets of `corpora.MIXTURE`; `seed`: of which pieces are taken.

    Raises ValueError in one line where nothing is left to train on.
    """
    rng_own, rng_real = (np.random.default_rng([*seed, k]) for k in (1, 2))
    chosen, lineages, over = _own([piece for one in own for piece in cut(one, OWN_PIECE)], tokenizer, tokens, real_share, cap, rng_own)
    own_tokens = sum(map(size, chosen))
    wanted = 0 if not real_share else max(tokens - own_tokens, round(own_tokens * real_share / (1 - real_share)) if real_share < 1 else tokens)
    human = _real(real, tokenizer, wanted, rng_real)
    if not chosen and not human:
        raise ValueError("nothing to train on: no dialogue fits into so many tokens and the cap, and there is no real text; give more dialogues, more tokens, or a larger cap")
    return Mixture(sets=[(human, 1.0), (chosen, 1.0)], real_tokens=sum(map(size, human)), own_tokens=own_tokens, lineages=lineages, over_cap=over)


def size(encoded: Encoded) -> int:
    """Tokens of a conversation, ends of messages among them."""
    return sum(len(words) + 1 for words in encoded.words)


def _own(
    own: Sequence[Conversation], tokenizer: Tokenizer, tokens: int, real_share: float, cap: float, rng: np.random.Generator
) -> tuple[list[Encoded], Counter[str], int]:
    """(dialogues in a random order up to their share, tokens by author, how many an author's cap left out)."""
    room, most = (1 - real_share) * tokens, cap * tokens if cap else float("inf")
    chosen: list[Encoded] = []
    lineages: Counter[str] = Counter()
    used = over = 0
    for i in rng.permutation(len(own)):
        encoded = encode_conversation(own[int(i)], tokenizer)
        if len(encoded.words) < 2 or used + size(encoded) > room:
            continue
        said: Counter[str] = Counter()
        for message, words in zip(own[int(i)].messages, encoded.words, strict=True):
            said[message.author] += len(words) + 1
        if any(lineages[author] + n > most for author, n in said.items()):
            over += 1
            continue
        chosen.append(encoded)
        lineages.update(said)
        used += size(encoded)
    return chosen, lineages, over


def _real(real: Mapping[str, Sequence[Conversation]], tokenizer: Tokenizer, wanted: int, rng: np.random.Generator) -> list[Encoded]:
    """Pieces of real text, drawn as often as the shipped model's mixture has them, until `wanted` tokens are there."""
    pieces = [(name, piece) for name in sorted(real) for conversation in real[name] for piece in cut(conversation)]
    if not pieces or wanted <= 0:
        return []
    weight = np.array([corpora.MIXTURE[name] for name, _ in pieces])
    order = np.argsort(-np.log(rng.random(len(pieces))) / weight)  # a random order in which heavier ones come earlier (Efraimidis & Spirakis 2006)
    chosen: list[Encoded] = []
    have = 0
    for i in order:
        if have >= wanted:
            break
        name, piece = pieces[int(i)]
        encoded = encode_conversation(piece, tokenizer, corpora.ROOM.get(name))
        if len(encoded.words) > 1:
            chosen.append(encoded)
            have += size(encoded)
    return chosen


def cut(conversation: Conversation, messages: int = PIECE) -> Iterator[Conversation]:
    """A conversation in pieces of at most so many messages."""
    for k in range(0, len(conversation.messages), messages):
        yield replace(conversation, id=f"{conversation.id}#{k}", messages=conversation.messages[k : k + messages])
