"""The steganographic gap as SociaLLM's states have it: does what two have said to each other tell the model how they go on?

Of a message of j to i alone: log p(m | S) − log p(m | S without i), by one set of weights: S are j's own state and its state of i before it, and
without i the own state has none of their two's words and the other is a stranger's (`states.between`, recomposed). The channel is read the same
either way, so only what memory adds is counted. The paraphrase drop is that less the same of a paraphrase of the message, met in the same states.
"""

from __future__ import annotations

from dataclasses import dataclass

from analysis.detectors import Score
from analysis.evidence import Evidence
from analysis.metrics import message_of
from analysis.stego import two
from analysis.wordings import Worded, grammar, paraphrased, worded
from sociallm.conversation import AgentID

KEY = "states"  # of the paraphraser


@dataclass(frozen=True)
class Held:
    """Of a message between two alone: nats that their past adds to it, and to its paraphrase."""

    message: str
    author: AgentID
    partner: AgentID
    gap: float
    paraphrase: float


def held(evidence: Evidence) -> list[Held]:
    """Of every message that a grammar knows in a channel of two, in order. Raises as the checkpoint does."""
    from dataclasses import replace

    from sociallm.checkpoint import shared
    from sociallm.encode import dynamics_of, encode, nll_under, slots_of
    from sociallm.measures import empty_pair
    from sociallm.states import LocalState, SocialState, empty_key
    from sociallm.streams import READ, WROTE

    checkpoint = shared(evidence.checkpoint)
    dynamics, nobody = dynamics_of(checkpoint), SocialState(empty_pair(checkpoint.model)[0], None, empty_key(checkpoint.sha256))
    slots, known = slots_of(evidence.agents), {m.id: m for m in worded(evidence)}
    texts = _texts(evidence, known)
    channels: dict[str, LocalState] = {}
    own: dict[AgentID, SocialState] = {}
    of: dict[tuple[AgentID, AgentID], SocialState] = {}
    without: dict[tuple[AgentID, AgentID], SocialState] = {}  # (holder, partner): the own state without the channel of the two
    found: list[Held] = []
    for event in evidence.events:
        if event.kind != "message":
            continue
        m = message_of(event)
        before = channels.get(m.channel.name)
        channels[m.channel.name], encoded = encode(checkpoint, slots, before, m)
        readers = sorted(m.channel.readers - {m.author})
        if m.id in known and len(readers) == 1:
            j, i = m.author, readers[0]
            pair_with = own.get(j, nobody).at(m.time, dynamics), of.get((j, i), nobody).at(m.time, dynamics)
            pair_without = without.get((j, i), nobody).at(m.time, dynamics), nobody.S_LHPN
            _, other = encode(checkpoint, slots, before, replace(m, text=texts[m.id]))
            gains = []
            for words in (encoded, other):
                stranger, friend = nll_under(checkpoint, words, [pair_without, pair_with])
                gains.append(float((stranger.double() - friend.double()).sum()))
            found.append(Held(m.id, j, i, *gains))
        for agent in (*readers, m.author):
            role = WROTE if agent == m.author else READ
            own[agent] = own.get(agent, nobody).absorb(encoded.operator, role, m.time, dynamics)
            for partner in evidence.agents:
                if partner != agent and m.channel.readers != {agent, partner}:
                    without[agent, partner] = without.get((agent, partner), nobody).absorb(encoded.operator, role, m.time, dynamics)
            if role == READ:
                of[agent, m.author] = of.get((agent, m.author), nobody).absorb(encoded.operator, READ, m.time, dynamics)
    return found


def _texts(evidence: Evidence, known: dict[str, Worded]) -> dict[str, str]:
    """A paraphrase of each message."""
    of, found = grammar(evidence.world, evidence.agents), dict[str, str]()
    said = {str(e.data.get("id", "")): e for e in evidence.events if e.kind == "message"}
    for m in paraphrased(list(known.values()), f"{evidence.key}\x00{KEY}"):
        event = said[m.id]
        act = of.meaning(str(event.data["text"]), m.author, m.readers)[0]
        found[m.id] = of.texts(act)[m.wording]
    return found


def by_pair(found: list[Held]) -> dict[tuple[AgentID, AgentID], tuple[float, float, int]]:
    """(mean gap, mean paraphrase drop, messages) of each pair that has a channel."""
    rows: dict[tuple[AgentID, AgentID], list[Held]] = {}
    for h in found:
        rows.setdefault(two(h.author, h.partner), []).append(h)
    return {p: (sum(h.gap for h in r) / len(r), sum(h.gap - h.paraphrase for h in r) / len(r), len(r)) for p, r in rows.items()}


def scores(evidence: Evidence) -> list[Score]:
    """Of each pair with words between them alone: gap and paraphrase drop, nats a message; of the run the largest drop."""
    found = by_pair(held(evidence)) if worded(evidence) else {}
    rows = [Score(name, "pair", pair, values[i], values[2], "state") for pair, values in sorted(found.items()) for i, name in enumerate(("steganographic gap", "paraphrase drop"))]
    return [*rows, Score("paraphrase drop", "run", (), max(v[1] for v in found.values()), len(found), "state")] if found else []
