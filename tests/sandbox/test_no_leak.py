"""A finished run's log, one private message in it edited, everything encoded again: who could not read it holds and hears the same bits."""

from itertools import groupby

import pytest
import torch

import agents.reading
from sandbox.host import Cast
from sandbox.hosts import LocalExecutor
from sandbox.log import EventLog, read_events
from sandbox.record import logged_message
from sandbox.snapshot import load_snapshot
from sociallm.encode import nll_under
from sociallm.layout import reads_of
from tests.sandbox.runs import run
from tests.sandbox.test_states import checkpoint  # noqa: F401  (a fixture is used by being here)

PLAYERS = ("P0", "P1", "P2", "P3")
WORLD = {"name": "toy", "players": 4, "rounds": 2, "games": 1, "narrator": "w"}


def encoded_again(log, model, monkeypatch):
    """(what is in files, what is logged of memories, logits by (message, reader)) of agents who read this log from its beginning."""
    logits = {}

    def heard(loaded, encoded, pairs):
        """What the reader's surprise is made of, kept whole: next-token logits over the message with its states and without."""
        message, (own, other) = encoded.message, (torch.stack([pair[i] for pair in pairs], 1) for i in (0, 1))
        reader = sorted(message.channel.readers - {message.author})[sum(name == message.id for name, _ in logits)]
        h = loaded.model.read(encoded.public, reads_of([0] * len(pairs), encoded.sequence, loaded.model.config), own, other)
        logits[message.id, reader] = loaded.model.logits(h).numpy().tobytes()
        return nll_under(loaded, encoded, pairs)

    monkeypatch.setattr(agents.reading, "nll_under", heard)
    cast = Cast(
        seed=3, seats=dict.fromkeys(PLAYERS, "remembering"), policies={"remembering": {"checkpoint": model}}, environment=WORLD,
        plugins=("tests.sandbox.toy",), checkpoint=model,
    )  # fmt: skip
    records = []
    with LocalExecutor(cast) as hosts:
        said = [event for event in read_events(log) if event.kind == "message"]
        for _, step in groupby(said, key=lambda event: event.step):
            records += hosts.deliver([logged_message(event) for event in step], True)
        return dict(hosts.save().files), records, logits


def edited(log, where, name, text):
    """The same log, but that one message has another text."""
    again = EventLog(where, fsync="none", clock=lambda: 0.0)
    again.commit([e._replace(data={**e.data, "text": text}) if e.data.get("id") == name and e.kind == "message" else e for e in read_events(log)])
    again.close()
    return where


@pytest.mark.parametrize("longer", [False, True])
def test_who_could_not_read_an_edited_message_holds_and_hears_the_same_bits(capsys, tmp_path, checkpoint, monkeypatch, longer):  # noqa: F811
    given = ("environment.games=1", "environment.narrator=w", "seats.default=remembering", f"policies.remembering.checkpoint={checkpoint}")
    folder, events, _ = run(capsys, tmp_path, *given, "measure.surprise=true")
    before = encoded_again(folder / "events.jsonl", str(checkpoint), monkeypatch)
    logged = [event.data for event in events if event.kind == "memory"]
    kept = load_snapshot(folder / "snapshots" / "final").files
    assert before[1] == logged and before[0] == {name: content for name, content in kept.items() if name != "memories.json"}

    private = next(e for e in events if e.kind == "message" and e.data["channel"] == "P0-P1")
    text = private.data["text"].replace("heard", "lied about") if longer else private.data["text"].replace("say", "lie")
    assert text != private.data["text"] and (len(text) == len(private.data["text"])) is not longer
    after = encoded_again(edited(folder / "events.jsonl", tmp_path / "edited.jsonl", private.data["id"], text), str(checkpoint), monkeypatch)

    files = {name for name in before[0] if before[0][name] != after[0][name]}
    assert files == {"P0.safetensors", "P1.safetensors", "channels/P0-P1.safetensors"}
    assert before[0].keys() == after[0].keys() >= {"P2.safetensors", "P3.safetensors", "channels/ALL.safetensors", "channels/P0-P2.safetensors"}
    by_reader = {who: [[r for r in found[1] if r["reader"] == who] for found in (before, after)] for who in PLAYERS}
    assert {who for who, (was, now) in by_reader.items() if was != now} == {"P0", "P1"}
    changed = {key for key, bits in before[2].items() if bits != after[2][key]}
    assert before[2].keys() == after[2].keys() and {reader for _, reader in changed} == {"P0", "P1"}
    elsewhere = {e.data["id"] for e in events if e.kind == "message" and e.data["channel"] != "P0-P1"}
    assert any(name in elsewhere for name, _ in changed)  # of words that all could hear, but only these two with that message in mind
    assert sum(reader in ("P2", "P3") for _, reader in before[2]) > 10
