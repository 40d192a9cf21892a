"""Files that are damaged somewhere are refused instead of read wrongly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_emcad.imaging.read_plane import BrokenPlaneError
from napari_emcad.imaging.slices import as_slices
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image

if TYPE_CHECKING:
    from pathlib import Path

nib = pytest.importorskip("nibabel")
sitk = pytest.importorskip("SimpleITK")

SMOOTH = (np.indices((20, 30, 40)).sum(0) ** 2 % 1000).astype(np.int16)


def write(path: Path) -> Path:
    """Write a volume, and return the file with its packed pixels."""
    if path.suffix in (".mha", ".mhd"):
        sitk.WriteImage(sitk.GetImageFromArray(SMOOTH), str(path), True)
        return path.with_suffix(".zraw") if path.suffix == ".mhd" else path
    kind = nib.MGHImage if path.suffix == ".mgz" else nib.Nifti1Image
    if path.name.endswith(".img.gz"):
        kind = nib.Nifti1Pair
    nib.save(kind(SMOOTH, np.eye(4)), path)
    return path


@pytest.mark.parametrize("name", ["a.nii.gz", "a.img.gz", "a.hdr.gz", "a.mgz", "a.mha", "a.mhd"])
def test_packed_volumes_with_a_wrong_bit(name, tmp_path):
    packed = write(tmp_path / name)
    if name == "a.hdr.gz":
        packed = tmp_path / "a.img.gz"
    whole = packed.read_bytes()
    expected = np.array(read_image(tmp_path / name).pixels)
    np.testing.assert_array_equal(np.sort(expected.ravel()), np.sort(SMOOTH.ravel()))
    for place in np.random.default_rng(0).integers(len(whole) // 3, len(whole) - 8, 5):
        content = bytearray(whole)
        content[place] ^= 16
        packed.write_bytes(content)
        with pytest.raises(ImageFileError, match="damaged"):
            read_image(tmp_path / name)
    packed.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageFileError, match="damaged"):
        read_image(tmp_path / name)


def test_a_tiff_that_lost_its_last_pages(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", SMOOTH, compression="zlib", photometric="minisblack")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        next_page = file.pages[11].offset + 2 + 12 * len(file.pages[11].tags)
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[next_page : next_page + 4] = bytes(4)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(ImageFileError, match="lacks a part of itself"):
        read_image(tmp_path / "a.tif")


def test_a_damaged_chunk_is_named(tmp_path):
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=SMOOTH.shape, dtype="i2", chunks=(1, 30, 40)
    )
    array[:] = SMOOTH
    (tmp_path / "a.zarr" / "c" / "3" / "0" / "0").write_bytes(b"no chunk")
    slices = as_slices(read_image(tmp_path / "a.zarr").pixels, 1, "ZYX")
    np.testing.assert_array_equal(slices.read((2,))[0], SMOOTH[2])
    with pytest.raises(BrokenPlaneError, match=r"The plane Z = 3 cannot be read .*copy it again"):
        slices.read((3,))
