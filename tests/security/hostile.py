"""A world in which every text is hostile: a plug-in for tests (`--plugin tests.security.hostile`).

Every field that agents, policies and worlds fill holds `BAD`: names of agents and channels, phases, texts, intents, moves, wordings, what
faults say, what an exception says (its policy: tests/security/speaking.py). Two steps of talk and moves, and no rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scenarios.environment import Outcome, Window
from sociallm.conversation import Channel

PLUGIN = ("--plugin", "tests.security.hostile")
SCENARIO = "name: hostile\nenvironment: {name: hostile}\nseats: {default: speaking}\nexecutor: local\nplots: false\n"
WORLDS = {"hostile": "tests.security.hostile"}
POLICIES = {"speaking": "tests.security.speaking"}
C0 = "".join(map(chr, (*range(0x20), 0x7F)))
C1 = "".join(map(chr, range(0x80, 0xA0)))
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
LINES = "\u0085\u2028\u2029\ufeff\u200b\u00ad"
FORGED = "FORGED"  # stands behind every end of a line: no line of an output may begin with it
BAD = f"=1+1\n{FORGED}\r{FORGED}\x0b{FORGED}\u2028{FORGED}\u0085{FORGED} \x1b[2J\x1b]0;owned\x07\x9b2J[bold]{C0}{FORGED}{C1}{BIDI}{LINES}\ud800</script>"
AGENTS = (f"A{BAD}", f"+B{BAD}", "C")


@dataclass(frozen=True)
class Options:
    breaks_at: int = -1  # the step whose rules raise


class World:
    """Three agents, a room with a hostile name and one with a plain one."""

    language = None

    def __init__(self, options: Options):
        self.options, self.agents = options, AGENTS
        self.channels = (Channel(name=f"-{BAD}", readers=frozenset(AGENTS)), Channel(name="room", readers=frozenset(AGENTS)))

    def start(self, rng) -> int:
        return 0

    def window(self, step: int) -> Window:
        return Window(agents=self.agents, start=step * 1000, end=step * 1000 + 1000, channels=self.channels, move_due=True)

    def observe(self, step: int, agent: str) -> Mapping[str, object]:
        return {BAD: BAD}

    def step(self, step: int, moves: Mapping[str, object], rng) -> Outcome:
        if step == self.options.breaks_at:
            raise RuntimeError(BAD)
        told = {"what": BAD, "phase": f"@{BAD}", BAD: [BAD], "moves": dict(moves)}
        return Outcome(state=step + 1, rewards=dict.fromkeys(self.agents, 1.0), events=(told,), done=step == 1)

    def to_json(self, step: int) -> object:
        return step

    def from_json(self, value) -> int:
        return int(value)

    def share(self, step: int) -> float:
        return step / 2


def make(options: Options) -> World:
    """The world of these options."""
    return World(options)
