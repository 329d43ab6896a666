"""Many readers of one message: what it does to their states is worked out once, and readers with the same history share the result.

States are values: two of the same key are the same state (they are copied when written), so a public room in which everybody has read the
same costs one state, whatever its size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sociallm.states import Dynamics, MessageOperator, SocialState, check_order, next_key


@torch.no_grad()
def absorb_all(states: Sequence[SocialState], operator: MessageOperator, role: int, time: int, dynamics: Dynamics) -> list[SocialState]:
    """Every state after a message of time `time`: `SocialState.absorb` of each, the same key and up to rounding the same numbers. Raises `StateError` as it does.

    Fading and alpha are one factor, worked out once for each silence, so that a state is gone through once.
    """
    U = dynamics.gain_LH11(role) * operator.U_LHPN
    factors: dict[int, torch.Tensor] = {}
    after: dict[str, SocialState] = {}
    for state in states:
        if state.key in after:
            continue
        state.check_fits(operator.U_LHPN)
        check_order(time, state.time)
        silence = 0 if state.time is None else time - state.time
        if silence not in factors:
            factors[silence] = (operator.log_alpha_LH + dynamics.log_decay_LH(silence)).exp()[..., None, None]
        after[state.key] = SocialState(torch.addcmul(U, state.S_LHPN, factors[silence]), time, next_key(state.key, operator.message, role, time))
    return [after[state.key] for state in states]
