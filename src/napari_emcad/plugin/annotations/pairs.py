"""The annotation layers of a viewer with their images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal
from superqt.utils import qdebounced

from napari_emcad.interactive.annotated_patches import AnnotatedImage
from napari_emcad.interactive.project import AnnotationEntry, with_all_classes
from napari_emcad.pipelines.segment import slices_for
from napari_emcad.plugin.annotations.fit import share_channels, why_not_on, why_not_paintable
from napari_emcad.plugin.annotations.layer import (
    corner_of,
    is_ours,
    placement,
    rule_of,
    set_class_colors,
    store_rule,
)
from napari_emcad.plugin.layers.channel_axis import without_channels
from napari_emcad.plugin.layers.geometry import is_open, levels
from napari_emcad.plugin.layers.image_identity import IMAGE_IDENTITY
from napari_emcad.plugin.layers.scope import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from napari_emcad.imaging.slices import Slices
    from napari_emcad.interactive.project import AnnotationProject
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

    Channels = tuple[int | None, ...] | None

_PAUSE_MS = 200
"""Pause after a stroke before it is scanned."""


@dataclass(frozen=True, slots=True, eq=False)
class AnnotationPair:
    """An image layer and its annotation layer.

    Attributes
    ----------
    image, labels
        Image and annotation layer.
    axes, channels
        Axes and channels as `napari_emcad.segment` takes them.
    """

    image: Image
    labels: Labels
    axes: str
    channels: Channels

    @property
    def key(self) -> Hashable:
        """Unique key of the annotation; no other annotation ever gets it."""
        key: Hashable = self.labels.unique_id
        return key

    @property
    def window(self) -> Window:
        """The part of the image that the annotation covers."""
        shape = tuple(self.values.shape)
        return Window(corner_of(self.labels) or (0,) * len(shape), shape)

    @property
    def layer_axes(self) -> str:
        """A letter per axis of the image layer, without the color axis of RGB."""
        return self.axes[:-1] if self.image.rgb else self.axes

    @property
    def values(self) -> Any:
        """Values of the annotation along the image's spatial axes; a view of the layer's data."""
        return without_channels(self.labels.data, self.axes)

    def why_not_paintable(self) -> str:
        """Return the reason why the annotation cannot be painted on, or ""."""
        return why_not_paintable(self.labels, self.image, self.layer_axes)


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
        for pair in pairs.values():
            self._follow(pair)
        self._layers_removed()

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
        with_all_classes(entry, len(self._project.classes))  # before anything changes
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
        reasons = [self.why_not(self._pairs[key]) for key in enabled if key in self._pairs]
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
        for pair in self._pairs.values():
            self._unfollow(pair)

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
            corner, image = corner_of(pair.labels), IMAGE_IDENTITY.key(pair.image)
            images.append(
                AnnotatedImage(key, entry.name, slices, pair.values, entry.rule, corner, image)
            )
        return tuple(images)

    def _events(self, pair: AnnotationPair) -> tuple[Any, ...]:
        events = pair.labels.events
        return events.paint, events.data, events.set_data, pair.image.events.data

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
                self._unfollow(pair)
                self.removing.emit(pair)
                del self._pairs[key]
                self._project.remove_entry(key)
                self._emit_soon()

    def _follow(self, pair: AnnotationPair) -> None:
        for event in self._events(pair):
            event.connect(self._emit_soon)
        for layer in (pair.image, pair.labels):
            layer.events.name.connect(self._renamed)

    def _unfollow(self, pair: AnnotationPair) -> None:
        for event in self._events(pair):
            event.disconnect(self._emit_soon)
        for layer in (pair.image, pair.labels):
            layer.events.name.disconnect(self._renamed)


def slices_of(pair: AnnotationPair, checkpoint: Checkpoint) -> Slices:
    """Return the image of an annotation as slices for a checkpoint's network.

    Raises
    ------
    ValueError
        If its channels have to be chosen for this network.
    """
    return slices_for(levels(pair.image)[0].array, checkpoint, pair.axes, pair.channels)


def align_annotation(pair: AnnotationPair) -> None:
    """Give an annotation made by this plugin the position of its image, in case that was moved."""
    if not is_ours(pair.labels) or pair.why_not_paintable():
        return
    for name, value in placement(pair.image, pair.axes, corner_of(pair.labels)).items():
        setattr(pair.labels, name, value)
