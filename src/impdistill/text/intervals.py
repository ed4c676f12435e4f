"""How a value and its interval are printed, everywhere the same."""

from __future__ import annotations


def shown_interval(value: float, low: float | None, high: float | None, digits: int) -> str:
    """E.g. "0.40 (0.38–0.42)"; "to" where a dash would be read as one minus more; the value alone without an interval."""
    text = f"{value:.{digits}f}"
    if low is None or high is None:
        return text
    return f"{text} ({low:.{digits}f}{' to ' if low < 0 else '–'}{high:.{digits}f})"
