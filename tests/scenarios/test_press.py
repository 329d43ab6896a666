"""Press has a meaning: what the grammar says, the extractor reads back; talk around it is inert; a second commitment is noticed."""

from __future__ import annotations

import numpy as np
import pytest

from scenarios.diplomacy import grammar, press
from scenarios.diplomacy.board import initial_board
from scenarios.diplomacy.extractor import MAX_ACTS, meaning
from scenarios.diplomacy.lexicon import denies, idle, tokens
from scenarios.diplomacy.map import FULL_NAMES, POWERS, PROVINCES
from scenarios.diplomacy.orders import legal_orders

ME, YOU, THIRD = "AUSTRIA", "ITALY", "TURKEY"
PAIR = frozenset({ME, YOU})
ORDERS = (
    "A VIE - GAL",
    "A TRI H",
    "F NTH C A LON - BEL",
    "A LON - BEL VIA",
    "F STP/SC - BOT",
    "F AEG - BUL/SC",
    "A WAR - GAL",
    "F ENG - MAO",
    "A GAL - WAR",
    "? TRI - ALB",
    "F ? - ALB",
    "? ? - GAL",
)
SUPPORTS = (
    "A BUD S A SER - RUM",
    "A BUD S A SER",
    "F MAO S F ENG - IRI",
    "F AEG S F GRE - BUL/SC",
    "A WAR S A UKR - GAL",
    "F NWY S F STP/NC - BAR",
    "? ? S A BUD - RUM",
    "? ? S ? ? - RUM",
    "A BUD S ? ? - RUM",
    "? ? S A SER",
)
ZONES = (["GAL"], ["TYR", "VEN"], ["BLA"], ["ENG"], ["WAR"], ["MAO", "NTH", "PIE"])


def every_act() -> list[dict]:
    """Acts of every kind about everything sayable, from Austria to Italy."""
    acts = []
    for order in ORDERS:
        kinds = [("propose", YOU), ("ask", YOU), ("promise", ME), ("inform", ME), ("inform", THIRD), ("accept", ME)]
        acts += [press.act(kind, [YOU], press.about_order(power, order)) for kind, power in kinds]
        if not order.startswith("? ? -"):
            acts.append(press.act("refuse", [YOU], press.about_order(ME, order)))
    for order in SUPPORTS:
        kinds = [("ask", YOU), ("promise", ME), ("inform", ME), ("inform", THIRD), ("accept", ME), ("refuse", ME)]
        acts += [press.act(kind, [YOU], press.about_order(power, order)) for kind, power in kinds]
    for zone in ZONES:
        kinds = [
            ("propose", [ME, YOU]),
            ("propose", [YOU]),
            ("promise", [ME]),
            ("accept", [ME, YOU]),
            ("accept", [ME]),
            ("refuse", [ME, YOU]),
            ("refuse", [ME]),
        ]
        acts += [press.act(kind, [YOU], press.about_dmz(powers, zone)) for kind, powers in kinds]
    for kind in ("propose", "accept", "refuse"):
        acts += [press.act(kind, [YOU], press.about_alliance([ME, YOU], foe)) for foe in (None, THIRD)]
        acts.append(press.act(kind, [YOU], {"kind": "draw"}))
    return acts


def name(act: dict) -> str:
    return " ".join(str(v) for v in (act["act"], *act["about"].values()))


def read(text: str, author: str = ME, readers: frozenset[str] = PAIR) -> list[dict]:
    return [{"act": a["act"], **a["about"]} for a in meaning(text, author, readers)]


@pytest.mark.parametrize("act", every_act(), ids=name)
def test_every_wording_of_an_act_means_just_that_act(act):
    worded = grammar.texts(act, ME)
    assert len(worded) >= 12 and len(set(worded)) == len(worded)
    for text in worded:
        assert list(meaning(text, ME, PAIR)) == [act], text
        assert list(meaning(text.lower(), ME, PAIR)) == [act], text.lower()
        assert list(meaning(text.upper(), ME, PAIR)) == [act], text.upper()


def test_acts_about_any_order_of_any_power_are_read_back_by_author_and_reader():
    rng = np.random.default_rng(7)
    board = initial_board()
    for _ in range(150):
        author, reader = (str(p) for p in rng.choice(POWERS, 2, replace=False))
        kind = str(rng.choice(["ask", "promise", "inform", "accept", "refuse"]))
        power = reader if kind == "ask" else author
        orders = [o for options in legal_orders(board, power).values() for o in options]
        act = press.act(kind, [reader], press.about_order(power, str(rng.choice(orders))))
        text = str(rng.choice(grammar.texts(act, author)))
        assert list(meaning(text, author, frozenset({author, reader}))) == [act], (author, reader, text)


SMALL_TALK = (
    "I think we can help each other here",
    "Good luck!",
    "Let me know what you think.",
    "Thanks a lot!",
    "Hope we can trust each other.",
    "It would be good for both of us.",
    "I don't trust Turkey at all.",
    "France is getting big.",
    "I keep my word.",
    "Are you worried about Russia?",
    "What do you think?",
    "I really think this is the best way to stop Germany from going to war with us.",
    "How are things going on your side? lol",
    "You were very quiet last year, is everything ok?",
    "Hi Italy, nice to meet you!",
    "Does that work?",
    "Vienna and Galicia are a nightmare this game.",
    "I will be honest with you.",
    "I hope you will not mind.",
    "Draw the line somewhere, I say!",
    "Turkey is clearly a bad ally.",
)


@pytest.mark.parametrize("talk", SMALL_TALK)
def test_small_talk_is_inert_alone_before_and_after_an_act(talk):
    assert read(talk) == []
    for act in every_act()[::7]:
        plain = grammar.texts(act, ME)[0]
        assert list(meaning(f"{plain} {talk}", ME, PAIR)) == [act], (plain, talk)
        assert list(meaning(f"{talk.rstrip('.!?')}. {plain}", ME, PAIR)) == [act], (talk, plain)


NAMING = ("You can take Vienna.", "Turkey is big.", "My fleet is slow.", "Shall we draw?", "F WOA CANH?", "I'll support that.", "Hold on.", "Let's be allies!",
          "I can't order A.", "We should both stay out of the North.", "I will move.", "We are in this together.", "Stay where you like.",
          "I may enter.", "Ordered!", "The sea is wide.", "Your province", "Leave it empty.")
NOT_NAMING = ("What do you think?", "I'm fine with you.", "Let me know.", "How are you?  :)", "It's not my day.", "I'll take care.", "Keep my word!", "Nice to meet you", "", " ")


def test_idle_words_are_those_that_name_nothing_of_the_game():
    assert [text for text in NAMING if idle(text)] == []
    assert [text for text in NOT_NAMING if not idle(text)] == []
    assert not any(idle(grammar.texts(act, ME)[0]) for act in every_act())


def test_a_denial_is_heard_in_every_form_of_not():
    denied = ("I'm not sure.", "I can't.", "We won't, you know", "never", "I don’t think so", "I refuse")
    assert [text for text in denied if not denies(text)] == [] and not any(map(denies, ("I can.", "Nothing more to say?", "I know", "")))


SECOND = (
    ("I'll also move my fleet to Albania.", {"act": "promise", "kind": "order", "power": ME, "order": "F ? - ALB"}),
    ("Please stay out of Galicia.", {"act": "propose", "kind": "dmz", "powers": [YOU], "provinces": ["GAL"]}),
    ("And I promise I won't enter Tyr.", {"act": "promise", "kind": "dmz", "powers": [ME], "provinces": ["TYR"]}),
    ("In return, can you support me into Greece?", {"act": "ask", "kind": "support", "power": YOU, "order": "? ? S ? ? - GRE"}),
    ("Let's ally against Russia!", {"act": "propose", "kind": "alliance", "powers": [ME, YOU], "against": "RUSSIA"}),
    ("Turkey is moving F Con - Aeg", {"act": "inform", "kind": "order", "power": THIRD, "order": "F CON - AEG"}),
    ("Shall we draw?", {"act": "propose", "kind": "draw"}),
)


@pytest.mark.parametrize(("more", "also"), SECOND)
def test_an_added_commitment_is_noticed(more, also):
    first = "I will support your army in Serbia to Rumania with my army in Budapest"
    promised = {"act": "promise", "kind": "support", "power": ME, "order": "A BUD S A SER - RUM"}
    assert read(f"{first}. {more}") == [promised, also]


CASES = (
    ("I will not support your army in Serbia to Rumania.", "refuse", "? ? S A SER - RUM"),
    ("I'm not sure I can support your army in Serbia to Rumania.", "refuse", "? ? S A SER - RUM"),
    ("No problem, I'll support hold Serbia.", "accept", "? ? S A SER"),
    ("I can support you into Bul with Ser", "promise", "A SER S ? ? - BUL"),
    ("I want you to take Munich from Tyrolia", "propose", "A TYR - MUN"),
    ("are you holding Vienna?", "ask", "A VIE H"),
    ("Take Rumania!", "propose", "? ? - RUM"),
    ("I'm moving to Galicia", "inform", "? ? - GAL"),
    ("F STP(SC) - BOT, just so you know", "inform", "F STP/SC - BOT"),
    ("Why don't you support my army in Serbia to Bulgaria?", "ask", "? ? S A SER - BUL"),
    ("could you move ur fleet to the west med pls", "propose", "F ? - WES"),
    ("I'd appreciate it if you could convoy my army from Tunis to Greece with your fleet in the Ionian", "propose", "F ION C A TUN - GRE"),
    ("And that's why I'm moving to Galicia", "inform", "? ? - GAL"),
    ("Moving it east to Galicia", "inform", "? ? - GAL"),
    ("Well, I will take Rumania", "promise", "? ? - RUM"),
    ("Hey, will support you into Bul", "promise", "? ? S ? ? - BUL"),
    ("Sounds good! I'll take Rumania.", "accept", "? ? - RUM"),
    ("I'd prefer Venice holds", "propose", "? VEN H"),
    ("I was thinking of taking Rumania", "inform", "? ? - RUM"),
)


@pytest.mark.parametrize(("text", "kind", "order"), CASES)
def test_free_wordings_are_read_as_players_mean_them(text, kind, order):
    power = YOU if kind in ("propose", "ask") else ME
    about = press.about_order(power, order)
    assert read(text) == [{"act": kind, **about}]


def test_a_negation_of_a_move_is_a_promise_to_stay_out_and_of_staying_out_a_refusal():
    assert read("I will not enter Galicia") == [{"act": "promise", "kind": "dmz", "powers": [ME], "provinces": ["GAL"]}]
    assert read("I will not stay out of Galicia") == [{"act": "refuse", "kind": "dmz", "powers": [ME], "provinces": ["GAL"]}]
    assert [act["act"] for act in read("I can't do that now, Ser to Bul")] == ["promise"]  # what was denied ends with the comma
    assert read("Not going to Galicia") == [{"act": "promise", "kind": "dmz", "powers": [ME], "provinces": ["GAL"]}]
    assert read("Don't move to Tyrolia please.") == [{"act": "propose", "kind": "dmz", "powers": [YOU], "provinces": ["TYR"]}]


def test_what_is_past_or_supposed_commits_nobody():
    for text in (
        "Thanks for supporting my army from Budapest to Rumania last turn.",
        "Turkey asked me to support him to Rum",
        "You moved A VEN - TYR",
        "If I move to Galicia, what happens?",
        "We were going to war with Turkey",
        "You should be good to take Con by yourself",
        "What army is moving to Galicia?",
        "Will you let me move Vienna back to Galicia?",
        "Not doing so well to attack Turkey",
    ):
        assert read(text) == [], text


def test_a_condition_on_the_other_is_read_as_a_second_act():
    assert [a["act"] for a in read("I will support your army in Serbia to Rumania if you keep out of Galicia.")] == ["promise", "propose"]


def test_in_a_public_channel_the_one_called_by_name_is_you():
    room = frozenset(POWERS)
    to = sorted(room - {ME})
    for about in (
        press.about_order(YOU, "A VEN - TYR"),
        press.about_dmz([ME, YOU], ["TYR"]),
        press.about_alliance([ME, YOU], THIRD),
        {"kind": "draw"},
    ):
        act = press.act("propose", to, about)
        for text in grammar.texts(act, ME):
            assert list(meaning(text, ME, room)) == [act], text
    assert meaning("Could you move your army in Venice to Tyrolia?", ME, room) == ()  # nobody in particular


def test_every_place_is_read_by_full_name_and_code_and_by_the_names_players_use():
    for code in PROVINCES:
        for spoken in (code, code.lower(), FULL_NAMES[code], FULL_NAMES[code].upper()):
            assert [t.value for t in tokens(f"army in {spoken}, ok") if t.kind == "PLACE"] == [code], spoken
    for spoken, code in (
        ("St. Petersburg", "STP"),
        ("West Med", "WES"),
        ("Mid-Atlantic", "MAO"),
        ("Romania", "RUM"),
        ("Stp/nc", "STP/NC"),
        ("Bulgaria (east coast)", "BUL/EC"),
        ("the south coast of Spain", "SPA/SC"),
        ("the Channel", "ENG"),
    ):
        assert [t.value for t in tokens(f"fleet to {spoken}, ok") if t.kind == "PLACE"] == [code], spoken


def test_hostile_text_never_raises_and_is_bounded():
    rng = np.random.default_rng(3)
    pieces = [
        "I",
        "you",
        "will",
        "not",
        "support",
        "A",
        "F",
        "VIE",
        "-",
        "to",
        "GAL",
        "dmz",
        "ally",
        "draw",
        "against",
        "Turkey",
        "if",
        ",",
        ".",
        "?",
        "/",
        "(",
        "'",
        "\u202e",
        "\ud800",
        "\x00",
        "s",
        "h",
        "c",
        "with",
        "north coast of",
        "Stp",
        "keep out of",
        "🙂",
        "İ",
        "ﬀ",
        "between",
        "and",
        "the",
    ]
    for _ in range(400):
        text = str(rng.choice(["", " "])).join(str(p) for p in rng.choice(pieces, int(rng.integers(0, 40))))
        assert len(meaning(text, ME, PAIR)) <= MAX_ACTS
    for text in (
        "A VIE - " * 4000,
        "and " * 8000,
        "north coast of " * 2000,
        "(" * 32768,
        "dmz in gal, " * 2500,
        "I will support A BUD - RUM. " * 1200,
        "a" * 32768,
    ):
        assert len(meaning(text, ME, PAIR)) <= MAX_ACTS
    assert meaning("I will move A VIE - GAL", ME, frozenset({ME})) != ()  # a note to itself has no reader, and is still read


def test_an_order_is_taken_apart_and_put_together_again():
    for order in (*ORDERS, *SUPPORTS):
        assert press.join_order(press.split_order(order)) == order
    assert press.split_order("A BUD S A SER - RUM") == press.Spec("A BUD", "S", "A SER", "RUM")
    with pytest.raises(ValueError, match="expected an order"):
        press.split_order("march on Vienna")


def test_an_act_outside_the_vocabulary_is_refused_with_a_reason():
    with pytest.raises(ValueError, match=r"propose.*'promise' about 'draw'"):
        grammar.texts(press.act("promise", [YOU], {"kind": "draw"}), ME)
    with pytest.raises(ValueError, match="must name the unit"):
        grammar.texts(press.act("refuse", [YOU], press.about_order(ME, "? ? - GAL")), ME)
