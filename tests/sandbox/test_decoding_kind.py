"""Which code words a run's messages: the manifest says what there really is, every host uses that or nothing begins, resume holds to it."""

import json

import pytest

from sandbox.__main__ import main
from sandbox.host import AgentFault, Cast
from sandbox.hosts import RayExecutor
from sociallm import compiling, decoding
from tests.sandbox.runs import run
from tests.sandbox.test_fork import PLUGIN
from tests.sandbox.test_resume import left
from tests.sandbox.test_states import PLAY, checkpoint  # noqa: F401  (a fixture is used by being here)

needs_compiler = pytest.mark.skipif(compiling.compiler() is None, reason="no C++ compiler here")


def kind_of(folder):
    return json.loads((folder / "manifest.json").read_text())["decoding"]


@needs_compiler
def test_the_manifest_names_what_was_made_and_resume_holds_to_it(capsys, tmp_path, checkpoint, monkeypatch):  # noqa: F811
    given = (*PLAY, f"policies.remembering.checkpoint={checkpoint}")
    folder, _, _ = run(capsys, tmp_path, *given)
    assert kind_of(folder) == decoding.kind() != "pytorch"
    compiled = left(folder, tmp_path, 30)

    broken = tmp_path / "broken"  # a compiler that is there, and makes nothing; of its own name, for one is tried but once a process
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o700)
    monkeypatch.setenv("CXX", str(broken))
    with pytest.warns(UserWarning, match="broken could not compile"):
        folder, _, _ = run(capsys, tmp_path, *given)
    assert kind_of(folder) == "pytorch"
    (reference := tmp_path / "reference").mkdir()
    reference = left(folder, reference, 30)

    def refused(copy):
        assert main(["resume", str(copy), *PLUGIN]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return said

    assert "worded by c++ (" in refused(compiled) and "here it would be pytorch" in refused(compiled)
    monkeypatch.delenv("CXX")
    told = refused(reference)
    assert "worded by pytorch code, here it would be c++ (" in told and "set CXX=none" in told
    monkeypatch.setenv("CXX", "none")
    assert main(["resume", str(reference), *PLUGIN]) == 0
    monkeypatch.delenv("CXX")
    manifest = json.loads((compiled / "manifest.json").read_text())
    for then, code in (("c++ (g++ 4.8.5)", 2), ("c++", 0)):  # another compiler; one that an older manifest does not name
        (compiled / "manifest.json").write_text(json.dumps(manifest | {"decoding": then}))
        assert main(["resume", str(compiled), *PLUGIN]) == code
    assert "worded by c++ (g++ 4.8.5) code" in capsys.readouterr().err


@needs_compiler
def test_all_hosts_word_messages_as_this_process_does_or_nothing_begins(checkpoint, monkeypatch):  # noqa: F811
    options = {"name": "toy", "players": 3, "rounds": 2, "games": 2, "narrator": None}
    cast = Cast(
        seed=1, seats=dict.fromkeys(("P0", "P1", "P2"), "remembering"), policies={"remembering": {"checkpoint": str(checkpoint)}}, environment=options,
        plugins=("tests.sandbox.toy",), checkpoint=str(checkpoint),
    )  # fmt: skip
    with RayExecutor(cast, 1, None) as first:  # its Ray began where there is a compiler
        here = decoding.kind()
        assert first._ray.get([host.word_by.remote(here) for host in first._hosts]) == [here]
        monkeypatch.setattr(decoding, "kind", lambda: "c++ (of another machine)")
        with pytest.raises(AgentFault) as caught, RayExecutor(cast, 1, None):
            pass
        assert f"host 0 would word messages by {here} code, this process by c++ (of another machine)" in str(caught.value)
        monkeypatch.undo()
        monkeypatch.setenv("CXX", "none")
        with RayExecutor(cast, 2, None) as second:
            kinds = second._ray.get([host.word_by.remote("c++") for host in second._hosts])
        assert kinds == ["pytorch", "pytorch"]
