"""What teacher and student are both shown: squares moved, turned, zoomed and recolored."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

ZOOM = (0.7, 1.7)
"""Smallest and largest; all between are drawn evenly by their logarithm."""

GRAY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in brightness, ITU-R BT.601."""


def views(squares: Tensor, side: int, random: Generator) -> Tensor:
    """Return one view of each square.

    Parameters
    ----------
    squares
        ``(N, S, S, 3)`` uint8, on the generator's device.
    side
        Of the views, in pixels.
    random
        What is drawn depends on its state alone.

    Returns
    -------
    Tensor
        ``(N, 3, side, side)`` in 0 … 1.
    """
    pixels = squares.permute(0, 3, 1, 2).float() / 255
    return recolored(moved(pixels, side, random), random)


def plain(squares: Tensor, side: int) -> Tensor:
    """Return the middle of each square, otherwise as it is; shapes as for `views`."""
    margin = (squares.shape[1] - side) // 2
    inner = squares[:, margin : margin + side, margin : margin + side]
    return inner.permute(0, 3, 1, 2).float() / 255


def moved(pixels: Tensor, side: int, random: Generator) -> Tensor:
    """Return a window of each picture, by one affine map; beyond its edges it is mirrored."""
    count = len(pixels)
    angle = drawn(random, count, -math.pi, math.pi)
    angle = torch.where(drawn(random, count) < 0.5, angle / 12, angle)
    zoom = drawn(random, count, *map(math.log, ZOOM)).exp()
    stretch = drawn(random, count, -0.2, 0.2).exp()
    mirrored = torch.where(drawn(random, count) < 0.5, 1.0, -1.0)
    reach = side / pixels.shape[-1] / zoom
    across, along = reach * stretch * mirrored, reach / stretch
    room = (1 - reach).clamp(min=0.1)
    shift = [room * drawn(random, count, -1, 1) for _ in range(2)]
    rows = (
        torch.stack([across * angle.cos(), -along * angle.sin(), shift[0]], -1),
        torch.stack([across * angle.sin(), along * angle.cos(), shift[1]], -1),
    )
    grid = F.affine_grid(torch.stack(rows, 1), [count, 3, side, side], align_corners=False)
    return F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)


def recolored(pixels: Tensor, random: Generator) -> Tensor:
    """Return pictures with other colors; some are gray, inverted, blurred or noisy."""
    count = len(pixels)
    mixed = torch.einsum("nij,njyx->niyx", mixes(random, count), pixels)
    gain = spread(drawn(random, count, -0.5, 0.4).exp())
    middle = mixed.mean((1, 2, 3), keepdim=True)
    shift = spread(drawn(random, count, -0.15, 0.15))
    found = ((mixed - middle) * gain + middle + shift).clamp(0, 1)
    found = found ** spread(drawn(random, count, -0.4, 0.4).exp())
    found = torch.where(spread(drawn(random, count)) < 0.1, 1 - found, found)
    return noisy(blurred(found, random), random).clamp(0, 1)


def mixes(random: Generator, count: int) -> Tensor:
    """Return a matrix for each picture that makes three channels out of three."""
    device = random.device
    same = torch.eye(3, device=device).expand(count, 3, 3)
    change = torch.randn((count, 3, 3), generator=random, device=device)
    change -= change.mean(-1, keepdim=True)  # what is gray stays gray
    turned = same + 0.25 * change * spread(drawn(random, count))[..., 0]
    gray = torch.tensor(GRAY, device=device).expand(count, 3, 3)
    return torch.where(spread(drawn(random, count))[..., 0] < 0.15, gray, turned)


def blurred(pixels: Tensor, random: Generator) -> Tensor:
    """Blur some of the pictures, all of them equally."""
    chosen = drawn(random, len(pixels)) < 0.15
    sigma = float(drawn(random, 1, 0.4, 1.6))
    if not chosen.any():
        return pixels
    reach = torch.arange(-4.0, 5.0, device=pixels.device)
    line = torch.softmax(-(reach**2) / (2 * sigma**2), 0)
    kernel = torch.outer(line, line).expand(3, 1, 9, 9).contiguous()
    found = pixels.clone()
    padded = F.pad(pixels[chosen], (4, 4, 4, 4), mode="reflect")
    found[chosen] = F.conv2d(padded, kernel, groups=3)
    return found


def noisy(pixels: Tensor, random: Generator) -> Tensor:
    """Add white noise to some of the pictures."""
    chosen = drawn(random, len(pixels)) < 0.2
    strength = drawn(random, len(pixels), 0, 0.1)[chosen]
    found = pixels.clone()
    grain = torch.randn(found[chosen].shape, generator=random, device=random.device)
    found[chosen] += spread(strength) * grain
    return found


def drawn(random: Generator, count: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Return ``(count,)`` numbers, drawn evenly between two bounds."""
    return low + (high - low) * torch.rand(count, generator=random, device=random.device)


def spread(numbers: Tensor) -> Tensor:
    """Return one number a picture with the axes of pictures."""
    return numbers[:, None, None, None]
