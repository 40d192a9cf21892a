"""Pictures that are turned or mirrored when they are shown, with masks of either size."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.io.datasets.label_files import read_label_files
from napari_emcad.io.datasets.read import read_dataset
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image
from napari_emcad.io.images.turned_labels import turned

STORED = (8, 12)


def save(path, pixels, orientation=1):
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(pixels).save(path, exif=exif)


@pytest.fixture
def picture(tmp_path):
    """Return a function: the file of a picture with an orientation, and its mask as stored."""

    def picture(orientation, shape=STORED):
        mask = np.random.default_rng(orientation).integers(0, 3, shape).astype(np.uint8)
        save(tmp_path / "a.png", mask * 80, orientation)
        return tmp_path / "a.png", mask

    return picture


def labels_of(image, mask_file):
    return read_label_files(mask_file, STORED, read_image(image), source=image)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_is_what_pillow_shows(picture, orientation):
    path, _ = picture(orientation)
    with Image.open(path) as opened:
        shown = np.asarray(ImageOps.exif_transpose(opened))
    np.testing.assert_array_equal(turned(read_image(path).pixels, orientation), shown)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_of_the_size_of_the_turned_picture_is_turned_back(picture, tmp_path, orientation):
    image, mask = picture(orientation)
    with Image.open(image) as opened:
        shown = np.asarray(ImageOps.exif_transpose(opened)) // 80
    save(tmp_path / "a_mask.png", shown)
    read = labels_of(image, tmp_path / "a_mask.png")
    np.testing.assert_array_equal(read.pixels, mask)
    assert "a_mask.png has the size of the turned picture" in read.note


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_of_the_size_of_the_stored_picture_is_taken_as_it_is(picture, tmp_path, orientation):
    image, mask = picture(orientation)
    save(tmp_path / "a_mask.png", mask)
    np.testing.assert_array_equal(labels_of(image, tmp_path / "a_mask.png").pixels, mask)


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_mask_that_is_turned_as_its_image_is_taken_as_it_is(picture, tmp_path, orientation):
    image, mask = picture(orientation)
    save(tmp_path / "a_mask.png", mask, orientation)
    np.testing.assert_array_equal(labels_of(image, tmp_path / "a_mask.png").pixels, mask)


@pytest.mark.parametrize(
    ("orientation", "shape"), [(2, STORED), (3, STORED), (4, STORED), (6, (8, 8))]
)
def test_a_mask_whose_size_does_not_show_it_is_refused(picture, tmp_path, orientation, shape):
    image, mask = picture(orientation, shape)
    save(tmp_path / "a_mask.png", mask)
    with pytest.raises(ImageFileError, match=r"a_mask.png and its image are turned "):
        read_label_files(tmp_path / "a_mask.png", shape, read_image(image), source=image)


def test_a_mask_that_is_turned_alone_is_turned_by_its_size(picture, tmp_path):
    image, mask = picture(1)
    save(tmp_path / "a_mask.png", turned(mask, 8), 6)
    np.testing.assert_array_equal(labels_of(image, tmp_path / "a_mask.png").pixels, mask)


def test_turned_tiffs_follow_the_same_rule(picture, tmp_path):
    _, mask = picture(1)
    tifffile.imwrite(tmp_path / "b.tif", mask, extratags=[(274, 3, 1, 6, True)])
    tifffile.imwrite(tmp_path / "b_mask.tif", turned(mask, 6))
    np.testing.assert_array_equal(
        labels_of(tmp_path / "b.tif", tmp_path / "b_mask.tif").pixels, mask
    )


def test_orientations_without_a_meaning_are_upright(picture, tmp_path):
    image, mask = picture(0)
    save(tmp_path / "a_mask.png", mask)
    np.testing.assert_array_equal(labels_of(image, tmp_path / "a_mask.png").pixels, mask)


def test_training_pairs_turned_masks_with_their_pixels(picture, tmp_path):
    image, mask = picture(6)
    save(tmp_path / "a_mask.png", turned(mask, 6))
    pairs = [(image, tmp_path / "a_mask.png")]
    (part,) = read_dataset(pairs, 1, Preprocessing("range", 0.0, 255.0), 2).slices
    np.testing.assert_array_equal(part.target, mask)
