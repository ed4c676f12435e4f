"""Loading what can become a student: an encoder-decoder or a causal language model with its tokenizer."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    Cache,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from impdistill.errors import ModelError
from impdistill.models.loading import loading, located
from impdistill.models.student_format import Kind

WANTED = "a student (an encoder-decoder or a causal language model)"


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Neither progress bars nor log lines of transformers on the user's terminal; errors still raise."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.CRITICAL)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def load_generative(name: str, *, revision: str | None, dtype: torch.dtype) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, Kind]:
    """The model on the CPU with weights in `dtype`, its tokenizer (with a padding token), and its kind.

    Raises:
        ModelError: absent, without safetensors weights, an encoder only, or a tokenizer without an end token.
    """
    source, commit = located(name, revision)
    options: dict[str, Any] = {"revision": commit, "trust_remote_code": False}
    with loading(name, WANTED), quiet_transformers():
        config = AutoConfig.from_pretrained(source, **options)
        kind: Kind = "seq2seq" if config.is_encoder_decoder else "causal"
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        architecture: Any = AutoModelForSeq2SeqLM if kind == "seq2seq" else AutoModelForCausalLM
        model, report = architecture.from_pretrained(source, dtype=dtype, use_safetensors=True, output_loading_info=True, **options)
    # transformers loads an encoder as a "causal" model without complaint: a new head, or attention to both sides.
    found = ", ".join(config.architectures or ["unknown"])
    if report["missing_keys"] or "MaskedLM" in found:
        raise ModelError(f"{name}: {found} is not {WANTED}; give one such as t5-large or gpt2")
    if tokenizer.eos_token_id is None:
        raise ModelError(f"{name}: the tokenizer has no end token (eos_token), so no output would ever end; use another model")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer, kind


def choose_attention(model: PreTrainedModel, device: torch.device, dtype: torch.dtype) -> None:
    """Plain attention where the fused kernel is slower: in bf16 on a CPU, it costs a fifth of training and of rewriting sentences.

    dtype: of the arithmetic.
    """
    if device.type == "cpu" and dtype == torch.bfloat16:
        model.set_attn_implementation("eager")


def generation_config(**settings: Any) -> GenerationConfig:
    """transformers' own, typed."""
    return GenerationConfig(**settings)  # type: ignore[no-untyped-call]


def with_cache(model: PreTrainedModel, cache: Cache) -> dict[str, Cache]:
    """The argument of a model's forward that hands it its cache. transformers calls it `cache` from 5.24 on, before `past_key_values`."""
    return {_cache_argument(type(model).forward): cache}


def accepts(model: PreTrainedModel, argument: str) -> bool:
    """Whether a model's forward takes an argument of this name."""
    return argument in _parameters(type(model).forward)


def logits_of(model: PreTrainedModel, *, cache: Cache | None = None, **arguments: Any) -> torch.Tensor:
    """Next-token logits of all that is read, (rows, tokens, vocab). A cache is gone on from, and grows."""
    going_on = {} if cache is None else with_cache(model, cache)
    logits: torch.Tensor = model(**arguments, **going_on, use_cache=True, return_dict=True).logits
    return logits


def _cache_argument(forward: Callable[..., Any]) -> str:
    return "cache" if "cache" in _parameters(forward) else "past_key_values"


@functools.cache
def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


def most_positions(model: PreTrainedModel) -> int | None:
    """Most tokens of prompt and output together; None where the two sides have positions of their own, or relative ones."""
    if model.config.is_encoder_decoder:
        return None
    for field in ("max_position_embeddings", "n_positions", "n_ctx"):
        if isinstance(positions := getattr(model.config, field, None), int):
            return positions
    return None
