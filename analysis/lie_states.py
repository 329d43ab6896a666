"""What SociaLLM's states tell of a message of human press, from a model that never saw such press.

The messages of a game are read in order, each by its two readers, as a live run would (`sociallm.observing`). Two things are read out at the
beginnings of `observing.PROBES`, their mean taken [model width each]:

    held      just before the message, what its sender held: its own state and its state of the receiver
    changed   by how much the message changed what its receiver holds: its own state and its state of the sender

Both come from what the sender, or the receiver, had written and read up to then, and from no label. They are reckoned in double precision and
kept to DECIMALS: in single precision the last digits are of how many messages share a pass, later ones included. The clock is that of
`lie_files`. A model trained on the labelled games would know them by heart: its config.json must name its sets, and not these.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.lie_files import POWERS, SET, PressGame
from analysis.metrics import AnalysisError
from sandbox.disk import placed

if TYPE_CHECKING:
    from sociallm.checkpoint import Checkpoint

Floats = NDArray[np.float64]
DECIMALS = 4  # of a reading, which is a few units
WORDLESS = "…"  # what a message without a printable character is read as


def checked(name: str) -> str:
    """The SHA-256 of a checkpoint's weights. Raises `AnalysisError` unless its config.json names the sets it was trained on, none of them these games."""
    from sociallm.checkpoint import CONFIG, CheckpointError, checkpoint_hash, resolve

    try:
        sha256 = checkpoint_hash(name)
        path = resolve(name) / CONFIG
        notes = json.loads(path.read_text(encoding="utf-8")).get("notes")
    except CheckpointError as error:
        raise AnalysisError(str(error)) from None
    sets: Any = notes.get("sets") if isinstance(notes, dict) else None
    remedy = f"train one that never saw them: python -m sociallm train data=DATA out=FOLDER without={SET}"
    if not isinstance(sets, list) or not all(isinstance(one, str) for one in sets):
        raise AnalysisError(f"{path}: does not say on which sets the model was trained, so it may have seen the labelled games; {remedy}")
    if seen := [one for one in sets if one.startswith(SET)]:
        raise AnalysisError(f"{path}: the model was trained on {seen[0]}, whose games are to be judged; {remedy}")
    if notes.get("start") is not None:
        raise AnalysisError(f"{path}: the model was trained on from another ({notes['start']!s:.12}…), and does not say on which sets that was; {remedy}")
    return sha256


def read_states(games: Sequence[PressGame], checkpoint: str, kept: Path | None = None, say: Callable[[str], None] = lambda _: None) -> Floats:
    """[messages, 2 · width] of all games, in their order; kept in the file `kept` and taken from it if it is of this model and these messages.

    Raises `AnalysisError`.
    """
    sha256 = checked(checkpoint)
    name = _name(games, sha256)
    count = sum(len(game.messages) for game in games)
    if kept is not None and (found := _read_kept(kept, name, count)) is not None:
        return found
    reader = _doubled(checkpoint)
    found = np.concatenate([_read(game, reader, say) for game in games])
    if kept is not None:
        _keep(kept, name, found)
    return found


def _doubled(name: str) -> Checkpoint:
    """A copy of its own: the one that others share is in single precision."""
    from sociallm.checkpoint import CheckpointError, load

    try:
        found = load(name)
    except CheckpointError as error:
        raise AnalysisError(str(error)) from None
    found.model.double()
    return found


def _read(game: PressGame, reader: Checkpoint, say: Callable[[str], None]) -> Floats:
    from sociallm.conversation import Channel, Conversation, Message
    from sociallm.corpora import tidy
    from sociallm.encode import slots_of
    from sociallm.observing import PROBES, observe
    from sociallm.states import StateError
    from sociallm.trails import Asked, Moment, Source

    said: list[Message] = []
    moments: list[Moment] = []
    for n, m in enumerate(game.messages):
        pair = sorted((m.sender, m.receiver))
        channel = Channel(name="-".join(pair), readers=frozenset(pair))
        said.append(Message(id=f"m{m.index}", author=m.sender, channel=channel, time=m.time, text=tidy(m.text) or WORDLESS))
        for after, holder, about in ((n, m.sender, m.receiver), (n, m.receiver, m.sender), (n + 1, m.receiver, m.sender)):
            moments.append(Moment(after=after, time=m.time, holder=holder, about=(about,), name=len(moments)))
    order = tuple(sorted(moments, key=lambda moment: moment.after))
    source = Source(conversation=Conversation(id=game.name, messages=tuple(said)), slots=slots_of(POWERS), moments=order)
    try:
        [seen] = observe(reader, [source], Asked(rows=False))
    except (StateError, ValueError) as error:
        raise AnalysisError(f"game {game.name}: {error}") from None
    say(f"game {game.name}: {len(said)} messages read")
    at = np.argsort([moment.name for moment in order])
    felt = seen.features[at].astype(float).reshape(len(said), 3, len(PROBES), -1).mean(2)  # [messages, moments, width]
    return np.asarray(np.round(np.concatenate([felt[:, 0], felt[:, 2] - felt[:, 1]], axis=1), DECIMALS))


# ---- kept readings -----------------------------------------------------------------------------------------------------


def _name(games: Sequence[PressGame], sha256: str) -> str:
    """Of a model and all that it is given to read."""
    h = hashlib.sha256(sha256.encode())
    for game in games:
        for m in game.messages:
            h.update(json.dumps([game.name, m.index, m.season, m.sender, m.receiver, m.text]).encode())
    return h.hexdigest()


def _read_kept(path: Path, name: str, count: int) -> Floats | None:
    """None where there is no such file yet."""
    try:
        with np.load(path) as value:  # loads no objects unless told to
            found, of = np.asarray(value["states"], dtype=float), str(value["name"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise AnalysisError(f"{path}: no readings kept by this command ({' '.join(str(error).split()):.80}); name another file with --keep") from None
    if of != name or len(found) != count or not np.isfinite(found).all():
        raise AnalysisError(f"{path}: readings of another model or of other messages; name another file with --keep")
    return found


def _keep(path: Path, name: str, states: Floats) -> None:
    try:
        with placed(path) as part, open(part, "wb") as file:
            np.savez(file, name=np.array(name), states=states.astype(np.float64))
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be written ({error.strerror or error}); name another file with --keep") from None
