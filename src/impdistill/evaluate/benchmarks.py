"""Benchmarks: items of one source and one or more references, from local files or the hub.

Recognised: JSON lines with a source and references (TurkCorpus, ASSET, Google sentence compression, SciTLDR, anything else whose
fields bear usual names), tab-separated pairs with or without a header or a label (MRPC, QQP), text files aligned by line
(TurkCorpus, ASSET, Gigaword and DUC as published), and anything that `datasets.load_dataset` opens. Fields of other names are
told by `Fields`. Items that cannot be measured are left out and counted by reason; a file that is not what it claims to be is an
error naming the line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from impdistill.errors import BenchmarkError
from impdistill.evaluate.fields import BY_NAME, Fields, Item, items_of_cells, items_of_objects
from impdistill.evaluate.question_pairs import KINDS, oriented
from impdistill.evaluate.text_files import Line, read_json_lines, read_lines, read_tab_separated

HUB = "hub:"
PARALLEL = "parallel:"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What systems are measured on.

    Attributes:
        name: as printed.
        origin: file or hub name it was read from.
        sources: (n,) never blank.
        references: (n,) tuples of one or more, never blank.
        skipped: reason -> number of records left out.
        lines: what a file of outputs may be aligned with: number of its lines -> the line of each item, from 0. One for all
            records that were read, one for each step at which some were left out.
    """

    name: str
    origin: str
    sources: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]
    skipped: Mapping[str, int] = field(default_factory=dict)
    lines: Mapping[int, tuple[int, ...]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.sources)


def read_benchmark(spec: str, fields: Fields = BY_NAME) -> Benchmark:
    """Read a benchmark. Of several fields that could be the source, the first in `fields.SOURCE_FIELDS` counts.

    Args:
        spec: a path (.jsonl or .json: JSON lines; anything else: tab-separated), `parallel:SOURCES,REFERENCES,...` for text files
            aligned by line (* in a file's name stands for anything), or `hub:NAME[:CONFIG]@SPLIT` for a dataset of the hub or a
            local dataset folder; any of them after `qqp-summary:` or `qqp-paraphrase:` for question pairs (question_pairs.py).
        fields: of what has fields.

    Raises:
        BenchmarkError: it cannot be read, or holds no item.
    """
    kind, separator, rest = spec.partition(":")
    if separator and kind in KINDS:
        return _question_pairs(kind, _records(rest, fields))
    found = _records(spec, fields)
    return benchmark_of(found.name, found.origin, found.items, found.skipped)


def told_apart(benchmarks: Sequence[Benchmark], taken: Collection[str] = ()) -> list[Benchmark]:
    """The same, in order; those that share a name but not their origin are called by their origin, as are those whose name is taken."""
    origins: dict[str, set[str]] = {}
    for one in benchmarks:
        origins.setdefault(one.name, set()).add(one.origin)
    return [replace(one, name=one.origin) if len(origins[one.name]) > 1 or one.name in taken else one for one in benchmarks]


@dataclass(frozen=True, slots=True)
class _Records:
    """What was read: an item for each record, None for one that is counted in `skipped`."""

    name: str
    origin: str
    items: Sequence[Item | None]
    skipped: Counter[str]


def _records(spec: str, fields: Fields) -> _Records:
    if spec.startswith(HUB):
        return _hub_records(spec, fields)
    if spec.startswith(PARALLEL):
        paths = [path for part in spec.removeprefix(PARALLEL).split(",") for path in _matching(Path(part))]
        return _Records(paths[0].name, spec, _parallel_items(paths[0], paths[1:]), Counter())
    path = Path(spec)
    if path.is_dir():
        raise BenchmarkError(f"{spec}: a folder; write {HUB}{spec}@SPLIT to read it as a dataset")
    skipped: Counter[str] = Counter()
    if path.suffix in (".jsonl", ".json"):
        items = items_of_objects(read_json_lines(path), str(path), skipped, fields)
    else:
        items = items_of_cells(read_tab_separated(path), str(path), skipped, fields)
    return _Records(path.name.removesuffix(path.suffix), str(path), items, skipped)


def _matching(path: Path) -> list[Path]:
    found = sorted(path.parent.glob(path.name)) if "*" in path.name else []
    return found or [path]  # what is not there is named when it is read


def read_parallel(source_path: str | Path, reference_paths: Sequence[str | Path], name: str | None = None) -> Benchmark:
    """Read text files aligned by line, one of sources and one or more of references, as TurkCorpus and ASSET are published.

    Raises:
        BenchmarkError: a file cannot be read, or the numbers of lines differ.
    """
    items = _parallel_items(Path(source_path), reference_paths)
    return benchmark_of(name or Path(source_path).name, str(source_path), items)


def _parallel_items(source_path: Path, reference_paths: Sequence[str | Path]) -> list[Item]:
    sources = read_lines(source_path)
    columns = [read_lines(Path(path)) for path in reference_paths]
    if not columns:
        raise BenchmarkError(f"{source_path}: no file of references was given; write {PARALLEL}SOURCES,REFERENCES,...")
    for path, column in zip(reference_paths, columns, strict=True):
        if len(column) != len(sources):
            raise BenchmarkError(f"{path}: {len(column)} lines, where {source_path} has {len(sources)}; they must align")
    return list(zip(sources, zip(*columns, strict=True), strict=True))


def benchmark_of(name: str, origin: str, items: Iterable[Item | None], skipped: Mapping[str, int] | None = None) -> Benchmark:
    """A benchmark from (source, references); blank sources and references are left out and counted.

    Args:
        items: one for each record; None for one that is left out, and counted in `skipped` already.

    Raises:
        BenchmarkError: no item is left.
    """
    counts: Counter[str] = Counter(skipped or {})
    sources, references, lines = [], [], []
    records = 0
    for record, item in enumerate(items):
        records = record + 1
        if item is None:
            continue
        source, several = item
        kept = tuple(reference.strip() for reference in several if reference.strip())
        if not source.strip():
            counts["no source"] += 1
        elif not kept:
            counts["no reference"] += 1
        else:
            counts["blank reference, others kept"] += len(several) - len(kept)
            sources.append(source.strip())
            references.append(kept)
            lines.append(record)
    counts = +counts
    if not sources:
        left_out = ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "it holds no record"
        raise BenchmarkError(f"{origin}: no item to measure on ({left_out})")
    aligned = {len(sources): tuple(range(len(sources))), records: tuple(lines)}
    return Benchmark(name, origin, tuple(sources), tuple(references), dict(counts), aligned)


def _question_pairs(kind: str, found: _Records) -> Benchmark:
    items: list[Item | None] = []
    skipped = Counter(found.skipped)
    for item in found.items:
        if item is None or not item[1]:
            items.append(item)  # counted already, or to be counted as one without a reference
            continue
        if len(item[1]) > 1:
            raise BenchmarkError(
                f"{kind}:{found.origin}: {len(item[1])} references for {item[0]!r:.60}; of question pairs every one has two questions, "
                "e.g. question1 and question2 (--fields source=NAME,references=NAME)"
            )
        chosen = oriented([(item[0], item[1][0])], kind)
        items.append((chosen[0][0], [chosen[0][1]]) if chosen else None)
        skipped[f"not a {kind} pair, by length"] += not chosen
    return benchmark_of(f"{kind} {found.name}", f"{kind}:{found.origin}", items, skipped)


def _hub_records(spec: str, fields: Fields) -> _Records:
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    address, _, split = spec.removeprefix(HUB).partition("@")
    name, _, config = address.partition(":")
    if not name or not split:
        raise BenchmarkError(f"{spec}: write {HUB}NAME@SPLIT or {HUB}NAME:CONFIG@SPLIT, e.g. {HUB}facebook/asset:simplification@test")
    try:
        rows = load_dataset(name, config or None, split=split)
    except (OSError, ValueError, KeyError, RuntimeError, DatasetsError) as error:
        reason = " ".join(str(error).split())[:200]
        hint = "; take its Parquet files (branch refs/convert/parquet) into a folder and give that" if "scripts" in reason else ""
        raise BenchmarkError(f"{spec}: cannot be loaded ({type(error).__name__}: {reason}){hint}") from error
    skipped: Counter[str] = Counter()
    items = items_of_objects((Line(number, row) for number, row in enumerate(rows, start=1)), spec, skipped, fields)
    called = [name.rstrip("/").rpartition("/")[2], *([config] if config else []), split]
    return _Records(" ".join(called), spec, items, skipped)
