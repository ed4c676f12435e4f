"""Everything a run is asked for: one frozen, typed, validated object, written in YAML or in Python.

The defaults are the paper's (Jung et al. 2023, section 2 and appendix A). Everything here can change what comes out, and so is
part of a stage's key, except in the section `execution`. Unknown keys and values out of range are errors that name the path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from impdistill import recipe_source
from impdistill.errors import RecipeError
from impdistill.recipe_fields import PREFIX_RULES, Domain, Interval, Name, Phrase, PositiveInt, Section, Share
from impdistill.recipe_student import NucleusSampling, SelfDistillationRecipe, StudentRecipe


class TeacherRecipe(Section):
    """One language model and the domain it speaks for."""

    domain: Domain
    model: str
    revision: str | None = None
    prefix: str = "none"
    """A rule of `impdistill.generate.prefixes` (news, news-naacl, reddit, biomedical, none) or `literal:TEXT`."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """This teacher's share of the contexts, relative to the others'."""
    min_log_probability: Annotated[float, Field(lt=0)] | None = None
    """Least mean log-probability (natural) that this teacher gives the tokens of a sentence after its context; less likely ones are no
    sentences to work with. It bounds what the teacher writes, in rounds of self-distillation x alone. For small teachers, of whose unlikely
    sentences many mean nothing. Not in the paper."""

    @field_validator("prefix")
    @classmethod
    def _known(cls, prefix: str) -> str:
        if prefix not in PREFIX_RULES and not prefix.startswith("literal:"):
            raise ValueError(f"no such rule; use {', '.join(PREFIX_RULES)} or literal:TEXT")
        return prefix


class ContextsRecipe(Section):
    """Left contexts c: whole sentences sampled after the domain prefix (section 2.1.1, appendix A.1)."""

    count: PositiveInt = 150_000
    sentences: tuple[PositiveInt, PositiveInt] = (1, 5)
    attempts: Annotated[int, Field(ge=1, le=100)] = 4
    """How often a context is drawn, the first time included, before it is given up."""
    sampling: NucleusSampling = NucleusSampling(top_p=0.9, max_new_tokens=200)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.sentences[0] > self.sentences[1]:
            raise ValueError(f"sentences: the least ({self.sentences[0]}) is above the most ({self.sentences[1]})")
        return self


class ParallelRecipe(Section):
    """Parallel generation: k2 sentences of one context, all ordered pairs (section 2.1.1, equations 2 and 3)."""

    samples: Annotated[int, Field(ge=0, le=1000)] = 100
    """k2; 0 switches parallel generation off."""
    sampling: NucleusSampling = NucleusSampling(top_p=0.7)


class NeuroLogicRecipe(Section):
    """Constrained beam search (Lu et al. 2021)."""

    beam_size: Annotated[int, Field(ge=1, le=256)] = 20
    prune_factor: Annotated[int, Field(ge=1)] | None = None
    """alpha: a candidate must rank above this among all cells; None switches pruning off (unsupervised teachers)."""
    tolerance: Annotated[int, Field(ge=0)] | None = 2
    """beta: how many clauses a candidate may lie behind the best; None switches it off."""
    progress_weight: Annotated[float, Field(ge=0)] = 1.25
    """lambda: the reward of a partly matched phrase."""
    length_penalty: Annotated[float, Field(ge=0)] = 0.2
    min_end_probability: Annotated[float, Field(ge=0, lt=1)] = 0.005
    """P(end) below which a stop would cut a sentence off rather than end it. Not in the paper."""
    no_repeat_ngram: Annotated[int, Field(ge=0)] = 3
    min_new_tokens: Annotated[int, Field(ge=1)] = 5
    max_new_tokens: Annotated[int, Field(ge=4, le=1024)] = 64
    look_ahead: Annotated[int, Field(ge=0, le=20)] = 0
    """Greedy steps of look-ahead (A*esque decoding); 0 is none."""
    look_ahead_weight: Annotated[float, Field(ge=0)] = 0.25

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_new_tokens > self.max_new_tokens:
            raise ValueError(f"min_new_tokens ({self.min_new_tokens}) is above max_new_tokens ({self.max_new_tokens})")
        return self


class SequentialRecipe(Section):
    """Sequential generation: k1 constrained outputs for a sampled x (section 2.1.1, equation 1)."""

    outputs: Annotated[int, Field(ge=0, le=100)] = 10
    """k1; 0 switches sequential generation off."""
    sources_per_context: PositiveInt = 1
    keywords: Annotated[int, Field(ge=1, le=20)] = 5
    forbidden: tuple[Phrase, ...] = ()
    """Words and phrases that no y may hold, as written here or with a capital; not in the paper."""
    embedder: str = "sentence-transformers/all-MiniLM-L6-v2"
    embedder_revision: str | None = None
    sampling: NucleusSampling = NucleusSampling(top_p=0.9)
    neurologic: NeuroLogicRecipe = NeuroLogicRecipe()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.outputs > self.neurologic.beam_size:
            raise ValueError(f"outputs ({self.outputs}) cannot exceed neurologic.beam_size ({self.neurologic.beam_size})")
        return self


class CascadeRecipe(Section):
    """A small model that screens candidates before the judge; what it may lose is bounded on a sample. Not in the paper."""

    model: str
    revision: str | None = None
    kind: Literal["judge", "embedder"] = "judge"
    """What the model says of two sentences: P(premise entails hypothesis), or the cosine of their embeddings."""
    recall: Annotated[float, Field(ge=0.9, lt=1)] = 0.99
    """The least share of what the judge alone keeps that must pass the screen, in each task."""
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    """Of the one-sided bound that shows it (Clopper-Pearson)."""
    contexts: PositiveInt = 1_000
    """The first contexts of each teacher and round, which the judge filters alone, as the sample."""
    least_saving: Share = 0.1
    """A screen that spares the judge a smaller share of its questions is not used."""


class JudgeRecipe(Section):
    """The natural language inference model that answers P(premise entails hypothesis)."""

    model: str = "alisawuffles/roberta-large-wanli"
    revision: str | None = None
    cascade: CascadeRecipe | None = None
    """None: the judge answers every question itself."""


class CriticRecipe(Section):
    """The classifier that answers P(fluent) of a sentence; needed by `fluency` filters only. Not in the paper."""

    model: str | None = None
    revision: str | None = None


class LengthRecipe(Section):
    """minimum <= |y| / |x| < maximum, in word tokens (equations 5 and 8)."""

    minimum: Annotated[float, Field(ge=0)] = 0.0
    maximum: Annotated[float, Field(gt=0)] = 0.8

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.minimum >= self.maximum:
            raise ValueError(f"no pair is at least {self.minimum} and below {self.maximum}; minimum must be below maximum")
        return self


class EntailmentRecipe(Section):
    """P(x => y) >= threshold, and for `both` also P(y => x) (equations 4 and 7)."""

    threshold: Share = 0.9
    direction: Literal["forward", "both"] = "forward"


class AbstractivenessRecipe(Section):
    """max(normalised Density, ROUGE-L) <= maximum (equation 9)."""

    maximum: Share = 0.6


class NumbersRecipe(Section):
    """Every number of y must be in x; for `both` also the reverse."""

    direction: Literal["y in x", "both"] = "y in x"


class MentionsRecipe(Section):
    """Every name and person that y mentions must be one of x's; for `both` also the reverse. English only."""

    direction: Literal["y in x", "both"] = "y in x"


class StandaloneRecipe(Section):
    """Whatever y leans on ("it", "they", "also", "however") x must have too; for `both` also the reverse. English only."""

    direction: Literal["y in x", "both"] = "y in x"


class FluencyRecipe(Section):
    """P(fluent) >= threshold for x and y both. For small teachers, much of whose text is no English."""

    threshold: Share = 0.5


class DiversityRecipe(Section):
    """One pair of each set of duplicates (section 2.1.2, algorithm 1)."""

    threshold: Share = 0.9
    edges: Literal["any", "mutual"] = "any"
    max_component: Annotated[int, Field(ge=1)] | None = None


class FiltersRecipe(Section):
    """A task's chain. A filter that is null is not applied."""

    length: LengthRecipe | None = LengthRecipe()
    mood: bool = False
    """Questions only with questions, statements only with statements."""
    echo: bool = False
    """No word of four letters or more stands in y several times, and more often than in x."""
    numbers: NumbersRecipe | None = None
    mentions: MentionsRecipe | None = None
    standalone: StandaloneRecipe | None = None
    abstractiveness: AbstractivenessRecipe | None = None
    fluency: FluencyRecipe | None = None
    entailment: EntailmentRecipe | None = EntailmentRecipe()
    diversity: DiversityRecipe | None = DiversityRecipe()


class GroupRecipe(Section):
    """One control class: an instruction and the region of (compression, similarity) it stands for (appendix A.3)."""

    instruction: str
    compression: Interval = (None, None)
    similarity: Interval = (None, None)


class TaskRecipe(Section):
    """What a good pair is: a chain of filters, and the groups its pairs fall into."""

    filters: FiltersRecipe = FiltersRecipe()
    groups: Mapping[Name, GroupRecipe]


SUMMARY_GROUPS = {
    f"{length}-{manner}": GroupRecipe(
        instruction=f"Generate a {length}, {manner} summary of the given sentence: ",
        compression=(None, 0.5) if length == "short" else (0.5, 0.8),
        similarity=(None, 0.6) if manner == "abstractive" else (0.6, None),
    )
    for length in ("short", "long")
    for manner in ("abstractive", "extractive")
}

SUMMARY = TaskRecipe(groups=SUMMARY_GROUPS)

PARAPHRASE = TaskRecipe(
    filters=FiltersRecipe(
        length=LengthRecipe(minimum=0.8, maximum=1.5),
        abstractiveness=AbstractivenessRecipe(),
        entailment=EntailmentRecipe(direction="both"),
    ),
    groups={
        "paraphrase": GroupRecipe(
            instruction="Generate a paraphrase of the given sentence: ", compression=(0.8, 1.5), similarity=(None, 0.6)
        )
    },
)


class DatasetRecipe(Section):
    """How the kept pairs become a dataset."""

    validation: Annotated[float, Field(ge=0, lt=0.5)] = 0.05
    """Share of contexts held out; a context's pairs are all on one side."""
    max_same_output: PositiveInt | None = None
    """Pairs with the same words in y, all contexts together. Small teachers say some sentences again and again."""
    max_per_group: PositiveInt | None = None
    balance: bool = False
    """Cap every group at the size of the smallest."""


class NumericsRecipe(Section):
    """What floating point depends on besides the models: part of the keys."""

    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """`auto` is bf16 where the machine multiplies it fast, else fp32."""
    contexts_per_block: Annotated[int, Field(ge=1, le=1024)] = 8
    """Batches are formed inside a block of consecutive contexts, never from what happens to be pending."""
    max_rows: Annotated[int, Field(ge=1)] = 800
    """Sequences decoded at once."""
    max_batch_tokens: Annotated[int, Field(ge=512)] = 16_384
    """Tokens that judge and student read at once."""


class ExecutionRecipe(Section):
    """What cannot change the outcome, on one kind of machine."""

    device: str = "auto"
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    threads: PositiveInt | None = None
    """Torch threads of each worker; None shares the cores out evenly."""
    blocks_per_shard: Annotated[int, Field(ge=1)] = 4
    overlap: bool = False
    """Filter (and rewrite) blocks while the teacher writes the next ones, in processes of their own: several models in memory at once."""


class Recipe(Section):
    """A whole run. See the module's docstring."""

    name: Name = "custom"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    teachers: Annotated[tuple[TeacherRecipe, ...], Field(min_length=1)]
    contexts: ContextsRecipe = ContextsRecipe()
    parallel: ParallelRecipe = ParallelRecipe()
    sequential: SequentialRecipe = SequentialRecipe()
    judge: JudgeRecipe = JudgeRecipe()
    critic: CriticRecipe = CriticRecipe()
    tasks: Annotated[Mapping[Name, TaskRecipe], Field(min_length=1)] = {"summary": SUMMARY, "paraphrase": PARAPHRASE}
    unicode_words: bool = False
    """Count letters beyond ASCII in ROUGE-L and Density; ROUGE itself drops them."""
    dataset: DatasetRecipe = DatasetRecipe()
    student: StudentRecipe = StudentRecipe()
    self_distillation: SelfDistillationRecipe = SelfDistillationRecipe()
    numerics: NumericsRecipe = NumericsRecipe()
    execution: ExecutionRecipe = ExecutionRecipe()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        domains = [teacher.domain for teacher in self.teachers]
        if len(set(domains)) < len(domains):
            raise ValueError(f"teachers: each needs a domain of its own, found {', '.join(domains)}")
        if self.parallel.samples == 0 and self.sequential.outputs == 0:
            raise ValueError("parallel.samples and sequential.outputs are both 0: nothing would be generated")
        counts = {"contexts.count": self.contexts.count}
        if self.self_distillation.rounds:
            counts["self_distillation.contexts"] = self.self_distillation.contexts
        for path, count in counts.items():
            if without := [domain for domain, share in self.contexts_of(count).items() if share == 0]:
                raise ValueError(f"{path}: {count} leaves none for {', '.join(without)}; give at least one context a teacher")
        groups = [group for task in self.tasks.values() for group in task.groups]
        if len(set(groups)) < len(groups):
            raise ValueError(f"tasks: a group's name must be unique over all tasks, found {', '.join(groups)}")
        if strange := [name for name in self.self_distillation.entailment if name not in self.tasks]:
            raise ValueError(f"self_distillation.entailment: no such task: {', '.join(strange)}; the tasks are {', '.join(self.tasks)}")
        asking = [name for name, task in self.tasks.items() if task.filters.fluency is not None]
        if asking and self.critic.model is None:
            raise ValueError(
                f"critic.model is missing: the fluency filter of {', '.join(asking)} asks it; give a classifier or fluency: null"
            )
        if self.self_distillation.fluency is not None and not asking:
            raise ValueError("self_distillation.fluency: no task has a fluency filter; give one (tasks.NAME.filters.fluency) or null")
        return self

    @classmethod
    def load(cls, source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Recipe:
        """Read a recipe.

        Args:
            source: a YAML file, the name of a recipe that comes with the package (`paper`, `naacl`, `starter`), or a mapping.
                What it leaves out keeps its default; but tasks, and groups of a task, that it does not name are gone if it names any.
            overrides: `path.to.field=value`, the value in YAML; a list's items are addressed by number (`teachers.0.model=gpt2`).

        Raises:
            RecipeError: not found, not YAML, an unknown key or a value out of range; it names the path and the fix.
        """
        origin, given = recipe_source.read(source)
        try:
            recipe = cls.model_validate(recipe_source.merged(cls._defaults(), given))
            if overrides:
                content = recipe.model_dump(mode="json")
                for override in overrides:
                    recipe_source.apply(content, override)
                recipe = cls.model_validate(content)
        except ValidationError as invalid:
            raise RecipeError(f"{origin}: {recipe_source.first_error(invalid, _known_keys())}") from invalid
        return recipe

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        content = cls(teachers=(TeacherRecipe(domain="any", model="any"),)).model_dump(mode="json")
        del content["teachers"]
        return content

    def to_yaml(self) -> str:
        """The whole recipe, defaults included; `Recipe.load` of it gives an equal recipe."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)

    def contexts_of(self, count: int) -> dict[str, int]:
        """`count` contexts shared out over the teachers by weight: domain -> contexts, summing to `count` exactly."""
        total = sum(teacher.weight for teacher in self.teachers)
        shares, given, weight = {}, 0, 0.0
        for teacher in self.teachers:
            weight += teacher.weight
            upto = round(count * weight / total)
            shares[teacher.domain], given = upto - given, upto
        return shares


def _known_keys() -> set[str]:
    sections: list[type[Section]] = [Recipe, *Section.__subclasses__()]
    return {key for section in sections for key in section.model_fields}
