"""Sequential generation: a sentence x after a context, its keywords, and the sentences y that NeuroLogic finds after the same context
with those keywords in them (Jung et al. 2023, section 2.1.1, equation 1). x and y say much the same, and both are the teacher's.

A block of contexts in, rows out. Knows nothing of files, tasks or filters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from impdistill.decode.finished import Constrained
from impdistill.decode.neurologic import NeuroLogic, decode_constrained
from impdistill.decode.nucleus import Nucleus
from impdistill.generate.keywords import Keyword, KeywordExtractor, constraints_of, forbidden_forms
from impdistill.generate.parallel import TOO_LONG, UNLIKELY, sample_pools
from impdistill.generate.prefixes import joined
from impdistill.models.embedder import Embedder
from impdistill.models.memory import in_halving_batches
from impdistill.models.teacher import Teacher
from impdistill.text.sentences import split_sentences
from impdistill.text.wellformed import refusal, without_lone_quote

NO_KEYWORDS = "no-keywords"
"""Refusal of a source without a content word."""
FORBIDDEN = "forbidden"
"""Refusal of an output with a forbidden word."""


@dataclass(frozen=True, slots=True)
class SequentialSettings:
    """How pairs are generated.

    Attributes:
        nucleus: how x is sampled.
        neurologic: how y is searched for.
        sources_per_context: x's after a context.
        keywords: of an x, at most.
        outputs: k1, y's of an x, at most.
        forbidden: words and phrases that no y may hold, as written here or with a capital.
        min_log_probability: least mean log-probability of the tokens of an x or y, by the teacher; None: any.
    """

    nucleus: Nucleus
    neurologic: NeuroLogic
    sources_per_context: int = 1
    keywords: int = 5
    outputs: int = 10
    forbidden: tuple[str, ...] = ()
    min_log_probability: float | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """A y.

    Attributes:
        text: one sentence, or what came instead of one.
        refusal: why it is no sentence, or None.
        clauses_met: how many of x's keywords it has.
        clauses: how many were asked for.
    """

    text: str
    refusal: str | None
    clauses_met: int
    clauses: int


@dataclass(frozen=True, slots=True)
class SequentialRow:
    """One x and its y's.

    Attributes:
        context: number of the context.
        source: x.
        source_refusal: why x is no sentence to work with, or None; then there are no outputs.
        keywords: of x, as KeyBERT names them, most important first.
        outputs: best first, refused ones too.
        token_count: tokens of all that was written for it, as far as it is no lost hypothesis of the search. Those sampled for all x's
            of a context count with the first.
    """

    context: int
    source: str
    source_refusal: str | None
    keywords: tuple[str, ...] = ()
    outputs: tuple[Output, ...] = ()
    token_count: int = 0


def sample_sequential(
    teacher: Teacher,
    embedder: Embedder,
    contexts: Sequence[tuple[int, str, str]],
    settings: SequentialSettings,
    *,
    max_rows: int,
    seed: int,
    stage: str,
) -> list[SequentialRow]:
    """The candidates of a block of contexts.

    Args:
        teacher: of x and y.
        embedder: finds the keywords of x.
        contexts: (number, domain prefix, text) of each.
        settings: of the generation.
        max_rows, seed, stage: as for `sample_continuations`.

    Returns:
        `sources_per_context` rows a context, in order. Refused are, beside what `impdistill.text.wellformed` refuses, sentences that the
        context has already (`repetition`), and those below `min_log_probability` (`unlikely`). A y that is its x is not counted among
        the outputs.
    """
    # 1. Sources: a small pool after each context.
    pools = sample_pools(
        teacher,
        contexts,
        samples=settings.sources_per_context,
        nucleus=settings.nucleus,
        max_rows=max_rows,
        seed=seed,
        stage=stage,
        min_log_probability=settings.min_log_probability,
    )
    sources = [
        _Source(pool.context, text, joined(prefix, context), context, reason, 0 if place else pool.token_count)
        for (_, prefix, context), pool in zip(contexts, pools, strict=True)
        for place, (text, reason) in enumerate(zip(pool.sentences, pool.refusals, strict=True))
    ]
    for source in sources:
        if source.refusal is None and not teacher.has_room(source.prompt, settings.neurologic.max_new_tokens):
            source.refusal = TOO_LONG

    # 2. Their keywords, those of the whole block at once.
    accepted = [source for source in sources if source.refusal is None]
    extractor = KeywordExtractor(embedder, most=settings.keywords)
    banned = {phrase.casefold() for phrase in settings.forbidden}
    for source, keywords in zip(accepted, extractor.keywords([source.text for source in accepted]), strict=True):
        source.keywords = tuple(word for word in keywords if word.text.casefold() not in banned)
        source.refusal = None if source.keywords else NO_KEYWORDS

    # 3. Outputs with these keywords, for as many sources at once as there are rows for.
    asked = [source for source in accepted if source.refusal is None]
    at_once = max(1, max_rows // settings.neurologic.beam_size)
    forms = forbidden_forms(settings.forbidden)

    def decode(batch: Sequence[_Source]) -> None:
        found = decode_constrained(
            teacher,
            [source.prompt for source in batch],
            [constraints_of(source.keywords, settings.forbidden) for source in batch],
            settings.neurologic,
            returned=settings.outputs + 1,  # one may be x
        )
        for source, texts in zip(batch, found, strict=True):
            source.outputs = tuple(_outputs(source, texts, forms, settings.min_log_probability)[: settings.outputs])
            source.token_count += sum(len(text.token_ids) for text in texts)

    in_halving_batches(asked, at_once, decode, teacher.notes, "constrained decoding")
    return [source.row() for source in sources]


@dataclass(slots=True)
class _Source:
    """An x on its way to a row."""

    number: int
    text: str
    prompt: str
    context: str
    refusal: str | None
    token_count: int
    keywords: tuple[Keyword, ...] = ()
    outputs: tuple[Output, ...] = ()

    def row(self) -> SequentialRow:
        keywords = tuple(word.text for word in self.keywords)
        return SequentialRow(self.number, self.text, self.refusal, keywords, self.outputs, self.token_count)


def _outputs(source: _Source, texts: Sequence[Constrained], forbidden: Sequence[str], min_log_probability: float | None) -> list[Output]:
    said = {sentence.casefold() for sentence in split_sentences(source.context)}
    outputs = []
    for found in texts:
        text = without_lone_quote(found.text)
        if not found.finished:
            reason: str | None = "unfinished"
        elif any(re.search(rf"(?<!\w){re.escape(form)}(?!\w)", text) for form in forbidden):
            reason = FORBIDDEN  # spelled in other tokens than the search forbids
        else:
            reason = "repetition" if text.casefold() in said else refusal(text)
            if reason is None and min_log_probability is not None and found.log_prob / len(found.token_ids) < min_log_probability:
                reason = UNLIKELY
        if text.casefold() != source.text.casefold():
            outputs.append(Output(text, reason, found.clauses_met, found.clauses))
    return outputs
