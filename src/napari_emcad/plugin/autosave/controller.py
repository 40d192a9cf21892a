"""Autosave: saves annotations and models, and restores them after a crash."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QObject, QStandardPaths, QTimer, Signal

from napari_emcad.annotation.label_rules import LabelRule
from napari_emcad.inference.jobs import run_job
from napari_emcad.io.autosave import (
    AutosaveFolder,
    Recovery,
    dismiss,
    find_recoveries,
    read_recovery,
)
from napari_emcad.io.checkpoints.classes import ClassLabel
from napari_emcad.plugin.annotations.layer import corner_of, is_ours, mark
from napari_emcad.plugin.annotations.pair import AnnotationPair
from napari_emcad.plugin.layers.channel_axis import broadcast_channels, layer_axes
from napari_emcad.plugin.layers.geometry import is_open
from napari_emcad.plugin.runner.thread import JobThread

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable

    from napari.layers import Image

    from napari_emcad.io.autosave import SavedAnnotation
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.plugin.annotations.pairs import AnnotationLayers
    from napari_emcad.plugin.autosave.strip import RecoveryStrip
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome

INTERVAL_MS = 8_000
"""Interval between savings: the work that a crash can lose, besides the duration of a saving."""

_NEW_SPLIT = (
    "Held-out strokes are chosen again: this model has learned some of them, so scores will be "
    "too high."
)


def recovery_root() -> Path:
    """Return the folder of all autosaved sessions."""
    location = QStandardPaths.StandardLocation.GenericDataLocation
    return Path(QStandardPaths.writableLocation(location)) / "napari-emcad" / "recovery"


class AutosaveController(QObject):
    """Saves annotations and models every few seconds, and restores those of a crashed session.

    Parameters
    ----------
    context
        Shared state of the panel.
    annotations
        Annotation layers.
    strip
        Offers recoveries to the user.
    root
        Folder of all autosaved sessions; None for `recovery_root`.

    Signals
    -------
    restored
        A recovery was restored.
    """

    restored = Signal()

    def __init__(
        self,
        context: Context,
        annotations: AnnotationLayers,
        strip: RecoveryStrip,
        root: Path | None = None,
    ) -> None:
        super().__init__(strip)
        self._context, self._annotations, self._strip = context, annotations, strip
        self._viewer, self._session = context.viewer, context.session
        self._root = root or recovery_root()
        self._folder = AutosaveFolder(self._root)
        self._numbers: dict[Hashable, int] = {}
        self._painted = False
        self._unsaved: Checkpoint | None = None
        self._thread: JobThread | None = None
        self._saving: tuple[bool, Checkpoint | None] = False, None
        self._failure_shown = False
        annotations.painted.connect(self._on_painted)
        self._session.versions.changed.connect(self._versions_changed)
        strip.restore_requested.connect(self._restore_requested)
        strip.dismiss_requested.connect(dismiss)
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self.save)
        self._timer.start()

    # -- saving

    @property
    def folder(self) -> Path | None:
        """Folder of this session; None while nothing was saved."""
        return self._folder.folder

    def keep(self, checkpoint: Checkpoint) -> None:
        """Save a model with the next saving, such as that of a running training."""
        self._unsaved = checkpoint

    def save(self) -> None:
        """Save in a thread what has changed since the last saving."""
        if self._thread is not None or not (self._painted or self._unsaved is not None):
            return
        annotations = self._annotations_to_save() if self._painted else []
        model, self._painted, self._unsaved = self._unsaved, False, None
        folder = self._folder
        self._thread = JobThread(lambda _: _save_job(folder, annotations, model))
        self._saving = bool(annotations), model
        self._thread.ended.connect(self._saved)
        self._thread.start()

    def _saved(self, outcome: Outcome) -> None:
        self._thread = None
        if not outcome.error:
            return
        painted, model = self._saving
        self._painted = self._painted or painted  # the next saving tries again
        self._unsaved = self._unsaved or model
        if not self._failure_shown:
            self._failure_shown = True
            message = f"Annotations and model cannot be autosaved: {outcome.error}"
            self._context.show_message(message, error=True)

    def _on_painted(self) -> None:
        self._painted = True

    def _versions_changed(self) -> None:
        current = self._session.versions.current
        if current is not None and current.how != "opened":
            self._unsaved = current.checkpoint

    def _annotations_to_save(self) -> list[tuple[int, Any, dict[str, Any]]]:
        """Return number, values and metadata of all annotations."""
        saved = []
        for key, entry in self._session.project.entries.items():
            pair = self._annotations.by_key(key)
            if pair is not None:
                number = self._numbers.setdefault(key, len(self._numbers) + 1)
                saved.append((number, pair.values, self._about(pair, entry.rule)))
        return saved

    def _about(self, pair: AnnotationPair, rule: LabelRule) -> dict[str, Any]:
        labels = pair.labels
        return {
            "name": labels.name,
            "image": pair.image.name,
            "axes": pair.axes,
            "shape": [int(size) for size in labels.data.shape],
            "channels": pair.channels,
            "ours": is_ours(labels),
            "corner": list(corner_of(labels)),
            "rule": rule.to_dict(),
            "classes": [(label.name, label.color) for label in self._session.project.classes],
            "scale": list(map(float, labels.scale)),
            "translate": list(map(float, labels.translate)),
            "rotate": np.asarray(labels.rotate).tolist(),
            "shear": np.asarray(labels.shear).tolist(),
            "affine": np.asarray(labels.affine.affine_matrix).tolist(),
            "units": [str(unit) for unit in labels.units],
            "axis_labels": list(labels.axis_labels),
        }

    # -- restoring

    def search(self) -> None:
        """Search in a thread for recoveries of crashed sessions."""
        root = self._root
        thread = JobThread(lambda _: _search_job(root))
        thread.ended.connect(self._searched)  # a bound method: disconnected with this object
        thread.start()

    def _searched(self, outcome: Outcome) -> None:
        self._strip.show_recoveries(outcome.result or [])

    def _restore_requested(self, recovery: Recovery) -> None:
        """Restore a recovery, or show which job has to be waited for."""
        running = self._session.running
        if running is not None:
            self._context.show_message(f"{running.verb}: restore it after that.", error=True)
            self._strip.show_recoveries([recovery, *self._strip.recoveries])
            return
        without_image, problems = self.restore(recovery)
        parts = ["Restored."]
        if without_image:
            names = ", ".join(f"“{name}”" for name in without_image)
            parts.append(f"Open the image of {names} and choose it with Use a layer.")
        elif recovery.model:
            parts.append(_NEW_SPLIT)
        self._context.show_message(" ".join([*parts, *problems]), error=bool(problems))
        self.restored.emit()

    def restore(self, recovery: Recovery) -> tuple[list[str], list[str]]:
        """Restore model, classes and annotations; no job may be running.

        Returns
        -------
        tuple
            Names of annotations whose image is not open, and problems.
        """
        annotations, model, problems = read_recovery(recovery)
        if model is not None:
            self._session.open(model)
        without_image = [a.metadata["name"] for a in annotations if not self._restore_annotation(a)]
        if not problems:
            dismiss(recovery)
        return without_image, problems

    def _restore_annotation(self, saved: SavedAnnotation) -> bool:
        """Add the layer of a saved annotation; return whether its image is open."""
        about = saved.metadata
        classes = tuple(ClassLabel(name, color) for name, color in about["classes"])
        self._session.project.adopt_classes(classes)
        placement = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
        labels = Labels(
            _with_channels(saved),
            name=about["name"],
            opacity=0.7,
            **{name: about[name] for name in placement},
        )
        mark(labels, about["corner"], LabelRule.from_dict(about["rule"]), about["ours"])
        self._viewer.add_layer(labels)
        image, channels = self._open_image(about["image"]), about["channels"]
        if image is None:
            return False
        chosen = None if channels is None else tuple(channels)
        try:
            self._annotations.add(AnnotationPair(image, labels, about["axes"], chosen))
        except ValueError:  # another image of the same name
            return False
        return True

    def _open_image(self, name: str) -> Image | None:
        layers = [layer for layer in self._viewer.layers if layer.name == name]
        images: list[Any] = [layer for layer in layers if type(layer).__name__ == "Image"]
        return images[0] if images and is_open(self._viewer, images[0]) else None

    def release(self) -> None:
        """Save what is unsaved and close the folder; the controller is not used again."""
        self._timer.stop()
        self._annotations.painted.disconnect(self._on_painted)
        self._session.versions.changed.disconnect(self._versions_changed)
        if self._thread is not None:
            self._thread.wait(5)
        if self._painted or self._unsaved is not None:
            annotations = self._annotations_to_save()
            with suppress(OSError, ValueError):  # the window closes: no message could be shown
                run_job(_save_job(self._folder, annotations, self._unsaved))
        self._folder.close()


def _save_job(
    folder: AutosaveFolder,
    annotations: list[tuple[int, Any, dict[str, Any]]],
    model: Checkpoint | None,
) -> Generator[Any, None, None]:
    yield from ()
    for number, values, about in annotations:
        folder.save_annotation(number, values, about)
    if model is not None:
        folder.save_model(model)


def _with_channels(saved: SavedAnnotation) -> Any:
    """Return the values of an annotation with the channel axis that its layer had."""
    axes, shape = saved.metadata["axes"], saved.metadata.get("shape", saved.labels.shape)
    if len(shape) == saved.labels.ndim:
        return saved.labels
    sizes = dict(zip(layer_axes(axes), shape, strict=True))
    return broadcast_channels(saved.labels, axes, [sizes.get(axis, 1) for axis in range(len(axes))])


def _search_job(root: Path) -> Generator[Any, None, list[Recovery]]:
    yield from ()
    return find_recoveries(root)
