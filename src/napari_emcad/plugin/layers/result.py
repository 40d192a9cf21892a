"""The layers of one result, filled region by region while a job runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import Colormap, label_colormap
from superqt.utils import qthrottled

from napari_emcad.imaging.fingerprint import checksum
from napari_emcad.pipelines.segment import initial_label_dtype, write_region
from napari_emcad.plugin.layers.attention import insert_layer, set_editable
from napari_emcad.plugin.layers.class_colors import (
    class_features,
    label_colors,
    object_features,
)
from napari_emcad.plugin.layers.geometry import is_open
from napari_emcad.plugin.layers.image_metadata import image_metadata
from napari_emcad.plugin.layers.status import accept_no_direction
from napari_emcad.plugin.layers.target import relative_to

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Where
    from napari_emcad.inference.events import Region, Summary
    from napari_emcad.plugin.layers.target import Target

_REFRESH_MS = 120


class Result:
    """One Labels layer, and optional probability layers, that a job fills.

    Parameters
    ----------
    viewer
        Viewer of the layers.
    target
        Image, model and settings of the segmentation.
    """

    def __init__(self, viewer: ViewerModel, target: Target) -> None:
        self._viewer = viewer
        self.target = target
        self.object_classes: tuple[int, ...] = ()
        self.changed_by_user = False
        self._checksum: int | None = None
        self._has_finished = False
        self._writing = False
        self._geometry = target.geometry
        dtype = initial_label_dtype(target.checkpoint, target.settings)
        self._labels: NDArray[Any] = np.zeros(target.shape, dtype)
        self._previous_count = 0
        self._all_objects: set[int] = set()
        self._new_objects: set[int] = set()
        self.layer = self._new_layer()
        self._probability_layers: list[Image] = []
        self._probabilities: list[NDArray[np.float32]] = []
        self._refresh_soon = qthrottled(self._refresh, timeout=_REFRESH_MS)
        self._ensure_open()

    @property
    def reusable(self) -> bool:
        """Whether the layer is open and was not changed since the last job, also in place."""
        if not is_open(self._viewer, self.layer) or self.changed_by_user:
            return False
        return self._checksum is None or self._checksum == checksum(self._labels)

    def begin(self, target: Target) -> None:
        """Prepare for a job."""
        if target.checkpoint.classes != self.target.checkpoint.classes:
            self.layer.colormap = label_colors(target.checkpoint.classes)
            self.layer.features = class_features(target.checkpoint.classes)
        self.target, self._checksum = target, None
        self._update_geometry(target.geometry)
        self._clear(target)
        self._ensure_open()
        set_editable(self.layer, False)
        self._begin_probabilities(target)

    def fill(self, region: Region) -> None:
        """Write a region; the layers are redrawn a little later."""
        region = replace(region, where=relative_to(region.where, self.target.corner))
        self._writing, self._checksum = True, None
        self._follow_conversion()
        labels = write_region(self._labels, region)
        if labels is not self._labels:
            self._labels = labels
            self.layer.data = self.target.broadcast_channels(labels)
        self._writing = False
        if region.probabilities is not None and self._probability_layers:
            foreground = region.probabilities[-len(self._probability_layers) :]
            for n, probability in enumerate(foreground):
                layer, array = self._probability_layers[n], self._probabilities[n]
                self._probabilities[n] = _present_array(layer, array, self.target)
                self._probabilities[n][region.where] = probability
        self._refresh_soon()

    def finish(self, summary: Summary | None) -> None:
        """Show the final state; a layer that the user has deleted meanwhile is added again.

        Parameters
        ----------
        summary
            Summary of the job; None if it failed.
        """
        if summary is not None:
            self._has_finished = True
            self.object_classes = summary.object_classes
            if self.target.settings.clean_up.separate:
                self._name_objects()
            self._ensure_open()
            source = self.target.source
            if source.ndim == self.target.level.array.ndim - source.rgb:
                # It may have been moved or calibrated during the job.
                self._update_geometry(self.target.geometry)
        self.release()

    @property
    def labels(self) -> NDArray[Any]:
        """Labels without a channel axis; not to be written."""
        return self._labels

    def labels_at(self, where: Where) -> NDArray[Any]:
        """Return the labels at a position in the image."""
        labels: NDArray[Any] = self._labels[relative_to(where, self.target.corner)]
        return labels

    @property
    def object_count(self) -> int:
        """Number of objects that the last job has separated."""
        return len(self._new_objects)

    def _follow_conversion(self) -> None:
        """Write into the array that the layer has by now, if it was converted during the job.

        A layer whose array cannot be written, such as a lazy one, is left to the user.
        """
        data = self.layer.data
        if isinstance(data, np.ndarray) and np.may_share_memory(data, self._labels):
            return
        own = self.target.without_channels(data)
        if isinstance(data, np.ndarray) and own.shape == self._labels.shape and _is_writable(data):
            self._labels = own
        else:
            self.layer = self._new_layer()
            self._ensure_open()

    def keep(self) -> None:
        """Leave the layers in the viewer even if they are empty."""
        self._has_finished = True
        self.release()

    def release(self) -> None:
        """Make the layer editable; layers of an unfinished job that are empty are removed."""
        self._follow_conversion()
        set_editable(self.layer, self.target.kind == "segmentation")
        self.changed_by_user = False
        self._checksum = checksum(self._labels)
        if self._has_finished or self._labels.any():
            self._refresh(thumbnail=True)
            return
        for layer in (self.layer, *self._probability_layers):
            if is_open(self._viewer, layer):
                self._viewer.layers.remove(layer)

    def discard(self) -> None:
        """Remove the layers; the result is not filled again."""
        self._has_finished, self.changed_by_user = False, True
        for layer in (self.layer, *self._probability_layers):
            set_editable(layer, True)
            if is_open(self._viewer, layer):
                self._viewer.layers.remove(layer)

    def _clear(self, target: Target) -> None:
        """Clear the part that a job computes, so that no old labels stay beside new ones."""
        if target.part is None:
            self.object_classes, self._all_objects = (), set()
            self._labels[...] = 0
        elif target.settings.clean_up.separate:
            self._all_objects -= _nonzero_values(self._labels[target.part])
        self._previous_count = len(self.object_classes)

    def _name_objects(self) -> None:
        """Set the class of every present object for the status bar."""
        part = self.target.part
        numbers = range(self._previous_count + 1, len(self.object_classes) + 1)
        self._new_objects = set(numbers) if part is None else _nonzero_values(self._labels[part])
        self._all_objects |= self._new_objects
        classes = {k: self.object_classes[k - 1] for k in sorted(self._all_objects)}
        self.layer.features = object_features(self.target.checkpoint.classes, classes)

    def _begin_probabilities(self, target: Target) -> None:
        """Fill the open probability layers, or new ones; without the option leave them alone."""
        if not all(is_open(self._viewer, layer) for layer in self._probability_layers):
            self._probability_layers = []
        if not target.settings.probabilities:
            self._probability_layers = []
        elif not self._probability_layers:
            self._probability_layers = self._new_probability_layers()
            for layer in self._probability_layers:
                insert_layer(self._viewer, layer)

    def _ensure_open(self) -> None:
        """Add the layer if it is not open; a prediction right above its image."""
        if is_open(self._viewer, self.layer):
            return
        layers, source = self._viewer.layers, self.target.source
        if self.target.kind == "segmentation" or not is_open(self._viewer, source):
            insert_layer(self._viewer, self.layer)
        else:
            insert_layer(self._viewer, self.layer, layers.index(source) + 1)

    def _refresh(self, thumbnail: bool = False) -> None:
        for layer in (self.layer, *self._probability_layers):
            if is_open(self._viewer, layer):
                layer.refresh(thumbnail=thumbnail, extent=False)

    def _update_geometry(self, geometry: dict[str, Any]) -> None:
        """Follow the image if the user has moved it since the last job."""
        changed = {
            name: value
            for name, value in geometry.items()
            if not np.array_equal(self._geometry[name], value)
        }
        self._geometry = geometry
        for layer in (self.layer, *self._probability_layers):
            for name, value in changed.items():
                setattr(layer, name, value)

    def _new_layer(self) -> Labels:
        target, separate = self.target, self.target.settings.clean_up.separate
        classes = target.checkpoint.classes
        layer = Labels(
            target.broadcast_channels(self._labels),
            name=f"{target.name} {'objects' if separate else target.kind}",
            colormap=label_colormap() if separate else label_colors(classes),
            features=None if separate else class_features(classes),
            opacity=0.5,
            metadata=_metadata(target, target.kind),
            **self._geometry,
        )
        accept_no_direction(layer)
        layer.events.paint.connect(self._on_edit)
        layer.events.data.connect(self._on_edit)
        return layer

    def _new_probability_layers(self) -> list[Image]:
        classes = self.target.checkpoint.classes
        self._probabilities = [np.zeros(self.target.shape, np.float32) for _ in classes]
        return [
            Image(
                self.target.broadcast_channels(array),
                name=f"{self.target.name} probability of {label.name}",
                colormap=Colormap([f"{label.color}00", f"{label.color}ff"], name=label.name),
                contrast_limits=(0, 1),
                opacity=0.5,
                blending="translucent",
                metadata=_metadata(self.target, "probability"),
                **self._geometry,
            )
            for label, array in zip(classes, self._probabilities, strict=True)
        ]

    def _on_edit(self, _: Any = None) -> None:
        if not self._writing:
            self.changed_by_user = True


def _is_writable(data: NDArray[Any]) -> bool:
    return data.flags.writeable and data.dtype.kind in "iu"


def _nonzero_values(labels: NDArray[Any]) -> set[int]:
    return set(np.unique(labels).tolist()) - {0}


def _metadata(target: Target, kind: str) -> dict[str, Any]:
    """Return the metadata of a layer: the image's, by which writers place it, and its origin."""
    checkpoint = target.checkpoint
    origin = {"kind": kind, "model": checkpoint.title, "sha256": checkpoint.origin.sha256}
    return image_metadata(target.source, target.shape) | {"napari-emcad": origin}


def _present_array(layer: Image, array: NDArray[Any], target: Target) -> NDArray[Any]:
    """Return the array of a probability layer, which may have been converted meanwhile."""
    data = layer.data
    if not isinstance(data, np.ndarray) or np.may_share_memory(data, array):
        return array
    own: NDArray[Any] = target.without_channels(data)
    is_usable = own.shape == array.shape and data.dtype.kind == "f" and data.flags.writeable
    return own if is_usable else array
