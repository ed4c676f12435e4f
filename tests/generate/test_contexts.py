"""Contexts: whole sentences, as many as drawn, the first attempt that is not refused."""

from __future__ import annotations

from collections import Counter

import pytest

from impdistill.decode.nucleus import Nucleus, sample_continuations
from impdistill.generate.contexts import ContextRow, ContextSettings, context_refusal, sample_contexts
from impdistill.models.teacher import Teacher
from impdistill.text.sentences import split_sentences
from tests.decode.toy_teachers import toy_teacher


def sampled(teacher: Teacher, numbers: list[int], settings: ContextSettings, rule: str = "literal:The cat") -> list[ContextRow]:
    return sample_contexts(teacher, rule, numbers, settings, max_rows=800, seed=2, stage="contexts")


@pytest.fixture(scope="module")
def teacher(small_models: dict[str, str]) -> Teacher:
    return Teacher.load(small_models["teacher"], device="cpu", dtype="float32")


def test_contexts_of_a_real_teacher_are_whole_sentences(teacher: Teacher) -> None:
    settings = ContextSettings(min_sentences=1, max_sentences=3, attempts=4, nucleus=Nucleus(top_p=0.8, max_new_tokens=96))
    rows = sampled(teacher, list(range(6)), settings, rule="literal:<|endoftext|>Reddit:")
    assert sum(bool(row.text) for row in rows) >= 4
    for row in rows:
        assert row.prefix == "<|endoftext|>Reddit:"
        assert row.attempts == sum(row.refused.values()) + bool(row.text) <= 4
        if row.text:
            assert len(split_sentences(row.text)) == row.sentences
            assert context_refusal(row.text) is None


def test_every_attempt_is_accounted_for(teacher: Teacher) -> None:
    settings = ContextSettings(min_sentences=1, max_sentences=2, attempts=2, nucleus=Nucleus(top_p=0.9, max_new_tokens=40))
    rows = sampled(teacher, list(range(24)), settings, rule="literal:<|endoftext|>Biomedical:")
    assert any(row.text for row in rows)
    assert any(not row.text for row in rows)
    for row in rows:
        assert row.attempts == sum(row.refused.values()) + bool(row.text)
        assert row.text or row.attempts == 2


def test_the_accepted_attempt_is_the_first_good_one(teacher: Teacher) -> None:
    settings = ContextSettings(min_sentences=1, max_sentences=2, attempts=6, nucleus=Nucleus(top_p=0.9, max_new_tokens=20))
    for row in sampled(teacher, list(range(4)), settings, rule="literal:<|endoftext|>Biomedical:"):
        attempts = []
        for key, samples in ((0, 4), (1, 2)):
            ((*found,),) = sample_continuations(
                teacher,
                [row.prefix],
                keys=[(row.context, key)],
                samples=samples,
                sentences=[row.sentences],
                nucleus=settings.nucleus,
                seed=2,
                stage="contexts",
            )
            attempts += found
        reasons = [context_refusal(attempt.text) if attempt.finished else "unfinished" for attempt in attempts]
        good = [attempt.text for attempt, reason in zip(attempts, reasons, strict=True) if reason is None]
        assert row.text == (good[0] if good else "")
        assert row.refused == Counter(reasons[: row.attempts - bool(row.text)])
        needed = attempts[:4] if None in reasons[:4] else attempts  # four are sampled at once
        assert row.token_count == sum(attempt.token_count for attempt in needed)


def test_the_number_of_sentences_is_uniform_and_the_contexts_own() -> None:
    settings = ContextSettings(min_sentences=2, max_sentences=4, attempts=1, nucleus=Nucleus(top_p=0.9, max_new_tokens=1))
    rows = sampled(toy_teacher(), list(range(300)), settings)
    counts = Counter(row.sentences for row in rows)
    assert set(counts) == {2, 3, 4}
    assert min(counts.values()) > 75
    assert sampled(toy_teacher(), [17, 5], settings)[0].sentences == rows[17].sentences


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The senate met on Monday. It passed the bill.", None),
        ('"We are glad about this. It took us years," he said.', "quotes"),
        ('The senator spoke today. "We are very glad about it.', None),
        ("The senate met on Monday. The senate met on Monday.", "repetition"),
        ("The senate met on Monday. it passed the", "unfinished"),
        ("The senate met on Monday. Read it at http://example.org today.", "link"),
    ],
)
def test_what_is_no_context(text: str, reason: str | None) -> None:
    assert context_refusal(text) == reason
