"""The network of a model as inference computes it: batch norms folded, maybe in half precision."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import torch

from napari_emcad.inference.devices import choose_device, half_precision
from napari_emcad.inference.network_pool import NETWORK_POOL
from napari_emcad.model.fuse import fused_copy
from napari_emcad.model.onednn import avoid_wrong_convolutions, use_onednn
from napari_emcad.model.precision import has_bfloat16_instructions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_emcad.inference.events import InferenceSettings
    from napari_emcad.model.segmenter import Segmenter


class HasNetwork(Protocol):
    """A checkpoint or an instant model."""

    def network(self) -> Segmenter:
        """Return the network in eval mode."""
        ...


def fast_copy(network: Segmenter, device: torch.device, half: torch.dtype | None) -> Segmenter:
    """Return a copy of a network for inference on a device, on which it is.

    On a CPU its weights are in half precision where the network allows it, so that nothing is
    converted between layers; on a GPU, and for other networks, `half_autocast` converts.

    Parameters
    ----------
    network
        In eval mode.
    device
        Where the copy is moved.
    half
        The half precision in which it will compute; None for float32.
    """
    fused = fused_copy(network).to(device)
    if device.type != "cpu":
        return fused
    if half is None:
        use_onednn(fused)
    elif network.half_weights:
        fused.to(half)
        avoid_wrong_convolutions(fused)
        if has_bfloat16_instructions():
            use_onednn(fused)
    return fused


def half_autocast(
    network: Segmenter, device: torch.device, half: torch.dtype | None
) -> torch.autocast:
    """Return the context in which a network computes in half precision, see `fast_copy`."""
    converts = half is not None and next(network.parameters()).dtype == torch.float32
    return torch.autocast(device.type, half, enabled=converts)


@contextmanager
def borrow_network(model: HasNetwork, settings: InferenceSettings) -> Iterator[Segmenter]:
    """Return the network of a model within a ``with`` block, kept from an earlier job if possible.

    Raises
    ------
    ValueError
        If the device of the settings cannot be used.
    """
    device = choose_device(settings.device)
    on_cpu = device.type == "cpu" and not settings.full_precision
    half = half_precision(device) if on_cpu else None  # on a GPU weights stay float32

    def build() -> Segmenter:
        return fast_copy(model.network(), torch.device("cpu"), half)

    with NETWORK_POOL.borrow(model, f"fused {half}", build, device) as network:
        yield network
