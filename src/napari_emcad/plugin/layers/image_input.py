"""How an image is read: layer, axes, channels, resolution, scope, settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from napari_emcad.inference.events import InferenceSettings


ScopeName = Literal["slice", "view", "layer"]


@dataclass(frozen=True, slots=True)
class SegmentChoices:
    """What the panel says.

    Attributes
    ----------
    axes, channels
        As `napari_emcad.segment` takes them.
    level
        Number of the resolution, 0 the finest.
    scope
        The slice on screen, the part of it on screen, or everything.
    settings
        How to compute.
    anew
        Whether the result gets a new layer.
    """

    axes: str
    channels: tuple[int | None, ...] | None
    level: int
    scope: ScopeName
    settings: InferenceSettings
    anew: bool
