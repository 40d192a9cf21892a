"""Names and shapes of all tensors of a network, from its configuration alone.

Files are checked against this table before anything is built, and without importing torch.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from napari_emcad.model.decoder_tensors import decoder_tensors, head_tensors, stem_tensors

if TYPE_CHECKING:
    from napari_emcad.model.config import ModelConfig

_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def tensor_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return ``{name: shape}`` of the network's state dict, in its order."""
    encoder = ((f"encoder.{name}", shape) for name, shape in config.encoder_spec.tensors())
    return dict([*stem_tensors(), *encoder, *decoder_tensors(config), *head_tensors(config)])


def count_parameters(config: ModelConfig) -> int:
    """Return the number of trainable parameters of the network."""
    shapes = tensor_shapes(config).items()
    return sum(prod(shape) for name, shape in shapes if not name.endswith(_BUFFERS))
