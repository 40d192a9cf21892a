"""The target of a segmentation: its image, model and settings at the start of a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from napari_emcad.plugin.layers.channel_axis import (
    broadcast_channels,
    layer_axes,
    with_channels,
    without_channels,
)
from napari_emcad.plugin.layers.geometry import layer_geometry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Where
    from napari_emcad.inference.events import InferenceSettings
    from napari_emcad.pipelines.segmentation_model import SegmentationModel
    from napari_emcad.plugin.layers.geometry import Level


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Image, model and settings of a segmentation, as they were when its job began.

    Attributes
    ----------
    source
        Image layer.
    name
        Name of the image layer.
    axes
        One letter per axis of the layer's data.
    level
        Resolution that is segmented.
    shape
        Shape of the result.
    checkpoint, settings
        Model and settings of the inference.
    part
        Slice that is computed; None for all of them, which clears older results first.
    new_layer
        Whether the user wants a new layer.
    kind
        ``"segmentation"``, or ``"prediction"``: the output of a network in training, in a layer
        right above its image that cannot be painted on.
    corner
        First pixel of the result along the spatial axes of the level; () is the level's corner.
    """

    source: Image
    name: str
    axes: str
    level: Level
    shape: tuple[int, ...]
    checkpoint: SegmentationModel
    settings: InferenceSettings
    part: Where | None
    new_layer: bool = False
    kind: Literal["segmentation", "prediction"] = "segmentation"
    corner: tuple[int, ...] = ()

    @property
    def separate(self) -> bool:
        """Whether labels are numbers of objects instead of classes."""
        return self.settings.clean_up.separate

    @property
    def geometry(self) -> dict[str, Any]:
        """Spatial arguments of a layer of the result."""
        first = with_channels(self.corner, self._layer_letters) if self.corner else ()
        return layer_geometry(self.source, layer_axes(self._layer_letters), self.level, first)

    @property
    def repeats_channels(self) -> bool:
        """Whether the layer of the result has a channel axis, along which labels repeat."""
        return len(layer_axes(self._layer_letters)) != len(self.shape)

    def broadcast_channels(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return an array of the result's shape as the data of a layer."""
        return broadcast_channels(array, self._layer_letters, self.level.array.shape)

    def without_channels(self, data: Any) -> Any:
        """Return the data of a layer of the result without a channel axis, as a view."""
        return without_channels(data, self._layer_letters)

    @property
    def _layer_letters(self) -> str:
        """Letters of the axes without the color axis of RGB images."""
        return self.axes[: self.source.ndim]

    def fits_layer_of(self, other: Target) -> bool:
        """Return whether this result may be written into the layer of another target."""
        form = (self.kind, self.axes, self.shape, self.corner)
        other_form = (other.kind, other.axes, other.shape, other.corner)
        if self.source is not other.source or form != other_form:
            return False
        return self.kind == "prediction" or (
            self.checkpoint.origin == other.checkpoint.origin
            and len(self.checkpoint.classes) == len(other.checkpoint.classes)
            and self.separate == other.separate
        )


def relative_to(where: Where, corner: Sequence[int]) -> Where:
    """Return a position in an image relative to the corner of a part; () is the whole image."""
    if not corner:
        return where
    return tuple(
        slice(
            None if index.start is None else index.start - first,
            None if index.stop is None else index.stop - first,
        )
        if isinstance(index, slice)
        else index - first
        for index, first in zip(where, corner, strict=True)
    )
