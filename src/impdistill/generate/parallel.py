"""Parallel generation: a pool of sentences sampled after each context (Jung et al. 2023, section 2.1.1, equation 2).

The source sentences of self-distillation are a small pool of the same kind. A block of contexts in, rows out; knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from impdistill.decode.nucleus import Continuation, Nucleus, sample_continuations
from impdistill.generate.prefixes import joined
from impdistill.models.teacher import Teacher
from impdistill.text.sentences import split_sentences
from impdistill.text.wellformed import refusal, without_lone_quote

TOO_LONG = "context-too-long"
"""Refusal of all sentences of a context after which the model has no room for them."""
UNLIKELY = "unlikely"
"""Refusal of a sentence that the teacher itself finds too unlikely after its context."""


@dataclass(frozen=True, slots=True)
class PoolRow:
    """The pool of one context.

    Attributes:
        context: its number.
        sentences: k2 texts, each cut at its first sentence end, repetitions included; a quotation mark at an edge whose partner
            stands in another sentence is left out.
        refusals: for each why it is no sentence to work with, or None.
        token_count: tokens sampled for all of them.
    """

    context: int
    sentences: tuple[str, ...]
    refusals: tuple[str | None, ...]
    token_count: int


def sample_pools(
    teacher: Teacher,
    contexts: Sequence[tuple[int, str, str]],
    *,
    samples: int,
    nucleus: Nucleus,
    max_rows: int,
    seed: int,
    stage: str,
    min_log_probability: float | None = None,
) -> list[PoolRow]:
    """The pools of a block of contexts, in their order.

    Args:
        teacher: the model.
        contexts: (number, domain prefix, text) of each.
        samples: k2, sentences a context.
        nucleus, max_rows, seed, stage: as for `sample_continuations`.
        min_log_probability: least mean log-probability of a sentence's tokens, see `Continuation`; None: any.

    Returns:
        One row a context. Refused are, beside what `impdistill.text.wellformed` refuses, sentences that the context has already
        (`repetition`), and those below `min_log_probability` (`unlikely`).
    """
    openings = {number: joined(prefix, text) for number, prefix, text in contexts}
    fitting = [(number, text) for number, _, text in contexts if teacher.has_room(openings[number], nucleus.max_new_tokens)]
    found = sample_continuations(
        teacher,
        [openings[number] for number, _ in fitting],
        keys=[(number, 0) for number, _ in fitting],
        samples=samples,
        sentences=[1] * len(fitting),
        nucleus=nucleus,
        seed=seed,
        stage=stage,
        max_rows=max_rows,
    )
    pools = {number: _pool(number, text, pool, min_log_probability) for (number, text), pool in zip(fitting, found, strict=True)}
    without_room = ("",) * samples, (TOO_LONG,) * samples, 0
    return [pools[number] if number in pools else PoolRow(number, *without_room) for number, _, _ in contexts]


def _pool(number: int, context: str, continuations: Sequence[Continuation], min_log_probability: float | None = None) -> PoolRow:
    said = {sentence.casefold() for sentence in split_sentences(context)}
    sentences = tuple(without_lone_quote(continuation.text) for continuation in continuations)
    refusals: list[str | None] = []
    for sentence, continuation in zip(sentences, continuations, strict=True):
        if not continuation.finished:
            refusals.append("unfinished")
        else:
            unlikely = min_log_probability is not None and continuation.log_probability < min_log_probability
            form = "repetition" if sentence.casefold() in said else refusal(sentence)
            refusals.append(UNLIKELY if form is None and unlikely else form)
    return PoolRow(number, sentences, tuple(refusals), sum(continuation.token_count for continuation in continuations))
