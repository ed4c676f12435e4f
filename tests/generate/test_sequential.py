from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from impdistill.decode.finished import Constrained
from impdistill.decode.neurologic import NeuroLogic
from impdistill.decode.nucleus import Nucleus
from impdistill.generate import sequential
from impdistill.generate.keywords import inflections
from impdistill.generate.parallel import TOO_LONG, UNLIKELY, PoolRow, sample_pools
from impdistill.generate.sequential import FORBIDDEN, NO_KEYWORDS, SequentialRow, SequentialSettings, sample_sequential
from impdistill.models.embedder import Embedder
from impdistill.models.teacher import Teacher
from tests.generate.embedders import save_letter_embedder

SETTINGS = SequentialSettings(
    nucleus=Nucleus(top_p=0.7, max_new_tokens=48),
    neurologic=NeuroLogic(beam_size=8, max_new_tokens=40),
    sources_per_context=2,
    keywords=3,
    outputs=4,
)
CONTEXTS = [
    (7, "<|endoftext|>News:", "The city council met on Tuesday to discuss the budget."),
    (8, "<|endoftext|>Biomedical:", "The study enrolled patients with type 2 diabetes."),
    (9, "<|endoftext|>Reddit:", "I have been playing this game for years."),
]
RUN: dict[str, Any] = {"max_rows": 800, "seed": 1, "stage": "sequential.0"}


@pytest.fixture(scope="module")
def teacher(shared: Path) -> Teacher:
    return Teacher.load(str(shared / "models" / "teacher"), device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    folder = tmp_path_factory.mktemp("embedder")
    save_letter_embedder(folder)
    return Embedder.load(str(folder))


@pytest.fixture(scope="module")
def rows(teacher: Teacher, embedder: Embedder) -> list[SequentialRow]:
    return sample_sequential(teacher, embedder, CONTEXTS, SETTINGS, **RUN)


def test_a_row_for_every_source(teacher: Teacher, rows: list[SequentialRow]) -> None:
    assert [row.context for row in rows] == [7, 7, 8, 8, 9, 9]
    pools = sample_pools(teacher, CONTEXTS, samples=2, nucleus=SETTINGS.nucleus, **RUN)
    assert [row.source for row in rows] == [text for pool in pools for text in pool.sentences]
    assert any(row.outputs for row in rows)
    for row in rows:
        assert (row.source_refusal is None) or not row.outputs
        assert len(row.keywords) <= 3
        assert len(row.outputs) <= 4


def test_outputs_hold_the_keywords_they_count(rows: list[SequentialRow]) -> None:
    counted = 0
    for row in rows:
        assert len({output.text.casefold() for output in row.outputs}) == len(row.outputs)
        for output in row.outputs:
            assert output.text.casefold() != row.source.casefold()
            assert output.clauses == len(row.keywords)
            held = [any(re.search(rf"\b{form}\b", output.text, re.I) for form in inflections(word)) for word in row.keywords]
            assert sum(held) >= output.clauses_met
            counted += output.clauses_met
    assert counted > 20


def test_the_rows_depend_on_the_arguments_alone(teacher: Teacher, embedder: Embedder, rows: list[SequentialRow]) -> None:
    assert sample_sequential(teacher, embedder, CONTEXTS, SETTINGS, **RUN) == rows
    assert sample_sequential(teacher, embedder, CONTEXTS, SETTINGS, **{**RUN, "seed": 2}) != rows


def test_few_rows_at_once_find_the_same(
    teacher: Teacher, embedder: Embedder, rows: list[SequentialRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    decode = sequential.decode_constrained

    def counting(teacher: Teacher, prompts: Sequence[str], *others: Any, **named: Any) -> Any:
        sizes.append(len(prompts))
        return decode(teacher, prompts, *others, **named)

    monkeypatch.setattr(sequential, "decode_constrained", counting)
    assert sample_sequential(teacher, embedder, CONTEXTS, SETTINGS, **{**RUN, "max_rows": 16}) == rows
    assert max(sizes) == 2
    assert len(sizes) > 1


def test_no_output_holds_a_forbidden_word(teacher: Teacher, embedder: Embedder, rows: list[SequentialRow]) -> None:
    """The commonest words of what it writes unasked."""
    written = [output.text for row in rows for output in row.outputs if output.refusal is None]
    words = Counter(word for text in written for word in re.findall(r"[a-z]{3,}", text))
    keywords = {form for row in rows for word in row.keywords for form in inflections(word)}
    common = [word for word, _ in words.most_common() if word not in keywords][:3]
    asked = next(row for row in rows if len(row.keywords) > 1)
    banned = (*common, asked.keywords[0])
    found = sample_sequential(teacher, embedder, CONTEXTS, replace(SETTINGS, forbidden=banned), **RUN)
    kept = [output.text for row in found for output in row.outputs if output.refusal is None]
    assert sum(words[word] for word in common) > 5
    assert len(kept) > len(written) / 2
    assert not [text for text in kept if re.search(rf"\b({'|'.join(banned)})\b", text, re.I)]
    assert [row.keywords for row in found if row.source == asked.source] == [asked.keywords[1:]]
    others = [output.refusal for row in found for output in row.outputs]
    assert others.count(FORBIDDEN) <= len(others) / 4  # the search avoids them, and what it spells otherwise is refused


def test_refusals(teacher: Teacher, embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    pools = [
        PoolRow(7, ("It was not with them.", "too bad"), (None, "start"), 9),
        PoolRow(8, ("Patients will have a treatment.", "The study is over."), (None, None), 9),
    ]
    monkeypatch.setattr(sequential, "sample_pools", lambda *_, **__: pools)
    rows = sample_sequential(teacher, embedder, [CONTEXTS[0], (8, "", "word " * 480)], SETTINGS, **RUN)
    assert [row.source_refusal for row in rows] == [NO_KEYWORDS, "start", TOO_LONG, TOO_LONG]
    assert not any(row.outputs for row in rows)
    assert [row.token_count for row in rows] == [9, 0, 9, 0]  # of a context's x's together


def test_an_output_that_repeats_is_refused_or_left_out(teacher: Teacher, embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A y that is x is none of the k1; one that the context has already, one cut off and one that is no sentence are refused."""
    source, context = "The patients had a treatment.", "Patients received the treatment. It worked well."
    texts = [
        source.upper(),
        "patients received the treatment.",
        "The patients needed a treatment.",
        "Treatment of patients and",
        "“Patients were treated.",
    ]
    found = [Constrained(text, (1, 2), -1.0, 2, 2, finished=text != "Treatment of patients and") for text in texts]
    monkeypatch.setattr(sequential, "sample_pools", lambda *_, **__: [PoolRow(8, (source,), (None,), 9)])
    monkeypatch.setattr(sequential, "decode_constrained", lambda *_, **__: [found])
    [row] = sample_sequential(teacher, embedder, [(8, "", context)], SETTINGS, **RUN)
    assert [(output.text, output.refusal) for output in row.outputs] == [
        ("patients received the treatment.", "repetition"),
        ("The patients needed a treatment.", None),
        ("Treatment of patients and", "unfinished"),
        ("Patients were treated.", "too-short"),
    ]
    assert row.token_count == 9 + 2 * len(texts)

    least = replace(SETTINGS, min_log_probability=-0.4)  # each has a mean of -0.5
    [row] = sample_sequential(teacher, embedder, [(8, "", context)], least, **RUN)
    assert [output.refusal for output in row.outputs] == ["repetition", UNLIKELY, "unfinished", "too-short"]
