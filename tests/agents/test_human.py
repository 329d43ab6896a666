"""A person at the terminal: what is shown steers nothing, what is typed is obeyed or told why not, and whoever leaves can come back."""

import io
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from agents.doors import CLOSED, Doors
from agents.memory import AgentMemory
from agents.policies.human import Options, make
from agents.types import Channel, Message, Observation, Turn
from sandbox.__main__ import main
from sandbox.log import canonical_hash, read_events
from sandbox.rights import permitted
from scenarios.diplomacy.environment import Options as DiplomacyOptions
from scenarios.diplomacy.environment import make as make_diplomacy
from tests.sandbox.runs import TOY, run

ROOT = Path(__file__).parents[2]
AB, ABC = (Channel(name="-".join(names), readers=frozenset(names)) for names in ("AB", "ABC"))
WORLD = make_diplomacy(DiplomacyOptions(press_rounds=1))


def seen(agent="A", channels=(AB, ABC), due=False, heard=(), view=None):
    return Observation(agent=agent, step=3, time=50, may_write=channels, move_due=due, heard=heard, view=view or {})


def at_table(typed, observation, language=None, memory=None):
    """(action, memory, what was shown) of a turn in which these lines are typed."""
    shown = io.StringIO()
    policy = make(language, Options(), ("A", "B", "C"), Doors(terminal=(io.StringIO("".join(f"{line}\n" for line in typed)), shown)))
    ((action, after),) = policy.step([Turn(observation=observation, memory=memory or AgentMemory(), rng=np.random.default_rng(0))])
    return action, after, shown.getvalue()


def orders_due():
    state = WORLD.start(None)
    state = WORLD.step(state, {}, None).state
    return seen("AUSTRIA", (), due=True, view=WORLD.observe(state, "AUSTRIA"))


def test_what_is_typed_to_somebody_is_said_in_the_smallest_channel_that_all_of_them_read():
    action, _, _ = at_table(["to B: hello", "all: hello all", "to B, C: you two", "C:  hi ", ""], seen())
    assert [(m.channel.name, m.text, sorted(m.addressees)) for m in action.messages] == [
        ("A-B", "hello", ["B"]), ("A-B-C", "hello all", ["B", "C"]), ("A-B-C", "you two", ["B", "C"]), ("A-B-C", "hi", ["C"])]  # fmt: skip
    assert permitted(seen(), action, ("A", "B", "C"), set())[1] == () and {w["by"] for w in action.wording} == {"human"}


@pytest.mark.parametrize(("typed", "told"), [("to D: hello", "cannot be written to"), ("to B:   ", "no move is due"), ("hello", "no move is due"), ("to B: \x00\x1b", "expected 1 to")])
def test_what_cannot_be_said_is_told_and_asked_for_again(typed, told):
    action, _, shown = at_table([typed, "to B: yes", ""], seen())
    assert told in shown and [m.text for m in action.messages] == ["yes"]


def test_moves_are_chosen_by_number_or_written_as_the_board_writes_them():
    due = orders_due()
    numbers = [[o for orders in due.view["legal"].values() for o in orders].index(order) + 1 for order in ("A BUD - SER", "A VIE - GAL")]
    action, _, shown = at_table([f"{numbers[0]} {numbers[1]}", "f tri-alb", ""], due, WORLD.language)
    assert action.move == {"A BUD": "A BUD - SER", "A VIE": "A VIE - GAL", "F TRI": "F TRI - ALB"} and action.intent["F TRI"] == {"F TRI - ALB": 1.0}
    assert f"{numbers[0]} A BUD - SER" in shown


def test_a_move_that_is_none_is_told_and_what_is_left_open_is_asked_once_more():
    action, _, shown = at_table(["999", "A PAR - BUR", "A BUD - SER", "", ""], orders_due(), WORLD.language)
    assert "999: no such number" in shown and "no move yet for A VIE, F TRI" in shown and "order" in shown
    assert action.move == {"A BUD": "A BUD - SER"}
    nothing, _, shown = at_table(["", ""], orders_due(), WORLD.language)
    assert nothing.move is None and "no move yet" in shown


def test_a_plan_is_what_the_person_intends_and_nobody_hears_of_it():
    talking = seen("AUSTRIA", WORLD.channels[:1], view=WORLD.observe(WORLD.start(None), "AUSTRIA"))
    action, _, _ = at_table(["plan A BUD - SER", ""], talking, WORLD.language)
    assert action.intent == {"A BUD": {"A BUD - SER": 1.0}} and action.move is None and action.messages == ()


def test_undo_takes_back_the_last_thing_and_said_shows_what_is_left():
    action, _, shown = at_table(["to B: one", "to B: two", "undo", "said", "undo", "undo", "to B: three", ""], seen())
    assert [m.text for m in action.messages] == ["three"] and "not said: two" in shown and "[A-B] one" in shown and "nothing was said or done yet" in shown


def test_nothing_that_others_say_steers_the_terminal():
    hostile = "\x1b]0;x\x07\x1b[2J\u202eevil\u2028\x9b31m\ud800\r\n> fake"
    said = Message(id="m", author="B\x1b[1m", channel=ABC, time=1, text=hostile)
    _, _, shown = at_table([""], seen(heard=(said,), view={"persona": hostile, "board\x1b": hostile}))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]", shown)
    assert shown.count("evil") == 3 and "\n> fake" not in shown


def test_a_person_is_asked_in_words_for_people_and_of_a_line_for_a_unit():
    _, _, shown = at_table(["", ""], orders_due(), WORLD.language)
    assert '"move"' not in shown and "null" not in shown and "{" not in shown and "Your move is due." in shown
    lines = shown.splitlines()
    assert {"A BUD", "A VIE", "F TRI"} <= set(lines) and max(map(len, lines)) < 80
    legal = [order for orders in orders_due().view["legal"].values() for order in orders]
    assert [cell.split(" ", 1)[1] for line in lines[lines.index("A BUD") : -2] if line.startswith("  ") for cell in re.findall(r"\d+ [AF] .*?(?=  +\d|$)", line)] == legal
    for quiet in (seen(channels=()), seen()):
        _, _, shown = at_table([""], quiet)
        assert "only a move counts" not in shown and "No move is due" in shown
    assert "You may write to B, A-B-C (read by B, C)." in shown


def test_adjustments_are_asked_for_in_words_too():
    view = {**orders_due().view, "legal": {"BUILD": ["A BUD B", "A VIE B", "WAIVE"]}, "count": 1}
    action, _, shown = at_table(["1", ""], seen("AUSTRIA", (), due=True, view=view), WORLD.language)
    assert "A move is 1 of the following: your builds. By number, or in words:" in shown and "move: BUILD: A BUD B" in shown and action.move == {"BUILD": ["A BUD B"]}


def test_the_board_is_shown_when_it_changed_and_when_it_is_asked_for():
    shown = io.StringIO()
    policy = make(WORLD.language, Options(), (), Doors(terminal=(io.StringIO("\n\n\nboard\n\n\n"), shown)))
    state = WORLD.start(None)
    parts, memory = [], AgentMemory()
    due = WORLD.step(state, {}, None).state
    moved = {power: {unit: f"{unit} H" for unit in WORLD.observe(due, power)["legal"]} for power in ("AUSTRIA", "TURKEY")}
    moved["TURKEY"]["A CON"] = "A CON - BUL"
    for now in (state, state, WORLD.step(due, moved, None).state):
        turn = Turn(observation=seen("AUSTRIA", (), view=WORLD.observe(now, "AUSTRIA")), memory=memory, rng=np.random.default_rng(0))
        ((_, memory),) = policy.step([turn])
        parts.append(shown.getvalue()[sum(map(len, parts)) :])
    assert "TURKEY: units" in parts[0] and "TURKEY: units" not in parts[1] and "as it was: board" in parts[1]
    assert "TURKEY: units A BUL" in parts[2] and "GERMANY: units" not in parts[2]
    policy.step([turn])
    assert shown.getvalue()[sum(map(len, parts)) :].count("TURKEY: units") == 1


@pytest.mark.parametrize("word", ["?", "help", "HELP"])
def test_the_commands_are_shown_to_whoever_asks(word):
    assert "take back the last of it" in at_table([word, ""], seen())[2] and "help, or ?" in at_table([""], seen())[2]


def test_earlier_messages_can_be_read_again_all_of_them_or_those_of_one():
    heard = tuple(Message(id=n, author=n, channel=c, time=1, text=f"from {n} before") for n, c in (("B", AB), ("C", ABC)))
    _, memory, _ = at_table(["to B: mine", ""], seen(heard=heard))
    shown = at_table(["view", ""], seen(), memory=memory)[2]
    assert [line.removeprefix("A> ") for line in shown.splitlines() if "[A-B" in line] == ["B [A-B]: from B before", "C [A-B-C]: from C before", "A [A-B]: mine"]
    for name, told in (("c", ["C"]), ("A-B", ["B", "A"])):
        shown = at_table([f"view {name}", ""], seen(), memory=memory)[2]
        assert [line.removeprefix("A> ")[0] for line in shown.splitlines() if "[A-B" in line] == told
    assert "no message with or in D yet" in at_table(["view D", ""], seen(), memory=memory)[2]


def test_a_long_text_is_wrapped_and_none_of_its_lines_begins_like_one_of_the_terminals():
    said = Message(id="m", author="B", channel=ABC, time=1, text="A> " * 200)
    _, _, shown = at_table([""], seen(heard=(said,)))
    assert max(map(len, shown.splitlines())) < 80 and sum(line.startswith("A>") for line in shown.splitlines()) <= 1


def test_characters_that_take_two_places_of_a_terminal_are_counted_as_two():
    said = Message(id="m", author="B", channel=ABC, time=1, text="字" * 34 + ".A> all: hi " + "字" * 90)
    _, _, shown = at_table([""], seen(heard=(said,)))
    places = [sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line) for line in shown.splitlines()]
    assert max(places) < 80 and not any(line.startswith("A> all") for line in shown.splitlines()) and "字" * 30 in shown


def test_who_leaves_or_whose_input_ends_interrupts_the_run():
    for typed in (["quit"], ["to B: hello"], ["EXIT"]):
        with pytest.raises(KeyboardInterrupt):
            at_table(typed, seen())


def test_a_line_without_end_is_cut_and_what_follows_it_is_read():
    action, _, shown = at_table([f"to B: {'x' * 100_000}", "to B: short", ""], seen())
    assert [m.text for m in action.messages] == ["short"] and "more than 8192 characters" in shown


def test_what_is_remembered_is_the_same_when_the_turn_is_recalled_from_a_log():
    heard = Message(id="m", author="B", channel=AB, time=1, text="hello")
    action, after, _ = at_table(["to B: hi", ""], seen(heard=(heard,)))
    policy = make(None, Options(), ("A", "B", "C"), CLOSED)
    assert policy.recall(Turn(observation=seen(heard=(heard,)), memory=AgentMemory(), rng=None), action) == after
    assert [m["text"] for m in after.notes["window"]] == ["hello", "hi"]


def test_without_a_terminal_nobody_can_be_asked():
    with pytest.raises(ValueError, match="no terminal"):
        make(None, Options(), ("A",), CLOSED).step([Turn(observation=seen(), memory=AgentMemory(), rng=None)])


def test_a_person_who_left_comes_back_and_the_game_ends_as_if_they_had_stayed(capsys, tmp_path, monkeypatch):
    lines = [*["all: hello", ""] * 2, "7", "", *["all: again", ""] * 2, "9", ""]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
    _, whole, _ = run(capsys, tmp_path, "seats.P1=human", "environment.players=2")
    words = ["run", TOY, "--plugin", "tests.sandbox.toy", f"run_dir={tmp_path}", "seats.P1=human", "environment.players=2"]
    for cut in (3, 5):  # within a step, and between two
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join([*lines[:cut], "quit"]) + "\n"))
        assert main(words) == 130
        folder = Path(capsys.readouterr().out.strip().splitlines()[-1])
        assert json.loads((folder / "manifest.json").read_text())["ended"] == "interrupted"
        steps = sum(e.kind == "step" for e in read_events(folder / "events.jsonl"))
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines[(0, 2, 4)[steps] :]) + "\n"))
        assert main(["resume", str(folder), "--plugin", "tests.sandbox.toy"]) == 0
        capsys.readouterr()
        assert canonical_hash(folder / "events.jsonl") == canonical_hash(whole)


def test_a_seat_at_a_real_terminal_is_played_to_the_end(tmp_path):
    keeper, seat = pty.openpty()
    words = [sys.executable, "-m", "sandbox", "run", "tests/sandbox/toy.yaml", "--plugin", "tests.sandbox.toy", f"run_dir={tmp_path}"]
    child = subprocess.Popen([*words, "seats.P1=human", "environment.games=1", "environment.players=2"], cwd=ROOT, stdin=seat, stdout=seat, stderr=seat, close_fds=True)
    os.close(seat)
    typed, shown = [b"all: hello\n", b"\n", b"\n", b"7\n", b"\n"], b""
    while child.poll() is None or select.select([keeper], [], [], 0)[0]:
        if select.select([keeper], [], [], 0.2)[0]:
            try:
                shown += os.read(keeper, 4096)
            except OSError:  # the other side is closed
                break
        if shown.rstrip(b" ").endswith(b"P1>") and typed:
            os.write(keeper, typed.pop(0))
            shown += b"\n"
        time.sleep(0.01)
    os.close(keeper)
    assert child.wait(60) == 0 and b"done: 3 steps" in shown and b"\x1b[" not in shown, shown[-2000:]
    (log,) = tmp_path.glob("toy/*/events.jsonl")
    mine = [e.data for e in read_events(log) if e.agent == "P1" and e.kind in ("message", "move")]
    assert mine[-1] == {"move": 7} and (mine[0].get("text") == "hello" or b"not said: " in shown)
