from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import torch
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_emcad import AxesError, Scope
from napari_emcad.imaging.axes import guess_axes
from napari_emcad.imaging.channels import map_channels
from napari_emcad.imaging.slices import as_slices

NARROWED = da.arange(100).reshape(10, 10)


class NeverRead:
    """A shape and a type; reading a pixel is an error."""

    def __init__(self, shape, dtype=np.uint8):
        self.shape, self.dtype, self.ndim = shape, np.dtype(dtype), len(shape)

    def __getitem__(self, key):
        raise AssertionError("a pixel was read")

    __array__ = __getitem__


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((1, 1), "YX"),
        ((3, 4), "YX"),
        ((200, 300), "YX"),
        ((200, 300, 3), "YXC"),
        ((200, 300, 4), "YXC"),
        ((1, 200, 300), "ZYX"),
        ((5, 200, 300), "ZYX"),
        ((30, 200, 300), "ZYX"),
        ((30, 200, 300, 3), "ZYXC"),
        ((8, 30, 200, 300), "TZYX"),
        ((1, 30, 200, 300), "TZYX"),
        ((8, 30, 200, 300, 4), "TZYXC"),
    ],
    ids=str,
)
def test_axes_are_guessed_where_one_reading_is_sensible(shape, axes):
    assert guess_axes(shape) == axes


@pytest.mark.parametrize(
    "shape",
    [
        (2, 200, 300),
        (3, 200, 300),
        (4, 200, 300),
        (30, 2, 200, 300),
        (3, 30, 200, 300),
        (9, 8, 7, 200, 300),
        (2, 200, 300, 3),
        (4, 4, 3),
        (200, 300, 1),
        (200, 300, 2),
        (40, 40, 5),
        (40, 40, 3, 1),
        (30, 40, 200, 10),
        (112, 112, 80),
        (512, 512, 600),
        (7, 40, 40, 30),
    ],
    ids=str,
)
def test_ambiguous_axes_are_refused_with_their_sizes(shape):
    with pytest.raises(AxesError) as raised:
        guess_axes(shape)
    assert str(shape) in str(raised.value)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((41, 40, 11), "ZYX"), ((5, 200, 8), "ZYX"), ((40, 19, 5), "ZYX"), ((40, 5), "YX")],
    ids=str,
)
def test_a_narrow_slice_is_a_slice(shape, axes):
    assert guess_axes(shape) == axes


@pytest.mark.parametrize("shape", [(300,), ()], ids=str)
@pytest.mark.parametrize("axes", [None, "YX"])
def test_too_few_axes_are_refused_with_any_names(shape, axes):
    with pytest.raises(ValueError, match="at least two axes") as raised:
        as_slices(NeverRead(shape), 1, axes)
    assert str(shape) in str(raised.value)
    assert not isinstance(raised.value, AxesError)


@given(st.lists(st.integers(1, 12), min_size=2, max_size=6).map(tuple))
def test_a_guess_names_every_axis_once_and_never_a_small_leading_one(shape):
    try:
        axes = guess_axes(shape)
    except AxesError:
        return
    assert len(axes) == len(set(axes)) == len(shape)
    assert set("YX") <= set(axes)
    assert all(size not in (2, 3, 4) for a, size in zip(axes, shape, strict=True) if a in "TZ")


@pytest.mark.parametrize(
    "axes", ["", "Y", "XX", "ZZYX", "ZYY", "CZ", "Z1YX", "Z YX", "ZY", "ZCYX", "YX"]
)
def test_wrong_axes_are_refused_by_name(axes):
    with pytest.raises(AxesError) as raised:
        as_slices(NeverRead((5, 6, 7)), 1, axes)
    assert repr(axes) in str(raised.value)


def test_lower_case_letters_are_axes():
    assert as_slices(NeverRead((5, 6, 7)), 1, "zyx").axes == "ZYX"


@pytest.mark.parametrize("wanted", [1, 3])
@pytest.mark.parametrize("count", [None, 1])
def test_gray_feeds_every_input(count, wanted):
    mapped = map_channels(count, wanted)
    assert (mapped.planes, mapped.inputs, mapped.luminance) == ((0,), (0,) * wanted, False)


@pytest.mark.parametrize(("count", "color"), [(3, True), (3, False), (4, True)])
def test_color_goes_in_without_alpha_or_as_luminance(count, color):
    rgb, gray = map_channels(count, 3, color=color), map_channels(count, 1, color=color)
    assert (rgb.planes, rgb.inputs, rgb.luminance) == ((0, 1, 2), (0, 1, 2), False)
    assert (gray.planes, gray.inputs, gray.luminance) == ((0, 1, 2), (0,), True)


@pytest.mark.parametrize("wanted", [1, 3])
@pytest.mark.parametrize("count", [2, 4, 5, 40])
def test_many_channels_must_be_chosen_from(count, wanted):
    with pytest.raises(AxesError, match=f"has {count} channels and the network takes {wanted}"):
        map_channels(count, wanted)


@given(st.integers(1, 9), st.sampled_from((1, 3)), st.data())
def test_inputs_get_the_chosen_channels(count, wanted, data):
    one = st.none() | st.integers(0, count - 1)
    several = st.lists(one, min_size=wanted, max_size=wanted)
    chosen = data.draw(st.lists(one, min_size=1, max_size=1) | several)
    if all(each is None for each in chosen):
        with pytest.raises(AxesError, match="were chosen"):
            map_channels(count, wanted, chosen)
        return
    mapped = map_channels(count, wanted, chosen)
    fed = [None if each is None else mapped.planes[each] for each in mapped.inputs]
    assert fed == (chosen * wanted if len(chosen) == 1 else chosen)
    assert sorted(set(mapped.planes)) == list(mapped.planes)


def test_numpy_integers_choose_channels_and_slices():
    image = NeverRead((7, 50, 60, 5))
    scope = Scope(np.int64(2), rows=np.array([1, 9]), columns=[np.uint8(3), 5])
    slices = as_slices(image, 1, "ZYXC", np.int64(4), scope)
    assert slices.channels.planes == (4,)
    assert scope == Scope((2,), (1, 9), (3, 5)) == Scope([2], (1, 9), (3, 5))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"channels": "0"}, ValueError, "The channel is '0'; it must be a whole number"),
        ({"channels": (0.5,)}, ValueError, r"The channel is 0\.5"),
        ({"scope": 5}, TypeError, "scope is 5; it must be a Scope"),
        ({"axes": 5}, TypeError, "axes is 5; it must be one letter per axis"),
        ({"axes": ("Y", None)}, TypeError, "it must be one letter per axis"),
    ],
    ids=str,
)
def test_invalid_choices_are_refused_with_the_reason(given, error, message):
    with pytest.raises(error, match=message):
        as_slices(NeverRead((50, 60)), 1, **given)


@pytest.mark.parametrize("values", [{"index": "a"}, {"index": 0.5}, {"rows": 5}, {"columns": "ab"}])
def test_a_scope_is_made_of_whole_numbers(values):
    with pytest.raises(ValueError, match=r"must be .*whole numbers?"):
        Scope(**values)


@pytest.mark.parametrize("chosen", [(), (0, 1), (0, 1, 2, 3)])
def test_too_many_or_few_channels_are_refused(chosen):
    with pytest.raises(AxesError, match=f"{len(chosen)} channels were chosen"):
        map_channels(5, 3, chosen)


@pytest.mark.parametrize("missing", [-1, 2, 5])
def test_a_channel_that_does_not_exist_is_named(missing):
    with pytest.raises(AxesError, match=f"no channel {missing}; the image has 0 to 1"):
        map_channels(2, 1, (missing,))


@pytest.mark.parametrize(
    ("dtype", "error", "message"),
    [
        (np.complex64, TypeError, "complex.*numpy.abs"),
        (np.complex128, TypeError, "complex"),
        (object, TypeError, "object, not numbers"),
        ("U5", TypeError, "not numbers"),
        ("M8[s]", TypeError, "not numbers"),
        ([("r", "u1")], TypeError, "not numbers"),
    ],
)
def test_pixels_that_are_not_real_numbers_are_refused_unread(dtype, error, message):
    with pytest.raises(error, match=message):
        as_slices(NeverRead((50, 60), dtype), 3)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 50, 60), (50, 60, 0)])
def test_an_empty_image_is_refused_unread(shape):
    with pytest.raises(ValueError, match="empty") as raised:
        as_slices(NeverRead(shape), 3)
    assert str(shape) in str(raised.value)


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        (Scope(index=()), "no slice"),
        (Scope(index=(7,)), r"no slice \(7,\)"),
        (Scope(index=(-1,)), "no slice"),
        (Scope(index=(0, 0)), "no slice"),
        (Scope(rows=(5, 5)), "rows"),
        (Scope(rows=(5, 4)), "rows"),
        (Scope(rows=(-1, 4)), "rows"),
        (Scope(rows=(0, 51)), "rows.*50"),
        (Scope(columns=(60, 61)), "columns.*60"),
    ],
    ids=str,
)
def test_a_scope_outside_the_image_is_refused_unread(scope, message):
    with pytest.raises(AxesError, match=message):
        as_slices(NeverRead((7, 50, 60)), 1, scope=scope)


def test_making_slices_reads_nothing():
    slices = as_slices(NeverRead((10**6, 10**4, 512, 640, 3)), 3)
    assert (slices.height, slices.width, slices.spatial_axes) == (512, 640, "TZYX")
    assert len(slices.indices) == 10**10
    assert slices.indices[10**10 - 1] == (10**6 - 1, 10**4 - 1)


def test_a_tensor_is_an_image():
    slices = as_slices(torch.arange(6, dtype=torch.uint8).reshape(2, 3), 1)
    assert slices.read(()).tolist() == [[[0, 1, 2], [3, 4, 5]]]


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (torch.zeros(4, 5, requires_grad=True), TypeError, r"Parameter|Tensor.*detach\(\)"),
        (torch.zeros(4, 5, dtype=torch.bfloat16), TypeError, r"Tensor.*detach\(\)"),
        ({"0": np.zeros((4, 5))}, TypeError, "several arrays; choose one of them"),
        (zarr.group(), TypeError, "Group of several arrays; choose one of them"),
        ([[1, 2], [3]], TypeError, "list that NumPy cannot read"),
        (np.ma.masked_equal([[1, 2], [3, 4]], 2), ValueError, "masked pixels; fill them first"),
        (NARROWED[NARROWED[:, 0] > 5], ValueError, r"\(nan, 10\).*compute_chunk_sizes\(\)"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_objects_that_are_not_images_are_refused_with_the_reason(image, error, message):
    with pytest.raises(error, match=message):
        as_slices(image, 1)


def test_a_masked_array_without_masked_pixels_is_an_image():
    assert as_slices(np.ma.masked_equal([[1, 2], [3, 4]], 9), 1).read(()).tolist() == [
        [[1, 2], [3, 4]]
    ]


def test_a_nested_list_is_an_image():
    slices = as_slices([[1, 2, 3], [4, 5, 6]], 1)
    assert slices.read(()).tolist() == [[[1, 2, 3], [4, 5, 6]]]
