"""Tiny models with random weights that know a few words: what `--smoke` runs on, so that it needs neither a download nor the starter."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from impdistill.generate.keywords import inflections
from impdistill.models.generative import quiet_transformers
from impdistill.models.student_format import PROMPTS, StudentFormat
from impdistill.recipe import PARAPHRASE, SUMMARY

_WORDS = (
    *("<end>", "<unk>", "The", "A", "On", "the", "a", "new", "old", "in", "of", "and", "after", "long", "two", "that", "river", "house"),
    *("council", "mayor", "committee", "village", "members", "approved", "rejected", "discussed", "voted", "budget", "bridge", "today"),
    *("again", "public", "debate", "higher", "water", "school", "street", "summer", "market", "money", "people", "children", "doctor"),
    *("##.", "##,", "##!"),
)
WORDS = tuple(dict.fromkeys(form for word in _WORDS for form in (word, *(inflections(word) if len(word) > 4 and word.islower() else ()))))
"""With all forms of the longer ones: one that the tokenizer does not know would be `<unk>`, and meet every clause."""
ENDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
GROUPS = {name: group.instruction for task in (SUMMARY, PARAPHRASE) for name, group in task.groups.items()}
"""The five groups of Jung et al. 2023 and their instructions."""


def tokenizer(words: tuple[str, ...] = WORDS) -> PreTrainedTokenizerFast:
    """`##.` is written to the word before it."""
    plain = Tokenizer(WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    plain.decoder = decoders.WordPiece(cleanup=False)
    specials = {"eos_token": "<end>", "pad_token": "<end>", "sep_token": "<end>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=plain, model_max_length=256, **specials)


def made_teacher(folder: Path, *, kind: str = "gpt2") -> str:
    """A `gpt2` or `llama` of 256 positions; its folder."""
    torch.manual_seed(0)
    spread = {"initializer_range": 0.2}
    model: PreTrainedModel
    if kind == "gpt2":
        model = GPT2LMHeadModel(GPT2Config(vocab_size=len(WORDS), n_positions=256, n_embd=32, n_layer=2, n_head=2, **spread, **ENDS))
    else:
        shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
        model = LlamaForCausalLM(LlamaConfig(vocab_size=len(WORDS), max_position_embeddings=256, **shape, **spread, **ENDS))
    return _saved(folder, model, tokenizer())


def made_student(folder: Path) -> str:
    """A causal student that knows the paper's five groups; its folder."""
    made_teacher(folder, kind="llama")
    as_student(folder, base="made up", max_target_tokens=24)
    return str(folder)


def as_student(folder: Path, *, base: str, max_target_tokens: int) -> None:
    """Make a causal language model's folder a student's: untrained, but spoken to like one."""
    StudentFormat("causal", GROUPS, PROMPTS["causal"], 192, max_target_tokens, base, "benchmark").write(folder)


def made_judge(folder: Path) -> str:
    """A classifier with three labels that reads letter by letter, so that every text differs; its folder."""
    torch.manual_seed(0)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *".,!?", *letters, *(f"##{letter}" for letter in letters)]
    words = BertTokenizer(vocab={piece: index for index, piece in enumerate(pieces)}, model_max_length=512)
    labels = {0: "contradiction", 1: "entailment", 2: "neutral"}
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        initializer_range=0.3,
        max_position_embeddings=512,
        id2label=labels,
        label2id={label: index for index, label in labels.items()},
    )
    return _saved(folder, BertForSequenceClassification(config), words)


def _saved(folder: Path, model: PreTrainedModel, words: PreTrainedTokenizerBase) -> str:
    with quiet_transformers():
        model.save_pretrained(folder)
    words.save_pretrained(folder)
    return str(folder)
