"""What a student's folder says of itself, and the prompt in which a student reads an instruction and x.

A student's folder is a plain transformers folder with one file more, `impdistill.json`. An encoder-decoder reads the
instruction before x (Jung et al. 2023, section 2.1.2). A causal student reads x first, so that what it computed for x serves the
instructions of all groups. In training and in use alike, every run of white space in a text becomes one space.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError
from transformers import PreTrainedTokenizerBase

from impdistill.errors import ModelError
from impdistill.models.loading import located

Kind = Literal["seq2seq", "causal"]
Borders: TypeAlias = Mapping[str, Sequence[float | None]]
"""Of a group: "compression" and "similarity" -> (lo, hi), lo <= value < hi; None: open on that side."""

FILE_NAME = "impdistill.json"
FORMAT_VERSION = 1
PROMPTS: Mapping[Kind, str] = {"seq2seq": "{instruction}{text}", "causal": "{text}\n{instruction}"}


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids of one prompt: the part that is the same for every group of a text, and the part that is the group's own."""

    shared: list[int]
    own: list[int]

    @property
    def ids(self) -> list[int]:
        return self.shared + self.own


@dataclass(frozen=True, slots=True)
class StudentFormat:
    """How a student is spoken to.

    Attributes:
        kind: "seq2seq" (encoder-decoder) or "causal".
        groups: name of a group -> the instruction that asks for it.
        prompt: template with `{instruction}` and `{text}`, each once.
        max_source_tokens: most tokens of a whole prompt.
        max_target_tokens: most tokens of y in training, its end token included.
        base: M0, the model that the first training started from; of a local folder its last part.
        trained_by: name and version of the program that trained it.
        borders: name of a group -> what outputs asked for as it should be; groups whose borders are not known are absent.
    """

    kind: Kind
    groups: Mapping[str, str]
    prompt: str
    max_source_tokens: int
    max_target_tokens: int
    base: str
    trained_by: str
    borders: Mapping[str, Borders] = field(default_factory=dict)

    def instruction(self, group: str) -> str:
        """Raises `ModelError` if the student has no such group; the message lists those it has."""
        if group not in self.groups:
            raise ModelError(f"unknown group {group!r}; this student knows {', '.join(self.groups)}")
        return self.groups[group]

    def prompts(self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], group: str) -> list[Prompt]:
        """The prompt of every text. Of a causal student, what stands before `{instruction}` is tokenised by itself."""
        instruction = self.instruction(group)
        before, after = (part.replace("{instruction}", instruction) for part in self.prompt.split("{text}"))
        whole = [" ".join(text.split()) for text in texts]
        if self.kind == "seq2seq":
            return [Prompt([], ids) for ids in token_ids(tokenizer, [before + text + after for text in whole], special=True)]
        start = [] if tokenizer.bos_token_id is None else [int(tokenizer.bos_token_id)]
        # A space at the end of a prompt belongs to y's first token in byte-level vocabularies.
        if self.prompt.index("{text}") < self.prompt.index("{instruction}"):
            (own,) = token_ids(tokenizer, [after.rstrip()], special=False)
            return [Prompt(start + ids, own) for ids in token_ids(tokenizer, [before + text for text in whole], special=False)]
        return [
            Prompt([], start + ids) for ids in token_ids(tokenizer, [(before + text + after).rstrip() for text in whole], special=False)
        ]

    def targets(self, tokenizer: PreTrainedTokenizerBase, outputs: Sequence[str]) -> list[list[int]]:
        """Token ids of every y, ending in the end token, as the student is trained to write them."""
        whole = [" ".join(output.split()) for output in outputs]
        end = int(tokenizer.eos_token_id)
        if self.kind == "causal":
            return [[*ids, end] for ids in token_ids(tokenizer, [f" {output}" for output in whole], special=False)]
        targets = tokenizer(text_target=whole, add_special_tokens=True).input_ids if whole else []
        return [ids if ids[-1:] == [end] else [*ids, end] for ids in targets]

    def write(self, folder: Path) -> None:
        content = {"format_version": FORMAT_VERSION, **asdict(self)}
        if not self.borders:
            del content["borders"]
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (folder / FILE_NAME).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, name: str, revision: str | None = None) -> StudentFormat:
        """Read `impdistill.json` from a local folder or the hub.

        Raises:
            ModelError: the model is no student (no such file), or the file is of another version or damaged.
        """
        path = _locate(name, revision)
        if path is None:
            raise ModelError(
                f"{name}: not a student, it has no {FILE_NAME}; give a folder that `impdistill run` or `impdistill export` wrote "
                "(a base model must be trained first)"
            )
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            version = content.pop("format_version")
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise ModelError(f"{path}: cannot be read ({type(error).__name__}: {error}); export the student again") from error
        if version != FORMAT_VERSION:
            raise ModelError(f"{path}: format {version}, and this impdistill reads {FORMAT_VERSION}; use a matching version")
        try:
            read = cls(**content)
        except TypeError as error:
            raise ModelError(f"{path}: {error}; export the student again") from error
        if read.kind not in PROMPTS or any(read.prompt.count(field) != 1 for field in ("{instruction}", "{text}")):
            raise ModelError(f"{path}: kind {read.kind!r} with prompt {read.prompt!r} is not understood; export the student again")
        if not _are_borders(read.borders):
            raise ModelError(f"{path}: borders {read.borders!r} are not understood; export the student again")
        return read


def _are_borders(found: object) -> bool:
    """Whether this is group -> compression, similarity -> [lo, hi]."""
    if not isinstance(found, dict) or not all(isinstance(of_group, dict) for of_group in found.values()):
        return False
    return all(
        set(of_group) == {"compression", "similarity"}
        and all(
            isinstance(ends, list) and len(ends) == 2 and all(isinstance(end, int | float | None) for end in ends)
            for ends in of_group.values()
        )
        for of_group in found.values()
    )


def token_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, special: bool) -> list[list[int]]:
    """Ids of every text, never cut; `special` adds the tokens an encoder expects around a text."""
    if not texts:
        return []
    encoded = tokenizer(list(texts), add_special_tokens=special, return_attention_mask=False, verbose=False)
    ids: list[list[int]] = encoded["input_ids"]
    return ids


def _locate(name: str, revision: str | None) -> Path | None:
    source, commit = located(name, revision)
    if Path(source).is_dir():
        path = Path(source) / FILE_NAME
        return path if path.is_file() else None
    try:
        return Path(hf_hub_download(source, FILE_NAME, revision=commit))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
            return None
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{name}: neither a local folder nor a student that can be had from the hub ({type(error).__name__}: {reason}); "
            "check the name, or give the path of a downloaded folder"
        ) from error
