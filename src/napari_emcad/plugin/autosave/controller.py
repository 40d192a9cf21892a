"""Saves paint and model by themselves, and offers them again after a crash."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QObject, QStandardPaths, QTimer, Signal

from napari_emcad.annotation.label_rules import LabelRule
from napari_emcad.io.autosave import (
    AutosaveFolder,
    Recovery,
    dismiss,
    find_recoveries,
    read_recovery,
)
from napari_emcad.io.checkpoints.classes import ClassLabel
from napari_emcad.plugin.annotations.layer import corner_of, is_ours, mark
from napari_emcad.plugin.annotations.pairs import AnnotationPair
from napari_emcad.plugin.layers.geometry import carried, carried_axes, is_open
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

EVERY_MS = 8_000
"""Between two savings at least; so much is lost at most, and the time that one takes."""

_DRAWN_ANEW = (
    "Which strokes are held out is drawn anew: of those that this model has learned, scores "
    "say too much."
)


def recovery_root() -> Path:
    """Return the folder of all sittings."""
    place = QStandardPaths.StandardLocation.GenericDataLocation
    return Path(QStandardPaths.writableLocation(place)) / "napari-emcad" / "recovery"


class AutosaveController(QObject):
    """Keeps a sitting, and does what the strip of what was lost wants.

    Parameters
    ----------
    context
        Of the panel.
    notes
        The annotations.
    strip
        Offers what crashes left behind.

    Signals
    -------
    restored
        Something that a crash left behind is here again.
    """

    restored = Signal()

    def __init__(self, context: Context, notes: AnnotationLayers, strip: RecoveryStrip) -> None:
        super().__init__(strip)
        self._context, self._notes, self._strip = context, notes, strip
        self._viewer, self._session = context.viewer, context.session
        self._sitting = AutosaveFolder(recovery_root())
        self._numbers: dict[Hashable, int] = {}
        self._dirty = False
        self._unsaved: Checkpoint | None = None
        self._thread: JobThread | None = None
        self._saving: tuple[bool, Checkpoint | None] = False, None
        self._said = False
        notes.painted.connect(self._painted)
        self._session.versions.changed.connect(self._model_changed)
        strip.restore_wanted.connect(self._restore_wanted)
        strip.leave_wanted.connect(dismiss)
        self._timer = QTimer(self)
        self._timer.setInterval(EVERY_MS)
        self._timer.timeout.connect(self.save)
        self._timer.start()

    # -- saving

    def keep(self, checkpoint: Checkpoint) -> None:
        """Save a model with the next turn, such as that of a training that still runs."""
        self._unsaved = checkpoint

    def save(self) -> None:
        """Save in a thread what has changed since the last time."""
        if self._thread is not None or not (self._dirty or self._unsaved is not None):
            return
        paints = self._paints() if self._dirty else []
        model, self._dirty, self._unsaved = self._unsaved, False, None
        sitting = self._sitting
        self._thread = JobThread(lambda _: _save_job(sitting, paints, model))
        self._saving = bool(paints), model
        self._thread.ended.connect(self._saved)
        self._thread.start()

    def _saved(self, outcome: Outcome) -> None:
        self._thread = None
        if not outcome.error:
            return
        paint, model = self._saving
        self._dirty = self._dirty or paint  # the next turn tries again
        self._unsaved = self._unsaved or model
        if not self._said:
            self._said = True
            said = f"Paint and model cannot be kept by themselves: {outcome.error}"
            self._context.say(said, error=True)

    def _painted(self) -> None:
        self._dirty = True

    def _model_changed(self) -> None:
        current = self._session.versions.current
        if current is not None and current.how != "opened":
            self._unsaved = current.checkpoint

    def _paints(self) -> list[tuple[int, Any, dict[str, Any]]]:
        found = []
        for key, pair in self._session.project.pairs.items():
            layers = self._notes.of(key)
            if layers is not None:
                number = self._numbers.setdefault(key, len(self._numbers) + 1)
                found.append((number, layers.numbers, self._about(layers, pair.rule)))
        return found

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
            "rule": {"meaning": rule.meaning, "moved": [list(each) for each in rule.moved]},
            "classes": [(each.name, each.color) for each in self._session.project.classes],
            "scale": list(map(float, labels.scale)),
            "translate": list(map(float, labels.translate)),
            "rotate": np.asarray(labels.rotate).tolist(),
            "shear": np.asarray(labels.shear).tolist(),
            "affine": np.asarray(labels.affine.affine_matrix).tolist(),
            "units": [str(each) for each in labels.units],
            "axis_labels": list(labels.axis_labels),
        }

    # -- offering

    def search(self) -> None:
        """Look in a thread for what crashes left behind."""
        root = recovery_root()
        thread = JobThread(lambda _: _search_job(root))
        thread.ended.connect(self._searched)  # a bound method: Qt cuts it when this is deleted
        thread.start()

    def _searched(self, outcome: Outcome) -> None:
        self._strip.show_lost(outcome.result or [])

    def _restore_wanted(self, lost: Recovery) -> None:
        """Bring it back, or say what has to be waited for."""
        running = self._session.running
        if running is not None:
            self._context.say(f"{running.verb}: restore it after that.", error=True)
            self._strip.show_lost([lost, *self._strip.lost])
            return
        alone, troubles = self.restore(lost)
        said = "Restored."
        if alone:
            named = ", ".join(f"“{name}”" for name in alone)
            said += f" Open the image of {named} and choose it with Use a layer."
        elif lost.model:
            said += f" {_DRAWN_ANEW}"
        self._context.say(" ".join([said, *troubles]), error=bool(troubles))
        self.restored.emit()

    def restore(self, lost: Recovery) -> tuple[list[str], list[str]]:
        """Bring back the model, its classes and annotations; nothing may run.

        Returns
        -------
        tuple
            Names of annotations whose image is not open, and what could not be read.
        """
        paints, model, troubles = read_recovery(lost)
        if model is not None:
            self._session.open(model)
        alone = [each.metadata["name"] for each in paints if not self._restore_paint(each)]
        if not troubles:
            dismiss(lost)
        return alone, troubles

    def _restore_paint(self, kept: SavedAnnotation) -> bool:
        """Show an annotation again; return whether it was paired with its image."""
        about = kept.metadata
        self._restore_classes(about["classes"])
        placed = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
        labels = Labels(
            _wide(kept), name=about["name"], opacity=0.7, **{name: about[name] for name in placed}
        )
        moved = tuple((int(v), int(k)) for v, k in about["rule"]["moved"])
        mark(labels, about["corner"], LabelRule(about["rule"]["meaning"], moved), about["ours"])
        self._viewer.add_layer(labels)
        image, channels = self._image(about["image"]), about["channels"]
        if image is None:
            return False
        read = None if channels is None else tuple(channels)
        try:
            self._notes.add(AnnotationPair(image, labels, about["axes"], read))
        except ValueError:  # another image of the same name
            return False
        return True

    def _restore_classes(self, kept: list[tuple[str, str]]) -> None:
        self._session.project.adopt(tuple(ClassLabel(name, color) for name, color in kept))

    def _image(self, name: str) -> Image | None:
        found = [each for each in self._viewer.layers if each.name == name]
        images: list[Any] = [each for each in found if type(each).__name__ == "Image"]
        return images[0] if images and is_open(self._viewer, images[0]) else None

    def release(self) -> None:
        """Save what is left and close the sitting; it is not used again."""
        self._timer.stop()
        self._notes.painted.disconnect(self._painted)
        self._session.versions.changed.disconnect(self._model_changed)
        if self._thread is not None:
            self._thread.wait(5)
        if self._dirty or self._unsaved is not None:
            job = _save_job(self._sitting, self._paints(), self._unsaved)
            _run_through(job)
        self._sitting.close()


def _save_job(
    sitting: AutosaveFolder, paints: list[tuple[int, Any, dict[str, Any]]], model: Checkpoint | None
) -> Generator[Any, None, None]:
    yield from ()
    for number, labels, about in paints:
        sitting.save_annotation(number, labels, about)
    if model is not None:
        sitting.save_model(model)


def _wide(kept: SavedAnnotation) -> Any:
    """Return an annotation with the channels that it carries along."""
    axes, shape = kept.metadata["axes"], kept.metadata.get("shape", kept.labels.shape)
    if len(shape) == kept.labels.ndim:
        return kept.labels
    sizes = dict(zip(carried_axes(axes), shape, strict=True))
    return carried(kept.labels, axes, [sizes.get(axis, 1) for axis in range(len(axes))])


def _search_job(root: Path) -> Generator[Any, None, list[Recovery]]:
    yield from ()
    return find_recoveries(root)


def _run_through(job: Generator[Any, None, None]) -> None:
    try:
        for _ in job:
            pass
    except (OSError, ValueError):  # the window closes; there is nobody to tell
        return
