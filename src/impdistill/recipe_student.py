"""The part of a recipe about the student: its training, how it writes, and the rounds in which it teaches the next one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from impdistill.recipe_fields import Name, PositiveInt, Section, Share


class NucleusSampling(Section):
    """Sampling from the smallest set of tokens whose probability reaches `top_p` (Holtzman et al. 2020)."""

    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    temperature: Annotated[float, Field(gt=0, le=10)] = 1.0
    max_new_tokens: Annotated[int, Field(ge=4, le=1024)] = 64


class TrainingRecipe(Section):
    """Fine-tuning of the student by the conditional likelihood of y (section 2.1.2)."""

    epochs: Annotated[float, Field(gt=0)] = 3.0
    max_steps: PositiveInt | None = None
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    warmup: Share = 0.05
    """Share of the steps over which the learning rate rises."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    batch_size: PositiveInt = 8
    """Pairs in one forward pass on one device."""
    gradient_accumulation: PositiveInt = 8
    max_source_tokens: PositiveInt = 256
    max_target_tokens: PositiveInt = 128
    evaluations_per_epoch: PositiveInt = 2
    patience: Annotated[int, Field(ge=1)] | None = 3
    """Evaluations without a lower held-out loss after which training stops; None never stops early."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """Of the arithmetic; the weights are trained in fp32."""


class StudentRecipe(Section):
    """M0, the model that becomes the task model."""

    model: str = "t5-large"
    revision: str | None = None
    training: TrainingRecipe = TrainingRecipe()


class StudentDecoding(Section):
    """How the student writes y in self-distillation."""

    beams: Annotated[int, Field(ge=1, le=16)] = 1
    sampling: NucleusSampling | None = None
    """None: greedy or beam search."""
    samples: Annotated[int, Field(ge=1, le=256)] = 1
    """Outputs of each x and group, from which the filters take the best (the paper: 1); more than one needs sampling."""
    max_new_tokens: Annotated[int, Field(ge=4, le=512)] = 96

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.samples > 1 and self.sampling is None:
            raise ValueError(f"samples ({self.samples}) would all be the same; set sampling: {{top_p: 0.9}} or samples: 1")
        if self.beams > 1 and self.sampling is not None:
            raise ValueError(f"beams ({self.beams}) and sampling exclude each other; set beams: 1 or sampling: null")
        return self


class SelfDistillationRecipe(Section):
    """Rounds of x from the teacher, y from the student, filter, train (section 2.2)."""

    rounds: Annotated[int, Field(ge=0, le=20)] = 1
    contexts: PositiveInt = 500_000
    sources_per_context: PositiveInt = 4
    sampling: NucleusSampling = NucleusSampling(top_p=0.9)
    decoding: StudentDecoding = StudentDecoding()
    start_from: Literal["previous", "base"] = "previous"
    """Which weights a round's training starts from: the last student (the paper) or M0 (its ablation)."""
    entailment: Mapping[Name, Share] = {}
    """Task -> threshold of its entailment filter in these rounds, where it differs. Students give pairs in plenty: it may be stricter."""
    fluency: Share | None = None
    """Threshold of the fluency filters in these rounds, for x and y; None: as before them."""
    training: TrainingRecipe | None = None
    """None: as for the first student."""
