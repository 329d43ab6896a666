"""The main job as a user starts it: the shipped scenarios with the shipped model, on Ray and in one process."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from analysis.watch import held_out_games
from sandbox.__main__ import main
from sandbox.hosts import deal
from sandbox.log import Event, read_events
from scenarios.diplomacy.map import POWERS
from sociallm.batches import encode_conversation, windows_of
from sociallm.checkpoint import load
from sociallm.conversation import read_conversations
from sociallm.corpora import HELD_OUT
from sociallm.lanes import Piece, Showing
from sociallm.state_files import load_states
from sociallm.train import train_step
from sociallm.training import TrainConfig, new_training

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("SOCIALLM_DATA", ROOT.parent / "shared" / "data"))
CARD = (ROOT / "sociallm" / "checkpoints" / "base" / "MODEL_CARD.md").read_text(encoding="utf-8")


def ran(scenario: str, where: Path, *overrides: str) -> tuple[Path, list[Event]]:
    assert main(["run", str(ROOT / "scenarios" / scenario), f"run_dir={where}", *overrides]) == 0
    (folder,) = (where / scenario.removesuffix(".yaml")).iterdir()
    return folder, list(read_events(folder / "events.jsonl"))


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    """Spring 1901 to winter 1901 on two Ray hosts, plots and all."""
    return ran("diplomacy.yaml", tmp_path_factory.mktemp("ray"), "environment.last_year=1901")


def test_ray_and_one_process_write_the_same_log_with_the_shipped_model(game: tuple[Path, list[Event]], tmp_path: Path) -> None:
    local, _ = ran("diplomacy.yaml", tmp_path, "environment.last_year=1901", "executor=local", "plots=false")
    one, two = (json.loads((folder / "manifest.json").read_text()) for folder in (game[0], local))
    assert one["log_sha256"] == two["log_sha256"]
    assert (one["executor"], one["hosts"]) == ("ray", 2)
    assert [len(agents) for agents in deal(POWERS, 2)] == [4, 3]
    for path in sorted((game[0] / "snapshots" / "final").glob("*.safetensors")):
        assert path.read_bytes() == (local / "snapshots" / "final" / path.name).read_bytes()


def test_half_the_messages_are_worded_by_the_model_and_all_mean_their_act(game: tuple[Path, list[Event]]) -> None:
    from scenarios.diplomacy.negotiator import DiplomacyLanguage

    said = [e for e in game[1] if e.kind == "message"]
    assert len(said) >= 20 and sum(e.data["by"] == "model" for e in said) >= len(said) / 2
    for e in said:
        assert list(DiplomacyLanguage().meaning(e.data["text"], e.agent, frozenset(e.data["readers"]))) == [e.data["act"]]


def test_intent_stands_in_the_log_before_the_words_and_moves_follow_it(game: tuple[Path, list[Event]]) -> None:
    for step in {e.step for e in game[1] if e.kind == "message"}:
        here = [e for e in game[1] if e.step == step]
        for agent in {e.agent for e in here if e.kind == "message"}:
            first = next(e.seq for e in here if e.kind == "message" and e.agent == agent)
            (intent,) = [e for e in here if e.kind == "intent" and e.agent == agent]
            assert intent.seq < first
            for orders in intent.data["intent"].values():
                assert math.isclose(sum(orders.values()), 1.0, abs_tol=1e-3)


def test_every_agent_ends_with_its_own_state_and_one_of_everybody_who_wrote_to_it(game: tuple[Path, list[Event]]) -> None:
    checkpoint = load("base")
    wrote_to: dict[str, set[str]] = {power: set() for power in POWERS}
    for e in game[1]:
        if e.kind == "message":
            for reader in set(e.data["readers"]) - {e.agent}:
                wrote_to[reader].add(str(e.agent))
    for power in POWERS:
        states = load_states(game[0] / "snapshots" / "final" / f"{power}.safetensors", checkpoint.model, checkpoint.sha256)
        assert states.keys() == {"own"} | {f"of {other}" for other in wrote_to[power]}
        assert all(bool(s.S_LHPN.abs().max() > 0) for name, s in states.items() if name != "own" or wrote_to[power])


def test_the_folder_has_the_plots(game: tuple[Path, list[Event]]) -> None:
    for name in ("centres.png", "messages.png"):
        assert (game[0] / "plots" / name).read_bytes()[:4] == b"\x89PNG"


def test_the_conversations_of_a_run_train_the_model_that_played_it(game: tuple[Path, list[Event]]) -> None:
    checkpoint = load("base")
    (said,) = read_conversations(game[0] / "conversations.jsonl")
    window = windows_of(encode_conversation(said, checkpoint.tokenizer), 4096, 160)[0]
    config = TrainConfig(learning_rate=1e-3, weight_decay=0.0, warmup=1)
    state = new_training(checkpoint.model.train().requires_grad_(True), config)
    for showing in range(2):
        train_step(state, [Piece(Showing(showing, 0, window.encoded), window)], checkpoint.tokenizer, config)
    (first, *_), (second, *_) = state.recent
    assert state.tokens > 400 and second < first


@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded games are not here; set SOCIALLM_DATA")
def test_a_recorded_game_is_watched_with_and_without_states(tmp_path: Path) -> None:
    file = "game_439643_ENGLAND_T.json"  # the shortest, nine messages, never trained on
    assert file in CARD
    _, events = ran("watch.yaml", tmp_path, f"game={DATA / 'cicero_games' / file}", "executor=local", "plots=false")
    assert sum(e.kind == "message" for e in events) == 9
    measured = [e for e in events if e.kind == "memory" and e.data["role"] == "read"]
    assert {(e.data["message"], e.agent) for e in measured} == {
        (e.data["id"], reader) for e in events if e.kind == "message" for reader in set(e.data["readers"]) - {e.agent}
    }
    later = [e for e in measured if e.data["surprise"] != e.data["surprise_no_states"]]
    assert later and all(e.data["surprise_no_int"] > 0 and e.data["surprise_no_own"] > 0 for e in measured)


def test_the_card_names_the_twelve_games_that_the_rule_holds_out() -> None:
    assert held_out_games(ROOT / "sociallm" / "checkpoints" / "base" / "MODEL_CARD.md") == HELD_OUT and len(HELD_OUT) == 12
