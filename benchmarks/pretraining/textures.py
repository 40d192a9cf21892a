"""Synthetic textures in random colors: noise, cells, membranes and waves.

They complement photographs with patterns that are typical of microscopy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray


def texture(side: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """Return a picture ``(side, side, 3)`` uint8, the sum of three fields in random colors."""
    fields = np.stack([field(side, random) for _ in range(3)])
    shares = random.dirichlet((0.6, 0.6, 0.6))  # one field usually dominates
    colors = random.uniform(-0.6, 0.6, (3, 3)) * shares[:, None]
    background = random.uniform(0.1, 0.9, 3)
    pixels = np.tensordot(fields, 2.5 * colors, (0, 0)) + background
    return (255 * pixels.clip(0, 1)).astype(np.uint8)


def field(side: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return a field ``(side, side)`` in -1 … 1 of a random kind; some are nearly binary."""
    kind = (noise, cells, waves)[random.integers(3)]
    values = kind(side, random)
    low, high = np.quantile(values, (0.01, 0.99))
    values = 2 * ((values - low) / max(high - low, 1e-9)).clip(0, 1) - 1
    if random.random() < 0.4:
        sharpness = random.uniform(3, 30)
        values = np.tanh(sharpness * (values - random.uniform(-0.6, 0.6)))
    return values


def noise(side: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return noise whose power falls with frequency, sometimes faster in one direction."""
    y, x = np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side), indexing="ij")
    angle, stretch = random.uniform(0, np.pi), random.choice((1.0, 1.0, 4.0))
    along = np.cos(angle) * y + np.sin(angle) * x
    across = stretch * (np.cos(angle) * x - np.sin(angle) * y)
    frequency = np.hypot(along, across) + random.uniform(0.5, 8) / side
    phases = np.fft.fft2(random.standard_normal((side, side)))
    return np.fft.ifft2(phases * frequency ** -random.uniform(0.5, 2.5)).real


def cells(side: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return a Voronoi pattern: distance to the nearest point, cell walls, or constant cells."""
    points = random.uniform(-0.1, 1.1, (random.integers(8, 200), 2)) * side
    pixels = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1)
    jitter = random.uniform(0, 3) * random.standard_normal((side, side, 2))
    distances, nearest = cKDTree(points).query(pixels + jitter * (random.random() < 0.3), k=2)
    kinds = (
        distances[..., 0],
        np.minimum(distances[..., 1] - distances[..., 0], random.uniform(2, 12)),
        random.standard_normal(len(points))[nearest[..., 0]],
    )
    return kinds[random.integers(3)]


def waves(side: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return stripes that are distorted by noise."""
    y, x = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    angle = random.uniform(0, np.pi)
    length = np.exp(random.uniform(np.log(4), np.log(60)))
    phase = noise(side, random)
    phase *= random.uniform(0, 1.5) * length / (3 * phase.std() + 1e-9)
    return np.sin(2 * np.pi * (np.cos(angle) * y + np.sin(angle) * x + phase) / length)
