"""The registry of maps: everything that is particular to one kind is in its `MapSpec`.

Code that computes, writes or shows maps asks the spec, so that a new kind of map is one entry.
Torch is not imported: a panel lists the kinds before any network is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_emcad.model.config import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_emcad.inference.stage_maps.blended import BlendedMaps
    from napari_emcad.inference.stage_maps.keys import MapKey
    from napari_emcad.model.intermediates import StageOutput
    from napari_emcad.model.segmenter import Head

    Heads = Callable[[int, Head], tuple[int, ...]]

Group = Literal["class", "attention", "features", "uncertainty"]
Colormap = Literal["viridis", "gray", "inferno", "diverging"]
Limits = tuple[float, float] | Literal["symmetric", "range"]


def no_heads(stage: int, head: Head) -> tuple[int, ...]:
    """Return no stages: the map is recorded from the network, not computed from logits."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSpec:
    """One kind of map.

    Attributes
    ----------
    kind
        Short name, the first part of a key such as ``gate:2``.
    title
        Name in captions, layer names and file metadata.
    label, description
        Name and explanation of its check box.
    group
        ``"class"``: a value per class of the network. ``"attention"``: weights in 0 … 1.
        ``"features"``: many channels, shown as PCA colors or one by one. ``"uncertainty"``: of the
        prediction; depends on the temperature.
    stages
        Decoder stages that have the map, deepest first; empty for a map of the whole network.
    heads
        Stages whose blended logits the map is computed from, given its own stage (1 for a map of
        the whole network) and the head that is the prediction.
    record
        The tensor ``(1, C, h, w)`` to record from a stage; None for a map that is computed from
        logits alone.
    compute
        The values of the map from the blended maps of a slice: ``(K, h, w)`` with all classes for
        the group ``"class"``, else as in `StageMap.values`.
    limits
        Values at the ends of the color map; ``"symmetric"`` about 0, or the ``"range"`` of the
        values.
    colormap
        Name of the color map in the viewer.
    full_range
        Whether a contact sheet shows the whole range of `limits`, not that of the values.
    has_place
        Whether its values lie on the image; values without a place are averaged over the tiles.
    mirrored
        Whether it needs the predictions on three mirror images of a tile, which are recorded under
        its key. That takes three more passes of the network, so ``all`` leaves the kind out.
    views
        Predictions of all classes that are in memory at once while it is computed.
    preselected
        Whether the Stages panel shows it unless the user chooses otherwise.
    """

    kind: str
    title: str
    label: str
    description: str
    group: Group
    compute: Callable[[BlendedMaps, MapKey], NDArray[np.float32]]
    stages: tuple[int, ...] = STAGES
    heads: Heads = no_heads
    record: Callable[[StageOutput], Tensor | None] | None = None
    limits: Limits = (0.0, 1.0)
    colormap: Colormap = "gray"
    full_range: bool = False
    has_place: bool = True
    mirrored: bool = False
    views: int = 1
    preselected: bool = False

    @property
    def is_diverging(self) -> bool:
        """Whether 0 is in the middle of its color map."""
        return self.colormap == "diverging"


MAP_SPECS: dict[str, MapSpec] = {}
"""Every kind of map by its short name, in the order in which they are listed."""


def register_map(spec: MapSpec) -> None:
    """Add a kind of map, or replace the one of the same name."""
    MAP_SPECS[spec.kind] = spec


def map_spec(kind: str) -> MapSpec:
    """Return the spec of a kind of map.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    if kind not in MAP_SPECS:
        raise ValueError(f"There is no map {kind!r}; the maps are {', '.join(MAP_SPECS)}, or all.")
    return MAP_SPECS[kind]
