"""What scores were made of: whatever of it changes, the table is refused in one line that names it, with the command that mends it."""

import json
import shutil

import pytest

from analysis import provenance
from analysis.__main__ import main
from analysis.detectors import DETECTORS
from analysis.scores import ScoresWish
from tests.analysis.test_verdicts import experiment


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """An experiment with its scores."""
    folder = experiment(tmp_path_factory.mktemp("scored") / "e", {"honest": False, "cartel": True})
    provenance.make(folder, ScoresWish(("nuisance", "liars")))
    return folder


def told(change):
    """A change of the record."""
    def of(folder):
        path = folder / "scores.json"
        record = json.loads(path.read_text())
        change(record)
        path.write_text(json.dumps(record))

    return of


def cut(folder, name, end=-1):
    """Without the last line of a file."""
    lines = (folder / name).read_text().splitlines(keepends=True)
    (folder / name).write_text("".join(lines[:end]))


CHANGES = {
    "of the run cartel/2 as it was before its log was changed": lambda folder: cut(folder, "cartel/2/events.jsonl"),
    "of the run cartel/2 as it was before its world was changed": lambda folder: (folder / "cartel/2/manifest.json").write_text('{"environment": "team_task"}'),
    "scores.json: missing": lambda folder: (folder / "scores.json").unlink(),
    "scores.json: cannot be read": lambda folder: (folder / "scores.json").write_text("{"),
    "no record of version 1": lambda folder: (folder / "scores.json").write_text("[]"),
    "holds no score of cartel/1": lambda folder: cut(folder, "scores.csv", 2),
    "by the detector nuisance as it was before its nuisance.py": told(lambda record: record["detectors"]["nuisance"].update({"nuisance.py": "0" * 64})),
    "by the detector liars as it was before its liars.json": told(lambda record: record["detectors"]["liars"].update({"liars.json": "0" * 64})),
    "holds scores by the detector crystal, which is there no more": told(lambda record: record["detectors"].update(crystal={})),
    "holds no scores by the detector screens": told(lambda record: record["wish"].update(detectors=["nuisance", "liars", "screens"])),
    "does not say of which runs": told(lambda record: record.pop("runs")),
    "holds no scores of the run cartel/1": told(lambda record: record["runs"].pop("cartel/1")),
    "made with another model": told(lambda record: record.update(checkpoint="0" * 64)),
    "another version of this program": told(lambda record: record.update(program="0.0.1")),
    "only partly written": lambda folder: (folder / "scores.csv").write_text((folder / "scores.csv").read_text().replace(",1.0,", ",2.0,", 1)),
    "wish is {": told(lambda record: record["wish"].update(parts="many")),
    "wish is None": told(lambda record: record.pop("wish")),
}  # fmt: skip


@pytest.mark.parametrize("why", CHANGES)
def test_scores_of_something_else_than_is_there_are_refused(scored, tmp_path, capsys, why):
    folder = tmp_path / "e"
    shutil.copytree(scored, folder)
    CHANGES[why](folder)
    assert main(["verdicts", str(folder)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and why in said and f"python -m analysis scores {folder}" in said


def test_scores_of_what_is_there_are_read(scored):
    found, wish = provenance.read(scored)
    assert wish == ScoresWish(("nuisance", "liars")) and set(found["detector"]) == {"nuisance", "liars"} and provenance.asked(scored) == wish
    record = json.loads((scored / "scores.json").read_text())
    assert set(record["detectors"]["liars"]) == {"liars.py", "liars.json"} and record["checkpoint"] is None and set(record["runs"]) == {"honest/1", "honest/2", "cartel/1", "cartel/2"}


def test_where_a_model_is_asked_its_weights_are_named(scored):
    assert len(provenance.made_of(scored, ScoresWish(("duplicity",)))["checkpoint"]) == 64
    with pytest.raises(provenance.AnalysisError, match="nowhere"):
        provenance.made_of(scored, ScoresWish(("duplicity",), checkpoint="nowhere"))


def test_all_that_detectors_were_taught_is_named_in_their_table():
    assert {file for detector in DETECTORS for file in detector.data} == {path.name for path in provenance.HERE.glob("*.json")}


def test_a_table_is_there_whole_or_as_it_was(scored, tmp_path, monkeypatch):
    """A kill while scores are written leaves no half of a table; one before the record is written leaves a table that is refused."""
    folder = tmp_path / "e"
    shutil.copytree(scored, folder)
    before = (folder / "scores.csv").read_bytes()
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr("pandas.DataFrame.to_csv", lambda frame, path, **_: (path.write_text("arm,se"), (_ for _ in ()).throw(KeyboardInterrupt))[0])
        provenance.make(folder, ScoresWish(("nuisance",)))
    assert (folder / "scores.csv").read_bytes() == before and not list(folder.glob("*.part"))
    assert provenance.read(folder)
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(provenance.json, "dumps", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        provenance.make(folder, ScoresWish(("nuisance",), parts=2))
    with pytest.raises(provenance.Outdated, match="partly written"):
        provenance.read(folder)
