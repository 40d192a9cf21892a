"""Label files of unusual pictures are read by their numbers, or refused."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_emcad.io.datasets.label_files import read_label_files
from napari_emcad.io.images.labels import read_labels
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image

CLASSES = np.zeros((24, 32), np.uint8)
CLASSES[4:10, 4:12], CLASSES[14:20, 8:16], CLASSES[4:20, 22:30] = 1, 2, 3


def write_png(path, rows, bits, kind):
    """Write a PNG of any number of bits, which Pillow cannot."""

    def chunk(name, content):
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    height, width = CLASSES.shape
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


@pytest.mark.parametrize("bits", [2, 4])
def test_a_gray_png_of_few_bits_has_the_labels_that_are_stored(bits, tmp_path):
    split = np.unpackbits(CLASSES[..., None], axis=2)[..., -bits:]
    rows = np.packbits(split.reshape(len(CLASSES), -1), axis=1)
    write_png(tmp_path / "a.png", [row.tobytes() for row in rows], bits, 0)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), CLASSES)


def test_a_gray_png_with_alpha_keeps_its_16_bits(tmp_path):
    deep = CLASSES.astype(np.uint16) * 300 + 7
    rows = np.stack([deep, np.full_like(deep, 65535)], axis=-1).astype(">u2")
    write_png(tmp_path / "a.png", [row.tobytes() for row in rows], 16, 4)
    opened = read_image(tmp_path / "a.png")
    assert opened.axes == "YX"
    np.testing.assert_array_equal(opened.pixels, deep)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), deep)


def test_a_palette_in_which_white_is_the_background_by_its_number_is_refused(tmp_path):
    mask = np.where(CLASSES > 0, 255, 0).astype(np.uint8)
    picture = Image.fromarray(mask == 0).convert("L").point(lambda value: value // 255)
    picture = Image.fromarray(np.asarray(picture)).convert("P")
    picture.putpalette([255, 255, 255, 0, 0, 0])
    picture.save(tmp_path / "a.png")
    with pytest.raises(ImageFileError, match=r"white is 0 and black 1.*save it as gray\.$"):
        read_labels(tmp_path / "a.png")
    picture.putpalette([0, 0, 0, 255, 255, 255])
    picture.save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "b.png"), mask == 0)


@pytest.mark.parametrize("color", [0, 255])
def test_a_mask_in_the_opacity_is_refused(color, tmp_path):
    pixels = np.full((*CLASSES.shape, 4), color, np.uint8)
    pixels[..., 3] = np.where(CLASSES > 0, 255, 0)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with pytest.raises(ImageFileError, match="opacity"):
        read_labels(tmp_path / "a.png")
    pixels[..., :3] = pixels[..., 3:]
    Image.fromarray(pixels).save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "b.png"), pixels[..., 0])


def test_two_numbers_per_pixel_are_refused(tmp_path):
    both = np.stack([CLASSES, CLASSES[::-1]], axis=-1)
    tifffile.imwrite(tmp_path / "a.tif", both, photometric="minisblack", planarconfig="contig")
    with pytest.raises(ImageFileError, match="two numbers per pixel"):
        read_labels(tmp_path / "a.tif")


def test_classes_in_a_lossy_webp_are_refused(tmp_path):
    gray = Image.fromarray(CLASSES * 80)
    gray.save(tmp_path / "lossy.webp", quality=80)
    gray.save(tmp_path / "exact.webp", lossless=True)
    with pytest.raises(ImageFileError, match="lossy WebP, which changes numbers"):
        read_labels(tmp_path / "lossy.webp")
    np.testing.assert_array_equal(read_labels(tmp_path / "exact.webp"), CLASSES * 80)


@pytest.mark.parametrize(
    ("options", "is_exact"),
    [
        ({"compression": "jpeg"}, False),
        ({"compression": "jpeg", "tile": (16, 16)}, False),
        ({"compression": "jpeg", "compressionargs": {"lossless": True}}, True),
        ({"compression": "jpeg2000", "compressionargs": {"level": 30, "reversible": False}}, False),
        ({"compression": "jpeg2000"}, True),
        ({"compression": "webp", "compressionargs": {"lossless": False}}, False),
        ({"compression": "webp", "compressionargs": {"lossless": True}}, True),
        ({"compression": "zlib"}, True),
        ({"compression": "lzw", "predictor": True}, True),
        ({}, True),
    ],
)
def test_labels_in_a_tiff_that_changes_numbers_are_refused(options, is_exact, tmp_path):
    """As an image the same file is read."""
    labels = np.random.default_rng(0).integers(0, 5, (48, 64), np.uint8)
    pixels = np.stack([labels] * 3, -1) if options.get("compression") == "webp" else labels
    color = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=color, **options)
    assert read_image(tmp_path / "a.tif").pixels.shape == pixels.shape
    if is_exact:
        np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), labels)
        return
    with pytest.raises(ImageFileError, match=r"changes labels; save them as a TIFF without"):
        read_labels(tmp_path / "a.tif")


def test_a_jpeg_mask_has_a_note(tmp_path):
    mask = np.zeros((64, 64), np.uint8)
    mask[10:30, 20:50] = 255
    Image.fromarray(mask).save(tmp_path / "a.jpg", quality=80)
    read = read_label_files(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read.pixels, mask)
    assert read.note == "a.jpg is a JPEG mask; above 127 is 255, else 0."
