"""How one seat asks a server: its options, what the server has turned out not to take, when to wait, when to give up."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agents.answering import Answered
from agents.asking.server import Came, Server
from agents.prompting import Prompt
from agents.types import JSON

FORMS = ("schema", "object", "text")  # of a reply, the strictest first: what servers can hold a model to
FINAL = (400, 401, 402, 403, 404, 405, 406, 410, 413, 415, 422)  # statuses after which asking the same again is in vain
UNHEALING = (*range(300, 400), 401, 402, 403, 404, 405, 410)  # of these, and of a name that leads astray, no later turn will fare better
OPTIONAL = ("seed", "top_p", "temperature")
MOST_REQUESTS = 6  # of one attempt: each after the first is without something that the server does not take
PAUSE, LONGEST_PAUSE = 0.25, 8.0  # seconds before the second attempt, doubled each time
LETTERS = 3  # characters to a token, where a server does not count them: rather too many tokens than too few


class Unhealing(ValueError):
    """A server that will not answer, however often it is asked."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a seat asks for."""

    model: str
    temperature: float
    top_p: float
    max_tokens: int
    timeout: float
    form: str
    price_in: float
    price_out: float


class Asking:
    """One turn of one seat. `ask` is an `agents.answering.Ask`."""

    def __init__(self, server: Server, wish: Wish, stop: bool):
        """`stop`: raise `Unhealing` where no later turn will fare better."""
        self._server, self._wish, self._stop = server, wish, stop
        self._pause, self._failures = 0.0, 0
        self.failed: str | None = None  # why the last attempt gave nothing

    def ask(self, prompt: Prompt, schema: dict[str, Any], seed: int, seat: JSON) -> Answered:
        """One attempt: one request, or a few where the server refuses a part of it."""
        self._server.ready()
        began, calls = time.monotonic(), 0
        if self._pause:
            self._server.wait(self._pause)
        known = Known.of(seat, self._wish.form)
        faults: list[tuple[str, str]] = []
        while True:
            request = self._request(prompt, schema, seed, known)
            came = self._server.send(request, self._wish.timeout)
            calls += 1
            less = known.less(came) if came.status in (400, 422) and calls < MOST_REQUESTS else None
            if less is None:
                break
            known = less
        usage = self._usage(came, request, calls, time.monotonic() - began)
        self.failed = None
        if came.text is None:
            faults.append((came.what, came.why))
            self.failed = came.why
            if self._stop and (came.what == "refused" or came.status in UNHEALING):
                raise Unhealing(came.why)
        final = came.text is None and (came.what == "refused" or came.status in FINAL or came.status in UNHEALING or not self._patient(came))
        return Answered(text=came.text, usage=usage, faults=tuple(faults), final=final, seat=known.to_json(self._wish.form))

    def _patient(self, came: Came) -> bool:
        """Set how long to wait before the next attempt; False if that is longer than a whole answer may take."""
        if came.wait is not None and came.wait > self._wish.timeout:
            return False
        self._pause = came.wait if came.wait is not None else min(PAUSE * 2**self._failures, LONGEST_PAUSE) if came.what != "timeout" else 0.0
        self._failures += 1
        return True

    def _request(self, prompt: Prompt, schema: dict[str, Any], seed: int, known: Known) -> dict[str, Any]:
        w = self._wish
        request: dict[str, Any] = {
            "model": w.model, "messages": prompt, known.limit: w.max_tokens,
            **{key: value for key, value in (("temperature", w.temperature), ("top_p", w.top_p), ("seed", seed)) if key not in known.without},
        }  # fmt: skip
        if known.form == "schema":
            request["response_format"] = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
        elif known.form == "object":
            request["response_format"] = {"type": "json_object"}
        return request

    def _usage(self, came: Came, request: Mapping[str, Any], calls: int, seconds: float) -> dict[str, Any]:
        """What the attempt took. Tokens that the server does not count are reckoned, where it answered, from characters."""
        sent = sum(len(m["content"]) for m in request["messages"])
        read = came.tokens_in if came.tokens_in is not None else -(-sent // LETTERS) if came.text is not None else 0
        written = came.tokens_out if came.tokens_out is not None else -(-len(came.text) // LETTERS) if came.text is not None else 0
        cost = (read * self._wish.price_in + written * self._wish.price_out) / 1e6
        return {"calls": calls, "tokens_in": read, "tokens_out": written, "cost": cost, "seconds": seconds}


@dataclass(frozen=True)
class Known:
    """What a server has turned out to take: kept with the seat, so that it is found out once, and the same way when a run goes on."""

    form: str
    limit: str = "max_tokens"
    without: tuple[str, ...] = ()

    @classmethod
    def of(cls, seat: JSON, form: str) -> Known:
        """From what was kept, if that is what `to_json` gave."""
        if isinstance(seat, dict) and seat.get("form") in FORMS and seat.get("limit") in ("max_tokens", "max_completion_tokens") and isinstance(seat.get("without"), list):
            return cls(seat["form"], seat["limit"], tuple(key for key in OPTIONAL if key in seat["without"]))
        return cls(form)

    def to_json(self, form: str) -> JSON:
        """To be kept; None while nothing was found out."""
        return None if self == Known(form) else {"form": self.form, "limit": self.limit, "without": list(self.without)}

    def less(self, came: Came) -> Known | None:
        """Without what the server says it does not take, or a step less strict; None if there is nothing left to do without."""
        words = came.words
        if "max_completion_tokens" in words and self.limit == "max_tokens":
            return Known(self.form, "max_completion_tokens", self.without)
        named = [key for key in OPTIONAL if key in words and key not in self.without]
        if named and "response_format" not in words:
            return Known(self.form, self.limit, (*self.without, named[0]))
        if self.form != FORMS[-1]:
            return Known(FORMS[FORMS.index(self.form) + 1], self.limit, self.without)
        return None
