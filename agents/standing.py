"""What states say of options: how ready their holders are to make a claim (`sociallm/claims.py`), beside the other claims of the same choice.

The mean over the claims is taken off: a holder who has heard all names is readier to say any of them. `own_says` is that of the agent's own state;
`others_say` the mean over those whom the option concerns, each read from the agent's state of that one, as if it spoke: the same weights for own and
other make the two comparable. Who is not known yet says nothing (0).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agents.choosing import Floats
from agents.types import AgentID, Option, Turn
from sociallm.checkpoint import Checkpoint
from sociallm.claims import readiness
from sociallm.encode import dynamics_of, slots_of
from sociallm.states import SocialState


class StateStanding:
    """Reads claims off states with one checkpoint."""

    def __init__(self, checkpoint: Checkpoint, agents: Sequence[AgentID]):
        self._checkpoint, self._slots, self._dynamics = checkpoint, slots_of(agents), dynamics_of(checkpoint)

    def __call__(self, turn: Turn, options: Sequence[Option]) -> Floats:
        """[O, 2]: `own_says` and `others_say` of each option."""
        memory, me, now = turn.memory, turn.observation.agent, turn.observation.time
        texts = tuple(sorted({text for option in options for text in option.claims}))  # in one order, so that what was encoded is found again
        about = dict.fromkeys(who for option in options for who in option.about if who != me and who in memory.others)
        own = self._says(memory.own, me, texts, now)
        others = {who: self._says(memory.others[who], who, texts, now) for who in about}
        found = np.zeros((len(options), 2))
        for i, option in enumerate(options):
            known = [others[who] for who in option.about if who in others]
            for text, sign in option.claims.items():
                k = texts.index(text)
                found[i, 0] += sign * own[k]
                found[i, 1] += sign * float(np.mean([says[k] for says in known])) if known else 0.0
        return found

    def _says(self, state: SocialState | None, who: AgentID, texts: tuple[str, ...], now: int) -> Floats:
        """[K]: how ready it is to make each claim, beside the mean of them."""
        if state is None or not texts:
            return np.zeros(len(texts))
        ready = readiness(self._checkpoint, self._slots[who], texts, state.at(now, self._dynamics))
        return np.asarray(ready - ready.mean())
