"""What messages do to any state, in few numbers: operators, each head's U mapped onto fixed random directions.

S → exp(log_alpha)·S + U is linear, and so is the map: sketches of operators compose as the operators do, head by head. A random map keeps
distances nearly (Johnson & Lindenstrauss 1984).

Letters: M messages, H heads (of all social layers), F directions, D = P·N numbers of a head's state.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from sociallm.checkpoint import Checkpoint
from sociallm.layout import sequence_of

Floats = NDArray[np.float64]
DIRECTIONS, SEED = 48, 20260711
TOGETHER = 64  # channels of one pass


@lru_cache(maxsize=4)
def directions(heads: int, width: int) -> Floats:
    """[H, D, F]: the map, the same always."""
    return np.random.default_rng(SEED).standard_normal((heads, width, DIRECTIONS)) / np.sqrt(width)


def sketched(checkpoint: Checkpoint, channels: Sequence[Sequence[Sequence[int]]]) -> tuple[Floats, Floats]:
    """(U [M, H, F], log_alpha [M, H]) of the messages (token ids) of channels that begin empty, channel after channel.

    Raises ValueError for a model without social blocks, which has no states.
    """
    model = checkpoint.model
    if not model.social:
        raise ValueError(f"the model (checkpoint {checkpoint.sha256:.12}…) has no social blocks, so no state to ask; use one with social_every of 1 or more")
    heads = len(model.social) * model.config.social_heads
    width = model.config.social_head_width * model.config.social_state
    U, log_alpha = [np.zeros((0, heads, DIRECTIONS))], [np.zeros((0, heads))]
    for i in range(0, len(channels), TOGETHER):
        some = [[list(ids) for ids in channel] for channel in channels[i : i + TOGETHER]]
        messages = sum(map(len, some))
        with torch.inference_mode():  # one channel more: a message alone is rounded otherwise than among several
            written = model.public(sequence_of([*some, some[-1]], model.config)).written
            U_MHPN = torch.cat([w.U_MHPN for w in written], 1)[:messages].double().numpy()
            log_alpha.append(torch.cat([w.log_alpha_MH for w in written], 1)[:messages].double().numpy())
        U.append(np.matmul(U_MHPN.reshape(messages, heads, width).transpose(1, 0, 2), directions(heads, width)).transpose(1, 0, 2))
    return np.concatenate(U), np.concatenate(log_alpha)
