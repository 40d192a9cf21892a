"""Layers that oneDNN computes in one pass over memory: for inference on CPUs only.

torch adds the bias of a linear layer, and computes GELU, in passes of their own, which take longer
than the arithmetic. `torch.compile` calls these operators too, but needs a C++ compiler. They are
in torch since 2.0 and not documented, so a torch without them leaves the layers as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_emcad.model import triton_preload  # noqa: F401  # isort: skip  (before timm)

import torch
from timm.models.pvt_v2 import MlpWithDepthwiseConv
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

_OPERATORS = ("_linear_pointwise", "_convolution_pointwise")


def has_onednn() -> bool:
    """Return whether torch has the operators."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and all(hasattr(torch.ops.mkldnn, name) for name in _OPERATORS)


def use_onednn(network: nn.Module) -> None:
    """Let oneDNN compute the linear layers of a network, and its convolutions with their GELU.

    Outputs differ by rounding alone. The network must stay on the CPU, and autocast must be off.

    Parameters
    ----------
    network
        In eval mode; it is changed.
    """
    if not has_onednn():
        return
    for block in list(network.modules()):
        if isinstance(block, MlpWithDepthwiseConv) and _is_exact_gelu(block.act):
            block.dwconv, block.act = ConvGelu(block.dwconv), nn.Identity()
    _replace(network, lambda layer: type(layer) is nn.Linear, OneDnnLinear)


def avoid_wrong_convolutions(network: nn.Module) -> None:
    """Replace the convolutions that oneDNN computes wrongly in bfloat16 on CPUs with AMX.

    With torch 2.14 these are strided ones of 4 × 4 and 8 × 8 pixels whose number of input channels
    is no multiple of 32: the output has nothing to do with the input. No PVTv2 of timm has any.

    Parameters
    ----------
    network
        In eval mode; it is changed.
    """
    _replace(network, _is_computed_wrongly, PatchConv)


def _replace(
    network: nn.Module,
    chosen: Callable[[nn.Module], bool],
    replacement: Callable[[Any], nn.Module],
) -> None:
    """Replace the chosen layers of a network in eval mode."""
    for block in list(network.modules()):
        for name, layer in list(block.named_children()):
            if chosen(layer):
                setattr(block, name, replacement(layer))
    network.eval()  # as the new layers are not


def _is_computed_wrongly(layer: nn.Module) -> bool:
    """Return whether a layer is a convolution of patches side by side of unsuited channels."""
    if type(layer) is not nn.Conv2d or layer.in_channels % 32 == 0:
        return False
    plain = layer.padding == (0, 0) and layer.dilation == (1, 1) and layer.groups == 1
    return plain and layer.kernel_size == layer.stride != (1, 1)


def _is_exact_gelu(layer: nn.Module) -> bool:
    return isinstance(layer, nn.GELU) and layer.approximate == "none"


class OneDnnLinear(nn.Module):
    """A linear layer whose bias is added where the product is computed.

    ``(…, in)`` → ``(…, out)``.

    Parameters
    ----------
    linear
        The layer, whose parameters are shared.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """Return the product and the bias."""
        output: Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self.weight, self.bias, "none", [], ""
        )
        return output


class ConvGelu(nn.Module):
    """A convolution and its GELU.

    ``(N, in, H, W)`` → ``(N, out, H', W')``.

    Parameters
    ----------
    conv
        The convolution, whose parameters are shared.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self._geometry = conv.padding, conv.stride, conv.dilation, conv.groups

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated map."""
        output: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self.weight, self.bias, *self._geometry, "gelu", [], "none"
        )
        return output


class PatchConv(nn.Module):
    """A convolution of patches that lie side by side, as a product of matrices.

    ``(N, in, H, W)`` → ``(N, out, H // height, W // width)``.

    Parameters
    ----------
    conv
        The convolution, whose parameters are shared.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self._patch = conv.kernel_size

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolved map."""
        height, width = (size // side for size, side in zip(x.shape[2:], self._patch, strict=True))
        patches = functional.unfold(x, self._patch, stride=self._patch).transpose(1, 2)
        output = functional.linear(patches, self.weight.flatten(1), self.bias)
        return output.transpose(1, 2).reshape(len(x), -1, height, width)
