"""Tiny random causal models of two kinds, Llama and Mamba-2, in folders as transformers keeps them: a byte-level tokenizer, two layers, no training."""

import json

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

TEMPLATE = "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}\n{% endfor %}<|assistant|>\n"


def tokenizer_in(folder, template=True):
    """A tokenizer of single bytes, its end the token <e>."""
    import transformers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(["<e>", *letters])}, merges=[]))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<e>")
    if template:
        fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)


def model_in(folder, kind="llama", seed=0, template=True, positions=4096):
    """Write a random model; its folder."""
    import torch
    import transformers

    tokenizer_in(folder, template)
    if kind == "llama":
        config = transformers.LlamaConfig(
            vocab_size=257, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
            max_position_embeddings=positions, bos_token_id=None, eos_token_id=0,
        )  # fmt: skip
        made = transformers.LlamaForCausalLM
    else:
        config = transformers.Mamba2Config(
            vocab_size=257, hidden_size=32, num_hidden_layers=2, state_size=16, num_heads=4, head_dim=16, n_groups=1, expand=2, chunk_size=16,
            bos_token_id=None, eos_token_id=0, pad_token_id=0,
        )  # fmt: skip
        made = transformers.Mamba2ForCausalLM
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made(config).save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["model_type"] in ("llama", "mamba2")
    return folder
