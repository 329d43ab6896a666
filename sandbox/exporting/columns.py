"""The columns of rows that are points of view, and the types of their values: what the card tells, and files that have types."""

from __future__ import annotations

from sandbox.exporting.wish import Wish

Type = str | list["Type"] | dict[str, "Type"]  # a word as `datasets` and Arrow have it, a list of such, an object of such

ROW: dict[str, Type] = {
    "id": "string", "run": "string", "game": "string", "world": "string", "scenario": "string", "seed": "int64", "agent": "string", "policy": "string",
    "checkpoint": "string",
}  # fmt: skip
MESSAGES: dict[str, Type] = {"messages": [{"role": "string", "content": "string"}]}
SHAREGPT: dict[str, Type] = {"conversations": [{"from": "string", "value": "string"}]}
BESIDE: dict[str, Type] = {"authors": ["string"], "to": [["string"]], "channels": ["string"], "times": ["int64"]}
INTENTS: dict[str, Type] = {"intents": ["string"]}
LABELS: dict[str, Type] = {"labelled": "bool", "planted": "bool", "as": ["string"], "executed": "bool", "planted_others": ["string"]}
TYPES = ROW | MESSAGES | SHAREGPT | BESIDE | INTENTS | LABELS  # of all there can be
MEANS = {  # of each column, in words
    "id": "run and agent", "run": "hash of the run's log", "game": "world and seed, the unit of the split", "world": "the world", "scenario": "the scenario's name", "seed": "the run's seed",
    "agent": "whose point of view it is", "policy": "who played the agent", "checkpoint": "hash of the weights, where a model took part",
    "messages": "the world's words on the agent as system, what it read as user, what it said as assistant", "conversations": "the same, in turns of two sides; who speaks first answers a dash",
    "authors": "author of each message, in the order in which the agent knew of it: what it said in a step stands before what others said in it",
    "to": "whom each message was meant for", "channels": "where each was said", "times": "when each was said, in ms of the world",
    "intents": "what the agent planned in a step, as JSON, at the first of its own messages in it; else empty", "labelled": "whether it is known who was planted",
    "planted": "whether the agent was told to lie or collude", "as": "as what", "executed": "whether it did", "planted_others": "those planted among the authors it read",
}  # fmt: skip


def columns(wish: Wish) -> dict[str, Type]:
    """Those of an export, in their order."""
    said = SHAREGPT if wish.format == "sharegpt" else MESSAGES
    return ROW | said | BESIDE | (INTENTS if "intents" not in wish.without else {}) | (LABELS if "labels" not in wish.without else {})
