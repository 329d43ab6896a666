"""The social policy: the world's negotiator, and a learned head on the states, decide what to say and do; SociaLLM decides how it is said.

An act's wordings come from the world's grammar as beginnings; the model, with the agent's own state and its state of the
interlocutor, goes on from them with a few words of its own. The likeliest candidate is said that still means exactly the act and of which
the model's own words are idle: they name nothing that an act could be about. Words that deny something, and so might seem to take the act
back, are said only if there are no others, and tokens that deny by themselves are not drawn; if none is idle, the grammar's plainest wording is
said. The keys of the states that a message was worded from go into the log: agents of one step act at once, so they are the states from
before that step's messages, whatever the moments in it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional, TypeVar

from agents.choosing import Weighing, read_head
from agents.deciding import decide
from agents.memory import AgentMemory
from agents.standing import StateStanding
from agents.types import JSON, Action, AgentID, Channel, Language, Message, Turn
from sociallm.checkpoint import shared
from sociallm.encode import dynamics_of, header_of, new_local, slots_of
from sociallm.generate import ROWS, Candidate, Wanted, generate_all
from sociallm.states import SocialState, brief, mixture
from sociallm.tokenizer import Tokenizer

needs_model = True
LONGEST = 400  # characters of a message
BEGINNINGS = 4  # of the grammar's, that candidates drawn together begin with: with more of them the likeliest is the same again and again
DRAWS = 3  # times ROWS candidates, as long as none of them is sayable
MOST_OWN = 14  # tokens of the model's own after the beginning: what is longer is seldom idle, and costs time
WORDS = ("model", "grammar")
BROKEN = "\ufffd"  # what stands for bytes that are no character

T = TypeVar("T")
Wording = Generator[Wanted, list[Candidate], T]  # asks for candidates, and comes to a T


@dataclass(frozen=True)
class Options:
    """`checkpoint`: a shipped model by name, or a folder. `temperature`, `top_p`: how freely the model goes on.
    `most_tokens`: length of a message, beginning included. `words`: whose they are, the model's or the grammar's alone (a hundred times faster).
    `head`: the file of a learned head, which gives points to moves and acts beside the world's own evaluation; `head_weight`: how much they count (0:
    the world decides alone). `choices`: whether what was weighed goes into the log, as it does with a head; `states`: whether the head is shown what
    the agent's states say (without, it costs no reading)."""

    checkpoint: str = "base"
    temperature: float = 0.7
    top_p: float = 0.85
    most_tokens: int = 48
    words: str = "model"
    head: Optional[str] = None  # noqa: UP045  OmegaConf reads this form
    head_weight: float = 0.0
    choices: bool = False
    states: bool = True

    def __post_init__(self) -> None:
        if not 0.05 <= self.temperature <= 5 or not 0 < self.top_p <= 1 or not 8 <= self.most_tokens <= 256:
            raise ValueError("expected temperature in 0.05–5, top_p in 0–1 (not 0) and most_tokens in 8–256")
        if self.words not in WORDS:
            raise ValueError(f"words is {self.words!r:.40}; expected one of {', '.join(WORDS)}")
        if not 0 <= self.head_weight <= 100 or (self.head_weight and self.head is None):
            raise ValueError(f"head_weight is {self.head_weight}; expected 0 to 100, and 0 without a head: name one as head=FILE")


class SocialPolicy:
    """Words its acts with SociaLLM from its states. Deterministic given each turn; turns do not touch one another."""

    def __init__(self, language: Language | None, options: Options, agents: Sequence[AgentID]):
        self._language, self._options = language, options
        self._checkpoint = shared(options.checkpoint)
        self._slots, self._dynamics = slots_of(agents), dynamics_of(self._checkpoint)
        self._unsaid = _unsaid(self._checkpoint.tokenizer, language) if language is not None else frozenset()
        self._empty = SocialState.empty(self._checkpoint.model, self._checkpoint.sha256)
        self._head = read_head(options.head) if options.head is not None else None
        self._standing = StateStanding(self._checkpoint, agents) if options.states else None

    def step(self, turns: Sequence[Turn]) -> Sequence[tuple[Action, AgentMemory]]:
        """One action and memory for each turn. In a world without a language the agent reads and is silent."""
        if self._language is None:
            return [(Action(), turn.memory) for turn in turns]
        return together([self._act(turn, self._language) for turn in turns], self._candidates)

    def _act(self, turn: Turn, language: Language) -> Wording[tuple[Action, AgentMemory]]:
        weighing = Weighing(self._head, self._options.head_weight, turn, self._standing) if self._head is not None or self._options.choices else None
        decision = decide(turn, language, weighing)
        messages, wording = [], []
        for number, (channel, act) in enumerate(decision.acts):
            text, how = (yield from self._word(turn, number, channel, act, language)) if self._options.words == "model" else self._plain(turn, act, language)
            messages.append(turn.observation.say(number, channel, text, act["to"]))
            wording.append({"act": act, **how})
        choices = weighing.choices(decision) or None if weighing is not None else None
        action = Action(intent=decision.intent, messages=tuple(messages), wording=tuple(wording), move=decision.move, choices=choices)
        return action, replace(turn.memory, notes=decision.notes)

    def _plain(self, turn: Turn, act: JSON, language: Language) -> tuple[str, dict[str, Any]]:
        """(text, how it came about) of one act in the grammar's words, any of them."""
        texts = language.word(act, turn.observation.agent)
        return texts[int(turn.rng.integers(len(texts)))], {"by": "grammar", "candidates": len(texts)}

    def _word(self, turn: Turn, number: int, channel: Channel, act: JSON, language: Language) -> Wording[tuple[str, dict[str, Any]]]:
        """(text, how it came about) of one act."""
        seen, texts = turn.observation, list(language.word(act, turn.observation.agent))
        empty, drawn = seen.say(number, channel, "", act["to"]), 0
        meant: list[tuple[bool, float, int, Candidate]] = []

        def will_do(place: int, candidate: Candidate, beginning: str) -> bool:
            """Whether it means the act, and nothing that it adds, words of their own, gainsays it; what means the act is kept. They come in any order."""
            added = candidate.text.removeprefix(beginning)
            if not (_sayable(candidate) and added.startswith(" ") and language.idle(added)) or list(language.meaning(candidate.text, seen.agent, channel.readers)) != [act]:
                return False
            meant.append((denies := language.denies(added), candidate.nats, place, candidate))  # nats of the whole: per token, long additions win
            return not denies

        while not meant and drawn < DRAWS * ROWS:
            begun = [texts[int(i)] for i in turn.rng.permutation(len(texts))[:BEGINNINGS]]
            beginnings = (begun * ROWS)[:ROWS]
            wanted, keys = self._wanted(turn, empty, beginnings, will_do)
            drawn += len((yield wanted))
        counts = {"candidates": drawn, "meant": len(meant), **keys}
        if not meant:
            return texts[0], {"by": "grammar", **counts}
        *_, best = min(meant, key=lambda found: found[:3])
        return best.text.strip(), {"by": "model", **counts, "sampled": best.sampled, "tokens": best.tokens, "nats": round(best.nats, 4)}

    def _wanted(self, turn: Turn, message: Message, beginnings: Sequence[str], will_do: Callable[[int, Candidate, str], bool]) -> tuple[Wanted, dict[str, Any]]:
        """(what is to be said in place of the empty `message`, the keys of the states that it is drawn from)."""
        memory, now = turn.memory, message.time
        local = turn.channels.get(message.channel.name) or new_local(self._checkpoint)
        header, partners = header_of(self._checkpoint, local, self._slots, message)
        own = memory.own or self._empty
        known = {v: memory.others.get(v, self._empty) for v in partners}  # a stranger counts as an empty state
        other = mixture(list(known.values()), now, self._dynamics, self._empty.S_LHPN)
        begun = max(len(self._checkpoint.tokenizer.encode_text(b)) for b in beginnings)
        most = min(self._options.most_tokens, begun + MOST_OWN + 1)  # and its end; what would be longer is not said
        keys = {"own": brief(own.key), "others": {v: brief(s.key) for v, s in known.items()}, "channel_state": brief(local.key)}
        uniform_TB = turn.rng.random((most, ROWS))
        return Wanted(header, local, own.at(now, self._dynamics), other, beginnings, uniform_TB, MOST_OWN, lambda i, c: will_do(i, c, beginnings[i])), keys

    def _candidates(self, wanted: Sequence[Wanted]) -> list[list[Candidate]]:
        """What could be said in place of each."""
        return generate_all(self._checkpoint, wanted, self._options.temperature, self._options.top_p, own_words=True, never=self._unsaid, fast=True)


def together(wordings: Sequence[Wording[T]], candidates: Callable[[Sequence[Wanted]], Sequence[list[Candidate]]]) -> list[T]:
    """What each comes to, those that wait for candidates being given them together: many messages are worded faster than one after another."""
    done: dict[int, T] = {}
    given: dict[int, list[Candidate] | None] = dict.fromkeys(range(len(wordings)))
    while given:
        asking: dict[int, Wanted] = {}
        for i, found in given.items():
            try:
                asking[i] = wordings[i].send(found)  # type: ignore[arg-type]  # None begins it
            except StopIteration as end:
                done[i] = end.value
        given = dict(zip(asking, candidates(list(asking.values())), strict=True)) if asking else {}
    return [done[i] for i in range(len(wordings))]


def _unsaid(tokenizer: Tokenizer, language: Language) -> frozenset[int]:
    """Tokens that are never drawn, so that less is refused: such as are not idle by themselves, such as deny something (as "not" does, and "'t"
    behind "can"), and blanks alone, which stand twice in a row or break a line."""
    texts = ((i, tokenizer.decode([i])) for i in range(tokenizer.vocabulary))
    return frozenset(i for i, text in texts if text and (text.isspace() or not language.idle(text.strip()) or language.denies(f"can{text}")))


def _sayable(candidate: Candidate) -> bool:
    """Whether it is a whole text, of characters that can be shown, and not too long."""
    text = candidate.text
    whole = candidate.finished and candidate.sampled <= MOST_OWN and BROKEN not in text
    return whole and text.isprintable() and 0 < len(text.strip()) <= LONGEST


def make(language: Language | None, options: Options, agents: Sequence[AgentID]) -> SocialPolicy:
    """The policy for a world's language (or none: then it only reads) and all agents of the run."""
    return SocialPolicy(language, options, agents)
