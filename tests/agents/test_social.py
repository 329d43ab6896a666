"""The social policy on the real language of Diplomacy: every message means its act, the record says truly whose words they are,
and each turn decides alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.deciding import decide
from agents.memory import AgentMemory
from agents.policies import social
from agents.reading import Reader
from agents.types import Action, Message, Observation, Turn
from scenarios.diplomacy import press
from scenarios.diplomacy.environment import EVERYONE, PAIRS, Options, make
from scenarios.diplomacy.negotiator import DiplomacyLanguage
from sociallm import checkpoint
from sociallm.checkpoint import Checkpoint
from sociallm.encode import encode, header_of, new_local, nll_under, slots_of
from sociallm.generate import ROWS, Candidate, Wanted, generate_all
from sociallm.states import LocalState
from sociallm.tokenizer import Tokenizer
from tests.scenarios.table_play import stream
from tests.sociallm.small import incline, model_of, tokenizer_of

WORLD = make(Options())
LANGUAGE = WORLD.language
VIEWS = {agent: WORLD.observe(WORLD.start(stream("start")), agent) for agent in WORLD.agents}


def turn(agent: str, seed: int = 1, memory: AgentMemory | None = None, channels: Mapping[str, LocalState] | None = None, **changes: object) -> Turn:
    seen = Observation(agent=agent, step=3, time=777, may_write=tuple(c for c in PAIRS if agent in c.readers), view=VIEWS[agent])
    seen = replace(seen, **changes)
    return Turn(observation=seen, memory=memory or AgentMemory(), rng=stream(seed, agent), channels=channels or {})


def meant(action: Action) -> list[list[object]]:
    """What each message means, by its text alone."""
    return [list(LANGUAGE.meaning(m.text, m.author, m.channel.readers)) for m in action.messages]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """One that knows the words of the acts said in spring 1901, and a few more."""
    acts = [(agent, act) for agent in WORLD.agents for _, act in decide(turn(agent), LANGUAGE).acts]
    return tokenizer_of([*(t for agent, act in acts for t in LANGUAGE.word(act, agent)), *["the lazy fox"] * 20], vocabulary=700)


class Speaker:
    """A tiny model with inclinations, saved as a checkpoint, and its policy."""

    def __init__(self, folder: Path, tokenizer: Tokenizer, wishes: Mapping[str, float], **options: object):
        model = model_of(vocabulary=tokenizer.vocabulary)
        incline(model, {(tokenizer.encode_text(word)[0] if word else Tokenizer.END): nats for word, nats in wishes.items()})
        checkpoint.save(folder, model, tokenizer, {})
        self.name = str(folder)
        self.policy = social.make(LANGUAGE, social.Options(checkpoint=self.name, **options), WORLD.agents)


@pytest.fixture(scope="module")
def talker(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Speaker:
    """Says a few words of its own (mostly ' fox'), then ends."""
    return Speaker(tmp_path_factory.mktemp("talker"), tokenizer, {"": 6.0, " fox": 6.0})


@pytest.fixture(scope="module")
def parrot(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Speaker:
    """Ends at once."""
    return Speaker(tmp_path_factory.mktemp("parrot"), tokenizer, {"": 30.0})


@pytest.fixture(scope="module")
def endless(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Speaker:
    """Never ends."""
    return Speaker(tmp_path_factory.mktemp("endless"), tokenizer, {"": -50.0, " fox": 9.0})


@pytest.fixture(scope="module")
def said(talker: Speaker, parrot: Speaker, endless: Speaker) -> dict[str, list[Action]]:
    """What each of the seven says in spring 1901."""
    turns = {n: [turn(a) for a in WORLD.agents] for n in ("talker", "parrot", "endless")}
    return {n: [a for a, _ in s.policy.step(turns[n])] for n, s in (("talker", talker), ("parrot", parrot), ("endless", endless))}


def test_every_message_means_exactly_its_act(said: dict[str, list[Action]]) -> None:
    for actions in said.values():
        for agent, action in zip(WORLD.agents, actions, strict=True):
            assert 1 <= len(action.messages) == len(action.wording)
            assert meant(action) == [[w["act"]] for w in action.wording]
            for message, wording in zip(action.messages, action.wording, strict=True):
                assert (message.author, message.time) == (agent, 777) and message.addressees == set(wording["act"]["to"])
                assert message.text == message.text.strip() and message.text.isprintable()


def test_acts_intents_and_notes_are_those_of_the_negotiator(said: dict[str, list[Action]], talker: Speaker) -> None:
    """The model words; what is said, to whom and why does not depend on it."""
    for k, agent in enumerate(WORLD.agents):
        decision = decide(turn(agent), LANGUAGE)
        for actions in said.values():
            assert actions[k].intent == decision.intent and actions[k].move is None
            assert [(m.channel, w["act"]) for m, w in zip(actions[k].messages, actions[k].wording, strict=True)] == list(decision.acts)
    ((_, memory),) = talker.policy.step([turn("ITALY")])
    assert memory.notes == decide(turn("ITALY"), LANGUAGE).notes


def test_words_are_the_models_only_if_it_chose_some(said: dict[str, list[Action]]) -> None:
    """A model that goes on words its messages, one that would end at once with a single token; one that never ends leaves them to the grammar."""
    for name, actions in said.items():
        for agent, action in zip(WORLD.agents, actions, strict=True):
            for message, wording in zip(action.messages, action.wording, strict=True):
                grammar = LANGUAGE.word(wording["act"], agent)
                assert wording["candidates"] in range(ROWS, ROWS * social.DRAWS + 1, ROWS) and 0 <= wording["meant"] <= ROWS
                assert wording["meant"] > 0 or wording["candidates"] == ROWS * social.DRAWS  # drawn again, as often as is allowed
                if wording["by"] == "model":
                    assert wording["sampled"] > 0 and wording["meant"] > 0 and message.text not in grammar
                    assert any(message.text.startswith(f"{begun} ") for begun in grammar)  # and then words of their own
                else:
                    assert wording["by"] == "grammar" and message.text in grammar and not wording.get("sampled")
                if name == "endless":
                    assert message.text == grammar[0] and wording["meant"] == 0  # the plainest
    by = {name: [w["by"] for a in actions for w in a.wording] for name, actions in said.items()}
    assert by["talker"].count("model") > 0.8 * len(by["talker"]) and set(by["endless"]) == {"grammar"}
    assert {w["sampled"] for a in said["parrot"] for w in a.wording if w["by"] == "model"} == {1}


def test_words_that_mean_something_else_or_more_are_not_said(talker: Speaker) -> None:
    """In a Diplomacy where a fox is a draw, this model's own words would propose one."""

    class Foxes(DiplomacyLanguage):
        def meaning(self, text: str, author: str, readers: frozenset[str]) -> list[object]:
            return [*super().meaning(text, author, readers), *[press.act("propose", readers - {author}, {"kind": "draw"})] * ("fox" in text)]

    policy = social.make(Foxes(), social.Options(checkpoint=talker.name), WORLD.agents)
    for action, _ in policy.step([turn(agent) for agent in WORLD.agents[:3]]):
        assert action.messages and meant(action) == [[w["act"]] for w in action.wording]
        assert not any("fox" in m.text for m in action.messages) and {w["by"] for w in action.wording} == {"grammar"}


def test_what_the_model_adds_names_nothing_of_the_game(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that likes to say ' Vienna': even drawn, its words are not said, though the act is still read in them."""
    monkeypatch.setattr(social, "_unsaid", lambda tokenizer, language: frozenset())
    speaker = Speaker(tmp_path / "names", tokenizer_of([*["So Vienna."] * 30, "the lazy fox"], vocabulary=400), {"": 9.0, " Vienna": 9.0})
    ((action, _),) = speaker.policy.step([turn("TURKEY")])
    assert action.messages and [(w["by"], w["meant"]) for w in action.wording] == [("grammar", 0)] * len(action.wording)
    for message, wording in zip(action.messages, action.wording, strict=True):
        assert list(LANGUAGE.meaning(f"{message.text} Vienna", message.author, message.channel.readers)) == [wording["act"]]


def test_tokens_that_name_something_are_not_drawn(tmp_path: Path) -> None:
    """The same model, left to itself: ' Vienna' is never among its own words, and so some of them can be said."""
    tokenizer = tokenizer_of([*["So Vienna."] * 30, *["the lazy fox"] * 30], vocabulary=400)
    unsaid = {tokenizer.decode([i]) for i in social._unsaid(tokenizer, LANGUAGE)}
    assert {" Vienna", " "} <= unsaid and not {" lazy", " fox", "."} & unsaid
    speaker = Speaker(tmp_path / "names", tokenizer, {"": 9.0, " Vienna": 9.0, " fox": 9.0})
    ((action, _),) = speaker.policy.step([turn("TURKEY")])
    assert "model" in {w["by"] for w in action.wording}


def test_words_that_deny_are_said_only_for_want_of_others(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Where a fox and another are a denial, a model that says ' fox' and ' lazy' alike has them seldom side by side."""
    speaker = Speaker(tmp_path / "both", tokenizer, {"": 9.0, " fox": 9.0, " lazy": 9.0})

    class Foxes(DiplomacyLanguage):
        def denies(self, text: str) -> bool:
            return "fox fox" in text

    def said_in(language: DiplomacyLanguage) -> list[tuple[str, object]]:
        policy = social.make(language, social.Options(checkpoint=speaker.name), WORLD.agents)
        return [(m.text, w["meant"]) for a, _ in policy.step([turn(n) for n in WORLD.agents]) for m, w in zip(a.messages, a.wording, strict=True)]

    plain, wary = said_in(LANGUAGE), said_in(Foxes())
    assert sum(w for _, w in wary) > sum(p for _, p in plain)  # for want of others more of them are looked at
    assert sum("fox fox" in text for text, _ in wary) < sum("fox fox" in text for text, _ in plain)


def test_tokens_that_deny_are_not_drawn(tmp_path: Path) -> None:
    """Not even such as deny only behind a word, as 't does; words are the model's all the same."""
    tokenizer = tokenizer_of([*["I can't, I will not, never"] * 30, *["the lazy fox"] * 30], vocabulary=400)
    unsaid = {tokenizer.decode([i]) for i in social._unsaid(tokenizer, LANGUAGE)}
    assert {" not", " never", "'t"} <= unsaid and not {" will", " fox", "'"} & unsaid
    speaker = Speaker(tmp_path / "denying", tokenizer, {"": 9.0, " not": 9.0, " fox": 9.0})
    texts = [(m.text, w["by"]) for a, _ in speaker.policy.step([turn(n) for n in WORLD.agents]) for m, w in zip(a.messages, a.wording, strict=True)]
    assert any("fox" in text for text, by in texts if by == "model") and not any(text.endswith(" not") or " not not" in text or " not fox" in text for text, _ in texts)


def test_of_candidates_that_are_as_likely_the_first_is_said_in_whatever_order_they_come(talker: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    def said_when_asked(order: Callable[[Sequence[int]], Sequence[int]]) -> list[list[str]]:
        def offered(checkpoint: Checkpoint, wanted: Sequence[Wanted], *args: Any, **more: Any) -> list[list[Candidate]]:
            found = [[Candidate(f"{begun} {' '.join(['fox'] * (i + 1))}.", 5.0, 9, i + 1, True) for i, begun in enumerate(one.beginnings)] for one in wanted]
            for one, candidates in zip(wanted, found, strict=True):
                assert one.will_do is not None and all(one.will_do(i, candidates[i]) for i in order(range(ROWS)))
            return found

        monkeypatch.setattr(social, "generate_all", offered)
        return [[m.text for m in action.messages] for action, _ in talker.policy.step([turn(agent) for agent in WORLD.agents])]

    forward, backward = said_when_asked(list), said_when_asked(lambda places: list(reversed(places)))
    assert forward == backward and all(text.endswith(" fox.") and "fox fox" not in text for texts in forward for text in texts)


def test_what_is_logged_of_a_message_is_its_likelihood(said: dict[str, list[Action]], talker: Speaker) -> None:
    """Nats and tokens are those the model gives the text it said, when that text is read again."""
    tiny, slots, checked = checkpoint.load(talker.name), slots_of(WORLD.agents), 0
    empty = tiny.model.empty_state(1)[:, 0]
    for action in said["talker"]:
        for message, wording in zip(action.messages, action.wording, strict=True):
            _, encoded = encode(tiny, slots, None, message)
            row = nll_under(tiny, encoded, [(empty, empty)])[0]
            if len(row) == wording["tokens"]:  # a text may have another split into tokens than the one it was said in
                assert wording["nats"] == pytest.approx(float(row.sum()), rel=1e-4)
                checked += 1
    assert checked >= 7


def test_the_same_turn_gives_the_same_action_whoever_else_is_in_the_batch(talker: Speaker, said: dict[str, list[Action]]) -> None:
    alone = [talker.policy.step([turn(agent)])[0] for agent in reversed(WORLD.agents[:4])][::-1]
    assert [action for action, _ in alone] == said["talker"][:4]
    some = talker.policy.step([turn("TURKEY"), turn("AUSTRIA"), turn("TURKEY")])
    assert some[0][0] == some[2][0] == said["talker"][6] and some[1][0] == said["talker"][0]


def test_another_random_stream_gives_other_words(talker: Speaker, said: dict[str, list[Action]]) -> None:
    other = [action for action, _ in talker.policy.step([turn(a, seed=2) for a in WORLD.agents])]
    assert sum(a.messages != b.messages for a, b in zip(other, said["talker"], strict=True)) >= 6


def test_two_policies_of_one_checkpoint_share_its_weights(talker: Speaker, said: dict[str, list[Action]]) -> None:
    again = social.make(LANGUAGE, social.Options(checkpoint=talker.name), WORLD.agents)
    assert again._checkpoint is talker.policy._checkpoint is checkpoint.shared(talker.name)
    assert again.step([turn("FRANCE")])[0][0] == said["talker"][2]


def test_what_an_agent_remembers_and_has_heard_reaches_its_words(talker: Speaker) -> None:
    """Austria, after a message from whom it writes to first, has three things: its own state, its state of the other, the channel's."""
    reader = Reader(talker.name, WORLD.agents)
    fresh = turn("AUSTRIA")
    (channel, _), *_ = decide(fresh, LANGUAGE).acts
    (other,) = channel.readers - {"AUSTRIA"}
    heard = Message(id="1", author=other, channel=channel, time=5, text="the lazy fox. " * 4)
    local, (encoded,) = reader.encode(None, [heard])
    memory = reader.absorb({"AUSTRIA": AgentMemory()}, encoded, False)[0]["AUSTRIA"]
    variants = {
        "stranger": fresh,
        "channel": turn("AUSTRIA", channels={channel.name: local}),
        "own": turn("AUSTRIA", memory=replace(memory, others={})),
        "other": turn("AUSTRIA", memory=replace(memory, own=None)),
    }
    nats = {name: talker.policy.step([t])[0][0].wording[0]["nats"] for name, t in variants.items()}
    assert len(set(nats.values())) == 4


def test_the_interlocutor_of_an_act_is_its_addressee(talker: Speaker) -> None:
    tiny = checkpoint.shared(talker.name)
    slots = slots_of(WORLD.agents)
    for message in talker.policy.step([turn("ITALY")])[0][0].messages:
        _, partners = header_of(tiny, new_local(tiny), slots, message)
        assert set(partners) == message.addressees == message.channel.readers - {"ITALY"}


def test_memory_handed_over_keeps_the_states_and_takes_new_notes(talker: Speaker) -> None:
    given = turn("GERMANY", memory=AgentMemory(channels={"x": "key"}))
    ((_, memory),) = talker.policy.step([given])
    assert (memory.own, memory.others, memory.channels) == (None, {}, {"x": "key"})
    assert memory.notes["said"] and given.memory.notes is None


def test_where_it_may_not_write_it_is_silent_and_moves_when_a_move_is_due(talker: Speaker) -> None:
    ((quiet, _),) = talker.policy.step([turn("FRANCE", may_write=(), move_due=True)])
    assert quiet.messages == quiet.wording == () and quiet.move.keys() == {"A MAR", "A PAR", "F BRE"}


def test_in_an_open_room_it_still_means_its_acts(talker: Speaker) -> None:
    ((action, _),) = talker.policy.step([turn("RUSSIA", may_write=(EVERYONE,))])
    assert meant(action) == [[w["act"]] for w in action.wording]


def test_without_a_language_it_is_silent_and_keeps_its_memory(talker: Speaker) -> None:
    policy = social.make(None, social.Options(checkpoint=talker.name), WORLD.agents)
    turns = [turn(a, memory=AgentMemory(notes=a)) for a in WORLD.agents]
    assert list(policy.step(turns)) == [(Action(), t.memory) for t in turns]


def test_no_turns_give_no_actions(talker: Speaker) -> None:
    assert list(talker.policy.step([])) == []


def test_half_a_character_is_not_said(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """A model that goes on with the first byte of a snowman, or with nothing."""
    half = tokenizer.encode_text("☃")[0]
    speaker = Speaker(tmp_path / "half", tokenizer, {"": 6.0, "☃": 6.0})
    assert tokenizer.decode([half]) == "\ufffd"
    ((action, _),) = speaker.policy.step([turn("ITALY")])
    assert [w["by"] for w in action.wording] == ["grammar"] * len(action.wording) and action.messages
    assert not any("\ufffd" in m.text for m in action.messages)


def test_a_short_leash_cuts_what_is_too_long(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Eight tokens, beginning included: a candidate that does not end within them is not said."""
    speaker = Speaker(tmp_path / "short", tokenizer, {"": 6.0, " fox": 6.0}, most_tokens=8)
    ((action, _),) = speaker.policy.step([turn("ITALY")])
    assert meant(action) == [[w["act"]] for w in action.wording]
    assert all(w["by"] == "grammar" or w["tokens"] <= 8 for w in action.wording)


@pytest.mark.parametrize(
    "options",
    [{"temperature": t} for t in (0.0, 0.049, 5.1, -1.0, math.nan, math.inf)]
    + [{"top_p": p} for p in (0.0, -0.1, 1.01, math.nan)]
    + [{"most_tokens": n} for n in (0, 7, 257, -8)],
)
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected temperature in") as error:
        social.Options(**options)
    assert "\n" not in str(error.value)


def test_the_ends_of_the_ranges_are_taken() -> None:
    for key, value in (("temperature", 0.05), ("temperature", 5.0), ("top_p", 1.0), ("most_tokens", 8), ("most_tokens", 256)):
        assert getattr(social.Options(**{key: value}), key) == value


def test_a_missing_checkpoint_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no checkpoint folder there") as error:
        social.make(LANGUAGE, social.Options(checkpoint=str(tmp_path / "none")), WORLD.agents)
    assert "\n" not in str(error.value)


def test_candidates_drawn_together_begin_in_a_few_ways(talker: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each message: so many of the grammar's as there are, BEGINNINGS at most, each as often as any other."""
    seen: list[Sequence[str]] = []

    def noting(checkpoint: Checkpoint, wanted: Sequence[Wanted], *args: Any, **more: Any) -> list[list[Candidate]]:
        seen.extend(one.beginnings for one in wanted)
        return generate_all(checkpoint, wanted, *args, **more)

    monkeypatch.setattr(social, "generate_all", noting)
    actions = [action for action, _ in talker.policy.step([turn(agent) for agent in WORLD.agents])]
    ways = {len(LANGUAGE.word(w["act"], a)) for a, action in zip(WORLD.agents, actions, strict=True) for w in action.wording}
    assert max(ways) > social.BEGINNINGS and seen
    for beginnings in seen:
        times = Counter(beginnings)
        assert len(times) <= social.BEGINNINGS and max(times.values()) - min(times.values()) <= 1
    assert {len(set(beginnings)) for beginnings in seen} == {min(n, social.BEGINNINGS) for n in ways}
