"""What SYSTEM means on the command line: a baseline, a student of a run or folder, or any model asked by a prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from impdistill.errors import BenchmarkError, ModelError
from impdistill.evaluate import Benchmark, Rewriter, Rewriting, System, baseline, benchmark_of, read_benchmark
from impdistill.models.student import Student
from impdistill.recipe import Recipe
from impdistill.tasks import Group, tasks_of
from impdistill.transfer import run_and_round

PROMPTED = "prompt:"
ALWAYS = ("copy", "lead:0.79")
"""Rows of every table: on a benchmark with references near its sources both beat most models."""


@dataclass(frozen=True, slots=True)
class Reader:
    """How much a student can read: `tokens(texts, group)` of any of its `groups` up to `most_tokens`."""

    tokens: Callable[[Sequence[str], str], list[int]]
    groups: tuple[str, ...]
    most_tokens: int

    def reads(self, texts: Sequence[str]) -> list[bool]:
        """Which of n texts it can read."""
        counts = [self.tokens(texts, group) for group in self.groups]
        return [max(each) <= self.most_tokens for each in zip(*counts, strict=True)]


@dataclass(frozen=True, slots=True)
class Contender:
    """What one SYSTEM of the command line stands for.

    Attributes:
        spec: as given.
        systems: a row each: one, or for a student one a group.
        rewriter, groups: for a student, what its controllability is measured on; None and empty otherwise.
        reader: for a student, how much it can read.
    """

    spec: str
    systems: tuple[System, ...]
    rewriter: Rewriter | None = None
    groups: tuple[Group, ...] = ()
    reader: Reader | None = None


@dataclass(slots=True)
class Remembering:
    """A rewriter that is asked only once for the same texts and group: scores and controllability share its outputs."""

    rewriter: Rewriter
    known: dict[tuple[str, tuple[str, ...]], list[str]] = field(default_factory=dict)

    def rewrite(self, texts: Sequence[str], group: str) -> list[str]:
        """As the rewriter's own."""
        asked = (group, tuple(texts))
        if asked not in self.known:
            self.known[asked] = self.rewriter.rewrite(texts, group)
        return self.known[asked]


@dataclass(frozen=True, slots=True)
class Asking:
    """How models are asked.

    Attributes:
        groups: what students are asked for; empty: all they know.
        instruction, examples: what stands before the question to a model without training; None: the default instruction.
        device: auto, cpu, cuda, ...
    """

    groups: tuple[str, ...] = ()
    instruction: str | None = None
    examples: tuple[tuple[str, str], ...] = ()
    device: str = "auto"


def contender(spec: str, asking: Asking) -> Contender:
    """`copy`, `lead:0.79`, `human`, `outputs:FILE`, `prompt:MODEL`, `starter`, a student's folder, RUN or RUN@ROUND.

    Raises:
        BenchmarkError: a group that the student does not know, or a round that is no number.
        RunError, ModelError: no such run, round or model.
    """
    simple = baseline(spec)
    if simple is not None:
        return Contender(spec, (simple,))
    if spec.startswith(PROMPTED):
        return _prompted(spec.removeprefix(PROMPTED), asking)
    return _student(spec, asking)


def with_baselines(specs: Sequence[str], benchmarks: Sequence[Benchmark]) -> list[str]:
    """`specs` and the rows that keep a table honest: copy, lead and, where every item has two references, a human one."""
    wanted = list(ALWAYS)
    if all(len(references) > 1 for benchmark in benchmarks for references in benchmark.references):
        wanted.append("human")
    return [*dict.fromkeys([*specs, *wanted])]


def read_benchmarks(specs: Sequence[str], most_items: int | None) -> list[Benchmark]:
    """The benchmarks; of each at most `most_items` items from its start, the rest counted as left out.

    Raises:
        BenchmarkError: as `read_benchmark`.
    """
    benchmarks = []
    for spec in specs:
        benchmark = read_benchmark(spec)
        if most_items is not None and len(benchmark) > most_items:
            keep = [index < most_items for index in range(len(benchmark))]
            benchmark = _selected(benchmark, keep, f"after the first {most_items}")
        benchmarks.append(benchmark)
    return benchmarks


def readable(benchmark: Benchmark, readers: Sequence[Reader]) -> Benchmark:
    """The items that every student can read; the others are left out for all systems, and counted.

    Raises:
        BenchmarkError: none is left.
    """
    keep = [all(each) for each in zip([True] * len(benchmark), *(one.reads(benchmark.sources) for one in readers), strict=True)]
    return benchmark if all(keep) else _selected(benchmark, keep, "longer than a student reads")


def _selected(benchmark: Benchmark, keep: Sequence[bool], reason: str) -> Benchmark:
    rows = [index for index, kept in enumerate(keep) if kept]
    skipped = {**benchmark.skipped, reason: len(benchmark) - len(rows)}
    if not rows:
        return benchmark_of(benchmark.name, benchmark.origin, [], skipped)  # raises, naming what was left out
    sources = tuple(benchmark.sources[row] for row in rows)
    return replace(benchmark, sources=sources, references=tuple(benchmark.references[row] for row in rows), skipped=skipped)


def _student(spec: str, asking: Asking) -> Contender:
    found = run_and_round(spec)
    if found is not None:
        run, round_ = found
        recipe, student = run.recipe, run.student(round_, device=asking.device)
    else:
        recipe = Recipe.load({"teachers": [{"domain": "any", "model": "any"}]})  # for its groups alone
        student = Student.load("starter:student" if spec == "starter" else spec, device=asking.device)
    borders = {group.name: group for task in tasks_of(recipe) for group in task.groups}
    names = asking.groups or student.groups
    for name in names:
        if name not in student.groups:
            raise BenchmarkError(f"{spec}: this student knows no group {name!r}; it knows {', '.join(student.groups)}")
    remembering = Remembering(student)
    return Contender(
        spec,
        tuple(Rewriting(f"{spec} {name}", remembering, name, student.fingerprint) for name in names),
        remembering,
        tuple(borders.get(name) or Group(name, student.format.groups[name]) for name in names),
        student_reader(student, names),
    )


def student_reader(student: Student, groups: Sequence[str]) -> Reader:
    """What a student asked for these groups can read."""
    return Reader(student.source_tokens, tuple(groups), student.format.max_source_tokens)


def _prompted(model: str, asking: Asking) -> Contender:
    from impdistill.evaluate.prompting import Prompt, PromptedModel

    if not model:
        raise ModelError(f"{PROMPTED}: name the model, e.g. {PROMPTED}gpt2 or {PROMPTED}./folder")
    prompt = Prompt(examples=asking.examples)
    if asking.instruction is not None:
        prompt = replace(prompt, instruction=asking.instruction)
    shots = f"{len(asking.examples)}-shot" if asking.examples else "zero-shot"
    asked = PromptedModel.load(model, {"prompt": prompt}, device=asking.device)
    return Contender(f"{PROMPTED}{model}", (Rewriting(f"{PROMPTED}{model} {shots}", asked, "prompt"),))
