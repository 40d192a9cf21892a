"""The name of a map, and a map with its place on the image."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

import napari_emcad.inference.stage_maps.kinds  # noqa: F401  (fills the registry)
from napari_emcad.inference.stage_maps.specs import MAP_SPECS, MapSpec, map_spec
from napari_emcad.model.config import STRIDES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_emcad.model.config import ModelConfig

_OLD_KINDS = {"adds": "delta", "flips": "flip_disagreement"}
"""Names of release 0.1, still read from strings; they go in release 0.3."""


@dataclass(frozen=True, slots=True)
class MapKey:
    """The name of a map; `str` gives its short form, such as ``gate:2`` or ``decoder:1:17``.

    Attributes
    ----------
    kind
        Name of a `MapSpec`:

        - ``probability``, ``logits``: of the stage's head;
        - ``sum``: logits of stages 4 … this one, which MUTATION supervision trains;
        - ``delta``: probability of that sum minus that of the sum before it (in logits it would be
          the head itself);
        - ``gate``: LGAG's gate on the encoder's map; ``spatial`` and ``channel`` attention;
        - ``decoder``, ``encoder``: features as PCA colors, or one channel;
        - ``entropy`` of the prediction, ``disagreement`` of the four heads,
          ``flip_disagreement`` of the predictions on the tile and three mirror images of it.
    stage
        4 (deepest) to 1 (finest); None for a map of the whole network, such as ``entropy``.
    part
        A class (0 is the background where there are several) or a channel counted from 0. None:
        all classes, or colors.

    Raises
    ------
    ValueError
        If there is a part without a stage: its short name would be that of another map.
    """

    kind: str
    stage: int | None = None
    part: int | None = None

    def __post_init__(self) -> None:
        if self.stage is None and self.part is not None:
            raise ValueError(
                f"{self.kind} with number {self.part} needs a stage, as in decoder:1:17."
            )

    def __str__(self) -> str:
        parts = (self.kind, self.stage, self.part)
        return ":".join(str(part) for part in parts if part is not None)

    @property
    def spec(self) -> MapSpec:
        """Registry entry of this kind of map."""
        return map_spec(self.kind)

    @property
    def title(self) -> str:
        """The map in words, without its class."""
        words = self.spec.title
        if self.stage is not None:
            words = f"{words}, stage {self.stage}"
        if self.spec.group == "features":
            words += " as colors" if self.part is None else f", channel {self.part}"
        return words

    @property
    def map_stage(self) -> int:
        """The stage whose resolution the map has; the finest for a map of the whole network."""
        return 1 if self.stage is None else self.stage

    @property
    def stride(self) -> int:
        """The network's pixels per pixel of the map."""
        return STRIDES[self.map_stage]

    @property
    def is_rgb(self) -> bool:
        """Whether the map is red, green and blue."""
        return self.spec.group == "features" and self.part is None


@dataclass(frozen=True, slots=True, eq=False)
class StageMap:
    """A map at its own resolution, and its place on the image.

    Attributes
    ----------
    key
        Name of the map.
    values
        ``(h, w)`` float32; ``(K, h, w)`` for all of several classes, background first;
        ``(3, h, w)`` red, green, blue in 0 … 1 for colors; ``(C,)`` for channel attention, the
        mean over the tiles. Rows and columns are in the image's order. Read-only, as maps are
        cached.
    factor
        Image pixels per map pixel along the last two axes; None for a map without a place.
    offset
        Position of the center of the first map pixel, in pixels of the whole image, whose own
        centers are whole numbers: ``(factor - 1) / 2`` plus the corner of the scope.
    limits
        Values at the ends of a color map.
    diverging
        Whether 0 is in the middle of the color map.

    Notes
    -----
    The last row and column of map pixels may reach past the image by a part of a map pixel, where
    the image is no multiple of the stride; they are kept, so nothing is cut off or shifted.
    """

    key: MapKey
    values: NDArray[np.float32]
    factor: tuple[float, float] | None
    offset: tuple[float, float] | None
    limits: tuple[float, float]
    diverging: bool = False

    def __post_init__(self) -> None:
        read_only = self.values.view()
        read_only.setflags(write=False)
        object.__setattr__(self, "values", read_only)

    def transpose(self) -> StageMap:
        """Return the map with its last two axes in the other order."""
        if self.factor is None or self.offset is None:
            return self
        values = np.ascontiguousarray(self.values.swapaxes(-1, -2))
        factor, offset = (self.factor[1], self.factor[0]), (self.offset[1], self.offset[0])
        return replace(self, values=values, factor=factor, offset=offset)

    @property
    def extent(self) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """First and last edge along both axes, in pixels of the image; its own first edge is -½."""
        if self.factor is None or self.offset is None:
            return None
        (y, x), (top, left), (h, w) = self.factor, self.offset, self.values.shape[-2:]
        return (top - y / 2, top - y / 2 + h * y), (left - x / 2, left - x / 2 + w * x)


def parse_map_keys(names: Iterable[str | MapKey] | str, config: ModelConfig) -> tuple[MapKey, ...]:
    """Return the maps with these names, without repetition, in the order of the names.

    Parameters
    ----------
    names
        Short names such as ``gate:2``, ``probability:4:1`` (class 1) or ``decoder:1:17`` (channel
        17). A kind alone means all stages that have it, ``all`` every kind but
        ``flip_disagreement``. ``adds`` and ``flips``, names of release 0.1, mean ``delta`` and
        ``flip_disagreement``.
    config
        The network whose maps they are.

    Raises
    ------
    ValueError
        If there is no such kind, stage, class or channel, or no name.
    """
    listed = [names] if isinstance(names, (str, MapKey)) else list(names)
    keys = [key for name in listed for key in _parse(str(name).strip().lower())]
    if not keys:
        raise ValueError(f"No map was requested; name some of {', '.join(MAP_SPECS)}, or all.")
    for key in keys:
        _check(key, config)
    return tuple(dict.fromkeys(keys))


def class_channel(key: MapKey, num_classes: int) -> int | None:
    """Return the channel of a head that a map's class has; None for all of several classes."""
    if num_classes == 1:
        return 0
    return key.part


def count_channels(key: MapKey, config: ModelConfig) -> int:
    """Return how many numbers a pixel of a map has."""
    if key.spec.group == "class":
        return 1 if class_channel(key, config.num_classes) is not None else config.num_classes
    return 3 if key.is_rgb else 1


def _parse(name: str) -> list[MapKey]:
    if name == "all":
        kinds = [kind for kind, spec in MAP_SPECS.items() if not spec.mirrored]
        return [key for kind in kinds for key in _parse(kind)]
    kind, *numbers = name.split(":")
    if kind in _OLD_KINDS:
        message = f"The map {kind} is now called {_OLD_KINDS[kind]}; the old name goes in 0.3."
        warnings.warn(message, FutureWarning, stacklevel=4)
        kind = _OLD_KINDS[kind]
    spec = map_spec(kind)
    if len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        raise ValueError(
            f"{name!r} is no map; write {kind}:STAGE or {kind}:STAGE:NUMBER, as in decoder:1:17."
        )
    stage, part = [*map(int, numbers), None, None][:2]
    if stage is None:
        return [MapKey(kind, n) for n in spec.stages or (None,)]
    return [MapKey(kind, stage, part)]


def _check(key: MapKey, config: ModelConfig) -> None:
    spec = key.spec
    if key.stage not in (spec.stages or (None,)):
        has = f"has stages {', '.join(map(str, spec.stages))}" if spec.stages else "has no stages"
        raise ValueError(f"There is no map {key}; {key.kind} {has}.")
    if key.part is None or key.stage is None:
        return
    if spec.group == "class":
        first, last = (1, 1) if config.num_classes == 1 else (0, config.num_classes - 1)
        name = "class"
    elif spec.group == "features":
        first, last, name = 0, config.widths[key.stage] - 1, "channel"
    else:
        raise ValueError(
            f"There is no map {key}; {key.kind}:{key.stage} has no classes or channels."
        )
    if not first <= key.part <= last:
        has = f"{name} {first} alone" if first == last else f"{first} to {last}"
        where = f"{spec.title} of stage {key.stage}"
        raise ValueError(f"There is no {name} {key.part} in the {where}; this network has {has}.")
