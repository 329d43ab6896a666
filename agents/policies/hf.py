"""The hf policy: any causal language model in a folder on this machine, Mamba included, asked in this process through transformers (extra `hf`).

    policies: {hf: {model: /models/my-model, max_tokens: 200, temperature: 0.7}}

Prompt, reply, repair and fallback are those of every policy that is asked in words (`agents/answering.py`). Nothing is downloaded: a name of a hub is
refused, and the library is told to stay offline. Of the folder only safetensors, JSON and tokenizer files are read: no pickle, no code of the model's.
There is one copy of the weights, in the process that the user started, and a step that is played again takes its replies from the log.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Optional

from agents.answering import Answered, answer, recalled
from agents.conversed import Bounds
from agents.doors import CLOSED, Doors
from agents.memory import AgentMemory
from agents.prompting import Prompt
from agents.types import JSON, Action, AgentID, Language, Turn

needs_model = True
outside = True
DTYPES = ("auto", "float32", "bfloat16", "float16")
LEAST_ROOM = 64  # tokens of a prompt


@dataclass(frozen=True)
class Options:
    """`model`: a folder with config.json, safetensors and a tokenizer. `device`: cpu, cuda, cuda:1, mps. `temperature` 0: the likeliest token. `seed`: of
    every turn the same; null: drawn from each turn's own stream. `max_tokens`: of a reply; `attempts`: replies that are asked for until one can be taken.
    `window`, `ranked`, `context`: what is remembered and shown (`agents/conversed.py`). `checkpoint`: whose states the agent carries and is measured by; null: none."""

    model: str = ""
    device: str = "cpu"
    dtype: str = "auto"
    temperature: float = 0.7
    top_p: float = 0.95
    seed: Optional[int] = None  # noqa: UP045  OmegaConf reads this form
    max_tokens: int = 256
    attempts: int = 2
    window: int = 24
    ranked: int = 8
    context: int = 16_000
    checkpoint: Optional[str] = "base"  # noqa: UP045

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 5 or not 0 < self.top_p <= 1:
            raise ValueError("expected temperature in 0–5 and top_p in 0–1 (not 0)")
        if not 1 <= self.max_tokens <= 4096 or not 1 <= self.attempts <= 5:
            raise ValueError("expected max_tokens in 1–4096 and attempts in 1–5")
        if self.dtype not in DTYPES or not re.fullmatch(r"cpu|mps|cuda(:[0-9]{1,2})?", self.device):
            raise ValueError(f"dtype is {self.dtype!r:.20} and device {self.device!r:.20}; expected one of {', '.join(DTYPES)}, and cpu, mps, cuda or cuda:1")
        if self.seed is not None and not 0 <= self.seed < 2**31:
            raise ValueError(f"seed is {self.seed}; expected 0 to 2147483647, or null")
        self.bounds  # noqa: B018  checked here

    @property
    def bounds(self) -> Bounds:
        """How much is remembered and shown."""
        return Bounds(window=self.window, ranked=self.ranked, context=self.context)


class LocalModelPolicy:
    """Asks one model for all its agents, one after another; each reply depends on its own turn alone."""

    def __init__(self, language: Language | None, options: Options):
        self._language, self._options = language, options
        self._model, self._tokenizer = _loaded(options.model, options.device, options.dtype)
        self._name = Path(options.model).name
        most = getattr(self._model.config, "max_position_embeddings", None)  # a state-space model has none
        self._room = most - options.max_tokens if isinstance(most, int) else None
        if self._room is not None and self._room < LEAST_ROOM:
            raise ValueError(f"max_tokens is {options.max_tokens}, and the model reads and writes {most} in all; give fewer")

    def step(self, turns: Sequence[Turn]) -> Sequence[tuple[Action, AgentMemory]]:
        """One action and memory for each turn."""
        o = self._options
        return [answer(turn, self._language, o.bounds, o.attempts, o.seed, self._ask, self._name, by="hf") for turn in turns]

    def recall(self, turn: Turn, action: Action) -> AgentMemory:
        """The memory after a turn that was taken before."""
        return recalled(turn, action, self._language, self._options.bounds)

    def _ask(self, prompt: Prompt, schema: dict[str, Any], seed: int, seat: JSON) -> Answered:
        began = time.monotonic()
        ids, cut = self._ids(prompt)
        reply = self._generated(ids, seed)
        usage = {"calls": 1, "tokens_in": len(ids), "tokens_out": len(reply), "cost": 0.0, "seconds": time.monotonic() - began}
        faults = (("context", f"{cut} tokens in the middle of the prompt are left out: the model has room for {self._room}; give a smaller context"),) if cut else ()
        return Answered(text=self._tokenizer.decode(reply, skip_special_tokens=True), usage=usage, faults=faults)

    def _ids(self, prompt: Prompt) -> tuple[list[int], int]:
        """(tokens of the prompt, how many of its middle were left out). By the tokenizer's own chat template, if it has one that takes the prompt."""
        tokenizer, ids = self._tokenizer, None
        if tokenizer.chat_template:
            try:
                ids = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True, return_dict=False)
            except Exception:  # a template is a program of the model's author: one that has no system turn raises
                ids = None
        if ids is None:
            text = "\n\n".join(message["content"] for message in prompt)
            ids = tokenizer(f"{text}\n\nJSON: ", add_special_tokens=True)["input_ids"]
        over = len(ids) - self._room if self._room is not None else 0
        if self._room is None or over <= 0:
            return list(ids), 0
        head = self._room // 3
        return [*ids[:head], *ids[head + over :]], over

    def _generated(self, ids: list[int], seed: int) -> list[int]:
        import torch

        o, device = self._options, self._model.device
        sampling = {"do_sample": True, "temperature": o.temperature, "top_p": o.top_p, "top_k": 0} if o.temperature > 0 else {"do_sample": False}
        given = torch.tensor([ids], device=device)
        with torch.inference_mode(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            out = self._model.generate(
                given, attention_mask=torch.ones_like(given), max_new_tokens=o.max_tokens, max_length=None, pad_token_id=self._end(), use_cache=True, **sampling
            )  # fmt: skip
        return [int(token) for token in out[0, len(ids) :]]

    def _end(self) -> int:
        for token in (self._tokenizer.pad_token_id, self._tokenizer.eos_token_id):
            if isinstance(token, int):
                return token
        return 0


@lru_cache(maxsize=1)  # one copy, however often hosts are made
def _loaded(folder: str, device: str, dtype: str) -> tuple[Any, Any]:
    """(model, tokenizer) of a folder. Raises ValueError, one line."""
    _folder(folder)
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when the library is imported: it would look for kernels and files that a folder lacks
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    ours: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **ours)
        kind = dtype if dtype == "auto" else getattr(torch, dtype)
        model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=kind, use_safetensors=True, **ours)
        model.to(device).eval()
    except Exception as error:  # the library raises whatever a damaged file makes it raise
        what = " ".join(str(error).split())[:200]
        raise ValueError(f"{folder}: the model cannot be loaded ({type(error).__name__}: {what}); expected a causal model that this version of transformers knows") from None
    return model, tokenizer


def _folder(model: str) -> Path:
    """The folder of a model. Raises ValueError for anything else, the name of one on a hub among them."""
    if not model:
        raise ValueError("model is missing; name a folder with config.json, safetensors and a tokenizer, as in policies.hf.model=FOLDER")
    folder = Path(model)
    if not folder.is_dir():
        raise ValueError(f"model {model!r:.120}: no such folder; nothing is downloaded here: fetch the model yourself, and name its folder")
    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise ValueError(f"model {model!r:.120}: has no config.json and *.safetensors; other weights (.bin, .pt) are not read, convert them first")
    if find_spec("transformers") is None:
        raise ValueError("the policy needs transformers; install it: pip install 'social-sandbox[hf]'")
    return folder


def reads(options: Options) -> Mapping[str, Path]:
    """The files that make the model what it is."""
    return {f"model/{path.name}": path for path in sorted(_folder(options.model).glob("*.safetensors"))}


def check(language: Language | None, options: Options, agents: Sequence[AgentID]) -> None:
    """Raises ValueError for a model that cannot be had here; no weights are loaded."""
    _folder(options.model)


def make(language: Language | None, options: Options, agents: Sequence[AgentID], doors: Doors = CLOSED) -> LocalModelPolicy:
    """The policy for all its agents. Raises ValueError, one line, for a model that cannot be loaded."""
    return LocalModelPolicy(language, options)
