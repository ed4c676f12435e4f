"""A screen of a dataset for what a user may want to drop: toxic words, identity terms, names and numbers from nowhere.

The teacher's text is nobody's responsibility until someone reads it (Jung et al. 2023, section 5). Matching is by word lists
and patterns: cheap, transparent, blind to context. It shows where to look; it does not judge. Examples are masked, so that a
report can be opened anywhere.
"""

from __future__ import annotations

import codecs
import functools
import re
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from impdistill.errors import BenchmarkError
from impdistill.text.mentions import name_spans
from impdistill.text.numbers import numbers

Kind = Literal["toxic", "identity", "personal", "unsupported"]
Span: TypeAlias = tuple[int, int]
Item = TypeVar("Item")

PERSONAL = {
    "e-mail address": r"[\w.+-]+@[\w-]+\.[\w.-]*\w",
    "web address": r"(?:https?://|www\.)\S+",
    "telephone number": r"(?<![\w.])(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)[ .-]?|\d{2,4}[ .-])\d{3,4}[ .-]\d{3,4}(?!\w)",
    "account or identity number": r"(?<![\w.,])(?:\d{3}-\d{2}-\d{4}|(?:\d[ -]?){12,18}\d)(?![\w,])",
    "user name": r"(?<![\w@/.])@\w{2,}|\bu/\w{2,}",
}
DIGITS = re.compile(r"\d[\d.,]*\d|\d")


@dataclass(frozen=True, slots=True)
class Finding:
    """Pairs that one part of the screen caught.

    Attributes:
        kind: "toxic" or "identity" terms, "personal" data, or "unsupported": in y and not in x.
        category: e.g. "slur", "religion", "telephone number", "name".
        pairs: how many pairs, in x or y.
        in_source, in_output: of them with it in x, in y.
        introduced: of them with something in y that x has not.
        rows: indices of the pairs, rising.
        examples: texts with what was caught masked, spread evenly over the dataset.
        example_sources: of "unsupported", x beside each example y, fit to be shown; empty for the other kinds.
    """

    kind: Kind
    category: str
    pairs: int
    in_source: int
    in_output: int
    introduced: int
    rows: tuple[int, ...] = field(repr=False)
    examples: tuple[str, ...] = field(repr=False)
    example_sources: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Audit:
    """The whole screen.

    Attributes:
        pairs: how many were screened.
        toxic_and_identity: pairs with both a toxic and an identity term, the ones to read first.
        findings: every part of the screen, those that caught nothing included.
    """

    pairs: int
    toxic_and_identity: int
    findings: tuple[Finding, ...]

    def rows(self, kind: Kind) -> NDArray[np.bool_]:
        """(pairs,) which pairs any part of that kind caught: `~audit.rows("toxic")` are the ones to keep."""
        caught = np.zeros(self.pairs, dtype=np.bool_)
        for finding in self.findings:
            if finding.kind == kind:
                caught[list(finding.rows)] = True
        return caught


def audit(sources: Sequence[str], outputs: Sequence[str], *, examples: int = 5) -> Audit:
    """Screen n pairs.

    Args:
        examples: most masked examples of each finding.

    Raises:
        BenchmarkError: different numbers of sources and outputs.
    """
    if len(sources) != len(outputs):
        raise BenchmarkError(f"{len(sources)} sources and {len(outputs)} outputs; an audit needs pairs")
    suspects = frozenset(text for text in {*sources, *outputs} if _may_hold_a_term(text))
    findings = [
        _find(kind, category, _matches(pattern, None if kind == "personal" else suspects), sources, outputs, examples)
        for kind, category, pattern in screen_patterns()
    ]
    findings.append(_find_unsupported("name", _unsupported_names, sources, outputs, examples))
    findings.append(_find_unsupported("number", _unsupported_numbers, sources, outputs, examples))
    found = Audit(len(sources), 0, tuple(findings))
    both = int((found.rows("toxic") & found.rows("identity")).sum())
    return Audit(len(sources), both, tuple(findings))


@functools.cache
def screen_patterns() -> tuple[tuple[Kind, str, re.Pattern[str]], ...]:
    """(kind, category, pattern) of the word lists and of personal data."""
    patterns: list[tuple[Kind, str, re.Pattern[str]]] = []
    for kind, category, terms in _term_lists():
        # longest first: alternatives are tried in order
        parts = [_pattern_of(term) for term in sorted(terms, key=len, reverse=True)]
        patterns.append((kind, category, re.compile(rf"\b(?:{'|'.join(parts)})\b", re.IGNORECASE)))
    patterns += [("personal", category, re.compile(pattern)) for category, pattern in PERSONAL.items()]
    return tuple(patterns)


def _term_lists() -> Iterator[tuple[Kind, str, list[str]]]:
    for line in files("impdistill.evaluate").joinpath("audit_terms.tsv").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            kind, category, listed = line.split("\t")
            terms = (codecs.decode(listed, "rot13") if kind == "toxic" else listed).split()
            yield "toxic" if kind == "toxic" else "identity", category, terms


def _pattern_of(term: str) -> str:
    return re.escape(term).replace(r"\*", r"\w*").replace("_", r"\s+")


@functools.cache
def _any_term() -> re.Pattern[str]:
    """Every term of every list, for ASCII text in lower case. Sorted by first letter and without IGNORECASE, `re` leaves out what
    cannot match by its first letter: thirty times as fast as the lists one by one."""
    terms = [term.lower() for _, _, several in _term_lists() for term in several]
    by_letter: dict[str, list[str]] = {}
    for term in terms:
        by_letter.setdefault(term[0], []).append(_pattern_of(term)[1:])
    parts = [f"{letter}(?:{'|'.join(rests)})" for letter, rests in by_letter.items()]
    return re.compile(rf"\b(?:{'|'.join(parts)})\b")


def _may_hold_a_term(text: str) -> bool:
    """False only where no pattern of a list finds anything; beyond ASCII the case of letters is too strange to tell so."""
    return not text.isascii() or _any_term().search(text.lower()) is not None


def masked(text: str, spans: Sequence[Span]) -> str:
    """The text with spans starred out, but for the first character of each; its length stays, so spans may overlap."""
    for start, end in spans:
        text = text[:start] + text[start:end][:1] + re.sub(r"\w", "*", text[start:end][1:]) + text[end:]
    return text


def fit_to_show(text: str) -> str:
    """The text with toxic terms and personal data starred out."""
    return masked(text, _unfit_to_show(text))


def _matches(pattern: re.Pattern[str], suspects: Set[str] | None) -> Callable[[str], list[Span]]:
    """Finds a pattern; in the suspects only, if there are any."""
    return lambda text: [match.span() for match in pattern.finditer(text)] if suspects is None or text in suspects else []


def _find(
    kind: Kind, category: str, find: Callable[[str], list[Span]], sources: Sequence[str], outputs: Sequence[str], examples: int
) -> Finding:
    rows, shown = [], []
    in_source = in_output = introduced = 0
    for row, (source, output) in enumerate(zip(sources, outputs, strict=True)):
        theirs, ours = find(source), find(output)
        if not theirs and not ours:
            continue
        rows.append(row)
        in_source += bool(theirs)
        in_output += bool(ours)
        known = {source[start:end].lower() for start, end in theirs}
        introduced += any(output[start:end].lower() not in known for start, end in ours)
        shown.append((output, ours) if ours else (source, theirs))
    return Finding(kind, category, len(rows), in_source, in_output, introduced, tuple(rows), _examples(shown, examples))


def _find_unsupported(
    category: str, find: Callable[[str, str], list[Span]], sources: Sequence[str], outputs: Sequence[str], examples: int
) -> Finding:
    rows, shown = [], []
    for row, (source, output) in enumerate(zip(sources, outputs, strict=True)):
        if spans := find(source, output):
            rows.append(row)
            shown.append((output, spans))
    theirs = tuple(fit_to_show(sources[row]) for row in _spread(rows, examples))
    return Finding("unsupported", category, len(rows), 0, len(rows), len(rows), tuple(rows), _examples(shown, examples), theirs)


def _unsupported_names(source: str, output: str) -> list[Span]:
    """Spans of names of y of which x holds no word."""
    there = set(re.findall(r"\w+", source.lower()))
    return [(start, end) for start, end in name_spans(output) if not there.intersection(re.findall(r"\w+", output[start:end].lower()))]


def _unsupported_numbers(source: str, output: str) -> list[Span]:
    """Spans of the digits of y that name a number x does not; an empty one where it is in words."""
    new = numbers(output) - numbers(source)
    if not new:
        return []
    spans = [match.span() for match in DIGITS.finditer(output) if numbers(match.group()) & {number.rstrip("%") for number in new}]
    return spans or [(0, 0)]


def _examples(shown: Sequence[tuple[str, list[Span]]], most: int) -> tuple[str, ...]:
    return tuple(masked(text, [*spans, *_unfit_to_show(text)]) for text, spans in _spread(shown, most))


def _spread(found: Sequence[Item], most: int) -> list[Item]:
    """At most so many of the things found, at even distances, the first and the last among them."""
    count = min(most, len(found))
    return [found[round(number * (len(found) - 1) / max(1, count - 1))] for number in range(count)]


def _unfit_to_show(text: str) -> list[Span]:
    return [match.span() for kind, _, pattern in screen_patterns() if kind != "identity" for match in pattern.finditer(text)]
