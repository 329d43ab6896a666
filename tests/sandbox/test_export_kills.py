"""SIGKILL of an export before each of its file operations, then the same again: the same files as if nothing had happened."""

import os
import shutil
import signal
import sys

import pytest

from sandbox.exporting.export import export
from sandbox.exporting.wish import Wish
from tests.sandbox.exports import content, runs

EVENTS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree")
PIECE = 40  # messages: several pieces
EACH = int(os.environ.get("EXPORT_KILLS", "12"))  # 1: at every operation, as make export-libraries does


def killed(work, before: int) -> bool:
    """Whether a child that does this work died before its n-th operation on a file that it writes."""
    child = os.fork()
    if child == 0:
        seen = 0

        def count(event, arguments):
            nonlocal seen
            if event in EVENTS and not (event == "open" and not _writes(arguments)):
                seen += 1
                if seen == before:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(count)
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _writes(arguments) -> bool:
    _, mode, flags = arguments
    return any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool(flags & (os.O_WRONLY | os.O_RDWR))


def torn(stage) -> None:
    """The last line that was appended, cut in half: what a kill within a write leaves."""
    for path in stage.glob("*.jsonl"):
        text = path.read_bytes()
        path.write_bytes(text + text[:20].replace(b"\n", b""))


@pytest.mark.parametrize("options", [{"format": "messages", "alike": 0.7}, {"format": "convokit"}], ids=["messages", "convokit"])
def test_an_export_that_was_killed_goes_on_to_the_same_bytes(tmp_path, options):
    """At every EACH-th operation."""
    if "alike" in options:
        pytest.importorskip("datasketch", reason="needs datasketch: pip install 'social-sandbox[export]'")
    of = [runs() / arm for arm in ("ring", "pairs", "twin")]
    whole = tmp_path / "whole"
    counts = export(of, Wish(out=whole, **options), messages=PIECE)
    expected, out = content(whole), tmp_path / "out"
    kills, n = 0, 1
    while killed(lambda: export(of, Wish(out=out, **options), messages=PIECE), n):
        torn(out / "stage")
        assert export(of, Wish(out=out, **options), messages=PIECE).rows == counts.rows
        assert content(out) == expected, f"killed before operation {n}"
        shutil.rmtree(out)
        kills, n = kills + 1, n + EACH
    assert kills >= 36 // EACH and content(out) == expected  # the last child came to its end
