"""The beams of several prefixes as rows of a language model: each prefix is encoded once, then shared by its beams.

Two ways to hold the key/value cache, with the same face:

- `TreeBeams`: one pool of keys a prefix, which all its beams share. A beam attends to the prefix and to its own ancestors by a mask, so
  choosing beams moves no keys, and the dead ones are thrown out now and then. For decoder-only models that take a mask of four
  dimensions and explicit positions; `attends_by_mask` finds out by trying.
- `RowBeams`: a cache row for each beam, copied when beams are chosen. For encoder-decoder models and all others.

Knows nothing of constraints or scores.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache, PreTrainedModel, PreTrainedTokenizerBase
from transformers.cache_utils import Cache, DynamicLayer

from impdistill.decode.pools import PoolCache
from impdistill.errors import ModelError, TextError
from impdistill.models.generative import accepts, logits_of

_POOL_SLACK = 2
"""A pool is cleared of dead keys when it is this many times as long as what the beams still attend to."""


class Beams(Protocol):
    """The model's side of a beam search over n prefixes."""

    def step(self, parents: Tensor, tokens: Tensor) -> Tensor:
        """Choose beams and append a token to each: `parents` and `tokens` (n, rows) -> next-token logits (n, rows, vocab)."""
        ...

    def keep(self, prefixes: Tensor) -> None:
        """Go on with these of the n prefixes only, (m,) int64."""
        ...

    def fork(self) -> Beams:
        """An independent continuation of the same state; the original can still be stepped."""
        ...


class TeacherFace(Protocol):
    """What a language model must show: any transformers causal or encoder-decoder model with its tokenizer."""

    @property
    def model(self) -> PreTrainedModel: ...
    @property
    def tokenizer(self) -> PreTrainedTokenizerBase: ...
    @property
    def device(self) -> torch.device: ...


def open_beams(teacher: TeacherFace, prefixes: Sequence[str], max_new_tokens: int) -> tuple[Beams, Tensor]:
    """Encode the prefixes once.

    Args:
        teacher: the model.
        prefixes: what a causal model goes on from; what an encoder-decoder model reads.
        max_new_tokens: how many steps may follow.

    Returns:
        The beams, one a prefix so far, and the logits of the first token, (n, 1, vocab).

    Raises:
        TextError: a prefix is too long for the model.
    """
    ids, mask = _left_padded(teacher, prefixes)
    config = teacher.model.config
    if config.is_encoder_decoder:
        return _open_seq2seq(teacher.model, ids, mask)
    limit = getattr(config, "max_position_embeddings", None)
    if limit is not None and ids.shape[1] + max_new_tokens > limit:
        raise TextError(
            f"a prefix of {ids.shape[1]} tokens and {max_new_tokens} new ones exceed the model's {limit} positions; "
            "shorten the prefix or lower max_new_tokens"
        )
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    cache = DynamicCache(config=config)
    arguments: dict[str, Any] = {"position_ids": positions} if accepts(teacher.model, "position_ids") else {}
    if accepts(teacher.model, "logits_to_keep"):
        arguments["logits_to_keep"] = 1
    logits = logits_of(teacher.model, input_ids=ids, attention_mask=mask, cache=cache, **arguments)[:, -1:]
    if attends_by_mask(teacher.model):
        return TreeBeams(teacher.model, cache, mask), logits
    return RowBeams(teacher.model, cache, {"attention_mask": mask}, positions[:, -1]), logits


class TreeBeams:
    """See the module's docstring. Slots of a pool: the prefix, then the tokens of every step, rows apart."""

    def __init__(self, model: PreTrainedModel, cache: DynamicCache, prefix_mask: Tensor) -> None:
        self._model = model
        self._cache = PoolCache(cache)
        self._visible = prefix_mask.bool()[:, None]  # (n, rows, slots): what each beam attends to
        self._position = prefix_mask.sum(1)  # (n,) of the next token
        self._prefix = prefix_mask.shape[1]

    def step(self, parents: Tensor, tokens: Tensor) -> Tensor:
        n, rows = tokens.shape
        chosen = torch.take_along_dim(self._visible, parents[..., None], dim=1)
        self._visible = torch.cat([chosen, torch.eye(rows, dtype=torch.bool, device=tokens.device).expand(n, -1, -1)], dim=2)
        dtype = self._model.dtype
        mask = torch.zeros(self._visible.shape, dtype=dtype, device=tokens.device)
        mask.masked_fill_(~self._visible, torch.finfo(dtype).min)
        logits = logits_of(
            self._model,
            input_ids=tokens,
            attention_mask=mask[:, None],
            position_ids=self._position[:, None].expand(n, rows),
            cache=self._cache,
        )
        self._position = self._position + 1
        self._drop_dead_slots()
        return logits

    def keep(self, prefixes: Tensor) -> None:
        self._visible, self._position = self._visible[prefixes], self._position[prefixes]
        self._cache.batch_select_indices(prefixes)

    def fork(self) -> TreeBeams:
        other = copy.copy(self)
        other._cache = self._cache.fork()
        return other

    def _drop_dead_slots(self) -> None:
        alive = self._visible[:, :, self._prefix :].any(1)  # (n, slots)
        wanted = int(alive.sum(1).max())
        if alive.shape[1] < _POOL_SLACK * wanted + self._visible.shape[1]:
            return
        # a stable sort by deadness keeps the living in order; prefixes with fewer of them keep some dead slots, which nobody sees
        order = torch.argsort(~alive, dim=1, stable=True)[:, :wanted] + self._prefix
        slots = torch.cat([torch.arange(self._prefix, device=order.device).expand(len(order), -1), order], dim=1)
        self._visible = torch.take_along_dim(self._visible, slots[:, None], dim=2)
        self._cache.choose(slots)


class RowBeams:
    """See the module's docstring. `fixed` are arguments of the model that have one row a prefix."""

    def __init__(self, model: PreTrainedModel, cache: Cache, fixed: dict[str, Any], last_position: Tensor | None) -> None:
        self._model = model
        self._cache = cache
        self._fixed = fixed
        self._position = last_position
        self._rows = 1

    def step(self, parents: Tensor, tokens: Tensor) -> Tensor:
        n, rows = tokens.shape
        source = (torch.arange(n, device=tokens.device)[:, None] * self._rows + parents).flatten()
        _choose(self._cache, source, same_prefix=self._rows == rows)
        arguments = {name: _repeated(value, rows) for name, value in self._fixed.items()}
        if self._position is not None:  # decoder-only: the mask grows with the text
            self._position = self._position + 1
            self._fixed["attention_mask"] = torch.nn.functional.pad(self._fixed["attention_mask"], (0, 1), value=1)
            arguments["attention_mask"] = _repeated(self._fixed["attention_mask"], rows)
            if accepts(self._model, "position_ids"):
                arguments["position_ids"] = self._position.repeat_interleave(rows)[:, None]
        arguments["decoder_input_ids" if self._model.config.is_encoder_decoder else "input_ids"] = tokens.reshape(-1, 1)
        logits = logits_of(self._model, cache=self._cache, **arguments)
        self._rows = rows
        return logits.view(n, rows, -1)

    def keep(self, prefixes: Tensor) -> None:
        source = (prefixes[:, None] * self._rows + torch.arange(self._rows, device=prefixes.device)).flatten()
        _choose(self._cache, source, same_prefix=False)
        self._fixed = {name: _selected(value, prefixes) for name, value in self._fixed.items()}
        if self._position is not None:
            self._position = self._position[prefixes]

    def fork(self) -> RowBeams:
        other = copy.copy(self)
        other._cache = _shallow(self._cache)
        other._fixed = dict(self._fixed)
        return other


def _open_seq2seq(model: PreTrainedModel, ids: Tensor, mask: Tensor) -> tuple[RowBeams, Tensor]:
    encoded = model.get_encoder()(input_ids=ids, attention_mask=mask)
    start = model.generation_config.decoder_start_token_id
    start = model.config.decoder_start_token_id if start is None else start
    if start is None:
        raise ModelError(f"{model.name_or_path}: the model names no decoder_start_token_id; set it in its generation_config.json")
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    fixed = {"encoder_outputs": encoded, "attention_mask": mask}
    first = torch.full((len(ids), 1), start, device=ids.device)
    logits = logits_of(model, decoder_input_ids=first, cache=cache, **fixed)
    return RowBeams(model, cache, fixed, None), logits


def _left_padded(teacher: TeacherFace, prefixes: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Token ids and mask, (n, longest). An encoder's input may be padded on any side, so one way serves both kinds."""
    lists = teacher.tokenizer(list(prefixes))["input_ids"]
    first = teacher.tokenizer.bos_token_id if teacher.tokenizer.bos_token_id is not None else teacher.tokenizer.eos_token_id
    lists = [ids or [first] for ids in lists]
    longest = max(len(ids) for ids in lists)
    padding = teacher.tokenizer.pad_token_id or 0
    ids = torch.tensor([[padding] * (longest - len(ids)) + ids for ids in lists], device=teacher.device)
    mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in lists], device=teacher.device)
    return ids, mask


def _repeated(value: Any, times: int) -> Any:
    if isinstance(value, Tensor):
        return value.repeat_interleave(times, dim=0)
    return type(value)(last_hidden_state=value.last_hidden_state.repeat_interleave(times, dim=0))


def _selected(value: Any, rows: Tensor) -> Any:
    if isinstance(value, Tensor):
        return value[rows]
    return type(value)(last_hidden_state=value.last_hidden_state[rows])


def _choose(cache: Any, source: Tensor, *, same_prefix: bool) -> None:
    """Rows `source` of the cache; what was computed from an encoder is the same for all beams of a prefix and need not move."""
    crossed: Any = cache if isinstance(cache, EncoderDecoderCache) else None
    (cache if crossed is None else crossed.self_attention_cache).reorder_cache(source)
    if crossed is not None and not same_prefix:
        crossed.cross_attention_cache.reorder_cache(source)


def _shallow(cache: Any) -> Any:
    """A cache that shares the tensors; layers replace their tensors when they grow, so neither sees the other's growth."""
    other = copy.copy(cache)
    if isinstance(cache, EncoderDecoderCache):
        other.self_attention_cache = _shallow(cache.self_attention_cache)
        other.cross_attention_cache = _shallow(cache.cross_attention_cache)
        other.is_updated = dict(cache.is_updated)
    else:
        other.layers = [copy.copy(layer) for layer in cache.layers]
    return other


_BY_MASK: weakref.WeakKeyDictionary[PreTrainedModel, bool] = weakref.WeakKeyDictionary()


def attends_by_mask(model: PreTrainedModel) -> bool:
    """Whether two alternatives for one next token can stand side by side in the cache, told apart by mask and position alone.

    Tried once a model, on two tokens after a prefix of three: with the mask, the second's logits must be those that it has without
    the first, by far closer than to those that it has when it sees the first.
    """
    if model not in _BY_MASK:
        config = model.config
        sees_all = not config.is_encoder_decoder and "local" not in getattr(config, "attention_layers", ())  # GPT-Neo's window
        _BY_MASK[model] = sees_all and accepts(model, "position_ids") and _probe(model)
    return _BY_MASK[model]


@torch.no_grad()
def _probe(model: PreTrainedModel) -> bool:
    prefix, first, second = [[1, 2, 3]], 4, 5
    together = torch.tensor([[first, second]], device=model.device)
    positions = torch.full((1, 2), 3, device=model.device)
    visible = torch.ones(1, 1, 2, 5, dtype=torch.bool, device=model.device)
    visible[..., 0, 4] = visible[..., 1, 3] = False

    def second_logits(visible: Tensor) -> Tensor | None:
        cache = DynamicCache(config=model.config)
        logits_of(model, input_ids=torch.tensor(prefix, device=model.device), cache=cache)
        if not all(type(layer) is DynamicLayer for layer in cache.layers):
            return None  # e.g. a sliding window, whose slots are not positions
        mask = torch.zeros(visible.shape, dtype=model.dtype, device=model.device)
        mask.masked_fill_(~visible, torch.finfo(model.dtype).min)
        return logits_of(model, input_ids=together, attention_mask=mask, position_ids=positions, cache=cache)[0, 1]

    right = logits_of(model, input_ids=torch.tensor([[*prefix[0], second]], device=model.device))[0, -1]
    try:
        apart, seeing = second_logits(visible), second_logits(visible | torch.tensor([[False], [True]], device=model.device))
    except (RuntimeError, ValueError, TypeError, IndexError):  # what models raise on a mask of four dimensions that they do not take
        return False
    if apart is None or seeing is None:
        return False
    return bool((apart - right).abs().max() <= 0.1 * (seeing - right).abs().max())
