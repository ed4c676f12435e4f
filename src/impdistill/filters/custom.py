"""A filter of one's own: any function of x and y."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import BuiltinFunctionType, CodeType, FunctionType, MethodDescriptorType
from typing import Any

import numpy as np

from impdistill.errors import RecipeError
from impdistill.filters.funnel import Decision
from impdistill.filters.scores import Pairs, Scores


@dataclass(frozen=True, slots=True)
class PairRule:
    """Keeps pairs for which `function(x, y)` is true.

    Example:
        >>> PairRule("starts alike", lambda x, y: x.split()[0] == y.split()[0])  # doctest: +ELLIPSIS
        PairRule(name='starts alike', ...)

    Attributes:
        name: what its drops are counted under.
        function: gets the two sentences; must always give the same answer for them. A run with several worker processes
            needs a
            function that can be imported by name: one defined in a module, not a lambda.
    """

    name: str
    function: Callable[[str, str], bool]

    def settings(self) -> Mapping[str, Any]:
        """The function by name and content: a run filters again when it was edited.

        Raises:
            RecipeError: the function is neither a Python function nor a built-in one, so an edit could not be told.
        """
        named = f"{getattr(self.function, '__module__', '')}.{getattr(self.function, '__qualname__', '')}"
        return {"name": self.name, "function": named, "source": hashlib.sha256(self._content().encode()).hexdigest()}

    def _content(self) -> str:
        """What decides the function's answers, but for what it looks up by name elsewhere."""
        if isinstance(self.function, BuiltinFunctionType | MethodDescriptorType):
            return self.function.__qualname__
        if not isinstance(self.function, FunctionType):
            raise RecipeError(f"filter {self.name}: {self.function!r} is not a function; wrap it in one: def rule(x, y): ...")
        code = self.function.__code__
        held = [_told(cell.cell_contents) for cell in self.function.__closure__ or ()]
        return repr((_instructions(code), self.function.__defaults__, self.function.__kwdefaults__, held))

    def keep(self, scores: Scores, pairs: Pairs) -> Decision:
        yield from ()
        sentences = scores.sentences
        return np.array([bool(self.function(sentences[x], sentences[y])) for x, y in pairs], dtype=bool)


def _instructions(code: CodeType) -> tuple[object, ...]:
    """Bytecode, names and constants; of functions defined inside likewise, since their own repr tells where they lie in memory."""
    return code.co_code, code.co_names, tuple(map(_told, code.co_consts))


def _told(value: object) -> object:
    """What has the same `repr` in every process: the order of a set does not."""
    if isinstance(value, CodeType):
        return _instructions(value)
    return sorted(map(repr, value)) if isinstance(value, set | frozenset) else value
