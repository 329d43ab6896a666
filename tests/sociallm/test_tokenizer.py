"""The tokenizer: any text comes back, no text can spell a special token, a message is header, words and end."""

import copy
import hashlib
import json
import random
import sys
from pathlib import Path

import pytest

import sociallm
from sociallm.conversation import Channel, Conversation, Message
from sociallm.tokenizer import END, SPECIALS, Tokenizer, gap_bin, training_texts

SHIPPED = Path(sociallm.__file__).parent / "checkpoints" / "base" / "tokenizer.json"
TEXTS = ["I will support you into Munich.", "Will you support me into Munich? I will not move to Tyrolia.", "hello there", "ok ok ok"] * 20


@pytest.fixture(scope="module")
def small() -> Tokenizer:
    return Tokenizer.train(TEXTS, vocabulary=400)


@pytest.fixture(scope="module")
def shipped() -> Tokenizer:
    return Tokenizer.load(SHIPPED)


def test_the_shipped_vocabulary_has_4096_entries_in_at_most_400_kilobytes(shipped):
    assert shipped.vocabulary == 4096
    assert SHIPPED.stat().st_size <= 400_000


def test_specials_are_two_marks_25_gaps_16_authors_and_17_audiences():
    assert len(SPECIALS) == len(set(SPECIALS)) == 2 + 25 + 16 + 17


@pytest.mark.parametrize("text", ["", "hello", " two  spaces ", "line\nbreak\r\n", "naïve café ☃ 你好 🤝🏽", "\x00\x1b[31m", "a" * 5000, "don't  'LL", "\u202egnp.exe"])
def test_any_text_comes_back_exactly(small, shipped, text):
    for tokenizer in (small, shipped):
        assert tokenizer.decode(tokenizer.encode_text(text)) == text


def test_random_unicode_comes_back_exactly(shipped):
    rng = random.Random(0)
    for _ in range(200):
        text = "".join(chr(rng.choice([rng.randrange(0xD800), rng.randrange(0xE000, sys.maxunicode + 1)])) for _ in range(rng.randrange(30)))
        assert shipped.decode(shipped.encode_text(text)) == text


def test_a_lone_surrogate_becomes_a_question_mark(shipped):
    assert shipped.decode(shipped.encode_text("a\ud800b")) == "a?b"


@pytest.mark.parametrize("special", SPECIALS)
def test_text_that_spells_a_special_token_is_words(small, shipped, special):
    for tokenizer in (small, shipped):
        ids = tokenizer.encode_text(f"hi {special}{special} there")
        assert min(ids) >= len(SPECIALS)
        assert tokenizer.decode(ids) == f"hi {special}{special} there"


def test_special_tokens_are_not_shown(shipped):
    assert shipped.decode([0, 1, *shipped.encode_text("hi"), 30, 59]) == "hi"


def test_a_broken_character_is_replaced(shipped):
    half = shipped.encode_text("☃")[:1]
    assert "\ufffd" in shipped.decode(half)


def test_gap_bins_go_from_a_second_to_a_week_and_never_fall():
    second, week = 1_000, 7 * 24 * 3600 * 1_000
    assert gap_bin(-5) == gap_bin(0) == gap_bin(second) == 0
    assert gap_bin(week - 1) == 22 and gap_bin(week) == gap_bin(10 * week) == 23
    ratio = (week / second) ** (1 / 23)
    for b in range(1, 23):
        assert gap_bin(int(second * ratio**b * 1.001)) == b
        assert gap_bin(int(second * ratio**b * 0.999)) == b - 1


def names(header):
    return [SPECIALS[i] for i in header]


def test_header_is_gap_author_audience(small):
    assert names(small.header(None, 3, [])) == ["<gap none>", "<by 3>", "<to all>"]
    assert names(small.header(0, 0, [5, 2])) == ["<gap 0>", "<by 0>", "<to 2>", "<to 5>"]
    assert names(small.header(10**12, 15, [0, 1, 15])) == ["<gap 23>", "<by 15>", "<to 0>", "<to 1>", "<to 15>"]


def test_more_than_three_addressees_are_everybody(small):
    assert names(small.header(1, 0, [1, 2, 3, 4]))[2:] == ["<to all>"]
    assert names(small.header(1, 0, [1, 2, 3, 3]))[2:] == ["<to 1>", "<to 2>", "<to 3>"]


@pytest.mark.parametrize("slots", [(16, []), (-1, []), (0, [16])])
def test_a_slot_out_of_range_is_refused(small, slots):
    with pytest.raises(ValueError, match="0 to 15"):
        small.header(0, *slots)


def test_words_and_end_are_predicted_and_the_header_is_not(shipped):
    ids, mask = shipped.message("hello there", gap_ms=None, author_slot=0, audience_slots=[1])
    words = shipped.encode_text("hello there")
    assert ids == [*shipped.header(None, 0, [1]), *words, END]
    assert mask == [False] * 3 + [True] * len(words) + [True]


def test_training_twice_on_the_same_texts_gives_the_same_file(small, tmp_path):
    small.save(tmp_path / "a.json")
    Tokenizer.train(TEXTS, vocabulary=400).save(tmp_path / "b.json")
    assert hashlib.sha256((tmp_path / "a.json").read_bytes()).digest() == hashlib.sha256((tmp_path / "b.json").read_bytes()).digest()


def test_a_saved_tokenizer_reads_the_same(small, tmp_path):
    small.save(tmp_path / "deep" / "t.json")
    again = Tokenizer.load(tmp_path / "deep" / "t.json")
    assert len(SPECIALS) + 256 < again.vocabulary == small.vocabulary <= 400
    assert again.encode_text("support <end> Munich") == small.encode_text("support <end> Munich")


def test_what_is_not_a_tokenizer_is_refused_in_one_line(small, tmp_path):
    small.save(tmp_path / "ours.json")
    form = json.loads((tmp_path / "ours.json").read_text())
    form["added_tokens"] = [{"id": 0, "content": "<end>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}]
    cases = {"empty.json": "", "list.json": "[]", "cut.json": (tmp_path / "ours.json").read_text()[:500], "added.json": json.dumps(form)}
    for name, content in cases.items():
        (tmp_path / name).write_text(content)
    for name in (*cases, "missing.json"):
        with pytest.raises(ValueError) as refused:
            Tokenizer.load(tmp_path / name)
        assert "\n" not in str(refused.value)


def others(form, name):
    """The form of a tokenizer changed in one respect that loses texts, takes for ever, differs from time to time or leaves the vocabulary."""
    model = form["model"]
    last = max(model["vocab"], key=model["vocab"].get)
    {
        "lower case": lambda: form.update(normalizer={"type": "Lowercase"}),
        "a pattern without end": lambda: form.update(pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}),
        "cut": lambda: form.update(truncation={"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}),
        "filled": lambda: form.update(padding={"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "x"}),
        "drawn": lambda: model.update(dropout=0.5),
        "a prefix": lambda: model.update(continuing_subword_prefix="##"),
        "of words": lambda: form.update(model={"type": "WordLevel", "vocab": model["vocab"], "unk_token": "<end>"}),
        "beyond": lambda: model["vocab"].update({last: 10**6}),
        "twice": lambda: model["vocab"].update({last: 100}),
        "a byte lost": lambda: model["vocab"].update(QQQ=model["vocab"].pop("Z")),
        "a special token spelt": lambda: (
            [model["vocab"].pop(t) for t in [t for t, i in model["vocab"].items() if i > 320]],
            model["vocab"].update({"en": 321, "end": 322, "<end": 323}),
            model.update(merges=[m for m in model["merges"] if "".join(m) in model["vocab"]] + [["e", "n"], ["en", "d"], ["<", "end"], ["<end", ">"]]),
        ),
        "no model": lambda: form.pop("model"),
        "unchanged": lambda: None,
    }[name]()
    return json.dumps(form)


OTHERS = {
    "lower case": "'normalizer' is", "a pattern without end": "'pre_tokenizer' is", "cut": "'truncation' is", "filled": "'padding' is", "drawn": "'dropout' is 0.5",
    "a prefix": "'continuing_subword_prefix' is '##'", "of words": "'type' is 'WordLevel'", "beyond": "have not the ids 0 to", "twice": "have not the ids 0 to",
    "a byte lost": "no token for 'Z'", "a special token spelt": "can spell its special token <end>", "no model": "no object with a model",
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_a_tokenizer_that_would_go_wrong_later_is_refused_at_once(name, small, tmp_path):
    small.save(tmp_path / "ours.json")
    form = json.loads((tmp_path / "ours.json").read_text())
    (tmp_path / "same.json").write_text(others(copy.deepcopy(form), "unchanged"))
    Tokenizer.load(tmp_path / "same.json")
    (tmp_path / "other.json").write_text(others(form, name))
    with pytest.raises(ValueError) as refused:
        Tokenizer.load(tmp_path / "other.json")
    said = str(refused.value)
    assert OTHERS[name] in said and said.startswith(f"{tmp_path}/other.json: ") and "again" in said and "\n" not in said


def test_diplomacy_counts_three_times_and_irc_is_thinned_to_half():
    def corpus(n, text):
        channel = Channel(name="c", readers=frozenset("a"))
        return [Conversation(id="x", messages=tuple(Message(id=str(i), author="a", channel=channel, time=i, text=text) for i in range(n)))]

    texts = list(training_texts({"diplomacy_lies": corpus(10, "dddd"), "casino": corpus(5, "cccc"), "irc_disentanglement": corpus(1000, "iiii")}))
    assert (texts.count("dddd"), texts.count("cccc")) == (30, 5)
    assert 30 <= texts.count("iiii") <= 35
