"""The report of a run: what is written, for which run, and that hostile names stay text."""

import csv
import subprocess
import sys

import pytest

from analysis.__main__ import main
from analysis.metrics import messages
from analysis.page import markdown
from analysis.plots import label
from analysis.report import by_agent, tables
from analysis.summary import message_line
from sandbox.log import Event
from tests.analysis.runs import adjudication, end, message, watched, write_run

PNG = b"\x89PNG\r\n\x1a\n"
PROMISE = {"act": "promise", "to": ["FRANCE"], "about": {"kind": "order", "power": "ITALY", "order": "A ROM H"}}
HELD = {"units": {"FRANCE": ["A PAR"], "ITALY": ["A ROM"]}, "step": 1}
GAME = [message("a", "FRANCE", ["FRANCE", "ITALY"], text="hi", by="model"), message("b", "ITALY", ["FRANCE", "ITALY"], text="I promise to hold my army in Rome.", by="grammar", act=PROMISE),
        message("c", "ITALY", ["FRANCE", "ITALY"], text="sure", by="model"), adjudication("F1901M", {"FRANCE": ["PAR", "BRE"], "ITALY": ["ROM"]}, {"FRANCE": ["A PAR H"], "ITALY": ["A ROM H"]}, **HELD),
        Event(kind="reward", step=1, time=1, agent="FRANCE", data={"reward": 1.0}), Event(kind="reward", step=1, time=1, agent="ITALY", data={"reward": 0.0}), end()]


def cells(line):
    return [cell.strip().replace("\\", "") for cell in line.strip("|").split(" | ")]


def test_a_game_gives_metrics_two_plots_and_a_table(tmp_path, capsys):
    run = write_run(tmp_path / "game", GAME)
    assert main(["report", str(run)]) == 0
    assert {p.name for p in run.iterdir()} == {"events.jsonl", "metrics.csv", "plots", "report.html", "report.md"}
    assert {p.name for p in (run / "plots").iterdir()} == {f"{name}.{kind}" for name in ("centres", "messages", "promises") for kind in ("png", "csv")}
    assert all(p.read_bytes().startswith(PNG) and p.stat().st_size > 5_000 for p in (run / "plots").glob("*.png"))
    lines = (run / "report.md").read_text().splitlines()
    assert "Ended: done. 3 steps, 3 messages, 0 faults." in lines
    table = [cells(line) for line in lines if line.startswith("| ") and not line.startswith("| ---")]
    assert table == [["agent", "messages", "characters", "worded by", "centres", "promises kept", "reward"],
                     ["FRANCE", "1", "2", "SociaLLM", "2", "–", "1"], ["ITALY", "2", "38", "the grammar (50%), SociaLLM (50%)", "1", "1 of 1", "0"],
                     ["agent", "to", "promises", "kept", "broken", "not meant"], ["ITALY", "FRANCE", "1", "1", "0", "0"]]
    assert f"report: {run / 'report.html'}" in capsys.readouterr().out


def test_who_worded_messages_is_told_by_the_log_and_never_guessed():
    def line(*by):
        return message_line(messages([message(str(i), "X", ["X", "Y"], **({"by": who} if who else {})) for i, who in enumerate(by)]))

    assert line("llm", "llm") == "messages: 2, worded by a server's model"
    assert line("llm", "grammar", "grammar", "model") == "messages: 4, worded by the grammar (50%), a server's model (25%), SociaLLM (25%)"
    assert line("human", "mine\x1b") == "messages: 2, worded by a person (50%), mine\\x1b (50%)"
    assert line("world", "grammar") == "messages: 2, 1 of them the world's own, the others worded by the grammar"
    assert line("world", "imported", None) == "messages: 3, 1 of them the world's own" and line() == "messages: 0"


def test_metrics_are_tidy_csv(tmp_path):
    run = write_run(tmp_path / "game", GAME)
    main(["report", str(run)])
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert {"step": "1", "time": "1", "metric": "centres", "agent": "FRANCE", "value": "2.0"} in rows
    assert sum(float(r["value"]) for r in rows if r["metric"] == "characters") == 40


def test_a_watched_game_gives_messages_and_surprise(tmp_path):
    run = write_run(tmp_path / "w", watched("game_1_X_Y.json", [("ITALY", ["FRANCE", "ITALY"], 4, [(2.0, 3.0, 4.0)])] * 7))
    assert main(["report", str(run)]) == 0
    assert {p.name for p in (run / "plots").iterdir()} == {"messages.png", "messages.csv", "surprise.png", "surprise.csv"}
    table = [cells(line) for line in (run / "report.md").read_text().splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    assert ["both states", "0.5000", "+0.0000"] in table and ["both emptied", "1.0000", "-0.5000"] in table
    assert "Recorded game: game_1_X_Y.json." in (run / "report.md").read_text().replace("\\", "")


def test_a_run_with_nothing_said_is_still_reported(tmp_path):
    run = write_run(tmp_path / "silent", [end("interrupted")])
    assert main(["report", str(run)]) == 0
    assert "Ended: interrupted. 1 steps, 0 messages, 0 faults." in (run / "report.md").read_text() and not (run / "plots").exists()


def test_a_run_cut_short_says_so(tmp_path):
    run = write_run(tmp_path / "cut", GAME[:3])
    with (run / "events.jsonl").open("ab") as log:
        log.write(b'{"agent":')
    assert main(["report", str(run)]) == 0
    text = (run / "report.md").read_text()
    assert "Not ended" in text and "torn" in text


def test_hostile_names_stay_text(tmp_path):
    names = ["$\\frac{1}{0}$", "_hidden", "<img src=x onerror=alert(1)>", "a|b\n| --- |\n[x](http://evil)", "\x1b[2J\u202e", "名前", "x" * 300, "%s{0}", ""]
    events = [message(str(i), name, [name, "Y"], text="hi") for i, name in enumerate(names)]
    run = write_run(tmp_path / "run", [*events, adjudication("F1901M", {name: ["PAR"] for name in names}), end()])
    assert main(["report", str(run)]) == 0
    text = (run / "report.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    assert len(rows) == 1 + len(names) + 1  # a head and the agents, whatever the names say
    assert {row.count("|") for row in rows} == {rows[0].count("|")}
    assert "<img" not in text and "[x](" not in text and "\x1b" not in text and "\u202e" not in text


def test_markdown_escapes_every_mark():
    assert markdown("*a*_b_|c|<d>`e`") == "\\*a\\*\\_b\\_&#124;c&#124;&lt;d&gt;\\`e\\`"
    assert markdown("a\nb") == "a\\\\nb"


def test_labels_are_short_and_without_mathematics():
    assert label("x$y$") == "x\\$y\\$" and label("_x") == " _x" and len(label("x" * 99)) == 24


def test_a_report_says_scenario_seed_settings_and_what_the_terminal_says(tmp_path, capsys):
    run = write_run(tmp_path / "20260102-abc", [GAME[0], *GAME[-3:]])
    (run / "manifest.json").write_text('{"name": "liars", "seed": 7, "environment": "diplomacy", "seats": {"ITALY": "planted", "FRANCE": "scripted"}}')
    (run / "config.yaml").write_text("environment: {name: diplomacy, last_year: 1905, honesty: {ITALY: 0.0}, narrator: null}")
    (run / "labels.json").write_text("{}")
    assert main(["report", str(run)]) == 0
    printed, text, page = capsys.readouterr().out.splitlines(), (run / "report.md").read_text().replace("\\", ""), (run / "report.html").read_text()
    assert text.startswith("# liars, seed 7\n") and "<title>liars, seed 7</title>" in page
    for told in ("Run 20260102-abc.", "World: diplomacy. Seats: FRANCE: scripted; ITALY: planted.", "last_year 1905, honesty ITALY=0.0. All", "labels.json says who", "reward: all that the world gave"):
        assert told in text
    assert len(printed) == 2 and all(f"- {line}" in text.splitlines() and line in page for line in printed[:-1])
    assert "Who wrote to whom, and when." in text and "<figcaption>Who wrote to whom, and when.</figcaption>" in page


def test_agents_that_only_read_are_in_the_table():
    events = [message("a", "X", ["X", "Y"])]
    assert list(by_agent(events, tables(events))["agent"]) == ["X", "Y"]


@pytest.mark.parametrize("words", [["report"], ["watch"], ["export", "game.json"]])
def test_what_is_no_runs_folder_is_told_with_the_one_to_name(tmp_path, capsys, words):
    run = write_run(tmp_path / "runs" / "game", GAME)
    (run / "manifest.json").write_text("{}")
    places = {run / "events.jsonl": f"this is a file; give the run's folder: {run}", tmp_path / "runs": f"a folder of 1 run, itself none; name one of them, such as {run}"}
    for place, told in places.items():
        before = sorted(tmp_path.rglob("*"))
        assert main([words[0], str(place), *words[1:]]) == 2
        said = capsys.readouterr()
        assert said.out == "" and said.err == f"{place}: {told}\n" and sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("spoil", ["missing", "damaged", "unwritable"])
def test_a_run_that_cannot_be_read_or_written_is_one_line_and_code_2(tmp_path, capsys, spoil):
    run = tmp_path / "run"
    if spoil != "missing":
        write_run(run, GAME)
    if spoil == "damaged":
        (run / "events.jsonl").write_bytes((run / "events.jsonl").read_bytes().replace(b"ITALY", b"ITALI", 1))
    if spoil == "unwritable":
        (run / "metrics.csv").mkdir()
    assert main(["report", str(run)]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and str(run) in told.err
    assert not (run / "report.md").exists()


def test_the_command_works_from_a_shell_and_reporting_twice_gives_the_same(tmp_path):
    run = write_run(tmp_path / "game", GAME)
    done = subprocess.run([sys.executable, "-m", "analysis", "report", str(run)], check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    first = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    assert main(["report", str(run)]) == 0
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == first
