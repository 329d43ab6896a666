"""Generations side by side, and how varied texts are: hand-computed numbers, closed forms."""

import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.diversity import distinct, grams, persona_entropy, self_bleu, words
from analysis.generations import Told, as_text, plot, table, worse
from analysis.metrics import AnalysisError
from analysis.table_files import write


def test_words_are_small_and_signs_stand_alone():
    assert words("Hello, you!") == ["hello", ",", "you", "!"]
    assert grams(["a b a b", "a"], 2) == {("a", "b"): 2, ("b", "a"): 1}


def test_distinct_of_all_is_the_share_of_kinds():
    assert distinct(["a b c a"], 1) == 3 / 4
    assert distinct(["a b", "a b"], 2) == 1 / 2
    assert math.isnan(distinct(["a"], 2))


def test_distinct_of_a_draw_is_what_drawing_gives():
    """Two of a, a, b, c without putting back: six pairs, of which one is {a, a} with one kind, the others have two: 11/6 kinds of two."""
    assert distinct(["a a b c"], 1, of=2) == pytest.approx(11 / 6 / 2)
    rng = np.random.default_rng(0)
    many = rng.choice(list("abcdefgh"), 60, p=np.arange(1, 9) / 36).tolist()
    drawn = np.mean([len(set(rng.choice(many, 20, replace=False).tolist())) for _ in range(4000)]) / 20
    assert distinct([" ".join(many)], 1, of=20) == pytest.approx(drawn, abs=0.005)


def test_self_bleu_is_one_where_all_are_the_same_and_small_where_none_shares_a_word():
    assert self_bleu(["the cat sat on the mat"] * 3) == pytest.approx(1)
    assert self_bleu(["a b c d e", "f g h i j"]) < 0.05
    assert math.isnan(self_bleu(["a b"]))


def test_self_bleu_by_hand():
    """"a b c d e" against "a b c d x": precisions 4/5, 3/4, 2/3, 1/2 and no brevity: (1/5)^(1/4); both alike."""
    assert self_bleu(["a b c d e", "a b c d x"]) == pytest.approx((4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25)


def test_self_bleu_clips_by_the_other_text_that_has_most_and_fines_the_short():
    """"a a": one a in each of the others, so 1/2 of its words and, of pairs, a tenth of one; as long as the nearest other."""
    one = [(0.5 * 0.1) ** 0.5, *[1.0 * math.exp(1 - 2 / 1)] * 2]
    assert self_bleu(["a a", "a", "a"]) == pytest.approx(np.mean([one[0] * math.exp(0), 1.0, 1.0]))


def test_persona_entropy_is_high_where_all_are_heard_and_low_where_one_is():
    taught = {"cook": ["boil the soup", "salt the stew", "stir the soup"], "smith": ["hammer the iron", "forge the blade", "heat the iron"]}
    both = persona_entropy(taught, ["stir the stew", "forge the iron"])
    assert 0.9 < both <= 1 and persona_entropy(taught, ["boil the stew", "salt the soup"]) < both
    assert math.isnan(persona_entropy({"cook": ["soup"]}, ["soup"]))


def test_two_readings_of_one_model_agree_and_a_model_speaks_in_peoples_places(tmp_path):
    """People's words cost the same read twice, and what is said in their places is the same: two models differ by nothing but themselves."""
    data = os.environ.get("SOCIALLM_DATA") or str(Path(__file__).parents[3] / "shared" / "data")
    if not Path(data, "irc_disentanglement").is_dir():
        pytest.skip("the data sets are not here; SOCIALLM_DATA names their folder")
    from analysis.generation_texts import Sizes, human, measured
    from sociallm.checkpoint import load
    from tests.sociallm.small import saved

    sizes = Sizes(messages=20, personas=2, places=2, each=2)
    people, model = human(data, sizes), load(saved(tmp_path))
    assert len(people.places) == 4 and all(len(place.before) == 8 for place in people.places)
    spoken = {place.message.text for place in people.places}
    assert not any(text in spoken and len(text) > 40 for said in people.said.values() for text in said)  # what is said there taught no persona
    found = measured(model, people, sizes)
    assert found == measured(model, people, sizes) and found["human_bits"] > 4 and found["rare_nats"] > 3 and 0 < found["distinct_1"] <= found["distinct_3"] <= 1


# ---- the table -----------------------------------------------------------------------------------------------------------


def loop_of(tmp_path, success, figures, seeds=range(6)):
    """A loop's folder as `told` would have read it: success by generation, the same in every game but for a share of the seed."""
    rows = [{"generation": g, "arm": "social", "seed": s, "success": value + 0.01 * s} for g, value in enumerate(success) for s in seeds]
    rows += [{"generation": 0, "arm": arm, "seed": s, "success": value + 0.01 * s} for arm, value in (("random", 0.3), ("scripted", 0.8)) for s in seeds]
    return Told(tmp_path, pd.DataFrame(rows), figures, [{"run": 1.0, "model": 2.0}] * len(success))


def test_generations_are_held_against_the_first_and_against_who_learned_nothing_by_the_same_games(tmp_path):
    found = table([loop_of(tmp_path, (0.5, 0.7), [{"human_bits": 1.0}, {"human_bits": 1.005}])], np.random.default_rng(0))
    last = found.iloc[1]
    assert last["success"] == pytest.approx(0.725)
    for column, value in (("over_imitation", 0.2), ("over_random", 0.4), ("over_scripted", -0.1)):  # paired: the seeds' own share cancels, so no spread
        assert (last[column], last[f"{column}_low"], last[f"{column}_high"]) == pytest.approx((value,) * 3)
    assert math.isnan(found.iloc[0]["over_imitation"]) and list(found["stop"]) == ["", ""] and list(found["seconds"]) == [3, 3]


def test_games_of_several_loops_are_apart_though_their_seeds_are_the_same(tmp_path):
    figures = [{"human_bits": 1.0}, {"human_bits": 1.0}]
    found = table([loop_of(tmp_path, (0.5, 0.7), figures), loop_of(tmp_path, (0.5, 0.6), [{"human_bits": 2.0}, {}])], np.random.default_rng(0))
    assert found.iloc[1]["over_imitation"] == pytest.approx(0.15) and found.iloc[1]["over_imitation_low"] < 0.15 < found.iloc[1]["over_imitation_high"]
    assert found.iloc[0]["human_bits"] == 1.5 and found.iloc[1]["human_bits"] == 1.0


@pytest.mark.parametrize(("first", "now", "said"), [
    ({"human_bits": 2.0}, {"human_bits": 2.019}, ""),
    ({"human_bits": 2.0}, {"human_bits": 2.024}, "people's words cost +1.2% bits"),
    ({"distinct_3": 0.9}, {"distinct_3": 0.856}, ""),
    ({"distinct_3": 0.9}, {"distinct_3": 0.854}, "distinct-3 of its own words -5.1%"),
    ({"human_bits": None}, {"human_bits": 3.0}, ""),
])  # fmt: skip
def test_a_loop_should_end_where_language_is_worse_by_the_limits(first, now, said):
    assert worse(first, now).startswith(said) and bool(worse(first, now)) == bool(said)


def test_the_table_is_one_line_a_generation_and_blank_where_nothing_is_known(tmp_path):
    found = table([loop_of(tmp_path, (0.5, 0.7), [{"honesty": 1.0}, {}])], np.random.default_rng(0))
    lines = as_text(found).split("\n")
    assert len(lines) == 3 and "honesty" in lines[0] and "human bits" not in lines[0] and "nan" not in as_text(found)
    write(found, tmp_path / "generations.csv")
    assert "nan" not in (tmp_path / "generations.csv").read_text() and len((tmp_path / "generations.csv").read_text().splitlines()) == 3
    plot(found, tmp_path / "plots" / "generations.png")
    assert (tmp_path / "plots" / "generations.png").stat().st_size > 10_000


def test_a_folder_without_a_loop_is_refused(tmp_path):
    from analysis.generations import told

    with pytest.raises(AnalysisError, match=r"loop.yaml: missing, so no loop began here"):
        told(tmp_path)
