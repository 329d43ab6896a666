"""A server that speaks chat completions on loopback, and behaves as the name of the model says: well, or as badly as servers can.

`player` plays whatever it is asked to play: it reads the legal moves off the prompt and chooses by a hash of all that it was sent, the seed among it, so that the
same prompt gives the same reply in any order. The others each do one thing wrong. `asked` has every request: (path, headers by their names in lower case, body).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
import threading
import time
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ENDLESS = 64 * 1024


def chooser(body):
    told = json.dumps([body["messages"], body.get("seed")], sort_keys=True)
    return random.Random(hashlib.sha256(told.encode()).hexdigest())


def section(prompt, title):
    found = re.search(rf"## {title}\n(.*?)(?:\n\n## |\Z)", prompt, re.S)
    return found[1] if found else ""


def reply_of(body):
    """A legal reply to a prompt."""
    prompt, chance = body["messages"][1]["content"], chooser(body)
    moves, now = section(prompt, "Moves").split("\n"), section(prompt, "Now")
    if "one order for each" in moves[0]:
        move = {line.split(": ")[0]: chance.choice(line.split(": ", 1)[1].split(" | ")) for line in moves[1:]}
    elif "is a number" in moves[0]:
        move = round(1 + chance.random(), 3)
    elif found := re.match(r'A move is \{"(\w+)": \[(\d+) of', moves[0]):
        options = moves[1].split(": ", 1)[1].split(" | ")
        places, chosen = set(), []
        for option in sorted(options, key=lambda _: chance.random()):
            if len(chosen) < int(found[2]) and option[2:5] not in places:
                chosen.append(option)
                places.add(option[2:5] if option != "WAIVE" else len(chosen))
        move = {found[1]: chosen + ["WAIVE"] * (int(found[2]) - len(chosen))}
    elif moves[0].startswith("A move is your team"):
        listed = json.loads(re.search(r"\[.*\]", moves[0])[0])
        move = listed
    elif len(moves) > 1:
        move = chance.choice(moves[1].split(": ", 1)[1].split(" | "))
    else:
        move = {"number": chance.randrange(100)} if "understands" in moves[0] else None
    channels = re.findall(r"([\w:-]+) \(read by", now)
    words = ("Let us work together.", "I trust you.", "What will you do?", "I shall stay where I am.")
    messages = [{"to": name, "text": f"{chance.choice(words)} {chance.randrange(1000)}"} for name in chance.sample(channels, min(2, len(channels)))]
    return {"messages": messages, "intent": move, "move": move if "Your move is due" in now else None}


@cache
def packed():
    """64 MiB in few bytes."""
    return gzip.compress(b" " * (64 * 2**20), 1)


def completion(text, **more):
    return {
        "id": "x", "object": "chat.completion", "created": 0, "model": "stub", "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}], **more,
    }  # fmt: skip


class Stub(ThreadingHTTPServer):
    """`asked`: all requests so far; `replies`: model → text, or a function of the body, for tests that say what is replied."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.asked, self.replies, self.times = [], {}, {}

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def url(self):
        return f"{self.origin}/v1"

    def handle_error(self, request, client_address):
        pass  # clients that hang up are what is tested


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, None))
        self.send(200, b"{}")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        model = str(body.get("model"))
        if model in self.server.replies:
            given = self.server.replies[model]
            return self.json(completion(given(body) if callable(given) else given))
        getattr(self, "be_" + model.replace("-", "_"), self.be_missing)(body)

    def send(self, status, content, kind="application/json", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def json(self, value, status=200, **headers):
        self.send(status, json.dumps(value).encode(), **headers)

    def times(self, body):
        """How often this very conversation was sent before."""
        key = json.dumps([body["model"], body["messages"][:2]])
        self.server.times[key] = self.server.times.get(key, -1) + 1
        return self.server.times[key]

    # ---- well ----
    def be_player(self, body):
        self.json(completion(json.dumps(reply_of(body))))

    def be_fenced(self, body):
        self.json(completion(f"<think>What {{ shall I do?</think>Here it is:\n```json\n{json.dumps(reply_of(body))}\n```\nGood luck!"))

    def be_plain_only(self, body):
        """A server that takes neither a form of the reply, nor max_tokens, nor a seed."""
        for word in ("response_format", "max_tokens", "seed"):
            if word in body:
                hint = "use max_completion_tokens" if word == "max_tokens" else f"{word} is not supported"
                return self.json({"error": {"message": hint}}, 400)
        self.json(completion(json.dumps(reply_of(body))))

    def be_second_thought(self, body):
        """Nonsense first; mended when told."""
        good = len(body["messages"]) > 2
        self.json(completion(json.dumps(reply_of(body)) if good else "I would rather not say."))

    # ---- badly ----
    def be_missing(self, body):
        self.json({"error": {"message": f"The model {body.get('model')!r} does not exist"}}, 404)

    def be_unauthorised(self, body):
        self.json({"error": {"message": f"Incorrect API key provided: {self.headers.get('Authorization')}"}}, 401)

    def be_forbidden(self, body):
        self.json({"error": {"message": f"no {self.headers.get('Authorization')}"}}, 403)

    def be_too_many(self, body):
        if self.times(body):
            return self.be_player(body)
        self.json({"error": {"message": "slow down"}}, 429, Retry_After="0.1")

    def be_much_too_many(self, body):
        self.json({"error": {"message": "come back tomorrow"}}, 429, Retry_After="86400")

    def be_broken(self, body):
        self.json({"error": {"message": f"internal, with {self.headers.get('Authorization')}"}}, 500)

    def be_page(self, body):
        self.send(200, b"<!doctype html><title>Welcome</title><script>alert(1)</script>", "text/html")

    def be_half(self, body):
        self.send(200, json.dumps(completion("{}")).encode()[:60])

    def be_cut(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(b'{"choices": [')
        self.close_connection = True

    def be_huge(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(100 * 2**20))
        self.end_headers()
        for _ in range(1600):
            self.wfile.write(b"x" * ENDLESS)

    def be_endless(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            self.wfile.write(b"5\r\ndata:\r\n")
            self.wfile.flush()
            time.sleep(0.02)

    def be_headers(self, body):
        """Headers that never end."""
        self.send_response(200)
        self.flush_headers()
        while True:
            self.wfile.write(b"X-More: yes\r\n")
            time.sleep(0.02)

    def be_packed(self, body):
        self.send(200, packed(), Content_Encoding="gzip")

    def be_slow(self, body):
        time.sleep(3)
        self.be_player(body)

    def be_elsewhere(self, body):
        self.send(307, b"", Location=f"{self.server.elsewhere}/v1/chat/completions")

    def be_empty(self, body):
        self.json({**completion(""), "choices": []})

    def be_silent(self, body):
        self.json(completion(None))

    def be_odd(self, body):
        self.json([1, 2, {"choices": "none"}])

    def be_deep(self, body):
        self.send(200, b'{"choices":' + b"[" * 200_000)

    def be_greedy(self, body):
        self.json(completion(json.dumps(reply_of(body)), usage={"prompt_tokens": -5, "completion_tokens": 10**400, "total_tokens": "many"}))

    def be_echo(self, body):
        """Says the key back in every place that there is."""
        key = (self.headers.get("Authorization") or "none").removeprefix("Bearer ")
        good = reply_of(body)
        good["messages"] = [{**m, "text": f"the key is {key[:9]}\u200b{key[9:]}, {key}"} for m in good["messages"]]
        good[key] = key
        self.json(completion(json.dumps(good), model=key))


@contextmanager
def serving(port=0):
    """A stub that listens."""
    server = Stub(port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


if __name__ == "__main__":  # by hand, and for tests whose runs are killed
    import sys

    with serving(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as server:
        print(server.url, flush=True)
        while True:
            time.sleep(60)
