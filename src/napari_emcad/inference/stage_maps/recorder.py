"""Run a network on one tile and record the requested maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_emcad.inference.devices import half_precision, none_if_out_of_memory
from napari_emcad.inference.segment import OutOfMemory, check_finite
from napari_emcad.inference.stage_maps.pca import PcaColors, fit_pca_colors, sample_pixels
from napari_emcad.model.config import STRIDES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_emcad.inference.patches import Patch
    from napari_emcad.inference.stage_maps.grid import Grid
    from napari_emcad.inference.stage_maps.keys import MapKey
    from napari_emcad.inference.stage_maps.request import MapRequest
    from napari_emcad.model.intermediates import StageOutput
    from napari_emcad.model.network import PvtEmcad

    RecordedMaps = dict[MapKey, NDArray[np.float32]]

_FLIPS = ((-1,), (-2,), (-1, -2))
"""Axes of the mirror images on which a mirrored map compares predictions."""


class MapRecorder:
    """A network on its device, with what is recorded from it.

    Parameters
    ----------
    network
        In eval mode, on the device.
    request
        The requested maps, head and temperature.
    device
        Device of the network.
    full_precision
        Whether to compute in float32 on a GPU; a CPU always does.
    """

    def __init__(
        self, network: PvtEmcad, request: MapRequest, device: torch.device, full_precision: bool
    ) -> None:
        self.request = request
        self.device = device
        self.colors: dict[MapKey, PcaColors] = dict(request.colors)
        self.num_classes = network.config.num_classes
        self._network = network
        # Maps are looked at closely: a CPU, on which memory is no matter, keeps all digits.
        full_precision = full_precision or device.type == "cpu"
        self._half = None if full_precision else half_precision(device)

    @property
    def uncolored_keys(self) -> tuple[MapKey, ...]:
        """Features whose colors are not fitted yet."""
        return tuple(key for key in self.request.keys if key.is_rgb and key not in self.colors)

    def record(self, patch: Patch, keys: Sequence[MapKey]) -> RecordedMaps:
        """Return ``(C, h, w)`` maps of a tile; features that get colors have all channels.

        Raises
        ------
        OutOfMemory
            Its traceback refers to no tensor.
        NotFinite
            If the logits of a head are NaN or infinite.
        """
        recorded = none_if_out_of_memory(self._record, patch, keys)
        if recorded is None:
            raise OutOfMemory
        return recorded

    def _record(self, patch: Patch, keys: Sequence[MapKey]) -> RecordedMaps:
        half = self._half
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, half, enabled=half is not None),
        ):
            x = torch.from_numpy(patch.pixels)[None].to(self.device)
            stages = self._network.forward_intermediates(x)
            finite = [bool(stage.logits.isfinite().all()) for stage in stages.values()]
            check_finite(all(finite), half)
            tensors = {key: self._read(key, x, stages) for key in keys}
            return {key: tensor.float().cpu().numpy() for key, tensor in tensors.items()}

    def _read(self, key: MapKey, x: Tensor, stages: Mapping[int, StageOutput]) -> Tensor:
        """Return a recorded map, ``(C, h, w)``."""
        if key.spec.mirrored:
            return torch.cat([self._mirrored_prediction(x, axes) for axes in _FLIPS])
        recorded = None if key.spec.record is None else key.spec.record(stages[key.map_stage])
        if recorded is None:
            raise ValueError(f"The map {key} has nothing to record.")
        return recorded[0] if key.part is None else recorded[0, key.part : key.part + 1]

    def _mirrored_prediction(self, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Return the logits of the prediction on a mirrored tile, mirrored back, ``(K, h, w)``."""
        logits = self._network(x.flip(axes))
        total, size = logits[-1], logits[-1].shape[-2:]
        for coarse in logits[:-1] if self.request.head == "sum" else ():
            total = total + F.interpolate(coarse, size, mode="bilinear", align_corners=False)
        mirrored_back: Tensor = total.flip(axes)[0]
        return mirrored_back

    def fit_colors(self, grid: Grid, tiles: Iterable[tuple[Patch, RecordedMaps]]) -> None:
        """Fit the colors that are still missing to the features of these tiles."""
        listed = list(tiles)
        for key in self.uncolored_keys:
            parts = [_without_padding(grid, key, patch, maps[key]) for patch, maps in listed]
            self.colors[key] = fit_pca_colors(np.concatenate([sample_pixels(p) for p in parts]))

    def project(self, recorded: RecordedMaps) -> RecordedMaps:
        """Return the maps with features that get colors reduced to three channels."""
        return {
            key: self.colors[key].project(values) if key.is_rgb else values
            for key, values in recorded.items()
        }


def _without_padding(
    grid: Grid, key: MapKey, patch: Patch, tile: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the part of a tile's map that does not lie on padding alone."""
    stride = STRIDES[key.map_stage]
    height, width = grid.map_shape(key.map_stage)
    return tile[:, : height - patch.top // stride, : width - patch.left // stride]
