"""What can be seen inside a network: the names of its maps, and a map with its place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from napari_emcad.model.config import STAGES, STRIDES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_emcad.model.config import ModelConfig

Kind = Literal[
    "probability",
    "logits",
    "sum",
    "adds",
    "gate",
    "spatial",
    "channel",
    "decoder",
    "encoder",
    "entropy",
    "disagreement",
    "flips",
]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""Every kind of map."""

TITLES: dict[Kind, str] = {
    "probability": "probability",
    "logits": "logits",
    "sum": "sum of logits",
    "adds": "what the stage adds",
    "gate": "gate",
    "spatial": "spatial attention",
    "channel": "channel attention",
    "decoder": "decoder features",
    "encoder": "encoder features",
    "entropy": "entropy",
    "disagreement": "disagreement of stages",
    "flips": "disagreement of flips",
}
"""Each kind in words."""

OF_CLASSES: tuple[Kind, ...] = ("probability", "logits", "sum", "adds")
OF_CHANNELS: tuple[Kind, ...] = ("decoder", "encoder")
OF_DOUBT: tuple[Kind, ...] = ("entropy", "disagreement", "flips")

_JOINED: tuple[Kind, ...] = ("gate", "adds")
"""Kinds that stage 4 does not have: nothing is deeper than it."""

USUAL = tuple(kind for kind in KINDS if kind != "flips")
"""What ``"all"`` means: flips take three more passes of the network."""


@dataclass(frozen=True, slots=True)
class MapKey:
    """Which map; `str` gives its short name, such as ``gate:2`` or ``decoder:1:17``.

    Attributes
    ----------
    kind
        What is shown:

        - ``probability``, ``logits``: of the stage's head;
        - ``sum``: logits of stages 4 … this one, which MUTATION supervision trains;
        - ``adds``: probability of that sum minus that of the sum before it (in logits it would be
          the head itself);
        - ``gate``: LGAG's gate on the encoder's map; ``spatial`` and ``channel`` attention;
        - ``decoder``, ``encoder``: features as colors by PCA, or one channel;
        - ``entropy`` of the prediction, ``disagreement`` of the four heads, ``flips``:
          disagreement of the prediction on the tile and three mirror images of it.
    stage
        4 (deepest) to 1 (finest); None for doubt, which is of the network.
    part
        A class (0 is the background where there are several) or a channel counted from 0. None:
        all classes, or colors.

    Raises
    ------
    ValueError
        If there is a part without a stage: its short name would be that of another map.
    """

    kind: Kind
    stage: int | None = None
    part: int | None = None

    def __post_init__(self) -> None:
        if self.stage is None and self.part is not None:
            raise ValueError(
                f"Number {self.part} of {self.kind} is of no stage; name one, as in decoder:1:17."
            )

    def __str__(self) -> str:
        return ":".join(
            str(each) for each in (self.kind, self.stage, self.part) if each is not None
        )

    @property
    def title(self) -> str:
        """The map in words, without its class."""
        words = TITLES[self.kind]
        if self.stage is not None:
            words = f"{words}, stage {self.stage}"
        if self.kind in OF_CHANNELS:
            words += " as colors" if self.part is None else f", channel {self.part}"
        return words

    @property
    def stride(self) -> int:
        """The network's pixels per pixel of the map; doubt has the finest stage's."""
        return STRIDES[self.stage or 1]

    @property
    def is_rgb(self) -> bool:
        """Whether it is red, green and blue."""
        return self.kind in OF_CHANNELS and self.part is None


@dataclass(frozen=True, slots=True, eq=False)
class StageMap:
    """A map at its own resolution, and its place on the image.

    Attributes
    ----------
    key
        Which map.
    values
        ``(h, w)`` float32; ``(K, h, w)`` for all of several classes, background first;
        ``(3, h, w)`` red, green, blue in 0 … 1 for colors; ``(C,)`` for channel attention, the
        mean over the tiles. Rows and columns are in the image's order. Read-only, as maps are kept.
    factor
        Image pixels per map pixel along the last two axes; None for a map without a place.
    offset
        Where the center of the first map pixel lies, in pixels of the whole image, whose own
        centers are whole numbers: ``(factor - 1) / 2`` plus the corner of the scope.
    limits
        Values at the ends of a color map.
    diverging
        Whether 0 is in the middle of it.

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
        sealed = self.values.view()
        sealed.setflags(write=False)
        object.__setattr__(self, "values", sealed)

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
    """Return the maps that are meant, each once, in the order of the names.

    Parameters
    ----------
    names
        Short names such as ``gate:2``, ``probability:4:1`` (class 1) or ``decoder:1:17`` (channel
        17). A kind alone means each stage that has it, ``all`` every kind but flips.
    config
        The network that is looked into.

    Raises
    ------
    ValueError
        If there is no such kind, stage, class or channel, or no name.
    """
    listed = [names] if isinstance(names, (str, MapKey)) else list(names)
    keys = [key for name in listed for key in _meant(str(name).strip().lower())]
    if not keys:
        raise ValueError(f"No map was asked for; name some of {', '.join(KINDS)}, or all.")
    for key in keys:
        _check(key, config)
    return tuple(dict.fromkeys(keys))


def channel_of(key: MapKey, num_classes: int) -> int | None:
    """Return the channel of a head that a map's class has; None for all of several classes."""
    if num_classes == 1:
        return 0
    return key.part


def channels_of(key: MapKey, config: ModelConfig) -> int:
    """Return how many numbers a map has at each place."""
    if key.kind in OF_CLASSES:
        return 1 if channel_of(key, config.num_classes) is not None else config.num_classes
    return 3 if key.is_rgb else 1


def stages_of(kind: Kind) -> tuple[int, ...]:
    """Return the stages that have a kind of map, deepest first; none for doubt."""
    if kind in OF_DOUBT:
        return ()
    return STAGES[1:] if kind in _JOINED else STAGES


def _meant(name: str) -> list[MapKey]:
    if name == "all":
        return [key for kind in USUAL for key in _meant(kind)]
    said, *numbers = name.split(":")
    kinds = [kind for kind in KINDS if kind == said]
    if not kinds:
        raise ValueError(f"There is no map {name!r}; the maps are {', '.join(KINDS)}, or all.")
    if len(numbers) > 2 or not all(each.isdecimal() for each in numbers):
        raise ValueError(
            f"{name!r} is no map; write {said}:STAGE or {said}:STAGE:NUMBER, as in decoder:1:17."
        )
    stage, part = [*map(int, numbers), None, None][:2]
    if stage is None:
        return [MapKey(kinds[0], each) for each in stages_of(kinds[0]) or (None,)]
    return [MapKey(kinds[0], stage, part)]


def _check(key: MapKey, config: ModelConfig) -> None:
    there = stages_of(key.kind)
    if (key.stage is None) == bool(there) or (there and key.stage not in there):
        have = f"has stages {', '.join(map(str, there))}" if there else "has no stages"
        raise ValueError(f"There is no map {key}; {key.kind} {have}.")
    if key.part is None or key.stage is None:
        return
    if key.kind in OF_CLASSES:
        first, last = (1, 1) if config.num_classes == 1 else (0, config.num_classes - 1)
        what = "class"
    elif key.kind in OF_CHANNELS:
        first, last, what = 0, config.widths[key.stage] - 1, "channel"
    else:
        raise ValueError(
            f"There is no map {key}; {key.kind}:{key.stage} has no classes or channels."
        )
    if not first <= key.part <= last:
        has = f"{what} {first} alone" if first == last else f"{first} to {last}"
        where = f"{TITLES[key.kind]} of stage {key.stage}"
        raise ValueError(f"There is no {what} {key.part} in the {where}; this network has {has}.")
