from __future__ import annotations

from itertools import product

import dask.array
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emcad import Scope
from napari_emcad.imaging.slices import as_slices

SIZES = {"T": 2, "Z": 3, "C": 5, "Y": 4, "X": 6}
some_axes = (
    st.sets(st.sampled_from("TZC"))
    .flatmap(lambda more: st.permutations([*sorted(more), "Y", "X"]))
    .map("".join)
)


def numbered(axes):
    shape = [SIZES[a] for a in axes]
    return np.arange(np.prod(shape), dtype=np.int32).reshape(shape)


def grouped_by_slice(image, axes):
    """Return the image with its stacked axes in their order, then C, Y, X."""
    if "C" not in axes:
        image, axes = image[None], "C" + axes
    order = [a for a in axes if a not in "CYX"] + list("CYX")
    return image.transpose([axes.index(a) for a in order])


def part(data, size):
    start = data.draw(st.integers(0, size - 1))
    return start, data.draw(st.integers(start + 1, size))


@settings(max_examples=60, deadline=None)
@given(some_axes, st.data())
def test_every_slice_in_any_axis_order_is_numpys_transpose(axes, data):
    image, order = numbered(axes), None
    count = SIZES["C"] if "C" in axes else 1
    channels = data.draw(st.lists(st.integers(0, count - 1), min_size=3, max_size=3))
    rows, columns = part(data, SIZES["Y"]), part(data, SIZES["X"])
    slices = as_slices(image, 3, axes, channels, Scope(rows=rows, columns=columns))
    expected = grouped_by_slice(image, axes)[..., slice(*rows), slice(*columns)]
    order = list(slices.indices)
    assert order == list(product(*map(range, expected.shape[:-3])))
    assert [slices.indices[i] for i in range(len(order))] == order
    for index in order:
        inputs = slices.planes_to_inputs(slices.read(index).astype(np.float32))
        np.testing.assert_array_equal(inputs, expected[index][channels])
        np.testing.assert_array_equal(slices.sample(index), slices.read(index))
        half = (0, (slices.height + 1) // 2)
        np.testing.assert_array_equal(slices.read(index, half), slices.read(index)[:, slice(*half)])


@settings(max_examples=60, deadline=None)
@given(some_axes, st.data())
def test_parts_are_written_back_to_their_place(axes, data):
    image = numbered(axes)
    rows, columns = part(data, SIZES["Y"]), part(data, SIZES["X"])
    slices = as_slices(image, 1, axes, (0,), Scope(rows=rows, columns=columns))
    assert slices.spatial_shape == tuple(SIZES[a] for a in slices.spatial_axes)
    copy = np.full(slices.spatial_shape, -1)
    top, left = (
        data.draw(st.integers(0, slices.height - 1)),
        data.draw(st.integers(0, slices.width - 1)),
    )
    for index in slices.indices:
        pixels = slices.read(index)[0, top:, left:]
        where = slices.where(index, (top, slices.height), (left, slices.width))
        copy[where] = pixels.T if slices.transposed else pixels
    first = image.take(0, axes.index("C")) if "C" in axes else image
    assert np.isin(copy, [-1, *first.ravel()]).all()
    np.testing.assert_array_equal(copy[copy >= 0], first[copy >= 0])
    stack = len(slices.indices)
    assert (copy >= 0).sum() == stack * (slices.height - top) * (slices.width - left)


@pytest.mark.parametrize("axes", ["ZYX", "YXZ", "XZY"])
def test_a_scope_may_be_one_slice(axes):
    slices = as_slices(numbered(axes), 1, axes, scope=Scope(index=(2,)))
    assert list(slices.indices) == [(2,)]
    np.testing.assert_array_equal(
        slices.read((2,))[0], grouped_by_slice(numbered(axes), axes)[2, 0]
    )


def test_an_empty_input_is_0_and_one_channel_may_feed_two():
    slices = as_slices(numbered("CYX"), 3, "CYX", channels=(4, None, 4))
    inputs = slices.planes_to_inputs(slices.read(()).astype(np.float32))
    np.testing.assert_array_equal(inputs[0], numbered("CYX")[4])
    np.testing.assert_array_equal(inputs[2], numbered("CYX")[4])
    assert not inputs[1].any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int64, np.float32, bool])
@pytest.mark.parametrize("channels", [3, 4])
def test_color_for_a_gray_network_is_its_luminance(dtype, channels):
    image = np.random.default_rng(0).integers(0, 2 if dtype is bool else 200, (9, 8, channels))
    image = image.astype(dtype)
    pixels = as_slices(image, 1).read(())
    scale = 255 if dtype is bool else 1
    expected = image[..., :3].astype(float) @ (0.2125, 0.7154, 0.0721) * scale
    np.testing.assert_allclose(pixels[0], expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_luminance_of_what_is_not_finite_is_not_finite_and_silent(dtype):
    image = np.ones((6, 5, 3), dtype)
    image[0, 0], image[1, 1], image[2, 2] = np.nan, (np.inf, 1, 1), (np.inf, -np.inf, 1)
    pixels = as_slices(image, 1).read(())[0]
    assert np.isfinite(pixels).sum() == 6 * 5 - 3


@pytest.mark.parametrize(
    "variant",
    [
        lambda a: a.astype(">i4"),
        lambda a: np.asfortranarray(a),
        lambda a: np.repeat(a, 2, axis=2)[..., ::2],
        lambda a: a[::-1][::-1],
        lambda a: dask.array.from_array(a, chunks=(1, 3, 4)),
        lambda a: zarr.array(a, chunks=(1, 3, 4)),
        lambda a: a.tolist(),
    ],
    ids=["big-endian", "Fortran", "strided", "reversed", "dask", "zarr", "list"],
)
def test_the_memory_layout_of_an_array_makes_no_difference(variant):
    plain = numbered("ZYX")
    slices = as_slices(variant(plain), 1, "ZYX")
    for index in slices.indices:
        pixels = slices.read(index)
        assert pixels.dtype.isnative
        np.testing.assert_array_equal(pixels, plain[index][None])


def test_a_read_only_image_is_read_unchanged():
    image = numbered("YX")
    image.setflags(write=False)
    np.testing.assert_array_equal(as_slices(image, 1).read(())[0], image)
