"""The teacher M_LM: any off-the-shelf causal language model with its tokenizer (Jung et al. 2023, section 2).

Knows nothing of how text is sampled from it. Loads Llama-, GPT-2-, BioGPT- and CTRL-shaped models alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from impdistill.errors import ModelError
from impdistill.models.generative import most_positions, quiet_transformers
from impdistill.models.loading import choose_device, choose_dtype, fingerprint, loading, located

WANTED = "a causal language model (teacher)"


@dataclass(frozen=True, eq=False)
class Teacher:
    """A causal language model ready to be sampled from.

    Attributes:
        name: as it was given to `load`.
        model: in evaluation mode, without gradients.
        tokenizer: with `decode` as transformers defines it.
        device: where the model runs.
        dtype: of its weights and arithmetic.
        max_positions: most tokens of prefix and continuation together; None where the model names no limit.
        fingerprint: changes when the model's files do.
        end_token_ids: tokens after which the model says nothing more; may be empty (CTRL).
        notes: what happened that can change a text's last bits (batches halved for want of memory), one line each.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    dtype: torch.dtype
    max_positions: int | None
    fingerprint: str
    end_token_ids: tuple[int, ...]
    notes: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, name: str, *, revision: str | None = None, device: str = "auto", dtype: str = "auto") -> Self:
        """Load a teacher.

        Args:
            name: hub name, local folder, or `starter:teacher`.
            revision: of a hub model.
            device: `auto`, `cpu`, `cuda`, `cuda:N`.
            dtype: `auto` (bf16 where the device multiplies it fast), `bfloat16` or `float32`.

        Raises:
            ModelError: the model is absent, is no causal language model, or its tokenizer knows no full stop.
        """
        on = choose_device(device)
        number_format = choose_dtype(dtype, on)
        source, commit = located(name, revision)
        with loading(name, WANTED), quiet_transformers():
            config = AutoConfig.from_pretrained(source, revision=commit, trust_remote_code=False)
            if config.is_encoder_decoder:
                raise ModelError(f"{name}: {_kind(config)} is an encoder-decoder, not {WANTED}; give one such as gpt2-xl")
            tokenizer = AutoTokenizer.from_pretrained(source, revision=commit, trust_remote_code=False)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                source,
                revision=commit,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=number_format,
                output_loading_info=True,
            )
            model, report = loaded
        if report["missing_keys"]:
            raise ModelError(f"{name}: {_kind(config)} has no weights for predicting the next token, so it is not {WANTED}")
        model = model.to(on).eval().requires_grad_(False)
        if _sees_ahead(model):
            raise ModelError(f"{name}: {_kind(config)} reads a text from both sides, so it is not {WANTED}; give one such as gpt2-xl")
        if not any("." in token for token in tokenizer.get_vocab()):
            raise ModelError(f"{name}: no token of its tokenizer holds a full stop, so no sentence would ever end; use another model")
        return cls(
            name=name,
            model=model,
            tokenizer=tokenizer,
            device=on,
            dtype=number_format,
            max_positions=most_positions(model),
            fingerprint=fingerprint(name, revision),
            end_token_ids=_end_token_ids(model, tokenizer),
        )

    def encode(self, text: str) -> list[int]:
        """Token ids of a prefix, special tokens that the tokenizer puts before a text included; never empty.

        Raises:
            ModelError: the text is empty and the model has no token to begin with.
        """
        ids: list[int] = self.tokenizer(text)["input_ids"]
        beginning = self.tokenizer.bos_token_id if self.tokenizer.bos_token_id is not None else self.tokenizer.eos_token_id
        if not ids and beginning is None:
            raise ModelError(f"{self.name}: this model cannot begin a text without a prefix; give its contexts a prefix rule")
        return ids or [beginning]

    def has_room(self, prefix: str, new_tokens: int) -> bool:
        """Whether so many tokens after the prefix stay within the model's positions."""
        return self.max_positions is None or len(self.encode(prefix)) + new_tokens <= self.max_positions

    def decode(self, ids: list[int]) -> str:
        """The text of sampled tokens, special tokens left out."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _kind(config: object) -> str:
    return ", ".join(getattr(config, "architectures", None) or [type(config).__name__])


@torch.no_grad()
def _sees_ahead(model: PreTrainedModel) -> bool:
    """Whether the last token changes what is predicted after the first: so it does in an encoder under a language model's head.

    transformers loads such a model without complaint.
    """
    ids = torch.tensor([[5, 6, 7, 8], [5, 6, 7, 9]], device=model.device)
    first: torch.Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, 0].float()
    return not torch.allclose(first[0], first[1], atol=1e-3 * float(first.abs().max()))


def _end_token_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    configured = model.generation_config.eos_token_id if model.generation_config is not None else None
    ids = set(configured) if isinstance(configured, list) else {configured}
    outputs = int(model.config.vocab_size)
    return tuple(sorted(token for token in ids | {tokenizer.eos_token_id} if token is not None and token < outputs))
