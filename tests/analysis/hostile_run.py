"""A run in which every field that an agent, a world or a user fills is hostile, each payload in a step of its own."""

import json

from sandbox.log import Event
from tests.analysis.payloads import HOSTILE, LONG
from tests.analysis.runs import write_run


def events(payloads):
    for i, text in enumerate(payloads):
        author, other = text or "(nobody)", "READER"
        channel = {"channel": text, "readers": sorted({author, other}), "to": [other]}
        yield Event("observation", i, i * 1000, author, {"heard": [], "may_write": [text], "view": text})
        yield Event("fault", i, i * 1000, author, {"what": text, "why": text})
        yield Event("intent", i, i * 1000, author, {"intent": {text: {text: 0.5, f"{text} - {text}": 0.25}}, "usage": {text: text}})
        yield Event("message", i, i * 1000, author, {"id": f"m{i}{text}", "text": text, "reply_to": text, "by": text, "act": {"act": text}, **channel})
        yield Event("message", i, i * 1000, author, {"id": f"s{i}", "channel": f"{text}-SELF", "readers": [author], "to": [], "reply_to": None, "text": f"persona: {text}", "by": "world"})
        yield Event("move", i, i * 1000, author, {"move": {text: text, "A PAR": text}})
        yield Event("reward", i, i * 1000, author, {"reward": text})
        yield Event("intervention", i, i * 1000, author, {text: [text]})
        yield Event("outcome", i, i * 1000, None, {"done": False, "events": [{"what": text, "phase": text, text: {text: text}}, _board(text), {"what": "vote", "quest": text, text: 1}]})
    yield Event("message", i + 1, 0, "READER", {"id": "long", "text": LONG, "reply_to": None, "channel": "ALL", "readers": ["READER", "A"], "to": []})
    yield Event("end", i + 1, 0, None, {"ended": payloads[0], "why": payloads[1]})


def _board(text):
    return {
        "what": "adjudication", "phase": text, "next": text, "orders": {"FRANCE": [text, f"A PAR - {text}", f"A {text} S A {text}", "A PAR - BUR"], text: [text]},
        "results": {"FRANCE": {text: text, "A PAR - BUR": text}}, "centers": {"FRANCE": ["PAR", text], text: [text]}, "units": {"FRANCE": ["A PAR", f"A {text}", text], text: [text]},
    }  # fmt: skip


def hostile_run(folder, payloads=HOSTILE):
    """The run's folder; its manifest, settings and labels hostile too."""
    run = write_run(folder, events(payloads))
    name = " ".join(text for text in payloads if "\ud800" not in text and "\udfff" not in text)
    seats = {text: text for text in payloads}
    keys = {"plugins": [], "checkpoint": None, "config_sha256": name, "python": name, "versions": {}, "ended": None, "files": {}}
    (run / "manifest.json").write_text(json.dumps({"v": 2, "name": name, "seed": 1, "environment": "diplomacy", "seats": seats, **keys}))
    row = {"planted": True, "executed": True, "first": 1, "as": list(payloads[:9]), "why": name}
    (run / "labels.json").write_text(json.dumps({"v": 1, "plan": name, "agents": dict.fromkeys((payloads[0], payloads[1], "READER"), row), "pairs": [{"pair": [payloads[0], payloads[1]], **row}]}))
    return run
