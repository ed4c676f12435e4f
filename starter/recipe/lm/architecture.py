"""The teacher's shape, its first weights and its optimizers."""

import re
from dataclasses import dataclass

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

HEAD_WIDTH = 64


@dataclass(frozen=True, slots=True)
class Size:
    """Shape of the model and of a step: `rows` is the whole batch, `micro_rows` what one device takes at a time."""

    layers: int
    width: int
    inner_width: int
    rows: int
    micro_rows: int


SIZES = {
    "tiny": Size(layers=2, width=64, inner_width=128, rows=4, micro_rows=2),  # for tests
    # 6.9M parameters at a vocabulary of 8,192: for the ten million tokens that a core reads in hours, more parameters are worth
    # less than more text. Four rows at a time: no activation exceeds 32 MiB, above which glibc maps memory at every allocation.
    "cpu": Size(layers=6, width=256, inner_width=704, rows=16, micro_rows=4),
    "gpu": Size(layers=9, width=512, inner_width=1408, rows=128, micro_rows=64),  # 33M
}


def new_model(size: Size, vocabulary: int, *, max_positions: int, seed: int) -> LlamaForCausalLM:
    """A Llama-shaped model (Touvron et al. 2023) with tied embeddings; the last matrix of each residual branch starts at zero."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=size.width,
            intermediate_size=size.inner_width,
            num_hidden_layers=size.layers,
            num_attention_heads=size.width // HEAD_WIDTH,
            num_key_value_heads=size.width // HEAD_WIDTH,
            head_dim=HEAD_WIDTH,
            max_position_embeddings=max_positions,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=0,
            pad_token_id=0,
        )
    )
    for layer in model.model.layers:
        nn.init.zeros_(layer.self_attn.o_proj.weight)
        nn.init.zeros_(layer.mlp.down_proj.weight)
    return model


def new_optimizers(model: nn.Module, *, muon_rate: float, adamw_rate: float) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al. 2024) for the matrices inside the layers, AdamW for the embeddings and norms, in this order."""
    inside = [parameter for name, parameter in model.named_parameters() if parameter.ndim == 2 and re.search(r"\.layers?\.", name)]
    chosen = {id(parameter) for parameter in inside}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in chosen]
    return [
        torch.optim.Muon(inside, lr=muon_rate, weight_decay=0.01, momentum=0.95, ns_steps=4),
        torch.optim.AdamW(rest, lr=adamw_rate, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0, fused=True),
    ]
