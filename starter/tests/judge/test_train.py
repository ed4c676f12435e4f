"""The loss, and a run that is stopped and resumed against one that is not."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification

from recipe.judge.mixture import Mixture
from recipe.judge.pairs import LABELS, TARGETS, LabelledPair
from recipe.judge.score import logits
from recipe.judge.train import POSITIONS, Schedule, Trainer, batches_from, judge_loss, load_base, save_model

PAIRS = [
    LabelledPair(f"the {one} {verb} in the park .", f"the {two} {verb} .", "entailment" if two == "dog" else "not_entailment", "x")
    for one in ("dog", "cat", "man")
    for two in ("dog", "cat", "man")
    for verb in ("sleeps", "runs", "eats")
]
SCHEDULE = Schedule(pairs=400, peak=3e-3, warmup_pairs=20, falls=True, max_batch_tokens=128, average=0.9)


def _steps(trainer: Trainer, base: Path, count: int) -> list[float]:
    mixture = Mixture({}, PAIRS, [], len(PAIRS))
    batches = batches_from(mixture, Tokenizer.from_file(str(base / "tokenizer.json")), trainer, seed=0)
    return [trainer.step(next(batches)) for _ in range(count)]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_is_the_plain_one(smoothing: float) -> None:
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(8, 3, generator=generator)
    targets = torch.tensor([0, 1, 2, 3, 3, 1, 0, 2])
    p = scores.softmax(-1)
    expected = 0.0
    for row, target in zip(p, targets.tolist(), strict=True):
        if target < 3:
            expected -= (1 - smoothing) * row[target].log().item() + smoothing * row.log().mean().item()
        else:
            entailment = row[LABELS.index("entailment")]
            expected -= (1 - smoothing) * (1 - entailment).log().item() + smoothing * entailment.log().item()
    assert judge_loss(scores, targets, smoothing).item() == pytest.approx(expected / 8, abs=1e-5)


def test_two_way_loss_does_not_choose_between_neutral_and_contradiction() -> None:
    scores = torch.tensor([[2.0, 0.0, -1.0], [-1.0, 0.0, 2.0]])
    losses = [judge_loss(scores[row : row + 1], torch.tensor([TARGETS.index("not_entailment")])).item() for row in (0, 1)]
    assert losses[0] == pytest.approx(losses[1])


def test_rate_rises_then_falls_to_zero() -> None:
    rates = [SCHEDULE.rate(seen) for seen in range(0, 401)]
    assert max(rates) == pytest.approx(SCHEDULE.peak)
    assert rates[400] == 0
    assert Schedule(pairs=400, warmup_pairs=20).rate(400) == Schedule(pairs=400).peak


def test_a_resumed_run_gives_the_same_weights(tiny_base: Path, tmp_path: Path) -> None:
    whole = Trainer(load_base(tiny_base).eval(), SCHEDULE)
    losses = _steps(whole, tiny_base, 8)
    first = Trainer(load_base(tiny_base).eval(), SCHEDULE)
    before = _steps(first, tiny_base, 5)
    first.save(tmp_path / "state.safetensors")
    second = Trainer(load_base(tiny_base).eval(), SCHEDULE)
    second.restore(tmp_path / "state.safetensors")
    after = _steps(second, tiny_base, 3)
    assert before + after == losses
    assert second.seen == whole.seen
    for name, master in whole.masters.items():
        assert torch.equal(master, second.masters[name]), name
        assert torch.equal(whole.averages[name], second.averages[name]), name


def test_training_learns_and_leaves_word_embeddings(tiny_base: Path) -> None:
    trainer = Trainer(load_base(tiny_base).eval(), Schedule(pairs=4_000, peak=1e-2, warmup_pairs=20, max_batch_tokens=256))
    words = trainer.model.bert.embeddings.word_embeddings.weight.clone()
    losses = _steps(trainer, tiny_base, 150)
    assert sum(losses[-20:]) < 0.6 * sum(losses[:20])
    assert torch.equal(words, trainer.model.bert.embeddings.word_embeddings.weight)


def test_saved_model_is_the_average_as_plain_transformers_files(tiny_base: Path, tmp_path: Path) -> None:
    trainer = Trainer(load_base(tiny_base).eval(), SCHEDULE)
    _steps(trainer, tiny_base, 4)
    live = trainer.model.classifier.weight.clone()
    save_model(trainer, tiny_base, tmp_path)
    assert torch.equal(live, trainer.model.classifier.weight)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert {int(index): name for index, name in model.config.id2label.items()} == dict(enumerate(LABELS))
    assert model.config.max_position_embeddings == POSITIONS
    assert torch.equal(model.classifier.weight, trainer.averages["classifier.weight"].bfloat16())
    again = Trainer(load_base(tiny_base), SCHEDULE)
    trainer.save(tmp_path / "state.safetensors")
    again.start_from(tmp_path / "state.safetensors")
    assert again.seen == 0
    assert torch.equal(again.masters["classifier.weight"], trainer.averages["classifier.weight"])
    again.start_from(tmp_path)
    assert torch.equal(again.masters["classifier.weight"], model.classifier.weight.float())
    assert logits(tmp_path, PAIRS[:3]).shape == (3, 3)
