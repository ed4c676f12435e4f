"""Random numbers that depend on what is sampled and on nothing else: neither on order, nor on batches, nor on the process.

A counter-based generator, Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), maps (seed, stage;
context, sample, position) to a number in one stateless evaluation. The same integers come out of torch on the CPU and on CUDA,
since only integer arithmetic is used.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_LOW = 0xFFFFFFFF


def philox(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Philox4x32-10: four random 32-bit words for every 128-bit counter.

    Args:
        counter: four int64 tensors of one broadcast shape, values in [0, 2**32).
        key: two integers in [0, 2**32).

    Returns:
        Four int64 tensors of that shape, values in [0, 2**32).
    """
    word0, word1, word2, word3 = counter
    key0, key1 = key
    for _ in range(_ROUNDS):
        # int64 products wrap above 2**63; the bits are those of the unsigned product, so shifting and masking is exact
        product0, product1 = word0 * _MULTIPLIERS[0], word2 * _MULTIPLIERS[1]
        word0, word1, word2, word3 = (
            ((product1 >> 32) & _LOW) ^ word1 ^ key0,
            product1 & _LOW,
            ((product0 >> 32) & _LOW) ^ word3 ^ key1,
            product0 & _LOW,
        )
        key0, key1 = (key0 + _WEYL[0]) & _LOW, (key1 + _WEYL[1]) & _LOW
    return word0, word1, word2, word3


def uniforms(seed: int, stage: str, contexts: Tensor, samples: Tensor, positions: Tensor | int) -> Tensor:
    """Numbers uniform in [0, 1), 53 random bits each.

    Args:
        seed: of the run, any integer.
        stage: name of the stage; different stages draw independent numbers for the same context.
        contexts: int64, global numbers of the contexts, >= 0.
        samples: int64, number of the sample within its context, in [0, 2**32).
        positions: int64 or one int, position of the token within its sample, in [0, 2**32).

    Returns:
        float64 of the broadcast shape, on the device of `contexts`.
    """
    digest = hashlib.sha256(f"{seed}/{stage}".encode()).digest()
    key = int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")
    place = torch.as_tensor(positions, dtype=torch.int64, device=contexts.device)
    high, low, _, _ = philox((contexts & _LOW, (contexts >> 32) & _LOW, samples & _LOW, place & _LOW), key)
    return ((high >> 5).double() * 2.0**26 + (low >> 6).double()) * 2.0**-53
