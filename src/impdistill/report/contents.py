"""What a report says of a run: everything a page, a chart or a card could want, as plain values. Reads a run, loads no model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from impdistill.evaluate import Benchmark, PairShapes, group_counts, pair_shapes, process_yields, strategy_map
from impdistill.evaluate.benchmarks import told_apart
from impdistill.evaluate.dataset import ProcessYield, StrategyMap
from impdistill.filters import Cutoff
from impdistill.outcome import Run
from impdistill.report.cost import Cost, cost_of
from impdistill.report.provenance import ModelRecord, models_of, versions_of
from impdistill.report.quality import Quality, quality_of
from impdistill.report.reading import Drops, PairsToRead, drops_to_read, pairs_to_read
from impdistill.report.refusals import Refusals, refusals_of
from impdistill.report.rounds import RoundQuality, rounds_of
from impdistill.run import FolderStage, StageStore
from impdistill.tasks import Group, Task, tasks_of
from impdistill.text.words import words

BINS = 40
WORDS_SAMPLE = 20_000
"""Pairs whose words are counted for the histogram of lengths."""
BESIDE_SAMPLE = 20_000


@dataclass(frozen=True, slots=True)
class Funnel:
    """What became of the candidates of one process for one task.

    Attributes:
        steps: (what is left, how many), from all that were generated to those kept.
        dropped: reason -> how many; generated = kept + all of these.
    """

    task: str
    process: str
    generated: int
    kept: int
    steps: tuple[tuple[str, int], ...]
    dropped: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Shares of pairs, (bins,), between `edges`, (bins + 1,); values beyond the last edge count in the last bin.

    Attributes:
        sample: how many pairs were drawn at random; None: all were looked at.
    """

    measure: str
    edges: tuple[float, ...]
    shares: tuple[float, ...]
    sample: int | None = None


@dataclass(frozen=True, slots=True)
class RoundContents:
    """One dataset and how it came about.

    Attributes:
        round_: 0: from the teachers; 1, 2, ...: self-distillation.
        pairs, splits, groups: of the dataset; 0 and empty where it is not finished.
        refusals: what came before the funnels.
        questions: what the judge was asked and spared, by reason.
        cutoffs: domain -> task -> where the screen of a cascade cuts; empty without one.
        yields: sample efficiency, an entry a task and process.
        strategy: None without pairs.
    """

    round_: int
    contexts: int
    pairs: int
    splits: Mapping[str, int]
    groups: Mapping[str, int]
    refusals: tuple[Refusals, ...]
    funnels: tuple[Funnel, ...]
    questions: Mapping[str, int]
    cutoffs: Mapping[str, Mapping[str, Cutoff]]
    yields: tuple[ProcessYield, ...]
    strategy: StrategyMap | None = field(repr=False)
    histograms: tuple[Histogram, ...] = field(repr=False)
    cost: Cost


@dataclass(frozen=True, slots=True)
class StudentContents:
    """A student: its training's own account (steps, losses, seconds, ...) and the curve [{step, train_loss, validation_loss}]."""

    round_: int
    facts: Mapping[str, Any]
    curve: tuple[Mapping[str, float | None], ...]


@dataclass(frozen=True, slots=True)
class BesideContents:
    """A dataset that is not of the run, to compare with: every source with each of its references is a pair.

    Attributes:
        pairs: how many there are.
        groups: of those looked at, at most `BESIDE_SAMPLE`, drawn at random; "no group" included.
        strategy: of the same.
    """

    name: str
    pairs: int
    groups: Mapping[str, int]
    strategy: StrategyMap = field(repr=False)


@dataclass(frozen=True, slots=True)
class RunContents:
    """One run's part of a report.

    Attributes:
        borders: measure -> where groups meet, for the strategy maps.
        by_round: the finished datasets beside each other.
        beside: other datasets, in this run's groups.
        quality: of the last finished dataset; None where there is none.
        seconds: of computing, all stages, summed over workers.
    """

    path: str
    name: str
    recipe_yaml: str
    finished: bool
    seconds: float
    groups: Mapping[str, str]
    borders: Mapping[str, tuple[float, ...]]
    rounds: tuple[RoundContents, ...]
    students: tuple[StudentContents, ...]
    by_round: tuple[RoundQuality, ...]
    beside: tuple[BesideContents, ...]
    quality: Quality | None
    to_read: PairsToRead | None
    drops: tuple[Drops, ...]
    models: tuple[ModelRecord, ...]
    versions: Mapping[str, str]


def contents_of(run: Run, benchmarks: Sequence[Benchmark] = (), beside: Sequence[Benchmark] = (), *, seed: int = 0) -> RunContents:
    """Everything a report says of a run, finished or not.

    Args:
        benchmarks: to look for in the dataset.
        beside: datasets to compare it with.
        seed: of what is drawn at random.
    """
    recipe = run.recipe
    stages = run.status()
    wanted = range(recipe.self_distillation.rounds + 1)
    apart = told_apart([*benchmarks, *beside], {f"D{number}" for number in wanted})  # these are our own datasets
    benchmarks, beside = apart[: len(benchmarks)], apart[len(benchmarks) :]
    # 1. rounds and students
    folders = {stage.stage: run.directory.current_stage(stage.stage) for stage in stages}
    done = {stage.stage for stage in stages if stage.done_blocks >= stage.total_blocks}
    tables = {number: _table(run.dataset(number)) for number in wanted if f"dataset.{number}" in done}
    chains = {task.name: _links(task, screened=recipe.judge.cascade is not None) for task in tasks_of(recipe)}
    rounds = [_round(run, number, tables.get(number), chains, seed) for number in wanted if run.filters(number) or number in tables]
    students = [_student(number, folders[f"student.{number}"]) for number in wanted if f"student.{number}" in done]

    # 2. what there is to read
    last = tables[max(tables)] if tables else None
    groups = {name: group.instruction for task in recipe.tasks.values() for name, group in task.groups.items()}
    drops = [drops_to_read(run.filters(number).values(), number, seed) for number in wanted if run.filters(number)]
    edges = [group for task in recipe.tasks.values() for group in task.groups.values()]
    asked = [group for task in tasks_of(recipe) for group in task.groups]
    return RunContents(
        path=str(run.path),
        name=recipe.name,
        recipe_yaml=recipe.to_yaml(),
        finished=f"student.{recipe.self_distillation.rounds}" in done,
        seconds=sum(stage.seconds for stage in stages),
        groups=groups,
        borders={
            "compression": _borders(bound for group in edges for bound in group.compression),
            "similarity": _borders(bound for group in edges for bound in group.similarity),
        },
        rounds=tuple(rounds),
        students=tuple(students),
        by_round=rounds_of(tables, seed=seed),
        beside=tuple(_beside(one, asked, seed) for one in beside),
        quality=None if last is None else quality_of(last, benchmarks, beside, seed=seed),
        to_read=None if last is None else pairs_to_read(last, max(tables), list(groups), seed=seed),
        drops=tuple(drops),
        models=models_of(run),
        versions=versions_of(run),
    )


def _round(run: Run, number: int, table: pa.Table | None, chains: Mapping[str, Sequence[str]], seed: int) -> RoundContents:
    stores = run.filters(number)
    counts: Counter[str] = Counter()
    for store in stores.values():
        counts.update(store.counts())
    funnels = _funnels(counts, chains)
    contexts = run.contexts(number)
    shapes = None
    if table is not None and table.num_rows:
        compression, rouge_l, density = (_floats(table[name]) for name in ("compression", "rouge_l", "density"))
        shapes = PairShapes(compression, rouge_l, density)
    return RoundContents(
        round_=number,
        contexts=contexts,
        pairs=0 if table is None else table.num_rows,
        splits={} if table is None else dict(Counter(table["split"].to_pylist())),
        groups={} if table is None else dict(Counter(table["group"].to_pylist())),
        refusals=refusals_of(run, number),
        funnels=funnels,
        questions={key.removeprefix("questions/"): count for key, count in counts.items() if key.startswith("questions/")},
        cutoffs=run.cutoffs(number),
        yields=_yields(stores, funnels, contexts, seed),
        strategy=None if shapes is None else strategy_map(shapes),
        histograms=() if table is None or shapes is None else _histograms(table, shapes, seed),
        cost=cost_of(run, number, sum(funnel.kept for funnel in funnels)),
    )


def _beside(dataset: Benchmark, groups: Sequence[Group], seed: int) -> BesideContents:
    pairs = [(x, y) for x, references in zip(dataset.sources, dataset.references, strict=True) for y in references]
    drawn = [pairs[row] for row in np.random.default_rng(seed).permutation(len(pairs))[:BESIDE_SAMPLE]]
    shapes = pair_shapes([x for x, _ in drawn], [y for _, y in drawn])
    return BesideContents(dataset.name, len(pairs), group_counts(shapes, groups), strategy_map(shapes))


def _student(number: int, folder: FolderStage | StageStore) -> StudentContents:
    assert isinstance(folder, FolderStage)
    facts = folder.facts()
    curve = tuple(facts.get("curve", ()))
    return StudentContents(number, {name: value for name, value in facts.items() if name != "curve"}, curve)


def _table(folder: FolderStage) -> pa.Table:
    """All pairs of a dataset with a column `split`."""
    tables = []
    for split in ("train", "validation"):
        for path in sorted((folder.path / "data").glob(f"{split}-*.parquet")):
            table = pq.read_table(path)
            tables.append(table.append_column("split", pa.array([split] * table.num_rows, pa.string())))
    return pa.concat_tables(tables)


def _links(task: Task, *, screened: bool) -> list[str]:
    """The names of a task's filters, that of a cascade's screen among them."""
    names = [rule.name for rule in task.filters]
    if screened and "entailment" in names:
        names.insert(names.index("entailment"), "screen")
    return names


def _funnels(counts: Mapping[str, int], chains: Mapping[str, Sequence[str]]) -> tuple[Funnel, ...]:
    funnels = []
    found = {(parts[0], parts[1]) for parts in (key.split("/") for key in counts) if parts[2:] == ["generated"]}
    order = list(chains)
    for task, process in sorted(found, key=lambda each: (order.index(each[0]) if each[0] in chains else len(order), each)):
        start = f"{task}/{process}/"
        dropped = {key.removeprefix(f"{start}dropped/"): count for key, count in counts.items() if key.startswith(f"{start}dropped/")}
        left = counts[f"{start}generated"]
        steps = [("generated", left)]
        chain = chains.get(task, ())  # a task that is not in the recipe was given in Python: its drops count as one step
        left -= sum(count for reason, count in dropped.items() if reason not in chain)
        steps.append(("well-formed", left))
        for name in chain:
            left -= dropped.get(name, 0)
            steps.append((name, left))
        by_size = dict(sorted(dropped.items(), key=lambda each: -each[1]))
        funnels.append(Funnel(task, process, counts[f"{start}generated"], counts[f"{start}kept"], tuple(steps), by_size))
    return tuple(funnels)


def _yields(stores: Mapping[str, StageStore], funnels: Sequence[Funnel], contexts: int, seed: int) -> tuple[ProcessYield, ...]:
    if not contexts:
        return ()
    kept: dict[str, list[NDArray[np.float64]]] = {}
    for store in stores.values():
        if store.complete_blocks():
            table = store.read("pairs", ["task", "process", "rouge_l", "reason"], partial=True)
            table = table.filter(pc.is_null(table["reason"]))
            names = pc.binary_join_element_wise(table["task"], table["process"], ", ")
            for name in pc.unique(names).to_pylist():
                kept.setdefault(name, []).append(_floats(table["rouge_l"].filter(pc.equal(names, name))))
    return process_yields(
        contexts,
        {f"{funnel.task}, {funnel.process}": funnel.generated for funnel in funnels},
        {name: np.concatenate(parts) for name, parts in kept.items()},
        seed=seed,
    )


def _histograms(table: pa.Table, shapes: PairShapes, seed: int) -> tuple[Histogram, ...]:
    drawn = np.sort(np.random.default_rng(seed).permutation(table.num_rows)[:WORDS_SAMPLE])
    texts = table.select(["x", "y"]).take(pa.array(drawn))
    sample = len(drawn) if len(drawn) < table.num_rows else None
    lengths = {name: np.array([len(words(text)) for text in texts[name].to_pylist()], dtype=np.float64) for name in ("x", "y")}
    longest = max(10, int(np.quantile(np.concatenate(list(lengths.values())), 0.99))) + 1
    width = -(-longest // BINS)  # whole words, or bins would hold now one number of words, now none
    bins = -(-longest // width)
    found = [
        _histogram("compression", shapes.compression, 1.5),
        _histogram("ROUGE-L", shapes.rouge_l, 1.0),
        _histogram("Density/|y|", shapes.density, 1.0),
        *(_histogram(f"words of {name}", values, width * bins, sample, bins) for name, values in lengths.items()),
    ]
    for title, name in (("P(x => y)", "entailment"), ("P(y => x)", "reverse_entailment"), ("P(fluent), the lower of x and y", "fluency")):
        known = pc.drop_null(table[name]) if name in table.column_names else ()
        if len(known):
            found.append(_histogram(title, _floats(known), 1.0))
    return tuple(found)


def _histogram(measure: str, values: NDArray[np.float64], most: float, sample: int | None = None, bins: int = BINS) -> Histogram:
    counts, edges = np.histogram(np.minimum(values, most), bins=bins, range=(0, most))
    return Histogram(measure, tuple(edges.tolist()), tuple((counts / max(1, len(values))).tolist()), sample)


def _borders(bounds: Any) -> tuple[float, ...]:
    return tuple(sorted({bound for bound in bounds if bound is not None}))


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(column.to_numpy(), dtype=np.float64)
