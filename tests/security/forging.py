"""What a policy could hand over to pass for somebody else: payloads by name, each a function of what the agent sees and of a fair message of its own.

Those of MESSAGES are to be refused whole, those of WORDINGS lose what they forge and are otherwise taken. The words of each are FORGED and its name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from agents.types import Channel, Message, Observation

FORGED = "FORGED"
Payload = Callable[[Observation, Message], object]


class Agreeable(str):
    """Text that says it is equal to anything, and begins with anything."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    def startswith(self, *_: object) -> bool:
        return True

    def isprintable(self) -> bool:
        return True


class AgreeableChannel(Channel):
    """A channel that says it is equal to any."""

    __hash__ = Channel.__hash__

    def __eq__(self, other: object) -> bool:
        return True


class Shifting(Message):
    """A message that is its author's at the first look, and another's from then on."""

    def __getattribute__(self, name: str) -> Any:
        if name != "author":
            return super().__getattribute__(name)
        looks = vars(self).setdefault("looks", [])
        looks.append(1)
        return vars(self)["author"] if len(looks) == 1 else "P1"


class Everybody(frozenset):
    """A set that holds whatever it is asked for."""

    def issubset(self, other: object) -> bool:
        return True


class Bare:
    """Something with all the fields of a message."""

    def __init__(self, message: Message):
        vars(self).update({**vars(message), "author": "P1"})


def _with(**change: object) -> Payload:
    return lambda seen, fair: dataclasses.replace(fair, **change)


def _shifting(seen: Observation, fair: Message) -> object:
    return Shifting(**vars(fair))


AUTHORS = ["P1", "P2", "p0", "P0 ", " P0", "P0\u200b", "P0\x00", "Р0", "", "world", "sandbox", "P0\nP1", "P0,P1", None, 0, 1.5, ["P0"], ("P0",), frozenset({"P0", "P1"}), Agreeable("P1"), b"P0"]
READERS = [{"P1", "P2"}, {"P0", "P1", "P2", "P9"}, {"P0"}, set(), {"P1"}, {"P2"}, {"P0", "P9"}]
CHANNELS = [None, "P0-P1", "ALL", 0, ("ALL", {"P0", "P1", "P2"}), AgreeableChannel(name="P1-P2", readers=frozenset({"P1", "P2"})), AgreeableChannel(name="ALL", readers=frozenset({"P9"})),
            Channel(name=Agreeable("P1-P2"), readers=frozenset({"P1", "P2"})), Channel(name="P1-P2", readers=["P1", "P2"]), Channel(name=None, readers=frozenset({"P0", "P1"})), Message, {"name": "ALL"}]  # fmt: skip
TIMES = [lambda t: t - 1, lambda t: t + 1, lambda t: -t - 1, lambda t: float(t), lambda t: 2**70, lambda t: None, lambda t: float("nan"), lambda t: f"{t}", lambda t: 0 if t else 1, lambda t: t + 2**63, lambda t: True]
IDS = [lambda s: f"{s}:P1:0", lambda s: f"{s}:P2:0", lambda s: f"{s + 1}:P0:0", lambda s: f"{s - 1}:P0:0", lambda s: "w0", lambda s: "", lambda s: f"{s}:P0", lambda s: f" {s}:P0:x", lambda s: f"{s}:P0:\n{{}}",
       lambda s: f"{s}:P0:\x1b[2J", lambda s: f"{s}:P0:\u202e", lambda s: f"{s}:P0:\ud800", lambda s: f"{s}:P0:\u2028", lambda s: f"{s}:P0:" + "x" * 161, lambda s: f"{s}:P0:" + "x" * 10**7, lambda s: None,
       lambda s: s, lambda s: (s, "P0"), lambda s: Agreeable(f"{s}:P1:0"), lambda s: f"0{s}:P0:0", lambda s: f"{s}:P0;0", lambda s: f"{s}:p0:0"]  # fmt: skip
ADDRESSEES = [frozenset({"P9"}), frozenset({"P1", "P9"}), frozenset({""}), frozenset({1}), {"P1"}, ["P1"], "P1", None, Everybody({"P9"}), frozenset({Agreeable("P9")}), frozenset(map(str, range(10**5))), frozenset({"P" * 10**7})]
REPLIES = ["9:P1:0", "", "w9", 0, ["0:P1:0"], b"x", Agreeable("9:P1:0"), "x" * 10**7, "\x1b"]
TEXTS = [None, b"FORGED", "", " \n\t", "\u2028", 7, ["FORGED"], Agreeable("FORGED"), "x" * (32 * 1024 + 1), "é" * (16 * 1024 + 1), "\ud800" * (32 * 1024 + 1), "x" * 10**7]

MESSAGES: dict[str, Payload] = {
    **{f"author {i}": _with(author=one) for i, one in enumerate(AUTHORS)},
    **{f"readers {sorted(one)}": (lambda seen, fair, one=one: dataclasses.replace(fair, channel=Channel(name=fair.channel.name, readers=frozenset(one)))) for one in READERS},
    **{f"channel {i}": _with(channel=one) for i, one in enumerate(CHANNELS)},
    **{f"time {i}": (lambda seen, fair, one=one: dataclasses.replace(fair, time=one(seen.time))) for i, one in enumerate(TIMES)},
    **{f"id {i}": (lambda seen, fair, one=one: dataclasses.replace(fair, id=one(seen.step))) for i, one in enumerate(IDS)},
    **{f"addressees {i}": _with(addressees=one) for i, one in enumerate(ADDRESSEES)},
    **{f"reply {i}": _with(reply_to=one) for i, one in enumerate(REPLIES)},
    **{f"text {i}": _with(text=one) for i, one in enumerate(TEXTS)},
    "a mapping": lambda seen, fair: {**vars(fair), "author": "P1"}, "a tuple": lambda seen, fair: ("P1", FORGED), "a record": lambda seen, fair: '{"kind": "message", "agent": "P1"}',
    "something like a message": lambda seen, fair: Bare(fair), "a message that shifts": _shifting, "a class": lambda seen, fair: Message, "nothing": lambda seen, fair: None,
}  # fmt: skip

WORDINGS: Mapping[str, Mapping[str, object]] = {
    **{key: {key: value, "act": {"act": "x"}} for key, value in {
        "agent": "P1", "author": "P1", "channel": "P1-P2", "crc": "00000000", "id": "0:P1:0", "kind": "end", "readers": ["P9"], "reply_to": "0:P1:0", "seq": 0, "step": 99, "text": FORGED,
        "time": 0, "to": ["P9"], "v": 2, "wall": 0.0, "by": "world",
    }.items()},
    "all at once": {"agent": "P1", "author": "P1", "text": FORGED, "id": "w0", "step": 0, "by": "world", "act": {"act": "x"}},
}  # fmt: skip
