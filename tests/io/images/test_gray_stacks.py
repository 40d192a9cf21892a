"""Files of 3 or 4 slices are gray stacks to every program, with their axes."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_emcad.cli import main
from napari_emcad.io.images.read import read_image
from napari_emcad.io.images.write import write_array

SIZES = [{}, {"Z": 2.0, "Y": 0.5, "X": 0.5}]


def check_gray_stack(path, array, axes):
    with tifffile.TiffFile(path) as file:
        assert {page.photometric.name for page in file.pages} == {"MINISBLACK"}
        assert {page.samplesperpixel for page in file.pages} == {1}
        assert file.series[0].axes == axes
        assert file.series[0].shape == array.shape
    np.testing.assert_array_equal(tifffile.imread(path), array)
    opened = read_image(path)
    assert opened.axes == axes
    np.testing.assert_array_equal(opened.pixels, array)


@pytest.mark.parametrize("scale", SIZES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
@pytest.mark.parametrize("slices", [2, 3, 4, 5])
def test_labels_of_a_stack(slices, dtype, scale, tmp_path):
    labels = np.arange(slices * 40 * 50).reshape(slices, 40, 50).astype(dtype)
    write_array(tmp_path / "a.tif", labels, "ZYX", scale, "µm" if scale else "pixel")
    check_gray_stack(tmp_path / "a.tif", labels, "ZYX")
    if dtype is not np.uint32:
        with Image.open(tmp_path / "a.tif") as picture:
            assert picture.n_frames == slices
            assert picture.mode in ("L", "I;16", "I")


@pytest.mark.parametrize("axes", ["CYX", "CZYX", "TZYX", "CTZYX"])
@pytest.mark.parametrize("count", [3, 4])
def test_probabilities_and_longer_stacks(axes, count, tmp_path):
    array = np.random.default_rng(0).random((count,) * (len(axes) - 2) + (40, 50), np.float32)
    write_array(tmp_path / "a.tif", array, axes)
    check_gray_stack(tmp_path / "a.tif", array, axes)


def test_a_color_picture_stays_one(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    write_array(tmp_path / "a.tif", picture, "YXC")
    with Image.open(tmp_path / "a.tif") as opened:
        assert opened.mode == "RGB"
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, picture)


def test_the_command_line_writes_gray_stacks(tmp_path):
    stack = np.random.default_rng(0).integers(0, 255, (3, 40, 50)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", metadata={"axes": "ZYX"})
    output = tmp_path / "out.tif"
    arguments = ["segment", str(tmp_path / "a.tif"), "--output", str(output), "--probabilities"]
    assert main(arguments) == 0
    for path in (output, tmp_path / "out_probabilities.tif"):
        with tifffile.TiffFile(path) as file:
            assert {page.photometric.name for page in file.pages} == {"MINISBLACK"}
