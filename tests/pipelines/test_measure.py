"""Tables of objects, against skimage's own numbers, shapes of known size, and brute force."""

from __future__ import annotations

import csv
from io import StringIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import pdist

import napari_emcad
from napari_emcad.pipelines.measure import measure
from napari_emcad.pipelines.object_table import joined_csv

FLAT = {"Y": 0.5, "X": 0.25}


@pytest.fixture
def labels():
    """Return a rectangle of 4 × 6 pixels, one of 3 × 3 at the border, and a single pixel."""
    labels = np.zeros((20, 30), np.uint16)
    labels[4:8, 10:16], labels[17:, :3], labels[12, 20] = 7, 2, 300
    return labels


def test_sizes_and_places_are_those_of_the_shapes(labels):
    columns = measure(labels, scale=FLAT, unit="µm").columns
    assert columns["label"].tolist() == [2, 7, 300]
    assert columns["pixels"].tolist() == [9, 24, 1]
    np.testing.assert_allclose(columns["area"], np.array([9, 24, 1]) * 0.125)
    np.testing.assert_allclose(columns["centroid_y"], [18, 5.5, 12])
    np.testing.assert_allclose(columns["centroid_x"], [1, 12.5, 20])
    assert columns["first_y"].tolist() == [17, 4, 12]
    assert columns["last_y"].tolist() == [19, 7, 12]
    assert columns["touches_border"].tolist() == [True, False, False]
    assert columns["eccentricity"][2] == 0


def test_units_are_in_the_header(labels):
    table = measure(labels, scale=FLAT, unit="µm")
    assert "area [µm²]" in table.header
    assert "feret_diameter [µm]" in table.header
    volume = measure(np.stack([labels] * 2), scale={"Z": 2, **FLAT}, unit="mm")
    assert "volume [mm³]" in volume.header
    np.testing.assert_allclose(
        volume.columns["volume_mL"], np.array([18, 48, 2]) * 0.25 * 1e-3, rtol=1e-9
    )
    assert "volume_mL" not in measure(np.stack([labels] * 2)).columns
    assert "area [pixel²]" in measure(labels).header


def test_the_feret_diameter_is_the_longest_distance(labels):
    """The largest distance of two corners of pixels, in units of length."""
    table = measure(labels, scale=FLAT, unit="µm")
    for number, feret in zip(table.columns["label"], table.columns["feret_diameter"], strict=True):
        y, x = np.nonzero(labels == number)
        corners = [(y + dy, x + dx) for dy in (-0.5, 0.5) for dx in (-0.5, 0.5)]
        points = np.concatenate([np.stack(c, 1) for c in corners]) * (0.5, 0.25)
        assert feret == pytest.approx(pdist(points).max(), rel=0.15)


small_labels = hnp.arrays(
    np.uint8, st.tuples(st.integers(2, 8), st.integers(2, 8)), elements=st.integers(0, 4)
)


@settings(max_examples=40)
@given(small_labels, st.integers(1, 3))
def test_counts_and_intensities_equal_those_of_the_pixels(labels, channels):
    image = np.random.default_rng(0).normal(100, 20, (*labels.shape, channels))
    columns = measure(labels, image[..., 0] if channels == 1 else image).columns
    numbers = [n for n in np.unique(labels).tolist() if n]
    assert columns["label"].tolist() == numbers
    assert columns["pixels"].sum() == np.count_nonzero(labels)
    for row, number in enumerate(numbers):
        inside = image[labels == number]
        for channel in range(channels):
            suffix = f"_{channel}" if channels > 1 else ""
            pixels = inside[:, channel]
            assert columns[f"intensity_mean{suffix}"][row] == pytest.approx(pixels.mean())
            assert columns[f"intensity_std{suffix}"][row] == pytest.approx(pixels.std(), abs=1e-6)


@settings(max_examples=20)
@given(small_labels)
def test_transposed_labels_give_the_same_sizes(labels):
    one = measure(labels, scale=FLAT, unit="µm").columns
    other = measure(labels.T, axes="XY", scale=FLAT, unit="µm").columns
    for name in ("label", "area", "centroid_y", "centroid_x", "first_x", "touches_border"):
        np.testing.assert_allclose(one[name].astype(float), other[name].astype(float))


def test_time_points_are_measured_one_by_one(labels):
    moved = np.roll(labels, 2, axis=1)
    table = measure(np.stack([labels, labels * 0, moved]), axes="TYX")
    assert table.columns["t"].tolist() == [0, 0, 0, 2, 2, 2]
    assert next(iter(table.columns)) == "t"
    np.testing.assert_allclose(table.columns["centroid_x"][4] - table.columns["centroid_x"][1], 2)


def test_a_volume_of_one_slice_touches_no_border_there(labels):
    columns = measure(labels[None]).columns
    assert columns["touches_border"].tolist() == [True, False, False]
    assert "eccentricity" not in columns


def test_probabilities_give_confidence_and_uncertainty(labels):
    p = np.where(labels == 7, 0.9, 0.5)[None]
    columns = measure(labels, probabilities=p).columns
    np.testing.assert_allclose(columns["probability_mean"], [0.5, 0.9, 0.5])
    entropy = -(0.9 * np.log2(0.9) + 0.1 * np.log2(0.1))
    np.testing.assert_allclose(columns["uncertainty_mean"], [1, entropy, 1])


def test_classes_are_named(labels):
    columns = measure(labels, classes={7: "cell", 2: "debris"}).columns
    assert columns["class"].tolist() == ["debris", "cell", ""]


def test_nothing_is_an_empty_table():
    table = measure(np.zeros((4, 5), np.uint8), np.zeros((4, 5)), classes={})
    assert len(table) == 0
    assert table.to_csv().count("\n") == 1
    assert measure(np.zeros((2, 4, 5), bool), axes="TYX").to_csv().startswith("t,label,pixels,area")


def test_csv_is_read_back(labels):
    table = measure(labels, labels * 1.5)
    rows = list(csv.reader(StringIO(table.to_csv())))
    assert rows[0] == table.header
    assert [float(row[1]) for row in rows[1:]] == [9, 24, 1]


def test_tables_of_several_images_are_joined(labels):
    color = np.zeros((*labels.shape, 3))
    text = joined_csv({"a, b.tif": measure(labels, labels), "c.tif": measure(labels, color)})
    rows = list(csv.DictReader(StringIO(text)))
    assert [row["image"] for row in rows] == ["a, b.tif"] * 3 + ["c.tif"] * 3
    assert rows[0]["intensity_mean"] == "2"
    assert rows[0]["intensity_mean_2"] == ""
    assert rows[3]["intensity_mean"] == ""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"labels": np.zeros((4, 5))}, "whole numbers"),
        ({"labels": np.full((4, 5), -1)}, "0 or more"),
        ({"labels": np.zeros((0, 5), int)}, "some pixels"),
        ({"axes": "YXZ"}, "names 3 axes"),
        ({"axes": "YY"}, "one letter per axis"),
        ({"axes": "CX"}, "Y and X among them"),
        ({"image": np.zeros((5, 4))}, "must agree"),
        ({"image": np.zeros((3, 4, 5))}, "must agree"),
        ({"probabilities": np.zeros((4, 5))}, "classes as their first axis"),
        ({"scale": {"X": 1}, "unit": "mm"}, "along Y is not known"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, reason):
    with pytest.raises(ValueError, match=reason):
        napari_emcad.measure(**({"labels": np.ones((4, 5), int)} | arguments))
