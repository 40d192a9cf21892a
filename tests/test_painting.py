"""Every painted pixel is on one page, at its place, whatever the axes and wherever labels begin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emcad import painting
from napari_emcad.imaging.paint import UNPAINTED, LabelRule
from napari_emcad.imaging.slices import as_slices
from napari_emcad.painting import Painted, targets


@st.composite
def scenes(draw):
    """Return axes, the image's shape, and corner and shape of what can be painted."""
    axes = "".join(draw(st.permutations(draw(st.sampled_from(["YX", "ZYX", "TZYX", "ZYXC"])))))
    sizes = {"C": 3} | {a: draw(st.integers(1, 3)) for a in "TZ"}
    sizes |= {a: draw(st.integers(1, 40)) for a in "YX"}
    corner, size = [], []
    for letter in axes.replace("C", ""):
        corner.append(draw(st.integers(0, sizes[letter] - 1)))
        size.append(draw(st.integers(1, sizes[letter] - corner[-1])))
    return axes, tuple(sizes[a] for a in axes), tuple(corner), tuple(size)


@settings(deadline=None, max_examples=150)
@given(scenes(), st.integers(1, 9), st.integers(0, 2**31), st.sampled_from([0.02, 0.5, 1]))
def test_every_painted_pixel_is_on_one_page_at_its_place(scene, block, seed, share):
    axes, shape, corner, size = scene
    rng = np.random.default_rng(seed)
    labels = rng.choice([1, 2, 255], size).astype(np.uint8) * (rng.random(size) < share)
    slices = as_slices(np.zeros(shape, np.uint8), 3, axes, (0,) * 3 if "C" in axes else None)
    source = Painted("a", "image", slices, labels, LabelRule(), corner)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(painting, "BLOCK", block)
        found = targets([source], 2)
    whole = np.full(slices.spatial_shape, UNPAINTED, np.int16)
    part = tuple(slice(c, c + n) for c, n in zip(corner, size, strict=True))
    whole[part] = np.where(labels == 255, 0, np.where(labels == 0, UNPAINTED, labels.astype(int)))
    seen = np.zeros(slices.spatial_shape, int)
    for key, page in found.items():
        where = slices.where(key.index, key.rows, key.columns)
        expected, counted = whole[where], seen[where]
        counted += 1
        assert np.array_equal(page, expected.T if slices.transposed else expected)
        assert (page != UNPAINTED).any()
    assert seen.max(initial=0) <= 1
    assert (seen[whole != UNPAINTED] == 1).all()
