"""How large a pixel is, as image files say it."""

from __future__ import annotations

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_emcad.io.images.labels import read_labels
from napari_emcad.io.images.read import read_image

STACK = np.zeros((3, 20, 30), np.uint16)
OME = {"axes": "ZYX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
NO_SIZE = {}, "pixel"


def pixel_size_of(path) -> tuple[dict[str, float], str]:
    opened = read_image(path)
    return dict(opened.scale), opened.unit


@pytest.fixture
def ome(tmp_path):
    """Return a function: what is read of an OME-TIFF with these entries."""

    def ome(**entries: object) -> tuple[dict[str, float], str]:
        path = tmp_path / "a.ome.tif"
        tifffile.imwrite(path, STACK, metadata=OME | entries)
        return pixel_size_of(path)

    return ome


def test_an_ome_tiff_has_a_pixel_size_for_every_axis(ome):
    assert ome() == ({"Z": 2.0, "Y": 0.5, "X": 0.25}, "µm")


def test_axes_of_an_ome_tiff_are_converted_to_the_unit_of_x(ome):
    scale, unit = ome(PhysicalSizeZ=2000, PhysicalSizeZUnit="nm")
    assert (scale["Z"], unit) == (pytest.approx(2.0), "µm")
    scale, unit = ome(PhysicalSizeXUnit="mm", PhysicalSizeYUnit="mm")
    assert (scale, unit) == ({"X": 0.25, "Y": 0.5, "Z": pytest.approx(0.002)}, "mm")


@pytest.mark.parametrize("greek", ["µm", "μm"])
def test_both_characters_for_micro_are_accepted(greek, ome):
    assert ome(PhysicalSizeXUnit=greek)[1] == "µm"


@pytest.mark.parametrize(
    "entries",
    [
        {"PhysicalSizeX": 0},
        {"PhysicalSizeX": -1},
        {"PhysicalSizeY": "nan"},
        {"PhysicalSizeX": "inf"},
        {"PhysicalSizeX": "wide"},
        {"PhysicalSizeXUnit": "pixel"},
        {"PhysicalSizeYUnit": "reference frame"},
    ],
)
def test_invalid_sizes_are_ignored(entries, ome):
    assert ome(**entries) == NO_SIZE


def test_an_invalid_size_along_z_leaves_those_of_y_and_x(ome):
    assert ome(PhysicalSizeZ=0) == ({"Y": 0.5, "X": 0.25}, "µm")


def test_an_ome_tiff_without_sizes_has_no_pixel_size(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata={"axes": "ZYX"})
    assert pixel_size_of(tmp_path / "a.ome.tif") == NO_SIZE


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("um", "µm"),
        ("micron", "µm"),
        (r"\u00B5m", "µm"),
        ("nm", "nm"),
        ("mm", "mm"),
        ("inch", "inch"),
    ],
)
def test_imagej_spells_units_differently(written, read, tmp_path):
    meta = {"axes": "ZYX", "spacing": 2.0, "unit": written}
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=(4, 2), metadata=meta)
    assert pixel_size_of(tmp_path / "a.tif") == ({"X": 0.25, "Y": 0.5, "Z": 2.0}, read)


@pytest.mark.parametrize("meta", [{}, {"unit": "pixel"}, {"unit": "furlong"}])
def test_imagej_without_a_unit_of_length_has_no_pixel_size(meta, tmp_path):
    meta = {"axes": "ZYX", "spacing": 2.0, **meta}
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=(4, 2), metadata=meta)
    assert pixel_size_of(tmp_path / "a.tif") == NO_SIZE


def test_imagej_without_spacing_has_a_pixel_size_in_the_plane_only(tmp_path):
    meta = {"axes": "ZYX", "unit": "um"}
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=(4, 2), metadata=meta)
    assert pixel_size_of(tmp_path / "a.tif") == ({"X": 0.25, "Y": 0.5}, "µm")


@pytest.mark.parametrize(
    ("dots", "unit"), [((40_000, 20_000), "CENTIMETER"), ((101_600, 50_800), "INCH")]
)
def test_the_pixel_size_of_a_plain_tiff_is_its_resolution(dots, unit, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], resolution=dots, resolutionunit=unit)
    scale, unit = pixel_size_of(tmp_path / "a.tif")
    assert scale == {"X": pytest.approx(0.25), "Y": pytest.approx(0.5)}
    assert unit == "µm"


@pytest.mark.parametrize(
    ("dots", "unit"),
    [((72, 72), "INCH"), ((300, 300), "INCH"), ((118, 118), "CENTIMETER"), ((4e6, 4e6), "NONE")],
)
def test_a_print_resolution_is_not_a_pixel_size(dots, unit, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], resolution=dots, resolutionunit=unit)
    assert pixel_size_of(tmp_path / "a.tif") == NO_SIZE


def test_a_resolution_of_0_is_ignored(tmp_path):
    dots = ((0, 1), (0, 1))
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], resolution=dots, resolutionunit="INCH")
    assert pixel_size_of(tmp_path / "a.tif") == NO_SIZE
    assert read_labels(tmp_path / "a.tif").shape == (20, 30)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".npy"])
def test_other_files_have_no_pixel_size(ending, tmp_path):
    path = tmp_path / f"a{ending}"
    image = STACK[0].astype(np.uint8)
    np.save(path, image) if ending == ".npy" else iio.imwrite(path, image)
    assert pixel_size_of(path) == NO_SIZE
