"""Filters on rows whose words, likeness, energy and shares are known, and on real runs with tables of energies made by hand."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import pytest

from sandbox.exporting.export import export
from sandbox.exporting.filters import Found, Likeness, first_look, last_look, shingles
from sandbox.exporting.row import Row
from sandbox.exporting.wish import ExportError, Wish
from tests.sandbox.exports import content, runs


def wish(**options):
    return Wish(format="messages", out=Path("out"), **options)


def text(first, last):
    return " ".join(f"w{n}" for n in range(first, last))


def test_length_counts_words_said_and_read():
    row = Row(id="r/A", own=("one two", "three"), read=("four five",), bytes={"a": 10})
    assert [first_look(row, "r", wish(length=limits), None, None).why for limits in ((5, 5), (6, 9), (1, 4), (0, 99))] == ["", "short", "long", ""]


def test_shingles_are_three_words_of_one_text_and_own_words_are_not_read_ones():
    row = Row(id="r/A", own=("A b c d", "e"), read=("a b c",))
    assert shingles(row) == {b"o a b c", b"o b c d", b"o e", b"r a b c"}


def test_near_duplicates_of_other_runs_are_left_out_and_likeness_is_that_of_their_shingles():
    pytest.importorskip("datasketch", reason="needs datasketch: pip install 'social-sandbox[export]'")
    first = Row(id="1/A", own=(text(0, 1002),))  # 1,000 shingles
    near = Row(id="2/A", own=(text(30, 1032),))  # 970 of them, of 1,030 in both: 0.94
    far = Row(id="3/A", own=(text(500, 1502),))  # 500 of 1,500: 0.33
    both = shingles(first) & shingles(near), shingles(first) | shingles(near)
    assert (len(both[0]), len(both[1])) == (970, 1030)
    likeness = Likeness(0.8)
    looked = [first_look(row, row.id[0], wish(alike=0.8), likeness, None) for row in (first, near, far)]
    assert [one.why for one in looked] == ["", "alike", ""]
    estimate = np.mean(np.array(likeness.signature(first)) == np.array(likeness.signature(near)))
    assert abs(estimate - 970 / 1030) < 4 * np.sqrt(0.94 * 0.06 / 128)
    assert first_look(Row(id="1/B", own=(text(0, 1002),)), "1", wish(alike=0.8), Likeness(0.8), None).why == ""
    again = Likeness(0.8)  # as after a kill: from the signatures kept
    again.keep("1/A", looked[0].signature)
    assert again.alike("2", likeness.signature(near)) and not again.alike("1", likeness.signature(near))


def test_energies_between_the_quantiles_stay():
    rows = [Found(f"r/{n}", energy=float(n)) for n in range(101)] + [Found("r/unknown")]
    why = list(last_look(rows, wish(energy=(0.01, 0.99))))
    assert [row.id for row, reason in zip(rows, why, strict=True) if reason] == ["r/0", "r/100"] and set(why) == {"", "energy"}


def test_a_rows_energy_is_the_mean_of_what_it_says():
    row = Row(id="r/A", own=("x", "y", "z"), said=("m1", "m2", "m3"))
    assert first_look(row, "r", wish(energy=(0.0, 1.0)), None, {"m1": 1.0, "m3": 2.0, "other": 9.0}).energy == 1.5


def test_no_lineage_has_more_than_its_share_and_which_rows_go_hangs_on_their_names_alone():
    rows = [Found(f"{n}/A", bytes={"big": 10}) for n in range(8)] + [Found("x/B", bytes={"small": 20})]
    why = dict(zip((row.id for row in rows), last_look(rows, wish(cap=0.4)), strict=True))  # 40 of 100 bytes
    assert sorted(why.values()).count("cap") == 4 and why["x/B"] == ""
    drawn = sorted((row.id for row in rows[:8]), key=lambda name: hashlib.sha256(name.encode()).digest())
    assert {name for name, reason in why.items() if reason} == set(drawn[4:])
    assert why == dict(zip((row.id for row in rows[::-1]), last_look(rows[::-1], wish(cap=0.4)), strict=True))
    assert list(last_look(rows, wish(cap=0.4, of=1000))) == [""] * 9


# ---- on real runs ------------------------------------------------------------------------------------------------------


def copied(tmp_path, energies):
    """The runs of one arm, with tables in which the n-th run's messages have the n-th energy."""
    top = shutil.copytree(runs() / "ring", tmp_path / "runs")
    for n, energy in enumerate(energies, 1):
        log = [json.loads(line) for line in (top / str(n) / "events.jsonl").read_text().splitlines()]
        ids = [event["data"]["id"] for event in log if event["kind"] == "message"]
        parquet.write_table(pyarrow.table({"message": ids * 2, "role": ["wrote"] * len(ids) + ["read"] * len(ids), "e_rel": [energy] * len(ids) + [99.0] * len(ids)}), top / str(n) / "observed.parquet")
    return top


def test_rows_outside_the_band_of_energies_are_left_out(tmp_path):
    top = copied(tmp_path, (-1.0, 0.0, 5.0))
    counts = export([top], Wish(format="conversations", out=tmp_path / "out", energy=(0.0, 0.6), validation=0.0))
    assert counts.left_out == {"energy": 1} and counts.rows["train"] == 2
    (path,) = (tmp_path / "out").glob("train/*/*.jsonl")
    assert {json.loads(line)["about"]["seed"] for line in path.read_text().splitlines()} == {1, 2}


def test_a_table_of_energies_that_does_not_know_a_message_is_refused(tmp_path):
    top = copied(tmp_path, (0.0, 0.0, 0.0))
    shutil.copy(top / "1" / "observed.parquet", top / "2" / "observed.parquet")
    table = parquet.read_table(top / "3" / "observed.parquet")
    parquet.write_table(table.slice(0, len(table) // 2 - 1), top / "3" / "observed.parquet")  # all that were written but the last
    with pytest.raises(ExportError, match="knows nothing of 1 messages"):
        export([top / "3"], Wish(format="messages", out=tmp_path / "out", energy=(0.0, 1.0)))


@pytest.mark.parametrize("value", [float("inf"), "x"])
def test_an_energy_that_is_no_number_is_refused(tmp_path, value):
    top = copied(tmp_path, (0.0, 0.0, 0.0))
    table = parquet.read_table(top / "1" / "observed.parquet")
    values = pyarrow.array([value] * len(table))
    parquet.write_table(table.set_column(table.column_names.index("e_rel"), "e_rel", values), top / "1" / "observed.parquet")
    with pytest.raises(ExportError, match="expected a number"):
        export([top / "1"], Wish(format="messages", out=tmp_path / "out", energy=(0.0, 1.0)))


def test_an_export_does_not_go_on_with_other_energies_than_those_it_was_begun_with(tmp_path):
    top = copied(tmp_path, (0.0, 0.5, 1.0))
    wish = Wish(format="messages", out=tmp_path / "out", energy=(0.0, 1.0))
    export([top], wish)
    shutil.copy(top / "1" / "observed.parquet", top / "2" / "observed.parquet")
    with pytest.raises(ExportError, match="of other runs"):
        export([top], wish)


def test_all_filters_in_small_pieces_give_the_same_whatever_the_order(tmp_path):
    pytest.importorskip("datasketch", reason="needs datasketch: pip install 'social-sandbox[export]'")
    of = [runs() / arm for arm in ("ring", "pairs", "cartel", "twin")]
    options = {"format": "messages", "alike": 0.5, "length": (5, 5000), "cap": 0.05}
    one = export(of, Wish(out=tmp_path / "one", **options), messages=30)
    other = export(of[::-1], Wish(out=tmp_path / "other", **options), messages=30)
    assert content(tmp_path / "one") == content(tmp_path / "other") and one.left_out == other.left_out
    assert {"alike", "cap"} <= set(one.left_out)
    assert len(list((tmp_path / "one").glob("train/*.jsonl"))) > 3
