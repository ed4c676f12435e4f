"""Many continuations of a few prefixes: each prefix is encoded once, every continuation is a row, and finished rows are retired.

The teacher's sampling and the student's decoding both go on from here. Three ways to hold the keys and values, with the same face:

- `SharedRows`: a prefix's keys are stored once and attended to by all its rows. Memory grows with the new tokens only.
- `FixedRows` (`fixed_rows.py`): the same in buffers of fixed size, so that on a GPU a step is one recorded graph.
- `ExpandedRows`: a copy of the prefix's keys for every row, for models that do not go through transformers' attention interface
  or attend to less than the whole text.

Knows nothing of how a token is chosen.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from impdistill.models.fixed_rows import FixedRows
from impdistill.models.generative import accepts, logits_of
from impdistill.models.memory import is_out_of_memory
from impdistill.models.shared_attention import SharedPrefix, SuffixCache, attending_to_shared_prefix, grid_of, with_room


class Rows(Protocol):
    """The model's side of decoding: b rows, each a prefix and the tokens appended to it so far."""

    def step(self, tokens: Tensor) -> Tensor:
        """Append a token to every row, (b,) int64; the logits of the next one, (b, vocab)."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Go on with these of the b rows only, (m,) int64 in rising order."""
        ...


def open_rows(
    model: PreTrainedModel, prefixes: Sequence[Sequence[int]], rows: Sequence[int], new_tokens: int | None = None
) -> tuple[Rows, Tensor]:
    """Encode prefixes, in one batch.

    Args:
        model: a causal language model.
        prefixes: token ids, none empty.
        rows: how many continuations each is to have; the rows of a prefix lie together, in the order of the prefixes.
        new_tokens: most tokens of a continuation. Given, rows on a GPU are `FixedRows`, of which a model has one batch at a time,
            if the environment sets IMPDISTILL_CUDA_GRAPHS=1.

    Returns:
        The rows, and the logits of their first tokens, (sum of rows, vocab).
    """
    cache, mask, owner, logits = _encode(model, prefixes, rows)
    opened: Rows
    wants_graphs = model.device.type == "cuda" and os.environ.get("IMPDISTILL_CUDA_GRAPHS") == "1"
    if new_tokens is not None and wants_graphs and can_share(model, fixed=True):
        opened = FixedRows(model, cache, mask, owner, new_tokens)
    else:
        opened = SharedRows(model, cache, mask, owner) if can_share(model) else ExpandedRows(model, cache, mask, owner)
    return opened, logits.index_select(0, owner)


def open_shared_rows(
    model: PreTrainedModel, prefixes: Sequence[Sequence[int]], rows: Sequence[int], own: Tensor, mask: Tensor
) -> tuple[Rows, Tensor]:
    """As `open_rows`, for rows that have some given tokens of their own after the prefix; the model must be one that `can_share`.

    Args:
        own: (b, t) int64, those tokens, on the left filled up to one width.
        mask: (b, t) int64, 0 where a row is filled up.
    """
    cache, prefix_mask, owner, _ = _encode(model, prefixes, rows)
    opened = SharedRows(model, cache, prefix_mask, owner)
    return opened, opened.read(own, mask)


def _encode(model: PreTrainedModel, prefixes: Sequence[Sequence[int]], rows: Sequence[int]) -> tuple[DynamicCache, Tensor, Tensor, Tensor]:
    """The prefixes' cache, their mask (n, longest), the prefix of each row (b,), and the logits after each prefix (n, vocab)."""
    longest = few_sizes(max(len(ids) for ids in prefixes))
    ids = torch.tensor([[0] * (longest - len(ids)) + list(ids) for ids in prefixes], device=model.device)
    mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prefixes], device=model.device)
    owner = torch.repeat_interleave(torch.tensor(rows, device=model.device))
    cache = DynamicCache(config=model.config)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    logits = _forward(model, ids, cache, positions, attention_mask=mask, **_logits_of_last(model, ids))
    return cache, mask, owner, logits[:, -1]


def few_sizes(size: int) -> int:
    """The next larger number of which only the four leading bits are set: at most an eighth more, and 8 numbers an octave.

    Every shape of a product costs time and memory of its own: on a CPU a kernel is compiled and kept for each.
    """
    spare = max(0, size.bit_length() - 4)
    return -(-size >> spare) << spare


class SharedRows:
    """See the module's docstring."""

    def __init__(self, model: PreTrainedModel, cache: DynamicCache, mask: Tensor, owner: Tensor) -> None:
        self._model = model
        self._cache = SuffixCache(len(cache.layers))
        self._mask = mask
        self._owner = owner
        self._position = mask.sum(1).index_select(0, owner)  # (b,) of the next token
        self._filled: Tensor | None = None  # (b, t): where `read` filled rows up, True; None: nowhere
        layers: list[Any] = cache.layers
        self._keys: list[Tensor] = [layer.keys for layer in layers]
        self._values: list[Tensor] = [layer.values for layer in layers]
        self._prefix = self._arranged()

    def read(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Append several tokens to every row, before any `step`: see `open_shared_rows`."""
        count = ids.shape[1]
        visible = torch.ones(count, count, dtype=torch.bool, device=ids.device).tril()  # (t, t): token i looks at those before it
        if bool(mask.all()):
            seen = visible[None]
        else:
            self._filled = mask == 0
            # what fills a row up looks at itself, since a softmax over nothing is no number; nobody looks at it
            seen = visible & ~self._filled[:, None] | torch.eye(count, dtype=torch.bool, device=ids.device)  # (b, t, t)
        room = torch.full((len(seen), 1, 1, count, with_room(count)), -torch.inf, dtype=self._model.dtype, device=ids.device)
        room[..., :count].masked_fill_(seen[:, None, None], 0)
        self._prefix.room = room
        positions = (self._position[:, None] + mask.cumsum(1) - 1).clamp(min=0)
        self._position = self._position + mask.sum(1)
        return self._read(ids, positions, **_logits_of_last(self._model, ids))

    def step(self, tokens: Tensor) -> Tensor:
        self._prefix.room = self._cache.room(self._model)
        if self._filled is not None:
            room = self._prefix.room.repeat(len(tokens), 1)
            room[:, : self._filled.shape[1]].masked_fill_(self._filled, -torch.inf)
            self._prefix.room = room[:, None, None, None]
        positions = self._position[:, None]
        self._position = self._position + 1
        return self._read(tokens[:, None], positions)

    def _read(self, ids: Tensor, positions: Tensor, **arguments: Any) -> Tensor:
        with attending_to_shared_prefix(self._model):
            return _forward(self._model, ids, self._cache, positions, shared_prefix=self._prefix, **arguments)[:, -1]

    def keep(self, rows: Tensor) -> None:
        self._position = self._position.index_select(0, rows)
        if self._filled is not None:
            self._filled = self._filled.index_select(0, rows)
        owners, self._owner = torch.unique(self._owner.index_select(0, rows), return_inverse=True)
        if len(owners) < len(self._mask):  # prefixes without rows go too, and with them the padding that only they needed
            self._mask = self._mask.index_select(0, owners)
            unused = self._mask.shape[1] - few_sizes(int(self._mask.sum(1).max()))
            self._mask = self._mask[:, unused:]
            self._keys = [keys.index_select(0, owners)[:, :, unused:] for keys in self._keys]
            self._values = [values.index_select(0, owners)[:, :, unused:] for values in self._values]
        self._cache.keep(rows)
        self._prefix = self._arranged()

    def _arranged(self) -> SharedPrefix:
        most = few_sizes(int(self._owner.bincount(minlength=len(self._mask)).max()))
        slots, places = grid_of(self._owner, len(self._mask), most)
        hidden = None
        if not bool(self._mask.all()):
            hidden = torch.zeros(self._mask.shape, dtype=self._keys[0].dtype, device=self._mask.device)
            hidden = hidden.masked_fill(self._mask == 0, -torch.inf)[:, None, None]
        return SharedPrefix(self._keys, self._values, hidden, slots, places, self._cache.room(self._model))


class ExpandedRows:
    """See the module's docstring."""

    def __init__(self, model: PreTrainedModel, cache: DynamicCache, mask: Tensor, owner: Tensor) -> None:
        self._model = model
        self._cache = cache
        self._cache.batch_select_indices(owner)
        self._mask = mask.index_select(0, owner)

    def step(self, tokens: Tensor) -> Tensor:
        positions = self._mask.sum(1, keepdim=True)
        self._mask = torch.nn.functional.pad(self._mask, (0, 1), value=1)
        return _forward(self._model, tokens[:, None], self._cache, positions, attention_mask=self._mask)[:, -1]

    def keep(self, rows: Tensor) -> None:
        self._cache.batch_select_indices(rows)
        self._mask = self._mask.index_select(0, rows)


_CAN_SHARE: weakref.WeakKeyDictionary[PreTrainedModel, dict[bool, bool]] = weakref.WeakKeyDictionary()


def can_share(model: PreTrainedModel, fixed: bool = False) -> bool:
    """Whether `SharedRows` (`fixed`: `FixedRows`) compute what the model computes; tried once a model, on short texts.

    Not so for models whose attention adds terms of its own, bypasses transformers' attention interface, or looks back only so
    far.
    """
    known = _CAN_SHARE.setdefault(model, {})
    if fixed not in known:
        known[fixed] = accepts(model, "position_ids") and not _looks_back_only_so_far(model) and _probe(model, fixed)
    return known[fixed]


def _looks_back_only_so_far(model: PreTrainedModel) -> bool:
    kinds = set(getattr(model.config, "layer_types", None) or ["full_attention"])
    return getattr(model.config, "sliding_window", None) is not None or kinds != {"full_attention"}


@torch.no_grad()
def _probe(model: PreTrainedModel, fixed: bool) -> bool:
    """Two prefixes of different length, two rows for one of them, some steps: the logits must be those of the whole texts.

    The steps are so many that one of `FixedRows` is a replayed one.
    """
    prefixes, owner, steps = [[1, 2, 3], [4]], [0, 0, 1], [[5, 6, 7], [6, 7, 5], [7, 5, 6], [5, 7, 6]]
    device = model.device
    ids = torch.tensor([[1, 2, 3], [0, 0, 4]], device=device)
    mask = torch.tensor([[1, 1, 1], [0, 0, 1]], device=device)
    cache = DynamicCache(config=model.config)
    _forward(model, ids, cache, (mask.cumsum(1) - 1).clamp(min=0), attention_mask=mask)
    if not all(type(layer) is DynamicLayer for layer in cache.layers):
        return False
    owners = torch.tensor(owner, device=device)
    try:
        rows = FixedRows(model, cache, mask, owners, len(steps)) if fixed else SharedRows(model, cache, mask, owners)
        logits = [rows.step(torch.tensor(tokens, device=device)) for tokens in steps][-1].float()
    except (RuntimeError, TypeError, KeyError, AttributeError) as error:  # what models raise that do not take such attention
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            raise
        return False
    wholes = [prefixes[prefix] + [step[row] for step in steps] for row, prefix in enumerate(owner)]
    right = torch.stack([model(input_ids=torch.tensor([whole], device=device)).logits[0, -1].float() for whole in wholes])
    # far closer to its own whole text than texts are to one another
    spread = (right[0] - right[1]).abs().max()
    return bool((logits - right).abs().max() <= 0.1 * spread)


def _forward(model: PreTrainedModel, ids: Tensor, cache: Any, positions: Tensor, **arguments: Any) -> Tensor:
    if accepts(model, "position_ids"):
        arguments["position_ids"] = positions
    return logits_of(model, input_ids=ids, cache=cache, **arguments)


def _logits_of_last(model: PreTrainedModel, ids: Tensor) -> dict[str, Tensor]:
    """As an index, not as 1: a slice is not contiguous, and then torch copies the output matrix once for every row."""
    return {"logits_to_keep": torch.tensor([ids.shape[1] - 1], device=ids.device)} if accepts(model, "logits_to_keep") else {}
