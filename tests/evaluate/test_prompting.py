from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from impdistill.errors import ModelError, TextError
from impdistill.evaluate.benchmarks import Benchmark
from impdistill.evaluate.evaluation import UNREAD, evaluate
from impdistill.evaluate.metrics.compression import compression
from impdistill.evaluate.prompting import Prompt, PromptedModel, Prompting, output_label

ZERO, FEW = Prompt(), Prompt("Shorten.", (("a long one", "short"),), "Text:", "Short:")
TEXTS = ["one cat", "a much longer sentence about many cats and a dog", "two\nlines"]


def save_tokenizer(folder: Path) -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<end>", "<pad>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<pad>").save_pretrained(folder)


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("causal")
    config = LlamaConfig(
        vocab_size=258, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, 
        max_position_embeddings=200, bos_token_id=None, eos_token_id=0, pad_token_id=1, initializer_range=0.3,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def test_prompts_in_words() -> None:
    assert ZERO.text("A b.\n  c") == "Summarize the sentence.\n\nSentence: A b. c\nSummary:"
    shown = Prompt("", (("one\n\ntwo", " a\tb"),))
    assert shown.text("x") == "Sentence: one two\nSummary: a b\n\nSentence: x\nSummary:"
    assert FEW.text("x") == "Shorten.\n\nText: a long one\nShort: short\n\nText: x\nShort:"
    assert Prompt("").text("x") == "Sentence: x\nSummary:"


@pytest.mark.parametrize(
    ("instruction", "label"),
    [
        ("Summarize the sentence.", "Summary:"),
        ("Paraphrase it.", "Paraphrase:"),
        ("Write a paraphrase", "Paraphrase:"),
        ("Rephrase this", "Paraphrase:"),
        ("", "Summary:"),
    ],
)
def test_the_label_of_the_output_follows_the_instruction(instruction: str, label: str) -> None:
    assert output_label(instruction) == label


def test_items_with_too_long_a_prompt_are_left_out_and_counted(causal: Path) -> None:
    model = PromptedModel.load(str(causal), {"zero": ZERO}, device="cpu", dtype="float32", max_new_tokens=12)
    sources = ("x", "long " * 50, "z")
    benchmark = Benchmark("b", "b", sources, (("a",), ("b",), ("c",)), {"no source": 1})
    assert model.reads(sources, "zero") == [True, False, True]
    found = evaluate(Prompting("asked", model, "zero"), benchmark, [compression], resamples=20)
    assert found.answers.sources == ("x", "z")
    assert found.answers.references == (("a",), ("c",))
    assert (found.items, found.skipped) == (2, {"no source": 1, UNREAD: 1})
    assert list(found.answers.outputs) == model.rewrite(["x", "z"], "zero")
    alone = Benchmark("b", "b", sources[1:2], (("b",),))
    assert not Prompting("asked", model, "zero").can_answer(alone)
    with pytest.raises(TextError, match="no prompt of b fits"):
        Prompting("asked", model, "zero").answer(alone)


def test_greedy_continuations_up_to_the_line_break(causal: Path) -> None:
    model = PromptedModel.load(str(causal), {"zero": ZERO, "few": FEW}, device="cpu", dtype="float32", max_new_tokens=12)
    for group, prompt in model.prompts.items():
        expected = []
        for text in TEXTS:  # one at a time, one token at a time, no cache
            ids = model.tokenizer(prompt.text(text), return_tensors="pt").input_ids
            written: list[int] = []
            while len(written) < 12:
                with torch.no_grad():
                    token = int(model.model(torch.cat([ids, torch.tensor([written], dtype=torch.int64)], dim=1)).logits[0, -1].argmax())
                if token == 0:
                    break
                written.append(token)
            lines = model.tokenizer.decode(written).strip().splitlines()
            expected.append(" ".join(lines[0].split()) if lines else "")
        assert model.rewrite(TEXTS, group) == expected
        assert any(expected)


def test_encoder_decoders_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=258,
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=1,
        eos_token_id=0,
        pad_token_id=1,
    )
    T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    model = PromptedModel.load(str(tmp_path), {"": ZERO}, device="cpu", dtype="float32", max_new_tokens=5)
    outputs = model.rewrite(TEXTS, "")
    assert len(outputs) == 3
    assert outputs == [model.rewrite([text], "")[0] for text in TEXTS]


def test_what_cannot_be_asked(causal: Path) -> None:
    model = PromptedModel.load(str(causal), {"zero": ZERO}, device="cpu", max_new_tokens=12)
    with pytest.raises(ModelError, match="no prompt for group 'few'; there are prompts for zero"):
        model.rewrite(["x"], "few")
    with pytest.raises(TextError, match="text 2 of 2"):
        model.rewrite(["x", "long " * 50], "zero")
    with pytest.raises(ModelError):
        PromptedModel.load(str(causal / "absent"), {"zero": ZERO})
