"""Fine-tuning against a plain loop, and its odd cases; how it survives being killed is in test_resume.py."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from impdistill.errors import ModelError, RecipeError, RunError
from impdistill.models.generative import load_generative
from impdistill.models.student import Student
from impdistill.models.student_format import PROMPTS, Borders, StudentFormat
from impdistill.recipe import Recipe
from impdistill.recipe_student import TrainingRecipe
from impdistill.tasks import borders, tasks_of
from impdistill.train.examples import EncodedPairs, Example
from impdistill.train.finetune import TrainingResult, finetune
from impdistill.train.order import epoch_order
from impdistill.train.training import TrainingProgress
from tests.tiny_students import GROUPS, KINDS, examples, save_base

QUICK = TrainingRecipe(
    epochs=2,
    batch_size=8,
    gradient_accumulation=1,
    learning_rate=5e-3,
    max_source_tokens=64,
    max_target_tokens=40,
    dtype="float32",
)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Without dropout, so that a plain loop can follow."""
    return {kind: str(save_base(kind, tmp_path_factory.mktemp(kind), dropout=0.0)) for kind in KINDS}


def train(
    base: str,
    folder: Path,
    training: TrainingRecipe = QUICK,
    pairs: list[Example] | None = None,
    held_out: list[Example] | None = None,
    *,
    progress: list[TrainingProgress] | None = None,
    borders: dict[str, Borders] | None = None,
) -> TrainingResult:
    return finetune(
        base,
        None,
        examples(40) if pairs is None else pairs,
        examples(10, first=40) if held_out is None else held_out,
        folder / "out",
        folder / "work",
        training,
        GROUPS,
        seed=5,
        borders=borders,
        device="cpu",
        on_progress=None if progress is None else progress.append,
    )


def plain_training(base: str, training: TrainingRecipe, pairs: list[Example]) -> tuple[dict[str, torch.Tensor], list[float]]:
    """One pair at a time: gradients of summed losses over the tokens of the whole step, AdamW, linear warm-up and decline.

    Returns weights and each step's loss.
    """
    model, tokenizer, kind = load_generative(base, revision=None, dtype=torch.float32)
    spoken = StudentFormat(kind, GROUPS, PROMPTS[kind], training.max_source_tokens, training.max_target_tokens, base, "")
    encoded = EncodedPairs.of(pairs, spoken, tokenizer)
    decayed = [weights for weights in model.parameters() if weights.dim() > 1]
    others = [weights for weights in model.parameters() if weights.dim() == 1]  # biases and norms
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": training.weight_decay}, {"params": others, "weight_decay": 0.0}], betas=(0.9, 0.999)
    )
    rows = training.batch_size * training.gradient_accumulation
    steps = []
    for epoch in range(math.ceil(training.epochs)):
        order = epoch_order(encoded.lengths(), training.batch_size, seed=5, epoch=epoch)
        steps += [order[first : first + rows] for first in range(0, len(order), rows)]
    warmup = math.ceil(len(steps) * training.warmup)
    losses: list[float] = []
    for number, step in enumerate(steps):
        rate = number / warmup if number < warmup else (len(steps) - number) / (len(steps) - warmup)
        for group in optimizer.param_groups:
            group["lr"] = training.learning_rate * rate
        losses.append(0.0)
        tokens = sum(len(encoded[index].target) for index in step)
        for index in step:
            source, target = encoded[index].source.tolist(), encoded[index].target.tolist()
            if kind == "seq2seq":
                start = model.config.decoder_start_token_id
                logits = model(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([[start, *target[:-1]]])).logits[0]
            else:
                logits = model(input_ids=torch.tensor([source + target])).logits[0, len(source) - 1 : -1]
            loss = torch.nn.functional.cross_entropy(logits, torch.tensor(target), reduction="sum") / tokens
            losses[-1] += loss.item()
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return model.state_dict(), losses


@pytest.mark.parametrize("kind", KINDS)
def test_training_equals_a_plain_loop(bases: dict[str, str], kind: str, tmp_path: Path) -> None:
    training = QUICK.model_copy(update={"batch_size": 6, "gradient_accumulation": 3, "learning_rate": 1e-3, "warmup": 0.3})
    progress: list[TrainingProgress] = []
    result = train(bases[kind], tmp_path, training, held_out=[], progress=progress)
    expected, losses = plain_training(bases[kind], training, examples(40))
    found = load_file(tmp_path / "out" / "model.safetensors")
    moved = load_file(Path(bases[kind]) / "model.safetensors")
    assert (result.steps, result.best_step, result.epochs, result.curve) == (6, 6, 2.0, ())
    assert [point.loss for point in progress] == [None, *(pytest.approx(loss, rel=1e-4) for loss in losses[:-1])]
    for name, weights in found.items():
        torch.testing.assert_close(weights, expected[name], rtol=0, atol=2e-5)
    assert max(float((found[name] - moved[name]).abs().max()) for name in found) > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_the_held_out_loss_is_the_loss_per_token_of_the_saved_student(bases: dict[str, str], kind: str, tmp_path: Path) -> None:
    progress: list[TrainingProgress] = []
    held_out = examples(11, first=40)
    result = train(bases[kind], tmp_path, held_out=held_out, progress=progress)
    student = Student.load(str(tmp_path / "out"), device="cpu", dtype="float32")
    total, tokens = 0.0, 0
    for group in GROUPS:
        of_group = [example for example in held_out if example.group == group]
        total -= sum(student.log_prob([example.x for example in of_group], [example.y for example in of_group], group))
        tokens += sum(len(ids) for ids in student.format.targets(student.tokenizer, [example.y for example in of_group]))
    assert result.best_validation_loss == pytest.approx(total / tokens, rel=1e-5)
    assert result.curve[-1].validation_loss < 0.9 * result.curve[0].validation_loss
    assert [point.step for point in result.curve] == [2, 4, 6, 8, 10]
    assert [(point.step, point.total_steps) for point in progress] == [(step, 10) for step in range(1, 11)]
    assert progress[-1].held_out_loss == result.curve[-2].validation_loss
    assert (result.pairs, result.left_out, result.epochs, result.stopped_early) == (40, 0, 2.0, False)
    spoken = student.format
    lengths = EncodedPairs.of(examples(40), spoken, student.tokenizer).lengths()
    assert result.tokens == 2 * lengths[:, 0].sum()


def test_training_stops_when_held_out_loss_rises_and_keeps_the_best(bases: dict[str, str], tmp_path: Path) -> None:
    training = QUICK.model_copy(update={"epochs": 40, "learning_rate": 3e-2, "patience": 2, "evaluations_per_epoch": 1})
    opposite = [Example(example.group, example.x, "Nothing of the kind happened.") for example in examples(8, first=40)]
    result = train(bases["llama"], tmp_path, training, held_out=opposite)
    losses = [point.validation_loss for point in result.curve]
    best = losses.index(min(losses))
    assert result.stopped_early
    assert len(losses) == best + 1 + 2
    assert result.best_step == result.curve[best].step < result.steps
    assert result.best_validation_loss == losses[best]
    patient = train(bases["llama"], tmp_path / "patient", training.model_copy(update={"patience": None, "epochs": 6}), held_out=opposite)
    assert (patient.steps, patient.stopped_early) == (30, False)


def test_the_shorter_of_epochs_and_max_steps_decides(bases: dict[str, str], tmp_path: Path) -> None:
    capped = train(bases["t5"], tmp_path / "capped", QUICK.model_copy(update={"max_steps": 7}))
    assert (capped.steps, capped.epochs) == (7, pytest.approx(1.4))
    assert capped.curve[-1].step == 7
    assert train(bases["t5"], tmp_path / "whole", QUICK.model_copy(update={"max_steps": 70})).steps == 10
    assert train(bases["t5"], tmp_path / "part", QUICK.model_copy(update={"epochs": 0.5})).steps == 3


def test_the_borders_of_groups_stay_with_the_student(bases: dict[str, str], tmp_path: Path) -> None:
    """Two students of the same names and other borders are told apart by them, also once their run is gone."""
    recipe = Recipe.load({"teachers": [{"domain": "any", "model": "any"}]}, ["tasks.paraphrase.groups.paraphrase.compression=[0.9, 2]"])
    told = borders(tasks_of(recipe))
    assert told["paraphrase"] == {"compression": (0.9, 2.0), "similarity": (0.0, 0.6)}
    assert told["short-extractive"] == {"compression": (0.0, 0.5), "similarity": (0.6, None)}
    train(bases["t5"], tmp_path, QUICK.model_copy(update={"max_steps": 1}), borders=told)
    found = StudentFormat.read(str(tmp_path / "out")).borders
    assert found["paraphrase"] == {"compression": [0.9, 2.0], "similarity": [0.0, 0.6]}


def test_fewer_pairs_than_a_batch(bases: dict[str, str], tmp_path: Path) -> None:
    result = train(bases["t5"], tmp_path, QUICK.model_copy(update={"gradient_accumulation": 4}), examples(3), examples(1))
    assert (result.steps, result.epochs) == (2, 2.0)


def test_pairs_over_a_limit_are_left_out_and_counted(bases: dict[str, str], tmp_path: Path) -> None:
    long_x = Example("short", "The cat " + "ran and " * 60 + "slept.", "A cat slept.")
    long_y = Example("short", "The cat slept.", "The cat " + "ran and " * 60 + "slept.")
    result = train(bases["llama"], tmp_path, pairs=[*examples(20), long_x, long_y], held_out=[*examples(4), long_x])
    assert (result.pairs, result.left_out) == (20, 3)
    with pytest.raises(RunError, match=r"none of the 2 pairs is within training\.max_source_tokens \(64\)"):
        train(bases["llama"], tmp_path / "none", pairs=[long_x, long_y])


def test_bfloat16_arithmetic_on_fp32_weights(bases: dict[str, str], tmp_path: Path) -> None:
    result = train(bases["llama"], tmp_path, QUICK.model_copy(update={"dtype": "bfloat16"}))
    assert result.curve[-1].validation_loss < 0.9 * result.curve[0].validation_loss
    weights = load_file(tmp_path / "out" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    assert any((tensor != tensor.bfloat16().float()).any() for tensor in weights.values())


def test_nothing_is_printed(bases: dict[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train(bases["gpt2"], tmp_path)
    assert capfd.readouterr() == ("", "")


def test_wrong_calls(bases: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no pair to train the student on"):
        train(bases["t5"], tmp_path, pairs=[])
    with pytest.raises(RecipeError, match="pairs of haiku have no instruction; known are short, paraphrase"):
        train(bases["t5"], tmp_path, pairs=[Example("haiku", "A cat.", "Cat.")])
    with pytest.raises(RecipeError, match="100 \\+ 40 is more than the 128 positions"):
        train(bases["llama"], tmp_path, QUICK.model_copy(update={"max_source_tokens": 100}))
    with pytest.raises(RecipeError, match=r"training\.learning_rate: the loss became nan"):
        train(bases["llama"], tmp_path, QUICK.model_copy(update={"learning_rate": 1e30, "epochs": 5}))
    with pytest.raises(ModelError, match="no such model folder"):
        train("./nowhere", tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="not an empty folder"):
        train(bases["t5"], tmp_path)
