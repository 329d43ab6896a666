"""Foils: who might as well have written a message. A memory is worth more if it tells its owner's words from those of another.

In some showings of a conversation all authors have one slot, so that no header says who writes (`batches.drawn_slots`). There a message
of its author u is read a second time, as if a foil v had written it, and the loss asks that u's states explain it better than v's:
-log sigmoid(log p(m | S_u) - log p(m | S_v)), the likelihood of the author between two candidates, as in contrastive learning (noise
contrastive estimation, Gutmann & Hyvarinen 2010; InfoNCE, van den Oord et al. 2018).

Both have read the channel's last message and written some before: neither whose turn it is nor what was read last gives the author away.
Two that talk alone have no foils.

Letters: A agents, M messages, F foils.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sociallm.conversation import Conversation
from sociallm.streams import READ, WROTE

KNOWN = 5  # messages that author and foil have written before
FEWEST_WORDS = 4  # tokens of a message that is read twice

NOBODY = np.zeros(0, np.int64)


def foils_of(conversation: Conversation, agents: Sequence[str], role_AM: NDArray[np.int8], sizes: Sequence[int], first: int, last: int) -> list[NDArray[np.int64]]:
    """For each message first..last-1 the agents [F] who might have written it; `sizes` are the tokens of every message's words."""
    index = {a: i for i, a in enumerate(agents)}
    wrote_AM = role_AM[:, :last] == WROTE
    before_AM = wrote_AM.cumsum(1) - wrote_AM
    latest: dict[str, int] = {}  # of each channel
    out: list[NDArray[np.int64]] = []
    for k, m in enumerate(conversation.messages[:last]):
        previous, u = latest.get(m.channel.name), index[m.author]
        latest[m.channel.name] = k
        if k < first:
            continue
        able_A = (role_AM[:, previous] == READ) & (before_AM[:, k] >= KNOWN) if previous is not None else np.zeros(len(agents), bool)
        compared = able_A[u] and sizes[k] >= FEWEST_WORDS
        able_A[u] = False
        out.append(np.flatnonzero(able_A) if compared else NOBODY)
    return out
