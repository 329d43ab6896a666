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


def columns(wish: Wish) -> dict[str, Type]:
    """Those of an export, in their order."""
    said = SHAREGPT if wish.format == "sharegpt" else MESSAGES
    return ROW | said | BESIDE | (INTENTS if "intents" not in wish.without else {}) | (LABELS if "labels" not in wish.without else {})
