"""Pieces of Markdown that cards are made of."""

from __future__ import annotations

from collections.abc import Sequence


def document(*parts: str) -> str:
    """Blocks with an empty line between them; empty ones are left out."""
    return "\n\n".join(part for part in parts if part) + "\n"


def section(title: str, content: str) -> list[str]:
    """Heading and content as blocks; none without content."""
    return [f"## {title}", content] if content else []


def code(language: str, content: str) -> str:
    """A fenced block."""
    return f"```{language}\n{content}\n```"


def bullets(*points: str) -> str:
    """A list."""
    return "\n".join(f"- {point}" for point in points)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; empty without rows. Cells are made safe: a bar or a line break would end a cell."""
    if not rows:
        return ""
    cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
    lines = [header, ["---"] * len(header), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_section(card: str, title: str, content: str, before: str) -> str:
    """The card with a section of that title: in place of an old one, else before the section `before`, else at the end."""
    block = f"## {title}\n\n{content}\n\n"
    found = f"\n{card}".find(f"\n## {title}\n")
    if found >= 0:
        end = card.find("\n## ", found + 1)
        return card[:found] + (block + card[end + 1 :] if end >= 0 else block.rstrip() + "\n")
    place = f"\n{card}".find(f"\n## {before}\n")
    return card[:place] + block + card[place:] if place >= 0 else f"{card.rstrip()}\n\n{block.rstrip()}\n"
