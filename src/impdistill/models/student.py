"""The student: rewrites a sentence in the manner of a group, after the group's instruction (Jung et al. 2023, section 2.1.2).

Knows nothing of tasks, filters or training. Batches are formed from the texts of one call alone (sorted by length, within a
budget of tokens), so equal calls give equal outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeAlias

import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from impdistill.errors import RecipeError, TextError
from impdistill.models.generative import choose_attention, generation_config, load_generative, most_positions, quiet_transformers
from impdistill.models.loading import choose_device, choose_dtype, fingerprint
from impdistill.models.memory import in_halving_batches
from impdistill.models.pair_batch import IGNORED, PairCollator
from impdistill.models.student_decoding import Decoding, decode
from impdistill.models.student_format import Prompt, StudentFormat
from impdistill.run.storage import foreign_storage_errors, make_directory

__all__ = ["GREEDY", "Decoding", "GroupUniforms", "Student", "save_student"]

GroupUniforms: TypeAlias = Callable[[str, Tensor, int], Tensor]
"""(group, texts int64 (n,), position) -> float64 (n,) in [0, 1): what decides token `position` of these texts' outputs."""

GREEDY = Decoding()
DEFAULT_BATCH_TOKENS = 16_384


@dataclass(frozen=True, eq=False)
class Student:
    """A task model.

    Attributes:
        name: as it was given to `load`.
        format: groups, prompt and limits.
        max_batch_tokens: most tokens of prompts and outputs decoded at once.
        notes: what happened that can change an output's last bits (batches halved for want of memory), one line each.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    format: StudentFormat
    fingerprint: str
    max_batch_tokens: int = DEFAULT_BATCH_TOKENS
    notes: list[str] = field(default_factory=list)
    _collator: PairCollator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_collator", PairCollator.of(self.model, self.tokenizer))

    @classmethod
    def load(
        cls,
        name: str,
        *,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        max_batch_tokens: int = DEFAULT_BATCH_TOKENS,
    ) -> Self:
        """Load a student by folder, hub name or `starter:NAME`.

        Args:
            device: auto, cpu, cuda or cuda:N.
            dtype: auto, bfloat16 or float32.

        Raises:
            ModelError: absent, not a student (no `impdistill.json`), or not loadable.
        """
        spoken = StudentFormat.read(name, revision)
        place = choose_device(device)
        model, tokenizer, _ = load_generative(name, revision=revision, dtype=choose_dtype(dtype, place))
        model.generation_config = _greedily(model, tokenizer, spoken)  # the base's own (beams, least lengths) would leak in
        choose_attention(model, place, model.dtype)
        torch.nn.Module.to(model, place)  # PreTrainedModel.to is decorated beyond its type
        model.train(False).requires_grad_(False)
        return cls(name, model, tokenizer, spoken, fingerprint(name, revision), max_batch_tokens)

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups that outputs can be asked for."""
        return tuple(self.format.groups)

    def rewrite(
        self,
        texts: Sequence[str],
        group: str,
        *,
        decoding: Decoding = GREEDY,
        uniforms: GroupUniforms | None = None,
    ) -> list[str]:
        """One output a text, in order: one line without space around it, possibly empty.

        Example:
            >>> student.rewrite(["The cat, which was old, sat on the mat."], "short-abstractive")
            ['An old cat sat.']

        Args:
            uniforms: needed for sampling: the random numbers, so that they do not depend on the schedule.

        Raises:
            TextError: a text is empty or over the student's limit.
            ModelError: the student has no such group.
        """
        return self.rewrite_groups(texts, [group], decoding=decoding, uniforms=uniforms)[group]

    def rewrite_groups(
        self,
        texts: Sequence[str],
        groups: Sequence[str] | None = None,
        *,
        decoding: Decoding = GREEDY,
        uniforms: GroupUniforms | None = None,
    ) -> dict[str, list[str]]:
        """As `rewrite` for several groups (None: all), which costs a causal student less: it reads every text once.

        Returns:
            group -> one output a text, in order.
        """
        names = list(self.groups if groups is None else groups)
        prompts = self._prompts(texts, names)
        max_new_tokens = decoding.max_new_tokens or self.format.max_target_tokens
        self._check_room(prompts, max_new_tokens)
        outputs: list[list[str]] = [[] for _ in texts]
        # what the groups of a text share is held once, except by beam search
        once = decoding.beams == 1
        lengths = [
            len(of_text[0].shared) * once + sum(decoding.beams * len(prompt.own if once else prompt.ids) for prompt in of_text)
            for of_text in prompts
        ]
        extra = len(names) * decoding.beams * max_new_tokens

        def write(batch: Sequence[int]) -> None:
            found = decode(
                self.model,
                [prompts[index] for index in batch],
                decoding,
                max_new_tokens=max_new_tokens,
                start=self._collator.start,
                pad=self._collator.pad,
                ends=self._ends,
                uniforms=None if uniforms is None else _of_batch(uniforms, batch, names),
            )
            for index, of_text in zip(batch, found, strict=True):
                written = self.tokenizer.batch_decode(of_text, skip_special_tokens=True, clean_up_tokenization_spaces=False)
                outputs[index] = [one_line(text) for text in written]

        for batch in batches([length + extra for length in lengths], self.max_batch_tokens):
            in_halving_batches(batch, len(batch), write, self.notes, "rewriting")
        return {name: [of_text[place] for of_text in outputs] for place, name in enumerate(names)}

    def check(self, texts: Sequence[str], group: str) -> None:
        """Raise what `rewrite` would raise about these texts or the group, before any of them is rewritten."""
        self._prompts(texts, [group])

    @torch.inference_mode()
    def log_prob(self, texts: Sequence[str], outputs: Sequence[str], group: str) -> list[float]:
        """Natural log P(y and its end | instruction, x), summed over the tokens of y, for every text x and output y."""
        prompts = [of_text[0].ids for of_text in self._prompts(texts, [group])]
        pairs = list(zip(prompts, self.format.targets(self.tokenizer, outputs), strict=True))
        scores = [0.0] * len(pairs)
        for batch in batches([len(prompt) + len(target) for prompt, target in pairs], self.max_batch_tokens):
            inputs = self._collator([pairs[index] for index in batch])
            inputs = {key: value.to(self.device) if isinstance(value, Tensor) else value for key, value in inputs.items()}
            labels = inputs.pop("labels")  # (b, t)
            logits = self.model(**inputs, use_cache=False).logits[:, -labels.shape[1] :]  # (b, t, vocabulary)
            chosen = torch.log_softmax(logits.float(), -1).gather(2, labels.clamp(min=0)[..., None]).squeeze(2)  # (b, t)
            for index, score in zip(batch, chosen.double().where(labels != IGNORED, 0.0).sum(1).tolist(), strict=True):
                scores[index] = score
        return scores

    def source_tokens(self, texts: Sequence[str], group: str) -> list[int]:
        """Tokens of every prompt; those above `format.max_source_tokens` would be a `TextError`."""
        return [len(prompt.ids) for prompt in self.format.prompts(self.tokenizer, texts, group)]

    def save(self, folder: Path) -> None:
        """Write the student as safetensors in the dtype it was loaded in, with its tokenizer and `impdistill.json`.

        Raises:
            StorageError: the disk is full or may not be written.
        """
        save_student(self.model, self.tokenizer, self.format, folder)

    @property
    def _ends(self) -> frozenset[int]:
        """An output ends with the end token or, being one line, with a line break."""
        newline = self.tokenizer("\n", add_special_tokens=False).input_ids
        only_newline = len(newline) == 1 and self.tokenizer.decode(newline) == "\n"
        return frozenset([int(self.tokenizer.eos_token_id), *(newline if only_newline else [])])

    def _prompts(self, texts: Sequence[str], groups: Sequence[str]) -> list[list[Prompt]]:
        """(texts, groups) prompts, every one within the limit."""
        empty = next((number for number, text in enumerate(texts, 1) if not text.split()), None)
        if empty is not None:
            raise TextError(f"text {empty} of {len(texts)} is empty; give one sentence")
        by_group = [self.format.prompts(self.tokenizer, texts, group) for group in groups]
        limit = self.format.max_source_tokens
        for number, of_text in enumerate(zip(*by_group, strict=True), 1):
            found = max(len(prompt.ids) for prompt in of_text)
            if found > limit:
                raise TextError(
                    f"text {number} of {len(texts)} has {found} tokens with its instruction, and this student reads at most "
                    f"{limit}; shorten it or give it in sentences"
                )
        return [list(of_text) for of_text in zip(*by_group, strict=True)]

    def _check_room(self, prompts: Sequence[Sequence[Prompt]], max_new_tokens: int) -> None:
        positions = most_positions(self.model)
        longest = max((len(prompt.ids) for of_text in prompts for prompt in of_text), default=0)
        if positions is not None and longest + max_new_tokens > positions:
            raise RecipeError(
                f"max_new_tokens: {max_new_tokens} after a prompt of {longest} tokens is more than the {positions} "
                f"positions of {self.name}; use at most {positions - longest}"
            )


def save_student(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, spoken: StudentFormat, folder: Path) -> None:
    """Write a student's folder; plain `transformers` decodes greedily from it. Raises `StorageError`."""
    make_directory(folder)
    with quiet_transformers(), foreign_storage_errors(folder):
        model.config.use_cache = True  # the Trainer switches it off
        model.generation_config = _greedily(model, tokenizer, spoken)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        spoken.write(folder)


def _greedily(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, spoken: StudentFormat) -> GenerationConfig:
    return generation_config(
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        decoder_start_token_id=PairCollator.of(model, tokenizer).start if spoken.kind == "seq2seq" else None,
        max_new_tokens=spoken.max_target_tokens,
        do_sample=False,
    )


def batches(tokens: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices in batches of similar size, the largest first; the largest of a batch times their number is within the budget."""
    order = sorted(range(len(tokens)), key=lambda index: (-tokens[index], index))
    while order:
        rows = max(1, budget // max(1, tokens[order[0]]))
        yield order[:rows]
        order = order[rows:]


def one_line(text: str) -> str:
    """The first line that holds anything, with single spaces."""
    lines = text.strip().splitlines()
    return " ".join(lines[0].split()) if lines else ""


def _of_batch(uniforms: GroupUniforms, batch: Sequence[int], groups: Sequence[str]) -> Callable[[Tensor, int], Tensor]:
    """The same numbers, asked for by row of the batch (text by text, group by group)."""
    texts = torch.tensor(batch)

    def draws(rows: Tensor, position: int) -> Tensor:
        place = rows % len(groups)
        found = torch.empty(len(rows), dtype=torch.float64)
        for number, group in enumerate(groups):
            of_group = place == number
            if of_group.any():
                found[of_group] = uniforms(group, texts[rows[of_group] // len(groups)], position).double()
        return found

    return draws
