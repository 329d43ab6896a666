"""What became of a model's language: how well it foretells people, rare words above all, and how varied what it says in their places is.

The same conversations, places and random numbers for every model, so that two of them differ by nothing else. No conversation is one that the project
trains on (`sociallm.corpora.VALIDATION`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from analysis.diversity import distinct, persona_entropy, self_bleu
from analysis.metrics import AnalysisError
from sociallm import corpora
from sociallm.batches import encode_conversation
from sociallm.checkpoint import Checkpoint
from sociallm.conversation import Conversation, Message
from sociallm.encode import dynamics_of, encode, header_of, new_local, slots_of
from sociallm.generate import Prompt, sample
from sociallm.mixing import cut
from sociallm.rarity import rare, token_nats
from sociallm.states import LocalState, SocialState, mixture
from sociallm.streams import READ, WROTE, interlocutors

PIECE = 96  # messages of a conversation that is read
BEFORE = 8  # messages that a model has read where it goes on
MOST_NEW = 32  # tokens of what it says


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is read and said."""

    messages: int = 600  # of each set that are read, about
    personas: int = 8
    places: int = 12  # of each persona
    each: int = 4  # times that something is said in a place


@dataclass(frozen=True)
class Place:
    """Where a model goes on: what was said before, and the message that a person wrote there."""

    persona: str
    before: tuple[Message, ...]
    message: Message
    agents: tuple[str, ...]


@dataclass(frozen=True)
class Human:
    """People's conversations: pieces that are read, places in which a model speaks, what those who spoke there said elsewhere."""

    pieces: Mapping[str, Sequence[Conversation]]
    places: Sequence[Place]
    said: Mapping[str, Sequence[str]]


def human(root: Path | str, sizes: Sizes = Sizes()) -> Human:
    """What every model is held against. Raises `AnalysisError`."""
    try:
        sets = {name: corpora.load(name, root) for name in corpora.VALIDATION}
    except ValueError as error:
        raise AnalysisError(f"{error}; name the folder of the sets with --data") from None
    rng = np.random.default_rng(0)
    pieces: dict[str, list[Conversation]] = {}
    for name, conversations in sets.items():
        parts = [part for c in conversations for part in cut(c, PIECE) if len(part.messages) > 1]
        mixed = [parts[int(i)] for i in rng.permutation(len(parts))]
        before = np.cumsum([0, *(len(part.messages) for part in mixed)])
        pieces[name] = [part for part, n in zip(mixed, before) if n < sizes.messages]
    spoken: dict[str, list[tuple[Conversation, int]]] = defaultdict(list)
    for name, conversations in sets.items():
        for c in conversations:
            for k in range(BEFORE, len(c.messages)):
                m = c.messages[k]
                spoken[f"{name}/{c.id if name.startswith('diplomacy') else ''}/{m.author}"].append((c, k))
    top = sorted(spoken, key=lambda who: (-len(spoken[who]), who))[: sizes.personas]
    places, said = [], {}
    for who in top:
        order = rng.permutation(len(spoken[who]))
        places += [_place(who, *spoken[who][int(i)]) for i in order[: sizes.places]]
        said[who] = [c.messages[k].text for c, k in (spoken[who][int(i)] for i in order[sizes.places : sizes.places + 400])]
    return Human(pieces, places, said)


def _place(persona: str, c: Conversation, k: int) -> Place:
    before = c.messages[k - BEFORE : k]
    return Place(persona, before, c.messages[k], tuple(sorted({m.author for m in (*before, c.messages[k])})))


# ---- foretelling people --------------------------------------------------------------------------------------------------


def foretold(checkpoint: Checkpoint, people: Human) -> dict[str, float]:
    """`human_bits`: bits per byte, mean over the sets; `rare_nats`: per token, over the tenth of the tokens whose kinds are rarest here."""
    bits, nats, kinds = [], [], []
    for name, conversations in people.pieces.items():
        total, size = 0.0, 0
        for c in conversations:
            for cost, kind, held in token_nats(checkpoint.model, encode_conversation(c, checkpoint.tokenizer, corpora.ROOM.get(name)), checkpoint.tokenizer):
                total, size = total + float(cost.sum()), size + held
                nats.append(cost)
                kinds.append(kind)
        bits.append(total / size / math.log(2))
    return {"human_bits": float(np.mean(bits)), "rare_nats": rare(np.concatenate(nats), np.concatenate(kinds))}


# ---- speaking in their places --------------------------------------------------------------------------------------------


def said_by(checkpoint: Checkpoint, people: Human, sizes: Sizes = Sizes()) -> list[str]:
    """What a model says in each place, some times, its temperature 1."""
    prompts = [prompt for place in people.places for prompt in [prompt_of(checkpoint, place)] * sizes.each]
    if not prompts:
        return []
    found = sample(checkpoint, prompts, np.random.default_rng(0), temperature=1.0, top_p=1.0, most_tokens=MOST_NEW, fast=True)
    return [c.text.strip() for c in found if c.text.strip()]


def prompt_of(checkpoint: Checkpoint, place: Place) -> Prompt:
    """The states of one who has read what was said before, and speaks now."""
    slots, dynamics, message = slots_of(place.agents), dynamics_of(checkpoint), place.message
    locals_: dict[str, LocalState] = {}
    own = SocialState.empty(checkpoint.model, checkpoint.sha256)
    others: dict[str, SocialState] = defaultdict(lambda: SocialState.empty(checkpoint.model, checkpoint.sha256))
    for m in place.before:
        if not m.read_by(message.author):
            continue
        locals_[m.channel.name], encoded = encode(checkpoint, slots, locals_.get(m.channel.name), m)
        own = own.absorb(encoded.operator, WROTE if m.author == message.author else READ, m.time, dynamics)
        if m.author != message.author:
            others[m.author] = others[m.author].absorb(encoded.operator, READ, m.time, dynamics)
    local = locals_.get(message.channel.name) or new_local(checkpoint)
    partners = [a for a in interlocutors(message, local.recent) if a in slots]
    header, _ = header_of(checkpoint, local, slots, replace(message, addressees=message.addressees & frozenset(slots)))
    empty = SocialState.empty(checkpoint.model, checkpoint.sha256)
    return Prompt(header, local, own.at(message.time, dynamics), mixture([others[a] for a in partners], message.time, dynamics, empty.S_LHPN))


def measured(checkpoint: Checkpoint, people: Human, sizes: Sizes = Sizes()) -> dict[str, float]:
    """All figures of one model."""
    said = said_by(checkpoint, people, sizes)
    return {
        **foretold(checkpoint, people), **{f"distinct_{n}": distinct(said, n) for n in (1, 2, 3)}, "self_bleu": self_bleu(said),
        "persona_entropy": persona_entropy(people.said, said), "words": float(np.mean([len(text.split()) for text in said])) if said else math.nan,
    }  # fmt: skip
