"""The policy `llm`: a chat model on any server that speaks OpenAI's protocol answers for the seat.

OpenAI, vLLM, Ollama, llama.cpp, LM Studio, `transformers serve`: one client, the extra `llm`. What the agent sees, the last messages and the older ones that say most,
and the legal moves go into a bounded prompt; the reply is one JSON object, held against the rules; what cannot be taken is asked again a few times,
and then the world's own negotiator moves in silence (`agents/answering.py`). Everything that goes wrong is a `fault` of the agent in the log.

A server is called only if the user has opened its origin (`--allow-host`, `--key`: `sandbox/doors.py`). One that refuses for good (401, 403, 404, a
redirect) ends the run in one line, for a game of nothing but fallbacks is no game of this model; `on_failure` says otherwise.
Agents that carry states, with a `checkpoint`, have them measured: what each message told them ranks what the prompt holds of older ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from agents.answering import answer, recalled
from agents.asking.origins import split
from agents.asking.seat import FORMS, Asking, Wish
from agents.asking.server import MISSING, Server, installed
from agents.conversed import Bounds
from agents.doors import CLOSED, Doors
from agents.memory import AgentMemory
from agents.types import Action, AgentID, Language, Turn

needs_model = True
outside = True
ON_FAILURE = ("stop", "refused", "fallback")
SHORTEST_SECRET = 8  # characters: a key that is shorter, as local servers take any word, is no secret
HIDDEN = "[key]"


@dataclass(frozen=True)
class Options:
    """`base_url`, `model`: which model where, as in http://127.0.0.1:8000/v1. `temperature`, `top_p`, `max_tokens` (of a reply), `seed` (null: drawn from the
    run's seed, for each turn another): sent with each request. `attempts`: replies asked for in a turn at most; `timeout`: seconds for each. `window`: messages of the
    conversation in the prompt; `ranked`: older ones beside them; `context`: characters of a whole prompt. `form`: what the server holds the model to: a
    JSON schema, any JSON object, or text; one that refuses is asked for less. `price_in`, `price_out`: of a million tokens. `parallel`: requests at a time.
    `on_failure`: which failures end the run: stop: any that leaves a turn without a reply; refused: those that no later turn will heal; fallback: none.
    `checkpoint`: of the states that the agents carry; null: none. `each`: agent → options that are its own."""

    base_url: Optional[str] = None  # noqa: UP045  OmegaConf reads this form
    model: Optional[str] = None  # noqa: UP045
    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 1024
    seed: Optional[int] = None  # noqa: UP045
    attempts: int = 3
    timeout: float = 60.0
    window: int = 24
    ranked: int = 8
    context: int = 24_000
    form: str = "schema"
    price_in: float = 0.0
    price_out: float = 0.0
    parallel: int = 4
    on_failure: str = "refused"
    checkpoint: Optional[str] = "base"  # noqa: UP045
    each: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        limits = (
            ("temperature", 0 <= self.temperature <= 5, "0 to 5"), ("top_p", 0 < self.top_p <= 1, "above 0, at most 1"),
            ("max_tokens", 16 <= self.max_tokens <= 100_000, "16 to 100000"), ("attempts", 1 <= self.attempts <= 20, "1 to 20"),
            ("timeout", 0.05 <= self.timeout <= 3600, "0.05 to 3600 seconds"), ("parallel", 1 <= self.parallel <= 64, "1 to 64"),
            ("seed", self.seed is None or 0 <= self.seed < 2**31, "a whole number from 0 to 2147483647, or null"), ("form", self.form in FORMS, f"one of {', '.join(FORMS)}"),
            ("price_in", 0 <= self.price_in <= 1e6, "0 to 1000000"), ("price_out", 0 <= self.price_out <= 1e6, "0 to 1000000"),
            ("on_failure", self.on_failure in ON_FAILURE, f"one of {', '.join(ON_FAILURE)}"),
        )  # fmt: skip
        for name, good, expected in limits:
            if not good:
                raise ValueError(f"{name} is {getattr(self, name)!r:.40}; expected {expected}")
        self.bounds  # noqa: B018  checked here
        for agent in self.each:
            of_seat(self, agent)

    @property
    def bounds(self) -> Bounds:
        """How much is remembered and shown."""
        return Bounds(window=self.window, ranked=self.ranked, context=self.context)


OWN = frozenset(f.name for f in dataclasses.fields(Options)) - {"each", "checkpoint", "parallel"}


def of_seat(options: Options, agent: AgentID) -> Options:
    """The options of one seat. Raises ValueError for what no seat can have of its own."""
    own = options.each.get(agent, {})
    if not isinstance(own, Mapping):
        raise ValueError(f"each.{agent} is {own!r:.40}; expected options as key: value")
    for key, value in own.items():
        if key not in OWN:
            raise ValueError(f"each.{agent}.{key}: not an option of a seat; expected one of {', '.join(sorted(OWN))}")
        like = getattr(options, key)
        kinds: tuple[type, ...] = (str,) if key in ("base_url", "model") else (int,) if key == "seed" else (int, float) if isinstance(like, float) else (type(like),)
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise ValueError(f"each.{agent}.{key} is {value!r:.40}; expected what policies.llm.{key} takes")
    return replace(options, each={}, **{str(key): value for key, value in own.items()})


def check(language: Language | None, options: Options, agents: Sequence[AgentID]) -> None:
    """Raises ValueError, in one line, for options that no server can be asked by. Calls nobody."""
    for agent in options.each:
        if agent not in agents:
            raise ValueError(f"each.{agent:.40}: no such agent; expected one of {', '.join(agents)}")
    for agent in (*options.each, *([""] if options.each.keys() != set(agents) else [])):
        own = of_seat(options, agent)
        where = f" (each.{agent})" if agent else ""
        if not own.base_url:
            raise ValueError(f"base_url is not set{where}; give the server's, as in policies.llm.base_url=http://127.0.0.1:8000/v1")
        if not own.model or not own.model.isprintable() or len(own.model) > 200:
            raise ValueError(f"model is {own.model!r:.40}{where}; give the name that the server has for it, as in policies.llm.model=NAME")
        try:
            split(own.base_url)
        except ValueError as error:
            raise ValueError(f"base_url{where}: {error}") from None


def servers(options: Options) -> Iterator[tuple[tuple[str, ...], str]]:
    """(key under the policy's options, URL) of every server that is to be called. Raises ValueError where the client is missing."""
    if not installed():
        raise ValueError(MISSING)
    if options.base_url:
        yield ("base_url",), options.base_url
    for agent in options.each:
        if url := options.each[agent].get("base_url"):
            yield ("each", agent, "base_url"), url


class LLMPolicy:
    """Asks servers. What it keeps between turns is connections; all else is in the agents' notes."""

    def __init__(self, language: Language | None, options: Options, agents: Sequence[AgentID], doors: Doors):
        self._language, self._options = language, options
        self._seats = {agent: of_seat(options, agent) for agent in agents}
        urls = {o.base_url for o in self._seats.values() if o.base_url}
        self._servers = {url: Server(url, doors.servers, doors.addresses, options.parallel) for url in sorted(urls)}
        self._secrets = tuple(sorted({key for key in doors.servers.values() if len(key) >= SHORTEST_SECRET}, key=len, reverse=True))

    def step(self, turns: Sequence[Turn]) -> Sequence[tuple[Action, AgentMemory]]:
        """One action and memory for each turn, in their order, however the answers come in."""
        if len(turns) < 2 or self._options.parallel == 1:
            return [self._act(turn) for turn in turns]
        with ThreadPoolExecutor(min(self._options.parallel, len(turns))) as threads:
            asked = [threads.submit(self._act, turn) for turn in turns]
            try:
                return [one.result() for one in asked]
            except BaseException:  # a signal among them: what is under way is given up, so that nobody waits for it
                threads.shutdown(wait=False, cancel_futures=True)
                for server in self._servers.values():
                    server.close()
                raise

    def _act(self, turn: Turn) -> tuple[Action, AgentMemory]:
        own = self._seats[turn.observation.agent]
        assert own.base_url and own.model, "checked before the run began"
        wish = Wish(
            model=own.model, temperature=own.temperature, top_p=own.top_p, max_tokens=own.max_tokens, timeout=own.timeout, form=own.form,
            price_in=own.price_in, price_out=own.price_out,
        )  # fmt: skip
        asking = Asking(self._servers[own.base_url], wish, stop=own.on_failure != "fallback")
        action, memory = answer(turn, self._language, own.bounds, own.attempts, own.seed, asking.ask, own.model, last=self._without_secrets)
        if own.on_failure == "stop" and asking.failed is not None:
            raise ValueError(f"{asking.failed}; on_failure is stop")
        return action, memory

    def recall(self, turn: Turn, action: Action) -> AgentMemory:
        """The memory after a turn that was taken before; nobody is asked."""
        return recalled(turn, action, self._language, self._seats[turn.observation.agent].bounds)

    def _without_secrets(self, action: Action) -> Action:
        """The action with every key taken out of it: a server may say it back, in its words or its errors."""
        if not self._secrets:
            return action
        messages = tuple(replace(m, text=self._hidden(m.text)) for m in action.messages)
        return Action(
            intent=self._hidden(action.intent), messages=messages, wording=action.wording, move=self._hidden(action.move), usage=self._hidden(action.usage),
            faults=tuple((self._hidden(what), self._hidden(why)) for what, why in action.faults),
        )  # fmt: skip

    def _hidden(self, value: Any) -> Any:
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, HIDDEN)
            return value
        if isinstance(value, dict):
            return {self._hidden(key): self._hidden(inner) for key, inner in value.items()}
        return [self._hidden(inner) for inner in value] if isinstance(value, list) else value


def make(language: Language | None, options: Options, agents: Sequence[AgentID], doors: Doors = CLOSED) -> LLMPolicy:
    """The policy. Nothing is called, and with closed doors nothing ever is: it can only recall."""
    check(language, options, agents)
    return LLMPolicy(language, options, agents, doors)
