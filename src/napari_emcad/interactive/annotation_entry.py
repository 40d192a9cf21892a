"""What an annotation project knows of its annotations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from napari_emcad.annotation.label_rules import LabelRule
    from napari_emcad.annotation.record import Record
    from napari_emcad.io.checkpoints.classes import ClassLabel


@dataclass(frozen=True, slots=True)
class AnnotationEntry:
    """An annotation of an image in the project.

    Attributes
    ----------
    key
        Identifies the annotation.
    name
        Name of the image.
    rule
        Classes of the values.
    enabled
        Whether the annotation is used for training.
    """

    key: Hashable
    name: str
    rule: LabelRule
    enabled: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class ClassState:
    """The classes of a project and what depends on them, to undo the removal of a class.

    Attributes
    ----------
    classes
        Classes 1, 2, …
    rules
        Rules of the annotations, by key.
    record
        Annotated pixels.
    """

    classes: tuple[ClassLabel, ...]
    rules: Mapping[Hashable, LabelRule]
    record: Record
