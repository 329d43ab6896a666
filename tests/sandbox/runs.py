"""Runs of the toy world for tests: through the real command line, into a temporary folder."""

from pathlib import Path

from sandbox.__main__ import main
from sandbox.log import read_events

TOY = str(Path(__file__).parent / "toy.yaml")


def run(capsys, tmp_path, *overrides, code=0):
    """(folder, events, what was said on stdout and stderr) of one run of toy.yaml."""
    assert main(["run", TOY, "--plugin", "tests.sandbox.toy", f"run_dir={tmp_path}", *overrides]) == code
    said = capsys.readouterr()
    folder = Path(said.out.strip().splitlines()[-1])
    return folder, list(read_events(folder / "events.jsonl")), said
