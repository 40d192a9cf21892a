"""Result layers: made, filled in as regions come, and found again by the next run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import Colormap, label_colormap
from superqt.utils import qthrottled

from napari_emcad.jobs import first_label_type, placed
from napari_emcad.plugin.layers import (
    class_features,
    geometry,
    is_open,
    label_colours,
    object_features,
)

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from napari_emcad.inference.events import InferenceSettings, Region, Summary
    from napari_emcad.io.checkpoint import Checkpoint
    from napari_emcad.plugin.layers import Level

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
    kept
        Its axes that the result has.
    level
        The resolution.
    shape
        Of the result.
    checkpoint, settings
        What it is computed with.
    whole
        Whether every slice is computed, so that nothing of an older result stays.
    anew
        Whether the user wants a new layer.
    """

    source: Image
    name: str
    kept: tuple[int, ...]
    level: Level
    shape: tuple[int, ...]
    checkpoint: Checkpoint
    settings: InferenceSettings
    whole: bool
    anew: bool = False

    def continues(self, other: Target) -> bool:
        """Whether this result may go into the other's layer."""
        return (
            self.source is other.source
            and (self.kept, self.shape) == (other.kept, other.shape)
            and self.checkpoint.origin == other.checkpoint.origin
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
        self.changed_by_user = False
        self._writing = False
        self._place = geometry(target.source, target.kept, target.level)
        dtype = first_label_type(target.checkpoint, target.settings)
        self._labels: NDArray[Any] = np.zeros(target.shape, dtype)
        self.layer = self._new_layer()
        self._chances: list[Image] = []
        self._refresh_soon = qthrottled(self._refresh, timeout=_REFRESH_MS)
        self._open()

    @property
    def reusable(self) -> bool:
        """Whether the layer is still there and as we left it."""
        return is_open(self._viewer, self.layer) and not self.changed_by_user

    def begin(self, target: Target) -> None:
        """Make ready for a job."""
        self.target = target
        self._place = geometry(target.source, target.kept, target.level)
        if target.whole:
            self.object_classes = ()
        self._open()
        self._put_in_place()
        self.layer.editable = False
        if target.settings.probabilities and not self._chances:
            self._chances = self._new_chances()
        for each in self._chances:
            if not is_open(self._viewer, each):
                self._viewer.add_layer(each)

    def fill(self, region: Region) -> None:
        """Write a region; the screen follows a little later."""
        self._writing = True
        labels = placed(self._labels, region)
        if labels is not self._labels:
            self._labels = labels
            self.layer.data = labels
        self._writing = False
        if region.probabilities is not None and self._chances:
            foreground = region.probabilities[-len(self._chances) :]
            for each, chance in zip(self._chances, foreground, strict=True):
                each.data[region.where] = chance
        self._refresh_soon()

    def finish(self, summary: Summary | None) -> None:
        """Show the end state; a layer that was deleted meanwhile comes back with it.

        Parameters
        ----------
        summary
            How the job went; None if it failed.
        """
        if summary is not None:
            self.object_classes = summary.object_classes
            if self.target.settings.clean_up.separate:
                classes = self.target.checkpoint.classes
                self.layer.features = object_features(classes, self.object_classes)
            self._open()
        self.release()

    def release(self) -> None:
        """Leave the layers to the user as they are."""
        self.layer.editable = True
        self._refresh(thumbnail=True)

    def _open(self) -> None:
        if not is_open(self._viewer, self.layer):
            self._viewer.add_layer(self.layer)

    def _refresh(self, thumbnail: bool = False) -> None:
        for each in (self.layer, *self._chances):
            if is_open(self._viewer, each):
                each.refresh(thumbnail=thumbnail, extent=False)

    def _put_in_place(self) -> None:
        """Follow the image, should the user have moved it since the last run."""
        for layer in (self.layer, *self._chances):
            for name, value in self._place.items():
                setattr(layer, name, value)

    def _new_layer(self) -> Labels:
        target, separate = self.target, self.target.settings.clean_up.separate
        classes = target.checkpoint.classes
        layer = Labels(
            self._labels,
            name=f"{target.name} {'objects' if separate else 'segmentation'}",
            colormap=label_colormap() if separate else label_colours(classes),
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
            "kind": "segmentation",
            "model": checkpoint.title,
            "sha256": checkpoint.origin.sha256,
        }

    def _new_chances(self) -> list[Image]:
        return [
            Image(
                np.zeros(self.target.shape, np.float32),
                name=f"{self.target.name} probability of {each.name}",
                colormap=Colormap([f"{each.colour}00", f"{each.colour}ff"], name=each.name),
                contrast_limits=(0, 1),
                blending="translucent",
                metadata={"napari-emcad": self._provenance() | {"kind": "probability"}},
                **self._place,
            )
            for each in self.target.checkpoint.classes
        ]

    def _user_changed(self, _: Any = None) -> None:
        if not self._writing:
            self.changed_by_user = True


class Results:
    """The result layers of one viewer."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._results: list[Result] = []

    def begin(self, target: Target) -> Result:
        """Return the result that a job fills in: the last one of its kind, or a new one."""
        self._results = [each for each in self._results if each.reusable]
        found = [each for each in self._results if target.continues(each.target)]
        result = found[-1] if found and not target.anew else Result(self._viewer, target)
        if result not in self._results:
            self._results.append(result)
        result.begin(target)
        return result
