"""The types that the fields of a recipe have, and the section that holds them. Knows nothing of what a recipe asks for."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
PositiveInt = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Domain = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Phrase = Annotated[str, Field(pattern=r"^\S+( \S+)*$")]
PREFIX_RULES = ("news", "news-naacl", "reddit", "biomedical", "none")
"""The names in `impdistill.generate.prefixes.RULES`, which is above this floor; a test keeps the two alike."""


def _not_empty(bounds: tuple[float | None, float | None]) -> tuple[float | None, float | None]:
    low, high = bounds
    if low is not None and high is not None and low >= high:
        raise ValueError(f"the interval from {low} to {high} is empty; the first end must be below the second")
    return bounds


Interval = Annotated[tuple[float | None, float | None], AfterValidator(_not_empty)]
"""lo <= value < hi; None: open on that side."""


class Section(BaseModel):
    """A part of a recipe: frozen, and closed to keys it does not know. Its numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)
