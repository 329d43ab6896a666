"""The stages that learn: a generation's games become dialogues, the dialogues and real text a model, its decisions and their outcomes a head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.choosing import Choice, LearnedHead, read_head, write_head
from agents.learning import imitate, learned
from sandbox.disk import placed
from sandbox.exporting.export import export
from sandbox.exporting.wish import ExportError, Wish
from sandbox.looping.credit import LEARNED, by_kind
from sandbox.looping.settings import Loop
from sandbox.snapshot import RunError

DIALOGUES, VALIDATION = "dialogues", 0.1
ALIKE, ENERGY = 0.8, (0.01, 0.99)
MEASURED = ("diplomacy_lies", "casino", "irc_disentanglement")  # folders that hold what language is measured on
SAVE_EVERY = 25  # steps of a training between files from which it goes on


# ---- dialogues ---------------------------------------------------------------------------------------------------------


def gathered(loop: Loop, runs: Path, folder: Path, auditor: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Export the games of a generation. Energies are read by the auditor, generation 0's start, which is never trained again."""
    filters: dict[str, Any] = {"alike": ALIKE, "energy": ENERGY, "checkpoint": auditor} if loop.filtered else {}
    wish = Wish(format="conversations", out=folder / DIALOGUES, without=frozenset({"intents"}), planted="exclude", validation=VALIDATION, **filters)
    try:
        counts = export([runs], wish, say)
    except ExportError as error:
        raise RunError(str(error)) from None
    kept = counts.rows.get("train", 0)
    if not kept:
        raise RunError(f"{folder / DIALOGUES}: no dialogue of {counts.runs} games is left to train on ({dict(counts.left_out)}); play more with loop.games, or say loop.mix=accumulate")
    leaking(folder / DIALOGUES)
    return {"games": counts.runs, "dialogues": kept, "left_out": dict(counts.left_out), "held_out": counts.rows.get("validation", 0)}


def leaking(folder: Path) -> None:
    """Raises `RunError` where a dialogue stands on both sides of the split."""
    from sociallm.corpora import own

    names = {}
    for side in ("train", "validation"):
        if any((folder / side).rglob("conversations.jsonl")):
            names[side] = {conversation.id for conversation in own(folder / side)}  # named by their contents
    if shared := sorted(names.get("train", set()) & names.get("validation", set())):
        raise RunError(f"{folder}: {len(shared)} dialogues, such as {shared[0]}, are for training and for validation; delete the folder to have it made again")


# ---- the model -----------------------------------------------------------------------------------------------------------


def trained(loop: Loop, generation: int, exports: Sequence[Path], start: str, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Go on training the model before on the dialogues of these exports and real text. What a training has to tell."""
    from sociallm import checkpoint, corpora
    from sociallm.mixing import mixture
    from sociallm.train import train
    from sociallm.training import TrainConfig
    from sociallm.workers import train_together

    begun = checkpoint.load(start)
    if (folder / checkpoint.CONFIG).exists() and not _whole(folder):
        (folder / checkpoint.CONFIG).unlink()  # killed while the end was written: the training goes on from its last save
    try:
        real = corpora.training(loop.real) if loop.real_share(generation) else {}
        own = [conversation for one in exports for conversation in corpora.own(one / DIALOGUES / "train")]
        mixed = mixture(real, own, begun.tokenizer, loop.tokens, loop.real_share(generation), loop.cap if loop.filtered else 0.0, (loop.seed, generation))
    except ValueError as error:
        raise RunError(f"{folder}: {error}") from None
    config = TrainConfig(
        seed=loop.seed * 64 + generation, tokens=mixed.tokens, learning_rate=loop.learning_rate, lanes=loop.lanes, save_every=SAVE_EVERY, threads=1, device="cpu",
    )  # fmt: skip
    notes = {"generation": generation, "start": begun.sha256, "mixture": mixed.told()}
    if loop.workers > 1:
        train_together(folder, mixed.sets, start, config, loop.workers, say, notes)
    else:
        train(folder, mixed.sets, {}, begun.tokenizer, begun.model.config, config, say, begun.model, notes)
    return mixed.told()


def _whole(folder: Path) -> bool:
    """Whether a checkpoint stands here, and not a part of one."""
    from sociallm.checkpoint import CheckpointError, load

    try:
        load(str(folder))
    except CheckpointError:
        return False
    return True


def missing(loop: Loop) -> str | None:
    """Which set of texts that the loop will need is not there; None if all are."""
    from sociallm.corpora import TRAINING

    for key, root, names in (("real", loop.real if loop.with_real else "none", TRAINING), ("human", loop.human, MEASURED)):
        if root != "none" and (absent := [name for name in names if not (Path(root) / name).is_dir()]):
            return f"loop.{key}={root}: no folder {absent[0]} in it; name the folder that holds the sets of the model card, or none"
    return None


# ---- the head ------------------------------------------------------------------------------------------------------------


def learn(loop: Loop, world: str, generation: int, runs: Sequence[Path], before: Path | None, out: Path) -> dict[str, Any]:
    """Write the head of a generation to `out`: imitation of the world's own choices in generation 0; later the head before, improved by the outcomes of
    all own games so far; none where nothing was chosen that could be learned. `runs`: the experiments of generations 0 to this one. Raises `RunError` where there is too little to learn from."""
    lessons = {kind: found for kind, found in by_kind({k: run for k, run in enumerate(runs) if bool(k) == bool(generation)}).items() if found}
    if not lessons:  # a world in which nothing is chosen by points alone: the model learns, the world goes on deciding
        return {"generation": generation, "choices": {}, "agreement": {}, "refused": f"no choice of a kind that a loop learns ({', '.join(LEARNED)}) was made: no head"}
    start = read_head(str(before)).kinds if before is not None else {}
    kinds = dict(start)
    refused = ""
    for kind, found in lessons.items():
        try:
            kinds[kind] = learned(start.get(kind, {}), found, loop.step) if generation else imitate([lesson.choice for lesson in found])
        except ValueError as error:  # few or no choices of one kind; the others may do
            refused = refused or f"choices to {kind}: {error}; the head leaves those as they were"
    if refused and not kinds:
        raise RunError(f"{runs[-1]}: {refused}")
    notes: dict[str, Any] = {"generation": generation, "choices": {kind: len(found) for kind, found in sorted(lessons.items())}}
    with placed(out) as part:
        write_head(part, LearnedHead(world, kinds, notes))
    return {**notes, "agreement": {kind: agreement(kinds[kind], [lesson.choice for lesson in found]) for kind, found in sorted(lessons.items()) if kind in kinds}, "refused": refused}


def agreement(weights: Mapping[str, float], choices: Sequence[Choice]) -> float:
    """The share of these choices that the weights hold the likeliest, ties in part."""
    right = 0.0
    for choice in choices:
        points = choice.rows @ [weights.get(name, 0.0) for name in choice.names]
        best = points >= points.max() - 1e-9
        right += float(best[choice.chosen]) / float(best.sum())
    return round(right / len(choices), 4)
