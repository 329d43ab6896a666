"""E_rel of every message of a run: from `observed.parquet` beside it (`python -m analysis observe RUN`), or computed with a checkpoint.

How much likelier, a token, memory of what was said before makes a message to its author's model: a message far below is a repetition, one far
above fits nothing that went before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from sandbox.disk import file_sha256
from sandbox.exporting.reading import Said
from sandbox.exporting.source import Source as Run
from sandbox.exporting.wish import ExportError, Wish
from sociallm.conversation import Channel, Conversation, Message

TABLE = "observed.parquet"


def energies(said: Said, checkpoint: str | None) -> dict[str, float]:
    """Message id → E_rel, of its author. Raises `ExportError` if it is not known and cannot be computed."""
    table = said.source.folder / TABLE
    if checkpoint is not None:
        return _computed(said, checkpoint)
    found = _read(table)
    if missing := [line.id for line in said.lines if line.id not in found and not line.told]:
        raise ExportError(f"{table}: knows nothing of {len(missing)} messages of the run, such as {missing[0]!r:.40}; make it again with python -m analysis observe {table.parent}")
    return found


def must_be_known(runs: Sequence[Run], wish: Wish) -> None:
    """Raises `ExportError` for the first run whose energies are asked for and can neither be read nor computed: before anything is written."""
    if wish.energy is not None and wish.checkpoint is None:
        for run in runs:
            if not (run.folder / TABLE).is_file():
                raise ExportError(f"{run.folder}: has no {TABLE} to read energies from; first python -m analysis observe {run.folder}, or name --checkpoint base")


def known_by(source: Run, wish: Wish) -> str:
    """What the energies of a run follow from beside its log: the hash of its table; "" where none is read."""
    table = source.folder / TABLE
    if wish.energy is None or wish.checkpoint is not None or not table.is_file():
        return ""
    return file_sha256(table)


def weights(name: str) -> str:
    """The hash of a checkpoint's weights. Raises `ExportError` where there is none."""
    from sociallm.checkpoint import CheckpointError, checkpoint_hash

    try:
        return checkpoint_hash(name)
    except CheckpointError as error:
        raise ExportError(f"--checkpoint {name!r:.60}: energies cannot be computed with it ({error}); name another") from None


def _read(table: Path) -> dict[str, float]:
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        columns = parquet.read_table(table, columns=["message", "role", "e_rel"]).to_pydict()
    except (pyarrow.ArrowException, OSError, KeyError, ValueError) as error:
        raise ExportError(f"{table}: not a table of observations ({' '.join(str(error).split()):.80}); make it again with python -m analysis observe {table.parent}") from None
    found: dict[str, float] = {}
    for message, role, e in zip(columns["message"], columns["role"], columns["e_rel"]):
        if role == "wrote" and e is not None:
            if not isinstance(e, float) or math.isinf(e):
                raise ExportError(f"{table}: e_rel of {message!r:.40} is {e!r:.40}, expected a number; make it again with python -m analysis observe {table.parent}")
            if not math.isnan(e):
                found[message] = e
    return found


def _computed(said: Said, name: str) -> dict[str, float]:
    from sociallm.checkpoint import CheckpointError, shared
    from sociallm.encode import slots_of
    from sociallm.observing import must_have_states, observe
    from sociallm.states import StateError
    from sociallm.trails import Asked, Source

    channels = {line.channel: Channel(name=line.channel, readers=frozenset(line.readers)) for line in said.lines}
    talk = Conversation(id=said.source.id, messages=tuple(
        Message(id=line.id, author=line.author, channel=channels[line.channel], time=line.time, text=line.text, addressees=frozenset(line.to), reply_to=line.reply_to)
        for line in said.lines
    ))  # fmt: skip
    try:
        checkpoint = shared(name)
        must_have_states(checkpoint)
        seen = next(iter(observe(checkpoint, [Source(conversation=talk, slots=slots_of(said.agents))], Asked(readers=False, energies=True))))
    except (CheckpointError, StateError, ValueError) as error:
        raise ExportError(f"{said.source.folder}: its energies cannot be computed with the checkpoint {name!r:.60} ({error}); name another") from None
    return {talk.messages[row.index].id: row.e_rel for row in seen.rows if row.wrote and row.e_rel is not None}
