"""The way from text to a finished model, on a toy corpus: tokenizer, rows, training, resumption, export."""

import json
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from recipe.lm.architecture import SIZES, new_model
from recipe.lm.checkpoints import checkpoints_of
from recipe.lm.documents import END_OF_TEXT, PREFIXES, corpus_files, plainest, problem_of, sentences_of, split_of
from recipe.lm.errors import RecipeError
from recipe.lm.evaluate import bits_per_byte, heldout_texts, model_scorer
from recipe.lm.pack import Piece, fill_rows, mix, pack, pieces_of
from recipe.lm.pretrain import main as pretrain
from recipe.lm.pretrain import rate_factor
from recipe.lm.rows import IGNORED_LABEL, PackedRows, masked_rows, rows_of_step
from recipe.lm.tokenizer import train_tokenizer

ROW_TOKENS = 64


def toy_document(draw: random.Random) -> str:
    """Clean prose of 70 to 150 words, all made up."""
    people = ["The mayor", "A nurse", "My neighbour", "The committee", "One of the patients", "Her younger brother"]
    deeds = [
        "said that the bridge was not safe",
        "wanted to know if there would be more time",
        "had been asked to wait in the hall",
        "read the whole report aloud",
        "did not agree with any of this",
        "found an old letter under a chair",
    ]
    ends = [
        "after the meeting",
        "because of the rain",
        "for about two years",
        "when all the others had gone home",
        "without a word",
    ]
    draw.shuffle(deeds)
    return " ".join(f"{draw.choice(people)} {deed} {draw.choice(ends)}." for deed in [*deeds, *deeds[: draw.randint(0, 3)]])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    draw = random.Random(0)
    for domain in PREFIXES:
        (folder / f"{domain}.txt").write_text("".join(toy_document(draw) + "\n" for _ in range(150)))
    return folder


@pytest.fixture(scope="module")
def tokenizer_folder(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(corpus_files(corpus), vocabulary=400, documents_per_domain=50, max_positions=512).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tokenizer_folder)


@pytest.fixture(scope="module")
def packed(corpus: Path, tokenizer: PreTrainedTokenizerBase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    weights = {"news": 0.3, "biomedical": 0.3, "reddit": 0.2, "encyclopedic": 0.2}
    pack(corpus_files(corpus), tokenizer, folder, rows=60, row_tokens=ROW_TOKENS, weights=weights, heldout_documents=5, seed=0)
    return folder


def test_the_tokenizer_gives_any_text_back_and_starts_at_zero(tokenizer: PreTrainedTokenizerBase) -> None:
    text = "A naïve café's 3.5% — “yes”, said 中."
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer(END_OF_TEXT)["input_ids"] == [0]
    assert tokenizer.eos_token_id == tokenizer.bos_token_id == 0


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (None, None),
        ("Too few words to learn from.", "short"),
        ("lower {}", "starts inside a sentence"),
        ("{} and then", "ends inside a sentence"),
        ("{} See www.example.org for the rest.", "link or forum furniture"),
        ("{} - One - Two - Three.", "list"),
        ("{} It was 1,234,567 and 7,654,321 and 12,345 and 9,876,543 then.", "digits"),
        ("{} i think i will.", "sloppy spelling"),
    ],
)
def test_the_filter_names_what_is_wrong(document: str | None, problem: str | None) -> None:
    clean = toy_document(random.Random(1))
    assert problem_of((document or "{}").format(clean)) == problem


def test_the_plainest_documents_have_few_rare_words_a_sentence() -> None:
    plain = ["We had to go. They did not.", "They had to go. We did not. We did."]
    rare = ["We had an axolotl. They did not.", "We did not. Quokkas had wombats to numbats."]
    documents = [rare[0], plain[0], rare[1], plain[1]]
    assert plainest(documents, 0.5, common_words=7) == plain
    assert plainest(documents, 0.75, common_words=7) == [rare[0], *plain]
    assert plainest(documents, 1) == documents


def test_only_the_share_of_plain_documents_is_packed(corpus: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    def packed_documents(share: float) -> int:
        weights = dict.fromkeys(PREFIXES, 0.25)
        found = pack(
            {"news": corpus_files(corpus)["news"]},
            tokenizer,
            tmp_path,
            rows=2000,
            row_tokens=ROW_TOKENS,
            weights=weights,
            share=share,
            heldout_documents=5,
            seed=0,
        )
        return int(found["domains"]["news"]["documents"])

    assert packed_documents(0.5) == round(packed_documents(1.0) / 2) > 0
    with pytest.raises(RecipeError, match="--plainest"):
        packed_documents(0)


def test_sentences_are_cut_after_their_closing_quote() -> None:
    assert sentences_of('"It is late." He left. "Why?" (Nobody knew.) 12 stayed.') == [
        '"It is late."',
        "He left.",
        '"Why?"',
        "(Nobody knew.)",
        "12 stayed.",
    ]


def test_pieces_hold_the_whole_document_between_sentences(tokenizer: PreTrainedTokenizerBase) -> None:
    document = toy_document(random.Random(2))
    pieces = list(pieces_of(document, "reddit", tokenizer, ROW_TOKENS))
    assert len(pieces) > 1
    assert all(len(piece.tokens) <= ROW_TOKENS for piece in pieces)
    assert [piece.ends_document for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    texts = [tokenizer.decode(piece.tokens) for piece in pieces]
    assert all(text.startswith(f"{END_OF_TEXT}Reddit: ") for text in texts)
    assert " ".join(text.removeprefix(f"{END_OF_TEXT}Reddit: ") for text in texts) == document


def test_the_mix_keeps_the_shares_of_tokens_whatever_the_length_of_pieces() -> None:
    streams = {"news": iter([Piece([0] * 30, 2, True)] * 2000), "reddit": iter([Piece([0] * 120, 2, True)] * 2000)}
    drawn = mix(streams, {"news": 0.25, "reddit": 0.75}, np.random.default_rng(0))
    lengths = [len(next(drawn).tokens) for _ in range(1000)]
    assert sum(length for length in lengths if length == 30) / sum(lengths) == pytest.approx(0.25, abs=0.01)


def test_rows_hold_every_piece_once() -> None:
    draw = random.Random(0)
    pieces = [Piece([index] * draw.randint(24, ROW_TOKENS), 2, True) for index in range(500)]
    rows = list(fill_rows(iter(pieces), ROW_TOKENS))
    assert sorted(piece.tokens[0] for row in rows for piece in row) == list(range(500))
    assert all(sum(len(piece.tokens) for piece in row) <= ROW_TOKENS for row in rows)


def test_held_out_documents_are_in_no_row(packed: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    rows = PackedRows.open(packed)
    trained = " ".join(tokenizer.batch_decode(rows.tokens.astype(np.int64)))
    heldout = [json.loads(line)["text"] for line in (packed / "heldout.jsonl").read_text().splitlines()]
    assert heldout
    for text in heldout:
        assert split_of(text) == "heldout"
        assert text not in trained


def test_targets_leave_out_prefixes_filling_and_borders_that_are_cuts(packed: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    rows = PackedRows.open(packed)
    prefixes = {tuple(tokenizer(f"{END_OF_TEXT}{prefix}")["input_ids"]) for prefix in PREFIXES.values()}
    for tokens, learn in zip(rows.tokens.tolist(), rows.learn.tolist(), strict=True):
        starts = [index for index, token in enumerate(tokens) if token == 0]
        for start in starts:
            for prefix in prefixes:
                if tuple(tokens[start : start + len(prefix)]) == prefix:
                    assert not any(learn[start + 1 : start + len(prefix)])
        for start, following in pairwise(starts):
            if following == start + 1:
                assert not learn[following]
        assert not learn[0]


def test_a_row_reads_as_its_documents_do_alone() -> None:
    model = new_model(SIZES["tiny"], 50, max_positions=512, seed=0).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=torch.Generator().manual_seed(parameter.numel()))
    documents = [[0, 5, 6, 7, 8], [0, 9, 5], [0, 7, 7, 7]]
    row = torch.tensor([[token for document in documents for token in document]])
    inputs = masked_rows(row, torch.ones_like(row, dtype=torch.bool))
    inputs["attention_mask"] = inputs["attention_mask"].float()
    with torch.inference_mode():
        together = model(**inputs).logits[0]
        alone = torch.cat([model(torch.tensor([document])).logits[0] for document in documents])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_what_is_not_learnt_is_no_label() -> None:
    tokens, learn = torch.tensor([[0, 4, 5]]), torch.tensor([[False, False, True]])
    assert masked_rows(tokens, learn)["labels"].tolist() == [[IGNORED_LABEL, IGNORED_LABEL, 5]]


def test_every_epoch_reads_every_row_once_in_its_own_order() -> None:
    read = np.concatenate([rows_of_step(step, rows=10, rows_per_step=4, seed=3) for step in range(5)])
    assert sorted(read[:10]) == sorted(read[10:]) == list(range(10))
    assert read[:10].tolist() != read[10:].tolist()


def test_the_rate_warms_up_stays_and_decays_to_zero() -> None:
    stable = [rate_factor(step, warmup_steps=4, decay_from=0, decay_steps=0) for step in range(8)]
    assert stable == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0]
    decay = [rate_factor(step, warmup_steps=4, decay_from=8, decay_steps=4) for step in range(8, 13)]
    assert decay == [1.0, 0.75, 0.5, 0.25, 0.0]


def run(packed: Path, tokenizer_folder: Path, out: Path, *extra: str) -> None:
    folders = ["--packed", str(packed), "--tokenizer", str(tokenizer_folder), "--out", str(out)]
    pretrain([*folders, "--size", "tiny", "--no-compile", "--device", "cpu", "--warmup-steps", "2", "--log-steps", "1", *extra])


def weights(checkpoint: Path) -> bytes:
    return (checkpoint / "model.safetensors").read_bytes()


def test_a_resumed_run_equals_an_uninterrupted_one(packed: Path, tokenizer_folder: Path, tmp_path: Path) -> None:
    run(packed, tokenizer_folder, tmp_path / "whole", "--steps", "5")
    run(packed, tokenizer_folder, tmp_path / "parts", "--steps", "2")
    run(packed, tokenizer_folder, tmp_path / "parts", "--steps", "5")
    whole, parts = checkpoints_of(tmp_path / "whole")[-1], checkpoints_of(tmp_path / "parts")[-1]
    assert whole.name == parts.name == "step-5"
    assert weights(whole) == weights(parts)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]


def test_a_decay_finishes_a_model_and_leaves_the_stable_run(packed: Path, tokenizer_folder: Path, tmp_path: Path) -> None:
    run(packed, tokenizer_folder, tmp_path, "--steps", "12")
    stable = weights(checkpoints_of(tmp_path)[-1])
    run(packed, tokenizer_folder, tmp_path, "--decay-steps", "6", "--seconds", "0")  # stopped after one step
    run(packed, tokenizer_folder, tmp_path, "--decay-steps", "6")  # goes on, to its end
    assert [folder.name for folder in tmp_path.glob("decay-*")] == ["decay-12-6"]
    assert weights(checkpoints_of(tmp_path)[-1]) == stable

    finished = AutoModelForCausalLM.from_pretrained(tmp_path / "final")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "final")
    assert finished.dtype == torch.bfloat16
    assert finished.generation_config.eos_token_id == tokenizer.eos_token_id == 0

    texts = heldout_texts(packed, max_bytes=200)
    untrained = tmp_path / "untrained"
    new_model(SIZES["tiny"], len(tokenizer), max_positions=512, seed=0).save_pretrained(untrained)
    for domain, each in texts.items():
        before = bits_per_byte(each, domain, tokenizer, model_scorer(str(untrained), "cpu"))
        assert bits_per_byte(each, domain, tokenizer, model_scorer(str(tmp_path / "final"), "cpu")) < before


def test_a_finished_model_is_a_place_to_start(packed: Path, tokenizer_folder: Path, tmp_path: Path) -> None:
    first = new_model(SIZES["tiny"], len(AutoTokenizer.from_pretrained(tokenizer_folder)), max_positions=512, seed=9)
    first.save_pretrained(tmp_path / "first")
    run(
        packed,
        tokenizer_folder,
        tmp_path / "out",
        "--initial-weights",
        str(tmp_path / "first"),
        "--steps",
        "1",
        "--muon-rate",
        "0",
        "--adamw-rate",
        "0",
    )
    started = load_file(checkpoints_of(tmp_path / "out")[-1] / "model.safetensors")
    for name, weight in first.state_dict().items():
        if name in started:  # tied embeddings are stored once
            torch.testing.assert_close(started[name], weight, rtol=0, atol=0)

    new_model(SIZES["tiny"], 50, max_positions=512, seed=9).save_pretrained(tmp_path / "other")
    with pytest.raises(RecipeError, match="has 50 tokens"):
        run(packed, tokenizer_folder, tmp_path / "refused", "--initial-weights", str(tmp_path / "other"), "--steps", "1")


def test_bits_per_byte_of_a_model_that_knows_nothing_is_the_tokens_price(tokenizer: PreTrainedTokenizerBase) -> None:
    text = "The mayor said that the bridge was not safe."
    tokens = len(tokenizer(f" {text}")["input_ids"])
    figure = bits_per_byte([text], "news", tokenizer, lambda documents: [[-8.0] * (len(ids) - 1) for ids in documents])
    assert figure == pytest.approx(8.0 * tokens / len(text))


def test_errors_name_the_fix(packed: Path, tokenizer_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="one document a line in news"):
        corpus_files(tmp_path)
    with pytest.raises(RecipeError, match=r"python -m recipe\.lm\.pack"):
        PackedRows.open(tmp_path)
    with pytest.raises(RecipeError, match="train without --decay-steps first"):
        run(packed, tokenizer_folder, tmp_path, "--decay-steps", "6")
