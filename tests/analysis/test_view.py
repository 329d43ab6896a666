"""The page of a run without a browser: what it holds, what it must not, and for which runs there is one."""

import base64
import hashlib
import html
import json
import os
import re
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from analysis.__main__ import main
from analysis.metrics import AnalysisError, read_run
from analysis.run_facts import asked_for, title
from analysis.viewing import view as viewing
from analysis.viewing.atlas import atlas
from analysis.viewing.gathered import gathered
from analysis.viewing.moments import called, moments
from analysis.viewing.page import SCRIPTS, page
from analysis.viewing.texts import shown
from sandbox.__main__ import main as sandbox
from sandbox.log import Event
from scenarios.diplomacy.board import initial_board
from scenarios.diplomacy.map import KINDS, PROVINCES, reach
from tests.analysis.hostile_run import hostile_run
from tests.analysis.payloads import HOSTILE, LONG
from tests.analysis.runs import adjudication, end, memory, message, write_run

UNITS, OWNED = ({power: list(own) for power, own in side.items()} for side in (initial_board().units, initial_board().centers))


def looked(agent, step, *heard):
    return Event("observation", step, step, agent, {"heard": list(heard), "may_write": [], "view": ""})


def data_of(text):
    """The JSON block of a page, as text."""
    return re.search(r'<script type="application/json" id="run">(.*?)</script>', text, re.S)[1]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    run = hostile_run(tmp_path_factory.mktemp("view") / "run")
    path, _ = viewing.view(run, with_labels=True)
    return run, path.read_text()


@pytest.fixture(scope="module", params=["market", "team_task", "hidden_roles"])
def played(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    short = {"market": ["environment.rounds=2"]}.get(request.param, [])
    assert sandbox(["run", f"scenarios/{request.param}.yaml", "seats.default=scripted", "executor=local", "plots=false", f"run_dir={folder}", *short]) == 0
    return request.param, next(folder.glob("*/*/"))


# ---- what a page is ----


def test_nothing_from_a_run_can_end_the_block_it_stands_in(hostile):
    block = data_of(hostile[1])
    assert not set("<>&'\u2028\u2029") & set(block) and block.isascii()
    assert len(HOSTILE) >= 60 and json.loads(block)["title"]
    assert hostile[1].count("<script") == 2 and hostile[1].count("</script") == 2  # the block and our own
    assert hostile[1].count("</style") == 1 and hostile[1].count("<meta") == 5


def test_every_hostile_text_stands_in_the_page_whole_and_visible(hostile):
    told = json.loads(data_of(hostile[1]))
    assert set(told["messages"]["text"]) >= {shown(text.encode("utf-8", "backslashreplace").decode()) for text in HOSTILE}
    every = json.dumps(told, ensure_ascii=False)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]", every)


def test_a_seat_whose_name_has_half_a_character_is_the_agent_that_the_log_writes_out(hostile):
    told = json.loads(data_of(hostile[1]))
    assert "\\ud800 half" in told["agents"] and len(set(told["agents"])) == len(told["agents"])
    assert told["seats"][told["agents"].index("\\ud800 half")] == "\\ud800 half"


def test_the_title_is_text_in_the_head_too(hostile):
    head = hostile[1][: hostile[1].index("<style>")]
    title = re.search("<title>(.*)</title>", head)[1]
    assert "<" not in title and html.unescape(title) == json.loads(data_of(hostile[1]))["title"]


def test_the_policy_names_the_one_script_and_the_one_style_by_their_hashes(hostile):
    policy = html.unescape(re.search('Content-Security-Policy" content="([^"]*)"', hostile[1])[1])
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        text = re.search(f"<{tag}>(.*?)</{tag}>", hostile[1], re.S)[1]
        assert rules[rule] == f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == rules["trusted-types"] == "'none'" and "unsafe" not in policy and "http" not in policy


def test_the_script_makes_no_markup_of_text_and_asks_for_nothing(hostile):
    script = re.search("<script>(.*?)</script>", hostile[1], re.S)[1]
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "fetch(", "XMLHttpRequest", "WebSocket", "import(", "DOMParser", "srcdoc", "setAttribute(\"style", "setAttribute(\"on", "createContextualFragment", "<!--"):
        assert word not in script, word
    assert set(re.findall(r"https?://[\w./]+", script)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    from importlib.resources import files

    assert {f"{name}.js" for name in SCRIPTS} == {path.name for path in files("analysis.viewing").joinpath("js").iterdir()}


def test_a_page_is_the_same_bytes_for_the_same_run(hostile):
    assert page(gathered(hostile[0], viewing.MOST[0], True)) == hostile[1]


# ---- what it tells ----


def test_a_message_is_read_when_its_reader_looks_next(tmp_path):
    said = [message("a", "A", ["A", "B", "C"], step=0), looked("B", 1), looked("B", 2, "a"), looked("A", 2), message("b", "B", ["A", "B", "D"], step=2), end()]
    told = gathered(write_run(tmp_path / "run", said), 1000)
    agents, readers = told["agents"], told["channels"]["readers"]
    read = [{agents[r]: told["steps"]["n"][at] if at >= 0 else None for r, at in zip(readers[c], own, strict=True)} for c, own in zip(told["messages"]["channel"], told["messages"]["read"], strict=True)]
    assert read == [{"A": 0, "B": 2, "C": 0}, {"A": None, "B": 2, "D": 2}]  # C and D are never asked: they read what comes when it comes


def test_what_moves_ended_names_the_talk_before_it_and_what_begins_names_what_follows():
    def outcome(step, **told):
        return Event("outcome", step, step, None, {"done": False, "events": [told]})

    talk = [looked("A", step) for step in range(6)]
    game = [*talk, outcome(1, what="adjudication", phase="S1901M", next="F1901M"), outcome(3, what="adjudication", phase="F1901M", next="W1901A")]
    assert called(game, moments(game)) == ["S1901M", "S1901M", "F1901M", "F1901M", "W1901A", "W1901A"]
    market = [*talk, outcome(2, what="sales", round=0), outcome(4, what="sales", round=1)]
    assert called(market, moments(market))[:5] == ["round 1"] * 3 + ["round 2"] * 2
    watched = [*talk, outcome(0, what="phase", phase="S1901M"), outcome(3, what="phase", phase="F1901M")]
    assert called(watched, moments(watched)) == ["S1901M"] * 3 + ["F1901M"] * 3
    assert called(talk, moments(talk)) == [""] * 6


def test_a_unit_that_was_driven_out_a_support_and_a_convoy_stand_on_the_board(tmp_path):
    orders = {"FRANCE": ["A PAR H", "F BRE S F ENG - PIC"], "ENGLAND": ["F NTH C A YOR - NWY", "A YOR - NWY VIA"], "GERMANY": ["A BUR - PAR"]}
    after = {"FRANCE": ["F BRE"], "ENGLAND": ["F NTH", "A NWY"], "GERMANY": ["A PAR"]}
    event = adjudication("F1902M", OWNED, orders, units=after)
    event.data["events"][0]["results"] = {power: dict.fromkeys(own, "succeeds") for power, own in orders.items()}
    board = gathered(write_run(tmp_path / "run", [event, end()]), 1000)["board"]
    begun, now = board["positions"]
    assert {(board["powers"][p], kind, at) for p, kind, at in begun["units"]} == {(p, u[0], u[2:]) for p, own in UNITS.items() for u in own}
    found = {order["text"]: (order["kind"], order["place"], order["from"], order["to"], order["result"]) for order in now["orders"]}
    assert found["A PAR H"] == ("H", "PAR", None, None, "dislodged")
    assert found["F BRE S F ENG - PIC"] == ("S", "BRE", "ENG", "PIC", "succeeds")
    assert found["F NTH C A YOR - NWY"] == ("C", "NTH", "YOR", "NWY", "succeeds")
    assert found["A BUR - PAR"] == ("M", "BUR", None, "PAR", "succeeds") and now["at"] == 0


def test_the_map_has_all_provinces_where_their_neighbours_are():
    drawn = {one["code"]: one for one in atlas()["provinces"]}
    assert set(drawn) == set(PROVINCES) and len(drawn) == 75
    corners = {code: {tuple(map(float, point.split())) for point in re.findall(r"[-\d.]+ [-\d.]+", one["path"])} for code, one in drawn.items()}
    bordering = [(a, b) for a in drawn for b in drawn if a < b and (b in reach("A", a) or (KINDS[a] != "land" and KINDS[b] != "land" and b in reach("F", a)))]
    shared = [pair for pair in bordering if corners[pair[0]] & corners[pair[1]]]
    assert len(shared) >= 0.95 * len(bordering), sorted(set(bordering) - set(shared))
    for one in drawn.values():  # outlines are closed round the place where the unit stands
        rings = [[tuple(map(float, point.split())) for point in ring.rstrip("Z").split("L")] for ring in one["path"].split("M")[1:]]
        crossings = sum((y1 > one["y"]) != (y2 > one["y"]) and one["x"] < (x2 - x1) * (one["y"] - y1) / (y2 - y1) + x1 for ring in rings for (x1, y1), (x2, y2) in pairwise([*ring, ring[0]]))
        assert crossings % 2 == 1, one["code"]


def test_every_world_is_told_with_its_own(played):
    world, run = played
    told = json.loads(data_of(viewing.view(run)[0].read_text()))
    assert told["world"] == world and told["notes"] == [] and told["ended"] == "done" and told["labels"] is None
    assert len(told["words"]["message"]) > 0 and len(told["messages"]["at"]) == sum(e.kind == "message" for e in read_run(run))
    names = {one["name"] for one in (*told["series"], *told["holds"])} | {c["name"] for one in told["measures"] for c in one["columns"]}
    assert names == {"market": {"prices", "last price"}, "team_task": {"belief in the truth", "worth", "news"}, "hidden_roles": {"suspicion"}}[world]
    assert {word["open"] for word in told["series"]} <= {world == "market"}


def test_what_came_of_a_promise_is_known_with_the_deed_and_not_before(played):
    world, run = played
    told = gathered(run, 1000)
    sold = [at for at, kind, what in zip(told["deeds"]["at"], told["deeds"]["kind"], told["deeds"]["what"], strict=True) if told["words_of"][what].startswith("sales ")]
    for i, known in enumerate(told["words"]["known"]):
        said = told["messages"]["at"][told["words"]["message"][i]]
        assert known >= said
        if world == "market":
            assert known == min(at for at in sold if at >= said)


def test_suspicion_rises_of_whoever_was_on_a_quest_that_failed(tmp_path):
    players = ["A", "B", "C", "D", "E"]
    vote = {"what": "vote", "approve": players, "approved": True, "attempt": 0, "leader": "A", "needed": 1, "quest": 0, "team": ["A", "B"]}
    quest = {"what": "quest", "quest": 0, "team": ["A", "B"], "fails": 2, "success": False}
    told_ = [looked(a, 0) for a in players] + [Event("outcome", 1, 1, None, {"done": False, "events": [vote, quest]}), Event("outcome", 2, 2, None, {"done": True, "events": [{"what": "roles", "roles": dict.fromkeys(players, "good"), "winner": "good", "why": ""}]}), end(step=3)]
    held = gathered(write_run(tmp_path / "run", told_), 1000)["holds"][0]
    last = {(of, about): value for of, about, value in zip(held["of"], held["about"], held["value"], strict=True)}
    assert held["start"] == 0.4 and min(last[2, 0], last[3, 1]) > 0.9 and max(last[2, 3], last[3, 2]) < 0.1  # both who went let it fail


def test_energies_are_of_the_readers_and_not_there_where_nothing_was_measured(tmp_path):
    run = write_run(tmp_path / "run", [message("a", "A", ["A", "B"]), memory("a", "B", 4, 8.0, 9.0, 10.0), memory("a", "A", 4, 1.0, 1.0, 1.0), end()])
    (one,) = gathered(run, 1000)["measures"]
    assert one["reader"] == [1] and {c["name"]: c["value"] for c in one["columns"]} == {"surprise": [2.0], "information": [0.5]}
    assert gathered(write_run(tmp_path / "bare", [message("a", "A", ["A", "B"]), end()]), 1000)["measures"] == []


# ---- labels ----


def test_what_was_planted_is_in_no_page_that_does_not_ask_for_it(hostile, tmp_path):
    run = write_run(tmp_path / "run", [message("a", "A", ["A", "B"]), end()])
    row = {"planted": True, "executed": True, "first": 1, "as": ["SECRETKIND"], "why": "SECRETWHY"}
    (run / "labels.json").write_text(json.dumps({"v": 1, "plan": "SECRETPLAN", "agents": {"A": row, "B": {**row, "planted": False}}, "pairs": []}))
    keys = {"v": 2, "seed": 1, "plugins": [], "checkpoint": None, "config_sha256": "", "python": "", "versions": {}, "ended": None}
    (run / "manifest.json").write_text(json.dumps({**keys, "name": "x", "environment": "market", "seats": {"A": "planted", "B": "scripted"}}))
    assert main(["view", str(run)]) == 0
    assert not re.search("SECRET|planted\"|scripted", data_of((run / "view.html").read_text()))
    assert main(["view", str(run), "--labels", "--out", str(tmp_path / "l.html")]) == 0
    told = json.loads(data_of((tmp_path / "l.html").read_text()))
    assert told["labels"]["agents"] == [[0, "SECRETKIND", "first in step 1; came off; SECRETWHY"]] and told["seats"] == ["planted", "scripted"]


def test_what_was_planted_is_told_of_an_agent_whose_name_has_half_a_character(tmp_path):
    run = write_run(tmp_path / "run", [message("a", "\ud800x", ["\ud800x", "B"]), end()])
    row = {"planted": True, "executed": True, "first": 1, "as": ["lie"], "why": ""}
    (run / "labels.json").write_text(json.dumps({"v": 1, "plan": "p", "agents": {"\ud800x": row, "B": {**row, "planted": False}}, "pairs": []}))
    told = gathered(run, 1000, True)
    assert told["labels"]["agents"] == [[told["agents"].index("\\ud800x"), "lie", "first in step 1; came off"]]


def test_labels_that_are_not_there_are_one_line(tmp_path, capsys):
    run = write_run(tmp_path / "run", [message("a", "A", ["A", "B"]), end()])
    assert main(["view", str(run), "--labels"]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (run / "view.html").exists()


# ---- runs that are not whole ----


def test_a_run_without_a_word_and_one_that_goes_on_have_a_page(tmp_path, capsys):
    silent = write_run(tmp_path / "silent", [looked("A", 0), end()])
    going = write_run(tmp_path / "going", [message("a", "A", ["A", "B"]), looked("B", 1, "a")])
    with open(going / "events.jsonl", "ab") as log:
        log.write(b'{"agent":"A","da')
    for run, messages, ended in ((silent, 0, "done"), (going, 1, "")):
        assert main(["view", str(run)]) == 0
        told = json.loads(data_of((run / "view.html").read_text()))
        assert (len(told["messages"]["at"]), told["ended"]) == (messages, ended)
        assert any("torn" in note for note in told["notes"]) == (run is going)
    assert "torn" in capsys.readouterr().err


def test_an_empty_log_a_changed_one_and_no_run_are_one_line_and_no_page(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "events.jsonl").touch()
    changed = write_run(tmp_path / "changed", [message("a", "A", ["A", "B"]), end()])
    (changed / "events.jsonl").write_bytes((changed / "events.jsonl").read_bytes().replace(b"hello", b"hullo"))
    for name in ("empty", "changed", "absent"):
        assert main(["view", str(tmp_path / name)]) == 2
        assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / name / "view.html").exists()


def test_the_sandbox_makes_the_page_in_a_process_of_its_own_and_names_it(tmp_path, capfd):
    run = write_run(tmp_path / "run", [message("a", "A", ["A", "B"]), end()])
    assert sandbox(["view", str(run)]) == 0 and capfd.readouterr().out == f"{run / 'view.html'}\n"
    assert sandbox(["view", str(run), "--out", str(tmp_path / "no" / "x.html")]) == 2
    told = capfd.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and "cannot be written" in told.err


def test_a_page_that_would_be_too_large_has_its_longest_texts_cut_and_says_so(tmp_path, monkeypatch):
    run = write_run(tmp_path / "run", [message(str(i), "A", ["A", "B"], text=LONG[:30_000]) for i in range(8)] + [end()])
    whole, notes = viewing.view(run)
    assert notes == [] and json.loads(data_of(whole.read_text()))["messages"]["text"] == [shown(LONG[:30_000])] * 8
    monkeypatch.setattr(viewing, "LARGEST", 300_000)
    cut, notes = viewing.view(run, tmp_path / "cut.html")
    assert cut.stat().st_size < 300_000 and "longer than 8,000" in notes[0]
    assert "30,000 characters, whole in the log" in json.loads(data_of(cut.read_text()))["messages"]["text"][0]


@pytest.mark.parametrize("move", [{"a": 10**400}, {"nest": json.loads("[" * 900 + "]" * 900)}])
def test_a_number_or_a_nest_beyond_what_python_reckons_with_leaves_a_part_out_and_says_so(tmp_path, move):
    event = Event("move", 0, 0, "A", {"move": move}) if "a" in move else Event("outcome", 0, 0, None, {"done": False, "events": [{"what": "x", **move}]})
    told = gathered(write_run(tmp_path / "run", [message("m", "A", ["A", "B"]), event, end()]), 1000)
    assert any("a part is left out" in note for note in told["notes"]) and told["messages"]["text"] == ["hello"] and page(told)


def test_a_page_takes_the_place_of_a_page_and_of_nothing_else(tmp_path):
    run = write_run(tmp_path / "run", [message("m", "A", ["A", "B"]), end()])
    log, link, pipe = run / "events.jsonl", tmp_path / "link.html", tmp_path / "pipe.html"
    before = log.read_bytes()
    link.symlink_to(log)
    os.mkfifo(pipe)
    for path in (log, link, pipe, tmp_path, Path(".")):
        with pytest.raises(AnalysisError, match=r"--out"):
            viewing.view(run, path)
    assert log.read_bytes() == before and link.is_symlink() and pipe.is_fifo()
    path, _ = viewing.view(run)
    assert viewing.view(run)[0] == path


@pytest.mark.parametrize("name", ["manifest.json", "labels.json"])
def test_a_pipe_in_a_runs_folder_is_refused_and_not_waited_for(tmp_path, name):
    run = write_run(tmp_path / "run", [message("m", "A", ["A", "B"]), end()])
    os.mkfifo(run / name)
    freed = threading.Timer(5, lambda: os.close(os.open(run / name, os.O_WRONLY | os.O_NONBLOCK)))  # ends the wait of whoever reads all the same
    freed.start()
    try:
        with pytest.raises(AnalysisError, match=f"{name}.*no plain file"):
            viewing.view(run, with_labels=True)
    finally:
        freed.cancel()


@pytest.mark.parametrize("name", ["manifest.json", "config.yaml"])
def test_facts_of_a_run_do_not_wait_for_a_pipe(tmp_path, name):
    run = write_run(tmp_path / "run", [message("m", "A", ["A", "B"]), end()])
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    freed = threading.Timer(5, lambda: os.close(os.open(run / name, os.O_WRONLY | os.O_NONBLOCK)))
    freed.start()
    try:
        assert title(run) == "run" and asked_for(run) == ["Run run."] and freed.is_alive()
    finally:
        freed.cancel()


def test_what_an_answer_took_is_told_in_words(tmp_path):
    usage = {"calls": 2, "attempts": 1, "tokens_in": 300, "tokens_out": 20, "cost": 0.0, "seconds": 1.5, "model": "m<b>", "seat": {"v": 1}}
    run = write_run(tmp_path / "game", [message("a", "X", ["X", "Y"]), Event(kind="intent", step=0, time=0, agent="X", data={"intent": None, "usage": usage}), end()])
    words = gathered(run, 1000)["words_of"]
    assert "2 calls, 1 attempts, 300 tokens in, 20 tokens out, 1.5 s, by m<b>" in words and not any('"seat"' in word for word in words)
