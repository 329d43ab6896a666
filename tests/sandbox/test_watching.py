"""`run --watch`: each message once, in a line that steers no terminal; of one run alone."""

from types import SimpleNamespace

from sandbox.__main__ import main
from sandbox.log import read_events
from sandbox.watching import Watching
from scenarios.environment import Outcome
from sociallm.conversation import Channel, Message
from tests.analysis.payloads import HOSTILE


def test_every_message_that_somebody_reads_is_a_line_in_the_order_of_the_log(tmp_path, capfd):
    asked = ["run", "scenarios/market.yaml", "seats.default=scripted", "executor=local", "environment.rounds=2", "plots=false", f"run_dir={tmp_path}"]
    assert main([*asked, "--watch"]) == 0
    told = capfd.readouterr()
    run = next(tmp_path.glob("market/*/"))
    said = [event for event in read_events(run / "events.jsonl") if event.kind == "message"]
    lines = [line for line in told.err.splitlines() if " → " in line]
    assert len(said) > 3 and [line.partition("] ")[2] for line in lines] == [f"{e.agent} → {', '.join(e.data['to'])}: {e.data['text']}" for e in said]
    assert told.out.splitlines()[-1] == str(run)
    assert main(asked) == 0 and " → " not in capfd.readouterr().err


def test_a_message_that_waits_is_said_once_and_hostile_ones_on_one_line_each():
    lines, steps = [], []
    watch = Watching(lines.append, lambda now, outcome, tokens: steps.append(now.step))
    said = tuple(Message(id=str(i), author=text or "A", channel=Channel(name=text, readers=frozenset((text or "A", "B"))), time=i, text=text) for i, text in enumerate(HOSTILE))
    for step in range(2):
        watch(SimpleNamespace(step=step, mailboxes={"B": said, "C": said[:3]}), Outcome(state=None), 0)
    assert steps == [0, 1] and len(lines) == len(HOSTILE)
    assert all(line.isprintable() for line in lines)


def test_a_sweep_and_an_experiment_are_refused_in_one_line_and_nothing_is_written(tmp_path, capsys):
    for what in (["scenarios/market.yaml", "seed=1,2"], ["scenarios/experiments/markets.yaml"]):
        assert main(["run", *what, f"run_dir={tmp_path}", "--watch"]) == 2
        told = capsys.readouterr()
        assert told.err.count("\n") == 1 and "--watch: expected one run" in told.err
    assert list(tmp_path.iterdir()) == []
