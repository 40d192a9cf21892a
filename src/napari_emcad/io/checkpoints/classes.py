"""Classes of a checkpoint: names and colors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_emcad.io.plain_text import composed, is_control

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COLORS = ("#f5b041", "#3498db", "#2ecc71", "#e74c3c", "#9b59b6", "#1abc9c", "#e84393", "#95a5a6")

_COLOR = r"#[0-9a-fA-F]{6}"

LONGEST_NAME = 100
"""Characters of a class name; it is shown in tables, in status bars and below pictures."""


@dataclass(frozen=True, slots=True)
class ClassLabel:
    """Name and color (``#rrggbb``) of a class that is not the background.

    Raises
    ------
    ValueError
        If the name is empty, has several lines or more than `LONGEST_NAME` characters, or the color
        is invalid.
    """

    name: str
    color: str

    @staticmethod
    def from_dict(entry: Mapping[str, Any]) -> ClassLabel:
        """Return the class that `to_dict` described; the key ``colour`` may also be ``color``.

        Raises
        ------
        KeyError
            If the name or the color is missing.
        ValueError
            If one of them is not valid.
        """
        return ClassLabel(entry["name"], entry["colour"] if "colour" in entry else entry["color"])

    def to_dict(self) -> dict[str, str]:
        """Return the class as files and JSON output name it: ``name`` and ``colour``.

        The British spelling is part of the file format: earlier releases read it.
        """
        return {"name": self.name, "colour": self.color}

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"{self.name!r} is not a class name.")
        if len(self.name) > LONGEST_NAME or any(map(is_control, self.name)):
            raise ValueError(
                f"{self.name[:LONGEST_NAME]!r} is not a class name: it must be one line of at "
                f"most {LONGEST_NAME} characters."
            )
        object.__setattr__(self, "name", composed(self.name))
        if not isinstance(self.color, str) or not re.fullmatch(_COLOR, self.color):
            raise ValueError(f"{self.color!r} is not a color such as #3498db.")


def default_classes(num_classes: int) -> tuple[ClassLabel, ...]:
    """Return names and colors for a network whose file contains none.

    Parameters
    ----------
    num_classes
        Number of output channels: 1 for a binary network, otherwise including the background.
    """
    names = ["object"] if num_classes == 1 else [f"class {k}" for k in range(1, num_classes)]
    return class_labels(tuple(names) or ("class 1",))


def class_labels(
    names: Iterable[str | ClassLabel], known: Sequence[ClassLabel] = ()
) -> tuple[ClassLabel, ...]:
    """Return classes with the given names.

    Parameters
    ----------
    names
        Names of classes 1, 2, …; a `ClassLabel` is returned as it is.
    known
        Previous classes. A class keeps its color, found by its name, or by its position if it was
        renamed.
    """
    listed = [composed(name) if isinstance(name, str) else name for name in names]
    colors = {label.name: label.color for label in known}
    renamed = [None if label.name in listed else label.color for label in known]
    return tuple(
        name
        if isinstance(name, ClassLabel)
        else ClassLabel(str(name), colors.get(str(name)) or _color(position, renamed))
        for position, name in enumerate(listed)
    )


def _color(position: int, renamed: Sequence[str | None]) -> str:
    previous = renamed[position] if position < len(renamed) else None
    return previous or COLORS[position % len(COLORS)]
