"""Result layers: made, filled in as regions come, and found again by the next run."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import Colormap, label_colormap
from superqt.utils import qthrottled

from napari_emcad.pipelines.segment import first_label_type, placed
from napari_emcad.plugin.layers.geometry import (
    carried,
    carried_axes,
    class_features,
    geometry,
    is_open,
    label_colors,
    object_features,
    with_channels,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Where
    from napari_emcad.inference.events import InferenceSettings, Region, Summary
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.plugin.layers.geometry import Level

_REFRESH_MS = 120


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What a segmentation is of, as it was when the job began.

    Attributes
    ----------
    source
        The image layer; only for its place in the world, which is copied at once.
    name
        Its name.
    axes
        A letter per axis of its data.
    level
        The resolution.
    shape
        Of the result.
    checkpoint, settings
        What it is computed with.
    part
        The slice that is computed; None for all of them, so that nothing of an older result stays.
    anew
        Whether the user wants a new layer.
    kind
        ``"segmentation"``, or ``"prediction"``: what a network says while it learns, which lies
        right above its image and cannot be painted on.
    corner
        Where in the level the result begins, along its spatial axes; () at the level's corner.
    """

    source: Image
    name: str
    axes: str
    level: Level
    shape: tuple[int, ...]
    checkpoint: Checkpoint
    settings: InferenceSettings
    part: Where | None
    new_layer: bool = False
    kind: Literal["segmentation", "prediction"] = "segmentation"
    corner: tuple[int, ...] = ()

    @property
    def place(self) -> dict[str, Any]:
        """Where a layer of the result lies."""
        first = with_channels(self.corner, self._letters) if self.corner else ()
        return geometry(self.source, carried_axes(self._letters), self.level, first)

    def carried(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return numbers of the result's shape as the data of a layer."""
        return carried(array, self._letters, self.level.array.shape)

    @property
    def _letters(self) -> str:
        return self.axes[: self.source.ndim]

    def continues(self, other: Target) -> bool:
        """Whether this result may go into the other's layer."""
        same = (self.kind, self.axes, self.shape, self.corner)
        if self.source is not other.source or same != (
            other.kind,
            other.axes,
            other.shape,
            other.corner,
        ):
            return False
        return self.kind == "prediction" or (
            self.checkpoint.origin == other.checkpoint.origin
            and self.checkpoint.classes == other.checkpoint.classes
            and self.settings.clean_up.separate == other.settings.clean_up.separate
        )


class Result:
    """One Labels layer, and perhaps probability layers, that a job fills in.

    Parameters
    ----------
    viewer
        Where they are shown.
    target
        What they are of.
    """

    def __init__(self, viewer: ViewerModel, target: Target) -> None:
        self._viewer = viewer
        self.target = target
        self.object_classes: tuple[int, ...] = ()
        self._alive: set[int] = set()
        self._finished_once = False
        self.changed_by_user = False
        self._writing = False
        self._place = target.place
        dtype = first_label_type(target.checkpoint, target.settings)
        self._labels: NDArray[Any] = np.zeros(target.shape, dtype)
        self._numbered, self._found = 0, set[int]()
        self.layer = self._new_layer()
        self._chances: list[Image] = []
        self._numbers: list[NDArray[np.float32]] = []
        self._refresh_soon = qthrottled(self._refresh, timeout=_REFRESH_MS)
        self._open()

    @property
    def reusable(self) -> bool:
        """Whether the layer is still there and as we left it."""
        return is_open(self._viewer, self.layer) and not self.changed_by_user

    def begin(self, target: Target) -> None:
        """Make ready for a job."""
        if target.checkpoint.classes != self.target.checkpoint.classes:
            self.layer.colormap = label_colors(target.checkpoint.classes)
            self.layer.features = class_features(target.checkpoint.classes)
        self.target = target
        self._follow(target.place)
        self._forget(target)
        self._open()
        self.layer.editable = False
        self._begin_chances(target)

    def fill(self, region: Region) -> None:
        """Write a region; the screen follows a little later."""
        region = replace(region, where=moved(region.where, self.target.corner))
        self._writing = True
        labels = placed(self._labels, region)
        if labels is not self._labels:
            self._labels = labels
            self.layer.data = self.target.carried(labels)
        self._writing = False
        if region.probabilities is not None and self._chances:
            foreground = region.probabilities[-len(self._chances) :]
            for numbers, chance in zip(self._numbers, foreground, strict=True):
                numbers[region.where] = chance
        self._refresh_soon()

    def finish(self, summary: Summary | None) -> None:
        """Show the end state; a layer that was deleted meanwhile comes back with it.

        Parameters
        ----------
        summary
            How the job went; None if it failed.
        """
        if summary is not None:
            self._finished_once = True
            self.object_classes = summary.object_classes
            if self.target.settings.clean_up.separate:
                self._name_objects()
            self._open()
        self.release()

    @property
    def labels(self) -> NDArray[Any]:
        """What was found, without channels; read, not written."""
        return self._labels

    def labels_at(self, where: Where) -> NDArray[Any]:
        """Return what was found at a place of the image."""
        found: NDArray[Any] = self._labels[moved(where, self.target.corner)]
        return found

    @property
    def object_count(self) -> int:
        """Objects that the last job numbered."""
        return len(self._found)

    def keep(self) -> None:
        """Leave the layers as they are, with or without anything in them."""
        self._finished_once = True
        self.release()

    def release(self) -> None:
        """Leave the layers to the user as they are, unless there is nothing in them yet."""
        self.layer.editable = self.target.kind == "segmentation"
        if self._finished_once or self._labels.any():
            self._refresh(thumbnail=True)
            return
        for each in (self.layer, *self._chances):
            if is_open(self._viewer, each):
                self._viewer.layers.remove(each)

    def _forget(self, target: Target) -> None:
        """Clear what a job does anew, so that nothing old stays beside new labels."""
        if target.part is None:
            self.object_classes, self._alive = (), set()
            self._labels[...] = 0
        elif target.settings.clean_up.separate:
            self._alive -= _values(self._labels[target.part])
        self._numbered = len(self.object_classes)

    def _name_objects(self) -> None:
        """Give each object that is there its class, as the status bar shows it."""
        part = self.target.part
        numbers = range(self._numbered + 1, len(self.object_classes) + 1)
        self._found = set(numbers) if part is None else _values(self._labels[part])
        self._alive |= self._found
        kept = {k: self.object_classes[k - 1] for k in sorted(self._alive)}
        self.layer.features = object_features(self.target.checkpoint.classes, kept)

    def _begin_chances(self, target: Target) -> None:
        """Fill the probability layers that are there, or new ones; else leave them to the user."""
        if not all(is_open(self._viewer, each) for each in self._chances):
            self._chances = []
        if not target.settings.probabilities:
            self._chances = []
        elif not self._chances:
            self._chances = self._new_chances()
            for each in self._chances:
                self._viewer.add_layer(each)

    def _open(self) -> None:
        """Add the layer if it is not there; a prediction leaves the user's layer selected."""
        if is_open(self._viewer, self.layer):
            return
        layers, source = self._viewer.layers, self.target.source
        if self.target.kind == "segmentation" or not is_open(self._viewer, source):
            self._viewer.add_layer(self.layer)
            return
        chosen = set(layers.selection)
        layers.insert(layers.index(source) + 1, self.layer)
        layers.selection = chosen

    def _refresh(self, thumbnail: bool = False) -> None:
        for each in (self.layer, *self._chances):
            if is_open(self._viewer, each):
                each.refresh(thumbnail=thumbnail, extent=False)

    def _follow(self, place: dict[str, Any]) -> None:
        """Follow the image, should the user have moved it since the last run."""
        moved = {k: v for k, v in place.items() if not np.array_equal(self._place[k], v)}
        self._place = place
        for layer in (self.layer, *self._chances):
            for name, value in moved.items():
                setattr(layer, name, value)

    def _new_layer(self) -> Labels:
        target, separate = self.target, self.target.settings.clean_up.separate
        classes = target.checkpoint.classes
        layer = Labels(
            target.carried(self._labels),
            name=f"{target.name} {'objects' if separate else target.kind}",
            colormap=label_colormap() if separate else label_colors(classes),
            features=None if separate else class_features(classes),
            opacity=0.5,
            metadata={"napari-emcad": self._provenance()},
            **self._place,
        )
        layer.events.paint.connect(self._user_changed)
        layer.events.data.connect(self._user_changed)
        return layer

    def _provenance(self) -> dict[str, str]:
        checkpoint = self.target.checkpoint
        return {
            "kind": self.target.kind,
            "model": checkpoint.title,
            "sha256": checkpoint.origin.sha256,
        }

    def _new_chances(self) -> list[Image]:
        classes = self.target.checkpoint.classes
        self._numbers = [np.zeros(self.target.shape, np.float32) for _ in classes]
        return [
            Image(
                self.target.carried(numbers),
                name=f"{self.target.name} probability of {each.name}",
                colormap=Colormap([f"{each.color}00", f"{each.color}ff"], name=each.name),
                contrast_limits=(0, 1),
                blending="translucent",
                metadata={"napari-emcad": self._provenance() | {"kind": "probability"}},
                **self._place,
            )
            for each, numbers in zip(classes, self._numbers, strict=True)
        ]

    def _user_changed(self, _: Any = None) -> None:
        if not self._writing:
            self.changed_by_user = True


def moved(where: Where, corner: Sequence[int]) -> Where:
    """Return a place of an image as one of the part that begins at a corner; () is all of it."""
    if not corner:
        return where
    return tuple(
        slice(
            None if each.start is None else each.start - first,
            None if each.stop is None else each.stop - first,
        )
        if isinstance(each, slice)
        else each - first
        for each, first in zip(where, corner, strict=True)
    )


def _values(labels: NDArray[Any]) -> set[int]:
    return set(np.unique(labels).tolist()) - {0}


class Results:
    """The result layers of one viewer, which may go away before them."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = weakref.proxy(viewer)
        self._results: list[Result] = []

    def begin(self, target: Target) -> Result:
        """Return the result that a job fills in: the last one of its kind, or a new one."""
        self._results = [each for each in self._results if each.reusable]
        found = [each for each in self._results if target.continues(each.target)]
        result = found[-1] if found and not target.new_layer else Result(self._viewer, target)
        if result not in self._results:
            self._results.append(result)
        result.begin(target)
        return result

    def classes_of(self, source: Image) -> Result | None:
        """Return the newest result that tells the classes of an image: predictions come first."""
        found = [
            each
            for each in self._results
            if each.target.source is source
            and is_open(self._viewer, each.layer)
            and not each.target.settings.clean_up.separate
        ]
        found.sort(key=lambda each: each.target.kind == "prediction")
        return found[-1] if found else None
