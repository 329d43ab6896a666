"""Agreements that lapse: with words a cartel lasts, without them it ends, and where nothing is said about it nothing is changed."""

import pytest

from agents.plan_file import read_plan
from agents.planting import PlanError
from tests.scenarios.planted_runs import prices, run, said

WORLD = "name: market, sellers: 3, rounds: 14, chat: private, talks: 1, play: {default: rival}"
PLAN = "plan: x\ncoalitions:\n  - {members: [S1, S2], scheme: private, lasts: %d, when: {round: 3..}}\n"


def test_a_cartel_that_hears_its_words_asks_what_one_asks_that_never_lapses(tmp_path):
    _, events, _ = run(tmp_path, WORLD, PLAN % 4)
    _, always, _ = run(tmp_path, WORLD, PLAN % 0)
    assert prices(events)[-1]["S1"] == pytest.approx(prices(always)[-1]["S1"], abs=0.05) and prices(events)[-1]["S1"] > 1.45
    again = [text for _, author, channel, text in said(events) if channel == "S1-S2" and author in ("S1", "S2")]
    assert len(again) >= 11 and all("1.5" in text or "1.6" in text or "1.9" in text or "2." in text for text in again[-8:])  # a price, and no remark


def test_a_member_that_has_heard_nothing_competes(tmp_path):
    """With windows in which nobody may talk no word is ever heard, and the run is that of its honest twin in all its prices."""
    world = WORLD.replace("talks: 1", "talks: 1, round_ms: 1000")
    _, events, _ = run(tmp_path, world, PLAN.replace("3..", "0..") % 1)
    _, honest, _ = run(tmp_path, world, PLAN.replace("3..", "0..") % 1, plant=False)
    heard_by = {name: [step for step, author, channel, _ in said(events) if channel == "S1-S2" and author != name] for name in ("S1", "S2")}
    first = {name: (steps[0] // 2 if steps else 14) for name, steps in heard_by.items()}
    for name in ("S1", "S2"):  # up to when it first hears the other
        both = min(first.values())
        assert [p[name] for p in prices(events)[:both]] == [p[name] for p in prices(honest)[:both]]
    for number, asked in enumerate(prices(events)):
        for name in ("S1", "S2"):  # a word holds for the round in which it is heard, and no longer
            told = any(step // 2 == number for step in heard_by[name])
            assert (asked[name] > 1.45) == told, (number, name)


@pytest.mark.parametrize(("entry", "why"), [
    ("scheme: hidden_key, key: a, lasts: 3", "needs no words, and so none again"),
    ("scheme: private, lasts: -1", "lasts is -1; expected a whole number of rounds"),
    ("scheme: private, lasts: true", "lasts is True"),
])  # fmt: skip
def test_what_cannot_lapse_is_refused(tmp_path, entry, why):
    (tmp_path / "p.yaml").write_text(f"plan: x\ncoalitions:\n  - {{members: [S1, S2], {entry}}}\n")
    with pytest.raises(PlanError, match=why):
        read_plan(str(tmp_path / "p.yaml"))


def test_a_world_without_agreements_that_lapse_refuses_them(tmp_path):
    plan = "plan: x\ncoalitions:\n  - {members: [FRANCE, GERMANY], scheme: private, lasts: 3}\n"
    with pytest.raises(PlanError, match="no agreement lapses in this world"):
        run(tmp_path, "name: diplomacy, last_year: 1901", plan)
