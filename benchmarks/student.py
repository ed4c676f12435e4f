"""Five groups for many sentences: the student's own decoding beside five calls of transformers' `generate`.

The same model, sentences, end tokens and limit of tokens. `generate` is called once a group with all sentences in the order in which
they come; beside it stands the kinder way, sentences sorted by length and generated 64 at a time. The ceiling is the model alone over
as many tokens as were read once and written, whole texts at once, without cache or choice of tokens. All take turns, and ratios are of
times of the same turn, so that other work on the machine weighs on all alike.

A model that is no student yet is spoken to like one. It has not learnt to end, so its outputs also end in a full stop.

Run: python benchmarks/student.py [--model starter:student-base] [--sentences 1000] [--texts FILE] [--dtype auto] [--rounds 3] [--smoke]
FILE has one sentence a line; without it, the starter's teacher writes them.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from impdistill.decode.nucleus import Nucleus, sample_continuations
from impdistill.errors import ModelError
from impdistill.models.generative import generation_config
from impdistill.models.loading import resolve
from impdistill.models.rows import can_share
from impdistill.models.student import Student, one_line
from impdistill.models.student_decoding import left_padded
from impdistill.models.student_format import StudentFormat
from impdistill.models.teacher import Teacher
from impdistill.text.wellformed import refusal
from made_up import GROUPS, as_student, made_student, made_teacher
from result import Row, print_result

BAR = 2.0
"""Times faster than five calls of `generate`, on a CPU with two cores and a small model."""
AT_ONCE = 64
"""Sentences a call of the kinder way."""
BARE_ROWS = 128

Outputs = dict[str, list[str]]


class Untrained(Student):
    """Ends an output in a full stop too."""

    @property
    def _ends(self) -> frozenset[int]:
        return super()._ends | {token for piece, token in self.tokenizer.get_vocab().items() if piece.endswith(".")}


def load(model: str, work: Path, device: str, dtype: str) -> Student:
    try:
        StudentFormat.read(model)
    except ModelError:
        folder = work / "untrained"
        shutil.copytree(resolve(model), folder)
        as_student(folder, base=model, max_target_tokens=64)
        return Untrained.load(str(folder), device=device, dtype=dtype)
    return Student.load(model, device=device, dtype=dtype)


def sentences_of(arguments: argparse.Namespace, teacher: str) -> list[str]:
    """Different sentences, in no order."""
    if arguments.texts is not None:
        lines = arguments.texts.read_text(encoding="utf-8").splitlines()
        return [line.strip() for line in lines if line.strip()][: arguments.sentences]
    writer = Teacher.load(teacher, device=arguments.device, dtype=arguments.dtype)
    found: dict[str, None] = {}
    for attempt in range(20):
        written = sample_continuations(
            writer,
            ["<|endoftext|>News:"],
            keys=[(attempt, 0)],
            samples=arguments.sentences,
            sentences=[1],
            nucleus=Nucleus(top_p=0.9),
            seed=0,
            stage="sentences",
        )[0]
        found |= dict.fromkeys(each.text for each in written if each.finished and (arguments.smoke or refusal(each.text) is None))
        if len(found) >= arguments.sentences:
            return list(found)[: arguments.sentences]
    raise SystemExit(f"the model wrote only {len(found)} different sentences; ask for fewer, or give --texts")


@torch.no_grad()
def generated(student: Student, texts: Sequence[str], group: str, order: Sequence[int], at_once: int) -> list[str]:
    """transformers' own loop, `at_once` texts a call."""
    prompts = student.format.prompts(student.tokenizer, texts, group)
    seq2seq = student.format.kind == "seq2seq"
    pad, ends = student._collator.pad, student._ends  # once: an untrained student looks through its vocabulary for them
    settings = generation_config(
        max_new_tokens=student.format.max_target_tokens,
        do_sample=False,
        eos_token_id=sorted(ends),
        pad_token_id=pad,
        decoder_start_token_id=student._collator.start if seq2seq else None,
    )
    outputs = [""] * len(texts)
    for first in range(0, len(order), at_once):
        batch = order[first : first + at_once]
        ids, mask = left_padded([prompts[index].ids for index in batch], pad, right=seq2seq)
        ids, mask = ids.to(student.device), mask.to(student.device)
        rows = student.model.generate(input_ids=ids, attention_mask=mask, generation_config=settings)
        for index, row in zip(batch, rows[:, 1 if seq2seq else ids.shape[1] :].tolist(), strict=True):
            written = row[: next((place for place, token in enumerate(row) if token in ends), len(row))]
            outputs[index] = one_line(student.tokenizer.decode(written, skip_special_tokens=True, clean_up_tokenization_spaces=False))
    return outputs


def token_counts(student: Student, texts: Sequence[str], outputs: Outputs) -> tuple[int, int]:
    """Tokens that must be read once, and tokens written, end tokens included."""
    read = written = 0
    for group, of_group in outputs.items():
        prompts = student.format.prompts(student.tokenizer, texts, group)
        read += sum(len(prompt.own) for prompt in prompts)
        read += sum(len(prompt.shared) for prompt in prompts) if group == next(iter(outputs)) else 0
        limit = student.format.max_target_tokens
        written += sum(min(limit, len(ids)) for ids in student.format.targets(student.tokenizer, of_group))
    return read, written


@torch.no_grad()
def bare_forward(student: Student, tokens: int, length: int) -> None:
    """The model alone over `tokens` tokens in rows of `length`."""
    left = max(1, tokens // length)
    while left > 0:
        ids = torch.full((min(left, BARE_ROWS), length), 5, device=student.device)
        student.model(input_ids=ids, **({"decoder_input_ids": ids[:, :1]} if student.format.kind == "seq2seq" else {}))
        left -= BARE_ROWS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter:student-base")
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--smoke", action="store_true", help="a made-up model, 12 sentences in fp32: equal outputs only")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.sentences, arguments.rounds, arguments.dtype = 12, 1, "float32"
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as work:
        model = made_student(Path(work) / "student") if arguments.smoke else arguments.model
        student = load(model, Path(work), arguments.device, arguments.dtype)
        texts = sentences_of(arguments, made_teacher(Path(work) / "teacher") if arguments.smoke else "starter:teacher")
    groups = [group for group in GROUPS if group in student.groups] or list(student.groups)
    found: dict[str, Outputs] = {}
    by_length = sorted(range(len(texts)), key=lambda index: -len(texts[index]))

    def ours() -> None:
        found["student"] = student.rewrite_groups(texts, groups)

    def theirs() -> None:
        found["generate"] = {group: generated(student, texts, group, range(len(texts)), len(texts)) for group in groups}

    def sorted_by_length() -> None:
        found["generate, sorted"] = {group: generated(student, texts, group, by_length, AT_ONCE) for group in groups}

    ours()
    read, written = token_counts(student, texts, found["student"])
    length = round((read + written) / (len(texts) * len(groups)))
    contestants: dict[str, Callable[[], None]] = {
        "student": ours,
        "generate": theirs,
        "generate, sorted": sorted_by_length,
        "bare forward": lambda: bare_forward(student, read + written, length),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(arguments.rounds + (not arguments.smoke)):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            if student.device.type == "cuda":
                torch.cuda.synchronize()
            if turn or arguments.smoke:  # the first turn warms up
                seconds[name].append(time.perf_counter() - start)

    def same(other: str) -> float:
        return statistics.mean(a == b for group in groups for a, b in zip(found["student"][group], found[other][group], strict=True))

    agreement = {name: same(name) for name in ("generate", "generate, sorted")}
    if arguments.smoke:
        assert set(agreement.values()) == {1.0}, f"outputs differ: {agreement}"
        assert len({text for of_group in found["student"].values() for text in of_group}) > len(groups), "all outputs are the same"

    ratio = {name: statistics.median(a / b for a, b in zip(seconds[name], seconds["student"], strict=True)) for name in contestants}
    rate = {name: len(texts) / statistics.median(values) for name, values in seconds.items()}
    print(
        f"{len(groups)} groups for {len(texts)} sentences, {read / len(texts):.0f} tokens read and {written / len(texts):.0f} written a "
        f"sentence, {student.dtype} on {student.device}, {torch.get_num_threads()} threads, "
        f"{'shared' if can_share(student.model) else 'copied'} prefixes, {len(seconds['student'])} rounds"
    )
    for name, value in rate.items():
        print(f"  {name:18}{value:10.1f} sentences/s")
    print(f"  student : generate          {ratio['generate']:6.2f}   bar {BAR}")
    print(f"  student : generate, sorted  {ratio['generate, sorted']:6.2f}   {AT_ONCE} at a time")
    print(f"  student : bare forward      {ratio['bare forward']:6.2f}   ceiling 1")
    print(", ".join(f"{share:.1%} of the outputs equal those of {name}" for name, share in agreement.items()))
    row = Row(
        name="Student: five groups for each sentence",
        conditions=f"{len(texts):,} sentences",
        bar=BAR,
        bar_on="ratio",
        unit="sentences/s",
        measured=rate["student"],
        ratio=ratio["generate"],
        beside="five calls of generate",
        ceiling=rate["bare forward"],
        ceiling_of="model alone",
        share=ratio["bare forward"],
    )
    more = {"sentences_per_second": rate, "ratios": ratio, "agreement": agreement}
    print_result("student", "decoding", [row], arguments, device=str(student.device), dtype=str(student.dtype), **more)


if __name__ == "__main__":
    main()
