"""The critic: a classifier of single sentences that answers P(fluent): whether a sentence reads as if a person had written it.

Any acceptability classifier will do (one trained on CoLA, or on real against generated sentences). Knows nothing of pairs.
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
from impdistill.models.memory import in_halving_batches

WANTED = "a classifier of fluent sentences (critic)"

FLUENT = frozenset({"fluent", "acceptable", "grammatical", "well_formed", "natural", "human"})


class Critic:
    """A fluency classifier ready to be asked.

    The same sentences in one call get the same answers, bit for bit; in another company they may differ in the last bits.

    Attributes:
        name: as it was given to `load`.
        fingerprint: changes when the model's files do.
        max_batch_tokens: most tokens of a batch, padding included; halved for a batch that memory does not hold.
        notes: what happened that can change an answer's last bits (batches halved), one line each.
    """

    def __init__(
        self, name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, fingerprint: str, max_batch_tokens: int = 16_384
    ) -> None:
        """
        Args:
            model: a sequence classifier with a label of `FLUENT` in `config.id2label`, on its device.

        Raises:
            ModelError: no such label, or more than one.
        """
        self.name = name
        self.model = model.train(False).requires_grad_(False)
        self.tokenizer = tokenizer
        self.fingerprint = fingerprint
        self.max_batch_tokens = max_batch_tokens
        self.notes: list[str] = []
        self._column = fluent_column(name, model.config.id2label or {})

    @classmethod
    def load(
        cls, name: str, *, revision: str | None = None, device: str = "auto", dtype: str = "auto", max_batch_tokens: int = 16_384
    ) -> Self:
        """Load a critic: hub name, local folder, or `starter:critic`. The other arguments are those of `Judge.load`.

        Raises:
            ModelError: the model is absent, is no classifier, or has no label for fluent sentences.
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
            raise ModelError(f"{name}: has no trained classifier, so it is not {WANTED}; give a folder or hub name of one")
        return cls(name, model.to(on), tokenizer, fingerprint=fingerprint(name, revision), max_batch_tokens=max_batch_tokens)

    def fluency(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """P(fluent) of n sentences, (n,) float32. Longer ones than the model reads are cut.

        Raises:
            ModelError: an answer is not a number, or there is no memory for a single sentence.
        """
        found = np.empty(len(texts), dtype=np.float32)
        if not len(texts):
            return found
        encoded = self.tokenizer(list(texts), truncation=True, return_attention_mask=False, verbose=False)["input_ids"]
        lengths = np.array([len(ids) for ids in encoded])

        @torch.inference_mode()
        def read(rows: Sequence[int]) -> None:
            batch = self.tokenizer.pad({"input_ids": [encoded[row] for row in rows]}, return_tensors="pt").to(self.model.device)
            logits = self.model(**batch).logits.float()
            found[list(rows)] = logits.softmax(1)[:, self._column].cpu().numpy()

        order = np.argsort(-lengths, kind="stable").tolist()
        done = 0
        while done < len(order):
            rows = order[done : done + max(1, self.max_batch_tokens // int(lengths[order[done]]))]
            halved = len(self.notes)
            in_halving_batches(rows, len(rows), read, self.notes, "critic")
            if len(self.notes) > halved:  # what did not fit once is not tried again
                self.max_batch_tokens //= 2 ** (len(self.notes) - halved)
            done += len(rows)
        if not np.isfinite(found).all():
            raise ModelError(f"{self.name}: some answers are not numbers in {self.model.dtype}; use dtype float32 or another critic")
        return found


def fluent_column(name: str, id2label: Mapping[Any, str]) -> int:
    """Which of a model's outputs means fluent.

    Raises:
        ModelError: none, or more than one.
    """
    columns = [index for index, label in id2label.items() if label.strip().lower().replace(" ", "_").replace("-", "_") in FLUENT]
    if len(columns) != 1 or len(id2label) < 2:
        raise ModelError(
            f"{name}: its labels are {', '.join(id2label.values())}, and one of {', '.join(sorted(FLUENT))} must be among them; "
            "name the labels in id2label of its config.json"
        )
    return int(columns[0])
