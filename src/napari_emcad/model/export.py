"""Networks as programs of `torch.export`, for other runtimes than this package."""

from __future__ import annotations

from fractions import Fraction
from math import gcd
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_emcad.model.config import MULTIPLE
from napari_emcad.model.resize import resize

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from napari_emcad.model.segmenter import Head, Segmenter

_LARGEST_STEP = 512
"""Largest step of height and width, in pixels: a zoom such as 1.37 would need 3200."""

_LARGEST_SIDE = 16384
_LARGEST_BATCH = 4096


class UnsupportedZoomError(ValueError):
    """The zoom of a network leaves no practical image sizes to an exported program."""


class ExportableNetwork(nn.Module):
    """Normalized images in, logits at their size out; the head and the zoom are fixed.

    Parameters
    ----------
    network
        In eval mode.
    head, zoom
        Those of the checkpoint, see `Segmenter.predict`.

    Attributes
    ----------
    step
        Height and width of the images are multiples of it, in pixels.
    """

    def __init__(self, network: Segmenter, head: Head, zoom: float = 1.0) -> None:
        super().__init__()
        self.network = network
        self._head: Head = head
        self._zoom = Fraction(zoom).limit_denominator(_LARGEST_STEP)
        self.step = side_step(zoom)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits ``(N, K, H, W)`` of preprocessed images ``(N, 1 or 3, H, W)``."""
        if self._zoom == 1:
            return self.network.predict(image, self._head)
        height, width = image.shape[-2:]
        up, down = self._zoom.numerator, self._zoom.denominator
        zoomed = resize(image, (height * up // down, width * up // down))
        return resize(self.network.predict(zoomed, self._head), (height, width))


def side_step(zoom: float) -> int:
    """Return the number of pixels of which height and width must be multiples.

    It is the least number that is a multiple of 32 after it is multiplied by the zoom, so that an
    exported program never pads.

    Raises
    ------
    UnsupportedZoomError
        If it is above 512, as for a zoom such as 1.37.
    """
    exact = Fraction(zoom).limit_denominator(_LARGEST_STEP)
    step = exact.denominator * MULTIPLE // gcd(MULTIPLE, exact.numerator)
    if abs(float(exact) - zoom) > 1e-9 or step > _LARGEST_STEP:
        raise UnsupportedZoomError(
            f"A zoom of {zoom:g} cannot be exported, as few image sizes would fit it; set another "
            f"one, such as zoom={round(zoom * 2) / 2 or 0.5:g}."
        )
    return step


def export_network(module: ExportableNetwork, inputs: int) -> ExportedProgram:
    """Return the network as a program for batches and images of many sizes.

    Height and width are multiples of ``module.step``, at least two steps. This takes about half a
    minute.

    Parameters
    ----------
    module
        The network.
    inputs
        Number of its input channels.
    """
    step = module.step
    steps = {"min": 2, "max": _LARGEST_SIDE // step}
    sizes = {
        0: torch.export.Dim("batch", min=1, max=_LARGEST_BATCH),
        2: step * torch.export.Dim("height_steps", **steps),
        3: step * torch.export.Dim("width_steps", **steps),
    }
    example = torch.zeros(2, inputs, 3 * step, 5 * step, device="cpu")
    program = torch.export.export(module.eval(), (example,), dynamic_shapes={"image": sizes})
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it contains paths of this computer
    return program
