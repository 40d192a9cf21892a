"""The layers of one result, filled region by region while a job runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
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
from napari_emcad.plugin.layers.object_numbers import ObjectNumbers
from napari_emcad.plugin.layers.predicted_parts import PredictedParts
from napari_emcad.plugin.layers.probability_layers import ProbabilityLayers
from napari_emcad.plugin.layers.result_layers import new_labels_layer
from napari_emcad.plugin.layers.target import relative_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Labels
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
        self.numbers = ObjectNumbers()
        self.changed_by_user = False
        self._predicted = PredictedParts()
        self._checksum: int | None = None
        self._has_finished = False
        self._writing = False
        self._geometry = target.geometry
        dtype = initial_label_dtype(target.checkpoint, target.settings)
        self._labels: NDArray[Any] = np.zeros(target.shape, dtype)
        self.layer = self._new_layer()
        self._probabilities = ProbabilityLayers(viewer)
        self._refresh_soon = qthrottled(self._refresh, timeout=_REFRESH_MS)
        self._ensure_open()

    @property
    def reusable(self) -> bool:
        """Whether the layer is open and was not changed since the last job, also in place."""
        if not self.unedited:
            return False
        return self._checksum is None or self._checksum == checksum(self._labels)

    @property
    def unedited(self) -> bool:
        """Whether the layer is open and the user has not painted on it."""
        return is_open(self._viewer, self.layer) and not self.changed_by_user

    def begin(self, target: Target) -> None:
        """Prepare for a job."""
        if target.checkpoint.classes != self.target.checkpoint.classes:
            self.layer.colormap = label_colors(target.checkpoint.classes)
            self.layer.features = class_features(target.checkpoint.classes)
        self.target, self._checksum = target, None
        self._update_geometry(target.geometry)
        if target.part is None:
            self.numbers.begin(None)
            self._labels[...] = 0  # no old labels stay beside new ones
        else:
            known = self._labels[target.part] if target.separate else np.zeros(0, int)
            self.numbers.begin(known)
        self._ensure_open()
        set_editable(self.layer, False)
        self._probabilities.begin(target, self._geometry)

    def fill(self, region: Region) -> None:
        """Write a region; the layers are redrawn a little later."""
        if region.begins is not None:
            self.begin_prediction(region.begins)
        region = replace(region, where=relative_to(region.where, self.target.corner))
        self._writing, self._checksum = True, None
        self._follow_conversion()
        labels = write_region(self._labels, region)
        if labels is not self._labels:
            self._labels = labels
            self.layer.data = self.target.broadcast_channels(labels)
        self._writing = False
        if self.target.kind == "prediction":
            self._predicted.add(region.where)
        self._probabilities.fill(region, self.target)
        self._refresh_soon()

    def begin_prediction(self, where: Where, model: object = None) -> None:
        """Clear what another model has predicted; see `PredictedParts.begin`."""
        self._follow_conversion()
        part = relative_to(where, self.target.corner)
        if self._predicted.begin(self._labels, part, model):
            self._checksum = None
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
            if self.target.separate:
                part = self.target.part
                computed = None if part is None else self._labels[part]
                self.numbers.finish(summary.object_classes, computed)
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
        for layer in (self.layer, *self._probabilities.layers):
            if is_open(self._viewer, layer):
                self._viewer.layers.remove(layer)

    def relabel(
        self, regions: Sequence[Region], classes: Sequence[int], first: int | None = None
    ) -> None:
        """Replace labels that were computed before.

        Parameters
        ----------
        regions
            New labels: of one part, or of all parts that were computed.
        classes
            Classes of their objects.
        first
            Number before that of the first object of one part, see `ObjectNumbers.first_free`;
            None if all labels are replaced, whose objects are numbered from 1 on.
        """
        if first is None:
            self.numbers.begin(None)
            self.numbers.finish(classes, None)
        elif self.target.separate:
            self.numbers.replace(self.labels_at(regions[0].where), first, classes)
        for region in regions:
            self.fill(region)
        self._name_objects()
        self.release()

    def discard(self) -> None:
        """Remove the layers; the result is not filled again."""
        self._has_finished, self.changed_by_user = False, True
        for layer in (self.layer, *self._probabilities.layers):
            set_editable(layer, True)
            if is_open(self._viewer, layer):
                self._viewer.layers.remove(layer)

    def _name_objects(self) -> None:
        """Set the class of every object for the status bar."""
        if self.target.separate:
            classes = self.target.checkpoint.classes
            self.layer.features = object_features(classes, self.numbers.class_by_number)

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
        for layer in (self.layer, *self._probabilities.layers):
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
        for layer in (self.layer, *self._probabilities.layers):
            for name, value in changed.items():
                setattr(layer, name, value)

    def _new_layer(self) -> Labels:
        layer = new_labels_layer(self.target, self._labels, self._geometry)
        layer.events.paint.connect(self._on_edit)
        layer.events.data.connect(self._on_edit)
        return layer

    def _on_edit(self, _: Any = None) -> None:
        if not self._writing:
            self.changed_by_user = True


def _is_writable(data: NDArray[Any]) -> bool:
    return data.flags.writeable and data.dtype.kind in "iu"
