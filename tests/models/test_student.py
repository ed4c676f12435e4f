"""The student's mechanics on tiny random models of four architectures: what it writes is what a plain loop would write."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    PreTrainedModel,
)

from impdistill.errors import ModelError, RecipeError, TextError
from impdistill.models import student as student_module
from impdistill.models.generative import generation_config, load_generative
from impdistill.models.memory import taken
from impdistill.models.student import Decoding, Student, batches, one_line
from impdistill.models.student_decoding import decode, nucleus_choice
from impdistill.models.student_format import FILE_NAME, PROMPTS, Prompt, StudentFormat
from tests.tiny_students import GROUPS, KINDS, examples, save_base, tokenizer

TEXTS = [example.x for example in examples(7)] + ["Hens!", "The dog, " + "which ran and ran, " * 4 + "slept."]


def make_student(folder: Path, kind: str) -> Path:
    save_base(kind, folder, seed=3, spread=0.4)
    family = "seq2seq" if kind in ("t5", "bart") else "causal"
    StudentFormat(family, GROUPS, PROMPTS[family], 90, 24, "tiny", "tests").write(folder)  # type: ignore[arg-type]
    return folder


@pytest.fixture(scope="module", params=KINDS)
def student(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Student:
    folder = make_student(tmp_path_factory.mktemp(request.param), request.param)
    return Student.load(str(folder), device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Student:
    return Student.load(str(make_student(tmp_path_factory.mktemp("llama"), "llama")), device="cpu", dtype="float32")


def plain(model: PreTrainedModel, ids: list[int], ends: frozenset[int], *, beams: int = 1, start: int = 0) -> list[int]:
    """transformers' own generation of one prompt."""
    settings = generation_config(
        max_new_tokens=24,
        num_beams=beams,
        do_sample=False,
        eos_token_id=sorted(ends),
        pad_token_id=0,
        decoder_start_token_id=start,
    )
    given = torch.tensor([ids])
    row = model.generate(input_ids=given, attention_mask=torch.ones_like(given), generation_config=settings)[0].tolist()
    new = row[1:] if model.config.is_encoder_decoder else row[len(ids) :]
    return new[: next((index for index, token in enumerate(new) if token in ends), len(new))]


def run(student: Student, prompts: list[list[Prompt]], decoding: Decoding, ends: frozenset[int], **kwargs: object) -> list[list[list[int]]]:
    start = student._collator.start
    return decode(student.model, prompts, decoding, max_new_tokens=24, start=start, pad=0, ends=ends, **kwargs)  # type: ignore[arg-type]


@pytest.mark.parametrize("beams", [1, 3])
def test_decoding_a_batch_writes_what_transformers_writes_one_by_one(student: Student, beams: int) -> None:
    ends = frozenset(range(1, 400, 3))  # many, so that rows leave the batch at different times
    texts = TEXTS if beams == 1 else TEXTS[-3:]
    by_group = [student.format.prompts(student.tokenizer, texts, group) for group in GROUPS]
    prompts = [list(of_text) for of_text in zip(*by_group, strict=True)]
    found = run(student, prompts, Decoding(beams=beams), ends)
    expected = [
        [plain(student.model, prompt.ids, ends, beams=beams, start=student._collator.start) for prompt in of_text] for of_text in prompts
    ]
    assert found == expected
    assert beams > 1 or len({len(ids) for of_text in found for ids in of_text}) > 2


def test_the_shared_part_of_a_prompt_is_read_once_and_changes_nothing(llama: Student) -> None:
    by_group = [llama.format.prompts(llama.tokenizer, TEXTS, group) for group in GROUPS]
    prompts = [list(of_text) for of_text in zip(*by_group, strict=True)]
    assert all(short.shared == long.shared and short.own != long.own for short, long in prompts)
    whole = [[Prompt([], prompt.ids) for prompt in of_text] for of_text in prompts]
    ends = frozenset([1])
    assert run(llama, prompts, Decoding(), ends) == run(llama, whole, Decoding(), ends)


def test_a_batch_equals_one_by_one_in_order(student: Student) -> None:
    together = student.rewrite(TEXTS, "short")
    assert together == [student.rewrite([text], "short")[0] for text in TEXTS]
    assert student.rewrite(TEXTS[::-1], "short") == together[::-1]
    assert len(set(together)) > 1


def test_groups_together_equal_groups_alone_whatever_the_budget(student: Student) -> None:
    together = student.rewrite_groups(TEXTS)
    assert together == {group: student.rewrite(TEXTS, group) for group in GROUPS}
    thrifty = Student.load(student.name, device="cpu", dtype="float32", max_batch_tokens=200)
    assert thrifty.rewrite_groups(TEXTS) == together
    assert student.rewrite_groups([]) == {group: [] for group in GROUPS}


def draws_of(group: str, rows: Tensor, position: int) -> Tensor:
    salt = sorted(GROUPS).index(group)
    return torch.tensor([np.random.default_rng([salt, int(row), position]).random() for row in rows])


def test_sampled_outputs_follow_from_the_numbers_handed_in(student: Student) -> None:
    decoding = Decoding(max_new_tokens=12, top_p=0.9)
    together = student.rewrite_groups(TEXTS, decoding=decoding, uniforms=draws_of)
    thrifty = Student.load(student.name, device="cpu", dtype="float32", max_batch_tokens=300)
    assert thrifty.rewrite_groups(TEXTS, decoding=decoding, uniforms=draws_of) == together
    assert together["short"] == student.rewrite(TEXTS, "short", decoding=decoding, uniforms=draws_of)
    assert together["short"] != student.rewrite(TEXTS, "short", decoding=Decoding(max_new_tokens=12))
    other = student.rewrite(TEXTS, "short", decoding=decoding, uniforms=lambda group, rows, position: draws_of(group, rows + 9, position))
    assert together["short"] != other


def test_out_of_memory_halves_batches_and_loses_nothing(student: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    decoding = Decoding(top_p=0.95, max_new_tokens=12)
    whole = student.rewrite_groups(TEXTS, decoding=decoding, uniforms=draws_of)
    assert student.notes == []
    real = student_module.decode

    def scarce(model: PreTrainedModel, prompts: list[object], *arguments: object, **options: object) -> object:
        if len(prompts) > 2:
            raise torch.OutOfMemoryError
        return real(model, prompts, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(student_module, "decode", scarce)
    assert student.rewrite_groups(TEXTS, decoding=decoding, uniforms=draws_of) == whole
    assert f"rewriting: out of memory at {len(TEXTS)} rows; batches of {len(TEXTS) // 2} now" in taken(student.notes)


def test_the_number_zero_samples_the_likeliest_token(student: Student) -> None:
    zero = Decoding(max_new_tokens=12, top_p=0.9)
    assert student.rewrite(
        TEXTS, "short", decoding=zero, uniforms=lambda group, rows, position: torch.zeros(len(rows), dtype=torch.float64)
    ) == student.rewrite(TEXTS, "short", decoding=Decoding(max_new_tokens=12))


def plain_nucleus(logits: list[float], draw: float, top_p: float, temperature: float) -> int:
    weights = np.exp(np.array(logits) / temperature)
    probabilities = weights / weights.sum()
    nucleus: list[int] = []
    for token in sorted(range(len(logits)), key=lambda token: (-probabilities[token], token)):
        if sum(probabilities[nucleus]) >= top_p:
            break
        nucleus.append(token)
    left = draw * sum(probabilities[nucleus])
    for token in nucleus:
        if left < probabilities[token]:
            return token
        left -= probabilities[token]
    return nucleus[-1]


def test_nucleus_choice_equals_the_plain_definition() -> None:
    chance = np.random.default_rng(0)
    for top_p, temperature in [(0.3, 1.0), (0.9, 0.7), (1.0, 1.0), (0.95, 2.0), (1e-9, 1.0)]:
        logits = chance.normal(size=(200, 13)) * 2
        draws = chance.random(200)
        found = nucleus_choice(torch.tensor(logits), torch.tensor(draws), top_p, temperature).tolist()
        assert found == [plain_nucleus(list(row), draw, top_p, temperature) for row, draw in zip(logits, draws, strict=True)]


@pytest.mark.parametrize("spread", [0.5, 3.0, 8.0])  # nuclei of most of the vocabulary, of hundreds, and of a few tokens
def test_nucleus_choice_ranks_as_much_as_it_needs(spread: float) -> None:
    chance = np.random.default_rng(1)
    for top_p, temperature in [(0.9, 1.0), (0.5, 1.3), (1.0, 1.0)]:
        logits = (chance.normal(size=(6, 2_500)) * spread).round(1)  # many of them equal
        draws = np.append(chance.random(5), 0.999999)
        found = nucleus_choice(torch.tensor(logits), torch.tensor(draws), top_p, temperature).tolist()
        assert found == [plain_nucleus(list(row), draw, top_p, temperature) for row, draw in zip(logits, draws, strict=True)]


def test_log_prob_equals_the_sum_over_single_steps(student: Student) -> None:
    outputs = [f"A {text[:9]}." for text in TEXTS]
    found = student.log_prob(TEXTS, outputs, "paraphrase")
    prompts = student.format.prompts(student.tokenizer, TEXTS, "paraphrase")
    targets = student.format.targets(student.tokenizer, outputs)
    assert all(target[-1] == 1 for target in targets)
    for score, prompt, target in zip(found, prompts, targets, strict=True):
        total = 0.0
        for index, token in enumerate(target):
            if student.model.config.is_encoder_decoder:
                read = {"input_ids": torch.tensor([prompt.ids])}
                read["decoder_input_ids"] = torch.tensor([[student._collator.start, *target[:index]]])
            else:
                read = {"input_ids": torch.tensor([prompt.ids + target[:index]])}
            with torch.no_grad():
                total += float(student.model(**read).logits[0, -1].log_softmax(-1)[token])
        assert score == pytest.approx(total, abs=1e-4)
    assert found == pytest.approx(
        Student.load(student.name, device="cpu", dtype="float32", max_batch_tokens=60).log_prob(TEXTS, outputs, "paraphrase"),
        abs=1e-4,
    )


def test_prompts_of_the_two_families(tmp_path: Path) -> None:
    words = tokenizer(appends_end=True, has_start=False)
    t5 = StudentFormat("seq2seq", GROUPS, PROMPTS["seq2seq"], 90, 24, "tiny", "tests")
    (prompt,) = t5.prompts(words, ["  A \n cat."], "short")
    assert words.decode(prompt.ids) == "Shorten the given sentence: A cat.</s>"
    words = tokenizer(appends_end=False, has_start=True)
    llama = StudentFormat("causal", GROUPS, PROMPTS["causal"], 90, 24, "tiny", "tests")
    (prompt,) = llama.prompts(words, ["  A \n cat."], "short")
    assert (words.decode(prompt.shared), words.decode(prompt.own)) == ("<s>A cat.", "\nShorten the given sentence:")
    assert words.decode(llama.targets(words, ["A cat."])[0]) == " A cat.</s>"


def test_borders_of_groups_are_kept_and_may_be_absent(tmp_path: Path) -> None:
    plain = StudentFormat("seq2seq", GROUPS, PROMPTS["seq2seq"], 90, 24, "tiny", "tests")
    plain.write(tmp_path)
    assert "borders" not in json.loads((tmp_path / FILE_NAME).read_bytes())
    (tmp_path / "config.json").write_text("{}")
    assert StudentFormat.read(str(tmp_path)) == plain
    borders = {"short": {"compression": [0.0, 0.5], "similarity": [0.6, None]}}
    replace(plain, borders=borders).write(tmp_path)
    assert StudentFormat.read(str(tmp_path)).borders == borders
    for wrong in (5, {"short": 5}, {"short": {"compression": [0, 1]}}, {"short": {"compression": [0, 1], "similarity": ["a", 1]}}):
        replace(plain, borders=wrong).write(tmp_path)  # type: ignore[arg-type]
        with pytest.raises(ModelError, match=r"borders .* are not understood"):
            StudentFormat.read(str(tmp_path))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["A cat.", " \t"], "text 2 of 2 is empty"),
        (["A cat. " * 60], r"text 1 of 1 has \d+ tokens with its instruction, and this student reads at most 90"),
    ],
)
def test_texts_that_cannot_be_rewritten(student: Student, texts: list[str], message: str) -> None:
    with pytest.raises(TextError, match=message):
        student.rewrite(texts, "short")


def test_source_tokens_tell_beforehand_what_is_too_long(student: Student) -> None:
    short, long = student.source_tokens(["A cat.", "A cat. " * 60], "short")
    assert short < student.format.max_source_tokens < long


def test_wrong_calls(llama: Student) -> None:
    with pytest.raises(ModelError, match=r"unknown group 'brief'; this student knows short, paraphrase"):
        llama.rewrite(["A cat."], "brief")
    with pytest.raises(RecipeError, match=r"max_new_tokens: 200 after a prompt of \d+ tokens is more than the 128 positions"):
        llama.rewrite(["A cat."], "short", decoding=Decoding(max_new_tokens=200))
    with pytest.raises(RecipeError, match="exclude each other"):
        Decoding(beams=2, top_p=0.5)
    with pytest.raises(RecipeError, match="out of range"):
        Decoding(top_p=1.5)
    with pytest.raises(RecipeError, match="needs `uniforms`"):
        llama.rewrite(["A cat."], "short", decoding=Decoding(top_p=0.5))


def test_folders_that_are_no_students(tmp_path: Path) -> None:
    base = save_base("llama", tmp_path / "base")
    with pytest.raises(ModelError, match=r"not a student, it has no impdistill\.json"):
        Student.load(str(base))
    (base / "impdistill.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        Student.load(str(base))
    (base / "impdistill.json").write_text(json.dumps({"format_version": 9}))
    with pytest.raises(ModelError, match="format 9, and this impdistill reads 1"):
        Student.load(str(base))
    (base / "impdistill.json").write_text(json.dumps({"format_version": 1, "kind": "causal"}))
    with pytest.raises(ModelError, match="export the student again"):
        Student.load(str(base))
    with pytest.raises(ModelError, match="no such model folder"):
        Student.load("./nowhere")
    with pytest.raises(ModelError, match="neither a local folder"):
        Student.load("nobody/no-such-student")


def test_bases_that_cannot_become_students(tmp_path: Path) -> None:
    words = tokenizer(appends_end=False, has_start=True)
    config = BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, is_decoder=False
    )
    for number, encoder in enumerate((BertForMaskedLM(config), BertForSequenceClassification(config))):
        folder = tmp_path / f"encoder-{number}"
        encoder.save_pretrained(folder)
        words.save_pretrained(folder)
        with pytest.raises(ModelError, match=r"Bert\w+ is not a student"):
            load_generative(str(folder), revision=None, dtype=torch.float32)
    endless = save_base("llama", tmp_path / "endless")
    words.eos_token = None
    words.save_pretrained(endless)
    with pytest.raises(ModelError, match="no end token"):
        load_generative(str(endless), revision=None, dtype=torch.float32)


def test_saving_in_bfloat16_gives_a_plain_transformers_folder(student: Student, tmp_path: Path) -> None:
    Student.load(student.name, device="cpu", dtype="bfloat16").save(tmp_path / "released")
    auto = AutoModelForSeq2SeqLM if student.format.kind == "seq2seq" else AutoModelForCausalLM
    model = auto.from_pretrained(tmp_path / "released")
    assert model.dtype == torch.bfloat16
    assert not model.generation_config.do_sample
    assert model.config.use_cache
    assert sorted(path.suffix for path in (tmp_path / "released").iterdir()) == [".json"] * 5 + [".safetensors"]
    again = Student.load(str(tmp_path / "released"), device="cpu", dtype="bfloat16")
    assert again.format == student.format
    assert (again.dtype, again.device.type) == (torch.bfloat16, "cpu")


def test_batches_hold_to_the_budget_and_miss_nothing() -> None:
    tokens = [5, 90, 3, 40, 40, 7]
    found = list(batches(tokens, 80))
    assert found == [[1], [3, 4], [5, 0, 2]]
    assert sorted(index for batch in found for index in batch) == list(range(6))
    assert list(batches([], 80)) == []


def test_an_output_is_one_line() -> None:
    assert one_line(" \n A  cat. \nAnd more.") == "A cat."
    assert one_line(" \n ") == ""
