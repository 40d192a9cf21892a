"""From what the Stages panel says to what its job needs, and where a map belongs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.inference.stage_maps.keys import MapKey, parse_map_keys
from napari_emcad.inference.stage_maps.specs import map_spec
from napari_emcad.model.config import STAGES
from napari_emcad.pipelines.segment import slices_for
from napari_emcad.pipelines.stage_maps import check_maps
from napari_emcad.plugin.layers.geometry import levels
from napari_emcad.plugin.layers.scope import scope_of

if TYPE_CHECKING:
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


@dataclass(frozen=True, slots=True)
class StageChoices:
    """What the panel says.

    Attributes
    ----------
    stages
        4 … 1, those that are shown.
    kinds
        What is shown of each.
    part
        A class, 0 the background; of no account for a binary network.
    channels
        Of features; empty for colors.
    """

    stages: tuple[int, ...]
    kinds: tuple[str, ...]
    part: int = 1
    channels: tuple[int, ...] = ()

    def keys(self, config: ModelConfig) -> tuple[MapKey, ...]:
        """Return the maps that are meant, in the order in which they stand side by side.

        Kinds that stage 4 does not have come first: beside the image, or a map of doubt, they make
        a row of four.

        Raises
        ------
        ValueError
            If nothing is chosen, or the network has no such class or channel.
        """
        keys = [key for kind in _in_rows(self.kinds) for key in self._of(kind, config)]
        if not keys:
            raise ValueError("Choose what to show.")
        return parse_map_keys(keys, config)

    def _of(self, kind: str, config: ModelConfig) -> list[MapKey]:
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
        """Return the probabilities of all stages, for the pixel under the cursor."""
        return tuple(MapKey("probability", n, _part(self.part, config)) for n in STAGES)


def _part(part: int, config: ModelConfig) -> int | None:
    return None if config.num_classes == 1 else part


def _in_rows(kinds: tuple[str, ...]) -> list[str]:
    """Return kinds so that those of four stages and those of three fill rows of four."""
    by_count: dict[int, list[str]] = {3: [], 4: [], 0: []}
    for kind in kinds:
        by_count[len(map_spec(kind).stages)].append(kind)
    rows, doubts = by_count[3][:1], by_count[0]
    for kind in by_count[3][1:]:
        rows += [*doubts[:1], kind]
        doubts = doubts[1:]
    return [*rows, *by_count[4], *doubts]


@dataclass(frozen=True, slots=True, eq=False)
class StageRequest:
    """A look at one slice, as it was when the job began.

    Attributes
    ----------
    image
        Its layer; only for its place in the world.
    name
        Its name.
    axes
        A letter per axis of its array.
    level
        The resolution.
    slices
        The slice.
    shown
        The maps that become layers.
    under_cursor
        The probabilities that are read under the cursor.
    class_name
        Of the class that is shown; "" where there is one alone.
    checkpoint, settings, temperature
        What it is computed with.
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
        """Every map that is needed."""
        return tuple(dict.fromkeys((*self.shown, *self.under_cursor)))

    @property
    def shows_uncertainty(self) -> bool:
        """Whether a map that is shown depends on the temperature."""
        return any(key.spec.group == "uncertainty" for key in self.shown)

    @property
    def index(self) -> Index:
        """The slice's position along the stacked axes."""
        index: Index = self.slices.indices[0]
        return index

    def continues(self, other: StageRequest) -> bool:
        """Whether it differs in the slice alone."""
        ours, theirs = self.slices, other.slices
        return (
            self.image is other.image
            and ours.image is theirs.image
            and self.checkpoint is other.checkpoint
            and (ours.axes, ours.channels) == (theirs.axes, theirs.channels)
            and (ours.scope.rows, ours.scope.columns) == (theirs.scope.rows, theirs.scope.columns)
            and (self.settings, self.shown) == (other.settings, other.shown)
            and self.temperature == other.temperature
            and self.level.downsampling == other.level.downsampling
        )

    def equals(self, other: StageRequest) -> bool:
        """Return whether another request has the same maps, of the same slice."""
        return self.continues(other) and self.index == other.index

    def position(self, point: Any) -> NDArray[np.float64]:
        """Return where a point of the world lies, in pixels of the level."""
        data = np.asarray(self.image.world_to_data(np.asarray(point)[-self.image.ndim :]))
        coarse = np.asarray(self.level.downsampling)
        place: NDArray[np.float64] = (data - (coarse - 1) / 2) / coarse
        return place

    def value_at(self, found: StageMap, point: Any) -> float | None:
        """Return what a map of one number says at a point of the world; None beside it."""
        if found.factor is None or found.offset is None:
            return None
        place = self.position(point)
        stacked = [i for i, axis in enumerate(self.axes[: len(place)]) if axis not in "CYX"]
        if tuple(np.round(place[stacked]).astype(int).tolist()) != self.index:
            return None
        plane = [i for i, axis in enumerate(self.axes[: len(place)]) if axis in "YX"]
        pixel = np.round((place[plane] - found.offset) / found.factor).astype(int)
        if (pixel < 0).any() or (pixel >= found.values.shape).any():
            return None
        return float(found.values[tuple(pixel)])


def stage_request(
    viewer: ViewerModel,
    layer: Image,
    choices: SegmentOptions,
    stages: StageChoices,
    checkpoint: Checkpoint,
    temperature: float = 1.0,
) -> StageRequest:
    """Return what to look at.

    Parameters
    ----------
    viewer, layer
        The image, and whose sliders say which slice.
    choices
        Axes, channels, resolution, scope and settings.
    stages
        What is shown.
    checkpoint
        What is looked into.
    temperature
        For maps of doubt.

    Raises
    ------
    ValueError, TypeError
        If it cannot be done; the message is for the user.
    """
    level = levels(layer)[choices.level]
    scope = scope_of(viewer, layer, choices)
    slices = slices_for(level.array, checkpoint, choices.axes, choices.channels, scope)
    shown = stages.keys(checkpoint.config)
    request = StageRequest(
        image=layer,
        name=layer.name,
        axes=choices.axes,
        level=level,
        slices=slices,
        shown=shown,
        under_cursor=stages.under_cursor(checkpoint.config),
        class_name=class_names(checkpoint).get(stages.part, ""),
        checkpoint=checkpoint,
        settings=choices.settings,
        temperature=temperature if any(key.spec.group == "uncertainty" for key in shown) else 1.0,
    )
    check_maps(slices, checkpoint, request.computed)
    return request


def class_names(checkpoint: Checkpoint) -> dict[int, str]:
    """Return the classes whose probability can be asked for; none where there is one alone."""
    if checkpoint.config.num_classes == 1:
        return {}
    return {k: each.name for k, each in enumerate(checkpoint.classes, start=1)} | {0: "background"}
