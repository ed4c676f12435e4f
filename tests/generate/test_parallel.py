"""Pools: k2 sentences a context, each well formed or refused with its reason."""

from __future__ import annotations

import pytest

from impdistill.decode.nucleus import Continuation, Nucleus, sample_continuations
from impdistill.generate.parallel import TOO_LONG, UNLIKELY, PoolRow, _pool, sample_pools
from impdistill.models.teacher import Teacher
from impdistill.text.wellformed import REASONS, refusal
from tests.decode.toy_teachers import toy_teacher

NUCLEUS = Nucleus(top_p=0.9, max_new_tokens=24)


def sampled(teacher: Teacher, contexts: list[tuple[int, str, str]], samples: int = 20, nucleus: Nucleus = NUCLEUS) -> list[PoolRow]:
    return sample_pools(teacher, contexts, samples=samples, nucleus=nucleus, max_rows=800, seed=3, stage="pools")


def test_a_real_teachers_pool(small_models: dict[str, str]) -> None:
    teacher = Teacher.load(small_models["teacher"], device="cpu", dtype="float32")
    contexts = [(7, "<|endoftext|>News:", "The senator spoke today."), (9, "<|endoftext|>Reddit:", "I bought a new phone last week.")]
    pools = sampled(teacher, contexts, samples=24, nucleus=Nucleus(top_p=0.7, max_new_tokens=48))
    assert [pool.context for pool in pools] == [7, 9]
    for pool in pools:
        assert len(pool.sentences) == len(pool.refusals) == 24
        assert pool.token_count > 24 * 5
        good = [sentence for sentence, reason in zip(pool.sentences, pool.refusals, strict=True) if reason is None]
        assert len(good) >= 12
        assert all(refusal(sentence) is None for sentence in good)
        assert {reason for reason in pool.refusals if reason} <= set(REASONS)


def test_sentences_are_the_continuations_of_prefix_and_context() -> None:
    teacher = toy_teacher()
    (pool,) = sampled(teacher, [(5, "The", "cat sat.")])
    ((*continuations,),) = sample_continuations(
        teacher, ["The cat sat."], keys=[(5, 0)], samples=20, sentences=[1], nucleus=NUCLEUS, seed=3, stage="pools"
    )
    assert pool.token_count == sum(continuation.token_count for continuation in continuations)
    for sentence, reason, continuation in zip(pool.sentences, pool.refusals, continuations, strict=True):
        assert sentence == continuation.text.strip('"').strip() or sentence == continuation.text
        assert continuation.finished or reason == "unfinished"


def test_a_context_without_room_is_refused_and_counted() -> None:
    first, second, third = sampled(toy_teacher(), [(1, "", "The cat sat."), (2, "", "cat " * 41), (3, "A", "dog ran.")])
    assert (second.context, set(second.sentences), set(second.refusals), second.token_count) == (2, {""}, {TOO_LONG}, 0)
    assert len(second.refusals) == 20
    assert TOO_LONG not in first.refusals + third.refusals


def test_refusals_of_a_pool() -> None:
    texts = {
        "The Senate met on Monday.": "repetition",
        "It passed the bill last week.": None,
        "It passed the bill last": "unfinished",
        '"It passed the bill last week.': None,
        'It passed the bill," he said last week.': "quotes",
    }
    finished = [Continuation(text, 8, text.endswith("."), -1.0) for text in texts]
    pool = _pool(4, "The senate met on Monday. They spoke.", finished)
    assert pool.refusals == tuple(texts.values())
    assert pool.sentences[3] == "It passed the bill last week."
    assert pool.token_count == 40


def test_what_the_teacher_finds_unlikely_is_refused(small_models: dict[str, str]) -> None:
    teacher = Teacher.load(small_models["teacher"], device="cpu", dtype="float32")
    context, run = "<|endoftext|>News: The senator spoke today.", {"nucleus": NUCLEUS, "seed": 3, "stage": "pools"}
    (every,) = sampled(teacher, [(7, "", context)])
    (found,) = sample_continuations(teacher, [context], keys=[(7, 0)], samples=20, sentences=[1], **run)
    least = sorted(each.log_probability for each in found)[10] + 1e-4
    (pool,) = sample_pools(teacher, [(7, "", context)], samples=20, max_rows=800, min_log_probability=least, **run)
    assert pool.sentences == every.sentences
    unlikely = [each.log_probability < least for each in found]
    assert pool.refusals == tuple(form or (UNLIKELY if low else None) for form, low in zip(every.refusals, unlikely, strict=True))
    assert {UNLIKELY, None} <= set(pool.refusals)


@pytest.mark.parametrize("samples", [1, 3])
def test_few_sentences_serve_as_sources(samples: int) -> None:
    pools = sampled(toy_teacher(), [(1, "", "The cat sat."), (2, "", "A dog ran.")], samples=samples)
    assert [len(pool.sentences) for pool in pools] == [samples, samples]
