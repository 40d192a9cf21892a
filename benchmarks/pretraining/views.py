"""Augmented views for teacher and student: random affine maps, colors, blur and noise."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

ZOOM = (0.7, 1.7)
"""Smallest and largest zoom factor; sampled uniformly on a log scale."""

GRAY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma, ITU-R BT.601."""


def views(squares: Tensor, side: int, random: Generator) -> Tensor:
    """Return one random view per square.

    Parameters
    ----------
    squares
        ``(N, S, S, 3)`` uint8, on the generator's device.
    side
        Side of the views in pixels.
    random
        Random generator, the only source of randomness.

    Returns
    -------
    Tensor
        ``(N, 3, side, side)`` in 0 … 1.
    """
    pixels = squares.permute(0, 3, 1, 2).float() / 255
    return recolor(transform(pixels, side, random), random)


def center_crops(squares: Tensor, side: int) -> Tensor:
    """Return the centers of the squares without augmentation; shapes as in `views`."""
    margin = (squares.shape[1] - side) // 2
    inner = squares[:, margin : margin + side, margin : margin + side]
    return inner.permute(0, 3, 1, 2).float() / 255


def transform(pixels: Tensor, side: int, random: Generator) -> Tensor:
    """Return a random affine view of the pictures; they are reflected at their edges."""
    count = len(pixels)
    angle = draw_uniform(random, count, -math.pi, math.pi)
    angle = torch.where(draw_uniform(random, count) < 0.5, angle / 12, angle)
    zoom = draw_uniform(random, count, *map(math.log, ZOOM)).exp()
    stretch = draw_uniform(random, count, -0.2, 0.2).exp()
    mirrored = torch.where(draw_uniform(random, count) < 0.5, 1.0, -1.0)
    reach = side / pixels.shape[-1] / zoom
    across, along = reach * stretch * mirrored, reach / stretch
    room = (1 - reach).clamp(min=0.1)
    shift = [room * draw_uniform(random, count, -1, 1) for _ in range(2)]
    rows = (
        torch.stack([across * angle.cos(), -along * angle.sin(), shift[0]], -1),
        torch.stack([across * angle.sin(), along * angle.cos(), shift[1]], -1),
    )
    grid = F.affine_grid(torch.stack(rows, 1), [count, 3, side, side], align_corners=False)
    return F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)


def recolor(pixels: Tensor, random: Generator) -> Tensor:
    """Return the pictures in random colors; some are gray, inverted, blurred or noisy."""
    count = len(pixels)
    mixed = torch.einsum("nij,njyx->niyx", color_matrices(random, count), pixels)
    gain = per_picture(draw_uniform(random, count, -0.5, 0.4).exp())
    middle = mixed.mean((1, 2, 3), keepdim=True)
    shift = per_picture(draw_uniform(random, count, -0.15, 0.15))
    result = ((mixed - middle) * gain + middle + shift).clamp(0, 1)
    result = result ** per_picture(draw_uniform(random, count, -0.4, 0.4).exp())
    result = torch.where(per_picture(draw_uniform(random, count)) < 0.1, 1 - result, result)
    return add_noise(blur(result, random), random).clamp(0, 1)


def color_matrices(random: Generator, count: int) -> Tensor:
    """Return random 3 x 3 matrices that mix the color channels, ``(count, 3, 3)``."""
    device = random.device
    same = torch.eye(3, device=device).expand(count, 3, 3)
    change = torch.randn((count, 3, 3), generator=random, device=device)
    change -= change.mean(-1, keepdim=True)  # gray stays gray
    mixed = same + 0.25 * change * per_picture(draw_uniform(random, count))[..., 0]
    gray = torch.tensor(GRAY, device=device).expand(count, 3, 3)
    return torch.where(per_picture(draw_uniform(random, count))[..., 0] < 0.15, gray, mixed)


def blur(pixels: Tensor, random: Generator) -> Tensor:
    """Blur a random part of the pictures with one random Gaussian."""
    chosen = draw_uniform(random, len(pixels)) < 0.15
    sigma = float(draw_uniform(random, 1, 0.4, 1.6))
    if not chosen.any():
        return pixels
    reach = torch.arange(-4.0, 5.0, device=pixels.device)
    line = torch.softmax(-(reach**2) / (2 * sigma**2), 0)
    kernel = torch.outer(line, line).expand(3, 1, 9, 9).contiguous()
    result = pixels.clone()
    padded = F.pad(pixels[chosen], (4, 4, 4, 4), mode="reflect")
    result[chosen] = F.conv2d(padded, kernel, groups=3)
    return result


def add_noise(pixels: Tensor, random: Generator) -> Tensor:
    """Add white noise to a random part of the pictures."""
    chosen = draw_uniform(random, len(pixels)) < 0.2
    strength = draw_uniform(random, len(pixels), 0, 0.1)[chosen]
    result = pixels.clone()
    grain = torch.randn(result[chosen].shape, generator=random, device=random.device)
    result[chosen] += per_picture(strength) * grain
    return result


def draw_uniform(random: Generator, count: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Return ``(count,)`` uniform random numbers between two bounds."""
    return low + (high - low) * torch.rand(count, generator=random, device=random.device)


def per_picture(numbers: Tensor) -> Tensor:
    """Return ``(N,)`` numbers as ``(N, 1, 1, 1)``, to broadcast against pictures."""
    return numbers[:, None, None, None]
