"""Many sampled continuations of each prefix, that stop at a sentence end (Jung et al. 2023, section 2.1.1, equation 2).

The model's end of text is never sampled: whole sentences are asked for, and a context after which a teacher would end its
document would only yield empty texts.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from impdistill.decode.draw import draw
from impdistill.decode.randomness import uniforms
from impdistill.decode.vocabulary import read_vocabulary
from impdistill.errors import TextError
from impdistill.models.memory import in_halving_batches
from impdistill.models.rows import Rows, few_sizes, open_rows
from impdistill.models.teacher import Teacher
from impdistill.text.sentences import scan

MAX_ROWS = 800
_NUMBERS_AHEAD = 4
"""Random numbers made beforehand for each token; few draws are repeated more often."""
_SAMPLE_BITS, _STEP_BITS = 20, 16
_STOP = re.compile(r"""[.!?…]["”’'»)\]*_]*$""")
_COULD_STOP = re.compile(r"[.!?…\n\ufffd]")


@dataclass(frozen=True, slots=True)
class Nucleus:
    """How a token is chosen, and how many.

    Attributes:
        top_p: probability of the nucleus, in (0, 1]; 1 samples from all tokens.
        temperature: > 0, divides the logits.
        max_new_tokens: of one continuation, at most 65,536.
    """

    top_p: float
    temperature: float = 1.0
    max_new_tokens: int = 64

    def __post_init__(self) -> None:
        if not 0 < self.top_p <= 1 or self.temperature <= 0 or not 1 <= self.max_new_tokens <= 1 << _STEP_BITS:
            raise ValueError(f"0 < top_p <= 1, temperature > 0 and 1 <= max_new_tokens <= {1 << _STEP_BITS} are needed: {self}")


@dataclass(frozen=True, slots=True)
class Continuation:
    """What was sampled after a prefix.

    Attributes:
        text: the new text only, without white space around it, cut just after the last sentence end asked for.
        token_count: tokens sampled, those after the cut included.
        finished: whether all sentences asked for came to an end before the token limit.
        log_probability: mean natural logarithm of the probability of each token sampled, at the temperature, before the nucleus was cut;
            not compared, since its last bits depend on the shape of a batch.
    """

    text: str
    token_count: int
    finished: bool
    log_probability: float = field(compare=False)


@torch.no_grad()
def sample_continuations(
    teacher: Teacher,
    prefixes: Sequence[str],
    *,
    keys: Sequence[tuple[int, int]],
    samples: int,
    sentences: Sequence[int],
    nucleus: Nucleus,
    seed: int,
    stage: str,
    max_rows: int = MAX_ROWS,
) -> list[list[Continuation]]:
    """Sample continuations of several prefixes, each until its sentences are complete.

    In exact arithmetic a text depends on (prefix, key, number of the sample, seed, stage) alone. Floating point depends on the shape
    of a batch too, so the texts are a function of all arguments; nothing else in the process changes them.

    Args:
        teacher: the model.
        prefixes: what is gone on from.
        keys: one (context, attempt) a prefix, for the random numbers; context >= 0, attempt in [0, 4096).
        samples: continuations a prefix, at most 2**20.
        sentences: one a prefix: after how many sentence ends its continuations stop.
        nucleus: how tokens are chosen.
        seed: of the run.
        stage: name of the stage.
        max_rows: most continuations decoded at once; fewer where memory runs out, which `teacher.notes` then say.

    Returns:
        For each prefix its continuations, in order.

    Raises:
        TextError: a prefix and `max_new_tokens` exceed the model's positions.
        ModelError: the model's outputs are not finite numbers, or there is no memory for a single continuation.
    """
    if not len(prefixes) == len(keys) == len(sentences):
        raise ValueError(f"one key and one number of sentences per prefix: {len(prefixes)}, {len(keys)}, {len(sentences)}")
    encoded = [teacher.encode(prefix) for prefix in prefixes]
    longest = max((len(ids) for ids in encoded), default=0)
    if teacher.max_positions is not None and longest + nucleus.max_new_tokens > teacher.max_positions:
        raise TextError(
            f"a prefix of {longest} tokens and {nucleus.max_new_tokens} new ones exceed the {teacher.max_positions} positions of "
            f"{teacher.name}; shorten the prefix or lower max_new_tokens"
        )
    every = [(prefix, sample) for prefix in range(len(prefixes)) for sample in range(samples)]
    found: list[list[Continuation]] = [[] for _ in prefixes]

    def sample(batch: Sequence[tuple[int, int]]) -> None:
        owners = [prefix for prefix, _ in batch]
        first, last = owners[0], owners[-1]
        counts = [owners.count(prefix) for prefix in range(first, last + 1)]
        rows, logits = open_rows(teacher.model, encoded[first : last + 1], counts, nucleus.max_new_tokens)
        contexts = torch.tensor([keys[prefix][0] for prefix in owners], device=logits.device)
        numbers = torch.tensor([keys[prefix][1] << _SAMPLE_BITS | sample for prefix, sample in batch], device=logits.device)
        randomness = _Randomness(seed, stage, contexts, numbers, nucleus.max_new_tokens)
        continuations = _continue(teacher, rows, logits, [sentences[prefix] for prefix in owners], nucleus, randomness)
        for prefix, continuation in zip(owners, continuations, strict=True):
            found[prefix].append(continuation)

    in_halving_batches(every, max_rows, sample, teacher.notes, "sampling")
    return found


class _Randomness:
    """The random numbers of b rows: `contexts` and `samples` (b,) say which."""

    def __init__(self, seed: int, stage: str, contexts: Tensor, samples: Tensor, steps: int) -> None:
        self._seed, self._stage, self._contexts, self._samples = seed, stage, contexts, samples
        positions = torch.arange(steps, device=contexts.device)[:, None]
        repetitions = torch.arange(_NUMBERS_AHEAD, device=contexts.device) << _STEP_BITS
        self._ahead = uniforms(seed, stage, contexts[:, None, None], samples[:, None, None], positions | repetitions)

    def __call__(self, rows: Tensor, step: int, repetition: int) -> Tensor:
        """(m,) numbers in [0, 1), for a token of these rows and the draw's repetition."""
        if repetition < _NUMBERS_AHEAD:
            return self._ahead[rows, step, repetition]
        return uniforms(self._seed, self._stage, self._contexts[rows], self._samples[rows], step | repetition << _STEP_BITS)


def _continue(
    teacher: Teacher, rows: Rows, logits: Tensor, sentences: Sequence[int], nucleus: Nucleus, randomness: _Randomness
) -> list[Continuation]:
    """Sample until every row is finished; `logits` (b, vocab) are those of the first tokens."""
    device = logits.device
    could_stop, mute = _token_kinds(teacher.tokenizer, logits.shape[1])
    banned = torch.tensor(sorted({*mute, *teacher.end_token_ids}), device=device)
    written: list[list[int]] = [[] for _ in sentences]
    log_probability = [0.0] * len(sentences)
    finished: dict[int, Continuation] = {}
    unsettled: set[int] = set()
    batch = list(range(len(sentences)))  # the rows that are decoded: finished ones too, until they are retired
    for step in range(nucleus.max_new_tokens):
        # 1. A token for every row of the batch.
        numbers = torch.tensor(batch, device=device)
        tokens, probabilities = draw(
            logits,
            nucleus.top_p,
            nucleus.temperature,
            banned,
            lambda places, repetition: randomness(numbers[places], step, repetition),  # noqa: B023 (called before the loop goes on)
        )

        # 2. Which rows does it finish? Only a stop can, or what follows a stop that was left undecided.
        last = step + 1 == nucleus.max_new_tokens
        for row, token, log in zip(batch, tokens.tolist(), probabilities.log().tolist(), strict=True):
            if row in finished:
                continue
            written[row].append(token)
            log_probability[row] += log
            if not (last or could_stop[token] or row in unsettled):
                continue
            text = teacher.decode(written[row])
            seen = scan(text if last else text.rstrip("\ufffd"), sentences[row], final=last)
            (unsettled.discard if seen.settled else unsettled.add)(row)
            if last or seen.end is not None:
                cut = text[: seen.end].strip()
                ended = seen.end is not None and bool(_STOP.search(cut))
                finished[row] = Continuation(cut, step + 1, ended, log_probability[row] / (step + 1))

        # 3. Retire finished rows now and then, and go on.
        if len(finished) == len(sentences):
            break
        size = few_sizes(len(sentences) - len(finished))
        if size < len(batch):
            growing_first = sorted(range(len(batch)), key=lambda place: batch[place] in finished)
            places = sorted(growing_first[:size])
            kept = torch.tensor(places, device=device)
            rows.keep(kept)
            tokens, batch = tokens.index_select(0, kept), [batch[place] for place in places]
        logits = rows.step(tokens)
    return [finished[row] for row in range(len(sentences))]


@functools.lru_cache(maxsize=8)
def _token_kinds(tokenizer: PreTrainedTokenizerBase, size: int) -> tuple[tuple[bool, ...], tuple[int, ...]]:
    """For every token whether a sentence could end in it; and the tokens that add no text."""
    pieces = read_vocabulary(tokenizer, size).pieces
    return tuple(bool(_COULD_STOP.search(piece)) for piece in pieces), tuple(token for token, piece in enumerate(pieces) if not piece)
