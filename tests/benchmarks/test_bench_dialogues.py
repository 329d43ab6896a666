"""`python -m sandbox bench dialogues`: that what it counts is what was played and exported. No limits: those are for a quiet machine."""

import json

from sandbox import bench_dialogues as bench


def test_messages_are_those_of_all_runs_but_the_first_and_exports_count_them_too(tmp_path, monkeypatch):
    monkeypatch.setitem(bench.WORLDS, "team_task", ("team_task.yaml", ("environment.talks=1",)))
    found = bench.played("team_task", "seats.default=scripted", [4, 5, 6], tmp_path / "scripted")
    said = {n: json.loads((tmp_path / f"scripted/team_task/{n}/manifest.json").read_bytes())["messages"] for n in (4, 5, 6)}
    assert found.messages == said[5] + said[6] and found.ended > found.began and found.cpu > 0
    told = bench.exported(tmp_path / "scripted", 1, lambda _: None)
    assert list(told) == ["messages", "sharegpt", "parquet", "conversations", "convokit", "filtered"]
    assert all(0 < figures["messages_per_s"] for figures in told.values()) and len(list((tmp_path / "export").iterdir())) == 12
