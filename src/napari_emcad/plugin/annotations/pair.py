"""An image layer with its annotation layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_emcad.plugin.annotations.fit import why_not_paintable
from napari_emcad.plugin.annotations.layer import corner_of, placement
from napari_emcad.plugin.layers.channel_axis import layer_axes, without_channels
from napari_emcad.plugin.layers.layer_slices import layer_slices
from napari_emcad.plugin.layers.scope import Window

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari.layers import Image, Labels

    from napari_emcad.imaging.slices import Slices
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

    Channels = tuple[int | None, ...] | None


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


def slices_of(pair: AnnotationPair, checkpoint: Checkpoint) -> Slices:
    """Return the image of an annotation as slices for a checkpoint's network.

    Raises
    ------
    ValueError
        If its channels have to be chosen for this network.
    """
    return layer_slices(pair.image, checkpoint, pair.axes, pair.channels)


def align_annotation(pair: AnnotationPair) -> None:
    """Give an annotation the position of its image."""
    if pair.labels.ndim != len(layer_axes(pair.layer_axes)):
        return
    for name, value in placement(pair.image, pair.axes, corner_of(pair.labels)).items():
        setattr(pair.labels, name, value)
