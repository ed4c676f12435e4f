"""Paraphrastic proximity: how often a teacher says the same thing twice after one context (Jung et al. 2023, section 2.1.1).

Which decoding suits a teacher is found by trying: sentences are sampled after contexts of 0 to 5 sentences, with several top-p or
temperatures, all ordered pairs of a context's sentences are judged, and the tasks' filters say what a run would keep. All settings
see the same contexts, the shorter ones cut from the longest, and the same random numbers, so that they differ in nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from impdistill.decode.nucleus import MAX_ROWS, Nucleus
from impdistill.errors import RecipeError, TextError
from impdistill.evaluate.bootstrap import estimate
from impdistill.evaluate.metrics.bleu import bleu_scorer
from impdistill.evaluate.statistic import mean_of
from impdistill.filters import Candidates, Judged, run_block
from impdistill.filters.funnel import EntailmentJudge
from impdistill.generate.contexts import ContextSettings, sample_contexts
from impdistill.generate.parallel import PoolRow, sample_pools
from impdistill.models.judge import Judge
from impdistill.models.teacher import Teacher
from impdistill.run.storage import JSON, BrokenSealError, canonical, make_directory, read_sealed, write_sealed
from impdistill.tasks import Task
from impdistill.text.sentences import first_sentence_end

CODE_VERSION = 1
BLOCK = 8
"""Contexts that are sampled and judged together."""
ATTEMPTS = 8
STAGE = "proximity"


@dataclass(frozen=True, slots=True)
class Setting:
    """What is varied.

    Attributes:
        sentences: of the context; 0: the domain prefix alone.
        top_p, temperature: of the sentences sampled after it.
    """

    sentences: int
    top_p: float
    temperature: float

    def __str__(self) -> str:
        return f"{self.sentences} sentence{'s' * (self.sentences != 1)}, top-p {self.top_p:g}, temperature {self.temperature:g}"


@dataclass(frozen=True, slots=True)
class Question:
    """What all settings have in common.

    Attributes:
        rule: of the domain prefix, see `impdistill.generate.prefixes`.
        contexts: drawn; those that are no whole, well-formed sentences in eight attempts are left out.
        samples: sentences after each context.
        entailment: P(x => y) from which on x counts as entailing y, 0-1.
        tasks: whose filters say which pairs are kept.
        max_new_tokens: of one sentence.
        context_tokens: most tokens of a context.
    """

    tasks: tuple[Task, ...]
    rule: str = "none"
    contexts: int = 32
    samples: int = 20
    entailment: float = 0.9
    max_new_tokens: int = 64
    context_tokens: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if self.contexts < 1 or self.samples < 2 or not 0 <= self.entailment <= 1:
            raise RecipeError(
                f"proximity: {self.contexts} contexts, {self.samples} samples, threshold {self.entailment}; needed are at least one "
                "context, two samples, and a threshold in 0-1"
            )

    def key(self) -> dict[str, JSON]:
        """All that an answer depends on, but the models and the setting."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "tasks"}
        return {**fields, "tasks": {task.name: {rule.name: dict(rule.settings()) for rule in task.filters} for task in self.tasks}}


@dataclass(frozen=True, slots=True)
class Proximity:
    """What one setting gave.

    Attributes:
        contexts: measured.
        sentences: sampled.
        well_formed: share of them that are sentences to work with.
        pairs: ordered pairs of different well-formed sentences of one context.
        entailing: those in which x entails y.
        self_bleu: corpus BLEU of y against x over the entailing pairs, 0-100; None without any. Lower: said more differently.
        kept: task -> pairs that its filters keep.
        tokens: sampled for the sentences, not for the contexts.
        kept_per_1000_tokens: of all tasks; `low` and `high` bound its 95% bootstrap interval over contexts (None: one context).
    """

    setting: Setting
    contexts: int
    sentences: int
    well_formed: float
    pairs: int
    entailing: int
    self_bleu: float | None
    kept: Mapping[str, int]
    tokens: int
    kept_per_1000_tokens: float
    low: float | None
    high: float | None

    @property
    def entailing_share(self) -> float | None:
        """Of the pairs; None without any."""
        return self.entailing / self.pairs if self.pairs else None

    @property
    def kept_per_context(self) -> float:
        return sum(self.kept.values()) / self.contexts

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Proximity:
        return cls(**{**content, "setting": Setting(**content["setting"])})


Observer = Callable[[Setting, int, int], None]
"""(setting, contexts done, contexts in all), after every block; a setting that was measured before comes once, all done."""


def settings_of(sentences: Sequence[int], top_p: Sequence[float], temperature: Sequence[float]) -> list[Setting]:
    """All combinations, each once, by sampling and then by length of context.

    Raises:
        RecipeError: a value out of range.
    """
    ranges: tuple[tuple[str, Sequence[float], float, float], ...] = (
        ("sentences", sentences, -1, 20),
        ("top-p", top_p, 0, 1),
        ("temperature", temperature, 0, 10),
    )
    for name, values, above, most in ranges:
        wrong = [value for value in values if not above < value <= most]
        if wrong or not values:
            found = f"{wrong[0]:g} is out of range" if wrong else "no value"
            raise RecipeError(f"proximity: {name}: {found}; use 0 <= sentences <= 20, 0 < top-p <= 1, 0 < temperature <= 10")
    every = product(dict.fromkeys(top_p), dict.fromkeys(temperature), dict.fromkeys(sentences))
    return [Setting(length, p, heat) for p, heat, length in every]


def measure_proximity(
    teacher: Teacher, judge: Judge, settings: Sequence[Setting], question: Question, folder: Path, observer: Observer | None = None
) -> list[Proximity]:
    """Measure every setting, in order; those whose answer to the same question lies in `folder` already are read from there.

    Raises:
        TextError: the teacher wrote no usable context, or has no room for its sentences.
        RecipeError: no such prefix rule.
        DependencyError: sacrebleu is not installed.
        StorageError: `folder` cannot be written.
    """
    bleu_scorer()  # says what is missing before anything is computed
    make_directory(folder)
    longest = max(setting.sentences for setting in settings)
    asked: dict[str, JSON] = {
        "version": CODE_VERSION,
        "teacher": [teacher.fingerprint, str(teacher.dtype)],
        "judge": [judge.fingerprint, str(judge.model.dtype)],
        "longest": longest,
        **question.key(),
    }
    contexts: list[tuple[int, str, str]] | None = None
    found = []
    for setting in settings:
        path = folder / f"sentences-{setting.sentences}-top-p-{setting.top_p:g}-temperature-{setting.temperature:g}.json"
        of_setting = {**asked, "setting": asdict(setting)}
        answer = _stored(path, of_setting)
        if answer is None:
            contexts = _contexts(teacher, question, longest) if contexts is None else contexts
            answer = _measure(teacher, judge, setting, question, contexts, observer)
            write_sealed(path, {"question": of_setting, "answer": asdict(answer)})
        elif observer is not None:
            observer(setting, answer.contexts, answer.contexts)
        found.append(answer)
    return found


def best_of(found: Sequence[Proximity]) -> Proximity | None:
    """The setting that keeps most pairs for the tokens sampled; of equal ones the first. None: nothing was kept."""
    best = max(found, key=lambda each: each.kept_per_1000_tokens)
    return best if best.kept_per_1000_tokens else None


def _stored(path: Path, question: Mapping[str, JSON]) -> Proximity | None:
    """The answer in a file; None if it is absent, damaged, or answers another question."""
    try:
        content = read_sealed(path)
    except (FileNotFoundError, BrokenSealError):
        return None
    answer = content["answer"]
    same = canonical(content["question"]) == canonical(question)
    return Proximity.from_json(answer) if same and isinstance(answer, dict) else None


def _contexts(teacher: Teacher, question: Question, sentences: int) -> list[tuple[int, str, str]]:
    """(number, domain prefix, text) of the contexts, each of so many sentences."""
    room = question.context_tokens if teacher.max_positions is None else teacher.max_positions // 2
    drawn = ContextSettings(
        min_sentences=max(1, sentences),
        max_sentences=max(1, sentences),
        attempts=ATTEMPTS,
        nucleus=Nucleus(top_p=0.9, max_new_tokens=min(question.context_tokens, room)),
    )
    rows = [
        row
        for first in range(0, question.contexts, BLOCK)
        for row in sample_contexts(
            teacher,
            question.rule,
            range(first, min(first + BLOCK, question.contexts)),
            drawn,
            max_rows=MAX_ROWS,
            seed=question.seed,
            stage=STAGE,
        )
    ]
    if sentences == 0:
        return [(row.context, row.prefix, "") for row in rows]
    whole = [(row.context, row.prefix, row.text) for row in rows if row.text]
    if not whole:
        raise TextError(
            f"{teacher.name}: wrote no context of {sentences} well-formed sentences in {ATTEMPTS} attempts at {question.contexts}; ask for "
            "shorter ones (--sentences), another prefix (--prefix), or more (--contexts)"
        )
    return whole


def opening(text: str, sentences: int) -> str:
    """The first so many sentences of a context; none: the empty text."""
    return text[: first_sentence_end(text, sentences, final=True)].strip() if sentences else ""


def _measure(
    teacher: Teacher,
    judge: EntailmentJudge,
    setting: Setting,
    question: Question,
    contexts: Sequence[tuple[int, str, str]],
    observer: Observer | None,
) -> Proximity:
    nucleus = Nucleus(top_p=setting.top_p, temperature=setting.temperature, max_new_tokens=question.max_new_tokens)
    measured = []
    for first in range(0, len(contexts), BLOCK):
        block = [(number, prefix, opening(text, setting.sentences)) for number, prefix, text in contexts[first : first + BLOCK]]
        pools = sample_pools(teacher, block, samples=question.samples, nucleus=nucleus, max_rows=MAX_ROWS, seed=question.seed, stage=STAGE)
        measured += measure_pools(pools, judge, question)
        if observer is not None:
            observer(setting, len(measured), len(contexts))
    return _summed(setting, question, measured)


@dataclass(frozen=True, slots=True)
class PoolProximity:
    """What one context's sentences gave; fields as in `Proximity`."""

    well_formed: int
    pairs: int
    entailing: tuple[tuple[str, str], ...]
    kept: Mapping[str, int]
    tokens: int


def measure_pools(pools: Sequence[PoolRow], judge: EntailmentJudge, question: Question) -> list[PoolProximity]:
    """Judge all ordered pairs of every pool's different sentences, in one call, and run the tasks' filters on the answers."""
    # 1. all pairs
    candidates = [Candidates.from_pool(pool.context, pool.sentences, pool.refusals) for pool in pools]
    starts = np.cumsum([0, *(len(each.sentences) for each in candidates)])
    asked = [each.pairs + start for each, start in zip(candidates, starts[:-1], strict=True)]
    texts = [sentence for each in candidates for sentence in each.sentences]
    p = judge.entailment(texts, np.concatenate(asked)) if texts else np.empty(0, dtype=np.float32)
    answers = np.split(p, np.cumsum([len(each) for each in candidates])[:-1])

    # 2. what the filters keep of them
    known = {each.context: Judged(each.pairs[:, 0], each.pairs[:, 1], answer) for each, answer in zip(candidates, answers, strict=True)}
    outcomes = run_block(candidates, {task.name: task.filters for task in question.tasks}, lambda: judge, known)
    return [
        PoolProximity(
            well_formed=sum(refusal is None for refusal in pool.refusals),
            pairs=len(each),
            entailing=tuple((each.sentences[x], each.sentences[y]) for x, y in each.pairs[answer >= question.entailment]),
            kept={task: len(of_task.kept) for task, of_task in outcome.tasks.items()},
            tokens=pool.token_count,
        )
        for pool, each, answer, outcome in zip(pools, candidates, answers, outcomes, strict=True)
    ]


def _summed(setting: Setting, question: Question, pools: Sequence[PoolProximity]) -> Proximity:
    tokens = sum(pool.tokens for pool in pools)
    if not tokens:
        raise TextError(
            f"{setting}: the teacher has no room for {question.max_new_tokens} tokens after any of its contexts; "
            "ask for shorter ones (--sentences)"
        )
    entailing = [pair for pool in pools for pair in pool.entailing]
    kept = [sum(pool.kept.values()) for pool in pools]
    rate = estimate(mean_of("kept", kept, weights=[pool.tokens / 1000 for pool in pools]), seed=question.seed)
    return Proximity(
        setting=setting,
        contexts=len(pools),
        sentences=len(pools) * question.samples,
        well_formed=sum(pool.well_formed for pool in pools) / (len(pools) * question.samples),
        pairs=sum(pool.pairs for pool in pools),
        entailing=len(entailing),
        self_bleu=bleu_scorer().corpus_score([y for _, y in entailing], [[x for x, _ in entailing]]).score if entailing else None,
        kept={task.name: sum(pool.kept[task.name] for pool in pools) for task in question.tasks},
        tokens=tokens,
        kept_per_1000_tokens=rate.value,
        low=rate.low,
        high=rate.high,
    )
