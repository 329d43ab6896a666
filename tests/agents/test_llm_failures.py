"""Everything that can be wrong with a server, met on a stub that does it: told as a fault, bounded, and the world's own negotiator plays on."""

import threading
import time
import tracemalloc

import pytest

from agents.asking.seat import Unhealing
from agents.asking.wire import MOST_BYTES
from sandbox.rights import permitted
from tests.agents.asked import asking, turns_of, world
from tests.agents.stub_server import serving

SECRET = "sk-canary-0123456789abcdef"


@pytest.fixture(scope="module")
def stub():
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def market():
    return world()


def played(policy, environment, steps=2):
    """What the agents do in the first steps, each held against the rules."""
    found = []
    for batch in turns_of(environment, steps):
        for turn, (action, _) in zip(batch, policy.step(batch), strict=True):
            checked, faults = permitted(turn.observation, action, environment.agents, set())
            assert tuple((f.what, f.why) for f in faults) == action.faults, "the sandbox finds no more faults than the policy told"
            found.append((turn, checked, action))
    return found


WRONG = {  # model → (the fault, words of it)
    "missing": ("http 404", "does not exist"), "unauthorised": ("http 401", "--key ORIGIN=VARIABLE"), "forbidden": ("http 403", "does not open"),
    "much_too_many": ("http 429", "too many"), "broken": ("http 500", "internal"), "page": ("server", "a web page"), "half": ("server", "half a JSON"),
    "cut": ("server", "broke off"), "huge": ("server", f"more than {MOST_BYTES} bytes"), "endless": ("timeout", "in time"), "headers": ("timeout", "in time"),
    "packed": ("server", "packed"), "slow": ("timeout", "in time"), "elsewhere": ("http 307", "a redirect, which is not followed"), "empty": ("server", "no choices"),
    "silent": ("server", "empty"), "odd": ("server", "no choices"), "deep": ("server", "no JSON"),
}  # fmt: skip


@pytest.mark.parametrize("model", WRONG)
def test_what_a_server_does_wrong_is_a_fault_and_the_worlds_own_negotiator_moves_in_silence(stub, market, model):
    stub.elsewhere = stub.origin
    before = len(stub.asked)
    seconds = 0.6 if WRONG[model][0] == "timeout" else 20.0
    for turn, checked, action in played(asking(stub, model, market, SECRET, timeout=seconds), market):
        what, words = WRONG[model]
        assert action.faults[0][0] == what and words in action.faults[0][1]
        assert action.faults[-1][0] == "fallback" and checked.messages == ()
        assert (checked.move is not None) == turn.observation.move_due
        assert action.usage["calls"] >= action.usage["attempts"] >= 1 and action.usage["tokens_out"] == (40 if model == "silent" else 0)
        assert SECRET not in str(action)
    asked = len(stub.asked) - before
    final = model in ("missing", "unauthorised", "forbidden", "much_too_many", "elsewhere")
    assert asked == 6 * (1 if final else 2), "what asking again cannot mend is asked once, all else twice"


def test_a_server_that_is_down_is_a_fault(market):
    with serving() as server:
        pass
    for _, checked, action in played(asking(server, "player", market), market):
        assert action.faults[0] == ("server", f"{server.origin} is not there: nobody listens (ConnectError)") and checked.messages == ()


@pytest.mark.parametrize("model", ["unauthorised", "forbidden", "missing", "elsewhere"])
def test_a_refusal_that_no_later_turn_heals_ends_the_run_in_one_line(stub, market, model):
    stub.elsewhere = stub.origin
    policy = asking(stub, model, market, SECRET, on_failure="refused")
    with pytest.raises(Unhealing) as caught:
        policy.step(turns_of(market)[0])
    assert stub.origin in str(caught.value) and "\n" not in str(caught.value) and SECRET not in str(caught.value)


def test_on_failure_stop_ends_the_run_where_a_turn_has_no_reply(stub, market):
    with pytest.raises(ValueError, match="on_failure is stop"):
        asking(stub, "broken", market, on_failure="stop").step(turns_of(market)[0][:1])


def test_who_is_told_to_wait_waits_and_is_answered(stub, market):
    began = time.monotonic()
    for _, _checked, action in played(asking(stub, "too_many", market, parallel=1), market):
        assert action.faults[0][0] == "http 429" and len(action.faults) == 1 and action.usage["attempts"] == 2
    assert time.monotonic() - began >= 0.6, "0.1 seconds for each of six"


def test_a_server_is_asked_for_less_where_it_refuses_and_what_it_takes_is_remembered(stub, market):
    policy, batch = asking(stub, "plain_only", market), turns_of(market)[0][:1]
    before = len(stub.asked)
    [(action, memory)] = policy.step(batch)
    assert action.faults == () and action.usage["calls"] == 5 and action.usage["attempts"] == 1
    assert memory.notes["seat"] == action.usage["seat"] == {"form": "text", "limit": "max_completion_tokens", "without": ["seed"]}
    [(again, _)] = policy.step([type(batch[0])(observation=batch[0].observation, memory=memory, rng=batch[0].rng)])
    assert again.usage["calls"] == 1 and len(stub.asked) - before == 6
    assert {"response_format", "max_tokens", "seed"}.isdisjoint(stub.asked[-1][2])


@pytest.mark.parametrize("model", ["huge", "endless", "packed", "headers"])
def test_an_answer_without_end_costs_no_memory_and_no_more_than_its_time(stub, market, model):
    policy, batch = asking(stub, model, market, timeout=1.0, attempts=1), turns_of(market)[0]
    policy.step(batch[:1])  # imports
    tracemalloc.start()
    began = time.monotonic()
    policy.step(batch[:1])
    took, (_, peak) = time.monotonic() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * MOST_BYTES and took < 20


def test_a_reply_that_cannot_be_taken_is_told_why_and_asked_again(stub, market):
    before = len(stub.asked)
    for _, _, action in played(asking(stub, "second_thought", market, parallel=1), market, 1):
        assert action.usage["attempts"] == 2 and action.faults == (("reply", "it holds no JSON object with messages, intent, move"),) and action.intent
    first, second = stub.asked[before][2], stub.asked[before + 1][2]
    assert second["messages"][:2] == first["messages"] and "could not be taken" in second["messages"][-1]["content"] and second["seed"] == first["seed"] + 1


def test_half_a_character_in_a_reply_is_asked_again_about_and_ends_no_run(stub, market):
    stub.replies["half_character"] = "no object, \ud800"
    before = len(stub.asked)
    for _, _, action in played(asking(stub, "half_character", market, attempts=2), market, steps=1):
        assert [what for what, _ in action.faults] == ["reply", "reply", "fallback"]
    assert {body["messages"][-2]["content"] for _, _, body in stub.asked[before:] if len(body["messages"]) > 2} == {"no object, ?"}


def test_what_was_thought_aloud_and_fenced_is_read(stub, market):
    assert all(action.faults == () and action.intent is not None for _, _, action in played(asking(stub, "fenced", market), market))


def test_tokens_that_no_server_can_have_counted_are_reckoned_from_the_text(stub, market):
    for _, _, action in played(asking(stub, "greedy", market, price_out=1e6), market, 1):
        assert action.usage["tokens_in"] > 100 and 5 < action.usage["tokens_out"] < 1000 and action.usage["cost"] == action.usage["tokens_out"]


def test_a_key_that_a_server_says_back_is_nowhere_in_what_the_agent_says_or_remembers(stub, market):
    policy = asking(stub, "echo", market, SECRET)
    for batch in turns_of(market, 2):
        for action, memory in policy.step(batch):
            assert SECRET not in str(action) and SECRET not in str(memory.notes)
            assert all("[key]" in message.text for message in action.messages)
    assert stub.asked[-1][1]["authorization"] == f"Bearer {SECRET}", "it was sent, and said back"


def test_without_a_key_none_is_sent_and_with_closed_doors_nothing_is(stub, market):
    before = len(stub.asked)
    asking(stub, "player", market).step(turns_of(market)[0][:1])
    assert len(stub.asked) == before + 1 and "authorization" not in stub.asked[-1][1]
    with pytest.raises(ValueError, match="--allow-host"):
        asking(stub, "player", market, allow=False).step(turns_of(market)[0][:1])
    assert len(stub.asked) == before + 1


def test_requests_of_a_step_are_made_side_by_side_and_answered_in_order(stub, market):
    together = threading.Barrier(3, timeout=20)
    stub.replies["barrier"] = lambda body: (together.wait(), '{"messages": [], "move": 1.5}')[1]
    results = asking(stub, "barrier", market, timeout=30).step(turns_of(market, 2)[1])
    assert [action.move for action, _ in results] == [1.5, 1.5, 1.5], "three requests were under way at once, or the barrier had broken"


def test_what_is_under_way_is_given_up_when_a_run_is_to_end(stub, market):
    def slow(body):
        time.sleep(30 if "S2" in body["messages"][0]["content"] else 0)
        return '{"messages": []}' if "S2" in body["messages"][0]["content"] else "x"

    stub.replies["stuck"] = slow
    began = time.monotonic()
    with pytest.raises(Unhealing):
        asking(stub, "stuck", market, timeout=25, attempts=1, each={"S1": {"model": "missing", "on_failure": "stop"}}).step(turns_of(market)[0])
    assert time.monotonic() - began < 20
