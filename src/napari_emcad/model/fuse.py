"""A copy of a network that computes the same in less time: for inference only."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_emcad.model.decoder import MSCB

if TYPE_CHECKING:
    from napari_emcad.model.segmenter import Segmenter

Network = TypeVar("Network", bound="Segmenter")


def fused_copy(network: Network) -> Network:
    """Return a copy with fewer operations and channels as last axis.

    Batch norms are folded into their convolutions and shuffles of channels into the projections
    that follow; depth-wise 1 × 1 convolutions become multiplications.

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
    for block in list(fused.modules()):
        if isinstance(block, nn.Sequential):
            _fold_batch_norms(block)
        if isinstance(block, MSCB):
            _fold_shuffle(block)
    return fused.eval().to(memory_format=torch.channels_last)


def _fold_batch_norms(block: nn.Sequential) -> None:
    """Fold every batch norm of a block into the convolution before it."""
    for number, (layer, following) in enumerate(pairwise(list(block))):
        if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            conv = fuse_conv_bn_eval(layer, following)
            block[number] = ChannelScale(conv) if _scales_channels(conv) else conv
            block[number + 1] = nn.Identity()


def _fold_shuffle(block: MSCB) -> None:
    """Let the projection of a block take its input channels in the order before the shuffle."""
    project = block.project[0]
    assert isinstance(project, nn.Conv2d)
    numbers = torch.arange(project.in_channels, device=project.weight.device)
    shuffled = block.shuffle(numbers[None, :, None, None].float()).flatten().long()
    with torch.no_grad():
        project.weight.copy_(project.weight[:, shuffled.argsort()])
    block.shuffle = nn.Identity()


def _scales_channels(conv: nn.Conv2d) -> bool:
    """Return whether a convolution multiplies every channel by a number of its own."""
    return conv.groups == conv.in_channels == conv.out_channels and conv.kernel_size == (1, 1)


class ChannelScale(nn.Module):
    """A depth-wise 1 × 1 convolution as one multiplication, which torch computes by channel.

    ``(N, C, H, W)`` → ``(N, C, H, W)``.

    Parameters
    ----------
    conv
        The convolution, with bias.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        assert conv.bias is not None
        self.scale = nn.Parameter(conv.weight.detach().reshape(-1, 1, 1).clone(), False)
        self.shift = nn.Parameter(conv.bias.detach().reshape(-1, 1, 1).clone(), False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scaled map."""
        return torch.addcmul(self.shift, x, self.scale)
