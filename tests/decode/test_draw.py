"""Drawing from the nucleus without a sort."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from impdistill.decode import draw as module
from impdistill.decode.draw import draw
from impdistill.decode.randomness import uniforms
from impdistill.errors import ModelError
from tests.decode.toy_teachers import plain_draw

NOTHING = torch.tensor([], dtype=torch.int64)
ROWS = 20_000


def numbers(seed: int = 0) -> Callable[[Tensor, int], Tensor]:
    return lambda rows, repetition: uniforms(seed, "draw", torch.zeros_like(rows), rows, repetition << 16)


def nucleus_of(logits: Tensor, top_p: float, temperature: float, banned: Tensor) -> Tensor:
    """Its distribution, by sorting."""
    probability = (logits.double() / temperature).softmax(0)
    probability[banned] = 0
    probability /= probability.sum()
    order = probability.argsort(descending=True)
    likelier = probability[order].cumsum(0) - probability[order]
    probability[order[likelier >= top_p]] = 0
    return probability / probability.sum()


@pytest.mark.parametrize(
    ("vocabulary", "top_p", "temperature", "spread"),
    [(64, 0.7, 1.0, 2.0), (130, 0.9, 1.0, 3.0), (1000, 0.95, 0.7, 1.0), (1000, 0.3, 1.5, 4.0), (70, 1.0, 0.7, 2.0), (500, 0.05, 1.0, 1.0)],
)
def test_frequencies_are_those_of_the_nucleus(vocabulary: int, top_p: float, temperature: float, spread: float) -> None:
    logits = spread * torch.randn(vocabulary, generator=torch.Generator().manual_seed(vocabulary))
    banned = logits.topk(2).indices[1:]
    tokens, _ = draw(logits.expand(ROWS, -1), top_p, temperature, banned, numbers())
    expected = nucleus_of(logits, top_p, temperature, banned) * ROWS
    counts = tokens.bincount(minlength=vocabulary)
    assert not counts[expected == 0].any()
    often = expected > 20
    chi_square = ((counts - expected)[often] ** 2 / expected[often]).sum().item()
    freedom = max(1, int(often.sum()) - 1)
    assert chi_square < freedom + 5 * (2 * freedom) ** 0.5


def test_every_draw_equals_the_plain_one() -> None:
    logits = 2 * torch.randn(400, 150, generator=torch.Generator().manual_seed(1))
    tokens, probabilities = draw(logits, 0.6, 0.8, torch.tensor([3, 149]), numbers(seed=7))
    for row, scores in enumerate(logits):
        probability = dict(enumerate((scores.double() / 0.8).softmax(0).tolist()))
        allowed = {token: p for token, p in probability.items() if token not in (3, 149)}
        token = plain_draw(allowed, 0.6, 7, "draw", 0, row, 0)
        assert tokens[row] == token
        assert probabilities[row].item() == pytest.approx(probability[token], rel=1e-4)


def test_rows_do_not_depend_on_the_parts_they_are_drawn_in(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(300, 90, generator=torch.Generator().manual_seed(2))
    whole, _ = draw(logits, 0.5, 1.0, NOTHING, numbers())
    monkeypatch.setattr(module, "_CELLS_AT_ONCE", 700)
    assert torch.equal(draw(logits, 0.5, 1.0, NOTHING, numbers())[0], whole)


def test_equally_likely_tokens_are_in_the_nucleus_together() -> None:
    tokens, _ = draw(torch.zeros(2000, 10, dtype=torch.bfloat16), 0.15, 1.0, NOTHING, numbers())
    assert set(tokens.tolist()) == set(range(10))


def test_a_tiny_nucleus_is_the_likeliest_token() -> None:
    logits = torch.randn(500, 3000, generator=torch.Generator().manual_seed(3))
    assert torch.equal(draw(logits, 1e-6, 1.0, NOTHING, numbers())[0], logits.argmax(1))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_are_an_error(value: float) -> None:
    logits = torch.zeros(3, 80)
    logits[1, 5] = value
    with pytest.raises(ModelError, match="not finite"):
        draw(logits, 0.9, 1.0, NOTHING, numbers())
