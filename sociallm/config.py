"""Hydra's door in this package: `key=value` words of the command line become a frozen, checked dataclass.

Only overrides of known keys are taken; no file of the user's is composed here, so nothing can name code.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace

from hydra import compose, initialize
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sociallm.layout import SociaLLMConfig
from sociallm.training import TrainConfig

PARTS = {"model": SociaLLMConfig, "train": TrainConfig}


@dataclass(frozen=True, kw_only=True)
class TrainCommand:
    """Settings of `python -m sociallm train`."""

    out: str = ""  # folder of the new checkpoint; has to be named
    data: str = ""  # folder of the raw sets; SOCIALLM_DATA where not named
    without: str = ""  # sets left out of the mixture, with commas
    own: str = ""  # folder of runs whose dialogues join the mixture
    own_weight: float = 1.0  # how often one of them appears in one pass
    own_validation: str = ""  # folder of other runs, for validation
    start: str = ""  # a checkpoint to go on from, shipped by name or a folder: fine-tuning, with its sizes
    model: SociaLLMConfig = field(default_factory=SociaLLMConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


def settings() -> list[str]:
    """Every key that training takes, as key=default."""
    keys = {f.name: f.default for f in fields(TrainCommand) if f.name not in PARTS}
    keys |= {f"{part}.{f.name}": f.default for part, kind in PARTS.items() for f in fields(kind)}
    return [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in keys.items()]


def _known(key: str) -> None:
    """Raises ValueError that names the nearest key unless a setting has this one."""
    keys = [line.partition("=")[0] for line in settings()]
    if key not in keys and key not in PARTS:
        near = [known for known in keys if known.rpartition(".")[2] == key.rpartition(".")[2]] or difflib.get_close_matches(key, keys, 1)
        hint = f"did you mean {near[0]}?" if near else "python -m sociallm train --help lists all"
        raise ValueError(f"unknown key {key:.80}; {hint}")


def compose_train(words: Sequence[str]) -> TrainCommand:
    """The settings after the overrides. Raises ValueError in one line that names the word at fault."""
    for word in words:
        if "=" not in word or word.startswith(("+", "~", "hydra", "-")) or "${" in word or "_target_" in word:
            raise ValueError(f"{word!r}: expected key=value with a known key, e.g. train.tokens=100000")
        _known(word.partition("=")[0])
    words = [f"without='{word.partition('=')[2]}'" if re.fullmatch(r"without=[\w,]*,[\w,]*", word) else word for word in words]  # Hydra takes a comma for a sweep
    schema = OmegaConf.structured(TrainCommand)
    for node in (schema, schema.model, schema.train):
        OmegaConf.set_readonly(node, False)  # frozen once composed, not before
    ConfigStore.instance().store("sociallm_train", node=schema)
    GlobalHydra.instance().clear()
    with initialize(version_base=None, config_path=None):
        try:
            command = OmegaConf.to_object(compose("sociallm_train", overrides=list(words)))
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            raise ValueError(f"command line: {' '.join(str(error.__cause__ or error).split())[:300]}") from None
    assert isinstance(command, TrainCommand)
    for name, size in asdict(command.model).items():
        if isinstance(size, int) and size < 1 and name != "social_every":
            raise ValueError(f"model.{name} is {size}; expected 1 or more")
    if not 0 < command.own_weight <= 100:
        raise ValueError(f"own_weight is {command.own_weight}; expected a number above 0 and at most 100")
    if not command.data:
        command = replace(command, data=os.environ.get("SOCIALLM_DATA", ""))
    if not command.data:
        raise ValueError("data is not named; add data=FOLDER, a folder that holds the sets of the model card, or set SOCIALLM_DATA")
    if not command.out:
        raise ValueError("out is not named; add out=FOLDER, the folder of the new checkpoint, such as out=outputs/mine")
    return command
