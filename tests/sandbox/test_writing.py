"""JSON as text: the fast way beside `json.dumps`, which is the slow reference."""

import json
import random
from json import encoder

import pytest

from sandbox.writing import writer

HOSTILE = "line\nfeed \u2028 \x00 \x1b]0;title\x07 \ud800 \U000e0041 \"quoted\\\" é 漢 🙂"
LEAVES = (None, True, False, 0, -7, 2**70, 0.1, -1e300, 1e-7, 5e-324, "", HOSTILE)


def some_value(rng: random.Random, depth: int = 4):
    kind = rng.choice("leaf leaf list dict".split()) if depth else "leaf"
    if kind == "leaf":
        return rng.choice(LEAVES)
    inner = [some_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return inner if kind == "list" else {f"{rng.choice('zyx é')}{i}": value for i, value in enumerate(inner)}


@pytest.mark.parametrize("compiled", [True, False])
def test_the_text_is_the_one_of_json_dumps(monkeypatch, compiled):
    if not compiled:
        monkeypatch.setattr(encoder, "c_make_encoder", None)
    rng = random.Random(1)
    loose, compact, as_given = writer(), writer(compact=True), writer(sort_keys=False)
    for value in [*LEAVES, *(some_value(rng) for _ in range(300))]:
        assert loose(value) == json.dumps(value, sort_keys=True)
        assert compact(value) == json.dumps(value, sort_keys=True, separators=(",", ":"))
        assert as_given(value) == json.dumps(value)


def test_what_is_no_json_is_refused_or_let_through_as_json_dumps_does():
    endless: list = []
    endless.append(endless)
    for value, error in ((float("nan"), ValueError), ({1, 2}, TypeError), ({(1, 2): 3}, TypeError), ({"a": 1, 2: 3}, TypeError), (endless, RecursionError)):
        with pytest.raises(error):
            writer()(value)
    assert writer(allow_nan=True)([float("nan"), float("-inf")]) == "[NaN, -Infinity]"
