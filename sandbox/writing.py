"""JSON as text, fast: what `json.dumps` gives for the same options, character for character.

`json.dumps` with options makes a new encoder for each value, which costs as much as encoding a record does; here it is made once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from json import encoder
from typing import Any


def writer(*, allow_nan: bool = False, compact: bool = False, sort_keys: bool = True) -> Callable[[Any], str]:
    """A function from a JSON value to its text, ASCII only. What has no JSON form raises
    TypeError or ValueError, as with `json.dumps`; what holds itself, RecursionError."""
    item, key = (",", ":") if compact else (", ", ": ")
    made = json.JSONEncoder(sort_keys=sort_keys, allow_nan=allow_nan, separators=(item, key))
    make = getattr(encoder, "c_make_encoder", None)
    if make is None:  # another Python than CPython
        return made.encode
    encode = make(None, made.default, encoder.encode_basestring_ascii, None, key, item, sort_keys, False, allow_nan)
    return lambda value: "".join(encode(value, 0))
