from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_emcad import Preprocessing
from napari_emcad.imaging.intensity import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    as_numbers,
    normalize,
    standardize,
    value_range,
)

INTEGERS = [np.dtype(f"{sign}{n}") for sign in "iu" for n in (1, 2, 4, 8)]
FLOATS = [np.dtype(each) for each in (np.float16, np.float32, np.float64, np.longdouble)]
EXTREMES = Preprocessing(intensity="percentile", low=0, high=100)
PERCENTILES = Preprocessing(intensity="percentile", low=1, high=99)
both = pytest.mark.parametrize("how", [EXTREMES, PERCENTILES], ids=["0-100", "1-99"])


def brought(pixels, how):
    return normalize(pixels, value_range(pixels, how), how)


def exact(pixels):
    return pixels.astype(np.longdouble) * (255 if pixels.dtype == bool else 1)


def ends(pixels, how):
    """Return the percentiles of finite pixels in the longest float."""
    ordered = np.sort(exact(pixels)[np.isfinite(pixels)])
    found = []
    for percent in (how.low, how.high):
        place = np.longdouble(percent) / 100 * (len(ordered) - 1)
        below, share = int(place), place - int(place)
        above = min(below + 1, len(ordered) - 1)
        found.append(ordered[below] * (1 - share) + ordered[above] * share)
    return found


def wide(pixels, how):
    """Whether the range is so wide that double precision keeps the steps in it."""
    low, high = ends(pixels, how)
    return high - low > 1e-8 * max(abs(low), abs(high))


def check(pixels, how):
    """Compare with the longest float, as exactly as the type can tell values apart."""
    low, high = ends(pixels, how)
    expected = np.clip((exact(pixels) - low) / (high - low), 0, 1)
    found = brought(pixels, how)
    assert found.dtype == np.float32
    assert found.shape == pixels.shape
    single = pixels.dtype.kind == "f" and pixels.dtype.itemsize <= 4
    blur = np.finfo(np.float32).eps if single and how is PERCENTILES else 1e-14
    step = blur * max(abs(low), abs(high)) / (high - low)
    np.testing.assert_allclose(found, expected, rtol=0, atol=float(1e-5 + step))


@both
@pytest.mark.parametrize("dtype", [np.dtype(bool), *INTEGERS], ids=str)
def test_integers_are_scaled_as_exactly_as_in_long_floats(dtype, how):
    @settings(max_examples=40, deadline=None)
    @given(arrays.arrays(dtype, (1, 3, 4), elements=arrays.from_dtype(dtype)))
    def law(pixels):
        assume(wide(pixels, how))
        check(pixels, how)

    law()


@both
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_floats_are_scaled_as_exactly_as_in_long_floats(dtype, how):
    width = min(dtype.itemsize * 8, 64)
    largest = {16: 60_000.0, 32: 2.0**127, 64: 1e300}[width]
    smallest = {16: 2.0**-10, 32: 1e-30, 64: 1e-280}[width]
    numbers = st.floats(-largest, largest, width=width)
    numbers = numbers.map(lambda x: x if abs(x) > smallest else 0.0)

    @settings(max_examples=40, deadline=None)
    @given(st.lists(numbers, min_size=12, max_size=12))
    def law(values):
        pixels = np.array(values, dtype).reshape(1, 3, 4)
        assume(wide(pixels, how))
        check(pixels, how)

    law()


@both
@pytest.mark.parametrize(
    ("dtype", "start", "step"),
    [
        ("u2", 60_000, 1),
        ("u4", 4_000_000_000, 1),
        ("i4", -2_147_483_648, 3),
        ("i8", 2**52, 1),
        ("f4", 10_000, 0.25),
        ("f4", -300, 2**-14),
        ("f8", 1e9, 1e-3),
        ("f8", -1e300, 1e292),
    ],
)
def test_small_steps_on_a_large_offset_are_kept(dtype, start, step, how):
    pixels = (np.arange(41).reshape(1, 1, 41) * np.array(step, "O") + start).astype(dtype)
    check(pixels, how)
    assert len(np.unique(brought(pixels, EXTREMES))) == 41


@both
@pytest.mark.parametrize(
    ("dtype", "ends"),
    [
        *((each, (np.iinfo(each).min, np.iinfo(each).max)) for each in INTEGERS),
        ("f4", (-3e38, 3e38)),
        ("f8", (-1e300, 1e300)),
        ("f8", (-1.7e308, 1.7e308)),
        ("f8", (0, 1e-300)),
    ],
)
def test_the_two_largest_values_of_a_type_become_0_and_1(dtype, ends, how):
    pixels = np.array([ends] * 3, dtype)[None]
    np.testing.assert_array_equal(brought(pixels, how), [[[0, 1]] * 3])


@both
@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        *((str(each), np.iinfo(each).min, np.iinfo(each).max) for each in INTEGERS),
        ("f4", -3e38, 3e38),
        ("f8", -1.7e308, 1.7e308),
    ],
)
def test_percentiles_of_extreme_values_do_not_overflow(dtype, low, high, how):
    found = value_range(np.array([low, high], dtype), how)
    expected = [low * (1 - share / 100) + high * (share / 100) for share in (how.low, how.high)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_numbers_too_large_for_double_precision_become_the_ends():
    pixels = np.array([[["-1e4000", "0", "1", "1e4000"]]], np.longdouble)
    np.testing.assert_array_equal(normalize(pixels, (0.0, 1.0), Preprocessing()), [[[0, 0, 1, 1]]])


@pytest.mark.parametrize("how", [EXTREMES, PERCENTILES, Preprocessing(over="stack")], ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64, np.float32, np.float64])
def test_a_constant_image_is_0(dtype, how):
    value = 0 if how.intensity == "range" else 77
    assert not brought(np.full((3, 4, 5), value, dtype), how).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_a_small_object_on_a_clean_background_is_kept(dtype):
    pixels = np.full((1, 40, 40), 10, dtype)
    pixels[0, 3:5, 3:5] = 60
    pixels[0, 0, 0] = 35
    found = brought(pixels, PERCENTILES)
    assert found[0, 3:5, 3:5].tolist() == [[1, 1], [1, 1]]
    assert found[0, 0, 0] == 0.5
    assert np.count_nonzero(found) == 5


def test_infinities_do_not_count_beside_a_constant_background():
    pixels = np.full((1, 40, 40), 10.0)
    pixels[0, 0, :3] = np.inf, -np.inf, np.nan
    assert value_range(pixels, PERCENTILES) == (10, 10)
    assert not brought(pixels, PERCENTILES).any()


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("how", [EXTREMES, Preprocessing(low=0, high=10)], ids=["0-100", "range"])
def test_nan_is_the_low_end_and_infinities_are_the_ends(dtype, how):
    pixels = np.array([[[0, 10, 5, np.nan, np.inf, -np.inf]]], dtype)
    np.testing.assert_allclose(brought(pixels, how), [[[0, 1, 0.5, 0, 1, 0]]])


@pytest.mark.parametrize("how", [EXTREMES, PERCENTILES], ids=["0-100", "1-99"])
@pytest.mark.parametrize("values", [(np.nan, np.nan), (np.inf, -np.inf), (np.nan, np.inf)])
def test_an_image_without_a_finite_value_is_0(how, values):
    pixels = np.array([[values] * 4], np.float32)
    assert value_range(pixels, how) == (0, 0)
    assert not brought(pixels, how).any()


def test_a_fixed_range_does_not_depend_on_the_image():
    how = Preprocessing(low=-125, high=275)
    pixels = np.array([[[-1000, -125, 75, 275, 3000]]], np.int16)
    np.testing.assert_allclose(brought(pixels, how), [[[0, 0, 0.5, 1, 1]]])
    assert value_range(pixels, how) == (-125, 275)


def test_without_intensity_values_stay_and_what_is_not_finite_is_0():
    how = Preprocessing(intensity="none")
    pixels = np.array([[[-1000, 0.25, 3e9, np.nan, np.inf, -np.inf]]])
    np.testing.assert_allclose(brought(pixels, how), [[[-1000, 0.25, 3e9, 0, 0, 0]]])
    assert brought(np.array([[[1, 200]]], np.uint8), how).tolist() == [[[1, 200]]]


def test_without_intensity_the_largest_doubles_are_still_finite():
    assert np.isfinite(
        brought(np.array([[[-1e300, 1e300]]]), Preprocessing(intensity="none"))
    ).all()


def test_true_is_255():
    found = brought(np.array([[[True, False]]]), Preprocessing())
    assert found.tolist() == [[[1, 0]]]
    assert as_numbers(np.array([True, False])).tolist() == [255, 0]


def test_percentiles_are_of_all_channels_together():
    pixels = np.stack([np.zeros((4, 4)), np.full((4, 4), 10.0)])
    np.testing.assert_array_equal(brought(pixels, EXTREMES)[:, 0, 0], [0, 1])


@pytest.mark.parametrize(
    "variant",
    [
        lambda a: a.astype(a.dtype.newbyteorder()),
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=2)[..., ::2],
        lambda a: a[:, ::-1][:, ::-1],
    ],
    ids=["big-endian", "Fortran", "strided", "reversed"],
)
@pytest.mark.parametrize("dtype", ["u2", "i4", "u8", "f2", "f4", "f8"])
def test_the_memory_layout_makes_no_difference(variant, dtype):
    plain = np.random.default_rng(1).integers(0, 20_000, (3, 8, 9)).astype(dtype)
    np.testing.assert_array_equal(brought(variant(plain), PERCENTILES), brought(plain, PERCENTILES))
    assert as_numbers(variant(plain)).dtype.isnative


@pytest.mark.parametrize("dtype", [bool, "u1", "u2", "f2", "f4", "f8", ">f4"])
@pytest.mark.parametrize("intensity", ["range", "percentile", "none"])
def test_a_read_only_image_is_not_changed(dtype, intensity):
    pixels = (np.random.default_rng(2).random((3, 8, 9)) * 99).astype(dtype)
    before = pixels.copy()
    pixels.setflags(write=False)
    how = Preprocessing(intensity=intensity, low=1, high=99)
    found = brought(pixels, how)
    found += 1
    standardize(found, how)
    np.testing.assert_array_equal(pixels, before)


def test_inputs_get_their_own_mean_and_std():
    planes = np.random.default_rng(3).random((3, 4, 5)).astype(np.float32)
    found = standardize(planes, Preprocessing())
    assert found.dtype == np.float32
    for i in range(3):
        np.testing.assert_allclose(
            found[i], (planes[i] - IMAGENET_MEAN[i]) / IMAGENET_STD[i], rtol=1e-5, atol=1e-6
        )


def test_one_mean_and_std_serve_all_inputs():
    planes = np.ones((3, 4, 5), np.float32)
    assert (standardize(planes, Preprocessing(mean=(0.5,), std=(0.25,))) == 2).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"intensity": "minmax"}, "intensity"),
        ({"over": "image"}, "over"),
        ({"low": float("nan")}, "finite"),
        ({"high": float("inf")}, "finite"),
        ({"low": 5, "high": 5}, r"low \(5\) must be below high \(5\)"),
        ({"low": 6, "high": 5}, "below"),
        ({"intensity": "percentile", "low": -1, "high": 99}, "percentiles"),
        ({"intensity": "percentile", "low": 1, "high": 101}, "percentiles"),
        ({"mean": (0, 0), "std": (1, 1)}, "one number per network input"),
        ({"mean": (0,)}, "one number per network input"),
        ({"mean": (), "std": ()}, "one number per network input"),
        ({"mean": (float("nan"),), "std": (1,)}, "mean must be finite"),
        ({"mean": (0,), "std": (0,)}, "std must be positive"),
        ({"mean": (0,), "std": (-1,)}, "std must be positive"),
        ({"mean": (0,), "std": (float("inf"),)}, "std must be positive"),
        ({"size": (31, 64)}, "size"),
        ({"size": (64,)}, "size"),
        ({"size": (64, 64, 3)}, "size"),
        ({"size": float("inf")}, "size must be whole numbers"),
        ({"size": (64, float("nan"))}, "size must be whole numbers"),
        ({"size": (64, 64.5)}, "size must be whole numbers"),
        ({"size": (64, 10**400)}, "size must be numbers"),
        ({"size": (64, 4097)}, "size must be at most 4096 pixels a side"),
        ({"zoom": 0}, "zoom must be 0.125 to 8"),
        ({"zoom": 9}, "zoom must be 0.125 to 8"),
        ({"zoom": float("nan")}, "zoom must be 0.125 to 8"),
        ({"zoom": "2"}, "zoom"),
        ({"zoom": 2, "size": (64, 64)}, "it must be 1 where slices are resized"),
    ],
    ids=str,
)
def test_bad_preprocessing_is_refused_by_name(values, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(**values)


def test_preprocessing_from_lists_equals_preprocessing_from_tuples():
    listed = Preprocessing(mean=[0.5], std=[0.5], size=[64, 96])
    assert listed == Preprocessing(mean=(0.5,), std=(0.5,), size=(64, 96))
    assert hash(listed) is not None
