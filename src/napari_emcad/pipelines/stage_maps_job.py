"""The job that computes stage maps slice by slice."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from napari_emcad.inference.stage_maps.keys import count_channels
from napari_emcad.model.config import STAGES, STRIDES
from napari_emcad.pipelines.memory import check_fits_memory

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterable, Mapping

    from napari_emcad.imaging.slices import Slices
    from napari_emcad.inference.events import (
        InferenceSettings,
        Notice,
        Progress,
        Summary,
    )
    from napari_emcad.inference.stage_maps.extract import SliceMaps
    from napari_emcad.inference.stage_maps.keys import MapKey
    from napari_emcad.inference.stage_maps.pca import PcaColors
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.model.network import PvtEmcad


def check_maps(slices: Slices, checkpoint: Checkpoint, keys: Iterable[MapKey]) -> None:
    """Check that the maps of one slice fit into this computer's memory.

    Raises
    ------
    ValueError
        If they do not; the message says how much is needed.
    """
    keys = list(keys)
    preprocessing = checkpoint.preprocessing
    height, width = preprocessing.size or (
        preprocessing.zoom * size for size in (slices.height, slices.width)
    )
    # Values per input pixel of all arrays that are in memory at once.
    maps = {str(key): count_channels(key, checkpoint.config) / key.stride**2 for key in keys}
    classes = checkpoint.config.num_classes
    heads = {f"head {n}": classes / STRIDES[n] ** 2 for n in STAGES}
    views = {"views": 4 * classes / STRIDES[1] ** 2}
    needs_heads = any(key.spec.heads(key.map_stage, checkpoint.head) for key in keys)
    needs_views = any(key.spec.views > 1 for key in keys)
    arrays = maps | (heads if needs_heads else {}) | (views if needs_views else {})
    check_fits_memory(round(4 * sum(arrays.values()) * height * width))


def stage_maps_job(
    slices: Slices,
    checkpoint: Checkpoint,
    keys: tuple[MapKey, ...],
    settings: InferenceSettings,
    stop: threading.Event,
    *,
    temperature: float = 1.0,
    colors: Mapping[MapKey, PcaColors] | None = None,
    network: PvtEmcad | None = None,
) -> Generator[Progress | Notice | SliceMaps, None, Summary]:
    """Compute maps of all slices; torch is imported when the job starts.

    Parameters
    ----------
    slices
        Slices of the image.
    checkpoint
        Model whose maps are computed.
    keys
        Maps to compute.
    settings
        Settings of the inference.
    stop
        Ends the job after the current tile.
    temperature
        Divisor of the logits for maps of uncertainty.
    colors
        Colors of features from the `SliceMaps` of an earlier job, to use the same ones.
    network
        Network of this checkpoint; None takes an idle one, or builds it.

    Yields
    ------
    Progress, SliceMaps, Notice
        Progress after every tile, the maps of every slice, and remarks for the user.

    Returns
    -------
    Summary
    """
    from napari_emcad.inference.network_pool import NETWORK_POOL
    from napari_emcad.inference.segment import describe_memory_errors
    from napari_emcad.inference.stage_maps.extract import extract_stage_maps
    from napari_emcad.inference.stage_maps.request import MapRequest

    request = MapRequest(keys, checkpoint.head, temperature, colors or {})
    borrowed = (
        NETWORK_POOL.borrow(checkpoint, "plain", checkpoint.network)
        if network is None
        else nullcontext(network)
    )
    with describe_memory_errors(), borrowed as ready:
        return (
            yield from extract_stage_maps(
                ready, slices, checkpoint.preprocessing, request, settings, stop
            )
        )
