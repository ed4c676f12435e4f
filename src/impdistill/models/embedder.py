"""The embedding model that tells which words of a sentence matter: static embeddings (model2vec) or a sentence-transformers model.

Knows nothing of keywords.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from impdistill.errors import ModelError
from impdistill.models.generative import quiet_transformers
from impdistill.models.loading import choose_device, fingerprint, loading, located

WANTED = "an embedding model (model2vec or sentence-transformers)"


@dataclass(frozen=True, eq=False)
class Embedder:
    """Maps texts to vectors whose cosine is their likeness.

    Attributes:
        name: as it was given to `load`.
        model: a model2vec `StaticModel` or a `SentenceTransformer`; both have `encode`.
        fingerprint: changes when the model's files do.
    """

    name: str
    model: Any
    fingerprint: str

    @classmethod
    def load(cls, name: str, *, revision: str | None = None, device: str = "auto") -> Self:
        """Load an embedding model.

        Args:
            name: hub name, local folder, or `starter:embedder`.
            revision: of a hub model.
            device: for sentence-transformers; static embeddings are looked up on the CPU.

        Raises:
            ModelError: the model is absent, or holds no embeddings of texts.
        """
        source, commit = located(name, revision)
        with loading(name, WANTED), quiet_transformers():
            model = _load_static(source) if _is_static(source) else _load_transformer(name, source, commit, device)
        return cls(name=name, model=model, fingerprint=fingerprint(name, revision))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 (n, width), one row a text."""
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        vectors: NDArray[np.float32] = np.asarray(self.model.encode(list(texts), show_progress_bar=False), dtype=np.float32)
        return vectors

    def cosines(self, texts: Sequence[str], pairs: NDArray[np.integer]) -> NDArray[np.float32]:
        """Likeness of q pairs, (q,) float32 in [-1, 1]; 0 where a text has no embedding.

        Args:
            texts: n texts.
            pairs: (q, 2) indices into `texts`.
        """
        used, places = np.unique(pairs, return_inverse=True)
        vectors = self.embed([texts[index] for index in used])
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        first, second = places.reshape(-1, 2).T
        cosines: NDArray[np.float32] = np.einsum("qw,qw->q", vectors[first], vectors[second])
        return cosines


def _is_static(source: str) -> bool:
    """model2vec writes its own config, without the `model_type` of a transformers model."""
    config = Path(source) / "config.json"
    return config.is_file() and "model_type" not in json.loads(config.read_text(encoding="utf-8"))


def _load_static(folder: str) -> Any:
    from model2vec import StaticModel

    return StaticModel.from_pretrained(folder)


def _load_transformer(name: str, source: str, revision: str | None, device: str) -> Any:
    from sentence_transformers import SentenceTransformer  # seconds to import

    if Path(source).is_dir() and not (Path(source) / "modules.json").is_file():
        raise ModelError(f"{name}: no modules.json in this folder, so it is not {WANTED}; give one such as all-MiniLM-L6-v2")
    return SentenceTransformer(
        source, revision=revision, device=str(choose_device(device)), trust_remote_code=False, model_kwargs={"use_safetensors": True}
    )
