"""The Trainer's settings and what is changed of its ways: the order of pairs, the loss, the evaluations, the checkpoints.

Knows token ids only. transformers' Trainer runs the steps; its weights stay fp32 and its arithmetic is bf16 or fp32.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from transformers import (
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback

from impdistill.errors import RecipeError
from impdistill.models.pair_batch import IGNORED, PairCollator
from impdistill.recipe_student import TrainingRecipe
from impdistill.train.checkpoints import Checkpoint, checkpoint_path, seal
from impdistill.train.examples import EncodedPair, EncodedPairs
from impdistill.train.order import EpochSampler

LOGGED_POINTS = 500
"""The training loss is recorded about so often in a whole training."""


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """After a step. Losses are the latest known, per token; None where there is none yet."""

    step: int
    total_steps: int
    loss: float | None
    held_out_loss: float | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """How many optimizer steps there are, and when held-out pairs are read.

    Attributes:
        per_epoch: steps that read every pair once.
        total: steps of the training, unless it stops early.
        interval: steps between evaluations (and checkpoints).
    """

    per_epoch: int
    total: int
    interval: int

    @classmethod
    def of(cls, training: TrainingRecipe, pairs: int) -> Schedule:
        """The training ends after `epochs` or `max_steps`, whichever comes first."""
        per_epoch = math.ceil(math.ceil(pairs / training.batch_size) / training.gradient_accumulation)
        total = min(math.ceil(training.epochs * per_epoch), training.max_steps or math.inf)
        return cls(per_epoch, int(total), max(1, per_epoch // training.evaluations_per_epoch))


def run_training(
    model: PreTrainedModel,
    collator: PairCollator,
    train: EncodedPairs,
    validation: EncodedPairs,
    schedule: Schedule,
    training: TrainingRecipe,
    work: Path,
    *,
    request: str,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    resume_from: Checkpoint | None,
    on_progress: Callable[[TrainingProgress], None] | None,
) -> None:
    """Train until the last checkpoint lies sealed in `work`; the model's own weights are used up.

    Args:
        validation: held-out pairs; without any there is neither early stopping nor a best step.
        request: names what is trained on what, in the seals of the checkpoints.

    Raises:
        RecipeError: the loss is no longer a number.
    """
    arguments = _arguments(training, schedule, work, seed=seed, device=device, dtype=dtype, evaluates=len(validation) > 0)
    order = EpochSampler(train.lengths(), training.batch_size, seed)
    watch = _Watch(schedule, training, order, work, request, resume_from, on_progress, evaluates=len(validation) > 0)
    trainer = _Trainer(
        model=model,
        args=arguments,
        data_collator=lambda pairs: collator([(pair.source.tolist(), pair.target.tolist()) for pair in pairs]),
        train_dataset=train,
        eval_dataset=validation.sorted_by_length(),
        callbacks=[watch],
    )
    trainer.order = order
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=None if resume_from is None else str(resume_from.path))


def _arguments(
    training: TrainingRecipe,
    schedule: Schedule,
    work: Path,
    *,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    evaluates: bool,
) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=str(work),
        per_device_train_batch_size=training.batch_size,
        per_device_eval_batch_size=training.batch_size,
        gradient_accumulation_steps=training.gradient_accumulation,
        max_steps=schedule.total,
        learning_rate=training.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=math.ceil(schedule.total * training.warmup),
        weight_decay=training.weight_decay,
        bf16=dtype == torch.bfloat16,
        use_cpu=device.type == "cpu",
        eval_strategy="steps" if evaluates else "no",
        eval_steps=schedule.interval,
        save_strategy="steps",
        save_steps=schedule.interval,
        save_total_limit=2,
        metric_for_best_model="loss" if evaluates else None,
        greater_is_better=False if evaluates else None,
        logging_steps=math.ceil(schedule.total / LOGGED_POINTS),
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        log_level="critical",
        dataloader_pin_memory=device.type == "cuda",
        remove_unused_columns=False,
        label_names=["labels"],
        prediction_loss_only=True,
        seed=seed % 2**32,  # numpy takes no more
    )
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # else the Trainer wraps the model in DataParallel, which multiplies the batch size
    return arguments


class _Trainer(Trainer):
    """Pairs in our own order, and a loss per token of y over all pairs of a step."""

    order: EpochSampler
    loss_is_scaled_for_ga = True  # by the number of tokens of the whole step

    def get_train_dataloader(self) -> DataLoader[EncodedPair]:
        pairs: Any = self.train_dataset
        loader = DataLoader(
            pairs,
            batch_size=self.args.per_device_train_batch_size,
            sampler=self.order,
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
        )
        prepared: DataLoader[EncodedPair] = self.accelerator.prepare(loader)
        return prepared

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> tuple[list[Any], Tensor]:
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        # The Trainer's own count leaves out the first label of causal models, which it expects to be shifted by the model.
        targets: Tensor = sum((batch["labels"].ne(IGNORED).sum() for batch in batches), torch.tensor(0))
        return batches, targets.to(device)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Summed over the batch and divided by `num_items_in_batch`, if given."""
        labels = inputs["labels"]  # (b, t)
        outputs = model(**{name: value for name, value in inputs.items() if name != "labels"}, use_cache=False)
        logits = outputs.logits[:, -labels.shape[1] :].float()  # (b, t, vocabulary)
        loss = cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")
        if num_items_in_batch is not None:
            loss = loss / num_items_in_batch
        return (loss, outputs) if return_outputs else loss

    @torch.no_grad()
    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """The loss per token of all held-out pairs; the Trainer's own gives a small last batch the weight of a whole one."""
        model: Any = self.model
        model.train(False)
        loss, tokens = 0.0, 0
        for batch in self.get_eval_dataloader():
            loss += float(self.compute_loss(model, self._prepare_inputs(batch)))
            tokens += int(batch["labels"].ne(IGNORED).sum())
        metrics = {"eval_loss": loss / tokens}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


class _Watch(TrainerCallback):
    """Sets the epoch's order, asks for the last evaluation, stops early, seals checkpoints, reports."""

    def __init__(
        self,
        schedule: Schedule,
        training: TrainingRecipe,
        order: EpochSampler,
        work: Path,
        request: str,
        resumed: Checkpoint | None,
        on_progress: Callable[[TrainingProgress], None] | None,
        *,
        evaluates: bool,
    ) -> None:
        self._schedule, self._training, self._order, self._work = schedule, training, order, work
        self._request, self._on_progress, self._evaluates = request, on_progress, evaluates
        self._seconds_before = 0.0 if resumed is None else resumed.seconds
        self._started = time.monotonic()
        self._loss: float | None = None
        self._held_out_loss: float | None = None

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._order.epoch = int(state.epoch or 0)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step >= self._schedule.total:
            control.should_evaluate, control.should_save = self._evaluates, True
        if self._on_progress is not None:
            self._on_progress(
                TrainingProgress(state.global_step, self._schedule.total, self._loss, self._held_out_loss),
            )

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        self._loss = (logs or {}).get("loss", self._loss)
        if self._loss is not None and not math.isfinite(self._loss):
            raise RecipeError(
                f"training.learning_rate: the loss became {self._loss} at step {state.global_step} with "
                f"{self._training.learning_rate}; lower it, or lengthen training.warmup"
            )

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        losses = [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry]
        self._held_out_loss = losses[-1]
        worse_since_best = len(losses) - 1 - losses.index(min(losses))
        if self._training.patience is not None and worse_since_best >= self._training.patience:
            control.should_training_stop = control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        seal(
            checkpoint_path(self._work, state.global_step),
            request=self._request,
            seconds=self._seconds_before + time.monotonic() - self._started,
            is_last=control.should_training_stop or state.global_step >= self._schedule.total,
        )
