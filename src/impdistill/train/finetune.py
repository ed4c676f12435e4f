"""Fine-tuning of a base model into a student: maximum likelihood of y given instruction and x (Jung et al. 2023, section 2.1.2).

Knows nothing of how the pairs came about. A training that was killed goes on from its last whole checkpoint and ends with the
same weights, bit for bit on the same kind of CPU, as one that was not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from impdistill import __version__
from impdistill.errors import ModelError, RecipeError, RunError
from impdistill.models.generative import choose_attention, load_generative, most_positions, quiet_transformers
from impdistill.models.loading import STARTER, choose_device, choose_dtype, fingerprint, resolve
from impdistill.models.pair_batch import PairCollator
from impdistill.models.student import save_student
from impdistill.models.student_format import FILE_NAME, PROMPTS, Borders, StudentFormat
from impdistill.recipe_student import TrainingRecipe
from impdistill.run.storage import JSON, canonical, foreign_storage_errors, make_directory
from impdistill.train.checkpoints import Checkpoint, checkpoint_path, newest
from impdistill.train.examples import EncodedPairs, Example
from impdistill.train.order import epoch_order
from impdistill.train.training import Schedule, TrainingProgress, run_training

CODE_VERSION = 1
"""Part of a checkpoint's request: raise it when the same request would give other weights."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """An evaluation: losses per token of y, natural log. train_loss: over the steps just before; None if none was recorded."""

    step: int
    train_loss: float | None
    validation_loss: float


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training did.

    Attributes:
        steps: optimizer steps done.
        best_step: the one whose weights are the student's: that of the lowest held-out loss, or the last.
        epochs: how often every pair was read.
        best_validation_loss: per token of y, natural log; None without held-out pairs.
        curve: one point an evaluation.
        seconds: of training, over all sessions.
        tokens: of prompts and targets read, without padding.
        pairs: trained on.
        left_out: training and held-out pairs over a token limit.
        stopped_early: held-out loss no longer fell.
    """

    steps: int
    best_step: int
    epochs: float
    best_validation_loss: float | None
    curve: tuple[CurvePoint, ...]
    seconds: float
    tokens: int
    pairs: int
    left_out: int
    stopped_early: bool

    def facts(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def finetune(
    base: str,
    revision: str | None,
    train: Sequence[Example],
    validation: Sequence[Example],
    out: Path,
    work: Path,
    training: TrainingRecipe,
    groups: Mapping[str, str],
    *,
    seed: int,
    borders: Mapping[str, Borders] | None = None,
    device: str = "auto",
    on_progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainingResult:
    """Train a student and write its folder.

    Args:
        base: M0, or an earlier student: an encoder-decoder or causal model, by folder or hub name.
        train, validation: pairs; without held-out pairs every step is done and the last weights are taken.
        out: folder to write, absent or empty.
        work: folder of the checkpoints; what lies there from a killed call with the same arguments is gone on from.
        groups: name -> instruction, of every group in the pairs.
        borders: name -> what outputs of a group should be, kept with the student for measuring its control; None: not known.
        device: auto, cpu or cuda.
        on_progress: called after every step.

    Raises:
        RunError: no pair to train on, or `out` holds files.
        RecipeError: a pair of an unknown group, limits beyond the model's positions, a loss that is no number.
        ModelError: the base is absent or of the wrong kind.
        StorageError: the disk is full or may not be written.
    """
    _check(train, validation, groups, out)
    # 1. The base, and how its student is spoken to
    place = choose_training_device(device)
    dtype = choose_dtype(training.dtype, place)
    model, tokenizer, kind = load_generative(base, revision=revision, dtype=torch.float32)
    choose_attention(model, place, dtype)
    spoken = StudentFormat(
        kind=kind,
        groups=dict(groups),
        prompt=PROMPTS[kind],
        max_source_tokens=training.max_source_tokens,
        max_target_tokens=training.max_target_tokens,
        base=_origin(base),
        trained_by=f"impdistill {__version__}",
        borders=borders or {},
    )
    _check_room(spoken, model, base)
    # 2. Pairs as token ids
    pairs, held_out = (EncodedPairs.of(examples, spoken, tokenizer) for examples in (train, validation))
    if len(pairs) == 0:
        raise RunError(
            f"none of the {len(train)} pairs is within training.max_source_tokens ({training.max_source_tokens}) and "
            f"max_target_tokens ({training.max_target_tokens}); raise them"
        )
    # 3. Train, from the last whole checkpoint if there is one
    schedule = Schedule.of(training, len(pairs))
    make_directory(work)
    request = _request(fingerprint(base, revision), train, validation, spoken, training, seed)
    last = newest(work, request)
    if last is None or not last.is_last:
        with quiet_transformers(), foreign_storage_errors(work):
            run_training(
                model,
                PairCollator.of(model, tokenizer),
                pairs,
                held_out,
                schedule,
                training,
                work,
                request=request,
                seed=seed,
                device=place,
                dtype=dtype,
                resume_from=last,
                on_progress=on_progress,
            )
        last = newest(work, request)
        if last is None:
            raise RunError(f"{work}: the checkpoints vanished during training; run again")
    # 4. The best weights become the student
    result = _result(last, schedule, pairs, held_out, training, seed)
    with quiet_transformers():
        best = type(model).from_pretrained(checkpoint_path(work, result.best_step), dtype=torch.float32)
    save_student(best, tokenizer, spoken, out)
    return result


def choose_training_device(device: str) -> torch.device:
    """As `choose_device`; of several GPUs transformers' Trainer takes the first.

    Raises:
        ModelError: the device is not on this machine, or another GPU than the first.
    """
    place = choose_device(device)
    if place.type == "cuda" and place.index not in (None, 0):
        raise ModelError(f"device {device}: training takes the first visible GPU; set CUDA_VISIBLE_DEVICES={place.index}, device cuda")
    return place


def _origin(base: str) -> str:
    """What a student's folder names as its base: M0, also after rounds of training, and no path of this machine."""
    folder = Path(resolve(base))
    if (folder / FILE_NAME).is_file():
        return StudentFormat.read(base).base
    return folder.name if folder.is_dir() and not base.startswith(STARTER) else base


def _check(train: Sequence[Example], validation: Sequence[Example], groups: Mapping[str, str], out: Path) -> None:
    if not train:
        raise RunError("no pair to train the student on: loosen the filters' thresholds, or ask for more contexts")
    unknown = sorted({example.group for example in (*train, *validation)} - set(groups))
    if unknown:
        raise RecipeError(f"groups: pairs of {', '.join(unknown)} have no instruction; known are {', '.join(groups)}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out}: is not an empty folder; nothing is overwritten: give another")


def _check_room(spoken: StudentFormat, model: PreTrainedModel, base: str) -> None:
    positions = most_positions(model)
    wanted = spoken.max_source_tokens + spoken.max_target_tokens
    if positions is not None and wanted > positions:
        raise RecipeError(
            f"training.max_source_tokens and max_target_tokens: {spoken.max_source_tokens} + {spoken.max_target_tokens} is more "
            f"than the {positions} positions of {base}; lower them"
        )


def _request(
    base: str,
    train: Sequence[Example],
    validation: Sequence[Example],
    spoken: StudentFormat,
    training: TrainingRecipe,
    seed: int,
) -> str:
    """A hash (hex) of everything the weights follow from."""
    digest = hashlib.sha256()
    told = {name: value for name, value in asdict(spoken).items() if name not in ("base", "trained_by", "borders")}
    asked: dict[str, JSON] = {
        "code_version": CODE_VERSION,
        "base": base,
        "format": {**told, "base": "", "trained_by": ""},
        "training": training.model_dump(mode="json"),
        "seed": seed,
        "pairs": [len(train), len(validation)],
    }
    digest.update(canonical(asked).encode())
    for example in (*train, *validation):
        digest.update(canonical([example.group, example.x, example.y]).encode())
    return digest.hexdigest()


def _result(
    last: Checkpoint,
    schedule: Schedule,
    pairs: EncodedPairs,
    held_out: EncodedPairs,
    training: TrainingRecipe,
    seed: int,
) -> TrainingResult:
    state = last.state()
    curve, train_loss = [], None
    for entry in state.log_history:
        train_loss = entry.get("loss", train_loss)
        if "eval_loss" in entry:
            curve.append(CurvePoint(int(entry["step"]), train_loss, float(entry["eval_loss"])))
    lengths = pairs.lengths()
    epochs, steps = divmod(last.step, schedule.per_epoch)
    begun = epoch_order(lengths, training.batch_size, seed=seed, epoch=epochs)
    begun = begun[: steps * training.batch_size * training.gradient_accumulation]
    return TrainingResult(
        steps=last.step,
        best_step=state.best_global_step or last.step,
        epochs=epochs + len(begun) / len(pairs),
        best_validation_loss=min((point.validation_loss for point in curve), default=None),
        curve=tuple(curve),
        seconds=last.seconds,
        tokens=int(epochs * lengths[:, 0].sum() + lengths[begun, 0].sum()),
        pairs=len(pairs),
        left_out=pairs.left_out + held_out.left_out,
        stopped_early=last.step < schedule.total,
    )
