"""Which fields of a record, or columns of a table, are source, references and label: by their usual names, or as told.

Knows nothing of files beyond their lines.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from impdistill.errors import BenchmarkError
from impdistill.evaluate.text_files import Line

SOURCE_FIELDS = (
    "source", "src", "original", "x", "input", "document", "article", "sentence", "text", "complex", "normal",
    "question1", "sentence1", "q1", "s1", "#1_string", "question",
    "src_text", "source_text", "input_text", "original_text", "source_sentence", "original_sentence", "complex_sentence",
    "orig", "sentence_1", "sentence_a", "sent1", "text1", "text_1", "text_a", "phrase1", "dialogue", "passage",
)  # fmt: skip
REFERENCE_FIELDS = (
    "references", "reference", "simplifications", "targets", "target", "y", "output", "summary", "summaries", "headline",
    "compression", "simple", "question2", "sentence2", "q2", "s2", "#2_string", "duplicate",
    "tgt", "tgt_text", "target_text", "output_text", "summary_text", "target_sentence", "simple_sentence", "simplification",
    "ref", "refs", "paraphrase", "paraphrases", "highlights", "abstract",
    "sentence_2", "sentence_b", "sent2", "text2", "text_2", "text_b", "phrase2",
)  # fmt: skip
NUMBERED = ("reference", "ref", "target")
"""What may stand before a number, where references have a field each: reference_1, reference_2, ..."""
LABEL_FIELDS = ("label", "is_duplicate", "quality", "is_paraphrase", "gold_label", "class")
"""Usual names, lower-cased, with _ for spaces and hyphens."""

Item: TypeAlias = tuple[str, Sequence[str]]
"""A source and its references."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Which fields or columns hold what, where their names are not the usual ones.

    Attributes:
        source: a name or, of a file without a header, the number of a column from 1; None: by the usual names.
        references: the same; empty: by the usual names.
        label: the same; "": there is none, whatever the names.
    """

    source: str | None = None
    references: tuple[str, ...] = ()
    label: str | None = None

    @classmethod
    def of(cls, text: str) -> Self:
        """From "source=NAME,references=NAME,references=NAME,label=NAME", any of them.

        Raises:
            BenchmarkError: it is written otherwise.
        """
        said: dict[str, list[str]] = {"source": [], "references": [], "label": []}
        for part in text.split(","):
            role, equals, name = (each.strip() for each in part.partition("="))
            if not equals or role not in said or (not name and role != "label"):
                raise BenchmarkError(f"fields {text!r}: write source=NAME,references=NAME,label=NAME, or any of the three")
            said[role].append(name)
        if len(said["source"]) > 1 or len(said["label"]) > 1:
            raise BenchmarkError(f"fields {text!r}: one source and one label, please; only references may be several")
        if set(map(_normal, said["source"])) & set(map(_normal, said["references"])):
            raise BenchmarkError(f"fields {text!r}: the source cannot be its own reference; name two fields")
        (source, label) = (said[role][0] if said[role] else None for role in ("source", "label"))
        return cls(source, tuple(said["references"]), label)

    @property
    def named(self) -> tuple[str, ...]:
        """All that were named."""
        return tuple(name for name in (self.source, *self.references, self.label) if name)


BY_NAME = Fields()


def items_of_objects(lines: Iterable[Line], origin: str, skipped: Counter[str], fields: Fields) -> list[Item | None]:
    """The items of objects with named fields, one a line; None for one labelled 0, counted in `skipped`.

    Raises:
        BenchmarkError: a field is absent or no text; it names `origin` and the line.
    """
    items: list[Item | None] = []
    for line in lines:
        where = f"{origin}:{line.number}"
        named = {_normal(str(key)): value for key, value in line.held.items()}
        source_name = _source_among(named, fields)
        source = _field(named, "source", where, fields.source or source_name)
        if not isinstance(source, str):
            raise BenchmarkError(f"{where}: the source is {type(source).__name__}; a string is needed")
        several: list[str] = []
        for name in fields.references or _references_among(named, source_name) or (None,):
            held = _field(named, "references", where, name)
            texts = [held] if isinstance(held, str) else held
            if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
                raise BenchmarkError(f"{where}: the references must be a string or a list of strings")
            several += texts
        label = next((named[name] for name in LABEL_FIELDS if name in named), 1)
        if fields.label is not None:
            label = _field(named, "label", where, fields.label) if fields.label else 1
        items.append((source, several) if _is_positive(label, where) else None)
        skipped["labelled 0 (not a pair)"] += items[-1] is None
    return items


def _normal(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _source_among(names: Collection[str], fields: Fields) -> str | None:
    """The name of the source: the one that was chosen, or the first usual one that was not chosen for a reference."""
    if fields.source is not None:
        return _normal(fields.source)
    taken = set(map(_normal, fields.references))
    return next((name for name in SOURCE_FIELDS if name in names and name not in taken), None)


def _references_among(names: Collection[str], source: str | None) -> list[str]:
    """The names of the references: reference_1, reference_2, ... where there are any, else the first usual one; never the source's.

    A record that holds a system's output beside its references has several usual names, and only one of them is meant.
    """
    others = [name for name in dict.fromkeys(names) if name != source]
    numbered = {_stem(name) for name in others if _stem(name) in NUMBERED and name[-1].isdecimal()}
    if numbered:
        return [name for name in others if _stem(name) in numbered]
    return [name for name in REFERENCE_FIELDS if name in others][:1]


def _stem(name: str) -> str:
    return name.rstrip("0123456789_")


def _field(named: Mapping[str, Any], role: str, where: str, chosen: str | None) -> Any:
    if chosen is not None and _normal(chosen) in named:
        return named[_normal(chosen)]
    wanted = f"for the {role}" if chosen is None else repr(chosen)
    found = ", ".join(sorted(named)) or "none"
    raise BenchmarkError(f"{where}: no field {wanted}; found {found}; name it {role!r}, or say --fields {role}=NAME")


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which columns hold what, from 0; `header`: whether the first row names them."""

    source: int
    references: tuple[int, ...]
    label: int | None
    header: bool


def items_of_cells(rows: Sequence[Line], origin: str, skipped: Counter[str], fields: Fields) -> list[Item | None]:
    """As `items_of_objects` for rows of cells; the first row may name the columns.

    Raises:
        BenchmarkError: fewer than two cells a row, a header without usual names, or a label that is none.
    """
    if len(rows[0].held) < 2:
        raise BenchmarkError(f"{origin}:{rows[0].number}: one cell; a source and a reference separated by a tab are needed")
    columns = _columns(rows, f"{origin}:{rows[0].number}", fields)
    items: list[Item | None] = []
    for row in rows[columns.header :]:
        if columns.label is not None and not _is_positive(row.held[columns.label], f"{origin}:{row.number}"):
            skipped["labelled 0 (not a pair)"] += 1
            items.append(None)
        else:
            items.append((row.held[columns.source], [row.held[column] for column in columns.references]))
    return items


def _columns(rows: Sequence[Line], where: str, fields: Fields) -> _Columns:
    first = [_normal(cell) for cell in rows[0].held]
    if fields.named and all(name.isdecimal() for name in fields.named):
        return _numbered(fields, len(first), where)
    label = _place(first, LABEL_FIELDS) if fields.label is None else None
    if fields.named:
        unknown = [name for name in fields.named if _normal(name) not in first]
        if unknown:
            raise BenchmarkError(f"{where}: no column {unknown[0]!r}; the first line is {', '.join(rows[0].held)}")
        label = first.index(_normal(fields.label)) if fields.label else label
    source_name = _source_among(first, fields)
    source = None if source_name is None else first.index(source_name)
    names = list(map(_normal, fields.references)) or _references_among(first, source_name)
    references = [column for name in names for column, found in enumerate(first) if found == name]
    if source is not None and references:
        return _Columns(source, tuple(references), label, header=True)
    labelled = len(first) > 2 and first[0] in ("0", "1")
    if fields.named or (not labelled and _seems_header(rows)):
        what = "source" if source is None else "references"
        raise BenchmarkError(
            f"{where}: {', '.join(rows[0].held)} seems to be a header, and no column has a usual name for the {what}; say "
            "--fields source=NAME,references=NAME or, if it is none, --fields source=1,references=2"
        )
    begin = int(labelled and fields.label != "")
    return _Columns(begin, tuple(range(begin + 1, len(first))), 0 if begin else None, header=False)


def _numbered(fields: Fields, width: int, where: str) -> _Columns:
    def column(number: str) -> int:
        if not 1 <= int(number) <= width:
            raise BenchmarkError(f"{where}: no column {number}; there are {width}, counted from 1")
        return int(number) - 1

    if fields.source is None or not fields.references:
        raise BenchmarkError(f"{where}: columns by number need source and references, e.g. --fields source=1,references=2")
    return _Columns(
        column(fields.source), tuple(map(column, fields.references)), column(fields.label) if fields.label else None, header=False
    )


def _seems_header(rows: Sequence[Line]) -> bool:
    """A usual name stands in the first row, or it holds single words where nearly every other row holds a phrase."""
    first = rows[0].held
    if any(_normal(cell) in (*SOURCE_FIELDS, *LABEL_FIELDS) or _names_reference(_normal(cell)) for cell in first):
        return True
    words = all(re.fullmatch(r"[A-Za-z_#][\w#-]*", cell.strip()) for cell in first)
    phrases = sum(any(" " in cell.strip() for cell in row.held) for row in rows[1:])
    return words and len(rows) > 1 and phrases >= 0.9 * (len(rows) - 1)


def _place(header: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((header.index(name) for name in wanted if name in header), None)


def _names_reference(name: str) -> bool:
    return name in REFERENCE_FIELDS or _stem(name) in NUMBERED


def _is_positive(label: object, where: str) -> bool:
    text = str(label).strip().lower()
    if text not in ("0", "1", "true", "false"):
        raise BenchmarkError(
            f"{where}: label {str(label).strip()!r}; a label says whether this is a pair (1) or not (0): rename it if it means else, or "
            "say --fields label= for none"
        )
    return text in ("1", "true")
