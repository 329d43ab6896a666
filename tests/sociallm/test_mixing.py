"""What a generation is trained on: exact shares of real text and dialogues, and no lineage beyond its cap."""

from collections import Counter

import numpy as np
import pytest

from sociallm.mixing import cut, mixture, size
from tests.sociallm.small import conversation

REAL = {"casino": [conversation(1000 + i, 40) for i in range(30)], "avalon_nlu": [conversation(2000 + i, 40) for i in range(30)]}
OWN = [conversation(i, 12) for i in range(200)]


def lineages(mixed, tokenizer):
    """Tokens by author among the dialogues, counted anew."""
    said = Counter()
    for encoded in mixed.sets[1][0]:
        for message in encoded.conversation.messages:
            said[message.author] += len(tokenizer.encode_text(message.text)) + 1
    return said


def test_real_text_has_its_share_at_least_and_dialogues_the_rest(tokenizer):
    mixed = mixture(REAL, OWN, tokenizer, 8000, 0.6, 0.0, (0, 0))
    longest = max(size(e) for e in (*mixed.sets[0][0], *mixed.sets[1][0]))
    assert 0.6 <= mixed.real_tokens / mixed.tokens <= 0.6 + 2 * longest / 8000 and mixed.tokens == pytest.approx(8000, abs=2 * longest)
    assert mixed.own_tokens == sum(lineages(mixed, tokenizer).values()) and mixed.real_tokens == sum(map(size, mixed.sets[0][0]))


def test_where_dialogues_are_few_real_text_takes_their_place(tokenizer):
    mixed = mixture(REAL, OWN[:3], tokenizer, 8000, 0.6, 0.0, (0, 0))
    assert len(mixed.sets[1][0]) == 3 and mixed.tokens >= 8000


def test_nobody_has_more_than_its_cap(tokenizer):
    mixed = mixture(REAL, OWN, tokenizer, 8000, 0.6, 0.05, (0, 0))
    said = lineages(mixed, tokenizer)
    assert said == mixed.lineages and max(said.values()) <= 400 and mixed.over_cap > 0 and mixed.told()["largest_lineage"] <= 0.05


def test_without_real_text_there_is_none_and_without_anything_it_is_refused(tokenizer):
    assert mixture(REAL, OWN, tokenizer, 8000, 0.0, 0.0, (0, 0)).real_tokens == 0
    with pytest.raises(ValueError, match="nothing to train on"):
        mixture({}, [], tokenizer, 8000, 0.6, 0.0, (0, 0))


def test_a_heavier_set_is_drawn_more_often(tokenizer):
    """avalon_nlu weighs twice what casino does, so of as many pieces two thirds of those drawn are its own."""
    short = {name: [conversation(k + i, 2) for i in range(30)] for k, name in ((0, "avalon_nlu"), (500, "casino"))}
    heavy = {one.messages for one in short["avalon_nlu"]}
    drawn = [e.conversation.messages in heavy for s in range(300) for e in mixture(short, [], tokenizer, 30, 0.6, 0.0, (s, 0)).sets[0][0]]
    assert len(drawn) > 300 and np.mean(drawn) == pytest.approx(2 / 3, abs=0.07)


def test_the_same_seed_takes_the_same_pieces_and_another_others(tokenizer):
    def texts(seed):
        return [m.text for part, _ in mixture(REAL, OWN, tokenizer, 3000, 0.6, 0.0, seed).sets for e in part for m in e.conversation.messages]

    assert texts((0, 0)) == texts((0, 0)) != texts((0, 1))


def test_pieces_join_up():
    one = conversation(5, 40)
    parts = list(cut(one, 16))
    assert [len(part.messages) for part in parts] == [16, 16, 8] and tuple(m for part in parts for m in part.messages) == one.messages
