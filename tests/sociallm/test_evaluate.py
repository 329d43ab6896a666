"""Evaluation: which messages count, what a gain, a recovery and an AUROC are, and that nothing is shown that is not this model's."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sociallm import attribution, baselines, checkpoint, evaluate, through
from sociallm.attribution import Trial, auroc, cohort_at, energies, figures_of, moments_of, nats_at, trials_of, windows_at
from sociallm.baselines import Plan, plain_of, plans
from sociallm.batches import Encoded, batch_of, drawn_slots, encode_conversation, windows_of
from sociallm.conversation import Channel, Conversation, Message
from sociallm.layout import SociaLLMConfig
from sociallm.losses import by_read, token_nll
from sociallm.model import SociaLLM
from sociallm.scores import LATE, decreasing, estimate, half_recovery, mean, ordinals, reduction, score, total
from sociallm.through import readings
from sociallm.tokenizer import Tokenizer
from sociallm.training import TrainConfig
from tests.sociallm.small import PUBLIC, conversation, model_of, saved

SETTINGS = TrainConfig(tokens=10**9, steps=3, warmup=1, report_every=1, save_every=1, batch_tokens=400, lanes=2, threads=1)


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> SociaLLM:
    return model_of(vocabulary=tokenizer.vocabulary)


def said(*lines: tuple[str, str]) -> Conversation:
    """A public conversation of (author, text), a minute a message."""
    everybody = Channel(name="ALL", readers=PUBLIC.readers | {author for author, _ in lines})
    return Conversation(id="said", messages=tuple(
        Message(id=str(k), author=author, channel=everybody, time=60_000 * k, text=text) for k, (author, text) in enumerate(lines)))


def deaf(model: SociaLLM) -> SociaLLM:
    """The same model, its social blocks saying nothing."""
    out = SociaLLM(model.config).to(model.dtype)
    out.load_state_dict(model.state_dict())
    with torch.no_grad():
        for block in out.social:
            block.out_proj.weight.zero_()
    return out


def threads(tokenizer: Tokenizer, count: int, longest: int = 5, seeds: int = 2) -> list[Encoded]:
    return [encode_conversation(replace(conversation(seed, count, longest), id=f"c{seed}"), tokenizer) for seed in range(seeds)]


# ---- which messages count ----------------------------------------------------------------------------------------------


def test_late_messages_are_those_from_the_authors_twentieth_on(tokenizer: Tokenizer, model: SociaLLM) -> None:
    """ann writes 22, bob 19, cyd 20: late are ann's last three and cyd's last one."""
    lines = [("ann", f"one {i}") for i in range(22)] + [("bob", "two")] * 19 + [("cyd", "three")] * 19 + [("cyd", "last")]
    c = said(*lines)
    assert ordinals(c)[[0, 21, 22, 40, 60]].tolist() == [1, 22, 1, 19, 20]
    found = score(model, [encode_conversation(c, tokenizer)], tokenizer)
    assert LATE == 20 and total(found.late)["messages"] == 4
    assert total(found.late)["bytes"] == len("one 19" "one 20" "one 21" "last") and total(found.every)["messages"] == 61


def test_reading_in_windows_scores_as_reading_at_once(tokenizer: Tokenizer, model: SociaLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    [encoded] = threads(tokenizer, 90, seeds=1)
    batch = batch_of(windows_of(encoded, 10**6, 10**6), tokenizer, model.config, np.random.default_rng(0), listen=0.0, slots=drawn_slots(encoded, np.random.default_rng(0)))
    with torch.no_grad():
        nats = by_read(token_nll(model, batch), batch)
    monkeypatch.setattr(through, "MESSAGES", 17)
    found = score(model, [encoded], tokenizer)
    late = ordinals(encoded.conversation) >= LATE
    for part, expected in ((found.every, nats.sum()), (found.late, nats[late].sum())):
        assert sum(row["on"] for row in part.values()) == pytest.approx(expected, rel=1e-9)
    assert 0 < late.sum() < len(late) and set(found.every) == {f"c0 {name}" for name in encoded.conversation.channels}


def test_five_conversations_are_their_own_clusters(tokenizer: Tokenizer, model: SociaLLM) -> None:
    found = score(model, threads(tokenizer, 4, seeds=5), tokenizer, ("on",))
    assert set(found.every) == {"c0", "c1", "c2", "c3", "c4"} and found.late == {}


def test_what_is_cut_off_is_what_came_before_the_window(tokenizer: Tokenizer, model: SociaLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the first window nothing; of the first message of a later one everything; of later messages neither."""
    [encoded] = threads(tokenizer, 40, seeds=1)
    monkeypatch.setattr(through, "MESSAGES", 20)
    first, later = (r.nats(model, ("on", "cut", "off")) for r in readings(model, encoded, tokenizer))
    on, cut, off = later.values()
    assert (first["on"] == first["cut"]).all()
    assert cut[0] == pytest.approx(off[0], rel=1e-12) and abs(cut[0] - on[0]) > 1e-6
    assert abs(cut[-1] - off[-1]) > 1e-6 and abs(cut[-1] - on[-1]) > 1e-9


# ---- figures -----------------------------------------------------------------------------------------------------------


def test_the_gain_of_a_model_that_does_not_use_its_states_is_exactly_nothing(tokenizer: Tokenizer, model: SociaLLM) -> None:
    encoded = threads(tokenizer, 90)
    silent, speaking = ([score(m, encoded, tokenizer).late] for m in (deaf(model), model))
    gain = reduction(silent, silent)
    assert gain.value == 0 and gain.interval == [0, 0]
    assert reduction(speaking, speaking).value != 0


def test_a_reduction_is_the_mean_of_the_seeds_ratios_of_sums() -> None:
    seeds = [{"a": {"on": 9.0, "off": 10.0}, "b": {"on": 27.0, "off": 30.0}}, {"a": {"on": 8.0, "off": 10.0}, "b": {"on": 8.0, "off": 10.0}}]
    assert reduction(seeds, seeds).value == pytest.approx(((1 - 36 / 40) + (1 - 16 / 20)) / 2)
    assert reduction(seeds, seeds).interval == pytest.approx([0.15, 0.15])  # every cluster's reduction is its seed's
    with pytest.raises(ValueError, match="different conversations"):
        reduction(seeds, [{"a": seeds[0]["a"]}])


def test_intervals_are_the_same_for_the_same_seed() -> None:
    values = np.array([1.0, 2.0, 4.0, 8.0])
    found = [estimate(lambda counts_BC: counts_BC @ values / counts_BC.sum(1), 4, seed) for seed in (0, 0, 1)]
    assert found[0].value == 3.75 and (found[0].draws_B == found[1].draws_B).all() and (found[0].draws_B != found[2].draws_B).any()
    # of 256 draws of four, 5 have a mean below 1.5 (1111, 1112) and 11 at most 1.5; 5 above 6.5 (8888, 8884) and 9 at least 6.5
    assert found[0].interval == [1.5, 6.5]
    assert mean(found[:2]).value == 3.75 and np.ptp(mean(found[:2]).draws_B) > 0


@pytest.mark.parametrize(("cut", "half"), [
    ((1.0, 0.8, 0.6, 0.4, 0.2), 2.5), ((1.0, 0.4, 0.6, 0.2, 0.0), 1.0), ((0.9, 0.9, 0.8, 0.7, 0.6), math.inf), ((1.0, 0.0, 0.0, 0.0, 0.0), 0.5),
])  # fmt: skip
def test_half_recovery_by_hand(cut: tuple[float, ...], half: float) -> None:
    """Ten tokens a message, a nat a token lost. In the second, 0.4 and 0.6 pool to 0.5."""
    rows = np.array([[10, 20, 30, 20 + 10 * v] for v in cut], float)
    assert half_recovery(np.concatenate([rows, np.zeros((3, 4))])) == pytest.approx(half)


def test_there_is_no_recovery_where_nothing_was_lost() -> None:
    assert math.isnan(half_recovery(np.array([[10.0, 30, 20, 20]]))) and math.isnan(half_recovery(np.zeros((3, 4))))


def test_pooling_weighs() -> None:
    assert decreasing(np.array([3.0, 1.0, 4.0, 0.0]), np.array([1.0, 2.0, 1.0, 1.0])).tolist() == [3, 2, 2, 0]


# ---- attribution -------------------------------------------------------------------------------------------------------


def test_auroc_by_hand() -> None:
    def of(genuine: list[float], impostor: list[float]) -> float:
        return auroc(np.array(genuine), np.array(impostor), [0] * len(genuine), 1).value

    assert of([0, 0, 0], [0, 0, 0]) == 0.5 and of([-2, -1], [0, 1]) == 1 and of([0, 1], [-2, -1]) == 0
    assert of([0, 1], [1, 2]) == 3.5 / 4
    assert math.isnan(auroc(np.zeros(0), np.zeros(0), [], 1).value)


def test_auroc_draws_threads_and_not_messages() -> None:
    """One thread is separable, the other the wrong way round: drawn twice, either counts alone."""
    found = auroc(np.array([0.0, 1.0]), np.array([1.0, 0.0]), [0, 1], 2)
    assert found.value == 0.5 and sorted(set(found.draws_B)) == [0, 0.5, 1]


def test_trials_by_hand(tokenizer: Tokenizer) -> None:
    """Long messages after ten earlier ones; single trials where another author's comes next; tens against the nearest tens."""
    long = "the quick brown fox " * 11
    warm = [(a, "hi") for a in ("ann", "bob", "cyd") for _ in range(10)]
    lines = [*warm, ("ann", long), ("dan", long), ("cyd", "no"), ("ann", long), ("bob", long), ("ann", long)]
    rng = np.random.default_rng(0)
    single, windows = trials_of(encode_conversation(said(*lines), tokenizer), rng)
    assert single == [Trial(33, 34), Trial(34, 35)] and windows == []
    turns = [(a, long) for _ in range(10) for a in ("ann", "bob", "cyd")]
    single, windows = trials_of(encode_conversation(said(*warm, *turns), tokenizer), rng)
    assert single == [Trial(k, k + 1) for k in range(30, 59)]
    assert windows == [[Trial(30 + 3 * i, 31 + 3 * i) for i in range(10)], [Trial(31 + 3 * i, 32 + 3 * i) for i in range(10)]]
    mixed = [pair for i in range(10) for pair in (("ann", long), (("bob", "cyd")[i % 2], long))]  # nobody else has ten
    _, windows = trials_of(encode_conversation(said(*warm, *mixed), tokenizer), rng)
    assert windows == [[Trial(30 + 2 * i, 31 + 2 * i) for i in range(10)]]


def test_impostors_of_a_window_are_all_different_and_later() -> None:
    assert attribution._nearest([1, 2, 9], [0, 3, 4, 10]) == [3, 4, 10] and attribution._nearest([1, 9], [3, 8]) == []


def test_a_message_read_in_its_place_is_the_message_read_in_the_conversation(tokenizer: Tokenizer, model: SociaLLM) -> None:
    """What is carried to the moment, states and channel, gives the same likelihood, with memory and without."""
    [encoded] = threads(tokenizer, 50, seeds=1)
    at = [7, 20, 21, 44]
    assert [(w.first, w.last) for w in windows_at(encoded, at)] == [(0, 7), (7, 20), (20, 21), (21, 44), (44, 45)]
    known = moments_of(model, encoded, tokenizer, at)
    moments = [known[k] for k in at]
    found = nats_at(model, moments, [encoded.words[k] for k in at], [[m.held for m in moments], [None] * 4], tokenizer.END)
    [whole] = readings(model, encoded, tokenizer)
    tokens = np.array([len(encoded.words[k]) + 1 for k in at])
    for row, nats in zip(found, whole.nats(model, ("on", "off")).values(), strict=True):
        assert row == pytest.approx(nats[at] / tokens, rel=1e-9)


def test_a_memory_that_says_nothing_knows_nobody(tokenizer: Tokenizer, model: SociaLLM) -> None:
    encoded = threads(tokenizer, 70, longest=110)
    found = energies(deaf(model), encoded, tokenizer)
    figures = figures_of(found)
    assert len(found.single) > 10 and all(v == e.empty for e in found.single for nats in (e.author, e.stranger) for v in (nats.held, nats.cohort))
    assert all(v.value == 0.5 for name, v in figures.items() if "no_state" not in name) and figures["1_no_state"].value != 0.5
    heard = energies(model, encoded, tokenizer)
    numbers = [{*e.author.held, *e.author.cohort, *e.stranger.held, *e.stranger.cohort, *e.empty} for e in heard.single]
    assert len(heard.single) == len(found.single) and all(len(v) == 10 for v in numbers)


def test_the_cohort_spoke_latest_and_often_enough(tokenizer: Tokenizer) -> None:
    """Five messages each, in the order of speaking; the author is not of it, nor who spoke four times, nor the fifth."""
    lines = [(a, "hi") for _ in range(4) for a in ("ann", "bob", "cyd", "dan", "eve", "fay", "gus")] + [(a, "hi") for a in ("fay", "eve", "ann", "dan", "cyd", "bob", "ann")]
    encoded = encode_conversation(said(*lines), tokenizer)
    at = lambda k: [encoded.agents[a] for a in cohort_at(encoded, k)]  # noqa: E731
    assert at(len(lines) - 1) == ["bob", "cyd", "dan", "eve"] and at(28) == [] and at(30) == ["eve", "fay"]


def test_a_cohort_reads_from_its_own_states(tokenizer: Tokenizer, model: SociaLLM) -> None:
    """The states of each of the cohort at a moment are those with which it writes, had it the word in that place."""
    [encoded] = threads(tokenizer, 50, seeds=1)
    k = 44
    [v, *_] = cohort_at(encoded, k)
    moment = moments_of(model, encoded, tokenizer, [k])[k]
    others = replace(encoded.conversation.messages[k], author=encoded.agents[v])
    changed = replace(encoded.conversation, messages=(*encoded.conversation.messages[:k], others, *encoded.conversation.messages[k + 1 :]))
    theirs = moments_of(model, encode_conversation(changed, tokenizer), tokenizer, [k])[k].held
    assert torch.equal(moment.cohort[0].own, theirs.own) and not torch.equal(moment.held.own, theirs.own)


# ---- baselines and the command -----------------------------------------------------------------------------------------


def todo(tokenizer: Tokenizer, sizes: SociaLLMConfig) -> list[Plan]:
    """Every kind of training, three steps each."""
    mixture, small = [(threads(tokenizer, 20), 1.0)], [(threads(tokenizer, 12), 1.0)]
    return plans(sizes, SETTINGS, mixture, small, [0], replace(sizes, layers=1))


def run(folder: Path, tokenizer: Tokenizer, stop: str = "") -> dict[str, Any]:
    """Baselines of the tiny model; killed where a line of what it says has `stop` in it."""
    shipped = folder / "tiny"
    if not shipped.is_dir():
        saved(shipped, tokenizer=tokenizer)

    def say(line: str) -> None:
        if stop and stop in line:
            raise KeyboardInterrupt

    plan = todo(tokenizer, checkpoint.load(str(shipped)).model.config)
    return baselines.run(folder / baselines.FILE, plan, sets_of(tokenizer), {"irc": "0" * 64}, folder / "work", shipped, "evaluate", say)


def sets_of(tokenizer: Tokenizer) -> dict[str, list[Encoded]]:
    return {name: threads(tokenizer, 84, seeds=1) for name in ("diplomacy_lies", "irc", "crd3", "casino")}


def timeless(value: dict[str, Any]) -> dict[str, Any]:
    return value | {"models": {n: {k: v for k, v in e.items() if not k.startswith("seconds")} for n, e in value["models"].items()}}


def test_baselines_killed_and_gone_on_with_write_what_unkilled_ones_write(written: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    unkilled = json.loads((written / baselines.FILE).read_text())
    for stop in ("plain_0: step 2", "plain_0: scored", "reader_0: step 1"):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "killed", tokenizer, stop)
    stopped = json.loads((tmp_path / "killed" / baselines.FILE).read_text())
    assert list(stopped["models"]) == ["social_0", "plain_0", "local_0", "public_0"]
    lines = run(tmp_path / "killed", tokenizer)
    written = json.loads((tmp_path / "killed" / baselines.FILE).read_text())
    assert timeless(written) == timeless(unkilled) == timeless(lines) and set(written["models"]) == {*stopped["models"], "reader_0"}
    before = (tmp_path / "killed" / baselines.FILE).read_bytes()
    run(tmp_path / "killed", tokenizer, stop="training")  # nothing is trained again
    assert (tmp_path / "killed" / baselines.FILE).read_bytes() == before


def test_the_plain_model_has_as_many_parameters() -> None:
    plain = plain_of(SociaLLMConfig())
    assert (plain.local_heads, plain.social_every) == (10, 0) and baselines.parameters(plain) == 2_335_544
    assert baselines.parameters(SociaLLMConfig()) == 2_336_600 and baselines.parameters(baselines.SMALL) <= 1_500_000


def test_a_checkpoint_is_its_own_training_and_no_others(tokenizer: Tokenizer, tmp_path: Path) -> None:
    plan = todo(tokenizer, model_of(vocabulary=tokenizer.vocabulary).config)[0]
    model = baselines.model_of(plan, tmp_path, tmp_path / "none", tokenizer, lambda line: None)
    assert baselines.finished(tmp_path / "social_0", plan.training) and not baselines.finished(tmp_path / "social_0", replace(plan, seed=1, settings=replace(SETTINGS, seed=1)).training)
    taken = baselines.model_of(plan, tmp_path / "elsewhere", tmp_path / "social_0", tokenizer, lambda line: None)
    assert taken.sha256 == model.sha256 and not (tmp_path / "elsewhere").exists()
    assert baselines.settings_of(tmp_path / "social_0", None) == SETTINGS and baselines.settings_of(tmp_path / "social_0", 7).tokens == 7


@pytest.fixture(scope="module")
def written(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny checkpoint and an evaluation.json that belongs to it."""
    folder = tmp_path_factory.mktemp("evaluation")
    run(folder, tokenizer)
    return folder


def figures_at(folder: Path, tokenizer: Tokenizer, hashes: dict[str, str]) -> evaluate.Figures:
    return evaluate.evaluated(checkpoint.load(str(folder / "tiny")), folder / "tiny", sets_of(tokenizer), hashes, lambda line: None)


def test_every_named_figure_is_there_or_says_why_not(written: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    figures = figures_at(written, tokenizer, {"irc": "0" * 64})
    assert set(figures.values) == set(evaluate.NAMES)
    have = {n for n, v in figures.values.items() if v is not None}
    assert have >= {n for n in evaluate.NAMES if n.startswith(("stream", "gain", "f2"))} | {"forget_grace"}
    assert all(figures.raw[n]["why"] for n in evaluate.NAMES if n not in have) and "energy_auroc_1" not in have  # five words are too few
    assert json.loads(json.dumps(figures.raw, allow_nan=False)) and all(name in evaluate.table(figures) for name in evaluate.NAMES)
    entry = json.loads((written / baselines.FILE).read_text())["models"]
    nats = {kind: sum(row["on"] for row in entry[f"{kind}_0"]["scores"]["crd3"]["late"].values()) for kind in ("social", "plain")}
    assert figures.values["gain_over_plain_crd3"] == pytest.approx(1 - nats["social"] / nats["plain"])
    saved(tmp_path / "tiny", tokenizer=tokenizer)
    alone = figures_at(tmp_path, tokenizer, {})
    assert alone.values["stream_gain_irc"] is not None and "shipped model only" in alone.raw["stream_gain_irc"]["seeds"]
    assert alone.values["forget_grace"] is None and "--baselines" in alone.raw["forget_grace"]["why"]


def test_readings_in_processes_of_their_own_are_those_of_one(tokenizer: Tokenizer, tmp_path: Path) -> None:
    saved(tmp_path / "tiny", tokenizer=tokenizer)
    loaded, told = checkpoint.load(str(tmp_path / "tiny")), []
    sets = {name: threads(tokenizer, 60, seeds=1) for name in evaluate.LATE_SETS}
    apart = evaluate.readings(loaded, tmp_path / "tiny", sets, 2, told.append)
    assert len(told) == 5 and apart == evaluate.readings(loaded, tmp_path / "tiny", sets, 1, told.append)


def test_a_figure_of_another_model_or_other_data_is_refused_in_one_line(written: Path, tokenizer: Tokenizer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"evaluation\.json: of irc with SHA-256 0000000000000000, but here it is 1111111111111111; restore") as refused:
        figures_at(written, tokenizer, {"irc": "1" * 64})
    assert "\n" not in str(refused.value)
    value = json.loads((written / baselines.FILE).read_text())
    saved(tmp_path / "tiny", tokenizer=tokenizer)
    for changed, what in ((value | {"checkpoint": "f" * 64}, "of checkpoint ffffffffffffffff"), (value | {"reading": {}}, "read otherwise"), ([], "not an evaluation")):
        (tmp_path / baselines.FILE).write_text(json.dumps(changed))
        assert evaluate.main(["--json", f"checkpoint={tmp_path / 'tiny'}", f"data={tmp_path}"]) == 2
        line = capsys.readouterr()
        assert line.out == "" and line.err.count("\n") == 1 and what in line.err and "--baselines" in line.err


@pytest.mark.parametrize("words", [["--jason"], ["date=x"], ["data=x", "seeds=a"], ["data=x", "tokens=0"], ["data=x", "checkpoint=/nowhere"]])
def test_a_wrong_word_is_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_nothing_named_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("SOCIALLM_DATA", raising=False)
    assert evaluate.main([]) == 2 and "SOCIALLM_DATA" in capsys.readouterr().err


