"""The maps that the user has chosen, and the input of the job that computes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.imaging.fingerprint import checksum
from napari_emcad.inference.stage_maps.keys import MapKey, parse_map_keys
from napari_emcad.inference.stage_maps.specs import map_spec
from napari_emcad.model.config import STAGES
from napari_emcad.pipelines.stage_maps_job import check_maps
from napari_emcad.plugin.layers.geometry import levels
from napari_emcad.plugin.layers.layer_slices import layer_slices
from napari_emcad.plugin.layers.pixel_events import pixel_events
from napari_emcad.plugin.layers.scope import scope_of

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Index, Slices
    from napari_emcad.inference.events import InferenceSettings
    from napari_emcad.inference.stage_maps.keys import StageMap
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.model.config import ModelConfig
    from napari_emcad.plugin.layers.geometry import Level
    from napari_emcad.plugin.layers.image_input import SegmentOptions

_MOST_BYTES = 2**24
"""Bytes of a slice that are compared with those of cached maps."""


@dataclass(frozen=True, slots=True)
class StageChoices:
    """The maps that are chosen on the Stages tab.

    Attributes
    ----------
    stages
        Numbers of the decoder stages, from 4 (deepest) to 1.
    kinds
        Kinds of maps.
    part
        Class of the maps that have one, 0 is the background; ignored for binary networks.
    channels
        Channels of feature maps; empty for colors by PCA.
    """

    stages: tuple[int, ...]
    kinds: tuple[str, ...]
    part: int = 1
    channels: tuple[int, ...] = ()

    def keys(self, config: ModelConfig) -> tuple[MapKey, ...]:
        """Return the keys of the chosen maps, in the order of the grid.

        Kinds with three stages come first: together with the image, or a map of uncertainty, they
        fill a row of four.

        Raises
        ------
        ValueError
            If nothing is chosen, or the network has no such class or channel.
        """
        keys = [key for kind in _grid_order(self.kinds) for key in self._keys_of(kind, config)]
        if not keys:
            raise ValueError("Choose what to show.")
        return parse_map_keys(keys, config)

    def _keys_of(self, kind: str, config: ModelConfig) -> list[MapKey]:
        spec = map_spec(kind)
        if not spec.stages:
            return [MapKey(kind)]
        parts: tuple[int | None, ...] = (None,)
        if spec.group == "features":
            parts = self.channels or (None,)
        elif spec.group == "class":
            parts = (_part(self.part, config),)
        return [MapKey(kind, n, part) for part in parts for n in spec.stages if n in self.stages]

    def under_cursor(self, config: ModelConfig) -> tuple[MapKey, ...]:
        """Return the keys of the probabilities of all stages, which are read at the cursor."""
        return tuple(MapKey("probability", n, _part(self.part, config)) for n in STAGES)


def _part(part: int, config: ModelConfig) -> int | None:
    return None if config.num_classes == 1 else part


def _grid_order(kinds: tuple[str, ...]) -> list[str]:
    """Sort kinds so that those with three and four stages fill rows of four.

    The image completes the first row of three stages; maps of the whole network (uncertainty)
    complete the others.
    """
    by_count: dict[int, list[str]] = {3: [], 4: [], 0: []}
    for kind in kinds:
        by_count[len(map_spec(kind).stages)].append(kind)
    order, fillers = by_count[3][:1], by_count[0]
    for kind in by_count[3][1:]:
        order += [*fillers[:1], kind]
        fillers = fillers[1:]
    return [*order, *by_count[4], *fillers]


@dataclass(frozen=True, slots=True, eq=False)
class StageRequest:
    """The input of a job that computes maps of one slice, as it was when the job began.

    Attributes
    ----------
    image
        Image layer.
    name
        Name of the image layer.
    axes
        One letter per axis of the layer's data.
    level
        Resolution of the image.
    slices
        The slice.
    shown
        Maps that become layers.
    under_cursor
        Probabilities that are read at the cursor.
    class_name
        Name of the chosen class; "" for binary networks.
    checkpoint, settings, temperature
        Model, settings of the inference and temperature of the uncertainty.
    """

    image: Image
    name: str
    axes: str
    level: Level
    slices: Slices
    shown: tuple[MapKey, ...]
    under_cursor: tuple[MapKey, ...]
    class_name: str
    checkpoint: Checkpoint
    settings: InferenceSettings
    temperature: float = 1.0

    @property
    def computed(self) -> tuple[MapKey, ...]:
        """All maps that are computed."""
        return tuple(dict.fromkeys((*self.shown, *self.under_cursor)))

    @property
    def shows_uncertainty(self) -> bool:
        """Whether a shown map depends on the temperature."""
        return any(key.spec.group == "uncertainty" for key in self.shown)

    @property
    def index(self) -> Index:
        """Position of the slice along the stacked axes."""
        index: Index = self.slices.indices[0]
        return index

    def pixels_state(self) -> Hashable:
        """Return a value that differs if the slice has other pixels by now."""
        if not isinstance(self.slices.image, np.ndarray):
            return pixel_events(self.image).revision
        return checksum(self.slices.read(self.index), _MOST_BYTES)

    def continues(self, other: StageRequest) -> bool:
        """Return whether two requests differ at most in the slice."""
        mine, others = self.slices, other.slices
        return (
            self.image is other.image
            and mine.image is others.image
            and self.checkpoint is other.checkpoint
            and (mine.axes, mine.channels) == (others.axes, others.channels)
            and (mine.scope.rows, mine.scope.columns) == (others.scope.rows, others.scope.columns)
            and (self.settings, self.shown) == (other.settings, other.shown)
            and self.temperature == other.temperature
            and self.level.downsampling == other.level.downsampling
        )

    def equals(self, other: StageRequest) -> bool:
        """Return whether two requests have the same maps of the same slice."""
        return self.continues(other) and self.index == other.index

    def position(self, data: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a position in pixels of the finest level in pixels of the request's level."""
        factor = np.asarray(self.level.downsampling)
        position: NDArray[np.float64] = (data - (factor - 1) / 2) / factor
        return position

    def value_at(self, stage_map: StageMap, data: NDArray[np.float64]) -> float | None:
        """Return the value of a scalar map at a pixel of the finest level; None outside of it."""
        if stage_map.factor is None or stage_map.offset is None:
            return None
        position = self.position(data)
        stacked = [i for i, axis in enumerate(self.axes[: len(position)]) if axis not in "CYX"]
        if tuple(np.round(position[stacked]).astype(int).tolist()) != self.index:
            return None
        plane = [i for i, axis in enumerate(self.axes[: len(position)]) if axis in "YX"]
        pixel = np.round((position[plane] - stage_map.offset) / stage_map.factor).astype(int)
        if (pixel < 0).any() or (pixel >= stage_map.values.shape).any():
            return None
        return float(stage_map.values[tuple(pixel)])


def stage_request(
    viewer: ViewerModel,
    layer: Image,
    options: SegmentOptions,
    stages: StageChoices,
    checkpoint: Checkpoint,
    temperature: float = 1.0,
) -> StageRequest:
    """Return the request of the chosen maps.

    Parameters
    ----------
    viewer
        Viewer whose sliders select the slice.
    layer
        Image layer.
    options
        Axes, channels, level, scope and settings.
    stages
        Chosen maps.
    checkpoint
        Model whose maps are computed.
    temperature
        Temperature of the maps of uncertainty.

    Raises
    ------
    ValueError, TypeError
        If the maps cannot be computed; the message is for the user.
    """
    level = levels(layer)[options.level]
    scope = scope_of(viewer, layer, options)
    slices = layer_slices(layer, checkpoint, options.axes, options.channels, scope, options.level)
    shown = stages.keys(checkpoint.config)
    request = StageRequest(
        image=layer,
        name=layer.name,
        axes=options.axes,
        level=level,
        slices=slices,
        shown=shown,
        under_cursor=stages.under_cursor(checkpoint.config),
        class_name=class_names(checkpoint).get(stages.part, ""),
        checkpoint=checkpoint,
        settings=options.settings,
        temperature=temperature if any(key.spec.group == "uncertainty" for key in shown) else 1.0,
    )
    check_maps(slices, checkpoint, request.computed)
    return request


def class_names(checkpoint: Checkpoint) -> dict[int, str]:
    """Return the names of all classes by number; empty for binary networks."""
    if checkpoint.config.num_classes == 1:
        return {}
    names = {k: label.name for k, label in enumerate(checkpoint.classes, start=1)}
    return names | {0: "background"}
