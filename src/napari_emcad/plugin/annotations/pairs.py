"""The annotation layers of a viewer with their images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal
from superqt.utils import qdebounced

from napari_emcad.interactive.annotated_patches import AnnotatedImage
from napari_emcad.interactive.annotation_entry import AnnotationEntry
from napari_emcad.plugin.annotations.copies import COPIED_PIXELS
from napari_emcad.plugin.annotations.fit import misplacement, share_channels, why_not_on
from napari_emcad.plugin.annotations.layer import (
    corner_of,
    is_ours,
    rule_of,
    set_class_colors,
    store_rule,
)
from napari_emcad.plugin.annotations.pair import AnnotationPair, align_annotation, slices_of
from napari_emcad.plugin.layers.geometry import is_open
from napari_emcad.plugin.layers.image_identity import IMAGE_IDENTITY
from napari_emcad.plugin.layers.pixel_events import pixel_events

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_emcad.interactive.project import AnnotationProject
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

    Channels = tuple[int | None, ...] | None

_PAUSE_MS = 200
"""Pause after a stroke before it is scanned."""


class AnnotationLayers(QObject):
    """The annotations of a viewer; kept in step with the project.

    Parameters
    ----------
    viewer
        Viewer of the layers.
    project
        Project that the annotations belong to.
    owner
        Qt parent.
    pairs
        Annotations of a panel that was closed before, by key; changed in place.

    Signals
    -------
    painted
        An annotation was painted a moment ago, or layers have changed.
    removing
        The layer of this `AnnotationPair`, or its image, was removed; its entry still exists.
    """

    painted = Signal()
    removing = Signal(object)

    def __init__(
        self,
        viewer: ViewerModel,
        project: AnnotationProject,
        owner: QObject,
        pairs: dict[Hashable, AnnotationPair],
    ) -> None:
        super().__init__(owner)
        self._viewer, self._project = viewer, project
        self._pairs = pairs
        self._emit_soon = qdebounced(self._emit_painted, timeout=_PAUSE_MS, parent=owner)
        viewer.layers.events.removed.connect(self._layers_removed)
        project.entries_changed.connect(self.show_rules)
        project.classes_changed.connect(self.show_rules)
        project.classes_changed.connect(self._emit_soon)  # values may stand for a class now
        for pair in pairs.values():
            self._follow(pair)
        self._layers_removed()

    @property
    def project(self) -> AnnotationProject:
        """The project that the annotations belong to."""
        return self._project

    @property
    def pairs(self) -> tuple[AnnotationPair, ...]:
        """All annotations whose layers are open."""
        return tuple(self._pairs.values())

    def by_key(self, key: Hashable | None) -> AnnotationPair | None:
        """Return an annotation by its key."""
        return self._pairs.get(key)

    def of_image(self, image: Image | None) -> AnnotationPair | None:
        """Return the last annotation of an image."""
        found = [pair for pair in self._pairs.values() if pair.image is image]
        return found[-1] if found else None

    def add(self, pair: AnnotationPair) -> str:
        """Add an annotation; return a remark on how its values are read, or "".

        Raises
        ------
        ValueError
            If the annotation does not fit the image pixel by pixel, or has too many classes.
        """
        share_channels(pair.labels, pair.layer_axes)
        if reason := why_not_on(pair.labels, pair.image, pair.axes):
            raise ValueError(f"“{pair.labels.name}” does not fit “{pair.image.name}”: {reason}.")
        detected = rule_of(pair.labels, len(self._project.classes))
        entry = AnnotationEntry(pair.key, pair.image.name, detected.rule)
        entry.rule.with_classes(len(self._project.classes))  # raises before anything changes
        is_new = pair.key not in self._pairs
        self._pairs[pair.key] = pair
        if is_new:
            self._follow(pair)
        self._project.add_entry(entry)
        self._emit_soon()
        return "" if is_ours(pair.labels) else detected.reason

    def enabled_images(self, checkpoint: Checkpoint) -> tuple[AnnotatedImage, ...]:
        """Return the enabled annotations for a checkpoint's network.

        Images that the network cannot read, because their channels have to be chosen, are left out.
        """
        return self._images(checkpoint, lambda pair: pair.channels, only_enabled=True)

    def all_images(self, checkpoint: Checkpoint) -> tuple[AnnotatedImage, ...]:
        """Return all annotations to be scanned, whatever channels the network needs."""
        return self._images(checkpoint, lambda pair: (0,) if "C" in pair.axes else None)

    def align(self, pair: AnnotationPair) -> None:
        """Move an annotation that we made onto its image, in case one of them was moved."""
        if is_ours(pair.labels) and not self.why_not(pair):
            align_annotation(pair)

    def why_not(self, pair: AnnotationPair) -> str:
        """Return the reason why an annotation no longer fits its image, or ""."""
        reason = why_not_on(pair.labels, pair.image, pair.axes)
        if not reason:
            return ""
        return (
            f"“{pair.labels.name}” no longer fits “{pair.image.name}”: {reason}. Restore the data "
            f"it was painted on, or untick it and make a new annotation."
        )

    def why_not_enabled(self) -> str:
        """Return the reason why an enabled annotation cannot be used, or ""."""
        enabled = [key for key, entry in self._project.entries.items() if entry.enabled]
        pairs = [self._pairs[key] for key in enabled if key in self._pairs]
        reasons = (self.why_not(pair) or _moved_message(self._viewer, pair) for pair in pairs)
        return next(filter(None, reasons), "")

    def set_channels(self, image: Image | None, axes: str, channels: Channels) -> None:
        """Read an image's annotations with other channels from now on."""
        for key, pair in self._pairs.items():
            if pair.image is image and pair.axes == axes:
                self._pairs[key] = replace(pair, channels=channels)

    def show_rules(self) -> None:
        """Store the label rules in the layers and show the colors of the classes."""
        for key, entry in self._project.entries.items():
            pair = self._pairs.get(key)
            if pair is not None:
                store_rule(pair.labels, entry.rule)
                set_class_colors(pair.labels, entry.rule, self._project.classes)

    def release(self) -> None:
        """Disconnect from all layers; the annotations are not used again."""
        self._viewer.layers.events.removed.disconnect(self._layers_removed)
        self._project.entries_changed.disconnect(self.show_rules)
        self._project.classes_changed.disconnect(self.show_rules)
        self._project.classes_changed.disconnect(self._emit_soon)
        for pair in self._pairs.values():
            self._follow(pair, False)

    def _images(
        self,
        checkpoint: Checkpoint,
        channels: Callable[[AnnotationPair], Channels],
        only_enabled: bool = False,
    ) -> tuple[AnnotatedImage, ...]:
        images = []
        for key, entry in self._project.entries.items():
            pair = self._pairs.get(key)
            if pair is None or (only_enabled and not entry.enabled) or self.why_not(pair):
                continue
            try:
                slices = slices_of(replace(pair, channels=channels(pair)), checkpoint)
            except ValueError:
                continue
            images.append(
                AnnotatedImage(
                    key,
                    entry.name,
                    slices,
                    pair.values,
                    entry.rule,
                    corner_of(pair.labels),
                    IMAGE_IDENTITY.key(pair.image),
                    revision=pixel_events(pair.image).revision,
                    copied=COPIED_PIXELS.planes(pair.labels),
                )
            )
        return tuple(images)

    def _events(self, pair: AnnotationPair) -> tuple[Any, ...]:
        events = pair.labels.events
        image = pixel_events(pair.image)
        return events.paint, events.data, events.set_data, image.changed

    def flush(self) -> None:
        """Emit a pending `painted` at once."""
        self._emit_soon.flush()

    def _emit_painted(self, _: object = None) -> None:
        """Emit `painted`, unless a stroke is still being drawn."""
        pairs = self._pairs.values()
        if any(getattr(pair.labels, "_block_history", False) for pair in pairs):
            self._emit_soon()
            return
        for pair in pairs:
            share_channels(pair.labels, pair.layer_axes)
        self.painted.emit()

    def _renamed(self, _: object = None) -> None:
        for key, pair in self._pairs.items():
            if key in self._project.entries:
                self._project.change_entry(key, name=pair.image.name)

    def _layers_removed(self, _: object = None) -> None:
        for key, pair in list(self._pairs.items()):
            if not (is_open(self._viewer, pair.labels) and is_open(self._viewer, pair.image)):
                self._follow(pair, False)
                self.removing.emit(pair)
                del self._pairs[key]
                self._project.remove_entry(key)
                self._emit_soon()

    def _follow(self, pair: AnnotationPair, on: bool = True) -> None:
        """Follow strokes, data and names of the layers of an annotation, or no longer."""
        names = (layer.events.name for layer in (pair.image, pair.labels))
        followed = [(event, self._emit_soon) for event in self._events(pair)]
        for event, slot in (*followed, *((name, self._renamed) for name in names)):
            event.connect(slot) if on else event.disconnect(slot)


def _moved_message(viewer: ViewerModel, pair: AnnotationPair) -> str:
    """Return a message if a layer of the user no longer lies on its image, or ""."""
    labels, image = pair.labels, pair.image
    moved = "" if is_ours(labels) else misplacement(viewer, labels, image, pair.axes)
    if not moved:
        return ""
    return (
        f"“{labels.name}” no longer lies on “{image.name}”: {moved}. Move it back, or choose it "
        f"again with Use a layer to move it onto the image."
    )
