from __future__ import annotations

import pytest
import torch
from torch import Tensor

from impdistill.decode import beams as module
from impdistill.decode.beams import Beams, RowBeams, TreeBeams, attends_by_mask, open_beams
from tests.decode.toys import WORDS, Toy, toy_model, toy_tokenizer

PREFIXES = ["a b", "c", "h e d c b a"]
BY_MASK = ["llama", "gpt2", "biogpt", "ctrl"]


@pytest.mark.parametrize(("kind", "expected"), [*((kind, True) for kind in BY_MASK), ("bloom", False), ("t5", False)])
def test_which_models_attend_by_mask(kind: str, expected: bool) -> None:
    model = toy_model(kind)
    assert attends_by_mask(model) is expected
    kinds = {type(open_beams(Toy(model, toy_tokenizer()), PREFIXES, 4)[0])}
    assert kinds == {TreeBeams if expected else RowBeams}


def walk(beams: Beams, steps: int, seed: int = 0, n: int = len(PREFIXES)) -> list[Tensor]:
    """Logits of random choices of beams and tokens; the number of rows varies, and a prefix is dropped half-way."""
    generator = torch.Generator().manual_seed(seed)
    logits, rows = [], 1
    for step in range(steps):
        if step == steps // 2:
            beams.keep(torch.tensor([0, 2]))
            n = 2
        wanted = 3 + step % 2
        parents = torch.randint(rows, (n, wanted), generator=generator)
        logits.append(beams.step(parents, torch.randint(2, len(WORDS), (n, wanted), generator=generator)))
        rows = wanted
    return logits


@pytest.mark.parametrize("kind", BY_MASK)
@torch.no_grad()
def test_a_shared_pool_gives_what_copied_rows_give(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Toy(toy_model(kind), toy_tokenizer())
    tree, first = open_beams(toy, PREFIXES, 24)
    assert isinstance(tree, TreeBeams)
    monkeypatch.setattr(module, "attends_by_mask", lambda _: False)
    rows, first_of_rows = open_beams(toy, PREFIXES, 24)
    assert isinstance(rows, RowBeams)
    torch.testing.assert_close(first, first_of_rows)
    for shared, copied in zip(walk(tree, 24), walk(rows, 24), strict=True):
        torch.testing.assert_close(shared, copied, atol=1e-4, rtol=1e-4)
    assert tree._visible.shape[2] < tree._prefix + 24 * 3  # dead slots were dropped


@pytest.mark.parametrize("kind", ["llama", "bloom", "t5"])
@torch.no_grad()
def test_a_fork_does_not_disturb_the_original(kind: str) -> None:
    toy = Toy(toy_model(kind), toy_tokenizer())
    undisturbed = walk(open_beams(toy, PREFIXES, 16)[0], 8)
    beams, _ = open_beams(toy, PREFIXES, 16)
    walk(beams.fork(), 6, seed=1)
    for found, expected in zip(walk(beams, 8), undisturbed, strict=True):
        torch.testing.assert_close(found, expected)


@torch.no_grad()
def test_two_forks_of_one_pool_grow_apart() -> None:
    toy = Toy(toy_model("llama"), toy_tokenizer())
    beams, _ = open_beams(toy, PREFIXES, 16)
    straight, first = torch.arange(4).expand(3, -1), torch.full((3, 4), 2)
    beams.step(torch.zeros_like(straight), first)
    fork = beams.fork()
    for token in (1, 2, 3):  # the same steps of both, in turns
        torch.testing.assert_close(beams.step(straight, first + token), fork.step(straight, first + token))
    late = beams.fork()
    fork.step(straight, first + 4)  # and different ones
    beams.step(straight, first + 5)
    torch.testing.assert_close(fork.step(straight, first), walked(toy, [2, 3, 4, 5, 6, 2]))
    torch.testing.assert_close(beams.step(straight, first), walked(toy, [2, 3, 4, 5, 7, 2]))
    torch.testing.assert_close(late.step(straight, first), walked(toy, [2, 3, 4, 5, 2]))


def walked(toy: Toy, tokens: list[int]) -> Tensor:
    """Logits after these tokens, four beams going straight on."""
    beams, logits = open_beams(toy, PREFIXES, 16)
    for step, token in enumerate(tokens):
        parents = torch.arange(4).expand(3, -1)
        logits = beams.step(parents if step else torch.zeros_like(parents), torch.full((3, 4), token))
    return logits
