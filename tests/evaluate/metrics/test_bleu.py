from __future__ import annotations

import numpy as np
import pytest
import sacrebleu
from sacrebleu.metrics.bleu import BLEU

from impdistill.errors import BenchmarkError
from impdistill.evaluate.answers import Answers
from impdistill.evaluate.metrics.bleu import bleu
from tests.evaluate.sentences import random_answers


def with_references(answers: Answers, count: int) -> Answers:
    return Answers(answers.sources, answers.outputs, tuple((several * count)[:count] for several in answers.references))


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_sacrebleu_on_the_corpus(seed: int, lowercase: bool) -> None:
    answers = with_references(random_answers(seed), 3)
    against_references, against_source, mixed = bleu(alpha=0.7, lowercase=lowercase)(answers)
    streams = [list(stream) for stream in zip(*answers.references, strict=True)]
    expected = sacrebleu.corpus_bleu(list(answers.outputs), streams, lowercase=lowercase).score
    copied = sacrebleu.corpus_bleu(list(answers.outputs), [list(answers.sources)], lowercase=lowercase).score
    assert against_references.value == pytest.approx(expected, abs=1e-9)
    assert against_source.value == pytest.approx(copied, abs=1e-9)
    assert mixed.value == pytest.approx(0.7 * expected - 0.3 * copied, abs=1e-9)
    assert (mixed.name, against_source.direction) == ("iBLEU(0.7)", "lower")


def test_the_signature_is_sacrebleus() -> None:
    answers = with_references(random_answers(0), 2)
    oracle = BLEU(lowercase=True)
    oracle.corpus_score(list(answers.outputs), [list(stream) for stream in zip(*answers.references, strict=True)])
    assert bleu(lowercase=True)(answers)[0].note == str(oracle.get_signature())


def test_items_may_differ_in_their_number_of_references() -> None:
    note = bleu()(random_answers(1))[0].note
    assert note.startswith("nrefs:1-3|")
    answers = Answers(("a b", "c d"), ("a b", "c d"), (("a b",) * 8, ("c d",)))
    assert bleu()(answers)[0].note.startswith("nrefs:1-8|")


def test_a_copy_has_full_self_bleu_and_nothing_shared_has_none() -> None:
    sources = ("the old cat sat on the mat today .",)
    _, copied, _ = bleu()(Answers(sources, sources, (sources,)))
    assert copied.value == pytest.approx(100)
    assert [one.value for one in bleu()(Answers(sources, ("x y z v w",), (sources,)))] == [0, 0, 0]


def test_outputs_that_are_all_empty_score_zero() -> None:
    np.testing.assert_allclose([one.value for one in bleu()(Answers(("a b c d",), ("",), (("a b c d",),)))], 0)


@pytest.mark.parametrize("alpha", [-0.1, 1.1])
def test_alpha_out_of_range(alpha: float) -> None:
    with pytest.raises(BenchmarkError, match="alpha"):
        bleu(alpha)
