"""Training tasks from the annotations and the open model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.annotation.label_rules import check_class_count
from napari_emcad.interactive.annotation_conflicts import conflict_message
from napari_emcad.interactive.class_renames import relabel
from napari_emcad.interactive.task import training_task
from napari_emcad.io.checkpoints.heads import with_class_labels

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari_emcad.annotation.record import Record
    from napari_emcad.interactive.session import Session
    from napari_emcad.interactive.task import TrainingSettings, TrainingTask
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.plugin.annotations.pairs import AnnotationLayers


class TaskBuilder:
    """Makes training tasks of the present annotations.

    Parameters
    ----------
    session
        Session of the viewer.
    annotations
        Annotation layers.
    """

    def __init__(self, session: Session, annotations: AnnotationLayers) -> None:
        self._session, self._annotations = session, annotations
        self._compared: tuple[Record, frozenset[Hashable]] | None = None
        self._conflicts = ""

    def conflict_message(self) -> str:
        """Return a message about annotations of one image that disagree, or ""."""
        checkpoint, project = self._session.checkpoint, self._session.project
        enabled = frozenset(key for key, entry in project.entries.items() if entry.enabled)
        state = project.record, enabled
        if checkpoint is not None and self._compared != state:
            self._compared = state
            images = self._annotations.enabled_images(checkpoint)
            self._conflicts = conflict_message(images, project.record)
        return self._conflicts

    def build(
        self, checkpoint: Checkpoint, settings: TrainingSettings, device: str
    ) -> TrainingTask:
        """Return the task of learning the present annotations; it freezes their split.

        Parameters
        ----------
        checkpoint
            Checkpoint to start from.
        settings
            Values of the training form.
        device
            Name of the device.

        Raises
        ------
        ValueError
            If no image can be read by the network; the message is for the user.
        """
        adapted, base = self._with_annotated_classes(checkpoint), self._base()
        for pair in self._annotations.pairs:
            self._annotations.align(pair)
        images = self._annotations.enabled_images(adapted)
        if not images:
            raise ValueError(
                "No ticked image has the channels that this model needs; choose them on the "
                "Segment tab."
            )
        record = self._session.project.freeze_split()
        automatic = settings.start == "automatic"
        return training_task(adapted, images, record, settings.config, device, base, automatic)

    def _base(self) -> Checkpoint | None:
        """Return the model before it learned anything, with heads for the annotated classes."""
        current = self._session.versions.current
        base = None if current is None else current.base
        return None if base is None else self._with_annotated_classes(base)

    def _with_annotated_classes(self, checkpoint: Checkpoint) -> Checkpoint:
        """Return a checkpoint with heads for the annotated classes; a renamed class keeps its."""
        project = self._session.project
        checkpoint = relabel(project, checkpoint)
        names = {label.name for label in (*checkpoint.classes, *project.classes)}
        check_class_count(len(names))
        return with_class_labels(checkpoint, project.classes)
