from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from napari_emcad import CleanUp
from napari_emcad.imaging.regions import clean_up_labels, separate_objects

shapes = st.tuples(st.integers(1, 14), st.integers(1, 14))
masks = arrays.arrays(np.uint8, shapes, elements=st.integers(0, 1))
several = arrays.arrays(np.uint8, shapes, elements=st.integers(0, 3))
sizes = st.integers(0, 12)


def areas(mask):
    """Return the 4-connected areas of a mask as masks."""
    numbers, count = ndimage.label(mask)
    return [numbers == i for i in range(1, count + 1)]


def touches_border(area):
    return bool(area[0].any() or area[-1].any() or area[:, 0].any() or area[:, -1].any())


def discs(shape, *circles):
    y, x = np.mgrid[: shape[0], : shape[1]]
    mask = np.zeros(shape, np.uint8)
    for cy, cx, r in circles:
        mask[(y - cy) ** 2 + (x - cx) ** 2 < r**2] = 1
    return mask


def ring(outer=9, inner=4, side=25):
    middle = side // 2
    return discs((side, side), (middle, middle, outer)) - discs(
        (side, side), (middle, middle, inner)
    )


@given(masks, sizes, sizes, st.booleans())
def test_cleaning_a_clean_mask_changes_nothing(mask, holes, smallest, largest):
    clean_up = CleanUp(holes, smallest, largest)
    once = clean_up_labels(mask, clean_up)
    np.testing.assert_array_equal(clean_up_labels(once, clean_up), once)


@given(several)
def test_no_clean_up_changes_nothing(labels):
    assert not CleanUp().active
    np.testing.assert_array_equal(clean_up_labels(labels, CleanUp()), labels)


@given(several, sizes, sizes, st.booleans())
def test_cleaning_keeps_type_shape_input_and_invents_no_class(labels, holes, smallest, largest):
    before = labels.copy()
    result = clean_up_labels(labels, CleanUp(holes, smallest, largest))
    assert (result.dtype, result.shape) == (labels.dtype, labels.shape)
    assert set(np.unique(result)) <= {0, *np.unique(before)}
    np.testing.assert_array_equal(labels, before)
    changed = result != before
    assert ((result[changed] == 0) | (before[changed] == 0)).all()


@given(masks, st.integers(1, 12))
def test_enclosed_background_up_to_a_size_is_filled(mask, holes):
    expected = mask.copy()
    for area in areas(mask == 0):
        if not touches_border(area) and area.sum() <= holes:
            expected[area] = 1
    np.testing.assert_array_equal(clean_up_labels(mask, CleanUp(fill_holes=holes)), expected)


@given(several, st.integers(1, 12))
def test_areas_of_fewer_pixels_become_background(labels, smallest):
    expected = np.zeros_like(labels)
    for value in (1, 2, 3):
        for area in areas(labels == value):
            if area.sum() >= smallest:
                expected[area] = value
    np.testing.assert_array_equal(
        clean_up_labels(labels, CleanUp(smallest_object=smallest)), expected
    )


@given(several)
def test_the_largest_area_of_a_class_stays(labels):
    result = clean_up_labels(labels, CleanUp(largest_component=True))
    for value in np.unique(labels[labels > 0]):
        (remaining,) = areas(result == value)
        sizes_before = [area.sum() for area in areas(labels == value)]
        assert remaining.sum() == max(sizes_before)
        assert (labels[remaining] == value).all()


@pytest.mark.parametrize(("holes", "filled"), [(44, False), (45, True), (1000, True)])
def test_a_hole_is_filled_from_its_size_on(holes, filled):
    labels = ring() * np.uint16(300)
    hole = areas(labels == 0)[1]
    assert hole.sum() == 45
    result = clean_up_labels(labels, CleanUp(fill_holes=holes))
    assert (result[hole] == (300 if filled else 0)).all()


def test_another_class_in_a_hole_stays():
    labels = ring()
    labels[12, 12] = 2
    result = clean_up_labels(labels, CleanUp(fill_holes=100))
    assert result[12, 12] == 2
    assert (result == 1).sum() == discs((25, 25), (12, 12, 9)).sum() - 1


def test_holes_are_filled_before_small_objects_are_removed():
    mask = discs((15, 15), (7, 7, 3)) - discs((15, 15), (7, 7, 2))
    full = int(discs((15, 15), (7, 7, 3)).sum())
    assert clean_up_labels(mask, CleanUp(fill_holes=50, smallest_object=full)).sum() == full


def test_removing_objects_does_not_depend_on_the_order_of_classes():
    labels = ring(inner=1)
    labels[12, 12] = 2
    swapped = np.array([0, 2, 1], np.uint8)
    clean_up = CleanUp(fill_holes=5, smallest_object=5)
    one, other = clean_up_labels(labels, clean_up), clean_up_labels(swapped[labels], clean_up)
    np.testing.assert_array_equal(swapped[one], other)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("fill_holes", -1, "-1 pixels; it must be 0 or more"),
        ("smallest_object", -1, "-1 pixels; it must be 0 or more"),
        ("neck", 0, "0 pixels; it must be 1 or more"),
        ("smallest_object", 1.5, "1.5; it must be a whole number"),
        ("fill_holes", None, "None; it must be a whole number"),
        ("separate", "no", "'no'; it must be True or False"),
        ("largest_component", 1, "1; it must be True or False"),
    ],
)
def test_an_invalid_value_is_refused_by_name(name, value, message):
    with pytest.raises(ValueError, match=f"^{name} is {message}"):
        CleanUp(**{name: value})


def test_numpy_numbers_are_accepted():
    assert CleanUp(np.int64(3), separate=np.True_) == CleanUp(3, separate=True)
    assert type(CleanUp(np.int64(3)).fill_holes) is int


@pytest.mark.parametrize(
    "values",
    [{"fill_holes": 1}, {"smallest_object": 1}, {"largest_component": True}, {"separate": True}],
    ids=str,
)
def test_any_setting_makes_a_clean_up_active(values):
    assert CleanUp(**values).active


@settings(max_examples=80, deadline=None)
@given(several, st.integers(1, 8))
def test_objects_are_connected_of_one_class_and_numbered_without_gaps(labels, neck):
    objects, classes = separate_objects(labels, neck)
    assert objects.dtype == np.int32
    np.testing.assert_array_equal(objects > 0, labels > 0)
    assert sorted(set(objects[objects > 0])) == list(range(1, len(classes) + 1))
    assert list(classes) == sorted(classes)
    for number, value in enumerate(classes, start=1):
        assert type(value) is int
        assert set(labels[objects == number]) == {value}
        assert len(areas(objects == number)) == 1


@settings(max_examples=40, deadline=None)
@given(several, st.integers(1, 8))
def test_separating_does_not_change_its_input_and_is_repeatable(labels, neck):
    before = labels.copy()
    first, second = separate_objects(labels, neck), separate_objects(labels, neck)
    np.testing.assert_array_equal(labels, before)
    np.testing.assert_array_equal(first[0], second[0])


def test_touching_discs_become_two_objects_cut_at_their_neck():
    mask = discs((40, 60), (20, 20, 11), (20, 40, 11))
    assert len(areas(mask)) == 1
    objects, classes = separate_objects(mask, 5)
    assert classes == (1, 1)
    assert objects[20, 20] != objects[20, 40]
    left, right = (objects == objects[20, x] for x in (20, 40))
    assert left[:, :28].sum() == mask[:, :28].sum()
    assert right[:, 33:].sum() == mask[:, 33:].sum()


def test_centers_nearer_than_a_neck_are_one_object():
    mask = discs((40, 60), (20, 20, 11), (20, 40, 11))
    assert separate_objects(mask, 30)[1] == (1,)


@pytest.mark.parametrize("neck", [1, 5, 20])
def test_a_disc_is_one_object(neck):
    assert separate_objects(discs((50, 50), (25, 25, 17)), neck)[1] == (1,)


@pytest.mark.parametrize("neck", [3, 5, 10])
@pytest.mark.parametrize("size", [(12, 80), (9, 60), (40, 10)])
def test_a_bar_has_no_neck_and_is_one_object(size, neck):
    mask = np.pad(np.ones(size, np.uint8), 5)
    assert separate_objects(mask, neck)[1] == (1,)


def test_touching_objects_of_two_classes_keep_their_classes():
    labels = discs((40, 60), (20, 20, 11)) * 2
    other = discs((40, 60), (20, 40, 11))
    labels[(other > 0) & (labels == 0)] = 1
    objects, classes = separate_objects(labels, 5)
    assert classes == (1, 2)
    np.testing.assert_array_equal(labels > 0, objects > 0)
    np.testing.assert_array_equal(objects == 2, labels == 2)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (30, 40)])
def test_a_full_slice_is_one_object_and_an_empty_one_none(size):
    objects, classes = separate_objects(np.ones(size, np.uint8), 50)
    assert classes == (1,)
    assert (objects == 1).all()
    objects, classes = separate_objects(np.zeros(size, np.uint8), 5)
    assert classes == ()
    assert not objects.any()
