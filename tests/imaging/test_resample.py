"""Parts of a resampled slice equal parts of the slice that torch resamples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emcad.imaging.resample import resample, resampling_weights, source_range
from napari_emcad.model.padding import pad_to_multiple, reflect_indices
from napari_emcad.model.resize import resize

lengths = st.integers(1, 70)


@settings(max_examples=80, deadline=None)
@given(lengths, lengths, st.integers(1, 150), st.data())
def test_parts_are_those_of_the_resized_whole(height, wanted, wide, data):
    random = np.random.default_rng(height)
    planes = random.standard_normal((2, height, 9)).astype(np.float32)
    resized = resize(torch.from_numpy(planes)[None], (wanted, wide))[0].numpy()
    first = data.draw(st.integers(0, wanted - 1))
    rows = np.arange(first, data.draw(st.integers(first + 1, wanted)))
    columns = resampling_weights(9, wide, np.arange(wide))
    found = resample(planes, resampling_weights(height, wanted, rows), columns)
    np.testing.assert_allclose(found, resized[:, rows], rtol=0, atol=2e-5)


def test_a_line_of_its_own_length_stays_as_it_is():
    planes = np.random.default_rng(0).standard_normal((1, 40, 30)).astype(np.float32)
    rows = resampling_weights(40, 40, np.arange(7, 20))
    np.testing.assert_array_equal(resample(planes, rows, None), planes[:, 7:20])
    assert source_range(rows) == (7, 20)


@pytest.mark.parametrize("length", [1, 2, 3, 17, 31, 32, 33])
def test_lines_are_mirrored_as_the_network_pads(length):
    line = torch.arange(float(length))[None, None, None]
    padded = pad_to_multiple(line.expand(1, 1, 1, length))[0, 0, 0].numpy()
    np.testing.assert_array_equal(padded, reflect_indices(np.arange(len(padded)), length))


@given(lengths, lengths)
def test_the_source_range_is_as_small_as_possible(length, wanted):
    weights = resampling_weights(length, wanted, np.arange(wanted // 3, wanted))
    first, last = source_range(weights)
    assert 0 <= first < last <= length
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)
