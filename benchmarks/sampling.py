"""Sentences a second after one context: the sampler beside transformers' `generate` and beside a bare forward over the same tokens.

`generate(num_return_sequences=SAMPLES)` is called once a context, with the same nucleus, and with the same stop rule as a stopping
criterion that looks at a row only when its last token could end a sentence. The ceiling is the model alone over as many tokens as
were sampled, whole texts at once, without cache or choice of tokens. All take turns, and ratios are of times of the same turn, so
that other work on the machine weighs on all alike.

Run: python benchmarks/sampling.py [--model starter:teacher] [--contexts 8] [--samples 100] [--dtype auto] [--rounds 5]
        [--shape gpt2-xl] [--smoke]
`--shape gpt2-xl` measures a model of that shape with random weights.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel, StoppingCriteria, StoppingCriteriaList

from impdistill.decode.nucleus import Continuation, Nucleus, _token_kinds, sample_continuations
from impdistill.models.rows import can_share
from impdistill.models.teacher import Teacher
from impdistill.text.sentences import scan
from made_up import made_teacher
from result import Row, print_result

BAR = 3.0
"""Times faster than `generate`, on a CPU with two cores and a small model."""

TOKENS_BAR = 100_000.0
"""Tokens/s in GPT-2 XL's shape on an H200, at least."""

PREFIX_TOKENS = 60


def made_prefixes(teacher: Teacher, opening: str, count: int) -> list[str]:
    """Texts of about `PREFIX_TOKENS` tokens, by the teacher itself."""
    nucleus = Nucleus(top_p=0.8, max_new_tokens=PREFIX_TOKENS - len(teacher.encode(opening)))
    texts = sample_continuations(
        teacher, [opening], keys=[(0, 0)], samples=count, sentences=[99], nucleus=nucleus, seed=0, stage="prefixes"
    )[0]
    return [f"{opening} {text.text}" for text in texts]


class SentenceStop(StoppingCriteria):
    """Rows are done at the end of their first sentence; `lengths` are their tokens until then."""

    def __init__(self, teacher: Teacher, prefix_tokens: int, rows: int, vocabulary: int) -> None:
        self.teacher, self.prefix_tokens = teacher, prefix_tokens
        self.could_stop, _ = _token_kinds(teacher.tokenizer, vocabulary)
        self.lengths = [0] * rows
        self.done = [False] * rows
        self.unsettled = [False] * rows

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        for row, token in enumerate(input_ids[:, -1].tolist()):
            if self.done[row]:
                continue
            self.lengths[row] += 1
            if self.could_stop[token] or self.unsettled[row]:
                seen = scan(self.teacher.decode(input_ids[row, self.prefix_tokens :].tolist()).rstrip("\ufffd"))
                self.done[row], self.unsettled[row] = seen.end is not None, not seen.settled
        return torch.tensor(self.done, device=input_ids.device)


@torch.no_grad()
def generated(teacher: Teacher, prefixes: list[str], samples: int, nucleus: Nucleus) -> int:
    """Tokens that transformers' own loop samples until the stops."""
    tokens = 0
    settings = GenerationConfig(
        do_sample=True,
        top_p=nucleus.top_p,
        top_k=0,
        temperature=nucleus.temperature,
        max_new_tokens=nucleus.max_new_tokens,
        num_return_sequences=samples,
        suppress_tokens=list(teacher.end_token_ids) or None,
        pad_token_id=0,
    )
    for prefix in prefixes:
        ids = torch.tensor([teacher.encode(prefix)], device=teacher.device)
        stop = SentenceStop(teacher, ids.shape[1], samples, teacher.model.config.vocab_size)
        teacher.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings, stopping_criteria=StoppingCriteriaList([stop])
        )
        tokens += sum(stop.lengths)
    return tokens


@torch.no_grad()
def bare_forward(teacher: Teacher, tokens: int, length: int) -> None:
    """The model alone over `tokens` tokens in rows of `length`."""
    left = max(1, tokens // length)
    while left > 0:
        rows = min(left, 400)
        teacher.model(input_ids=torch.full((rows, length), 5, device=teacher.device), use_cache=False)
        left -= rows


def timed(teacher: Teacher, run: Callable[[], int]) -> tuple[float, int]:
    start = time.perf_counter()
    tokens = run()
    if teacher.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start, tokens


def shaped_like(shape: str, teacher: Teacher) -> Teacher:
    if shape != "gpt2-xl":
        return teacher
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    model = GPT2LMHeadModel(GPT2Config(n_embd=1600, n_layer=48, n_head=25, **ends)).to(teacher.device, teacher.dtype).eval()
    return replace(teacher, model=model, max_positions=1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter:teacher")
    parser.add_argument("--opening", default="<|endoftext|>News:", help="what the prefixes begin with")
    parser.add_argument("--shape", choices=["own", "gpt2-xl"], default="own")
    parser.add_argument("--contexts", type=int, default=8)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--top-p", type=float, default=0.7)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--smoke", action="store_true", help="a made-up model, 2 contexts x 6 samples in fp32, one round: equality only")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.contexts, arguments.samples, arguments.rounds, arguments.dtype = 2, 6, 1, "float32"
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as work:
        model = made_teacher(Path(work)) if arguments.smoke else arguments.model
        teacher = Teacher.load(model, device=arguments.device, dtype=arguments.dtype)
    prefixes = made_prefixes(teacher, arguments.opening, arguments.contexts)
    teacher = shaped_like(arguments.shape, teacher)
    nucleus = Nucleus(top_p=arguments.top_p, max_new_tokens=24 if arguments.smoke else 64)
    found: list[list[Continuation]] = []

    def ours(max_rows: int = 800) -> int:
        found[:] = sample_continuations(
            teacher,
            prefixes,
            keys=[(number, 0) for number in range(len(prefixes))],
            samples=arguments.samples,
            sentences=[1] * len(prefixes),
            nucleus=nucleus,
            seed=0,
            stage="pools",
            max_rows=max_rows,
        )
        return sum(each.token_count for pool in found for each in pool)

    if arguments.smoke:
        ours(max_rows=1)
        one_by_one = list(found)
        ours()
        assert found == one_by_one, "texts depend on what is sampled together"

    sampled = ours()
    mean_length = round(sampled / (len(prefixes) * arguments.samples))
    contestants: dict[str, Callable[[], int]] = {
        "sampling": ours,
        "generate": lambda: generated(teacher, prefixes, arguments.samples, nucleus),
        "bare forward": lambda: bare_forward(teacher, sampled, mean_length) or sampled,
    }
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(arguments.rounds + (not arguments.smoke)):
        for name, run in contestants.items():
            seconds, tokens = timed(teacher, run)
            if turn or arguments.smoke:  # the first turn warms up
                rates[name].append(tokens / seconds)

    speedup = statistics.median(own / other for own, other in zip(rates["sampling"], rates["generate"], strict=True))
    share = statistics.median(own / other for own, other in zip(rates["sampling"], rates["bare forward"], strict=True))
    print(
        f"{len(prefixes)} contexts of {PREFIX_TOKENS} tokens x {arguments.samples} samples, {mean_length} tokens a sentence, "
        f"top_p {nucleus.top_p}, {teacher.dtype} on {teacher.device}, {torch.get_num_threads()} threads, "
        f"{'shared' if can_share(teacher.model) else 'copied'} prefixes, {len(rates['sampling'])} rounds"
    )
    for name, values in rates.items():
        print(f"  {name:14}{statistics.median(values):10.0f} tokens/s")
    print(f"  sampling : generate      {speedup:6.2f}   bar {BAR}")
    print(f"  sampling : bare forward  {share:6.2f}   ceiling 1")
    medians = {name: round(statistics.median(values), 1) for name, values in rates.items()}
    on_gpu = teacher.device.type == "cuda" and arguments.shape == "gpt2-xl"
    rows = [
        Row(
            name="Sampling: the first sentence after a context",
            conditions=f"{arguments.samples} x {len(prefixes)} contexts" + (", GPT-2 XL's shape" if arguments.shape == "gpt2-xl" else ""),
            bar=BAR,
            bar_on="ratio",
            unit="tokens/s",
            measured=medians["sampling"],
            ratio=speedup,
            beside="generate with the same stop rule",
            ceiling=medians["bare forward"],
            ceiling_of="model alone",
            share=share,
        ),
        Row(
            name="Sampling in GPT-2 XL's shape on a GPU",
            bar=TOKENS_BAR,
            bar_on="measured",
            unit="tokens/s",
            measured=medians["sampling"] if on_gpu else None,
            ceiling=medians["bare forward"] if on_gpu else None,
            ceiling_of="model alone",
            share=share if on_gpu else None,
        ),
    ]
    ratios = {"generate": round(speedup, 2), "bare forward": round(share, 3)}
    more = {"tokens_per_second": medians, "ratios": ratios}
    print_result("sampling", "decoding", rows, arguments, device=str(teacher.device), dtype=str(teacher.dtype), **more)


if __name__ == "__main__":
    main()
