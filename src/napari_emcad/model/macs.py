"""Computing cost of a network, from its configuration alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.model.config import STAGES, STRIDES
from napari_emcad.model.decoder_tensors import count_decoder_macs

if TYPE_CHECKING:
    from napari_emcad.model.config import ModelConfig


def count_macs(config: ModelConfig, height: int = 256, width: int = 256) -> int:
    """Return the multiply-accumulates of one image of this size.

    Convolutions, linear layers and attention products count, as in torch's ``FlopCounterMode``
    (two of its flops are one of these); norms, activations and resampling do not.

    Parameters
    ----------
    config
        The architecture.
    height, width
        Input size in pixels, multiples of 32.
    """
    pixels = {n: (height // STRIDES[n]) * (width // STRIDES[n]) for n in STAGES}
    stem = 3 * height * width if config.input_channels == 1 else 0
    encoder = config.encoder_spec.count_macs([pixels[n] for n in reversed(STAGES)])
    return stem + encoder + count_decoder_macs(config, pixels)
