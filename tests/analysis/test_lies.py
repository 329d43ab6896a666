"""Lies of people: what enters a score and what must not, figures against brute force and scikit-learn, files, refusals."""

from __future__ import annotations

import json
import os
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from analysis import lie_features, lie_model, lie_saved, lie_states, lies
from analysis.__main__ import main
from analysis.lie_files import Press, PressGame, read_file, read_folder
from analysis.metrics import AnalysisError
from analysis.stats import auroc
from sociallm import checkpoint
from sociallm.checkpoint import checkpoint_hash
from sociallm.layout import SociaLLMConfig
from sociallm.model import build
from tests.sociallm.conftest import one_thread  # noqa: F401 (a fixture is used by being here)
from tests.sociallm.small import model_of, tokenizer_of

DATA = Path(os.environ.get("SOCIALLM_DATA") or Path(__file__).resolve().parents[2].parent / "shared" / "data")
needs_data = pytest.mark.skipif(not (DATA / "diplomacy_lies" / "train.jsonl").is_file(), reason=f"no diplomacy_lies in {DATA}; set SOCIALLM_DATA")
FALSE = ("trust me, I will surely support you", "I promise, trust me")
TRUE = ("moving to Tyrolia, ok", "yes fine", "what about Galicia?", "no thanks")
SEASONS = ("Spring", "Fall", "Winter")


def dialogues(game: int, count: int = 40):
    """A game of four powers, a record for each two of them; four lies of five sound like FALSE, and nothing else does."""
    rng, found = np.random.default_rng(game), {}
    for k in range(count):
        one, other = (("austria", "england", "france", "italy")[i] for i in rng.permutation(4)[:2])
        lie = bool(rng.random() < 0.25)
        text = str(rng.choice(FALSE if lie and rng.random() < 0.8 else TRUE))
        season = k * 6 // count
        row = {
            "messages": text, "sender_labels": not lie, "receiver_labels": "NOANNOTATION", "speakers": one, "receivers": other, "absolute_message_index": k,
            "seasons": SEASONS[season % 3], "years": str(1901 + season // 3), "game_score": str(3 + k % 3), "game_score_delta": str(k % 5 - 2),
        }  # fmt: skip
        record = found.setdefault(frozenset((one, other)), {"game_id": game, "players": sorted((one, other)), **{key: [] for key in row}})
        for key, value in row.items():
            record[key].append(value)
    return list(found.values())


def written(path: Path, records) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def kept(records, keep):
    """The records with those messages only of which `keep(record, place)` says so."""
    found = deepcopy(records)
    for record in found:
        places = [i for i in range(len(record["messages"])) if keep(record, i)]
        for key, value in record.items():
            if isinstance(value, list) and key != "players":
                record[key] = [value[i] for i in places]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five games to fit on, one of them in the validation file, and two others."""
    place = tmp_path_factory.mktemp("games")
    for name, games in (("train", range(1, 5)), ("validation", (5,)), ("unseen", (6, 7))):
        written(place / f"{name}.jsonl", [record for game in games for record in dialogues(game)])
    return place


@pytest.fixture(scope="module")
def plain(folder):
    """A detector without states."""
    return lies.fit(folder)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A checkpoint whose config says that it was trained on other things; its widths are multiples of 16, as the shipped one's are (`observing`)."""
    place, tokenizer = tmp_path_factory.mktemp("reader"), tokenizer_of()
    config = SociaLLMConfig(
        vocabulary=tokenizer.vocabulary, width=32, layers=2, local_heads=2, local_head_width=16, local_state=16, social_heads=2, social_head_width=16, social_state=16,
    )  # fmt: skip
    model = build(config, torch.Generator().manual_seed(3))
    model.embedding.weight.data.mul_(20)
    checkpoint.save(place, model, tokenizer, {"sets": ["casino", "own"]})
    return str(place)


@pytest.fixture(scope="module")
def stateful(folder, reader):
    """A detector with states: and the readings count, whatever was chosen."""
    model = lies.fit(folder, reader)
    mix = {"shown": 1.0, "words": 0.5, "states": 1.0}
    return replace(model, arms={name: replace(arm, mix=mix if name == "with states" else {"shown": 1.0, "words": 0.5}, share=0.3) for name, arm in model.arms.items()})


def said(found):
    """(game, number) → the scores of a message."""
    return {(m["game"], m["index"]): (m["score"], m.get("score_without_states")) for m in found["messages"]}


# ---- what enters a score -----------------------------------------------------------------------------------------------


def test_features_by_hand():
    def press(index, sender, receiver, text, season=0, score=3, delta=0):
        return Press(line=1, place=index, index=index, text=text, sender=sender, receiver=receiver, season=season, score=score, delta=delta, lie=None)

    rows = lie_features.features([
        press(0, "ITALY", "FRANCE", "Shall we?"), press(1, "FRANCE", "ITALY", "I trust you"), press(2, "ITALY", "RUSSIA", "no"), press(5, "ITALY", "FRANCE", "ok", 4, 5, 2),
    ])  # fmt: skip
    last = dict(zip(lie_features.NAMES, rows[3], strict=True))
    assert rows.shape == (4, len(lie_features.NAMES)) and np.isfinite(rows).all()
    assert last["share to it"] == 2 / 9 and last["partners"] == 2 and last["to it less from it"] == 0 and last["sent less received"] == pytest.approx(np.log(3 / 2))
    assert [last[k] for k in ("since either", "since own", "length before")] == pytest.approx([np.log(5), np.log(4), np.log(4)]) and last["own before"] == 0
    assert last["score gained"] == 2 and last["delta gained"] == 2 and last["receiver's score"] == 3 and last["fall"] == 1 and last["first of season"] == 1
    assert last["length less usual to it"] == pytest.approx(np.log(2) - np.log(3)) and last["in a row"] == 0
    first = dict(zip(lie_features.NAMES, rows[1], strict=True))
    assert first["i count"] == pytest.approx(np.log(2)) and first["i share"] == 1 / 8 and first["assure count"] == pytest.approx(np.log(2)) and first["questions"] == 0 and first["asked before"] == 1
    assert rows[0][lie_features.NAMES.index("words")] == pytest.approx(np.log(3)) and rows[0][lie_features.NAMES.index("we share")] == 1 / 7


@pytest.mark.parametrize("which", ["plain", "stateful"])
def test_a_score_depends_on_no_later_message(which, folder, reader, tmp_path, request):
    """To the bit: a file that ends earlier gives what it has the same scores."""
    model, name = request.getfixturevalue(which), reader if which == "stateful" else None
    whole = said(lies.score(model, folder / "unseen.jsonl", name))
    records = [record for game in (6, 7) for record in dialogues(game)]
    cut = written(tmp_path / "cut.jsonl", kept(records, lambda record, i: record["absolute_message_index"][i] < 23))
    part = said(lies.score(model, cut, name))
    assert len(part) == 2 * 23 and part == {key: whole[key] for key in part}


@pytest.mark.parametrize("which", ["plain", "stateful"])
def test_a_score_depends_on_no_message_between_two_others(which, folder, reader, tmp_path, request):
    """Of states, the receiver's as well are read: so what neither of the two wrote or read is taken out."""
    model, name = request.getfixturevalue(which), reader if which == "stateful" else None
    whole = said(lies.score(model, folder / "unseen.jsonl", name))
    records = [record for game in (6, 7) for record in dialogues(game) if record["players"] != ["austria", "england"]]
    found = lies.score(model, written(tmp_path / "less.jsonl", records), name)
    mine = {(m["game"], m["index"]) for m in found["messages"] if {m["sender"], m["receiver"]} == {"france", "italy"}}
    part = said(found)
    assert len(mine) > 8 and all(part[key] == whole[key] for key in mine)


def test_no_label_enters_a_score(plain, folder, tmp_path):
    records = [record for game in (6, 7) for record in dialogues(game)]
    turned = [{**record, "sender_labels": [not v for v in record["sender_labels"]], "receiver_labels": [True] * len(record["messages"])} for record in records]
    bare = [{key: v for key, v in record.items() if not key.endswith("labels")} for record in records]
    whole = lies.score(plain, folder / "unseen.jsonl")
    assert whole == lies.score(plain, written(tmp_path / "turned.jsonl", turned)) == lies.score(plain, written(tmp_path / "bare.jsonl", bare))


def test_earlier_scores_by_hand():
    found = lie_model.earlier(np.array([1.0, 5.0, 2.0, 0.0]), np.array([0, 1, 0, 0]))
    assert found.tolist() == pytest.approx([0, 0, 0.3, 0.3 * 0.7 + 2 * 0.3])
    found = lie_model.above_usual(np.array([1.0, 5.0, 2.0, 0.0]), np.array([0, 1, 0, 0]))
    assert found.tolist() == pytest.approx([1, 5, 2 - 1 / 6, -3 / 7])


# ---- what it finds -----------------------------------------------------------------------------------------------------


def test_planted_words_are_found_in_games_not_seen(plain, folder):
    truth = {(game.name, m.index): m.lie for game in read_file(folder / "unseen.jsonl") for m in game.messages}
    scores = said(lies.score(plain, folder / "unseen.jsonl"))
    assert auroc([scores[key][0] for key in truth], list(truth.values())) > 0.8


def test_a_game_left_out_has_no_part_in_its_scores(folder):
    """Other labels in one game change what is said of the others, never what is said of it: the scores of its messages are the same."""
    games = read_folder(folder)
    turned = [PressGame(g.name, tuple(replace(m, lie=not m.lie) for m in g.messages)) if g.name == "3" else g for g in games]
    found = []
    for some in (games, turned):
        table = lie_model.table_of(some)
        model = lie_model.fit(table, [0, 1, 3, 4], None, np.random.default_rng(0))
        at = table.of([2])
        found.append(lie_model.mixed(model.arms["without states"], lie_model.members_of(model, table, at), table.thread_R[at]))
    assert found[0].tolist() == found[1].tolist()


# ---- figures -----------------------------------------------------------------------------------------------------------


def test_the_threshold_is_the_best_of_all():
    rng = np.random.default_rng(1)
    for _ in range(6):
        lie = rng.random(30) < 0.3
        lie[:2] = True, False
        scores = np.round(rng.normal(size=30) + lie, 1)
        best = lie_model.threshold_of(scores, lie)
        macro = [f1_score(lie, scores >= cut, average="macro") for cut in sorted(set(scores))]
        assert f1_score(lie, scores >= best, average="macro") == pytest.approx(max(macro))


def test_figures_of_any_draw_of_games_are_those_of_its_messages(folder):
    table = lie_model.table_of(read_folder(folder))
    rng = np.random.default_rng(2)
    scores = np.round(rng.normal(size=len(table.lie_R)) + table.lie_R, 1)
    tally = lies._Tally.of(table, range(5), lies.Scored(scores, scores > 0.9))
    for _ in range(10):
        drawn = rng.integers(5, size=5)
        rows = np.concatenate([table.of([g]) for g in drawn])
        y, called = table.lie_R[rows], scores[rows] > 0.9
        assert tally.auroc(drawn) == pytest.approx(auroc(scores[rows], y))
        assert tally.macro_f1(drawn) == pytest.approx(f1_score(y, called, average="macro")) and tally.lie_f1(drawn) == pytest.approx(f1_score(y, called))
        each = [auroc(scores[table.of([g])], table.lie_R[table.of([g])]) for g in drawn]
        assert tally.auroc_within_games(drawn) == pytest.approx(np.mean(each))


def test_evaluate_prints_both_lines_beside_the_baseline(folder, capsys):
    assert main(["lies", "evaluate", "--data", str(folder), "--test", str(folder / "unseen.jsonl"), "--seeds", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for part, games in (("left_out_in_turn", 5), ("test", 2)):
        arm, base = (found[part]["arms"][name] for name in ("without states", "baseline"))
        assert found[part]["games"] == games and found[part]["messages"] == 40 * games and len(arm["auroc_by_seed"]) == 1
        assert arm["auroc"]["low"] <= arm["auroc"]["mean"] <= arm["auroc"]["high"] and arm["auroc"]["mean"] > 0.7 and base["auroc"]["mean"] > 0.7
        assert arm["less baseline"]["auroc"]["mean"] == pytest.approx(arm["auroc"]["mean"] - base["auroc"]["mean"], abs=2e-4)


# ---- files -------------------------------------------------------------------------------------------------------------


def test_a_detector_written_and_read_scores_the_same(stateful, reader, folder, tmp_path):
    lie_saved.write(stateful, tmp_path / "m.json")
    again = lie_saved.read(tmp_path / "m.json")
    assert again == stateful and lies.score(again, folder / "unseen.jsonl", reader) == lies.score(stateful, folder / "unseen.jsonl", reader)


def test_readings_kept_are_taken_again_and_only_for_what_they_are_of(folder, reader, tmp_path):
    games = read_file(folder / "unseen.jsonl")
    first = lie_states.read_states(games, reader, tmp_path / "kept.npz")
    told = []
    assert (lie_states.read_states(games, reader, tmp_path / "kept.npz", told.append) == first).all() and not told
    with pytest.raises(AnalysisError, match="readings of another model or of other messages"):
        lie_states.read_states(games[:1], reader, tmp_path / "kept.npz")
    (tmp_path / "kept.npz").write_text("no readings")
    with pytest.raises(AnalysisError, match="no readings kept by this command"):
        lie_states.read_states(games, reader, tmp_path / "kept.npz")


DAMAGED = {
    "words.bias is None": lambda v: v["words"].update(bias=None), "shown.weights[0] is 'x'": lambda v: v["shown"]["weights"].__setitem__(0, "x"),
    "the keys of arms is []": lambda v: v.update(arms={}), "fitted on other features": lambda v: v["features"].pop(), "v is 1, expected 2": lambda v: v.update(v=1),
    "v is True": lambda v: v.update(v=True), "words.idf[0] is nan": lambda v: v["words"]["idf"].__setitem__(0, float("nan")), "shown.bias is inf": lambda v: v["shown"].update(bias=float("inf")),
    "shown.spread[1] is 1e-13": lambda v: v["shown"]["spread"].__setitem__(1, 1e-13), "shown.mean[0] is True": lambda v: v["shown"]["mean"].__setitem__(0, True),
    "arms['without states'].mix is {}": lambda v: v["arms"]["without states"].update(mix={}), "expected a weight above 0": lambda v: v["arms"]["without states"].update(mix={"shown": 0.0}),
    "expected weights of shown, words": lambda v: v["arms"]["without states"].update(mix={"states": 1.0}), "checkpoint is 7": lambda v: v.update(checkpoint=7),
    "a SHA-256 where there are states": lambda v: v.update(checkpoint="0" * 64), "words.weights (of 1)": lambda v: v["words"].update(weights=[1.0]),
    "each n-gram once": lambda v: v["words"]["vocabulary"].__setitem__(1, v["words"]["vocabulary"][0]), "games is {}": lambda v: v.update(games={}),
    "share is 7": lambda v: v["arms"]["without states"].update(share=7), "words.vocabulary (of 0)": lambda v: v["words"].update(vocabulary=[]),
    "shown.mean[0] is 1e+300": lambda v: v["shown"]["mean"].__setitem__(0, 1e300), "the keys of the file": lambda v: v.pop("games"),
}  # fmt: skip


@pytest.fixture(scope="module")
def saved(plain, tmp_path_factory):
    """The file of a detector, as text."""
    path = tmp_path_factory.mktemp("saved") / "m.json"
    lie_saved.write(plain, path)
    return path.read_text()


@pytest.mark.parametrize("why", DAMAGED)
def test_a_damaged_detector_is_refused_in_a_line_that_names_the_key(why, saved, tmp_path):
    path, value = tmp_path / "m.json", json.loads(saved)
    DAMAGED[why](value)
    path.write_text(json.dumps(value))
    with pytest.raises(AnalysisError, match=r"m\.json: not a detector of lies .*lies fit") as error:
        lie_saved.read(path)
    assert why in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, '{"v": 2, "shown": ' + "[" * 900 + "]" * 900 + "}", "\ud83d".encode("utf-8", "surrogatepass").decode("latin-1"), "1" * 5000])
def test_a_file_that_is_no_detector_of_lies_is_one_line(text, tmp_path):
    (tmp_path / "m.json").write_text(text, encoding="latin-1")
    with pytest.raises(AnalysisError, match=r"m\.json: not a detector of lies") as error:
        lie_saved.read(tmp_path / "m.json")
    assert "\n" not in str(error.value)


def paths_of(value, at=()):
    """Every place in a JSON value; of a list the first and the last."""
    yield at
    inner = value.items() if isinstance(value, dict) else [(i, value[i]) for i in {0, len(value) - 1} if 0 <= i] if isinstance(value, list) else []
    for key, one in list(inner)[:4]:
        yield from paths_of(one, (*at, key))


def test_no_change_of_any_key_gives_a_traceback_or_a_score_that_is_no_number(saved, folder, tmp_path):
    """Whatever stands in whichever place: it is refused in one line, or the detector scores."""
    good, path, refused = json.loads(saved), tmp_path / "m.json", 0
    cut = written(tmp_path / "few.jsonl", kept(dialogues(6), lambda record, i: record["absolute_message_index"][i] < 8))
    for at in [at for at in paths_of(good) if at]:
        for wrong in (None, True, -1, 1e300, 10**400, "x", "\ud800", [], {}, [[]], float("nan"), float("-inf"), {"x": []}, [1.0] * 1000, ...):
            value = deepcopy(good)
            inner = value
            for key in at[:-1]:
                inner = inner[key]
            if wrong is ...:
                del inner[at[-1]]
            else:
                inner[at[-1]] = wrong
            path.write_text(json.dumps(value))
            try:
                model = lie_saved.read(path)
            except AnalysisError as error:
                refused += 1
                assert str(error).startswith(f"{path}: not a detector of lies (") and "\n" not in str(error)
            else:
                assert np.isfinite([m["score"] for m in lies.score(model, cut)["messages"]]).all()
    assert refused > 300


def test_games_fitted_on_are_known_by_all_that_was_said(plain, tmp_path):
    def told(records):
        return lies.score(plain, written(tmp_path / "some.jsonl", records))["fitted_on"]

    def later(record, i):
        return record["absolute_message_index"][i] > 20

    late = kept(dialogues(3), later)
    assert told(dialogues(3)) == told(late) == ["3"] and told([{**record, "game_id": 99} for record in late]) == ["99"] and told(dialogues(6)) == []
    (first,) = [record for record in kept(dialogues(3), lambda record, i: record["absolute_message_index"][i] == 0) if record["messages"]]
    assert told([first, *kept([{**record, "game_id": 3} for record in dialogues(6)], lambda record, i: record["absolute_message_index"][i] > 0)]) == []  # which share no more than how they began


@pytest.mark.parametrize("which", ["plain", "stateful"])
def test_half_a_character_is_scored_and_told(which, reader, tmp_path, request, capsys):
    lie_saved.write(request.getfixturevalue(which), tmp_path / "m.json")
    records = [{**record, "game_id": "\ud800=x", "messages": [f"\ud83d {text}" for text in record["messages"]]} for record in dialogues(6, 8)]
    written(tmp_path / "half.jsonl", records)
    for more in ([], ["--json"]):
        asked = ["lies", "score", "--model", str(tmp_path / "m.json"), "--data", str(tmp_path / "half.jsonl"), *(["--checkpoint", reader] if which == "stateful" else []), *more]
        assert main(asked) == 0
        said = capsys.readouterr().out
        assert said.encode() and "\\ud800=x" in said


# ---- refusals ----------------------------------------------------------------------------------------------------------


def test_a_model_that_saw_the_games_is_refused(folder, capsys):
    assert main(["lies", "fit", "--data", str(folder), "--out", "never.json", "--checkpoint", "base"]) == 2
    assert "the model was trained on diplomacy_lies" in capsys.readouterr().err and not Path("never.json").exists()


@pytest.mark.parametrize(("notes", "why"), [({}, "does not say on which sets"), ({"sets": ["casino"], "start": "f" * 64}, "trained on from another"),
                                            ({"sets": ["casino", "diplomacy_lies_validation"]}, "trained on diplomacy_lies_validation")])  # fmt: skip
def test_a_model_that_may_have_seen_the_games_is_refused(notes, why, tmp_path):
    tokenizer = tokenizer_of()
    checkpoint.save(tmp_path, model_of(vocabulary=tokenizer.vocabulary), tokenizer, notes)
    with pytest.raises(AnalysisError, match=f"{why}.*without=diplomacy_lies"):
        lie_states.checked(str(tmp_path))


def test_a_detector_is_for_its_own_checkpoint(stateful, plain, reader, folder, tmp_path):
    tokenizer = tokenizer_of()
    checkpoint.save(tmp_path, model_of("sum", vocabulary=tokenizer.vocabulary), tokenizer, {"sets": ["casino"]})
    model = model_of(vocabulary=tokenizer.vocabulary)
    model.embedding.weight.data += 1
    checkpoint.save(tmp_path, model, tokenizer, {"sets": ["casino"]})
    assert stateful.checkpoint == checkpoint_hash(reader)
    for given, name, why in ((stateful, None, "name its folder with --checkpoint"), (stateful, str(tmp_path), "name that one, or fit again"), (plain, reader, "fitted without states")):
        with pytest.raises(AnalysisError, match=why):
            lies.score(given, folder / "unseen.jsonl", name)


@pytest.mark.parametrize(("games", "change", "why"), [
    (3, lambda r: r, "3 games; a detector needs 4 or more"),
    (5, lambda r: {**r, "sender_labels": [True] * len(r["messages"])}, "0 of 5 games have a lie"),
    (5, lambda r: {**r, "sender_labels": [False] * len(r["messages"])}, "0 of 5 games have an honest message"),
    (5, lambda r: {key: v for key, v in r.items() if key != "sender_labels"}, r"train\.jsonl:1: no sender_labels"),
])  # fmt: skip
def test_games_that_teach_nothing_are_refused(games, change, why, tmp_path):
    written(tmp_path / "train.jsonl", [change(record) for game in range(1, games + 1) for record in dialogues(game)])
    with pytest.raises(AnalysisError, match=why):
        lies.fit(tmp_path)


@pytest.mark.parametrize(("key", "value", "why"), [
    ("game_id", None, "game_id is None"), ("speakers", ["italy"], "speakers is no list as long as messages"), ("seasons", "Summer", "season 'Summer'"),
    ("years", "MCMI", "year is 'MCMI'"), ("game_score", "35", "game_score is '35'"), ("game_score_delta", float("nan"), "game_score_delta is nan"),
    ("absolute_message_index", 10**9, "absolute_message_index is 1000000000"), ("messages", 7, "its text is 7"), ("receivers", "wales", "to 'wales'"),
    ("sender_labels", "yes", "sender_labels is no list of true"),
])  # fmt: skip
def test_a_bad_field_is_named_with_its_line(key, value, why, tmp_path):
    records = dialogues(1)
    records[1][key] = value if key in ("game_id", "speakers") else [value, *records[1][key][1:]]
    with pytest.raises(AnalysisError, match=rf"bad\.jsonl:2: .*{why}"):
        read_file(written(tmp_path / "bad.jsonl", records))


def test_numbers_and_seasons_must_have_an_order(tmp_path):
    twice = dialogues(1) + dialogues(1)[:1]
    with pytest.raises(AnalysisError, match="absolute_message_index .* each has its own"):
        read_file(written(tmp_path / "twice.jsonl", twice))
    back = [{**record, "years": ["1910" if k == 0 else y for k, y in zip(record["absolute_message_index"], record["years"], strict=True)]} for record in dialogues(1)]
    with pytest.raises(AnalysisError, match="is of an earlier season than message 0"):
        read_file(written(tmp_path / "back.jsonl", back))


def test_a_test_file_of_games_fitted_on_is_refused(folder):
    with pytest.raises(AnalysisError, match="game 5 is one of those fitted on"):
        lies.evaluate(folder, test=folder / "validation.jsonl")


@needs_data
def test_the_published_games_are_read_whole():
    """Counts of the published train and validation files: 9 and 1 games, 13,132 and 1,416 messages, 591 and 56 lies."""
    games = read_folder(DATA)
    assert [g.name for g in games] == ["1", "2", "3", "5", "6", "7", "8", "9", "10", "11"]
    assert [sum(len(g.messages) for g in part) for part in (games[:-1], games[-1:])] == [13132, 1416]
    assert [sum(m.lie is True for g in part for m in g.messages) for part in (games[:-1], games[-1:])] == [591, 56]
