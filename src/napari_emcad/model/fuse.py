"""A copy of a network that computes the same in less time: for inference only."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

if TYPE_CHECKING:
    from napari_emcad.model.segmenter import Segmenter

Network = TypeVar("Network", bound="Segmenter")


def fused_copy(network: Network) -> Network:
    """Return a copy with batch norms folded into their convolutions and channels as last axis.

    Outputs differ from those of the network by rounding alone (1e-5 of the logits). The copy cannot
    be trained, and its intermediate maps are those after the batch norm.

    Parameters
    ----------
    network
        In eval mode; it is not changed.

    Raises
    ------
    ValueError
        If it is in training mode, in which batch norms depend on the batch.
    """
    if network.training:
        raise ValueError("The network is in training mode; call eval() first.")
    fused = copy.deepcopy(network)
    for block in fused.modules():
        if isinstance(block, nn.Sequential):
            _fold_batch_norms(block)
    return fused.eval().to(memory_format=torch.channels_last)


def _fold_batch_norms(block: nn.Sequential) -> None:
    """Fold every batch norm of a block into the convolution before it."""
    for number, (layer, following) in enumerate(pairwise(list(block))):
        if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            block[number] = fuse_conv_bn_eval(layer, following)
            block[number + 1] = nn.Identity()
