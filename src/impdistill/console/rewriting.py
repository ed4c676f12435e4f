"""Rewriting from the command line: which student MODEL means, and lines in and out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from impdistill.best_of import BestOf, check_borders
from impdistill.console.systems import STARTER, STARTERS, known_groups
from impdistill.errors import TextError
from impdistill.filters import Scores
from impdistill.models.judge import Judge
from impdistill.models.student import Decoding, Student
from impdistill.outcome import Run
from impdistill.recipe import Recipe
from impdistill.run import RunDirectory

LINES_AT_ONCE = 256


def load_student(model: str, round_: int | None, device: str) -> Student:
    """A run's student, or one by folder, hub name or `starter`."""
    if RunDirectory.exists(Path(model)):
        return Run.open(model).student(round_, device=device)
    return Student.load("starter:student" if model == STARTER else model, device=device)


def sentence_argument(name: str, text: str) -> str:
    """A sentence given on the command line, as it is.

    Raises:
        TextError: it is empty, or not UTF-8 (Python hands such bytes on as lone surrogates).
    """
    if not text.strip():
        raise TextError(f"{name} is empty; give a sentence")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TextError(f"{name} is not UTF-8 (character {error.start}); convert it first, e.g. iconv -f latin1 -t utf-8") from error
    return text


def lines_of(content: bytes) -> list[str]:
    """The lines of standard input. Only a line feed ends one: other characters that `str.splitlines` cuts at, such as U+2028, stand
    within sentences of the web.

    Raises:
        TextError: not UTF-8, or a line is empty (one line out for each line in could not be kept).
    """
    try:
        lines = [line.removesuffix("\r") for line in content.decode("utf-8-sig").removesuffix("\n").split("\n")]
    except UnicodeDecodeError as error:
        raise TextError(f"standard input is not UTF-8 (byte {error.start}); convert it first, e.g. iconv -f latin1 -t utf-8") from error
    if lines == [""]:
        raise TextError("standard input is empty; give one sentence a line")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise TextError(f"line {number} of standard input is empty; every line must hold a sentence")
    return lines


def rewritten(student: Student, texts: Sequence[str], group: str, beams: int, as_json: bool) -> Iterator[str]:
    """One output line for each text, in order: the rewrite, or a JSON object with its scores.

    Raises:
        TextError: a text is over the student's limit; nothing has been rewritten then.
    """
    student.check(texts, group)
    decoding = Decoding(beams=beams)
    for start in range(0, len(texts), LINES_AT_ONCE):
        part = texts[start : start + LINES_AT_ONCE]
        outputs = student.rewrite(part, group, decoding=decoding)
        if not as_json:
            yield from outputs
            continue
        log_probs = student.log_prob(part, outputs, group)
        for text, output, log_prob in zip(part, outputs, log_probs, strict=True):
            row = {"text": text, "group": group, "output": output, **scores(text, output), "log_prob": round(log_prob, 4)}
            yield json.dumps(row, ensure_ascii=False)


def best_rewritten(
    model: str, round_: int | None, judge: str, device: str, texts: Sequence[str], group: str, candidates: int, as_json: bool
) -> Iterator[tuple[str, bool]]:
    """As `rewritten`, the best of so many candidates by a judge; beside each line whether it is faithful and in the group.

    Raises:
        ModelError: the borders of the student's groups are not known.
    """
    student = load_student(model, round_, device)
    student.check(texts, group)
    recipe = Run.open(model).recipe if RunDirectory.exists(Path(model)) else Recipe.load(STARTER) if model in STARTERS else None
    groups = known_groups(student.format, recipe)
    check_borders(model, groups, [group])
    chooser = BestOf(student, Judge.load(judge, device=device), groups, candidates)
    at_once = max(1, LINES_AT_ONCE // candidates)
    for start in range(0, len(texts), at_once):
        part = texts[start : start + at_once]
        for text, chosen in zip(part, chooser.choose(part, group, first=start), strict=True):
            if not as_json:
                yield chosen.output, chosen.passes
                continue
            found = {"entailment": round(chosen.entailment, 4), "in_group": chosen.in_group, "passes": chosen.passes}
            found["candidates"] = chosen.candidates
            row = {"text": text, "group": group, "output": chosen.output, **scores(text, chosen.output), **found}
            yield json.dumps(row, ensure_ascii=False), chosen.passes


def scores(text: str, output: str) -> dict[str, float]:
    """How long the output is beside the text, and how near to it."""
    found, pair = Scores([text, output]), np.array([[0, 1]])
    named = {"compression": found.compression(pair), "rouge_l": found.rouge_l(pair), "density": found.density(pair)}
    return {name: round(float(values[0]), 4) for name, values in named.items()}
