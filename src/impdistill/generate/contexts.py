"""Left contexts: whole sentences that a teacher writes after a domain prefix (Jung et al. 2023, section 2.1.1 and appendix A.1).

A context that is not made of whole, well-formed sentences is refused with a reason and drawn again. A block of numbers in, rows out;
knows nothing of files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from impdistill.decode.nucleus import Nucleus, sample_continuations
from impdistill.decode.randomness import uniforms
from impdistill.generate.prefixes import prefixes
from impdistill.models.teacher import Teacher
from impdistill.text.sentences import split_sentences
from impdistill.text.wellformed import refusal, without_lone_quote

ATTEMPTS_AT_ONCE = 4
"""Attempts of a context that are sampled together. A block has few contexts, and a step costs nearly the same for more rows."""


@dataclass(frozen=True, slots=True)
class ContextSettings:
    """How contexts are drawn.

    Attributes:
        min_sentences, max_sentences: a context's number of sentences is uniform between them, both included.
        attempts: how often a context is drawn before it is given up.
        nucleus: how its tokens are sampled; `max_new_tokens` bounds the whole context.
    """

    min_sentences: int
    max_sentences: int
    attempts: int
    nucleus: Nucleus


@dataclass(frozen=True, slots=True)
class ContextRow:
    """One context.

    Attributes:
        context: its number.
        prefix: what the teacher read before it; not part of it.
        text: the context; empty if every attempt was refused.
        sentences: how many it has, or was to have.
        attempts: how many were looked at: the accepted one and those refused before it.
        refused: reason -> attempts refused for it.
        token_count: tokens sampled for it, those of attempts that were not needed included.
    """

    context: int
    prefix: str
    text: str
    sentences: int
    attempts: int
    refused: Mapping[str, int]
    token_count: int


def sample_contexts(
    teacher: Teacher, rule: str, numbers: Sequence[int], settings: ContextSettings, *, max_rows: int, seed: int, stage: str
) -> list[ContextRow]:
    """The contexts of a block, in the order of their numbers.

    A context is the first of its attempts that is not refused. Attempts are sampled a few at a time, for all contexts that still have
    none, so the shapes of the batches follow from the block alone.

    Args:
        rule: of the domain prefix, see `impdistill.generate.prefixes`.
        numbers: the contexts of the block.
        max_rows, seed, stage: as for `sample_continuations`.
    """
    prefix = dict(zip(numbers, prefixes(rule, numbers, seed=seed, stage=stage), strict=True))
    wanted = dict(zip(numbers, _sentence_counts(numbers, settings, seed, stage), strict=True))
    refused: dict[int, Counter[str]] = {number: Counter() for number in numbers}
    accepted: dict[int, str] = {}
    token_counts: Counter[int] = Counter()
    for first in range(0, settings.attempts, ATTEMPTS_AT_ONCE):
        waiting = [number for number in numbers if number not in accepted]
        if not waiting:
            break
        found = sample_continuations(
            teacher,
            [prefix[number] for number in waiting],
            keys=[(number, first // ATTEMPTS_AT_ONCE) for number in waiting],
            samples=min(ATTEMPTS_AT_ONCE, settings.attempts - first),
            sentences=[wanted[number] for number in waiting],
            nucleus=settings.nucleus,
            seed=seed,
            stage=stage,
            max_rows=max_rows,
        )
        for number, attempts in zip(waiting, found, strict=True):
            token_counts[number] += sum(attempt.token_count for attempt in attempts)
            for attempt in attempts:
                reason = context_refusal(attempt.text) if attempt.finished else "unfinished"
                if reason is None:
                    accepted[number] = attempt.text
                    break
                refused[number][reason] += 1
    return [
        ContextRow(
            context=number,
            prefix=prefix[number],
            text=accepted.get(number, ""),
            sentences=wanted[number],
            attempts=refused[number].total() + (number in accepted),
            refused=refused[number],
            token_count=token_counts[number],
        )
        for number in numbers
    ]


def context_refusal(text: str) -> str | None:
    """Why a text is no context: what is wrong with its first sentence that is refused, `repetition` if one comes twice, or None.

    A quotation may span its sentences, or go on after it.
    """
    sentences = split_sentences(text)
    if len({sentence.casefold() for sentence in sentences}) < len(sentences):
        return "repetition"
    return next((reason for sentence in sentences if (reason := refusal(without_lone_quote(sentence))) is not None), None)


def _sentence_counts(numbers: Sequence[int], settings: ContextSettings, seed: int, stage: str) -> list[int]:
    contexts = torch.tensor(numbers, dtype=torch.int64)
    draws = uniforms(seed, f"{stage}/sentences", contexts, torch.zeros_like(contexts), 0)
    spread = settings.max_sentences - settings.min_sentences + 1
    return [settings.min_sentences + int(draw * spread) for draw in draws.tolist()]
