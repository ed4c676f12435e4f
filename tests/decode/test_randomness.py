"""The counter-based generator: published answers, a plain implementation, and what the numbers may depend on."""

from __future__ import annotations

import pytest
import torch

from impdistill.decode.randomness import philox, uniforms

KNOWN_ANSWERS = [  # kat_vectors of the Random123 distribution, philox4x32, 10 rounds: counter, key, result
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_published_answers(counter: tuple[int, ...], key: tuple[int, int], answer: tuple[int, ...]) -> None:
    first, second, third, fourth = (torch.tensor([word]) for word in counter)
    assert tuple(word.item() for word in philox((first, second, third, fourth), key)) == answer


def plain_philox(counter: list[int], key: list[int]) -> list[int]:
    for _ in range(10):
        product0, product1 = counter[0] * 0xD2511F53, counter[2] * 0xCD9E8D57
        counter = [
            (product1 >> 32) ^ counter[1] ^ key[0],
            product1 % 2**32,
            (product0 >> 32) ^ counter[3] ^ key[1],
            product0 % 2**32,
        ]
        key = [(key[0] + 0x9E3779B9) % 2**32, (key[1] + 0xBB67AE85) % 2**32]
    return counter


def test_vectorised_equals_plain() -> None:
    generator = torch.Generator().manual_seed(5)
    counter = torch.randint(0, 2**32, (4, 200), generator=generator)
    key = (0x12345678, 0xFEDCBA98)
    first, second, third, fourth = counter
    answers = torch.stack(philox((first, second, third, fourth), key), dim=1)
    for column, answer in zip(counter.T.tolist(), answers.tolist(), strict=True):
        assert plain_philox(column, list(key)) == answer


def test_a_number_depends_on_its_place_alone() -> None:
    contexts, samples = torch.arange(50), torch.arange(50) % 7
    together = uniforms(3, "parallel", contexts, samples, 9)
    alone = torch.cat([uniforms(3, "parallel", contexts[row : row + 1], samples[row : row + 1], 9) for row in range(50)])
    assert torch.equal(together, alone)
    grid = uniforms(3, "parallel", contexts[:, None], samples[:, None], torch.arange(12)[None, :])
    assert torch.equal(grid[:, 9], together)


@pytest.mark.parametrize("change", ["seed", "stage", "context", "context beyond 32 bits", "sample", "position"])
def test_every_part_of_the_place_changes_the_number(change: str) -> None:
    base = uniforms(3, "parallel", torch.tensor([4]), torch.tensor([5]), 6)
    other = {
        "seed": uniforms(4, "parallel", torch.tensor([4]), torch.tensor([5]), 6),
        "stage": uniforms(3, "sources", torch.tensor([4]), torch.tensor([5]), 6),
        "context": uniforms(3, "parallel", torch.tensor([5]), torch.tensor([5]), 6),
        "context beyond 32 bits": uniforms(3, "parallel", torch.tensor([4 + 2**32]), torch.tensor([5]), 6),
        "sample": uniforms(3, "parallel", torch.tensor([4]), torch.tensor([6]), 6),
        "position": uniforms(3, "parallel", torch.tensor([4]), torch.tensor([5]), 7),
    }[change]
    assert base.item() != other.item()


def test_numbers_are_uniform() -> None:
    numbers = uniforms(0, "contexts", torch.arange(1000)[:, None], torch.tensor([0]), torch.arange(100))
    assert numbers.dtype == torch.float64
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = torch.histc(numbers, bins=100, min=0, max=1)
    chi_square = ((counts - 1000) ** 2 / 1000).sum().item()
    assert 50 < chi_square < 160  # 99 degrees of freedom
    neighbours = torch.corrcoef(torch.stack([numbers[:, :-1].flatten(), numbers[:, 1:].flatten()]))[0, 1]
    assert abs(neighbours.item()) < 0.015


def test_numbers_are_below_one_and_have_53_bits() -> None:
    highest = uniforms(0, "contexts.0.news/prefix", torch.tensor([4623560280770838689]), torch.tensor([302824616]), 2860687877)
    assert 1 - 2**-24 < float(highest) < 1
    numbers = uniforms(0, "bits", torch.arange(1000), torch.tensor([0]), 0)
    integers = (numbers * 2**53).to(torch.int64)
    assert all(bool((integers >> bit & 1).any()) for bit in range(53))
