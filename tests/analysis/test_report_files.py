"""The list of a report's files: what an older report wrote gives way to a newer one, and nothing else is touched."""

import json
from hashlib import sha256

import pytest

from analysis import report_files
from analysis.metrics import AnalysisError


def report(folder, **files):
    """A report of these files, as `name_ending` → text, placed in the folder."""
    part = folder / "report.part"
    for name, text in files.items():
        path = part / name.replace("__", "/").replace("_csv", ".csv").replace("_png", ".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    report_files.place(part, folder)


def test_only_what_an_older_report_wrote_gives_way(tmp_path):
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "mine.png").write_text("mine")
    report(tmp_path, power_csv="1", plots__roc_png="2", plots__gain_png="3", plots__who_csv="4")
    (tmp_path / "plots" / "who.csv").write_text("changed by hand")
    report(tmp_path, power_csv="5")
    assert (tmp_path / "power.csv").read_text() == "5" and sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["mine.png", "who.csv"]
    assert report_files.written(tmp_path) == {"power.csv": sha256(b"5").hexdigest()}


def test_one_killed_while_files_took_their_places_still_knows_all_it_wrote(tmp_path, monkeypatch):
    report(tmp_path, plots__old_png="1")
    with monkeypatch.context() as broken, pytest.raises(OSError):
        broken.setattr(report_files.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        report(tmp_path, plots__new_png="2")
    assert (tmp_path / "plots" / "old.png").exists() and set(report_files.written(tmp_path)) == {"plots/old.png"}


@pytest.mark.parametrize("text", ['{"v": 1, "files": {"../notes.csv": ""}}', '{"v": 1, "files": {"/etc/x.csv": ""}}', '{"v": 1, "files": {"runs.csv/../a.csv": ""}}', "{", "[]", '{"v": 9, "files": {}}',
                                  '{"v": 1, "files": {"a.csv": 5}}', "[" * 100_000])  # fmt: skip
def test_a_list_that_is_none_is_refused_and_nothing_is_touched(tmp_path, text):
    (tmp_path / "report_files.json").write_text(text)
    with pytest.raises(AnalysisError, match="report_files.json: not the list") as error:
        report(tmp_path, power_csv="5")
    assert "\n" not in str(error.value) and not (tmp_path / "power.csv").exists()


def test_a_list_of_files_that_are_elsewhere_removes_nothing(tmp_path):
    (tmp_path / "away").mkdir()
    (tmp_path / "away" / "a.csv").write_text("mine")
    (tmp_path / "plots").symlink_to(tmp_path / "away")
    (tmp_path / "report_files.json").write_text(json.dumps({"v": 1, "files": {"plots/a.csv": sha256(b"mine").hexdigest()}}))
    report(tmp_path, power_csv="5")
    assert (tmp_path / "away" / "a.csv").exists()
