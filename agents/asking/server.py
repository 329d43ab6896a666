"""One server, through the `openai` client: one request, and what came of it as a plain value, whatever the server does."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from agents.asking.origins import Origin, split
from agents.prompting import one_line

MISSING = "the policy llm needs the openai client, which is not installed; install it: pip install 'social-sandbox[llm]', or pip install 'openai>=3'"
SHOWN = 160  # characters of a server's own words in a fault
SILENT = (401, 403)  # of which a server's words are not shown: they may hold the key, or half of it
COUNT = 2**31


@dataclass(frozen=True, kw_only=True)
class Came:
    """What came of a request. `text` is the reply, None if there is none; then `what` and `why` say so. `status` is None where no answer came."""

    text: str | None = None
    tokens_in: int | None = None  # None: the server did not say
    tokens_out: int | None = None
    status: int | None = None
    what: str = ""
    why: str = ""
    words: str = ""  # the server's own, of a refusal; for reading what it does not take, not for showing
    wait: float | None = None  # seconds that the server asks for before the next request


def installed() -> bool:
    """Whether the client is there."""
    return find_spec("openai") is not None


class Server:
    """A server and the key that is its own. Made without the client; the first request imports it. Safe to use from several threads."""

    def __init__(self, base_url: str, keys: Mapping[str, str], addresses: Mapping[str, str], most: int):
        """`keys` and `addresses` as in `agents.doors.Doors`."""
        self.origin, self._path = split(base_url)
        self._key: str | None = keys.get(str(self.origin))
        self._address, self._most = addresses.get(str(self.origin)), most
        self._lock, self._made = threading.Lock(), False

    def _client(self) -> Any:
        with self._lock:
            if not self._made:
                if not installed():
                    raise ValueError(MISSING)
                import httpx2
                import openai

                from agents.asking.wire import Transport, Wire

                self._wire = Wire(self.origin, self._address)
                through = httpx2.Client(transport=Transport(self._wire, self._most), trust_env=False, follow_redirects=False, timeout=None)
                headers: dict[str, Any] = {"Accept-Encoding": "identity"}
                self._openai = openai.OpenAI(
                    api_key=self._key or "none", base_url=f"{self.origin}{self._path}", max_retries=0, http_client=through, default_headers=headers, timeout=None,
                )  # fmt: skip
                self._made = True
        return self._openai

    def ready(self) -> None:
        """Have the client, which takes half a second to import, before any time is taken. Raises ValueError where the server may not be called, or the client is
        missing."""
        if self._key is None:
            raise ValueError(f"{self.origin} was not allowed: --allow-host {self.origin}")
        self._client()

    def wait(self, seconds: float) -> None:
        """Wait, unless the run is to end: then it raises `agents.asking.wire.Exceeded`."""
        self._wire.wait(seconds)

    def close(self) -> None:
        """End what is under way."""
        if self._made:
            self._wire.close()

    def send(self, request: Mapping[str, Any], seconds: float) -> Came:
        """One request, of the body of a chat completion; it takes no longer than that. Raises ValueError as `ready` does."""
        self.ready()
        client = self._client()
        import httpcore2
        import httpx2
        import openai

        from agents.asking.wire import Astray, Exceeded

        with self._wire.call(seconds):
            try:
                unsigned = {} if self._key else {"extra_headers": {"Authorization": openai.Omit()}}
                answer = client.chat.completions.with_raw_response.create(**request, **unsigned).http_response
                content = answer.content
            except openai.APIStatusError as error:
                return _refused(error.status_code, error.response.content, error.response.headers.get("retry-after"), self.origin)
            except (openai.APIError, httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, httpx2.HTTPError, Exceeded, Astray, OSError) as error:
                cause = error.__cause__ if isinstance(error, openai.APIError) else error  # what breaks within a body comes as it is
                if isinstance(cause, Exceeded):
                    return Came(what="timeout" if "time" in str(cause) else "server", why=f"{self.origin}: {cause}")
                if isinstance(cause, Astray):
                    return Came(what="refused", why=str(cause))
                if isinstance(cause, httpcore2.TimeoutException):
                    return Came(what="timeout", why=f"{self.origin}: no answer in time")
                kind = "is not there: nobody listens" if isinstance(cause, httpcore2.ConnectError) else "broke off"
                return Came(what="server", why=f"{self.origin} {kind} ({type(cause or error).__name__})")
        return read_answer(answer.status_code, content)


def _refused(status: int, body: bytes, retry_after: str | None, origin: Origin) -> Came:
    """Of an answer that is no reply."""
    words = _words(body)
    shown = f": {one_line(words)[:SHOWN]}" if words and status not in SILENT else ""
    remedies = {
        401: "; is there a key for it (--key ORIGIN=VARIABLE), and is it the right one?", 403: "; the key does not open this",
        404: "; is there such a model, and does base_url end as the server has it, mostly in /v1?", 429: "; too many requests",
    }  # fmt: skip
    moved = "; a redirect, which is not followed: give the URL where the server is" if 300 <= status < 400 else ""
    return Came(status=status, what=f"http {status}", why=f"{origin} answered {status}{shown}{remedies.get(status, moved)}", words=words[:4000], wait=_seconds(retry_after))


def _words(body: bytes) -> str:
    """The server's own words, of the forms in which they come."""
    try:
        value = json.loads(body[:65536])
        error = value.get("error", value.get("detail", value)) if isinstance(value, dict) else value
        found = error.get("message", "") if isinstance(error, dict) else error
        return found if isinstance(found, str) else json.dumps(found)[:4000]
    except (ValueError, RecursionError):
        return ""


def _seconds(text: str | None) -> float | None:
    try:
        return seconds if text and math.isfinite(seconds := float(text)) and seconds >= 0 else None
    except ValueError:
        return None  # a date: few send one, and clocks differ


def read_answer(status: int, body: bytes) -> Came:
    """The reply in the body of an answer."""

    def none(why: str) -> Came:
        return Came(status=status, what="server", why=why)

    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        kind = "a web page" if body.lstrip()[:1] == b"<" else "half a JSON value, or none"
        return none(f"the answer is no JSON: {kind} of {len(body)} bytes")
    choices = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return none("the answer has no choices")
    message = choices[0].get("message")
    text = message.get("content") if isinstance(message, dict) else None
    usage = value.get("usage")
    read, written = (_count(usage.get(key)) if isinstance(usage, dict) else None for key in ("prompt_tokens", "completion_tokens"))
    if not isinstance(text, str) or not text.strip():
        return Came(status=status, what="server", why="the reply is empty", tokens_in=read, tokens_out=written)
    return Came(text=text, status=status, tokens_in=read, tokens_out=written)


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < COUNT else None
