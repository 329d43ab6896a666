"""The loop on a team task with a tiny model: its stages follow from one another, it goes on after any kill, and refuses what it cannot do."""

import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch

from sandbox.__main__ import main
from sandbox.looping.settings import Loop, asked, read
from sandbox.looping.stages import MARK, hashes
from sandbox.looping.stages import read as read_mark
from sandbox.snapshot import RunError

ROOT = Path(__file__).parents[2]
TEAM = ROOT / "scenarios" / "team_task.yaml"
SMALL = (
    "generations=2", "loop.games=4", "loop.held=2", "loop.planted=0", "loop.tokens=2500", "loop.mix=accumulate", "loop.real=none", "loop.states=false",
    "environment.members=3", "environment.talks=2", "environment.clues=2", "environment.tell=random",
)  # fmt: skip
STAGES = ("run", "export", "head", "model", "evaluate")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    from tests.sociallm.small import saved

    return saved(tmp_path_factory.mktemp("tiny"))


def played(folder, tiny, *words):
    """The exit code of a small loop, its report left out: that has tests of its own."""
    import sandbox.looping.loop as looping

    threads, before = torch.get_num_threads(), looping.analysed
    looping.analysed = lambda *_: True
    try:
        return main(["loop", str(TEAM), *SMALL, f"loop.checkpoint={tiny}", *words, "--out", str(folder)])
    finally:
        looping.analysed = before
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny):
    """A loop that nothing disturbed."""
    folder = tmp_path_factory.mktemp("loop") / "whole"
    assert played(folder, tiny) == 0
    return folder


def made(folder):
    """What has to be the same whenever and however often generation 0 was stopped: logs, dialogues, head and weights, by their hashes."""
    return {name: read_mark(folder / "0" / name).outputs for name in STAGES}


# ---- what it makes -----------------------------------------------------------------------------------------------------


def test_every_stage_says_what_went_in_what_came_out_and_what_it_cost(whole):
    for generation in range(2):
        for name in STAGES:
            done = read_mark(whole / str(generation) / name)
            assert done.inputs and done.outputs and done.seconds > 0 and done.cpu_seconds > 0


def test_a_generation_begins_from_what_the_one_before_learned(whole):
    first, second = (read_mark(whole / str(g) / "model") for g in range(2))
    config = json.loads((whole / "1" / "model" / "config.json").read_text())
    assert config["notes"]["start"] == first.outputs["model.safetensors"] != second.outputs["model.safetensors"]
    assert read_mark(whole / "1" / "run").inputs["head"] == read_mark(whole / "0" / "head").outputs["head.json"]
    manifest = json.loads(next((whole / "1" / "run" / "own").glob("*/manifest.json")).read_text())
    assert manifest["checkpoint"]["sha256"] == first.outputs["model.safetensors"]


def test_dialogues_accumulate(whole):
    trained = [read_mark(whole / str(g) / "model").inputs for g in range(2)]
    of = [{key.split("/")[0] for key in inputs if key.endswith(".jsonl")} for inputs in trained]
    assert of == [{"0"}, {"0", "1"}]


def test_no_seed_is_played_by_two_generations_or_measured_on_what_was_learned(whole):
    own = [{int(p.name) for p in (whole / str(g) / "run" / "own").iterdir()} for g in range(2)]
    held = [{int(p.name) for p in (whole / str(g) / "evaluate" / "games" / "social").iterdir()} for g in range(2)]
    assert len(own[0]) == len(own[1]) == 4 and not own[0] & own[1] and held[0] == held[1] and not held[0] & (own[0] | own[1])


def test_seeds_of_loops_never_meet():
    spans = []
    for seed in (0, 1):
        loop = Loop(seed=seed, games=100_000, held=100_000, planted=100_000, generations=64)
        for seeds in (*(loop.seeds(g) for g in (0, 1, 63)), loop.held_seeds, loop.planted_seeds, loop.taught_seeds):
            spans.append((seeds[0], seeds[-1]))
    spans.sort()
    assert all(a[1] < b[0] for a, b in zip(spans, spans[1:])) and all(last - first == 99_999 for first, last in spans)


def test_what_is_done_is_not_made_again(whole, tiny):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob(MARK)}
    assert played(whole, tiny) == 0
    assert {path: path.stat().st_mtime_ns for path in whole.rglob(MARK)} == before


def test_what_is_said_is_judged_by_those_who_can_read_it_and_an_answer_by_whether_it_was_right(whole):
    """In a ring of three everybody reads everybody: what M1 tells is judged by M2 and M3; what all clues say of the culprit is taken from either."""
    from sandbox.looping.credit import hoped, lessons
    from sandbox.looping.playing import rewards, rows_of
    from sandbox.sealed import events_of

    run = whole / "1" / "run"
    for row in rows_of(run):
        events, given = list(events_of(run / row["folder"])), rewards(run / row["folder"])
        case = next(told for e in events if e.kind == "outcome" for told in e.data["events"] if told["what"] == "case")
        found = lessons(events, 1, "")
        who = [e.agent for e in events if e.kind == "intent" for _ in e.data.get("choices", [])]
        assert len(found) == len(who) and hoped(events) == case["posterior"][case["culprit"]]
        for agent, lesson in zip(who, found):
            others = [value for name, value in given.items() if name != agent]
            fared = sum(others) / 2 if lesson.choice.kind == "tell" else given[agent]
            assert lesson.outcome == pytest.approx(fared - (hoped(events) if lesson.choice.likely < 1 else 0)) and lesson.generation == 1


def test_agreement_counts_ties_in_part():
    import numpy as np

    from agents.choosing import Choice
    from sandbox.looping.teaching import agreement

    rows = np.array([[1.0], [1.0], [0.0]])
    choices = [Choice("tell", ("a",), rows, chosen, 1.0) for chosen in (0, 2)]
    assert agreement({"a": 2.0}, choices) == 0.25 and agreement({"a": -1.0}, choices) == 0.5 and agreement({}, choices) == round(1 / 3, 4)


def test_the_report_reads_what_the_games_gave_and_measures_nothing_twice(whole, capsys):
    import csv

    from analysis.__main__ import main as analyse

    def table(path):
        return list(csv.DictReader(path.read_text().splitlines()))

    assert analyse(["generations", str(whole)]) == 0
    lines = capsys.readouterr().out.split("\n")
    assert lines[0].split()[:2] == ["generation", "success"] and lines[1].split()[0] == "0" and lines[2].split()[0] == "1"
    for generation in range(2):
        games = [row for row in table(whole / str(generation) / "evaluate" / "games.csv") if row["arm"] == "social"]
        shown = table(whole / "generations.csv")[generation]
        assert float(shown["success"]) == pytest.approx(sum(float(row["success"]) for row in games) / len(games)) and len(games) == 2
        assert float(shown["honesty"]) == 1  # clues are told as they were given, however they are chosen
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("measured.json")}
    assert analyse(["generations", str(whole)]) == 0 and {path: path.stat().st_mtime_ns for path in whole.rglob("measured.json")} == before and len(before) == 2


# ---- kills -----------------------------------------------------------------------------------------------------------------


def _killed_at(folder, tiny, place, count):
    """In a process of its own: a loop that is killed when a file of this name is put in its place for the `count`-th time."""
    import sandbox.disk as disk

    torch.set_num_threads(1)
    replace, seen = os.replace, [0]

    def counting(source, target, **kwargs):
        if place in str(target):
            seen[0] += 1
            if seen[0] == count:
                os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target, **kwargs)

    os.replace = disk.os.replace = counting
    os._exit(played(Path(folder), tiny, "generations=1"))


def test_killed_in_any_stage_it_goes_on_and_ends_with_the_same_logs_dialogues_heads_and_weights(whole, tiny, tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.sandbox.loop_preload"])
    folder = tmp_path / "killed"
    for place, count in (("run/own/2/manifest.json", 1), ("export/dialogues", 1), ("0/head/head.json", 1), ("0/model/done.json", 1), ("evaluate/games/social", 1)):
        child = context.Process(target=_killed_at, args=(str(folder), tiny, place, count))
        child.start()
        child.join(120)
        assert child.exitcode == -signal.SIGKILL, place
    assert played(folder, tiny, "generations=1") == 0
    assert made(folder) == made(whole)


def test_a_stage_that_was_tampered_with_is_refused(whole, tiny, tmp_path, capsys):
    folder = tmp_path / "loop"
    shutil.copytree(whole, folder)
    head = folder / "0" / "head" / "head.json"
    head.write_text(head.read_text().replace("0.", "1.", 1))
    assert played(folder, tiny) == 2
    assert "head.json was changed since it was done; restore it, or delete this folder" in capsys.readouterr().err


@pytest.mark.parametrize(("path", "change", "expected"), [
    ("scenario.yaml", lambda text: text + "# more\n", "scenario.yaml: was changed since the loop was begun"),
    ("0/run/done.json", lambda text: text.replace('"messages"', '"words"', 1), "does not tell its messages"),
    ("0/export/done.json", lambda text: text.replace('"stage": "export"', '"stage": "run"'), "it is of the stage 'run'"),
    ("0/head/done.json", lambda text: "[" * 100_000, "not the mark of a stage"),
    ("0/model/model.safetensors", lambda text: text[::-1], "model.safetensors was changed since it was done"),
])  # fmt: skip
def test_what_was_forged_in_a_loops_folder_is_refused_in_one_line(whole, tiny, tmp_path, capsys, path, change, expected):
    folder = tmp_path / "loop"
    shutil.copytree(whole, folder)
    file = folder / path
    file.write_text(change(file.read_text(encoding="latin-1")), encoding="latin-1")
    assert played(folder, tiny) == 2
    assert expected in capsys.readouterr().err.strip().splitlines()[-1]


def test_a_run_put_in_the_place_of_another_is_refused(whole, tiny, tmp_path, capsys):
    """Whole, with its own manifest and seal: the table of the experiment names another log."""
    folder = tmp_path / "loop"
    shutil.copytree(whole, folder)
    games = folder / "0" / "evaluate" / "games"
    arms = sorted(path for path in games.iterdir() if path.is_dir())
    first, second = sorted(arms[0].iterdir())[:2]
    shutil.rmtree(first)
    shutil.copytree(second, first)
    assert played(folder, tiny) == 2
    assert "another run was put there; restore it, or delete" in capsys.readouterr().err


def test_figures_that_were_changed_by_hand_are_measured_again(whole, tmp_path, capsys):
    from analysis.__main__ import main as analyse

    folder = tmp_path / "loop"
    shutil.copytree(whole, folder)
    assert analyse(["generations", str(folder)]) == 0
    path = folder / "0" / "measured.json"
    true = path.read_text()
    path.write_text(true.replace('"honesty": 1', '"honesty": 0', 1))
    assert path.read_text() != true and analyse(["generations", str(folder)]) == 0 and path.read_text() == true


# ---- what is refused ---------------------------------------------------------------------------------------------------


def refused(capsys, *words):
    """The one line of a loop that does not begin."""
    assert main(["loop", *map(str, words)]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    return said


@pytest.mark.parametrize(("words", "expected"), [
    (("loop.mix=both",), "loop.mix is 'both'; expected one of replace, accumulate, filter, mix"),
    (("loop.game=3",), "unknown key 'loop.game'; did you mean loop.games? Expected loop. and one of"),
    (("generations=0",), "generations is 0; expected 1 to 64"),
    (("loop.tokens=many",), "'many' cannot be tokens; expected a whole number"),
    (("loop.real=none",), "loop.real=none, but loop.mix=mix is for real text"),
    (("seats.default=scripted",), "who sits where is the loop's"),
    (("loop.mix=replace", "loop.seats=NOBODY"), "NOBODY"),
    (("loop.mix=replace", "environment.name=nowhere"), "unknown world 'nowhere'"),
    (("loop.mix=replace", "environment.members=3"), "the auditor's games"),
    (("loop.mix=replace", "loop.checkpoint=/nowhere"), "/nowhere: no checkpoint folder there"),
    (("loop.real=/nowhere",), "loop.real=/nowhere: no folder diplomacy_lies in it; name the folder that holds the sets"),
    (("loop.mix=replace", "loop.human=none", "loop.stop=true"), "and none is named; add loop.human=DATA"),
    (("loop.workers=2",), "loop.lanes is 1; expected as many as loop.workers"),
])  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line_before_anything_is_written(capsys, tmp_path, monkeypatch, tiny, words, expected):
    monkeypatch.delenv("SOCIALLM_DATA", raising=False)
    for name in ("diplomacy_lies", "casino", "irc_disentanglement", "cicero_games", "avalon_nlu", "llmafia", "hidden_profile_teams", "persuasion_for_good"):
        (tmp_path / name).mkdir()
    real = () if any(word.startswith(("loop.real", "loop.mix=replace")) for word in words) else (f"loop.real={tmp_path}",)
    model = () if any(word.startswith("loop.checkpoint") for word in words) else (f"loop.checkpoint={tiny}",)
    assert expected in refused(capsys, TEAM, *real, *model, *words, "--out", tmp_path / "loop")
    assert not (tmp_path / "loop").exists()


def test_without_real_text_the_remedy_is_told(capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("SOCIALLM_DATA", raising=False)
    said = refused(capsys, TEAM, "--out", tmp_path / "loop")
    assert "add loop.real=DATA, a folder with the sets of the model card" in said and said.endswith("or go without: loop.real=none loop.mix=accumulate")
    assert asked(TEAM, ["loop.real=none", "loop.mix=accumulate"], (), "").loop.real == "none"  # which is the whole way
    assert refused(capsys, TEAM, "loop.mix=filter", "--out", tmp_path / "loop").endswith("or go without: loop.real=none")


def test_a_loop_may_go_on_for_longer_but_is_otherwise_what_it_was():
    from dataclasses import replace

    from sandbox.looping.settings import differs

    wish = asked(TEAM, ["loop.real=there", "generations=2"], (), "")
    for longer in (replace(wish, loop=replace(wish.loop, generations=6)), replace(wish, loop=replace(wish.loop, stop=True))):
        assert differs(wish, longer, Path("L")) is None and longer.sha256() == wish.sha256()
    for other in (replace(wish, overrides=("environment.talks=1",)), replace(wish, scenario_sha256="0"), replace(wish, plugins=("mine",)), replace(wish, loop=replace(wish.loop, seed=1))):
        assert str(differs(wish, other, Path("L"))).startswith("L: this loop was begun with ") and other.sha256() != wish.sha256()


def test_a_loop_with_other_settings_is_another_loop(whole, tiny, capsys):
    assert played(whole, tiny, "loop.games=5") == 2
    assert "this loop was begun with loop.games=4, now 5; give the same, or another --out" in capsys.readouterr().err


def test_a_folder_of_something_else_is_left_alone(tmp_path, tiny, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert played(tmp_path, tiny) == 2
    assert "holds 'mine.txt', and no loop" in capsys.readouterr().err and [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_two_loops_in_one_folder_at_once_leave_the_first_alone(whole, tiny, capsys):
    from sandbox.folder import held

    before = (whole / "loop.yaml").read_bytes()
    with held(whole):
        assert played(whole, tiny, "generations=3") == 2
    assert "another process is running in it" in capsys.readouterr().err and (whole / "loop.yaml").read_bytes() == before


def test_a_loop_killed_while_it_began_begins_again(whole, tmp_path):
    """Its folder was made and its scenario half written, when it was killed."""
    from sandbox.looping.loop import begin

    wish, text = read(whole), (whole / "scenario.yaml").read_text()
    for left in ((), ("scenario.yaml.part",), ("scenario.yaml",), ("scenario.yaml", "loop.yaml.part")):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for name in left:
            (folder / name).write_text("half")
        begin(folder, wish, text)
        assert read(folder) == wish and (folder / "scenario.yaml").read_text() == text
    (folder / "loop.yaml").unlink()
    (folder / "more.txt").write_text("mine")
    with pytest.raises(RunError, match="'more.txt', and no loop"):
        begin(folder, wish, text)


def test_settings_are_read_as_they_were_written(tmp_path):
    wish = asked(TEAM, ["generations=3", "seed=2", "loop.share=0.7", "loop.real=there", "environment.talks=1"], (), "")
    (tmp_path / "loop.yaml").write_text(wish.as_yaml())
    assert read(tmp_path) == wish
    (tmp_path / "loop.yaml").write_text(wish.as_yaml().replace("games: 40", "games: forty"))
    with pytest.raises(ValueError, match=r"loop.yaml: .*restore the file"):
        read(tmp_path)


def test_shares_of_real_text():
    """Heaped up, real text is one among the generations; mixed, it keeps its share; replaced, there is none."""
    assert [Loop(mix="accumulate", real="there").real_share(g) for g in range(3)] == [1 / 2, 1 / 3, 1 / 4]
    assert {Loop(mix="mix", real="there").real_share(g) for g in range(3)} == {0.6}
    assert Loop(mix="replace", real="there").real_share(0) == Loop(mix="filter", real="none").real_share(3) == 0


def test_a_world_without_an_outcome_is_refused(tmp_path):
    from sandbox.looping.playing import game_rows

    (tmp_path / "runs.csv").write_text("arm,seed,ended,steps,messages,faults,log_sha256,folder\nown,1,done,1,1,0,x,own/1\n")
    (tmp_path / "own" / "1").mkdir(parents=True)
    (tmp_path / "own" / "1" / "events.jsonl").write_text("")
    with pytest.raises(RunError, match="nobody who learns was given a reward"):
        game_rows(tmp_path, 0, None)


def test_a_split_that_leaks_is_refused(tmp_path):
    from sandbox.looping.teaching import leaking
    from sociallm.conversation import write_conversations
    from tests.sociallm.small import conversation

    for side, seeds in (("train", (1, 2)), ("validation", (3,))):
        (tmp_path / side).mkdir()
        write_conversations(tmp_path / side / "conversations.jsonl", [conversation(seed) for seed in seeds])
    leaking(tmp_path)
    write_conversations(tmp_path / "validation" / "conversations.jsonl", [conversation(2)])
    with pytest.raises(RunError, match="1 dialogues, such as own/.*, are for training and for validation"):
        leaking(tmp_path)


def test_hashes_name_files_below_the_folder(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").write_text("")
    assert hashes(tmp_path, "**/*.txt") == {"a/b.txt": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
