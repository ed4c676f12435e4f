"""Where a recipe comes from: a file, a name or a mapping; overrides on top; and what is said when something in it is wrong.

Knows nothing of the recipe's fields; `impdistill.recipe` holds those.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence, Set
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from impdistill.errors import RecipeError


def packaged_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(path.name.removesuffix(".yaml") for path in _folder().iterdir() if path.name.endswith(".yaml"))


def packaged_recipe(name: str) -> str:
    """The YAML text of a recipe that comes with the package."""
    return (_folder() / f"{name}.yaml").read_text(encoding="utf-8")


def _folder() -> Traversable:
    return resources.files("impdistill") / "recipes"


def read(source: str | Path | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """(what to call it in messages, its content as plain fresh dictionaries and lists)."""
    if isinstance(source, Mapping):
        return "recipe", _plain(source)
    path = Path(source).expanduser()
    if path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    elif str(source) in packaged_recipes():
        text = packaged_recipe(str(source))
    else:
        names = ", ".join(packaged_recipes())
        raise RecipeError(f"{source}: no such recipe; give a YAML file or one of {names}")
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none, such as 2024-02-30
        raise RecipeError(f"{source}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise RecipeError(f"{source}: a recipe is a mapping of fields, found {type(content).__name__}")
    return str(source), content


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def merged(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` laid over `defaults`, mapping by mapping.

    `tasks` and `groups` name a set: those that are given are all there are. A task that has a default of the same name is laid
    over that.
    """
    result = dict(defaults)
    for key, value in given.items():
        default = defaults.get(key)
        if not isinstance(value, Mapping) or not isinstance(default, Mapping) or key == "groups":
            result[key] = value
        elif key == "tasks":
            result[key] = {
                name: merged(default[name], task) if name in default and isinstance(task, Mapping) else task for name, task in value.items()
            }
        else:
            result[key] = merged(default, value)
    return result


def apply(content: dict[str, Any], override: str) -> None:
    """Set one `path.to.field=value` in `content`, in place."""
    path, separator, text = override.partition("=")
    if not separator or not path.strip():
        raise RecipeError(f"--set {override}: write path.to.field=value, e.g. parallel.samples=32")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise RecipeError(f"--set {override}: the value is not YAML: {' '.join(str(error).split())}") from error
    *parents, last = path.strip().split(".")
    place: Any = content
    for key in parents:
        place = _step(place, key, override)
    if isinstance(place, list):
        place[_index(place, last, override)] = value
    else:
        place[last] = value


def _step(place: Any, key: str, override: str) -> Any:
    if isinstance(place, list):
        item = place[_index(place, key, override)]
        if not isinstance(item, dict | list):
            raise RecipeError(f"--set {override}: {key} is {item!r}, which has no fields")
        return item
    if not isinstance(place.get(key), dict | list):
        place[key] = {}
    return place[key]


def _index(place: Sequence[Any], key: str, override: str) -> int:
    if not key.isdigit() or int(key) >= len(place):
        raise RecipeError(f"--set {override}: {key!r} is not an item of a list of {len(place)}; items count from 0")
    return int(key)


def first_error(invalid: ValidationError, known_keys: Set[str]) -> str:
    """The first error in one line: path, what is wrong, what was found, the likely fix."""
    error = invalid.errors()[0]
    path = ".".join(str(part) for part in error["loc"]) or "recipe"
    more = f" (and {invalid.error_count() - 1} more)" if invalid.error_count() > 1 else ""
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(error["loc"][-1]), sorted(known_keys), n=1)
        hint = f"did you mean {close[0]!r}?" if close else "remove it; `impdistill recipe paper` prints every field"
        return f"{path}: unknown key; {hint}{more}"
    found = error["input"]
    shown = f", found {found!r}" if isinstance(found, str | int | float | bool | None) else ""
    if error["type"] == "missing":
        shown = ""
    return f"{path}: {error['msg'].removeprefix('Value error, ')}{shown}{more}"
