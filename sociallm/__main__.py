"""The command line of the model: python -m sociallm train | evaluate | bench | tokenizer."""

from __future__ import annotations

import sys
from pathlib import Path


def train(words: list[str]) -> int:
    """Train the shipped model (or one of other sizes) on the sets whose licences allow it."""
    from sociallm import corpora
    from sociallm.batches import encode_conversation
    from sociallm.checkpoint import SHIPPED, TOKENIZER, load
    from sociallm.config import compose_train
    from sociallm.layout import SociaLLMConfig
    from sociallm.tokenizer import Tokenizer
    from sociallm.train import train as run

    command = compose_train(words)
    begun = load(command.start) if command.start else None
    if begun is not None and command.model not in (SociaLLMConfig(), begun.model.config):
        raise ValueError(f"start={command.start}: its sizes are its own; leave model.… out, or train a new model")
    tokenizer = begun.tokenizer if begun is not None else Tokenizer.load(SHIPPED / "base" / TOKENIZER)
    without = {name for name in command.without.split(",") if name}
    if unknown := sorted(without - corpora.MIXTURE.keys()):
        raise ValueError(f"without={command.without}: no set {unknown[0]!r} in the mixture; expected some of {', '.join(corpora.MIXTURE)}")
    corpus = {n: v for n, v in corpora.training(command.data).items() if n not in without}
    unseen = {n: corpora.load(n, command.data) for n in corpora.VALIDATION}
    weight = {**corpora.MIXTURE, "own": command.own_weight}
    if command.own:
        corpus["own"] = corpora.own(command.own)
    if command.own_validation:
        unseen["own_validation"] = corpora.own(command.own_validation)
        if shared := {c.id for c in unseen["own_validation"]} & {c.id for c in corpus.get("own", [])}:
            raise ValueError(f"own_validation={command.own_validation}: {len(shared)} of its dialogues are in own={command.own} too; expected runs of other seeds")
    sets, validation = ({n: [encode_conversation(c, tokenizer, corpora.ROOM.get(n)) for c in v] for n, v in part.items()} for part in (corpus, unseen))
    for name, encoded in sets.items():
        print(f"{name}: {len(encoded)} conversations, {sum(len(w) for e in encoded for w in e.words)} tokens, weight {weight[name]}")
    weighted = [(encoded, weight[name]) for name, encoded in sets.items()]
    notes: dict[str, object] = {"sets": [*sets], "weights": {n: weight[n] for n in sets}}
    if begun is not None:
        notes["start"] = begun.sha256
    sizes, model = (command.model, None) if begun is None else (begun.model.config, begun.model)
    run(Path(command.out), weighted, validation, tokenizer, sizes, command.train, lambda s: print(s, flush=True), model, notes)
    return 0


def tokenizer(words: list[str]) -> int:
    """Train the shipped tokenizer: python -m sociallm tokenizer DATA FILE."""
    from sociallm.tokenizer import train_shipped

    if len(words) != 2:
        raise ValueError(f"{len(words)} words given, expected two: DATA FILE")
    print(train_shipped(*words).vocabulary)
    return 0


def bench(words: list[str]) -> int:
    """Speed and size, beside a plain Mamba-2 and Hugging Face's."""
    from sociallm.bench import main as run

    run(words)
    return 0


def evaluate(words: list[str]) -> int:
    """How good a checkpoint is, beside its ablations and baselines."""
    from sociallm.evaluate import main as run

    return run(words)


COMMANDS = {"train": train, "evaluate": evaluate, "bench": bench, "tokenizer": tokenizer}


USAGE = """usage: python -m sociallm COMMAND WORDS
  train      key=value settings, e.g. data=DATA out=outputs/mine train.tokens=100000 without=diplomacy_lies
  evaluate   how good a checkpoint is: [--json] [--baselines] [data=DATA] [checkpoint=base]
  bench      speed and size, in turns with what it is compared with: [--json] [--small]
  tokenizer  DATA FILE: train the shipped tokenizer anew
python -m sociallm COMMAND --help says more"""


def usage(command: str) -> str:
    """What one command takes."""
    if command == "train":
        from sociallm.config import settings

        return "usage: python -m sociallm train data=DATA out=FOLDER [key=value …]\n" + "\n".join(f"  {line}" for line in settings())
    return HELP[command]


HELP = {
    "evaluate": """usage: python -m sociallm evaluate [--json] [--baselines] [key=value …]
  --json           print all figures as one JSON object on the last line
  --baselines      train the baselines and ablations that the figures are held against; hours
  data=DATA        folder of the raw sets; SOCIALLM_DATA where not named
  checkpoint=base  a shipped one by name, or a folder
  work=FOLDER      of --baselines: where they are trained (outputs/baselines)
  tokens=N         of --baselines: so many training tokens each, instead of the checkpoint's own
  seeds=0,1,2      of --baselines""",
    "tokenizer": """usage: python -m sociallm tokenizer DATA FILE
  DATA             folder of the raw sets
  FILE             where the new tokenizer is written""",
}


def main(argv: list[str]) -> int:
    """Run one command; what is wrong with its input is one line and exit code 2."""
    if argv[:1] in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    if not argv or argv[0] not in COMMANDS:
        print(f"python -m sociallm: {argv[0] if argv else 'no command'!r} is not a command; expected one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    if argv[0] in ("train", *HELP) and {"-h", "--help"} & set(argv[1:]):  # bench says its own
        print(usage(argv[0]))
        return 0
    try:
        return int(COMMANDS[argv[0]](argv[1:]) or 0)
    except (ValueError, OSError) as error:
        print(f"python -m sociallm {argv[0]}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
