"""From contexts to the kept pairs of D0: our loop beside a plain one with the same models and settings.

The plain loop works as the paper's own code does: fp32, one context a call of transformers' `generate`, both models loaded anew every ten
contexts, all ordered pairs of a pool judged (batches of 32 as they come) before any cheap filter looks at them, filters pair by pair,
and Algorithm 1 over every two pairs. It is spared what would only make it slower: rows stop at their sentence end as ours do, its answers
serve both tasks and the diversity graph, and neither loop does sequential generation, for which transformers has no decoder any more.

Ours runs the stages of a recipe into a run directory, loading, writing and checksums included: once in the number format that it
chooses for the machine, once in fp32; the two take three turns, of which the median counts. The plain loop, which takes by far the longest,
runs once. There is no ceiling: the bar is the ratio of seconds a context.

Run: python benchmarks/plain_loop.py [--teacher starter:teacher] [--judge starter:judge] [--contexts 40] [--plain-contexts 10] [--smoke]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import permutations
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from rouge_score.rouge_scorer import RougeScorer
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import WordLevel
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    StoppingCriteria,
    StoppingCriteriaList,
)

from impdistill.decode.nucleus import _token_kinds
from impdistill.filters import Candidates, Filter, run_block
from impdistill.generate.contexts import context_refusal
from impdistill.generate.prefixes import joined
from impdistill.models.generative import quiet_transformers
from impdistill.models.judge import Judge, label_columns
from impdistill.models.loading import resolve
from impdistill.models.teacher import Teacher
from impdistill.pipeline import _Maker, loop
from impdistill.recipe import NucleusSampling, Recipe
from impdistill.run import RunDirectory
from impdistill.stages.step import FolderStep, RowStep
from impdistill.tasks import tasks_of
from impdistill.text.sentences import scan, split_sentences
from impdistill.text.wellformed import refusal, without_lone_quote
from impdistill.text.words import word_count, words
from result import Row, print_result

BAR = 10.0
CONTEXTS_PER_LOAD = 10
JUDGE_BATCH = 32
TURNS = 3
"""Of ours."""
ROUGE = RougeScorer(["rougeL"], use_stemmer=False)

AnyStep = TypeVar("AnyStep", RowStep, FolderStep)
Matrix = NDArray[np.float32]
Kept = dict[str, set[tuple[str, str]]]
"""Task -> kept pairs of one context."""


# The plain loop


class SentenceStop(StoppingCriteria):
    """A row is done when its sentences are complete; looked at only when its last token could end one."""

    def __init__(self, teacher: Teacher, prefix_tokens: int, rows: int, sentences: int) -> None:
        self.teacher, self.prefix_tokens, self.sentences = teacher, prefix_tokens, sentences
        self.could_stop, _ = _token_kinds(teacher.tokenizer, teacher.model.config.vocab_size)
        self.done = [False] * rows
        self.unsettled = [False] * rows

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        for row, token in enumerate(input_ids[:, -1].tolist()):
            if not self.done[row] and (self.could_stop[token] or self.unsettled[row]):
                text = self.teacher.decode(input_ids[row, self.prefix_tokens :].tolist())
                seen = scan(text.rstrip("\ufffd"), self.sentences)
                self.done[row], self.unsettled[row] = seen.end is not None, not seen.settled
        return torch.tensor(self.done, device=input_ids.device)


@torch.no_grad()
def generated(teacher: Teacher, prefix: str, samples: int, sentences: int, sampling: NucleusSampling) -> list[tuple[str, bool]]:
    """(text up to its last sentence end, whether that came) of each sample."""
    ids = torch.tensor([teacher.encode(prefix)], device=teacher.device)
    stop = SentenceStop(teacher, ids.shape[1], samples, sentences)
    settings = GenerationConfig(
        do_sample=True,
        top_p=sampling.top_p,
        top_k=0,
        temperature=sampling.temperature,
        max_new_tokens=sampling.max_new_tokens,
        num_return_sequences=samples,
        suppress_tokens=list(teacher.end_token_ids) or None,
        pad_token_id=0,
    )
    rows = teacher.model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings, stopping_criteria=StoppingCriteriaList([stop])
    )
    texts = [teacher.decode(row) for row in rows[:, ids.shape[1] :].tolist()]
    ends = [scan(text, sentences, final=True).end for text in texts]
    return [(text[:end].strip(), end is not None) for text, end in zip(texts, ends, strict=True)]


class PlainJudge:
    """All pairs through tokenizer and model, in batches as they come."""

    def __init__(self, name: str, device: torch.device) -> None:
        source = resolve(name)
        self.tokenizer = AutoTokenizer.from_pretrained(source)
        with quiet_transformers():
            self.model = AutoModelForSequenceClassification.from_pretrained(source, dtype=torch.float32).to(device).eval()
        self.column = label_columns(name, self.model.config.id2label)[0]

    @torch.no_grad()
    def matrix(self, sentences: Sequence[str]) -> Matrix:
        """P(premise => hypothesis) of all ordered pairs of k sentences, (k, k)."""
        pairs = list(permutations(range(len(sentences)), 2))
        found = np.ones((len(sentences),) * 2, dtype=np.float32)
        for start in range(0, len(pairs), JUDGE_BATCH):
            batch = pairs[start : start + JUDGE_BATCH]
            texts = [[sentences[pair[side]] for pair in batch] for side in (0, 1)]
            encoded = self.tokenizer(*texts, padding=True, truncation=True, return_tensors="pt").to(self.model.device)
            answers = self.model(**encoded).logits.softmax(1)[:, self.column].tolist()
            for pair, answer in zip(batch, answers, strict=True):
                found[pair] = answer
        return found


def plain_kept(sentences: Sequence[str], refused: Sequence[str | None], p: Matrix, recipe: Recipe) -> Kept:
    """Both tasks' filters pair by pair, everything judged already."""
    first: dict[str, int] = {}
    for index, sentence in enumerate(sentences):
        if refused[index] is None:
            first.setdefault(" ".join(sentence.split()).casefold(), index)
    kept: Kept = {}
    for task, wanted in recipe.tasks.items():
        filters = wanted.filters
        assert filters.length and filters.entailment and filters.diversity
        pairs = []
        for x, y in permutations(first.values(), 2):
            ratio = word_count(sentences[y]) / word_count(sentences[x])
            if not filters.length.minimum <= ratio < filters.length.maximum:
                continue
            if filters.abstractiveness and similarity(sentences[x], sentences[y]) > filters.abstractiveness.maximum:
                continue
            both = filters.entailment.direction == "both"
            if p[x, y] >= filters.entailment.threshold and (not both or p[y, x] >= filters.entailment.threshold):
                pairs.append((x, y))
        kept[task] = {(sentences[x], sentences[y]) for x, y in algorithm_1(pairs, p, filters.diversity.threshold)}
    return kept


def similarity(x: str, y: str) -> float:
    """max(ROUGE-L, Density / |y|)."""
    a, b = words(x), words(y)
    total = start = 0
    while start < len(b):
        longest = 0
        for other in range(len(a)):
            length = 0
            while start + length < len(b) and other + length < len(a) and b[start + length] == a[other + length]:
                length += 1
            longest = max(longest, length)
        total += longest**2
        start += max(longest, 1)
    return max(float(ROUGE.score(x, y)["rougeL"].fmeasure), total / len(b) ** 2 if b else 0.0)


def algorithm_1(pairs: list[tuple[int, int]], p: Matrix, threshold: float) -> list[tuple[int, int]]:
    """The best of each component, by a breadth-first search over every two pairs."""

    def same(a: int, b: int) -> bool:
        return a == b or max(p[a, b], p[b, a]) > threshold

    unseen, best = set(range(len(pairs))), []
    while unseen:
        component, frontier = [], [min(unseen)]
        unseen.discard(frontier[0])
        while frontier:
            node = frontier.pop()
            component.append(node)
            x, y = pairs[node]
            reached = [other for other in unseen if same(x, pairs[other][0]) or same(y, pairs[other][1])]
            unseen.difference_update(reached)
            frontier.extend(reached)
        best.append(pairs[min(component, key=lambda k: (-p[pairs[k]], k))])
    return best


def plain_loop(recipe: Recipe, contexts: int) -> int:
    """Pairs kept after so many contexts."""
    kept = 0
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    least, most = recipe.contexts.sentences
    for number in range(contexts):
        if number % CONTEXTS_PER_LOAD == 0:
            wanted = recipe.teachers[number // CONTEXTS_PER_LOAD % len(recipe.teachers)]
            teacher = Teacher.load(wanted.model, device=recipe.execution.device, dtype="float32")
            judge = PlainJudge(recipe.judge.model, teacher.device)
        prefix = wanted.prefix.removeprefix("literal:")
        sentences = int(rng.integers(least, most + 1))
        for _ in range(recipe.contexts.attempts):
            [(context, finished)] = generated(teacher, prefix, 1, sentences, recipe.contexts.sampling)
            if finished and context_refusal(context) is None:
                break
        else:
            continue
        samples = generated(teacher, joined(prefix, context), recipe.parallel.samples, 1, recipe.parallel.sampling)
        pool = [without_lone_quote(text) for text, _ in samples]
        said = {sentence.casefold() for sentence in split_sentences(context)}
        refused = [
            "unfinished" if not finished else "repetition" if text.casefold() in said else refusal(text)
            for text, (_, finished) in zip(pool, samples, strict=True)
        ]
        kept += sum(map(len, plain_kept(pool, refused, judge.matrix(pool), recipe).values()))
    return kept


# Ours


class ReachedDatasetError(Exception):
    """The stages before the dataset are done."""


def our_loop(recipe: Recipe, folder: Path) -> int:
    """Pairs kept, by the stages of a run."""
    run = RunDirectory.create(folder, recipe.to_yaml())
    maker = _Maker(run, recipe, lambda progress: None)
    kept = 0

    def do(step: AnyStep, /) -> AnyStep:
        nonlocal kept
        if step.lineage.stage.startswith("dataset."):
            raise ReachedDatasetError
        maker(step)
        if isinstance(step, RowStep) and step.lineage.stage.startswith("filter."):
            kept += sum(n for key, n in run.stage(step.lineage, step.blocks).counts().items() if key.endswith("/kept"))
        return step

    with run.lock(), suppress(ReachedDatasetError):
        loop(recipe, tasks_of(recipe), do)
    return kept


def our_kept(sentences: Sequence[str], refused: Sequence[str | None], judge: Judge, recipe: Recipe) -> Kept:
    """What the funnel keeps of one pool."""
    candidates = Candidates.from_pool(0, sentences, refused)
    chains: dict[str, Sequence[Filter]] = {task.name: task.filters for task in tasks_of(recipe)}
    [outcome] = run_block([candidates], chains, lambda: judge)
    text = candidates.sentences
    return {name: {(text[x], text[y]) for x, y in candidates.pairs[found.kept]} for name, found in outcome.tasks.items()}


def recipe_of(arguments: argparse.Namespace, teacher: str, judge: str, dtype: str) -> Recipe:
    """The starter recipe's settings, parallel generation only."""
    domains = ["none"] if arguments.smoke else [f"literal:<|endoftext|>{name}:" for name in ("News", "Reddit", "Biomedical")]
    content = {
        "name": "loop",
        "teachers": [{"domain": f"domain{number}", "model": teacher, "prefix": prefix} for number, prefix in enumerate(domains)],
        "contexts": {"count": arguments.contexts, "sentences": [1, 3], "sampling": {"top_p": 0.8, "max_new_tokens": 128}},
        "parallel": {"samples": arguments.samples},
        "sequential": {"outputs": 0},
        "judge": {"model": judge},
        "numerics": {"dtype": dtype},
        "execution": {"device": arguments.device},
    }
    thresholds = [
        f"tasks.{task}.filters.{rule}.threshold=0.75" for task in ("summary", "paraphrase") for rule in ("entailment", "diversity")
    ]
    smaller = ["contexts.sampling.max_new_tokens=24", "parallel.sampling.max_new_tokens=16", "numerics.contexts_per_block=2"]
    return Recipe.load(content, [*thresholds, *(smaller if arguments.smoke else ())])


# Tiny models, for --smoke

WORDS = (
    *("<end>", "<unk>", "The", "A", "council", "mayor", "committee", "approved", "rejected", "discussed", "the", "a", "new", "old"),
    *("budget", "plan", "bridge", "today", "again", "in", "public", "after", "long", "debate", "##.", "##,"),
)


def tiny_models(folder: Path) -> tuple[str, str]:
    """A teacher and a judge with random weights that know a few words; their folders."""
    torch.manual_seed(0)
    words_only = Tokenizer(WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    words_only.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words_only.decoder = decoders.WordPiece(cleanup=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words_only, eos_token="<end>", pad_token="<end>", sep_token="<end>", unk_token="<unk>", model_max_length=64
    )
    teacher = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(WORDS), n_positions=64, n_embd=16, n_layer=2, n_head=2, initializer_range=0.4, bos_token_id=0, eos_token_id=0
        )
    )
    labels = {0: "contradiction", 1: "entailment", 2: "neutral"}
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        initializer_range=0.3,
        max_position_embeddings=64,
        id2label=labels,
        label2id={label: index for index, label in labels.items()},
    )
    judge = BertForSequenceClassification(config)
    for name, model in (("teacher", teacher), ("judge", judge)):
        with quiet_transformers():
            model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return str(folder / "teacher"), str(folder / "judge")


def assert_same_kept(recipe: Recipe) -> int:
    """On pools that are given, both loops keep the same pairs; how many."""
    kept = 0
    judge, plain = Judge.load(recipe.judge.model, device="cpu", dtype="float32"), PlainJudge(recipe.judge.model, torch.device("cpu"))
    for seed in range(3):
        rng = np.random.default_rng(seed)
        texts = [
            " ".join([*rng.choice(WORDS[2:4], 1), *rng.choice(WORDS[4:24], int(rng.integers(4, 12)))]).removesuffix(",") + "."
            for _ in range(24)
        ]
        texts[5], texts[7] = texts[2], texts[3].upper()
        refused = [None] * 20 + ["list"] * 4
        p = plain.matrix(texts)
        levels = {"entailment": float(np.median(p)), "diversity": float(np.quantile(p, 0.995))}
        thresholds = [f"tasks.{task}.filters.{rule}.threshold={level}" for task in recipe.tasks for rule, level in levels.items()]
        wanted = Recipe.load(recipe.model_dump(mode="json"), thresholds)
        found = our_kept(texts, refused, judge, wanted)
        assert found == plain_kept(texts, refused, p, wanted), seed
        kept += sum(map(len, found.values()))
    assert kept, "nothing was kept, so nothing was compared"
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", default="starter:teacher")
    parser.add_argument("--judge", default="starter:judge")
    parser.add_argument("--contexts", type=int, default=40)
    parser.add_argument("--plain-contexts", type=int, default=CONTEXTS_PER_LOAD)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--smoke", action="store_true", help="tiny made-up models; the same pairs kept of the same pools, no speed")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.contexts, arguments.plain_contexts, arguments.samples = 2, 2, 6

    kept: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        teacher, judge = tiny_models(folder) if arguments.smoke else (arguments.teacher, arguments.judge)
        recipes = {f"ours {dtype}": recipe_of(arguments, teacher, judge, dtype) for dtype in ("auto", "float32")}
        if arguments.smoke:
            print(f"of pools that are given both keep the same {assert_same_kept(recipes['ours float32'])} pairs")
        turns: dict[str, list[float]] = {name: [] for name in recipes}
        for turn in range(1 if arguments.smoke else TURNS):
            for name, recipe in recipes.items():
                start = time.perf_counter()
                pairs = our_loop(recipe, folder / f"{name} {turn}")
                done = sum(recipe.contexts_of(arguments.contexts).values())
                turns[name].append((time.perf_counter() - start) / done)
                kept[name] = pairs / done
        seconds = {name: statistics.median(times) for name, times in turns.items()}
        start = time.perf_counter()
        pairs = plain_loop(recipes["ours float32"], arguments.plain_contexts)
        seconds["plain"], kept["plain"] = (time.perf_counter() - start) / arguments.plain_contexts, pairs / arguments.plain_contexts

    print(
        f"contexts to D0, {arguments.samples} samples a context: ours over {arguments.contexts} contexts, plain over "
        f"{arguments.plain_contexts}, {torch.get_num_threads()} threads"
    )
    for name, spent in seconds.items():
        print(f"  {name:14}{spent:10.3f} s a context   {kept[name]:8.2f} pairs a context")
    ratios = {name: round(seconds["plain"] / spent, 2) for name, spent in seconds.items() if name != "plain"}
    for name, ratio in ratios.items():
        print(f"  plain : {name:14}{ratio:8.2f}   bar {BAR}")
    rows = [
        Row(
            name=f"Contexts to D0, {'as the machine likes' if name.endswith('auto') else 'both in fp32'}",
            conditions=(
                f"{arguments.samples} samples a context; ours {arguments.contexts} contexts, median of {TURNS} turns; "
                f"plain {arguments.plain_contexts} contexts, once"
            ),
            bar=BAR,
            bar_on="ratio",
            unit="s a context",
            measured=seconds[name],
            ratio=ratio,
            beside="a plain loop",
        )
        for name, ratio in ratios.items()
    ]
    more = {"seconds_a_context": {name: round(spent, 4) for name, spent in seconds.items()}, "kept": kept, "ratios": ratios}
    print_result("plain_loop", "loop", rows, arguments, device=arguments.device, dtype="auto", **more)


if __name__ == "__main__":
    main()
