"""The request for stage maps of a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_emcad.inference.stage_maps.keys import MapKey
from napari_emcad.inference.uncertainty import as_temperature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_emcad.inference.stage_maps.pca import PcaColors
    from napari_emcad.model.segmenter import Head


@dataclass(frozen=True, slots=True)
class MapRequest:
    """A request for maps of a network.

    Parameters
    ----------
    keys
        From `napari_emcad.inference.stage_maps.keys.parse_map_keys`.
    head
        The head whose logits are the prediction, for maps of uncertainty.
    temperature
        Divisor of the logits for maps of uncertainty, see
        `napari_emcad.inference.uncertainty.fit_temperature`.
    colors
        PCA colors of features from an earlier job; other features get theirs from the first slice.

    Raises
    ------
    ValueError
        If the temperature is not finite and above 0.
    """

    keys: tuple[MapKey, ...]
    head: Head = "finest"
    temperature: float = 1.0
    colors: Mapping[MapKey, PcaColors] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "temperature", as_temperature(self.temperature))

    @property
    def recorded_keys(self) -> tuple[MapKey, ...]:
        """Keys of everything that must be recorded for these maps, without repetition."""
        logits, others = [], []
        for key in self.keys:
            heads = key.spec.heads(key.map_stage, self.head)
            logits += [MapKey("logits", stage) for stage in heads]
            if key.spec.mirrored or not heads:
                others.append(key)
        return tuple(dict.fromkeys([*logits, *others]))
