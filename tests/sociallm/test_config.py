"""The command line of training: what is wrong with it is one line that names the word, and exit code 2."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from sociallm.__main__ import main
from sociallm.config import compose_train
from sociallm.layout import SociaLLMConfig
from sociallm.training import TrainConfig


def test_without_other_words_it_is_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCIALLM_DATA", "/from/the/environment")
    command = compose_train(["out=there"])
    assert command.out == "there" and command.model == SociaLLMConfig() and command.train == TrainConfig() and command.data == "/from/the/environment"


def test_words_change_what_they_name_and_nothing_else() -> None:
    command = compose_train(["data=here", "out=there", "model.social_every=0", "train.tokens=1000", "train.carry=false", "train.formulation=per_reader"])
    assert (command.data, command.out) == ("here", "there")
    assert asdict(command.model) == asdict(SociaLLMConfig()) | {"social_every": 0}
    assert asdict(command.train) == asdict(TrainConfig()) | {"tokens": 1000, "carry": False, "formulation": "per_reader"}


def test_sets_that_are_left_out_are_named_with_commas() -> None:
    assert compose_train(["data=here", "out=there", "without=casino,avalon_nlu"]).without == "casino,avalon_nlu"
    assert compose_train(["data=here", "out=there", "without='casino,avalon_nlu'"]).without == "casino,avalon_nlu"
    assert compose_train(["data=here", "out=there", "without=casino"]).without == "casino"


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


@pytest.mark.parametrize(
    ("key", "meant"),
    [("train.token", "train.tokens"), ("model.widht", "model.width"), ("tokens", "train.tokens"), ("model.tokens", "train.tokens"), ("owm", "own"), ("train.Clip", "train.clip")],
)
def test_a_key_that_is_nearly_one_is_told_the_one_that_was_meant(key: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "data=here", "out=there", f"{key}=3"]) == 2
    assert capsys.readouterr().err == f"python -m sociallm train: unknown key {key}; did you mean {meant}?\n"


def test_training_writes_nowhere_that_was_not_named(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", f"data={tmp_path}"]) == 2
    said = capsys.readouterr()
    assert "out is not named; add out=FOLDER" in said.err and said.err.count("\n") == 1 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["train", "evaluate", "tokenizer"])
@pytest.mark.parametrize("words", [["--help"], ["data=here", "-h"]])
def test_every_command_says_what_it_takes(command: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, *words]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"usage: python -m sociallm {command} ") and not said.err
    if command == "train":  # every key with its default, which is taken as it stands
        keys = dict(line.strip().split("=", 1) for line in said.out.splitlines()[1:])
        assert keys["train.tokens"] == str(TrainConfig().tokens) and keys["model.width"] == str(SociaLLMConfig().width)
        given = [f"{key}={value}" for key, value in keys.items() if value]
        assert compose_train([*given, "data=here", "out=there"]) == compose_train(["data=here", "out=there"])


def test_data_has_to_be_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("SOCIALLM_DATA", raising=False)
    assert main(["train", "train.tokens=10"]) == 2
    assert "data is not named; add data=FOLDER" in capsys.readouterr().err
