"""Strict reading of text, JSON-lines and tab-separated files: every failure names the file and the line.

Knows nothing of benchmarks. Files are UTF-8, with or without a byte-order mark.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impdistill.errors import BenchmarkError


@dataclass(frozen=True, slots=True)
class Line:
    """One record of a file: the number of its (last) line, from 1, and what it holds."""

    number: int
    held: Any


def read_text(path: Path) -> str:
    """The whole file.

    Raises:
        BenchmarkError: absent, unreadable, empty, or not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({error.strerror or error}); give the path of a file") from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BenchmarkError(f"{path}: encoded in UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BenchmarkError(
            f"{path}:{line}: byte 0x{content[error.start]:02x} is not UTF-8; save it as UTF-8 (e.g. iconv -f LATIN1 -t UTF-8)"
        ) from error
    if not text.strip():  # a byte-order mark alone is no text either
        raise BenchmarkError(f"{path}: the file is empty, or holds only blank lines")
    if "\0" in text:
        raise BenchmarkError(f"{path}:{text.count(chr(10), 0, text.index(chr(0))) + 1}: holds a NUL character; is this a text file?")
    return text.replace("\r\n", "\n")


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, without line ends; empty ones stay."""
    return read_text(path).removesuffix("\n").split("\n")


def read_json_lines(path: Path) -> list[Line]:
    """The objects of a JSON-lines file; blank lines are passed over.

    Raises:
        BenchmarkError: as `read_text`, or a line is not a JSON object.
    """
    found = []
    lines = read_lines(path)
    if lines[0].lstrip().startswith("["):
        raise BenchmarkError(f"{path}:1: a JSON list; write one object a line (jq -c '.[]' FILE)")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            held = json.loads(line)
            json.dumps(held, ensure_ascii=False).encode()  # half a surrogate pair is JSON, and no text
        except UnicodeEncodeError as error:
            raise BenchmarkError(f"{path}:{number}: holds half a surrogate pair (\\ud800 to \\udfff), which is no character") from error
        except json.JSONDecodeError as error:
            raise BenchmarkError(f"{path}:{number}: not JSON ({error.msg} at column {error.colno})") from error
        except (ValueError, RecursionError) as error:  # JSON, but thousands of digits or brackets
            raise BenchmarkError(f"{path}:{number}: cannot be read as JSON ({error})") from error
        if not isinstance(held, dict):
            raise BenchmarkError(f"{path}:{number}: holds a {type(held).__name__}; a JSON object with named fields is needed")
        found.append(Line(number, held))
    return found


def read_tab_separated(path: Path) -> list[Line]:
    """The rows of a tab-separated file as lists of cells; blank lines are passed over.

    Quotation marks are a matter of convention: in some files "..." wraps a cell and "" stands for a mark, in others they are
        text. They
    are taken as wrapping where the whole file parses that way and either holds a doubled mark or wraps every cell.

    Raises:
        BenchmarkError: as `read_text`, or rows differ in their number of cells.
    """
    text = read_text(path)
    rows = _quoted_rows(text)
    if rows is None:
        rows = [Line(number, line.split("\t")) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    width = len(rows[0].held)
    for row in rows:
        if len(row.held) != width:
            raise BenchmarkError(
                f"{path}:{row.number}: {len(row.held)} cells, where line {rows[0].number} has {width}; every line needs the same number"
            )
    return rows


def _quoted_rows(text: str) -> list[Line] | None:
    wraps_all = all(cell.startswith('"') for line in text.split("\n") if line.strip() for cell in line.split("\t"))
    if '""' not in text and not wraps_all:
        return None
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True)
    try:
        return [Line(reader.line_num, row) for row in reader if row]
    except csv.Error:
        return None
