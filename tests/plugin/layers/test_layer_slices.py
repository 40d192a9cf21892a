"""The ranges of intensity of a layer are those of its finest level, for every scope and level."""

from __future__ import annotations

import numpy as np
from napari.layers import Image

from napari_emcad import Scope, bundled_checkpoint
from napari_emcad.imaging.ranges import intensity_ranges
from napari_emcad.plugin.layers.layer_slices import layer_slices


def test_scopes_and_levels_of_a_layer_share_their_ranges():
    fine = np.random.default_rng(0).gamma(2, 300, (64, 96)).astype(np.uint16)
    layer = Image([fine, fine[::2, ::2].copy()], multiscale=True)
    checkpoint = bundled_checkpoint()
    scopes = (None, Scope((), (3, 20), (4, 30)))
    slices = [layer_slices(layer, checkpoint, "YX", None, s, n) for s in scopes for n in (0, 1)]
    found = {intensity_ranges(one, (), checkpoint.preprocessing) for one in slices}
    assert len(found) == 1
    assert len({id(one.ranges) for one in slices}) == 1


def test_other_data_of_a_layer_has_ranges_of_its_own():
    layer, checkpoint = Image(np.arange(4096.0).reshape(64, 64)), bundled_checkpoint()
    before = layer_slices(layer, checkpoint, "YX", None)
    layer.data = np.arange(4096.0).reshape(64, 64) * 2
    after = layer_slices(layer, checkpoint, "YX", None)
    ranges = [intensity_ranges(one, (), checkpoint.preprocessing) for one in (before, after)]
    assert ranges[0] != ranges[1]
