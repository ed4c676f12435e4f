"""BERTScore and BERT-iBLEU with a tiny encoder of random weights, against one pair at a time without batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sacrebleu
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from impdistill.errors import BenchmarkError, ModelError
from impdistill.evaluate.answers import Answers
from impdistill.evaluate.metrics import bertscore as module
from impdistill.evaluate.metrics.bert_ibleu import bert_ibleu, harmonic
from impdistill.evaluate.metrics.bertscore import Encoder, bertscore, bertscore_f1
from tests.evaluate.sentences import VOCABULARY, random_answers


def save_tokenizer(folder: Path) -> None:
    vocabulary = {token: number for number, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted(set(VOCABULARY))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=32,
    ).save_pretrained(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("encoder")
    config = BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32, 
        max_position_embeddings=32, initializer_range=0.5,
    )  # fmt: skip
    BertModel(config).save_pretrained(path)
    save_tokenizer(path)
    return path


def plain_f1(encoder: Encoder, output: str, reference: str) -> float:
    vectors = []
    for text in (output, reference):
        inputs = encoder.tokenizer(text, return_tensors="pt", truncation=True, max_length=32)
        with torch.no_grad():
            states = encoder.model(**inputs, output_hidden_states=True).hidden_states[encoder.layer][0, 1:-1]
        vectors.append((states / states.norm(dim=1, keepdim=True)).numpy())
    if not len(vectors[0]):
        return 0.0
    similarities = [[float(a @ b) for b in vectors[1]] for a in vectors[0]]
    precision = np.mean([max(row) for row in similarities])
    recall = np.mean([max(column) for column in zip(*similarities, strict=True)])
    return float(200 * precision * recall / (precision + recall)) if min(precision, recall) > 0 else 0.0


@pytest.mark.parametrize("layer", [1, 3])
def test_agrees_with_one_pair_at_a_time(folder: Path, layer: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ITEMS_AT_ONCE", 7)
    encoder = Encoder.load(str(folder), layer=layer, device="cpu")
    answers = random_answers(0)
    expected = [
        max(plain_f1(encoder, output, reference) for reference in several)
        for output, several in zip(answers.outputs, answers.references, strict=True)
    ]
    found = bertscore_f1(encoder, answers.outputs, answers.references)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert found.std() > 1  # the lengths differ and the scores with them: a wrong order of sentences would show
    (statistic,) = bertscore(encoder)(answers)
    assert statistic.value == pytest.approx(np.mean(expected), abs=1e-3)


def test_a_copy_is_perfect_and_an_empty_output_zero(folder: Path) -> None:
    encoder = Encoder.load(str(folder), device="cpu")
    np.testing.assert_allclose(bertscore_f1(encoder, ["the cat sat", ""], [("a", "the cat sat"), ("a",)]), [100, 0], atol=1e-3)


def test_model_and_layer_are_recorded_and_checked(folder: Path) -> None:
    encoder = Encoder.load(str(folder), device="cpu")
    assert encoder.layer == 3
    assert folder.name in encoder.note
    assert "layer 3 of 3" in encoder.note
    with pytest.raises(ModelError, match="layers 1 to 3"):
        Encoder.load(str(folder), layer=4)
    with pytest.raises(ModelError, match="no such model folder"):
        Encoder.load(str(folder / "absent"))


def test_texts_that_were_cut_are_counted_in_the_note(folder: Path) -> None:
    encoder = Encoder.load(str(folder), device="cpu")
    long = " ".join(["the"] * 31)  # with its special tokens one over the limit
    answers = Answers(("a cat", "a dog"), (long, long), (("the cat", "a cat"), (f"{long} cat",)))
    (score,) = bertscore(encoder)(answers)
    assert score.note == f"{encoder.note}; 2 of 4 texts cut at 32 tokens"
    (score,) = bert_ibleu(encoder)(answers)
    assert score.note.endswith("; 1 of 3 texts cut at 32 tokens")
    fits = Answers(("a cat",), (" ".join(["the"] * 30),), (("a cat",),))
    assert "cut" not in bertscore(encoder)(fits)[0].note


def test_the_encoder_half_of_an_encoder_decoder(tmp_path: Path) -> None:
    config = T5Config(vocab_size=40, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, decoder_start_token_id=0)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    encoder = Encoder.load(str(tmp_path), device="cpu")
    assert encoder.layer == 2
    np.testing.assert_allclose(bertscore_f1(encoder, ["the cat"], [("the cat",)]), [100], atol=1e-3)


def test_bert_ibleu_is_the_published_formula(folder: Path) -> None:
    encoder = Encoder.load(str(folder), device="cpu")
    answers = random_answers(2)
    kept = [row for row, output in enumerate(answers.outputs) if output.strip()]
    answers = Answers(*(tuple(column[row] for row in kept) for column in (answers.sources, answers.outputs, answers.references)))
    expected = []
    for source, output in zip(answers.sources, answers.outputs, strict=True):
        apart = 1 - sacrebleu.sentence_bleu(output, [source]).score / 100
        close = plain_f1(encoder, output, source) / 100
        expected.append(0.0 if apart < 1e-12 else 100 / ((4 / close + 1 / apart) / 5))
    (statistic,) = bert_ibleu(encoder)(answers)
    assert statistic.value == pytest.approx(np.mean(expected), abs=1e-3)


def test_harmonic_mean_at_its_ends() -> None:
    np.testing.assert_allclose(harmonic([1.0, 0.0, 1.0, 0.9], [1.0, 0.0, 0.0, 0.9], 4.0), [0, 0, 100, 100 * 5 / (4 / 0.9 + 10)])
    with pytest.raises(BenchmarkError, match="beta"):
        bert_ibleu(None, beta=0)  # type: ignore[arg-type]
