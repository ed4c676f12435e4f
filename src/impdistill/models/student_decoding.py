"""How a student writes y: greedily, by beam search, or by nucleus sampling with numbers that the caller draws.

Rows of one batch are decoded together; of a causal student, the part of the prompt that all groups of a text share is read
once. A row leaves the batch soon after its end token, so that long outputs do not hold up short ones. What a row yields depends
on its batch (by rounding) and on nothing else; a sampled token follows from the number handed in for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache, PreTrainedModel

from impdistill.errors import RecipeError
from impdistill.models.generative import generation_config, quiet_transformers, with_cache
from impdistill.models.rows import Rows, can_share, few_sizes, open_rows, open_shared_rows
from impdistill.models.student_format import Prompt

Uniforms: TypeAlias = Callable[[Tensor, int], Tensor]
"""(rows int64 (n,), position) -> float64 (n,) in [0, 1): the numbers that decide token `position` of these rows."""

_RANKED_FIRST = 64
"""Tokens among which a nucleus is looked for at first; ranking the whole vocabulary took most of the time of sampling."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How y is chosen. The default is greedy.

    Attributes:
        max_new_tokens: an output is cut after this many tokens; None: after as many as the student was trained to write.
        beams: width of the beam search; 1 is none.
        top_p: sample from the smallest set of tokens whose probability reaches this (Holtzman et al. 2020); None does not sample.
        temperature: of sampling; below 1 sharpens.
    """

    max_new_tokens: int | None = None
    beams: int = 1
    top_p: float | None = None
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if (self.max_new_tokens or 1) < 1 or self.beams < 1 or self.temperature <= 0 or not 0 < (self.top_p or 1.0) <= 1:
            raise RecipeError(f"decoding: {self} has a value out of range (0 < top_p <= 1, temperature > 0, the others >= 1)")
        if self.beams > 1 and self.top_p is not None:
            raise RecipeError(f"decoding: beams ({self.beams}) and sampling (top_p {self.top_p}) exclude each other; set one")


class _Rows(Protocol):
    """A batch in the middle of decoding: the part of `Rows` that every kind of student has."""

    def step(self, tokens: Tensor) -> Tensor: ...

    def keep(self, rows: Tensor) -> None: ...


@torch.inference_mode()
def decode(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[Prompt]],
    decoding: Decoding,
    *,
    max_new_tokens: int,
    start: int,
    pad: int,
    ends: frozenset[int],
    uniforms: Uniforms | None = None,
) -> list[list[list[int]]]:
    """Token ids of the outputs for one batch, their end tokens left out.

    Args:
        prompts: for every text, its prompts (as many for each); those of one text have the same `shared` part.
        max_new_tokens: `decoding.max_new_tokens` if that is set.
        start: what the decoder of an encoder-decoder reads first.
        pad: id of the padding token.
        ends: ids that end an output.
        uniforms: needed for sampling; rows count prompts in order, a text's before the next text's.

    Returns:
        the nesting of `prompts`.
    """
    flat = [prompt for of_text in prompts for prompt in of_text]
    if decoding.beams > 1:
        outputs = _beam_search(model, flat, decoding.beams, max_new_tokens, start=start, pad=pad, ends=ends)
    else:
        rows: _Rows
        if model.config.is_encoder_decoder:
            rows = _Seq2SeqRows(model, flat, pad=pad)
            logits = rows.step(torch.full((len(flat),), start, device=model.device))
        else:
            rows, logits = _open_causal(model, prompts, pad=pad)
        outputs = _one_by_one(rows, logits, decoding, max_new_tokens, ends, uniforms)
    width = len(prompts[0])
    return [outputs[first : first + width] for first in range(0, len(flat), width)]


def _one_by_one(
    rows: _Rows, logits: Tensor, decoding: Decoding, max_new_tokens: int, ends: frozenset[int], uniforms: Uniforms | None
) -> list[list[int]]:
    """`logits` (rows, vocabulary) are those of the first tokens."""
    outputs: list[list[int]] = [[] for _ in logits]
    finished = [False] * len(logits)
    batch = list(range(len(logits)))  # the rows that are decoded: finished ones too, until they are retired
    for position in range(max_new_tokens):
        if decoding.top_p is None:
            tokens = logits.float().argmax(-1)  # of bf16 it takes forty times as long on a CPU
        else:
            if uniforms is None:
                raise RecipeError("decoding: sampling (top_p) needs `uniforms`, the source of its random numbers")
            draws = uniforms(torch.tensor(batch), position).to(logits.device)
            tokens = nucleus_choice(logits, draws, decoding.top_p, decoding.temperature)
        for row, token in zip(batch, tokens.tolist(), strict=True):
            if finished[row]:
                continue
            if token in ends:
                finished[row] = True
            else:
                outputs[row].append(token)
        left = finished.count(False)
        if not left or position + 1 == max_new_tokens:
            break
        size = few_sizes(left)
        if size < len(batch):
            growing_first = sorted(range(len(batch)), key=lambda place: finished[batch[place]])
            places = sorted(growing_first[:size])
            kept = torch.tensor(places, device=logits.device)
            rows.keep(kept)
            tokens, batch = tokens.index_select(0, kept), [batch[place] for place in places]
        logits = rows.step(tokens)
    return outputs


def nucleus_choice(logits: Tensor, draws: Tensor, top_p: float, temperature: float) -> Tensor:
    """The token that each number in [0, 1) falls on, (rows,), the tokens of the nucleus laid out by falling probability.

    Only the likeliest tokens are ranked, and more of them for the rows whose nucleus they do not hold.

    logits: (rows, vocabulary). draws: (rows,). Of equal probabilities the lower id comes first.
    """
    tokens = torch.empty(len(logits), dtype=torch.int64, device=logits.device)
    scores = logits.float() / temperature
    highest = scores.amax(1, keepdim=True)
    total = (scores - highest).exp().sum(1, keepdim=True, dtype=torch.float64)
    rows = torch.arange(len(logits), device=logits.device)
    count = _RANKED_FIRST
    while len(rows):
        ranked, ids = _ranked(scores, count)
        probabilities = (ranked - highest).double().exp() / total
        reached = probabilities.cumsum(1)  # (rows, count)
        last = (reached - probabilities < top_p).sum(1, keepdim=True) - 1  # the first token is always inside
        index = (reached <= draws[rows, None] * reached.gather(1, last)).sum(1, keepdim=True)
        tokens[rows] = ids.gather(1, index.minimum(last)).squeeze(1)
        if ranked.shape[1] == logits.shape[1]:
            break
        # a nucleus that ends among the last of those ranked may go on, or hold another of equal probability
        left = (ranked.gather(1, last) <= ranked[:, -1:]).nonzero()[:, 0]
        rows, scores, highest, total = rows[left], scores[left], highest[left], total[left]
        count *= 8
    return tokens


def _ranked(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` highest scores of each row and their ids, falling, of equal ones the lower id first; all where that costs no more."""
    if 4 * count >= scores.shape[1]:
        return scores.sort(dim=1, descending=True, stable=True)
    _, ids = scores.topk(count, dim=1, sorted=False)
    ids = ids.sort(dim=1).values
    ranked, order = scores.gather(1, ids).sort(dim=1, descending=True, stable=True)
    return ranked, ids.gather(1, order)


def _open_causal(model: PreTrainedModel, prompts: Sequence[Sequence[Prompt]], *, pad: int) -> tuple[Rows, Tensor]:
    """The rows, text by text, and the logits of their first tokens, (rows, vocabulary)."""
    flat = [prompt for of_text in prompts for prompt in of_text]
    shared = [of_text[0].shared for of_text in prompts]
    if not (all(shared) and all(prompt.own for prompt in flat) and can_share(model)):
        return open_rows(model, [prompt.ids for prompt in flat], [1] * len(flat))
    ids, mask = left_padded([prompt.own for prompt in flat], pad)
    return open_shared_rows(model, shared, [len(prompts[0])] * len(prompts), ids.to(model.device), mask.to(model.device))


class _Seq2SeqRows:
    """Every prompt is encoded by itself: the instruction stands before x, so that nothing of the encoding can be shared."""

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Prompt], *, pad: int) -> None:
        self._model = model
        ids, mask = left_padded([prompt.ids for prompt in prompts], pad, right=True)
        self._mask = mask.to(model.device)  # (rows, s)
        self._encoded = model.get_encoder()(input_ids=ids.to(model.device), attention_mask=self._mask)
        self._cache = EncoderDecoderCache(DynamicCache(config=model.config), DynamicCache(config=model.config))

    def step(self, tokens: Tensor) -> Tensor:
        outputs = self._model(
            encoder_outputs=self._encoded,
            attention_mask=self._mask,
            decoder_input_ids=tokens[:, None],
            **with_cache(self._model, self._cache),
            use_cache=True,
        )
        logits: Tensor = outputs.logits[:, -1]
        return logits

    def keep(self, rows: Tensor) -> None:
        self._cache.batch_select_indices(rows)
        self._mask = self._mask[rows]
        self._encoded.last_hidden_state = self._encoded.last_hidden_state[rows]


def _beam_search(
    model: PreTrainedModel,
    prompts: Sequence[Prompt],
    beams: int,
    max_new_tokens: int,
    *,
    start: int,
    pad: int,
    ends: frozenset[int],
) -> list[list[int]]:
    is_seq2seq = bool(model.config.is_encoder_decoder)
    ids, mask = left_padded([prompt.ids for prompt in prompts], pad, right=is_seq2seq)
    settings = generation_config(
        max_new_tokens=max_new_tokens,
        num_beams=beams,
        do_sample=False,
        eos_token_id=sorted(ends),
        pad_token_id=pad,
        decoder_start_token_id=start if is_seq2seq else None,
    )
    with quiet_transformers():
        generate: Any = model.generate
        found = generate(input_ids=ids.to(model.device), attention_mask=mask.to(model.device), generation_config=settings)  # (rows, tokens)
    outputs = []
    for row in found[:, 1 if is_seq2seq else ids.shape[1] :].tolist():
        length = next((index for index, token in enumerate(row) if token in ends), len(row))
        outputs.append(row[:length])
    return outputs


def left_padded(rows: Sequence[Sequence[int]], pad: int, *, right: bool = False) -> tuple[Tensor, Tensor]:
    """(ids, mask), both (rows, longest) int64; `right` pads on the other side."""
    width = max(map(len, rows))
    filled = [([*row, *[pad] * (width - len(row))] if right else [*[pad] * (width - len(row)), *row]) for row in rows]
    marks = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
    return torch.tensor(filled), torch.tensor(marks if right else [mark[::-1] for mark in marks])
