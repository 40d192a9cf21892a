"""New names of classes, by which a class is recognized in models that were made before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_emcad.interactive.project import AnnotationProject
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.checkpoints.classes import ClassLabel


@dataclass(frozen=True, slots=True)
class ClassRenames:
    """Present names by earlier names.

    Attributes
    ----------
    names
        Present name by every earlier name of a class that was renamed.
    """

    names: Mapping[str, str] = field(default_factory=dict)

    def then(self, changes: Mapping[str, str]) -> ClassRenames:
        """Return the renames followed by others, which are made at the same time."""
        names = {old: changes.get(new, new) for old, new in self.names.items()} | dict(changes)
        taken = set(changes.values())
        return ClassRenames({old: new for old, new in names.items() if old not in taken})

    def apply(
        self, classes: Iterable[ClassLabel], known: Iterable[ClassLabel]
    ) -> tuple[ClassLabel, ...]:
        """Return the classes of a model with their present names, and the colors of known classes.

        A model that has the present name already keeps its names.
        """
        labels, colors = tuple(classes), {label.name: label for label in known}
        names = {label.name for label in labels}
        present = {old: new for old, new in self.names.items() if new not in names}
        renamed = (replace(label, name=present.get(label.name, label.name)) for label in labels)
        return tuple(colors.get(label.name, label) for label in renamed)


def relabel(project: AnnotationProject, checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint with the present names and colors of its classes in a project."""
    labels = project.with_current_labels(checkpoint.classes)
    return checkpoint if labels == checkpoint.classes else replace(checkpoint, classes=labels)
