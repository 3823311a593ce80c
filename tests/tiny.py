"""Models small enough to make on the spot: real tokenizer, real weights, real folder. Not a test module."""

import json
from pathlib import Path

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_CORPUS = [
    "What is two plus two? It is 4.",
    "Answer: yes. Answer: no. Let us think step by step, then answer.",
    "The quick brown fox jumps over the lazy dog 0123456789 times.",
    "user assistant system question helpful letters count apples",
]


def make_tokenizer(folder: Path, chat_template: str = CHATML) -> Path:
    """A byte-level BPE tokenizer with ChatML tokens, saved as Hugging Face saves it."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=[AddedToken(token, special=True) for token in special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(_CORPUS, trainer)
    named = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, chat_template=chat_template, **named)
    tokenizer.save_pretrained(str(folder))
    return folder


def make_tiny_model(folder: Path, *, seed: int = 0) -> Path:
    """A two-layer Llama of 64 dimensions in float32, with the tokenizer above; Transformers and vLLM load it."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    make_tokenizer(folder)
    tokens = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = len(tokens["model"]["vocab"])
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=tokens["model"]["vocab"]["<|im_start|>"],
        eos_token_id=tokens["model"]["vocab"]["<|im_end|>"],
        pad_token_id=tokens["model"]["vocab"]["<|endoftext|>"],
    )
    torch.manual_seed(seed)
    LlamaForCausalLM(config).to(torch.float32).save_pretrained(str(folder))
    return folder
