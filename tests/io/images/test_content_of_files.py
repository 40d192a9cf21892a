"""Files are read by their content; what a reader would stretch, turn or cut is refused."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_emcad.io.images.labels import read_labels
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image
from napari_emcad.io.images.sources import find_images

if TYPE_CHECKING:
    from pathlib import Path


def numbers(shape=(20, 30), kind="u2", largest=65_535, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, largest + 1, shape).astype(kind)


def refusal(path: Path) -> str:
    with pytest.raises(ImageFileError) as error:
        read_image(path)
    message = str(error.value)
    assert message.splitlines() == [message]
    assert message.endswith(".")
    assert path.name in message
    return message


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
def test_jpeg2000_keeps_the_numbers_of_any_bits(bits, tmp_path):
    kind = "u2" if bits > 8 else "u1"
    array = numbers(kind=kind, largest=2**bits - 1)
    packed = imagecodecs.jpeg2k_encode(array, reversible=True, bitspersample=bits)
    (tmp_path / "a.jp2").write_bytes(packed)
    np.testing.assert_array_equal(read_image(tmp_path / "a.jp2").pixels, array)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.jp2"), array)


@pytest.mark.parametrize("kind", ["i2", "u2"])
def test_jpeg2000_keeps_signs_and_colors_of_16_bits(kind, tmp_path):
    shape = (20, 30) if kind == "i2" else (20, 30, 3)
    array = numbers(shape).astype(kind)
    content = imagecodecs.jpeg2k_encode(array, reversible=True, codecformat="j2k")
    (tmp_path / "a.j2k").write_bytes(content)
    opened = read_image(tmp_path / "a.j2k")
    assert opened.pixels.dtype == array.dtype
    np.testing.assert_array_equal(opened.pixels, array)


def test_netpbm_is_read_as_far_as_numbers_are_kept(tmp_path):
    gray, color = numbers(), numbers((20, 30, 3), "u1", 255)
    Image.fromarray(gray).save(tmp_path / "gray.pgm")
    Image.fromarray(color).save(tmp_path / "color.ppm")
    np.testing.assert_array_equal(read_image(tmp_path / "gray.pgm").pixels, gray)
    np.testing.assert_array_equal(read_image(tmp_path / "color.ppm").pixels, color)
    few = numbers(kind="u1", largest=5)
    (tmp_path / "few.pgm").write_bytes(b"P5 # 5\n30 20\n5\n" + few.tobytes())
    assert "numbers from 0 to 5" in refusal(tmp_path / "few.pgm")
    (tmp_path / "deep.ppm").write_bytes(b"P6\n30 20\n65535\n" + bytes(2 * color.size))
    assert "stretched" in refusal(tmp_path / "deep.ppm")


@pytest.mark.parametrize("name", ["a.fits", "a.vtk", "a.raw", "a.dng", "a.mat"])
def test_readers_that_guess_are_not_asked(name, tmp_path):
    (tmp_path / name).write_bytes(b"SIMPLE  =".ljust(2880))
    assert f"a napari plugin that reads {name[1:]}" in refusal(tmp_path / name)
    (tmp_path / "folder").mkdir()
    Image.fromarray(numbers(kind="u1", largest=255)).save(tmp_path / "folder" / "a.png")
    assert "name the image files in it" in refusal(tmp_path / "folder")


def test_pictures_with_the_name_of_another_kind(tmp_path):
    deep = numbers((6, 20, 30))
    tifffile.imwrite(tmp_path / "a.png", deep, photometric="minisblack")
    tifffile.imwrite(tmp_path / "b.jpg", deep[0], photometric="miniswhite")
    gray = numbers(kind="u1", largest=255)
    Image.fromarray(gray).save(tmp_path / "c.tif", "PNG")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, deep)
    np.testing.assert_array_equal(read_image(tmp_path / "b.jpg").pixels, deep[0])
    np.testing.assert_array_equal(read_image(tmp_path / "c.tif").pixels, gray)
    tifffile.imwrite(tmp_path / "d.dat", gray)
    assert "rename it to d.tif" in refusal(tmp_path / "d.dat")


def test_lossy_labels_with_the_name_of_a_tiff_are_refused(tmp_path):
    Image.fromarray(numbers(kind="u1", largest=5)).save(tmp_path / "a.tif", "JPEG")
    with pytest.raises(ImageFileError, match="changes numbers"):
        read_labels(tmp_path / "a.tif")


@pytest.mark.parametrize("kind", ["Nifti1Image", "Nifti2Image"])
def test_nifti_that_is_packed_or_not_against_its_name(kind, tmp_path):
    nibabel = pytest.importorskip("nibabel")
    volume = getattr(nibabel, kind)(numbers((4, 5, 6), "i2", 3000), np.diag([-1, -1, 2, 1]))
    (tmp_path / "plain.nii.gz").write_bytes(volume.to_bytes())
    (tmp_path / "packed.nii").write_bytes(gzip.compress(volume.to_bytes()))
    nibabel.save(volume, tmp_path / "usual.nii.gz")
    expected = read_image(tmp_path / "usual.nii.gz")
    for name in ("plain.nii.gz", "packed.nii"):
        opened = read_image(tmp_path / name)
        np.testing.assert_array_equal(opened.pixels, expected.pixels)
        assert opened.scale == expected.scale


def test_cmyk_is_said(tmp_path):
    Image.fromarray(numbers((20, 30, 3), "u1", 255)).convert("CMYK").save(tmp_path / "a.jpg")
    assert "has CMYK colors" in read_image(tmp_path / "a.jpg").note


def test_a_scale_in_another_array_is_refused(tmp_path):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.create_array("0", shape=(8, 9), dtype="u1")
    dataset = {"path": "0", "coordinateTransformations": [{"type": "scale", "path": "sizes"}]}
    axes = [{"name": name, "type": "space"} for name in "yx"]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [dataset]}]
    assert "its scale is in another array (sizes)" in refusal(tmp_path / "a.zarr")


def test_files_without_extension_beside_dicom_files_are_no_images(tmp_path, write_series):
    folder = write_series(tmp_path / "ct", numbers((4, 6, 7), "i2", 900), extension="")
    (folder / "VERSION").write_text("1")
    assert [source.name for source in find_images(folder).sources] == ["ct"]


@pytest.mark.parametrize("name", ["a.ome.zarr.zip", "a.tif.gz", "a.nii.bz2"])
def test_packed_files_are_to_be_unpacked(name, tmp_path):
    (tmp_path / name).write_bytes(b"PK")
    assert "is packed; unpack it" in refusal(tmp_path / name)


def test_three_planes_that_may_be_slices_are_said(tmp_path):
    options = {"photometric": "rgb", "planarconfig": "separate"}
    tifffile.imwrite(tmp_path / "a.tif", numbers((3, 20, 30)), **options)
    assert "slices need --axes ZYX" in read_image(tmp_path / "a.tif").note


@pytest.mark.parametrize(
    ("mode", "extension"), [("1", ".pbm"), ("L", ".pgm"), ("I;16", ".pgm"), ("RGB", ".ppm")]
)
def test_further_pictures_of_a_netpbm_file_are_counted(mode, extension, tmp_path):
    path = tmp_path / f"a{extension}"
    picture = (
        Image.fromarray(numbers((7, 11), "u2")) if mode == "I;16" else Image.new(mode, (11, 7))
    )
    picture.save(path)
    assert not read_image(path).note
    path.write_bytes(path.read_bytes() * 3)
    assert read_image(path).note == f"{path.name} holds 3 pictures; the first is used."


def test_the_preview_of_a_slide_is_not_read_as_the_slide(tmp_path):
    Image.new("RGB", (11, 7)).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "a.mrxs")
    assert "only the preview of a slide" in refusal(tmp_path / "a.mrxs")
