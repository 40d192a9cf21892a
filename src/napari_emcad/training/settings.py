"""Checks of settings, settings as text, and names that were misspelled."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import fields
from difflib import get_close_matches
from math import isfinite
from typing import TYPE_CHECKING, Any

from napari_emcad.model.checks import check_value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from _typeshed import DataclassInstance

_NOT_PYTHON = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError)


def suggest_names(names: Iterable[str], possible: Collection[str]) -> str:
    """Return similar names as " (did you mean …?)"; "" where none is similar."""
    near = [match for name in sorted(names) for match in get_close_matches(name, possible, n=1)]
    return f" (did you mean {', '.join(near)}?)" if near else ""


def parse_settings(text: str) -> dict[str, Any]:
    """Return the settings in a text such as ``flip=false, scale=[0.5, 2]``.

    Raises
    ------
    ValueError
        If a part is not of the form name=value.
    """
    settings = {}
    for part in re.split(r",(?![^\[]*\])", text):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if equals and name:
            settings[name] = parse_value(value)
        elif part.strip():
            raise ValueError(f"{part.strip()!r} is not of the form name=value.")
    return settings


def parse_value(text: str) -> Any:
    """Return the value of a setting: parsed as JSON or Python, else the text; lists as tuples."""
    for parse, errors in ((json.loads, (ValueError,)), (ast.literal_eval, _NOT_PYTHON)):
        try:
            value = parse(text)
        except errors:
            continue
        return tuple(value) if isinstance(value, list) else value
    return text


_TYPES = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "tuple[float, float]": "two numbers, such as [0.5, 2]",
    "tuple[float, ...]": "numbers, such as [0.75, 1, 1.25]",
}
"""Descriptions of valid values by the type of a field."""


def check_types(config: DataclassInstance) -> None:
    """Refuse values of another type than their field's, before they are compared with bounds."""
    for setting in fields(config):
        name, value = setting.name, getattr(config, setting.name)
        type_name = str(setting.type).removesuffix(" | None")
        if type_name in _TYPES and not (value is None and type_name != setting.type):
            check_value(_has_type(type_name, value), name, value, _TYPES[type_name])


def _has_type(type_name: str, value: object) -> bool:
    if type_name.startswith("tuple"):
        numbers = isinstance(value, (tuple, list)) and all(_has_type("float", v) for v in value)
        return numbers and (type_name.endswith("...]") or len(value) == 2)  # type: ignore[arg-type]
    if type_name == "bool" or isinstance(value, bool):
        return type_name == "bool" and isinstance(value, bool)
    return isinstance(value, int if type_name == "int" else (int, float)) and isfinite(value)


def check_bounds(config: object, names: tuple[str, ...], low: float, high: float | None) -> None:
    """Refuse values below `low` or above `high`; None is no upper bound."""
    expected = f"at least {low}" if high is None else f"{low} to {high}"
    for name in names:
        value = getattr(config, name)
        check_value(low <= value and (high is None or value <= high), name, value, expected)
