"""A part imports only from its own floor and those below: data walks up the house, imports never do."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "impdistill"

FLOORS = {
    "errors": 1,
    "text": 1,
    "models": 2,
    "recipe": 2,
    "recipe_fields": 2,
    "recipe_source": 2,
    "recipe_student": 2,
    "recipes": 2,
    "run": 2,
    "decode": 3,
    "filters": 3,
    "train": 3,
    "generate": 4,
    "tasks": 4,
    "evaluate": 4,
    "stages": 5,
    "pipeline": 5,
    "outcome": 5,
    "ablation": 5,
    "best_of": 5,
    "proximity": 5,
    "transfer": 5,
    "exporting": 5,
    "report": 5,
    "console": 6,
    "cli": 6,
    "__main__": 6,
}

NEVER = {("models", "tasks"), ("filters", "run"), ("run", "models"), ("run", "recipe"), ("tasks", "decode"), ("text", "models")}
"""Pairs that the floors alone would allow or that matter most: models know nothing of tasks, filters nothing of files, ..."""

MODULES = sorted(SOURCE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "impdistill" else [node.module]
        rooms.update(name.split(".")[1] for name in names if name.startswith("impdistill."))
    return rooms


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_only_from_floors_below(path: Path) -> None:
    if path.parent == SOURCE and path.name == "__init__.py":
        return  # the public face gathers from every floor
    here = room(path)
    assert here in FLOORS, f"{here} has no floor: place it in FLOORS"
    for other in imported_rooms(path) - {here, "__version__"}:
        assert FLOORS[other] <= FLOORS[here], f"{path.relative_to(SOURCE)} (floor {FLOORS[here]}) imports {other} (floor {FLOORS[other]})"
        assert (here, other) not in NEVER, f"{here} must know nothing of {other}"


def test_no_module_beyond_450_lines() -> None:
    long = {str(path.relative_to(SOURCE)): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: lines for name, lines in long.items() if lines > 450} == {}
