"""Pairs of layers behind the workbook's pairs: followed, painted on, and handed down as values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal
from superqt.utils import qdebounced

from napari_emcad.interactive.annotated_patches import AnnotatedImage
from napari_emcad.interactive.project import Pair
from napari_emcad.pipelines.segment import slices_for
from napari_emcad.plugin.annotations.layer import (
    color,
    corner_of,
    is_ours,
    keep_rule,
    place,
    read_rule,
    share_channels,
    why_not_on,
    why_not_painted,
)
from napari_emcad.plugin.layers.geometry import is_open, levels, without_channels
from napari_emcad.plugin.layers.image_identity import IMAGE_IDENTITY
from napari_emcad.plugin.layers.scope import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from napari_emcad.imaging.slices import Slices
    from napari_emcad.interactive.project import AnnotationProject
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

_REST_MS = 200
"""After a stroke, until what was painted is looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class AnnotationPair:
    """An image layer, its annotation, and how the image is read."""

    image: Image
    labels: Labels
    axes: str
    channels: tuple[int | None, ...] | None

    @property
    def key(self) -> Hashable:
        """What tells it from others; never given to another annotation."""
        key: Hashable = self.labels.unique_id
        return key

    @property
    def window(self) -> Window:
        """The part of the image that the annotation covers."""
        shape = tuple(self.numbers.shape)
        return Window(corner_of(self.labels) or (0,) * len(shape), shape)

    @property
    def letters(self) -> str:
        """A letter per axis of the image layer, without the color axis of RGB."""
        return self.axes[:-1] if self.image.rgb else self.axes

    def why_not_painted(self) -> str:
        """Return why nothing can be painted on the annotation, or ""."""
        return why_not_painted(self.labels, self.image, self.letters)

    @property
    def numbers(self) -> Any:
        """What is painted, along the image's spatial axes; the layer's own memory."""
        return without_channels(self.labels.data, self.axes)


class AnnotationLayers(QObject):
    """The layers that are taught with.

    Parameters
    ----------
    viewer
        Whose layers they are.
    workbook
        What is known of them.
    owner
        The Qt object that this one ends with.
    kept
        The pairs of a panel that was closed before, by key; they are changed here.

    Signals
    -------
    painted
        Something was painted a moment ago, or what the numbers mean was changed.
    """

    painted = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        project: AnnotationProject,
        owner: QObject,
        kept: dict[Hashable, AnnotationPair],
    ) -> None:
        super().__init__(owner)
        self._viewer, self._workbook = viewer, project
        self._pairs = kept
        self._painted_soon = qdebounced(self._tell, timeout=_REST_MS, parent=owner)
        viewer.layers.events.removed.connect(self._removed)
        project.pairs_changed.connect(self._show_rules)
        project.classes_changed.connect(self._show_rules)
        for pair in kept.values():
            self._follow(pair)
        self._removed()

    @property
    def pairs(self) -> tuple[AnnotationPair, ...]:
        """All pairs whose layers are open."""
        return tuple(self._pairs.values())

    def of(self, key: Hashable) -> AnnotationPair | None:
        """Return a pair by its key."""
        return self._pairs.get(key)

    def of_image(self, image: Image | None) -> AnnotationPair | None:
        """Return the last pair of an image."""
        found = [each for each in self._pairs.values() if each.image is image]
        return found[-1] if found else None

    def add(self, pair: AnnotationPair) -> str:
        """Teach with a pair from now on; return why its numbers are read as they are.

        Raises
        ------
        ValueError
            If the annotation does not lie on the image pixel by pixel.
        """
        share_channels(pair.labels, pair.letters)
        self._check(pair)
        detected = read_rule(pair.labels, len(self._workbook.classes))
        new = pair.key not in self._pairs
        self._pairs[pair.key] = pair
        if new:
            self._follow(pair)
        self._workbook.add_pair(Pair(pair.key, pair.image.name, detected.rule))
        self._changed()
        return "" if is_ours(pair.labels) else detected.why

    def sources(self, checkpoint: Checkpoint) -> tuple[AnnotatedImage, ...]:
        """Return the ticked pairs as values for a checkpoint's network.

        Pairs whose image cannot be read by this network (channels that have to be chosen) are
        left out.
        """
        return self._painted(checkpoint, lambda pair: pair.channels, ticked=True)

    def to_look_at(self, checkpoint: Checkpoint) -> tuple[AnnotatedImage, ...]:
        """Return all pairs for what is painted on them, whichever channels a network takes."""
        return self._painted(checkpoint, lambda pair: (0,) if "C" in pair.axes else None)

    def why_not(self, pair: AnnotationPair) -> str:
        """Return why a pair cannot be learned since its image or annotation changed, or ""."""
        reason = why_not_on(pair.labels, pair.image, pair.axes)
        if not reason:
            return ""
        return (
            f"“{pair.labels.name}” does not suit “{pair.image.name}” any more: {reason}. Give back "
            f"the data it was painted on, or untick it and make a new annotation."
        )

    def why_not_ticked(self) -> str:
        """Return why a ticked pair cannot be learned, or ""."""
        ticked = [key for key, pair in self._workbook.pairs.items() if pair.ticked]
        reasons = [self.why_not(self._pairs[key]) for key in ticked if key in self._pairs]
        return next(filter(None, reasons), "")

    def read_as(self, image: Image, axes: str, channels: tuple[int | None, ...] | None) -> None:
        """Read an image's pairs with other channels from now on."""
        for key, pair in self._pairs.items():
            if pair.image is image and pair.axes == axes:
                self._pairs[key] = replace(pair, channels=channels)

    def _painted(
        self,
        checkpoint: Checkpoint,
        channels: Callable[[AnnotationPair], tuple[int | None, ...] | None],
        ticked: bool = False,
    ) -> tuple[AnnotatedImage, ...]:
        found = []
        for key, pair in self._workbook.pairs.items():
            layers = self._pairs.get(key)
            if layers is None or (ticked and not pair.ticked) or self.why_not(layers):
                continue
            try:
                slices = slices_of(replace(layers, channels=channels(layers)), checkpoint)
            except ValueError:
                continue
            corner, image = corner_of(layers.labels), IMAGE_IDENTITY.key(layers.image)
            found.append(
                AnnotatedImage(key, pair.name, slices, layers.numbers, pair.rule, corner, image)
            )
        return tuple(found)

    def show_rules(self) -> None:
        """Color the annotations as their rules say."""
        self._show_rules()

    def release(self) -> None:
        """Let go of all layers; it is not used again."""
        self._viewer.layers.events.removed.disconnect(self._removed)
        self._workbook.pairs_changed.disconnect(self._show_rules)
        self._workbook.classes_changed.disconnect(self._show_rules)
        for pair in self._pairs.values():
            self._let_go(pair)

    def _check(self, pair: AnnotationPair) -> None:
        reason = why_not_on(pair.labels, pair.image, pair.axes)
        if reason:
            raise ValueError(f"“{pair.labels.name}” does not suit “{pair.image.name}”: {reason}.")

    def _events(self, pair: AnnotationPair) -> tuple[Any, ...]:
        events = pair.labels.events
        return events.paint, events.data, events.set_data, pair.image.events.data

    def _changed(self, _: object = None) -> None:
        self._painted_soon()

    def _tell(self) -> None:
        """Say that something was painted, unless a stroke is still being drawn."""
        if any(getattr(each.labels, "_block_history", False) for each in self._pairs.values()):
            self._painted_soon()
            return
        for each in self._pairs.values():
            share_channels(each.labels, each.letters)
        self.painted.emit()

    def _renamed(self, _: object = None) -> None:
        for key, pair in self._pairs.items():
            before = self._workbook.pairs.get(key)
            if before is not None:
                self._workbook.rename_pair(key, pair.image.name)

    def _removed(self, _: object = None) -> None:
        for key, pair in list(self._pairs.items()):
            if not (is_open(self._viewer, pair.labels) and is_open(self._viewer, pair.image)):
                self._let_go(pair)
                del self._pairs[key]
                self._workbook.drop_pair(key)
                self._changed()

    def _follow(self, pair: AnnotationPair) -> None:
        for event in self._events(pair):
            event.connect(self._changed)
        for layer in (pair.image, pair.labels):
            layer.events.name.connect(self._renamed)

    def _let_go(self, pair: AnnotationPair) -> None:
        for event in self._events(pair):
            event.disconnect(self._changed)
        for layer in (pair.image, pair.labels):
            layer.events.name.disconnect(self._renamed)

    def _show_rules(self) -> None:
        for key, pair in self._workbook.pairs.items():
            layers = self._pairs.get(key)
            if layers is not None:
                keep_rule(layers.labels, pair.rule)
                color(layers.labels, pair.rule, self._workbook.classes)


def slices_of(pair: AnnotationPair, checkpoint: Checkpoint) -> Slices:
    """Return a pair's image as slices for a checkpoint's network.

    Raises
    ------
    ValueError
        If its channels have to be chosen for this network.
    """
    return slices_for(levels(pair.image)[0].array, checkpoint, pair.axes, pair.channels)


def follow_image(pair: AnnotationPair) -> None:
    """Lay an annotation on its image again, should that have been moved."""
    if not is_ours(pair.labels) or pair.why_not_painted():
        return
    for name, value in place(pair.image, pair.axes, corner_of(pair.labels)).items():
        setattr(pair.labels, name, value)
