from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from impdistill.errors import BenchmarkError
from impdistill.evaluate.benchmarks import read_benchmark
from impdistill.evaluate.duplicates import leakage, near_duplicates
from impdistill.evaluate.similarity_join import similar_pairs
from impdistill.text.words import words
from tests.evaluate.sentences import AWKWARD, random_sentence, varied


def some_texts(seed: int, count: int = 60) -> list[str]:
    generator = random.Random(seed)
    texts = [random_sentence(generator) for _ in range(count)]
    return [*texts, *(varied(generator, text) for text in texts), *AWKWARD, *AWKWARD[:3]]


def jaccard(first: str, second: str) -> float:
    ours, theirs = set(words(first, unicode=True)), set(words(second, unicode=True))
    return len(ours & theirs) / len(ours | theirs) if ours and theirs else 0.0


@pytest.mark.parametrize("threshold", [0.5, 0.8, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_join_finds_what_comparing_every_two_finds(seed: int, threshold: float) -> None:
    left = some_texts(seed)
    right = [" ".join(reversed(text.split())) for text in left[::4]] + some_texts(seed + 10)[:50]
    own = {
        (a, b, jaccard(left[a], left[b]))
        for a in range(len(left))
        for b in range(a + 1, len(left))
        if jaccard(left[a], left[b]) >= threshold
    }
    assert set(similar_pairs(left, None, threshold)) == own
    across = {(a, b, jaccard(x, y)) for a, x in enumerate(left) for b, y in enumerate(right) if jaccard(x, y) >= threshold}
    found = list(similar_pairs(left, right, threshold))
    assert set(found) == across
    assert len(found) == len(across) > 5


def test_near_duplicates_and_their_clusters() -> None:
    texts = ["one two three four five", "x y z", "One  two three four five", "five four three two one six", "x y", "", ""]
    found = near_duplicates(texts)
    assert (found.texts, found.repeated, found.near_repeated, found.largest_cluster) == (7, 2, 3, 3)
    assert found.surplus == (2, 3, 6)
    assert found.examples == ((texts[0], texts[3]),)


def test_nothing_repeats() -> None:
    found = near_duplicates(["a b", "c d"])
    assert (found.repeated, found.near_repeated, found.largest_cluster, found.surplus) == (0, 0, 1, ())
    assert near_duplicates([]).largest_cluster == 0


def test_leaks_by_benchmark() -> None:
    texts = ["A cat sat on the mat .", "another thing entirely", "the old cat sat on a mat today yes", "a cat sat on the mat"]
    found = leakage(texts, {"test": ["a cat sat on  the mat", "a cat sat on the red mat", "unrelated"], "none": ["q"]})
    assert [(leak.benchmark, leak.benchmark_texts, leak.exact, leak.near) for leak in found] == [
        ("test", 3, 1, 2),
        ("none", 1, 0, 0),
    ]
    assert found[0].dataset_texts == (0, 3)
    assert found[0].examples[0] == ("A cat sat on the mat .", "a cat sat on the mat")


def test_leaks_are_the_same_however_many_texts_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, wanted = some_texts(1), {"test": some_texts(1)[::3]}
    whole = leakage(texts, wanted)
    monkeypatch.setattr("impdistill.evaluate.duplicates.TEXTS_AT_ONCE", 7)
    assert leakage(texts, wanted) == whole
    assert whole[0].dataset_texts[-1] > 100


@pytest.mark.parametrize("threshold", [0.0, 1.1, 80])
def test_threshold_out_of_range(threshold: float) -> None:
    for measure in (lambda: near_duplicates(["a"], threshold), lambda: leakage(["a"], {"b": ["a"]}, threshold)):
        with pytest.raises(BenchmarkError, match="Jaccard"):
            measure()


def test_thousands_of_real_sentences_take_seconds(shared: Path) -> None:
    turk = read_benchmark(str(shared / "benchmarks/turkcorpus_tune_truecased.jsonl"))
    texts = [*turk.sources, *(reference for several in turk.references for reference in several)]
    started = time.perf_counter()
    found = near_duplicates(texts)
    assert found.texts == 18_000
    assert found.near_repeated > 8_000  # many references change only a few words
    assert time.perf_counter() - started < 30
