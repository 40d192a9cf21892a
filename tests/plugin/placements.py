"""Hypothesis strategy of image layers with random transforms."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from napari.layers import Image

NUMBERS = st.floats(-3, 3).map(lambda x: round(x, 3))
SCALES = st.floats(0.2, 4).map(lambda x: round(x, 3))


@st.composite
def placed_images(draw, ndim=3):
    """Draw a pyramid of random scale, translate, rotate, shear and affine."""
    array = np.zeros((6, 32, 48)[-ndim:], np.uint8)
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    rotation, _ = np.linalg.qr(rng.standard_normal((ndim, ndim)))
    affine = np.eye(ndim + 1)
    affine[:ndim, :ndim] += 0.3 * rng.standard_normal((ndim, ndim))
    affine[:ndim, -1] = rng.standard_normal(ndim)
    coarse = array[..., ::2, ::2]
    return Image(
        [array, coarse],
        multiscale=True,
        scale=[draw(SCALES) for _ in range(ndim)],
        translate=[draw(NUMBERS) for _ in range(ndim)],
        rotate=rotation * np.sign(np.linalg.det(rotation)),
        shear=[draw(NUMBERS) / 3 for _ in range(ndim * (ndim - 1) // 2)],
        affine=affine,
        units=("um",) * ndim,
        axis_labels=("z", "y", "x")[-ndim:],
    )
