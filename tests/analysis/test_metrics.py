"""Tables of a run: hand-made logs with numbers counted by hand."""

import pandas as pd
import pytest

from analysis import metrics, tidy
from analysis.metrics import AnalysisError
from analysis.plots import who_to_whom
from analysis.promises import phases, promises
from analysis.report import tables
from analysis.trust import trust
from sandbox.log import Event
from tests.analysis.runs import adjudication, end, memory, message, write_run


def test_centres_of_a_year_are_those_after_its_last_adjudication_and_the_eliminated_own_none():
    events = [adjudication("S1901M", {"FRANCE": ["PAR"], "ITALY": ["ROM"]}), adjudication("F1901M", {"FRANCE": ["PAR", "SPA"], "ITALY": ["ROM"]}),
              adjudication("W1901A", {"FRANCE": ["PAR", "SPA"], "ITALY": ["ROM"]}), adjudication("F1902M", {"FRANCE": ["PAR", "SPA", "ROM"]})]
    years = metrics.centres_by_year(events)
    assert years.to_dict() == {"FRANCE": {1900: 1, 1901: 2, 1902: 3}, "ITALY": {1900: 1, 1901: 1, 1902: 0}}


def test_a_year_cut_short_in_spring_is_no_year():
    events = [adjudication("S1901M", {"FRANCE": ["PAR"]}), adjudication("F1901M", {"FRANCE": ["PAR", "SPA"]}), adjudication("S1902M", {"FRANCE": ["PAR", "SPA"]})]
    assert metrics.centres_by_year(events).to_dict() == {"FRANCE": {1900: 1, 1901: 2}}


def test_surprise_is_the_mean_over_readers_then_per_token_over_messages():
    events = [message("a", "X", ["X", "Y", "Z"]), memory("a", "X", 2, 99, 99, 99), memory("a", "Y", 2, 4.0, 5.0, 6.0), memory("a", "Z", 2, 2.0, 3.0, 8.0),
              message("b", "Y", ["X", "Y"]), memory("b", "X", 6, 1.0, 4.0, 9.0), Event(kind="memory", step=0, time=0, agent="X", data={"message": "b", "reader": "X", "energy": 1})]
    read = metrics.surprises(events)
    assert list(zip(read["message"], read["reader"], strict=True)) == [("a", "Y"), ("a", "Z"), ("b", "X")]  # the author's own memory is no surprise
    assert metrics.nats_per_token(read) == {"surprise": (3 + 1) / 8, "surprise_no_int": (4 + 4) / 8, "surprise_no_states": (7 + 9) / 8}


def test_a_run_without_measurement_has_no_surprise():
    assert metrics.nats_per_token(metrics.surprises([message("a", "X", ["X", "Y"])])) == {}


def tidied(events):
    return tidy.tidy(events, promises(phases(events)), trust(events))


def test_tidy_holds_one_value_a_row_and_sums_back_to_the_counts():
    events = [message("a", "X", ["X", "Y"], text="hey", by="model"), message("b", "Y", ["X", "Y"], text="yo", step=1, by="grammar"), memory("a", "Y", 3, 1.0, 2.0, 3.0),
              Event(kind="reward", step=2, time=2, agent="X", data={"reward": -1}),
              Event(kind="fault", step=3, time=3, agent="Y", data={"what": "x", "why": "y"})]
    table = tidied(events)
    assert list(table.columns) == ["step", "time", "metric", "agent", "value"] and table["step"].is_monotonic_increasing
    sums = table.groupby("metric")["value"].sum().to_dict()
    assert sums == {"messages": 2, "characters": 5, "worded_by_model": 1, "tokens": 3, "surprise": 1, "surprise_no_int": 2, "surprise_no_states": 3,
                    "reward": -1, "fault": 1}
    assert table[table["metric"] == "reward"].iloc[0].to_dict() == {"step": 2, "time": 2, "metric": "reward", "agent": "X", "value": -1.0}


def test_an_empty_run_is_an_empty_table():
    assert list(tidied([end()]).columns) == tidy.TIDY and len(tidied([end()])) == 0


def test_who_wrote_to_whom_counts_a_message_to_several_once():
    sent = metrics.messages([message("0", "X", ["X", "Y"]), message("1", "X", ["X", "Y"]), message("2", "Y", ["X", "Y", "Z"]),
                             message("3", "Z", ["X", "Y", "Z"], to=["X"]), message("4", "Z", ["Z"])])
    agents, counts = who_to_whom(sent)
    assert agents == ["X", "Y", "Z"]
    assert counts.tolist() == [[0, 2, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]]  # to X, Y, Z, several


@pytest.mark.parametrize("bad", [
    Event(kind="message", step=0, time=0, agent="X", data={"id": 3, "channel": "c", "text": "t"}),
    Event(kind="message", step=0, time=0, agent="X", data={"id": "a", "channel": "c", "text": "t", "readers": "XY"}),
    Event(kind="memory", step=0, time=0, agent="X", data={"message": "a", "reader": "X", "tokens": "7", "surprise": 1.0}),
    Event(kind="outcome", step=0, time=0, data={"events": {}}), adjudication("soon", {}), adjudication("F1901M", None)])
def test_a_log_of_another_shape_is_named_by_its_record(bad):
    with pytest.raises(AnalysisError, match="record -1"):
        tables([bad])


def test_a_missing_empty_or_changed_log_is_one_line(tmp_path):
    whole = write_run(tmp_path / "whole", [message("a", "X", ["X", "Y"]), end()])
    data = (whole / "events.jsonl").read_bytes()
    for name, content in (("empty", b""), ("changed", data.replace(b"hello", b"hallo")), ("text", b"hi\n"), ("binary", bytes(range(256)) * 4 + b"\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "events.jsonl").write_bytes(content)
    for name in ("empty", "changed", "text", "binary", "missing"):
        with pytest.raises(AnalysisError) as refused:
            metrics.read_run(tmp_path / name)
        assert str(tmp_path / name) in str(refused.value) and "\n" not in str(refused.value)


def test_a_torn_last_record_is_told_and_left_out(tmp_path):
    run = write_run(tmp_path / "run", [message("a", "X", ["X", "Y"]), end()])
    data = (run / "events.jsonl").read_bytes()
    (run / "events.jsonl").write_bytes(data[:-5])
    told = []
    assert [e.kind for e in metrics.read_run(run, told.append)] == ["message"] and len(told) == 1


def test_tidy_values_are_numbers(tmp_path):
    assert pd.api.types.is_float_dtype(tidied([message("a", "X", ["X", "Y"])])["value"])
