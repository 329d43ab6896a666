"""What a training is: its settings, and all that changes while it goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from sociallm.carry import Carried
from sociallm.model import SociaLLM
from sociallm.muon import Muon

FORMULATIONS = ("public", "per_reader")
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How long and how hard to train."""

    seed: int = 0
    tokens: int = 8_000_000  # spoken tokens (words and message ends) to train on; the learning rate follows them
    steps: int = 1_000_000  # an earlier end
    batch_tokens: int = 2048
    lanes: int = 1  # conversations that are read side by side, each with its share of the batch
    lane_messages: int = 128
    carry: bool = True  # states go on from window to window of a conversation
    carried_pairs: int = 256  # interlocutor states carried of one conversation: of more, those read longest ago are dropped
    formulation: str = "public"  # public: F2; per_reader: F1, every reader encodes for itself (no states carried)
    learning_rate: float = 6e-3  # of Muon (scaled to the size of Adam's steps) and AdamW alike
    warmup: int = 20
    weight_decay: float = 0.05
    clip: float = 1.0
    listen_weight: float = 0.5
    alike: float = 0.25  # of the showings of a conversation, in how many all authors share one slot and are told apart from foils
    contrast_weight: float = 10.0  # of that
    listen_share: float = 0.33  # of the messages a reader is sampled for; an unbiased thinning of the listening loss
    report_every: int = 25
    validate_every: int = 500
    save_every: int = 50
    threads: int = 2
    device: str = "auto"  # cpu, cuda, or auto: a GPU where there is one

    def __post_init__(self) -> None:
        if self.formulation not in FORMULATIONS:
            raise ValueError(f"train.formulation is {self.formulation!r}; expected one of {', '.join(FORMULATIONS)}")
        if self.device not in DEVICES:
            raise ValueError(f"train.device is {self.device!r}; expected one of {', '.join(DEVICES)}")
        for name in ("tokens", "steps", "batch_tokens", "lanes", "lane_messages", "carried_pairs", "warmup", "report_every", "validate_every", "save_every", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"train.{name} is {getattr(self, name)}; expected 1 or more")
        for name in ("seed", "learning_rate", "weight_decay", "listen_weight", "contrast_weight"):
            if not 0 <= getattr(self, name) < math.inf:  # nor nan
                raise ValueError(f"train.{name} is {getattr(self, name)}; expected 0 or more")
        for name in ("listen_share", "alike"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"train.{name} is {getattr(self, name)}; expected 0 to 1")
        if not self.clip > 0:
            raise ValueError(f"train.clip is {self.clip}; expected more than 0")
        if self.batch_tokens < self.lanes:
            raise ValueError(f"train.batch_tokens is {self.batch_tokens}, shared by train.lanes={self.lanes}; expected a token or more for each lane")


@dataclass
class Training:
    """All that changes while training; what a file of progress holds."""

    model: SociaLLM
    optimizers: tuple[torch.optim.Optimizer, ...]
    step: int = 0
    tokens: int = 0
    carried: dict[int, Carried] = field(default_factory=dict)  # by showing
    recent: list[tuple[float, float, float | None]] = field(default_factory=list)  # losses since the last report


def optimizers_of(model: SociaLLM, config: TrainConfig) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the blocks' matrices (steps made orthogonal, scaled to the size of Adam's), AdamW for the rest: embeddings, norms,
    biases, time scales and convolutions, which do not decay."""
    matrices = [p for n, p in model.named_parameters() if n.endswith("proj.weight")]
    rest = [p for n, p in model.named_parameters() if not n.endswith("proj.weight")]
    return (
        Muon(matrices, lr=config.learning_rate, weight_decay=config.weight_decay),
        torch.optim.AdamW(rest, lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    )


def rate(share: float, step: int, config: TrainConfig) -> float:
    """Learning rate after a share of the training: linear warm-up, then a cosine down to a twentieth."""
    return config.learning_rate * min(1.0, (step + 1) / config.warmup) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


def share_done(state: Training, config: TrainConfig) -> float:
    """Which share of the training is done."""
    return max(state.tokens / config.tokens, state.step / config.steps)


def device_of(config: TrainConfig) -> torch.device:
    """Where to train. Raises ValueError for a GPU that is not there."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("train.device is cuda, but this PyTorch sees no CUDA device; use train.device=cpu")
    gpu = config.device != "cpu" and config.formulation != "per_reader" and torch.cuda.is_available()
    return torch.device("cuda" if gpu else "cpu")


def new_training(model: SociaLLM, config: TrainConfig) -> Training:
    """A training that has not begun."""
    return Training(model, optimizers_of(model, config))
