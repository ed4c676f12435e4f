"""What is measured: anything that answers a benchmark, and the baselines that keep one honest.

On Turk, copying the input beats every model in ROUGE, and so does cutting it off after 79% of its words; a table without these
rows misleads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from impdistill.errors import BenchmarkError
from impdistill.evaluate.answers import Answers
from impdistill.evaluate.benchmarks import Benchmark
from impdistill.evaluate.text_files import read_lines


class System(Protocol):
    """Anything with a name that answers a benchmark."""

    @property
    def name(self) -> str:
        """As printed."""
        ...

    def answer(self, benchmark: Benchmark) -> Answers:
        """One output per item; the references to score it against may be fewer than the benchmark's (see `Human`)."""
        ...


class Rewriter(Protocol):
    """A model that rewrites texts in the manner of a group; `impdistill.models.student.Student` is one."""

    def rewrite(self, texts: Sequence[str], group: str) -> list[str]:
        """One rewriting per text, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Copy:
    """The source itself."""

    name: str = "copy"

    def answer(self, benchmark: Benchmark) -> Answers:
        """Outputs = sources."""
        return Answers(benchmark.sources, benchmark.sources, benchmark.references)


@dataclass(frozen=True, slots=True)
class Lead:
    """The first words of the source.

    Attributes:
        share: of the words between white space, 0-1; the number of words kept is rounded to the nearest (halves up), at least
            1.
    """

    share: float = 0.79

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise BenchmarkError(f"lead:{self.share:g}: the share of words kept must lie above 0 and at most at 1, e.g. lead:0.79")

    @property
    def name(self) -> str:
        """E.g. "lead:0.79"."""
        return f"lead:{self.share:.12g}"

    def answer(self, benchmark: Benchmark) -> Answers:
        """Sources cut short."""
        outputs = []
        for source in benchmark.sources:
            kept = source.split()
            outputs.append(" ".join(kept[: max(1, math.floor(self.share * len(kept) + 0.5))]))
        return Answers(benchmark.sources, tuple(outputs), benchmark.references)


@dataclass(frozen=True, slots=True)
class Human:
    """One reference against the others: what a person scores.

    Attributes:
        index: which reference, from 0.
    """

    index: int = 0

    @property
    def name(self) -> str:
        """E.g. "human" for the first reference, "human:3" for the fourth."""
        return f"human:{self.index}" if self.index else "human"

    def can_answer(self, benchmark: Benchmark) -> bool:
        """Whether every item has the reference, and another one to score it against."""
        return all(len(references) > max(1, self.index) for references in benchmark.references)

    def answer(self, benchmark: Benchmark) -> Answers:
        """The chosen references as outputs, scored against the rest.

        Raises:
            BenchmarkError: an item has no such reference, or no other one.
        """
        outputs, others = [], []
        for item, references in enumerate(benchmark.references):
            if len(references) <= max(1, self.index):
                raise BenchmarkError(
                    f"{self.name} on {benchmark.name}: item {item} has {len(references)} reference(s); "
                    f"{max(2, self.index + 1)} are needed to score one against others"
                )
            outputs.append(references[self.index])
            others.append(references[: self.index] + references[self.index + 1 :])
        return Answers(benchmark.sources, tuple(outputs), tuple(others))


@dataclass(frozen=True, slots=True)
class OutputsFile:
    """Outputs of any other program: a text file, one a line in the benchmark's order; an empty line is an empty output.

    It has a line for every record of the benchmark's file, or only for those that are no left-out ones: both are understood.
    """

    path: Path

    @property
    def name(self) -> str:
        """As given: two files of the same name in two folders are two systems."""
        return f"outputs:{self.path}"

    def answer(self, benchmark: Benchmark) -> Answers:
        """The file's lines.

        Raises:
            BenchmarkError: the file cannot be read or has a number of lines that goes with neither the records nor the items.
        """
        outputs = read_lines(self.path)
        aligned = {len(benchmark): range(len(benchmark)), **benchmark.lines}
        if len(outputs) not in aligned:
            others = ", ".join(str(count) for count in sorted(aligned) if count != len(benchmark))
            hint = f"; {others} lines would do as well, with records that were left out" if others else ""
            raise BenchmarkError(f"{self.path}: {len(outputs)} outputs for the {len(benchmark)} items of {benchmark.name}{hint}")
        return Answers(benchmark.sources, tuple(outputs[line] for line in aligned[len(outputs)]), benchmark.references)


@dataclass(frozen=True, slots=True)
class Rewriting:
    """A model's rewritings.

    Attributes:
        name: as printed.
        rewriter: the model.
        group: what it is asked for, e.g. "long-abstractive".
        version: a hash of the model's files, by which cards find its figures; None: not known.
    """

    name: str
    rewriter: Rewriter
    group: str
    version: str | None = None

    def answer(self, benchmark: Benchmark) -> Answers:
        """One rewriting per source.

        Raises:
            BenchmarkError: the model returned another number of texts.
        """
        outputs = self.rewriter.rewrite(benchmark.sources, self.group)
        if len(outputs) != len(benchmark):
            raise BenchmarkError(f"{self.name} returned {len(outputs)} texts for {len(benchmark)} sources of {benchmark.name}")
        return Answers(benchmark.sources, tuple(outputs), benchmark.references)


def baseline(spec: str) -> System | None:
    """The system behind `copy`, `lead:SHARE`, `human`, `human:INDEX` or `outputs:FILE`; None for any other text (a run, a model).

    Raises:
        BenchmarkError: a share or index that is not a number in range.
    """
    kind, _, value = spec.partition(":")
    if spec == "copy":
        return Copy()
    if kind == "outputs":
        return OutputsFile(Path(value))
    if kind == "lead" or (kind == "human" and value):
        try:
            return Lead(float(value)) if kind == "lead" else Human(_index(value))
        except ValueError as error:
            raise BenchmarkError(f"{spec}: {value!r} is not a number; write lead:0.79 or human:0") from error
    return Human() if spec == "human" else None


def _index(value: str) -> int:
    index = int(value)
    if index < 0:
        raise BenchmarkError(f"human:{value}: references are counted from 0")
    return index
