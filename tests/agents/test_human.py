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
