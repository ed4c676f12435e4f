"""Any causal or encoder-decoder model asked by a prompt, zero- or few-shot: the baselines of Jung et al. 2023, section 3.

Greedy, one line. The prompt is plain text; models that expect a chat template are not addressed as such. As students do, it reads
every run of white space in a text as one space.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from impdistill.errors import ModelError, TextError
from impdistill.evaluate.answers import Answers
from impdistill.evaluate.benchmarks import Benchmark
from impdistill.models.generative import generation_config, load_generative, most_positions
from impdistill.models.loading import choose_device, choose_dtype
from impdistill.models.student import batches, one_line

DEFAULT_BATCH_TOKENS = 16_384


@dataclass(frozen=True, slots=True)
class Prompt:
    """How a model without training is asked.

    Attributes:
        instruction: the first line; empty for none.
        examples: (x, y) pairs shown before the question; none for zero-shot.
        source_label, output_label: what stands before x and y.
    """

    instruction: str = "Summarize the sentence."
    examples: tuple[tuple[str, str], ...] = ()
    source_label: str = "Sentence:"
    output_label: str = "Summary:"

    def text(self, source: str) -> str:
        """The whole prompt for one source; what follows it is the output."""
        blocks = [self.instruction] if self.instruction else []
        blocks += [f"{self.source_label} {_flat(x)}\n{self.output_label} {_flat(y)}" for x, y in self.examples]
        return "\n\n".join([*blocks, f"{self.source_label} {_flat(source)}\n{self.output_label}"])


def output_label(instruction: str) -> str:
    """What to put before an output: "Paraphrase:" where the instruction asks for one, else "Summary:"."""
    return "Paraphrase:" if re.search(r"paraphras|re-?phras|re-?word|rewrit", instruction, re.IGNORECASE) else "Summary:"


def _flat(text: str) -> str:
    return " ".join(text.split())


@dataclass(frozen=True, slots=True, eq=False)
class PromptedModel:
    """A rewriter that asks a model by prompt.

    Attributes:
        name: as given to `load`.
        prompts: group -> how it is asked for.
        max_new_tokens: of an output; it ends earlier at a line break or the model's end token.
        max_batch_tokens: most tokens of prompts and outputs decoded at once.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    prompts: Mapping[str, Prompt]
    max_new_tokens: int = 64
    max_batch_tokens: int = DEFAULT_BATCH_TOKENS

    @classmethod
    def load(
        cls,
        name: str,
        prompts: Mapping[str, Prompt],
        *,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        max_new_tokens: int = 64,
    ) -> PromptedModel:
        """Load a model by folder, hub name or `starter:NAME`.

        Raises:
            ModelError: absent, or neither causal nor an encoder-decoder.
        """
        place = choose_device(device)
        model, tokenizer, kind = load_generative(name, revision=revision, dtype=choose_dtype(dtype, place))
        if kind == "causal":
            tokenizer.padding_side = "left"
        torch.nn.Module.to(model, place)
        model.train(False)
        return cls(name, model, tokenizer, prompts, max_new_tokens)

    @torch.inference_mode()
    def rewrite(self, texts: Sequence[str], group: str) -> list[str]:
        """One line per text, in order, possibly empty.

        Raises:
            ModelError: there is no prompt for the group.
            TextError: a prompt and its output do not fit the model's positions.
        """
        prompts, lengths = self._measured(texts, group)
        self._check_room(lengths)
        outputs = [""] * len(texts)
        for rows in batches(lengths, self.max_batch_tokens):
            for row, output in zip(rows, self._complete([prompts[row] for row in rows]), strict=True):
                outputs[row] = output
        return outputs

    def reads(self, texts: Sequence[str], group: str) -> list[bool]:
        """Which of n texts' prompts, with an output, fit the model's positions.

        Raises:
            ModelError: there is no prompt for the group.
        """
        positions = most_positions(self.model)
        return [positions is None or length <= positions for length in self._measured(texts, group)[1]]

    def _measured(self, texts: Sequence[str], group: str) -> tuple[list[str], list[int]]:
        """Prompts, and the tokens of each with its output."""
        if group not in self.prompts:
            raise ModelError(f"{self.name}: no prompt for group {group!r}; there are prompts for {', '.join(self.prompts)}")
        prompts = [self.prompts[group].text(text) for text in texts]
        return prompts, [len(ids) + self.max_new_tokens for ids in self.tokenizer(prompts, verbose=False).input_ids]

    def _complete(self, prompts: list[str]) -> list[str]:
        # token types (BERT-like tokenizers) are no argument of generate
        batch = self.tokenizer(prompts, padding=True, return_tensors="pt", return_token_type_ids=False).to(self.model.device)
        settings = generation_config(
            max_new_tokens=self.max_new_tokens,
            do_sample=False,
            pad_token_id=self.tokenizer.pad_token_id,
            eos_token_id=self.tokenizer.eos_token_id,
            decoder_start_token_id=getattr(self.model.config, "decoder_start_token_id", None),
            stop_strings=None if self.model.config.is_encoder_decoder else ["\n"],
        )
        generate: Any = self.model.generate
        produced = generate(**batch, generation_config=settings, tokenizer=self.tokenizer)  # (rows, tokens)
        start = 0 if self.model.config.is_encoder_decoder else batch["input_ids"].shape[1]
        written = self.tokenizer.batch_decode(produced[:, start:], skip_special_tokens=True)
        return [one_line(text) for text in written]

    def _check_room(self, lengths: Sequence[int]) -> None:
        positions = most_positions(self.model)
        if positions is not None and max(lengths) > positions:
            number = max(range(len(lengths)), key=lambda row: lengths[row])
            raise TextError(
                f"text {number + 1} of {len(lengths)}: its prompt and {self.max_new_tokens} new tokens need {lengths[number]} "
                f"positions, and {self.name} has {positions}; shorten the text or the examples"
            )


@dataclass(frozen=True, slots=True)
class Prompting:
    """A model asked by prompt, as a system: items whose prompt is longer than it reads are left out for it.

    Attributes:
        name: as printed.
        model: the model.
        group: which of its prompts.
    """

    name: str
    model: PromptedModel
    group: str

    def can_answer(self, benchmark: Benchmark) -> bool:
        """Whether it can read any item."""
        return any(self.model.reads(benchmark.sources, self.group))

    def answer(self, benchmark: Benchmark) -> Answers:
        """Its outputs for the items that it can read.

        Raises:
            TextError: it can read none.
        """
        rows = [row for row, reads in enumerate(self.model.reads(benchmark.sources, self.group)) if reads]
        if not rows:
            raise TextError(f"{self.name}: no prompt of {benchmark.name} fits the positions of the model; give fewer --shots")
        sources = tuple(benchmark.sources[row] for row in rows)
        return Answers(sources, tuple(self.model.rewrite(sources, self.group)), tuple(benchmark.references[row] for row in rows))
