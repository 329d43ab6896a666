"""SIGKILL of an import before each of its file operations, then the same again: the same files as if nothing had happened."""

import shutil

import pytest

from sandbox.importing.stage import DONE
from tests.sandbox.exports import content
from tests.sandbox.imports import chat, imported
from tests.sandbox.test_export_kills import killed

EACH = 7  # every so many operations


@pytest.mark.parametrize("then", ["whole", "torn"])
def test_an_import_that_was_killed_goes_on_to_the_same_bytes(tmp_path, then):
    """`torn`: of a machine that stopped, which also lost what was not synced."""
    path, out = chat(tmp_path / "chat.jsonl"), tmp_path / "out"
    counts = imported(tmp_path / "whole", path)
    expected, kills, n = content(tmp_path / "whole"), 0, 1
    while killed(lambda: imported(out, path), n):
        assert (out / DONE).exists() <= (content(out).items() >= expected.items()), "a folder that is not whole passes for it"
        for log in out.glob("*/events.jsonl") if then == "torn" and not (out / DONE).exists() else ():
            log.write_bytes(log.read_bytes()[:100])
        assert imported(out, path).runs == counts.runs and content(out) == expected, f"killed before operation {n}"
        shutil.rmtree(out)
        kills, n = kills + 1, n + EACH
    assert kills >= 3 and content(out) == expected
