"""The command line of the model: python -m sociallm train | tokenizer."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# Weight of each set in the mixture of the shipped model: Diplomacy up, because it is mostly asked for press; IRC, four
# fifths of all characters, down to about a quarter.
MIXTURE = {
    "diplomacy_lies": 2.0, "cicero_games": 3.0, "avalon_nlu": 1.0, "llmafia": 1.0, "hidden_profile_teams": 1.0,
    "casino": 0.5, "persuasion_for_good": 0.5, "irc_disentanglement": 0.12,
}  # fmt: skip
ROOM = {"irc_disentanglement": 10, "irc_ubuntu_dev": 10}  # large rooms: an author has read the ten messages before its own


def train(words: list[str]) -> None:
    """Train the shipped model (or one of other sizes) on the sets whose licences allow it."""
    from sociallm import corpora
    from sociallm.batches import encode_conversation
    from sociallm.checkpoint import SHIPPED, TOKENIZER
    from sociallm.config import compose_train
    from sociallm.tokenizer import Tokenizer
    from sociallm.train import train as run

    command = compose_train(words)
    tokenizer = Tokenizer.load(SHIPPED / "base" / TOKENIZER)
    sets = {n: [encode_conversation(c, tokenizer, ROOM.get(n)) for c in v] for n, v in corpora.training(command.data).items()}
    validation = {n: [encode_conversation(c, tokenizer, ROOM.get(n)) for c in v] for n in corpora.VALIDATION for v in [corpora.load(n, command.data)]}
    for name, encoded in sets.items():
        print(f"{name}: {len(encoded)} conversations, {sum(len(w) for e in encoded for w in e.words)} tokens, weight {MIXTURE[name]}")
    weighted = [(encoded, MIXTURE[name]) for name, encoded in sets.items()]
    run(Path(command.out), weighted, validation, tokenizer, command.model, command.train, say=lambda s: print(s, flush=True))


def tokenizer(words: list[str]) -> None:
    """Train the shipped tokenizer: python -m sociallm tokenizer DATA FILE."""
    from sociallm.tokenizer import train_shipped

    data, file = words
    print(train_shipped(data, file).vocabulary)


COMMANDS = {"train": train, "tokenizer": tokenizer}


def main(argv: list[str]) -> int:
    """Run one command; what is wrong with its input is one line and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m sociallm", description="SociaLLM: train and use the model.")
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("words", nargs="*", help="train: key=value settings, e.g. train.minutes=10 out=outputs/mine; tokenizer: DATA FILE")
    args = parser.parse_args(argv)
    try:
        COMMANDS[args.command](args.words)
    except (ValueError, OSError) as error:
        print(f"{parser.prog} {args.command}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
