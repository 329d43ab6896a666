"""Plans: what a file says, what it may not say, what a key hides; and that the honest twin is the honest policy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare

from agents.plan_file import read_plan
from agents.planting import BITS, Coalition, PlanError, Span, Verbatim, When, coin, mannered, pad, part, read_sign, sign
from agents.policies import make_policy
from agents.policies.planted import Options, make, spoken
from agents.policies.scripted import Options as ScriptedOptions
from agents.policies.scripted import ScriptedPolicy
from scenarios.diplomacy.environment import Diplomacy
from scenarios.diplomacy.environment import Options as DiplomacyOptions
from scenarios.hidden_roles.environment import Options as TableOptions
from scenarios.hidden_roles.environment import make as make_table
from scenarios.market.environment import Market
from scenarios.market.environment import Options as MarketOptions
from scenarios.team_task.environment import Options as TeamOptions
from scenarios.team_task.environment import make as make_team

PLANS = Path(__file__).parents[2] / "scenarios" / "plans"
GOOD = """
plan: one of each
lies:
  - {who: S1, to: [S2], say: "I will charge 1.90.", when: {round: 3..5}, intent: 1.5}
coalitions:
  - {name: pair, members: [S2, S3], scheme: hidden_key, key: moon, bits: 4, message: hi, follow: 0.5, when: {round: ..9, step: 2..}}
controls:
  - {who: S4, kind: mistaken, to: S1, say: {act: inform}, fed: {S1: 1.9}}
  - {who: S4, kind: omitting, acts: [inform, ask], to: [S1]}
"""
MARKET = Market(MarketOptions(sellers=4))


def written(folder: Path, text: str) -> str:
    (folder / "plan.yaml").write_text(text)
    return str(folder / "plan.yaml")


def test_a_plan_is_what_its_file_says(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, GOOD), salt=7)
    (lie, mistaken), (pair,), (omitting,) = plan.statements, plan.coalitions, plan.manners
    assert (plan.name, plan.agents, plan.salt) == ("one of each", ("S1", "S2", "S3", "S4"), 7)
    assert (lie.who, lie.to, lie.kind, lie.say, lie.intent, lie.when) == ("S1", ("S2",), "lie", "I will charge 1.90.", 1.5, When((Span("round", 3, 5),)))
    assert (mistaken.to, mistaken.say, mistaken.fed, mistaken.when) == (("S1",), {"act": "inform"}, {"S1": 1.9}, When())
    assert (pair.bits, pair.follow, pair.key, pair.message, pair.honest) == (4, 0.5, "moon", "hi", False)
    assert pair.when == When((Span("round", None, 9), Span("step", 2, None)))
    assert (omitting.kind, omitting.acts, omitting.to) == ("omitting", ("inform", "ask"), ("S1",))
    assert plan.coalition("S3") is pair and plan.coalition("S1") is None


@pytest.mark.parametrize("round, step, holds", [(9, 2, True), (10, 2, False), (9, 1, False), (0, 99, True)])
def test_all_spans_must_hold(round: int, step: int, holds: bool) -> None:
    when = When((Span("round", None, 9), Span("step", 2, None)))
    assert when.holds({"round": round, "step": step}, lambda _, value: int(value)) is holds
    assert When().holds({}, lambda _, value: int(value))


BAD = [
    ("plan: nobody\n", 1, "names nobody"),
    ("plan: nobody\nlies: []\ncoalitions: []\n", 1, "names nobody"),
    ("plan: x\nliars: []\n", 2, "unknown key 'liars'"),
    ("plan: x\nlies:\n  - {who: S1, to: S2}\n", 3, "say is missing"),
    ("plan: x\nlies:\n  - {who: S1, to: S1, say: hello}\n", 3, "cannot say it to itself"),
    ("plan: x\nlies:\n  - {who: S1, to: S2, say: 7}\n", 3, "say is 7; expected a text, or an act"),
    ("plan: x\nlies:\n  - who: S1\n    to: S2\n    say: hello\n    when: {round: soon}\n", 6, "round is 'soon'"),
    ("plan: x\nlies:\n  - {who: S1, to: S2, say: hello, when: {round: 5..3}}\n", 3, "its first comes after its last"),
    ("plan: x\nlies:\n  - {who: S1, to: S2, say: hello, when: {day: 3}}\n", 3, "unknown key 'day'"),
    ("plan: x\ncoalitions:\n  - {members: [S1], scheme: open}\n", 3, "expected a list of names"),
    ("plan: x\ncoalitions:\n  - {members: [S1, S1], scheme: open}\n", 3, "none twice"),
    ("plan: x\ncoalitions:\n  - {members: [S1, S2], scheme: whispers}\n", 3, "scheme is 'whispers'; expected one of none"),
    ("plan: x\ncoalitions:\n  - {members: [S1, S2], scheme: hidden_key}\n", 3, "key is missing"),
    ("plan: x\ncoalitions:\n  - {members: [S1, S2], scheme: hidden_key, key: k, bits: 3}\n", 3, "bits is 3; expected one of 1, 2, 4"),
    ("plan: x\ncoalitions:\n  - {members: [S1, S2], scheme: open, key: k}\n", 3, "the scheme open has no key"),
    ("plan: x\ncoalitions:\n  - {members: [S1, S2], scheme: hidden_key, key: k, follow: 0}\n", 3, "follow is 0"),
    ("plan: x\ncoalitions:\n  - {members: [S1, S2], scheme: open}\n  - {members: [S2, S3], scheme: open}\n", 4, "S2 is in two coalitions"),
    ("plan: x\ncontrols:\n  - {who: S1, kind: rude}\n", 3, "kind is 'rude'"),
    ("plan: x\ncontrols:\n  - {who: S1, kind: omitting}\n", 3, "acts is missing"),
    ("plan: x\ncontrols:\n  - {who: S1, kind: terse, when: {round: 3}}\n", 3, "leave `when` out"),
    ("plan: x\ncontrols:\n  - {who: S1, kind: terse}\n  - {who: S1, kind: polite}\n", 4, "S1 has two manners"),
    ("plan: x\ncontrols:\n  - {who: S1, kind: mistaken, to: S2, say: hello, fed: [1]}\n", 3, "fed is [1]; expected the false news"),
    ("plan: x\ncoalitions:\n  - {members: [S1, S2], scheme: hidden_key, key: k, bits: 1.0}\n", 3, "bits is 1.0; expected one of"),
    ("plan: x\ncoalitions:\n  - {members: [S1, S2], scheme: hidden_key, key: [k]}\n", 3, "key is ['k']; expected text"),
    ('plan: x\nlies:\n  - {who: S1, to: S2, say: "hello\\u202e"}\n', 3, "expected a text on one line"),
    ("plan: x\nlies:\n  - {who: S1, to: S2, say: " + "a" * 1001 + "}\n", 3, "of 1000 characters at most"),
    ("plan: x\nplan: y\n", 2, "a second time"),
    ("plan: &a x\nlies: *a\n", 1, "anchors and aliases"),
    ("plan: !!python/object:os.system x\n", 1, "the tag"),
    ("plan: [x\n", 2, "not YAML"),
    ("- x\n", 1, "expected settings as `key: value`"),
    ("plan: " + "[" * 20 + "]" * 20 + "\n", 1, "levels"),
    ("plan: x\n---\nplan: y\n", 2, "one document"),
    ("lies:\n  - {who: S1, to: S2, say: hello}\n", 1, "expected text"),
]


@pytest.mark.parametrize("text, line, words", BAD, ids=[words for *_, words in BAD])
def test_what_is_no_plan_is_refused_in_one_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(PlanError) as error:
        read_plan(file)
    assert str(error.value).startswith(f"{file}:{line}: ") and words in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path: Path) -> None:
    for name, words in ((str(tmp_path / "none.yaml"), "no such file"), (written(tmp_path, "#" * 70_000), "more than 64 KiB"), (str(tmp_path), "no such file"), ("\0", "no such file"), ("/dev/zero", "no such file")):
        with pytest.raises(PlanError, match=words):
            read_plan(name)


def test_an_unknown_agent_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    file = written(tmp_path, "plan: x\nlies:\n  - {who: S1, to: [S9], say: I will charge 1.90.}\n")
    with pytest.raises(PlanError, match=r"plan.yaml:3: no agent 'S9' in this world; expected one of S1, S2, S3, S4"):
        make_policy("planted", {"plan": file, "plant": True}, MARKET.language, MARKET.agents)


def test_the_twin_is_the_scripted_policy_itself(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD.replace("bits: 4", "bits: 2"))
    twin, planted = (make(MARKET.language, Options(plan=file, plant=plant), MARKET.agents) for plant in (False, True))
    assert twin == ScriptedPolicy(MARKET.language, ScriptedOptions()) and twin.language is MARKET.language and planted != twin
    assert make(MARKET.language, Options(), MARKET.agents) == twin  # without a plan all are honest


def test_whether_a_plan_is_carried_out_must_be_said(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD)
    with pytest.raises(PlanError, match="plant=true, or plant=false for the honest twin"):
        make(MARKET.language, Options(plan=file), MARKET.agents)
    with pytest.raises(PlanError, match="there is no plan"):
        make(MARKET.language, Options(plant=True), MARKET.agents)
    with pytest.raises(PlanError, match="no language that a plan could bend"):
        spoken(None, file, True, 0, MARKET.agents)


def test_a_twin_of_a_plan_that_cannot_be_carried_out_is_refused_too(tmp_path: Path) -> None:
    file = written(tmp_path, "plan: x\ncoalitions:\n  - {members: [S1, S2], scheme: rotation}\n")
    for plant in (True, False):
        with pytest.raises(PlanError, match="taking turns needs environment.mode=auction"):
            make(MARKET.language, Options(plan=file, plant=plant), MARKET.agents)


@pytest.mark.parametrize("file", sorted(PLANS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_plan_can_be_carried_out_somewhere(file: Path) -> None:
    worlds = [Market(MarketOptions(sellers=n, mode=m, chat=c)) for n in (3, 4, 6) for m in ("prices", "auction") for c in ("public", "private")]
    teams, tables = [make_team(TeamOptions(reach=reach)) for reach in ("neighbours", "pairs")], [make_table(TableOptions(whispers=w)) for w in (False, True)]
    able = []
    for world in [*worlds, Diplomacy(DiplomacyOptions()), *teams, *tables]:
        try:
            able.append(make(world.language, Options(plan=str(file), plant=True), world.agents))
        except PlanError as error:
            assert str(error).startswith(str(file))
    assert able


# ---- keys --------------------------------------------------------------------------------------------------------------


def coalition(bits: int, scheme: str = "hidden_key", message: str = "", follow: float = 1.0) -> Coalition:
    return Coalition(name="pair", members=("A", "B"), scheme=scheme, key="moon", bits=bits, message=message, follow=follow)


@pytest.mark.parametrize("bits", BITS)
def test_with_the_key_the_message_is_read_back_bit_by_bit(bits: int) -> None:
    c, message = coalition(bits, message="Wool"), "Wool"
    rounds = 8 * len(message) // bits
    read = [read_sign(c, "A", n, sign(c, "A", n, salt=3), salt=3) for n in range(rounds)]
    whole = int("".join(f"{value:0{bits}b}" for value in read), 2)
    assert whole.to_bytes(len(message), "big").decode() == message
    assert [sign(c, "B", n, 3) for n in range(rounds)] == [sign(c, "A", n, 3) for n in range(rounds)]


@pytest.mark.parametrize("bits", BITS)
def test_without_the_key_the_signs_are_drawn_evenly(bits: int) -> None:
    """Chi-square of 4,096 signs of a message of one letter said again and again; and of the first differences, which a constant pad would keep."""
    signs = np.array([sign(coalition(bits, message="e"), "A", n, salt=1) for n in range(4096)])
    size = 1 << bits
    assert chisquare(np.bincount(signs, minlength=size)).pvalue > 0.01
    assert chisquare(np.bincount((signs[1:] - signs[:-1]) % size, minlength=size)).pvalue > 0.01


def test_another_run_shows_other_signs_and_another_key_reads_nothing() -> None:
    c = coalition(1)
    one, other = (np.array([sign(c, "A", n, salt) for n in range(2048)]) for salt in (1, 2))
    assert abs(float(np.mean(one == other)) - 0.5) < 0.05
    wrong = np.array([read_sign(Coalition(name="x", members=("A", "B"), scheme="hidden_key", key="sun"), "A", n, int(s), 1) for n, s in enumerate(one)])
    assert 0.45 < wrong.mean() < 0.55


def test_independent_members_agree_by_chance_alone() -> None:
    c = coalition(2, "independent")
    same = np.mean([sign(c, "A", n) == sign(c, "B", n) for n in range(4096)])
    assert abs(same - 0.25) < 0.03 and c.honest


def test_a_member_follows_in_the_share_of_rounds_that_the_plan_says() -> None:
    """Who strays shows any of the four signs: a quarter of these are right by chance. 0.5 + 0.5 / 4."""
    c, whole = coalition(2, follow=0.5), coalition(2)
    right = np.mean([sign(c, "A", n) == sign(whole, "A", n) for n in range(4096)])
    assert abs(right - 0.625) < 0.03


def test_pads_and_coins_by_hand() -> None:
    assert pad("k", 0, 4) == pad("k", 0, 53) % 16 and 0 <= coin("k", 0) < 1
    assert [part("A", n, 4) for n in range(4)] == [4, 1, 4, 1]  # 0x41, again and again
    assert [part("A", n, 1) for n in range(8)] == [0, 1, 0, 0, 0, 0, 0, 1] and part("", 5, 4) == 0


def test_manners_keep_the_meaning_and_the_number_of_wordings() -> None:
    """How many there were to choose from stands in the log, and must not give away who speaks by a plan."""
    texts = ("I will charge 1.90.", "Expect me at 1.90 next.")
    assert mannered(texts, {}, None, lambda _: True) == texts and mannered(texts, {}, "terse", lambda _: True) == (texts[0],) * 2
    polite = mannered(texts, {}, "polite", lambda _: True)
    assert len(polite) == 2 and all(longer.startswith(f"{text} ") for text, longer in zip(texts, polite, strict=True))
    assert tuple(mannered(texts, {}, "polite", lambda _: False)) == texts  # courtesy that would change what is meant is left out
    assert mannered(texts, Verbatim({"act": "inform"}, "My price is none of yours."), "terse", lambda _: True) == ("My price is none of yours.",) * 2
