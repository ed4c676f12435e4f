"""What SYSTEM means on the command line: a baseline, a student of a run or folder, or any model asked by a prompt."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from impdistill.best_of import BestOf, check_borders
from impdistill.errors import BenchmarkError, ModelError
from impdistill.evaluate import Benchmark, Rewriter, Rewriting, System, baseline, benchmark_of, read_benchmark
from impdistill.evaluate.benchmarks import told_apart
from impdistill.evaluate.fields import BY_NAME, Fields
from impdistill.evaluate.prompting import Prompt, PromptedModel, Prompting, output_label
from impdistill.evaluate.systems import Human
from impdistill.models.judge import Judge
from impdistill.models.student import Student
from impdistill.models.student_format import Borders, StudentFormat
from impdistill.recipe import Recipe
from impdistill.tasks import Group, tasks_of
from impdistill.transfer import run_and_round

PROMPTED = "prompt:"
BEST_OF = "best-of:"
STARTER = "starter"
STARTERS = (STARTER, "starter:student")
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
        systems: a row each: one, for a student one a group, for a prompted model one without and one with examples.
        rewriter, groups: for a student, what its controllability is measured on; None and empty otherwise.
        borderless: groups that were asked for and whose borders are not known, so that control cannot be measured.
        reader: for a student, how much it can read.
        version: for a student, the hash of its files.
    """

    spec: str
    systems: tuple[System, ...]
    rewriter: Rewriter | None = None
    groups: tuple[Group, ...] = ()
    borderless: tuple[str, ...] = ()
    reader: Reader | None = None
    version: str | None = None


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
        output_label: what stands before its output; None: by the instruction.
        device: auto, cpu, cuda, ...
        judge: chooses for best-of:N:STUDENT.
    """

    groups: tuple[str, ...] = ()
    instruction: str | None = None
    examples: tuple[tuple[str, str], ...] = ()
    output_label: str | None = None
    device: str = "auto"
    judge: str = "starter:judge"


def contender(spec: str, asking: Asking) -> Contender:
    """`copy`, `lead:0.79`, `human`, `outputs:FILE`, `prompt:MODEL`, `starter`, a student's folder, RUN or RUN@ROUND, `best-of:N:STUDENT`.

    Raises:
        BenchmarkError: a group that the student does not know, or a round that is no number.
        RunError, ModelError: no such run, round or model.
    """
    simple = baseline(spec)
    if simple is not None:
        return Contender(spec, (simple,))
    if spec.startswith(PROMPTED):
        return _prompted(spec.removeprefix(PROMPTED), asking)
    candidates, student = _best_of(spec)
    return _student(student, asking, candidates)


def with_baselines(specs: Sequence[str], benchmarks: Sequence[Benchmark]) -> list[str]:
    """`specs`, each once, and the rows that keep a table honest: copy, lead and, where every item of a benchmark has two references, a
    human one.

    Raises:
        BenchmarkError: as `baseline`.
    """
    wanted = list(ALWAYS)
    if any(Human().can_answer(benchmark) for benchmark in benchmarks):
        wanted.append("human")
    return [*dict.fromkeys([*map(usual_name, specs), *wanted])]


def usual_name(spec: str) -> str:
    """One name for a baseline that can be written in several ways, e.g. "human" for "human:0"; any other text as it is.

    Raises:
        BenchmarkError: as `baseline`.
    """
    simple = baseline(spec)
    return spec if simple is None else simple.name


def check_names(contenders: Sequence[Contender]) -> None:
    """Raise `BenchmarkError` where two rows would have one name."""
    counts = Counter(system.name for one in contenders for system in one.systems)
    for name, count in counts.items():
        if count > 1:
            raise BenchmarkError(f"{count} rows would be called {name!r}; give the systems paths that tell them apart")


def check_humans(contenders: Sequence[Contender], benchmarks: Sequence[Benchmark]) -> None:
    """Raise `BenchmarkError` for a human that no benchmark has references for."""
    for system in (system for one in contenders for system in one.systems if isinstance(system, Human)):
        if not any(system.can_answer(benchmark) for benchmark in benchmarks):
            system.answer(benchmarks[0])  # raises, naming the item


def rivals(contenders: Sequence[Contender], against: str) -> dict[str, str]:
    """Name of a row -> name of the row it is compared with.

    Args:
        against: a row's name or, of a system with a row for each group, its spec: each row is compared with that of its group.
    """
    rival = next(one for one in contenders if against in (one.spec, *(system.name for system in one.systems)))
    theirs = {system.name.removeprefix(rival.spec): system.name for system in rival.systems}
    only = against if against in theirs.values() else next(iter(theirs.values())) if len(theirs) == 1 else None
    found = {}
    for one in contenders:
        for system in one.systems:
            other = only or (None if one is rival else theirs.get(system.name.removeprefix(one.spec)))
            if other is not None and other != system.name:
                found[system.name] = other
    return found


def why_not(system: System, benchmark: Benchmark) -> str | None:
    """Why a system has no row for a benchmark; None where it can answer it."""
    if isinstance(system, Human) and not system.can_answer(benchmark):
        return "not every item has the references"
    if isinstance(system, Prompting) and not system.can_answer(benchmark):
        return "no prompt fits the model's positions"
    return None


def examples_for(shown: Benchmark, benchmarks: Sequence[Benchmark], shots: int) -> tuple[tuple[str, str], ...]:
    """The first `shots` pairs of a benchmark that are no items of those measured on.

    Raises:
        BenchmarkError: all of them are.
    """
    asked = {_same(source) for benchmark in benchmarks for source in benchmark.sources}
    pairs = zip(shown.sources, shown.references, strict=True)
    found = [(source, references[0]) for source, references in pairs if _same(source) not in asked]
    if not found:
        raise BenchmarkError(f"{shown.origin}: all its {len(shown)} items are items measured on; take --examples from a training set")
    return tuple(found[:shots])


def _same(text: str) -> str:
    return " ".join(text.lower().split())


def read_benchmarks(specs: Sequence[str], most_items: int | None, fields: Fields = BY_NAME) -> list[Benchmark]:
    """The benchmarks, by names that tell them apart; of each at most `most_items` items from its start, the rest counted as left out.

    Raises:
        BenchmarkError: as `read_benchmark`.
    """
    benchmarks = []
    for spec in specs:
        benchmark = read_benchmark(spec, fields)
        if most_items is not None and len(benchmark) > most_items:
            keep = [index < most_items for index in range(len(benchmark))]
            benchmark = _selected(benchmark, keep, f"after the first {most_items}")
        benchmarks.append(benchmark)
    return told_apart(benchmarks)


def readable(benchmark: Benchmark, readers: Sequence[Reader]) -> Benchmark:
    """The items that every student can read; the others are left out for all systems, and counted.

    Raises:
        BenchmarkError: none is left.
    """
    keep = [all(each) for each in zip([True] * len(benchmark), *(one.reads(benchmark.sources) for one in readers), strict=True)]
    return benchmark if all(keep) else _selected(benchmark, keep, "longer than a student reads")


def _selected(benchmark: Benchmark, keep: Sequence[bool], reason: str) -> Benchmark:
    rows = [index for index, kept in enumerate(keep) if kept]
    skipped = {**benchmark.skipped, reason: benchmark.skipped.get(reason, 0) + len(benchmark) - len(rows)}
    if not rows:
        return benchmark_of(benchmark.name, benchmark.origin, [], skipped)  # raises, naming what was left out
    lines = {count: tuple(places[row] for row in rows) for count, places in benchmark.lines.items()}
    return replace(
        benchmark,
        sources=tuple(benchmark.sources[row] for row in rows),
        references=tuple(benchmark.references[row] for row in rows),
        skipped=skipped,
        lines={**lines, len(rows): tuple(range(len(rows)))},
    )


def _best_of(spec: str) -> tuple[int, str]:
    """`best-of:16:starter` is (16, "starter"); of any other student it is 1."""
    if not spec.startswith(BEST_OF):
        return 1, spec
    number, _, student = spec.removeprefix(BEST_OF).partition(":")
    if not number.isdecimal() or int(number) < 2 or not student:
        raise BenchmarkError(f"{spec}: write {BEST_OF}16:starter, the number of candidates (at least 2) and a student")
    return int(number), student


def _student(spec: str, asking: Asking, candidates: int) -> Contender:
    found = run_and_round(spec)
    recipe: Recipe | None
    if found is not None:
        run, round_ = found
        recipe, student = run.recipe, run.student(round_, device=asking.device)
    else:
        recipe = Recipe.load(STARTER) if spec in STARTERS else None  # of a folder nothing is known but what it says itself
        student = Student.load("starter:student" if spec == STARTER else spec, device=asking.device)
    names = asking.groups or student.groups
    for name in names:
        if name not in student.groups:
            raise BenchmarkError(f"{spec}: this student knows no group {name!r}; it knows {', '.join(student.groups)}")
    known = known_groups(student.format, recipe)
    remembering = Remembering(student)
    version: str | None = student.fingerprint
    if candidates > 1:
        check_borders(spec, known, names)
        version = None  # its figures are not the student's own
        remembering = Remembering(BestOf(student, Judge.load(asking.judge, device=asking.device), known, candidates))
        spec = f"{BEST_OF}{candidates}:{spec}"
    return Contender(
        spec,
        tuple(Rewriting(f"{spec} {name}", remembering, name, version) for name in names),
        remembering,
        tuple(known[name] for name in names if name in known),
        tuple(name for name in names if name not in known),
        student_reader(student, names),
        version,
    )


def known_groups(spoken: StudentFormat, recipe: Recipe | None) -> dict[str, Group]:
    """The student's groups whose borders are known: from its folder, else from the recipe that made it.

    Groups of usual names may have any borders, so that names alone tell nothing.
    """
    by_recipe = {} if recipe is None else {group.name: group for task in tasks_of(recipe) for group in task.groups}
    by_folder = {
        name: Group(name, spoken.groups.get(name, ""), _interval(borders, "compression"), _interval(borders, "similarity"))
        for name, borders in spoken.borders.items()
    }
    return {**by_recipe, **by_folder}


def _interval(borders: Borders, axis: str) -> tuple[float, float]:
    low, high = borders[axis]
    return (0.0 if low is None else float(low), math.inf if high is None else float(high))


def readable_for(benchmarks: Sequence[Benchmark], students: Sequence[tuple[str, str]]) -> list[Benchmark]:
    """`readable` for students by (folder, group), of which one at a time is in memory."""
    for folder, group in students:
        reader = student_reader(Student.load(folder, device="cpu"), [group])
        benchmarks = [readable(one, [reader]) for one in benchmarks]
    return list(benchmarks)


def student_reader(student: Student, groups: Sequence[str]) -> Reader:
    """What a student asked for these groups can read."""
    return Reader(student.source_tokens, tuple(groups), student.format.max_source_tokens)


def _prompted(model: str, asking: Asking) -> Contender:
    if not model:
        raise ModelError(f"{PROMPTED}: name the model, e.g. {PROMPTED}gpt2 or {PROMPTED}./folder")
    instruction = Prompt().instruction if asking.instruction is None else asking.instruction
    label = output_label(instruction) if asking.output_label is None else asking.output_label
    prompts = {"zero-shot": Prompt(instruction, output_label=label)}
    if asking.examples:
        prompts[f"{len(asking.examples)}-shot"] = replace(prompts["zero-shot"], examples=asking.examples)
    asked = PromptedModel.load(model, prompts, device=asking.device)
    return Contender(f"{PROMPTED}{model}", tuple(Prompting(f"{PROMPTED}{model} {shots}", asked, shots) for shots in prompts))
