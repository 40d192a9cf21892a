"""Thumbnails show the slice with the most annotated pixels, and thin strokes as well."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_emcad.imaging.thumbnail import annotated_thumbnail

COLORS = {1: "#ff0000", 255: "#0000ff"}


def is_red(picture):
    return picture[..., 0].astype(int) - picture[..., 2] > 100


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("axes", "shape", "labels_shape"),
    [
        ("YX", (300, 200), (300, 200)),
        ("YXC", (300, 200, 3), (300, 200)),
        ("ZYX", (3, 300, 200), (3, 300, 200)),
        ("CZYX", (2, 3, 300, 200), (3, 300, 200)),
        ("ZCYX", (3, 2, 300, 200), (3, 300, 200)),
    ],
)
def test_a_thin_stroke_is_seen_in_its_place(axes, shape, labels_shape, lazy):
    image = np.full(shape, 100, np.uint8)
    labels = np.zeros(labels_shape, np.uint8)
    labels[..., 150, 100:] = 1 if labels.ndim == 2 else np.array([0, 0, 1])[:, None]
    picture = annotated_thumbnail(da.from_array(image) if lazy else image, axes, labels, COLORS)
    assert picture.shape == (96, 64, 3)
    rows, columns = np.nonzero(is_red(picture))
    assert set(rows) == {48}
    assert columns.min() == 32
    assert columns.max() == 63


def test_only_the_annotated_part_of_a_large_image_is_shown():
    image = np.zeros((5000, 5000), np.uint8)
    image[1000:1100, 2000:2100] = np.arange(100)
    labels = np.zeros((100, 100), np.uint8)
    labels[0, 0] = 255
    picture = annotated_thumbnail(image, "YX", labels, COLORS, (1000, 2000))
    assert picture.shape == (96, 96, 3)
    assert picture[50, 90].mean() > picture[50, 10].mean()
    assert picture[0, 0, 2] > picture[0, 0, 0]


def test_a_small_annotation_is_enlarged_and_an_empty_one_has_no_picture():
    image, labels = np.zeros((10, 20), np.uint8), np.zeros((10, 20), np.uint8)
    assert annotated_thumbnail(image, "YX", labels, COLORS) is None
    labels[5] = 1
    picture = annotated_thumbnail(image, "YX", labels, COLORS)
    assert picture.shape == (48, 96, 3)
    assert is_red(picture)[24:28].all()


def test_a_huge_lazy_slice_is_not_read():
    image = da.zeros((8192, 8192), dtype=np.uint8)
    labels = np.ones((8192, 8192), np.uint8)
    assert annotated_thumbnail(image, "YX", labels, COLORS) is None
