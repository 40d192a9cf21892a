from __future__ import annotations

from contextlib import nullcontext

import dask.array
import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_emcad import IntensityRangeWarning, Scope, segment

SIZES = {"T": 2, "Z": 3, "C": 3, "Y": 37, "X": 45}
some_axes = (
    st.sets(st.sampled_from("TZC"))
    .flatmap(lambda more: st.permutations([*sorted(more), "Y", "X"]))
    .map("".join)
)
one_setup = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def random_image(axes, seed=0):
    shape = [SIZES[a] for a in axes]
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@one_setup
@given(some_axes, st.data())
def test_labels_lie_on_their_pixels_in_any_axis_order(as_it_is, logits, axes, data):
    image = random_image(axes)
    how = {"tile": 32, "probabilities": True, "batch": data.draw(st.integers(1, 4))}
    found = segment(image, as_it_is, axes, channels=(0,), **how)
    first = image.take(0, axes.index("C")) if "C" in axes else image
    assert found.axes == axes.replace("C", "")
    np.testing.assert_array_equal(found.labels, first > 0)
    np.testing.assert_allclose(found.probabilities[0], 1 / (1 + np.exp(-first)), atol=1e-6)


@one_setup
@given(some_axes, st.data())
def test_only_the_scope_is_segmented(as_it_is, logits, axes, data):
    image = random_image(axes)
    rows, columns = data.draw(part(SIZES["Y"])), data.draw(part(SIZES["X"]))
    stacked = [SIZES[a] for a in axes if a in "TZ"]
    index = tuple(data.draw(st.integers(0, size - 1)) for size in stacked)
    scope = Scope(data.draw(st.sampled_from((None, index))), rows, columns)
    found = segment(image, as_it_is, axes, channels=(0,), scope=scope, tile=32)
    first = image.take(0, axes.index("C")) if "C" in axes else image
    inside = np.zeros(first.shape, bool)
    inside[tuple(span(a, scope, axes) for a in found.axes)] = True
    np.testing.assert_array_equal(found.labels, (first > 0) & inside)


def part(size):
    return st.tuples(st.integers(0, size - 1), st.integers(1, size)).filter(lambda p: p[0] < p[1])


def span(letter, scope, axes):
    if letter in "YX":
        return slice(*(scope.rows if letter == "Y" else scope.columns))
    stacked = [a for a in axes if a in "TZ"]
    return slice(None) if scope.index is None else scope.index[stacked.index(letter)]


@pytest.mark.parametrize("options", [{"stretch": True}, {"tile": 32}, {}], ids=str)
def test_a_transposed_image_gives_the_transposed_segmentation(checkpoint, picture, options):
    upright = segment(picture, checkpoint(), "YXC", probabilities=True, **options)
    lying = segment(picture.transpose(1, 2, 0), checkpoint(), "XCY", probabilities=True, **options)
    assert lying.axes == "XY"
    np.testing.assert_allclose(
        lying.probabilities.swapaxes(1, 2), upright.probabilities, rtol=0, atol=1e-5
    )
    np.testing.assert_array_equal(lying.labels.T, upright.labels)


@pytest.mark.parametrize(
    "lazy",
    [
        lambda a: dask.array.from_array(a, chunks=(1, 20, 20)),
        lambda a: zarr.array(a, chunks=(1, 20, 20)),
        lambda a: [a, a[:, ::2, ::2]],
        lambda a: [dask.array.from_array(a), dask.array.from_array(a[:, ::2, ::2])],
        lambda a: a.astype(">f4"),
        lambda a: a.astype(np.longdouble),
    ],
    ids=["dask", "zarr", "pyramid", "lazy pyramid", "big-endian", "long"],
)
def test_lazy_arrays_are_segmented_like_numpy_arrays(as_it_is, logits, lazy):
    image = random_image("ZYX")
    np.testing.assert_array_equal(segment(lazy(image), as_it_is, "ZYX").labels, image > 0)


@pytest.mark.parametrize("dtype", [bool, "u1", "i8", "f2", "f8"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (33, 2), (5, 5, 3)])
def test_any_type_and_the_smallest_sizes_can_be_segmented(checkpoint, dtype, shape):
    image = (np.random.default_rng(0).random(shape) * 100).astype(dtype)
    found = segment(image, checkpoint(), probabilities=True)
    assert found.labels.shape == shape[:2]
    assert np.isfinite(found.probabilities).all()


@pytest.mark.parametrize("size", [None, (32, 32)])
@pytest.mark.parametrize("intensity", ["range", "percentile", "none"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 7])
def test_constant_images_give_finite_results(checkpoint, size, intensity, value):
    how = {"intensity": intensity, "low": 1, "high": 99, "size": size}
    image = np.full((40, 50), value, np.float32)
    warned = nullcontext() if value == 7 else pytest.warns(IntensityRangeWarning, match="all are")
    with warned:
        found = segment(image, checkpoint().override(**how), probabilities=True)
    assert np.isfinite(found.probabilities).all()


def test_color_may_feed_a_gray_network_and_gray_a_color_network(checkpoint, picture):
    gray = checkpoint(input_channels=1).override(size=None, low=0, high=255)
    luminance = picture @ np.array([0.2125, 0.7154, 0.0721])
    found = segment(picture, gray, probabilities=True).probabilities
    expected = segment(luminance, gray, probabilities=True).probabilities
    np.testing.assert_allclose(found, expected, atol=1e-5)
    one = segment(picture[..., 0], checkpoint(), probabilities=True).probabilities
    three = segment(picture[..., [0, 0, 0]], checkpoint(), probabilities=True).probabilities
    np.testing.assert_array_equal(one, three)


def test_alpha_is_left_out(checkpoint, picture):
    alpha = np.concatenate([picture, picture[..., :1] // 2], axis=-1)
    found = segment(alpha, checkpoint(), probabilities=True).probabilities
    expected = segment(picture, checkpoint(), probabilities=True).probabilities
    np.testing.assert_array_equal(found, expected)
