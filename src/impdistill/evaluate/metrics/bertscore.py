"""BERTScore F1 (Zhang et al. 2020): tokens of output and reference matched greedily by the cosine of their contextual embeddings.

Scale 0-100 (0 where cosines are negative), higher is better, with several references the best one; raw, not rescaled, no
inverse document frequencies. Unrelated English already scores about 83-85 with roberta-large. Scores of different models or
layers are not comparable: both are recorded. Texts over the encoder's limit are cut, and counted in the note.

Computed here because torchmetrics 1.9 restores the order of sentences wrongly when they differ in length, and then scores each
output against another one's reference, and `bert-score` does not run with transformers 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from impdistill.errors import ModelError
from impdistill.evaluate.answers import Answers
from impdistill.evaluate.statistic import Floats, Metric, Statistic, mean_of
from impdistill.models.generative import quiet_transformers
from impdistill.models.loading import choose_device, choose_dtype, fingerprint, loading, located

DEFAULT_ENCODER = "roberta-large"
"""The encoder of the paper's BERTScores."""

BEST_LAYERS = {
    "roberta-large": 17,
    "roberta-base": 10,
    "bert-base-uncased": 9,
    "bert-large-uncased": 18,
    "distilbert-base-uncased": 5,
    "deberta-large-mnli": 18,
    "deberta-xlarge-mnli": 40,
}
"""Layers that agree best with people's judgements, as published with BERTScore; for other encoders the last layer is taken."""

MOST_TOKENS = 512
"""Of a text, where the tokenizer names no lower limit."""

ITEMS_AT_ONCE = 256
"""Items whose token embeddings are held together."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """A bidirectional encoder and the layer whose states are compared.

    Attributes:
        model: encoder (the encoder half of an encoder-decoder model).
        tokenizer: its tokenizer; special tokens are not matched.
        layer: index into hidden states, 1 to the number of layers.
        note: name, weights and layer, printed beside scores.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    layer: int
    note: str

    @classmethod
    def load(
        cls,
        name: str = DEFAULT_ENCODER,
        *,
        layer: int | None = None,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "float32",
    ) -> Encoder:
        """Load an encoder by hub name or folder.

        Args:
            layer: None takes the published best layer of a known encoder, else the last one.
            dtype: float32 by default: bfloat16 moves a cosine by up to .004.

        Raises:
            ModelError: absent, not an encoder, or without that layer.
        """
        (source, commit), chosen = located(name, revision), choose_device(device)
        with loading(name, "an encoder"), quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(source, revision=commit)
            model = AutoModel.from_pretrained(source, revision=commit, dtype=choose_dtype(dtype, chosen), use_safetensors=True)
        if model.config.is_encoder_decoder:
            model = model.get_encoder()
        layers = int(model.config.num_hidden_layers)
        if layer is None:
            layer = min(BEST_LAYERS.get(Path(name).name, layers), layers)
        if not 1 <= layer <= layers:
            raise ModelError(f"{name}: layer {layer} was asked for; this encoder has layers 1 to {layers}")
        note = f"{Path(name).name} ({fingerprint(name, revision)[:12]}), layer {layer} of {layers}, raw"
        return cls(model.to(chosen).eval(), tokenizer, layer, note)

    @property
    def most_tokens(self) -> int:
        """Of a text, special tokens included; longer ones are cut."""
        return min(self.tokenizer.model_max_length, MOST_TOKENS)

    def note_on(self, texts: Iterable[str]) -> str:
        """The note of a score of these texts: how many different ones were cut, if any, is part of it."""
        different = list(dict.fromkeys(texts))
        cut = sum(len(ids) > self.most_tokens for ids in self.tokenizer(different, verbose=False).input_ids)
        return f"{self.note}; {cut} of {len(different)} texts cut at {self.most_tokens} tokens" if cut else self.note

    @torch.inference_mode()
    def embed(self, texts: Sequence[str], batch_size: int = 32) -> list[torch.Tensor]:
        """Unit vectors of the tokens of each text: float32 (tokens, width) on the CPU; 0 rows for a text without tokens."""
        embedded: list[torch.Tensor] = [torch.empty(0)] * len(texts)
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch = self.tokenizer(
                [texts[row] for row in rows],
                padding=True,
                truncation=True,
                max_length=self.most_tokens,
                return_special_tokens_mask=True,
                return_tensors="pt",
            )
            wanted = (batch["attention_mask"] == 1) & (batch.pop("special_tokens_mask") == 0)  # (batch, length)
            states = self.model(**batch.to(self.model.device), output_hidden_states=True).hidden_states[self.layer]
            units = torch.nn.functional.normalize(states.float(), dim=-1).cpu()  # (batch, length, width)
            for row, vectors, mask in zip(rows, units, wanted, strict=True):
                embedded[row] = vectors[mask]
        return embedded


def bertscore(encoder: Encoder) -> Metric:
    """The metric that returns BERTScore F1."""

    def measure(answers: Answers) -> tuple[Statistic, ...]:
        note = encoder.note_on([*answers.outputs, *(one for several in answers.references for one in several)])
        return (mean_of("BERTScore", bertscore_f1(encoder, answers.outputs, answers.references), note=note),)

    return measure


def bertscore_f1(encoder: Encoder, outputs: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """BERTScore F1 of each output against its best reference: (n,), 0-100; 0 for an empty output."""
    scores = np.zeros(len(outputs))
    for start in range(0, len(outputs), ITEMS_AT_ONCE):
        part = slice(start, start + ITEMS_AT_ONCE)
        items = list(zip(outputs[part], references[part], strict=True))
        texts = list(dict.fromkeys(text for output, several in items for text in (output, *several)))
        vectors = dict(zip(texts, encoder.embed(texts), strict=True))
        scores[part] = [max(_f1(vectors[output], vectors[one]) for one in several) for output, several in items]
    return scores


def _f1(output: torch.Tensor, reference: torch.Tensor) -> float:
    if not len(output) or not len(reference):
        return 0.0
    cosines = output @ reference.T  # (output tokens, reference tokens)
    precision, recall = cosines.amax(1).mean(), cosines.amax(0).mean()
    return float(200 * precision * recall / (precision + recall)) if min(precision, recall) > 0 else 0.0
