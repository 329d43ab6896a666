"""A tiny language model of random weights in a folder, for servers that want one: `python -m tests.benchmarks.tiny_model FOLDER [llama|mamba2]`.

Two layers, a byte-level BPE tokenizer trained on the words of this project's own scenarios and README, a chat template. What it says is nonsense: it stands for the worst of
chat models, which keeps to no form.
"""

from __future__ import annotations

import argparse
from pathlib import Path

TEMPLATE = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
SPECIAL = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
ROOT = Path(__file__).resolve().parents[2]


def make(folder: Path, kind: str = "llama", seed: int = 0) -> None:
    """Write the model and its tokenizer."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, Mamba2Config, Mamba2ForCausalLM, PreTrainedTokenizerFast

    texts = [path.read_text(encoding="utf-8") for path in sorted((*ROOT.glob("scenarios/*.yaml"), ROOT / "README.md"))]
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(texts, vocab_size=2000, special_tokens=SPECIAL)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=trained._tokenizer, eos_token="<|end|>", pad_token="<|end|>", chat_template=TEMPLATE)
    torch.manual_seed(seed)
    size = {"vocab_size": len(tokenizer), "hidden_size": 64, "num_hidden_layers": 2, "eos_token_id": 0, "pad_token_id": 0, "bos_token_id": 0}
    if kind == "mamba2":
        model = Mamba2ForCausalLM(Mamba2Config(**size, state_size=16, head_dim=16, num_heads=8, expand=2, n_groups=1, chunk_size=32))
    else:
        model = LlamaForCausalLM(LlamaConfig(**size, intermediate_size=128, num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=16384))
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", type=Path)
    asked.add_argument("kind", nargs="?", default="llama", choices=("llama", "mamba2"))
    given = asked.parse_args()
    make(given.folder, given.kind)
    print(given.folder)
