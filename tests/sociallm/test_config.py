"""The command line of training: what is wrong with it is one line that names the word, and exit code 2."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from sociallm.__main__ import main
from sociallm.config import compose_train
from sociallm.model import SociaLLMConfig
from sociallm.train import TrainConfig


def test_without_words_it_is_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCIALLM_DATA", "/from/the/environment")
    command = compose_train([])
    assert command.model == SociaLLMConfig() and command.train == TrainConfig() and command.data == "/from/the/environment"


def test_words_change_what_they_name_and_nothing_else() -> None:
    command = compose_train(["data=here", "out=there", "model.social_every=0", "train.tokens=1000", "train.carry=false", "train.formulation=per_reader"])
    assert (command.data, command.out) == ("here", "there")
    assert asdict(command.model) == asdict(SociaLLMConfig()) | {"social_every": 0}
    assert asdict(command.train) == asdict(TrainConfig()) | {"tokens": 1000, "carry": False, "formulation": "per_reader"}


@pytest.mark.parametrize(
    "word, named",
    [
        ("train.minutes=10", "minutes"),  # no such key
        ("model.depth=3", "depth"),
        ("train.tokens=many", "many"),
        ("train.tokens", "key=value"),
        ("+train.tokens=5", "key=value"),
        ("hydra.run.dir=x", "key=value"),
        ("out=${oc.env:HOME}", "key=value"),
        ("train.formulation=private", "formulation"),
        ("train.tokens=-1", "tokens"),
        ("train.steps=0", "steps"),
        ("train.lanes=-2", "lanes"),
        ("train.lanes=5000", "batch_tokens"),  # fewer than lanes
        ("train.seed=-1", "seed"),
        ("train.learning_rate=-0.1", "learning_rate"),
        ("train.learning_rate=nan", "learning_rate"),
        ("train.weight_decay=-1", "weight_decay"),
        ("train.clip=0", "clip"),
        ("train.listen_weight=-1", "listen_weight"),
        ("train.listen_share=1.5", "listen_share"),
        ("model.social_every=9", "social_every"),
        ("model.width=-8", "width"),
        ("model.fusion=product", "fusion"),
        ("train.device=tpu", "device"),
        ("own_weight=0", "own_weight"),
        ("own_weight=nan", "own_weight"),
        ("without=diplomacy", "diplomacy"),  # no such set
    ],
)
def test_a_wrong_word_is_refused_in_one_line(word: str, named: str, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = tmp_path_factory.mktemp("none")
    assert main(["train", f"data={empty}", f"out={empty / 'out'}", word]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and named in said.err and not said.out
    assert not (empty / "out").exists()


def test_data_has_to_be_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("SOCIALLM_DATA", raising=False)
    assert main(["train", "train.tokens=10"]) == 2
    assert "data is not named; add data=FOLDER" in capsys.readouterr().err
