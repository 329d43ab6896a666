"""S5: a run in which every text is hostile, and every command on it: no byte that could steer a terminal, no line that something else than the program wrote."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from analysis.__main__ import main as analysis
from sandbox.__main__ import main as sandbox
from tests.security.hostile import AGENTS, BAD, PLUGIN, SCENARIO
from tests.security.safe import told

pytestmark = pytest.mark.security(line="S5")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run to its end."""
    place = tmp_path_factory.mktemp("hostile")
    (place / "x.yaml").write_text(SCENARIO)
    assert sandbox(["run", str(place / "x.yaml"), *PLUGIN, f"run_dir={place}"]) == 0
    (folder,) = (place / "hostile").iterdir()
    return folder


def test_a_hostile_run_is_told_of_in_safe_lines_to_its_end(capsys, tmp_path):
    (tmp_path / "x.yaml").write_text(SCENARIO)
    code, said = told(capsys, sandbox, "run", tmp_path / "x.yaml", *PLUGIN, f"run_dir={tmp_path}", "--watch")
    assert code == 0 and "done: 2 steps, 4 messages" in said and said.count("=cmd") == 4


@pytest.mark.parametrize(("change", "code"), [
    ("policies.speaking.raises_at=1", 1), ("environment.breaks_at=1", 1), ("budget.messages=1", 3), ("seed=1,2", 0),
])  # fmt: skip
def test_however_a_hostile_run_ends_it_is_told_in_safe_lines(capsys, tmp_path, change, code):
    (tmp_path / "x.yaml").write_text(SCENARIO)
    assert told(capsys, sandbox, "run", tmp_path / "x.yaml", *PLUGIN, f"run_dir={tmp_path}", change)[0] == code
    assert code == 0 or told(capsys, sandbox, "resume", next((tmp_path / "hostile").iterdir()), *PLUGIN)[0] in (0, code)


KINDS = ("step", "observation", "fault", "intent", "message", "delivery", "move", "outcome", "reward", "end")
COMMANDS = {  # name: (words behind the command's, whether it succeeds); RUN stands for the run
    "log": (sandbox, ["log", "RUN"], 0),
    **{f"log of every {kind}": (sandbox, ["log", "RUN", "--kind", kind], 0) for kind in KINDS},
    "log as json": (sandbox, ["log", "RUN", "--json"], 0), "log of an agent": (sandbox, ["log", "RUN", "--agent", AGENTS[0]], 0),
    "log of a pair": (sandbox, ["log", "RUN", "--pair", AGENTS[0], AGENTS[1]], 0), "log of a channel": (sandbox, ["log", "RUN", "--channel", f"-{BAD}"], 0),
    "log of nobody": (sandbox, ["log", "RUN", "--agent", "nobody"], 2), "log of no kind": (sandbox, ["log", "RUN", "--kind", BAD], 2),
    "log of no channel": (sandbox, ["log", "RUN", "--channel", "rooms"], 2), "log of no pair": (sandbox, ["log", "RUN", "--pair", "C", BAD], 2),
    "replay": (sandbox, ["replay", "RUN", *PLUGIN], 0), "resume": (sandbox, ["resume", "RUN", *PLUGIN], 0),
    "ask": (sandbox, ["ask", "RUN", *PLUGIN, "who are you?", "--agent", BAD], 2), "import": (sandbox, ["import", "RUN/conversations.jsonl", "--out", "OUT"], 0),
    "import as csv": (sandbox, ["import", "RUN/conversations.jsonl", "--out", "OUT", "--format", "csv"], 2),
    "fork": (sandbox, ["fork", "RUN", *PLUGIN, "--at", "1"], 0), "fork cut nowhere": (sandbox, ["fork", "RUN", *PLUGIN, "--at", "1", "--cut", BAD], 2),
    "fork cut": (sandbox, ["fork", "RUN", *PLUGIN, "--at", "1", "--cut", "room"], 0),
    "fork erase": (sandbox, ["fork", "RUN", *PLUGIN, "--at", "1", "--erase", f"C:{BAD}"], 2),
    "fork withhold": (sandbox, ["fork", "RUN", *PLUGIN, "--withhold", BAD], 2), "fork policy": (sandbox, ["fork", "RUN", *PLUGIN, "--at", "1", "--policy", f"{AGENTS[0]}=nobody"], 2),
    "view": (sandbox, ["view", "RUN/none", "--out", "OUT"], 2), "loop": (sandbox, ["loop", "../../x.yaml", *PLUGIN, "--out", "OUT", "loop.real=OUT"], 2),
    **{f"export of {form}": (sandbox, ["export", "RUN", "--format", form, "--out", "OUT", *PLUGIN], None) for form in ("messages", "sharegpt", "parquet", "conversations", "convokit", "diplomacy")},
    "report": (analysis, ["report", "RUN"], 0), "view by analysis": (analysis, ["view", "RUN", "--out", "OUT"], 0), "watch": (analysis, ["watch", "RUN", "--out", "OUT"], 2),
    "saved game": (analysis, ["export", "RUN", "OUT"], 2), "collusion": (analysis, ["collusion", "RUN"], 2), "arms of a run": (analysis, ["arms", "RUN"], 2),
    "scores of a run": (analysis, ["scores", "RUN"], 2), "detector": (analysis, ["detector", "RUN", "--out", "OUT"], 2), "generations": (analysis, ["generations", "RUN"], 2),
    "lies": (analysis, ["lies", "score", "--model", "RUN/manifest.json", "--data", "RUN/conversations.jsonl"], 2), "teams": (analysis, ["teams", "RUN/conversations.jsonl"], 2),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_on_a_hostile_run_prints_nothing_that_a_terminal_obeys(name, run, capsys, tmp_path, monkeypatch):
    main, words, expected = COMMANDS[name]
    (folder := tmp_path / "a" / "run").parent.mkdir()
    shutil.copytree(run, folder)
    monkeypatch.chdir(folder)
    (tmp_path / "x.yaml").write_text(SCENARIO)
    code, said = told(capsys, main, *(str(word).replace("RUN", str(folder)).replace("OUT", str(tmp_path / "out")) for word in words))
    assert said and (code == expected or expected is None), said


def test_every_command_is_among_those_tried():
    """A new command is tried here too: those that take a run, or its files."""
    from analysis.__main__ import _parse
    from sandbox.__main__ import parser

    def commands(of):
        return {name for action in of._actions for name in (action.choices or ()) if isinstance(action.choices, dict)}

    tried = {(main, words[0]) for main, words, _ in COMMANDS.values()}
    assert {name for main, name in tried if main is sandbox} | {"run", "bench"} >= commands(parser())
    assert _parse(["report", "x"]) and {name for main, name in tried if main is analysis} >= {"report", "view", "watch", "export", "collusion", "arms", "scores", "detector", "generations", "lies", "teams"}
