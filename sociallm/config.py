"""Hydra's door in this package: `key=value` words of the command line become a frozen, checked dataclass.

Only overrides of known keys are taken; no file of the user's is composed here, so nothing can name code.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from hydra import compose, initialize
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sociallm.model import SociaLLMConfig
from sociallm.train import TrainConfig


@dataclass(frozen=True, kw_only=True)
class TrainCommand:
    """Settings of `python -m sociallm train`."""

    out: str = "outputs/base"  # folder of the new checkpoint
    data: str = ""  # folder of the raw sets; SOCIALLM_DATA where not named
    without: str = ""  # sets left out of the mixture, with commas
    own: str = ""  # folder of runs whose dialogues join the mixture
    own_weight: float = 1.0  # how often one of them appears in one pass
    own_validation: str = ""  # folder of other runs, for validation
    model: SociaLLMConfig = field(default_factory=SociaLLMConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


def compose_train(words: Sequence[str]) -> TrainCommand:
    """The settings after the overrides. Raises ValueError in one line that names the word at fault."""
    for word in words:
        if "=" not in word or word.startswith(("+", "~", "hydra", "-")) or "${" in word or "_target_" in word:
            raise ValueError(f"{word!r}: expected key=value with a known key, e.g. train.tokens=100000")
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
    return command
