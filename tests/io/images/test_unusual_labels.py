"""Label files of unusual pictures are read by their numbers, or refused."""

from __future__ import annotations

import struct
import zlib

import imagecodecs
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


@pytest.mark.parametrize("second", [0.0, 1.0])
def test_two_numbers_per_voxel_are_whole_ones_too(second, tmp_path):
    """The first number is the label if the second is constant, and must not be cut off."""
    sitk = pytest.importorskip("SimpleITK")
    pixels = np.full((8, 9, 2), second, np.float32)
    pixels[..., 0] = 0.5
    sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=True), str(tmp_path / "a.mha"))
    with pytest.raises(ImageFileError, match="float32; a label file has whole numbers"):
        read_labels(tmp_path / "a.mha")


def test_numbers_that_would_turn_around_are_refused(tmp_path):
    """2 ** 64 - 1 is -1 as a signed number, which would be ignored."""
    np.save(tmp_path / "a.npy", np.array([[2**64 - 1, 1]], np.uint64))
    with pytest.raises(ImageFileError, match="labels go up to"):
        read_labels(tmp_path / "a.npy")


@pytest.mark.parametrize("bits", [8, 16])
def test_labels_in_the_opacity_of_a_gray_png_are_refused(bits, tmp_path):
    mask = np.where(CLASSES > 0, 2**bits - 1, 0).astype(f"u{bits // 8}")
    for name, gray, opacity in (
        ("a", 0 * mask, mask),
        ("b", mask, np.full_like(mask, 2**bits - 1)),
    ):
        pixels = np.stack([gray, opacity], -1)
        (tmp_path / f"{name}.png").write_bytes(imagecodecs.png_encode(pixels))
        assert read_image(tmp_path / f"{name}.png").axes == "YX"
    with pytest.raises(ImageFileError, match="its mask is in the opacity"):
        read_labels(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "b.png"), mask)


def test_gray_levels_of_a_gif_are_its_labels(tmp_path):
    """Pillow and others leave out unused colors of a GIF, which numbers the others anew."""
    labels = np.where(CLASSES == 2, 7, CLASSES)
    Image.fromarray(labels).save(tmp_path / "a.gif")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.gif"), labels)
    picture = Image.fromarray(labels, "P")
    picture.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0, 90, 0, 90, *[9] * 12, 0, 0, 250])
    picture.save(tmp_path / "b.gif")
    with pytest.raises(ImageFileError, match=r"its colors are .*class_dict.csv"):
        read_labels(tmp_path / "b.gif")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.jpe", "JPEG"), ("a.jpg", "JPEG"), ("a.jp2", "JPEG2000"), ("a.webp", "WEBP")],
)
@pytest.mark.parametrize("renamed", [False, True])
def test_lossy_pictures_are_known_by_their_content(name, kind, renamed, tmp_path):
    options = {"quality_mode": "rates", "quality_layers": [20], "irreversible": True}
    options = options if kind == "JPEG2000" else {"quality": 70}
    path = tmp_path / (f"{name}.png" if renamed else name)
    Image.fromarray(np.kron(CLASSES * 60, np.ones((4, 4), np.uint8))).save(path, kind, **options)
    with pytest.raises(ImageFileError, match="which changes numbers; save labels as PNG"):
        read_labels(path)


@pytest.mark.parametrize("kind", ["jpegxl", "lerc", "jpeg2000"])
def test_labels_in_a_tiff_that_may_have_changed_them_are_refused(kind, tmp_path):
    levels = {"jpegxl": {"lossless": False}, "lerc": {"level": 0.4}, "jpeg2000": {"level": 30}}
    labels = np.repeat(np.arange(6, dtype=np.uint8), 100).reshape(20, 30)
    tifffile.imwrite(tmp_path / "a.tif", labels, compression=kind, compressionargs=levels[kind])
    with pytest.raises(ImageFileError, match="which changes labels"):
        read_labels(tmp_path / "a.tif")
