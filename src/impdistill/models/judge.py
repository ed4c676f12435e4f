"""The judge: a natural language inference model that answers P(premise entails hypothesis) (Jung et al. 2023, equation
4).

Every text is tokenised once a call and pairs are composed from ids. Pairs are sorted by length and read in batches of
at most so many tokens, so that next to nothing is padding. Knows nothing of contexts, thresholds or what is asked why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from impdistill.errors import ModelError
from impdistill.models.generative import quiet_transformers
from impdistill.models.loading import choose_device, choose_dtype, fingerprint, loading, located
from impdistill.models.memory import is_out_of_memory
from impdistill.models.pair_layout import PairLayout

WANTED = "a natural language inference model (judge)"
EXAMPLE = "alisawuffles/roberta-large-wanli"

ENTAILMENT = frozenset({"entailment", "entail", "entails", "entailed"})
NEUTRAL = frozenset({"neutral", "not_entailment", "not_entail", "not_entailed", "non_entailment"})
CONTRADICTION = frozenset({"contradiction", "contradict", "contradicts", "contradicted"})

BATCH_COST_TOKENS = {False: 128, True: 8_192}
"""What starting a batch costs, in the tokens that could be read in that time; True: on a GPU, where a batch is some
hundreds of kernel launches (5-10 ms)."""


class Judge:
    """An NLI model ready to be asked.

    The same questions in one call get the same answers, bit for bit. In another company they may differ in the last
    bits (fp32: about 1e-6; bf16: up to about 1e-2), since floating point depends on the shape of a batch.

    Attributes:
        name: as it was given to `load`.
        max_batch_tokens: most tokens of a batch, padding included; halved whenever memory runs out.
        most_tokens: longest pair that the model reads; longer ones are cut as the tokenizer cuts them.
        questions_asked, pairs_truncated: counts since loading.
        notes: what happened that can change an answer's last bits (batches halved), one line each.
        fingerprint: changes when the model's files do.
    """

    def __init__(
        self,
        name: str,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        fingerprint: str,
        max_batch_tokens: int = 16_384,
    ) -> None:
        """
        Args:
            model: a sequence classifier with an entailment label in `config.id2label`, on its device.

        Raises:
            ModelError: no entailment label, or a tokenizer that frames pairs in no fixed way.
        """
        self.name = name
        self.model: PreTrainedModel = model.train(False).requires_grad_(False)
        self.tokenizer = tokenizer
        self.fingerprint = fingerprint
        self.max_batch_tokens = max_batch_tokens
        self.questions_asked = 0
        self.pairs_truncated = 0
        self.notes: list[str] = []
        self._layout = PairLayout.of(tokenizer)
        self._columns = label_columns(name, model.config.id2label or {})
        self.most_tokens = _most_tokens(model, tokenizer)

    @classmethod
    def load(
        cls,
        name: str,
        *,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        max_batch_tokens: int = 16_384,
    ) -> Self:
        """Load a judge.

        Args:
            name: hub name, local folder, or `starter:judge`.
            revision: of a hub model.
            device: `auto`, `cpu`, `cuda`, `cuda:N`.
            dtype: `auto` (bf16 where the device multiplies it fast), `bfloat16` or `float32`.

        Raises:
            ModelError: the model is absent, is no classifier, or has no entailment label.
        """
        on = choose_device(device)
        source, commit = located(name, revision)
        options: dict[str, Any] = {"revision": commit, "trust_remote_code": False}
        with loading(name, WANTED), quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(source, **options)
            model, report = AutoModelForSequenceClassification.from_pretrained(
                source, dtype=choose_dtype(dtype, on), use_safetensors=True, output_loading_info=True, **options
            )
        if report["missing_keys"]:
            found = ", ".join(model.config.architectures or [type(model.config).__name__])
            raise ModelError(f"{name}: {found} has no trained classifier, so it is not {WANTED}; give one such as {EXAMPLE}")
        return cls(name, model.to(on), tokenizer, fingerprint=fingerprint(name, revision), max_batch_tokens=max_batch_tokens)

    def entailment(self, texts: Sequence[str], pairs: NDArray[np.integer]) -> NDArray[np.float32]:
        """P(premise => hypothesis) of q pairs, (q,) float32.

        Args:
            texts: n texts.
            pairs: (q, 2) indices into `texts`: premise, hypothesis.
        """
        return self._probabilities(texts, pairs)[:, self._columns[0]]

    def probabilities(self, premises: Sequence[str], hypotheses: Sequence[str]) -> NDArray[np.float32]:
        """Of n pairs P(entailment), P(neutral), P(contradiction), (n, 3) float32 in this order.

        Of a judge with two labels the second column is P(not entailment) and the third is nan.
        """
        texts = list(dict.fromkeys([*premises, *hypotheses]))
        index = {text: number for number, text in enumerate(texts)}
        pairs = np.array([[index[p], index[h]] for p, h in zip(premises, hypotheses, strict=True)], dtype=np.int64)
        found = self._probabilities(texts, pairs.reshape(-1, 2))
        columns = [np.full(len(found), np.nan) if column is None else found[:, column] for column in self._columns]
        return np.stack(columns, axis=1).astype(np.float32)

    def _probabilities(self, texts: Sequence[str], pairs: NDArray[np.integer]) -> NDArray[np.float32]:
        """Of q pairs the probability of every label, (q, labels), in the model's order."""
        labels = int(self.model.config.num_labels or 0)
        if not len(pairs):
            return np.empty((0, labels), dtype=np.float32)
        # 1. every text that is asked about to ids, once
        used, pairs = np.unique(pairs, return_inverse=True)
        pairs = pairs.reshape(-1, 2)
        asked = [texts[index] for index in used]
        encoded = self.tokenizer(asked, add_special_tokens=False, return_attention_mask=False, verbose=False)
        ids = [np.array(row, dtype=np.int64) for row in encoded["input_ids"]]
        # 2. over-long pairs lose what tokenizers would take
        length_of = np.array([len(row) for row in ids])
        first, second = length_of[pairs[:, 0]], length_of[pairs[:, 1]]
        kept_first, kept_second = self._layout.kept_lengths(first, second, self.most_tokens)
        self.pairs_truncated += int(((kept_first < first) | (kept_second < second)).sum())
        # 3. longest first, so that memory runs out at once or never
        lengths = kept_first + kept_second + self._layout.special_tokens
        order = np.argsort(-lengths, kind="stable")
        logits: list[torch.Tensor] = []
        done = 0
        while done < len(order):
            rows = order[done : done + self._batch_rows(lengths[order[done:]])]
            answered = self._forward(
                [self._layout.cut(ids[pairs[row, 0]], int(kept_first[row])) for row in rows],
                [self._layout.cut(ids[pairs[row, 1]], int(kept_second[row])) for row in rows],
            )
            if answered is None:
                self._halve(len(rows), int(lengths[order[done]]))
                continue
            logits.append(answered)
            done += len(rows)
        # 4. one copy from the device, back into the order asked
        found = np.empty((len(pairs), labels), dtype=np.float32)
        found[order] = torch.cat(logits).float().softmax(dim=1).cpu().numpy()
        if not np.isfinite(found).all():
            raise ModelError(f"{self.name}: some answers are not numbers in {self.model.dtype}; use dtype float32 or another judge")
        self.questions_asked += len(pairs)
        return found

    def _batch_rows(self, lengths: NDArray[np.int64]) -> int:
        """How many of the pairs, longest first, make the next batch: within the token budget, and as long as their
        padding costs less than starting another batch."""
        most = max(1, self.max_batch_tokens // int(lengths[0]))
        padding = np.cumsum(lengths[0] - lengths[:most])
        return int(np.searchsorted(padding, BATCH_COST_TOKENS[self.model.device.type == "cuda"], side="right"))

    @torch.inference_mode()
    def _forward(self, first: list[NDArray[np.int64]], second: list[NDArray[np.int64]]) -> torch.Tensor | None:
        """Logits of one batch, (b, labels) on the device; None when memory ran out."""
        composed = self._layout.compose(first, second)
        arrays = {"input_ids": composed.ids, "token_type_ids": composed.token_types, "attention_mask": composed.mask}
        try:
            tensors = {
                name: torch.from_numpy(array).to(self.model.device, non_blocking=True)
                for name, array in arrays.items()
                if array is not None
            }
            logits: torch.Tensor = self.model(**tensors).logits
        except RuntimeError as error:
            if is_out_of_memory(error):
                return None
            raise
        return logits

    def _halve(self, rows: int, length: int) -> None:
        """Make batches half as large from here on.

        Raises:
            ModelError: the batch that did not fit was a single pair.
        """
        if rows == 1:
            raise ModelError(f"{self.name}: no memory left for a single pair of {length} tokens; use a smaller judge or device cpu")
        self.max_batch_tokens = rows * length // 2
        self.notes.append(f"judge: out of memory at {rows} pairs of {length} tokens; batches of {self.max_batch_tokens} tokens now")
        if self.model.device.type == "cuda":
            torch.cuda.empty_cache()


def label_columns(name: str, id2label: Mapping[Any, str]) -> tuple[int, int | None, int | None]:
    """Which of a model's outputs are entailment, neutral (or not entailment), and contradiction.

    Raises:
        ModelError: no label, or more than one, means entailment.
    """
    normal = {index: label.strip().lower().replace(" ", "_").replace("-", "_") for index, label in id2label.items()}
    entailment, neutral, contradiction = (
        [index for index, label in normal.items() if label in wanted] for wanted in (ENTAILMENT, NEUTRAL, CONTRADICTION)
    )
    if len(entailment) != 1 or len(id2label) < 2:
        raise ModelError(
            f"{name}: its labels are {', '.join(id2label.values())}, with no entailment among them; give {WANTED} "
            f"such as {EXAMPLE}, or name the labels in id2label of its config.json"
        )
    return entailment[0], next(iter(neutral), None), next(iter(contradiction), None)


def _most_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """The longest pair that has a position for each token. RoBERTa counts positions from after its padding id."""
    embeddings = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    if isinstance(embeddings, torch.nn.Embedding):
        first = 0 if embeddings.padding_idx is None else embeddings.padding_idx + 1
        return min(int(tokenizer.model_max_length), embeddings.num_embeddings - first)
    return min(int(tokenizer.model_max_length), int(getattr(model.config, "max_position_embeddings", 512)))
