"""Exports read by the libraries they are made for: `make export-libraries`, which has them in an environment of its own. Skipped where they are not."""

import json

import pytest

from sandbox.exporting.export import export
from sandbox.exporting.wish import Wish
from tests.sandbox.exports import runs

SIDES = ("train", "validation")


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    """Caches and settings of the libraries go where the test's other files go, and nothing is asked of the network."""
    for name in ("HOME", "HF_HOME", "HF_DATASETS_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")


def made(tmp_path, format, **options):
    counts = export([runs()], Wish(format=format, out=tmp_path / format, validation=0.5, **options), messages=100)
    return tmp_path / format, counts


@pytest.mark.parametrize("bare", [False, True], ids=["all", "without"])
@pytest.mark.parametrize("format", ["messages", "sharegpt", "parquet"])
def test_datasets_loads_the_folder_with_its_sides_and_columns(tmp_path, format, bare):
    datasets = pytest.importorskip("datasets", reason="the library datasets is not here; make export-libraries has it")
    out, counts = made(tmp_path, format, **({"without": frozenset({"intents", "labels"}), "planted": "exclude"} if bare else {}))
    found = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {side: len(found[side]) for side in found} == counts.rows and min(counts.rows.values()) > 3
    assert found["train"].features == found["validation"].features
    if format != "parquet":  # JSON lines as they stand
        lines = [json.loads(line) for side in SIDES for path in sorted((out / side).glob("*.jsonl")) for line in path.read_text().splitlines()]
        assert [row for side in SIDES for row in found[side]] == lines
    row = found["train"][0]
    turns = row["messages"] if format != "sharegpt" else row["conversations"]
    assert turns[0][{"sharegpt": "from"}.get(format, "role")] == "system" and ("intents" in row) != bare and ("planted" in row) != bare


def test_convokit_loads_both_sides_whole_and_its_threads_hang_together(tmp_path):
    convokit = pytest.importorskip("convokit", reason="the library ConvoKit is not here; make export-libraries has it")
    out, counts = made(tmp_path, "convokit")
    for side in SIDES:
        corpus = convokit.Corpus(filename=str(out / side))
        said = list(corpus.iter_utterances())
        assert len(said) == counts.turns[side] > 0
        for talk in corpus.iter_conversations():
            assert talk.check_integrity(verbose=False) and {u.speaker.meta["name"] for u in talk.iter_utterances()} <= set(talk.meta["readers"])
            assert len({talk.meta["channel"]}) == 1 and isinstance(talk.meta["planted"], dict)
        assert all(isinstance(u.meta["to"], list) and isinstance(u.meta["step"], int) for u in said)
    labels = {s.meta["planted"] for side in SIDES for s in convokit.Corpus(filename=str(out / side)).iter_speakers()}
    assert labels == {True, False}


def test_the_diplomacy_package_loads_a_saved_game(tmp_path):
    saved = pytest.importorskip("diplomacy.utils.export", reason="the package diplomacy is not here; it is one of the extra dev")
    counts = export([runs() / "personas"], Wish(format="diplomacy", out=tmp_path / "out", validation=0.0))
    (path,) = (tmp_path / "out").glob("train/*.json")
    value = json.loads(path.read_text())
    game = saved.from_saved_game_format(value)
    assert counts.rows["train"] == 1 and game.map.name == "standard" and len(value["phases"]) >= 4
    assert {power: sorted(p.centers) for power, p in game.powers.items()} == {power: sorted(c) for power, c in value["phases"][-1]["state"]["centers"].items()}
