"""Files and folders that take the place of others: the new one or the old one is there at any moment, whatever fails."""

import os

import pytest

from sandbox.disk import placed, placed_folder
from sandbox.snapshot import prune

pytestmark = pytest.mark.security(line="S9")


def place(folder, text):
    with placed_folder(folder) as part:
        (part / "file").write_text(text)


def test_an_older_folder_is_there_until_the_newer_one_is_on_disk(tmp_path, monkeypatch):
    place(tmp_path / "it", "old")
    real, seen = os.fsync, []
    monkeypatch.setattr(os, "fsync", lambda file: (seen.append({path.parent.name: path.read_text() for path in tmp_path.glob("*/file")}), real(file)))
    place(tmp_path / "it", "new")
    assert seen == [{"it": "new", "it.old.part": "old"}] and os.listdir(tmp_path) == ["it"]


@pytest.mark.parametrize("nth", [1, 2])
def test_an_older_folder_stays_when_the_newer_one_cannot_take_its_place(nth, tmp_path, monkeypatch):
    place(tmp_path / "it", "old")
    real, left = os.rename, [nth]

    def rename(*given):
        left[0] -= 1
        if left[0] == 0:
            raise OSError(28, "No space left on device")
        real(*given)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(OSError, match="No space"):
        place(tmp_path / "it", "new")
    assert os.listdir(tmp_path) == ["it"] and (tmp_path / "it" / "file").read_text() == "old"


def test_what_a_killed_writer_left_gives_way(tmp_path):
    for name in ("it.part", "it.old.part"):
        place(tmp_path / name, "left")
    place(tmp_path / "it", "new")
    assert os.listdir(tmp_path) == ["it"] and os.listdir(tmp_path / "it") == ["file"]


def test_a_file_is_there_whole_or_as_it_was(tmp_path):
    with placed(tmp_path / "file") as part:
        part.write_text("old")
    with pytest.raises(KeyError), placed(tmp_path / "file") as part:
        part.write_text("half")
        raise KeyError
    assert os.listdir(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "old"


def test_the_name_of_every_folder_made_on_the_way_is_on_disk_before_the_one_in_it(tmp_path, monkeypatch):
    real, synced = os.fsync, []
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(os.readlink(f"/proc/self/fd/{file}")), real(file)))
    place(tmp_path / "runs" / "toy" / "one", "new")
    assert synced == [str(tmp_path), str(tmp_path / "runs"), str(tmp_path / "runs" / "toy")]
    synced.clear()
    place(tmp_path / "runs" / "toy" / "two", "new")
    assert synced == [str(tmp_path / "runs" / "toy")]


def test_pruning_leaves_the_newest_three_the_one_named_the_last_and_nothing_half_done(tmp_path):
    for name in ("start", *(f"{step:08d}" for step in range(6)), "final", "00000001.part", "00000009.part", "final.old.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "snapshot.json").write_text("{}")
    (tmp_path / "snapshot.json.part").touch()
    prune(tmp_path, but="00000000")
    assert sorted(os.listdir(tmp_path)) == ["00000000", "00000003", "00000004", "00000005", "final", "start"]
