"""Where the bits of DICOM numbers lie, and which of them count."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emcad.io.images.labels import read_labels
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image

pydicom = pytest.importorskip("pydicom")
imagecodecs = pytest.importorskip("imagecodecs")

PLACE = ((1, 0, 0), (0, 1, 0)), (0.5, 0.5)


def numbers(kind: str = "u2", low: int = 0, high: int = 4096) -> np.ndarray:
    return np.random.default_rng(0).integers(low, high, (9, 8)).astype(kind)


def write(write_series, path, pixels, **attributes):
    return write_series.plane(path, pixels, (0, 0, 0), *PLACE, **attributes)


@pytest.mark.parametrize("kind", ["u2", "i2"])
def test_numbers_in_the_upper_bits(kind, tmp_path, write_series):
    array = numbers(kind, -2048 if kind == "i2" else 0, 2048)
    write(write_series, tmp_path / "a.dcm", array << 4, BitsStored=12, HighBit=15)
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").pixels, array)


def test_an_overlay_in_the_unused_bits_is_left_out(tmp_path, write_series):
    array = numbers()
    write(write_series, tmp_path / "a.dcm", array | (array % 2 << 13), BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").pixels, array)


@pytest.mark.parametrize("packed", [False, True])
def test_a_sign_that_the_unused_bits_do_not_repeat(packed, tmp_path, write_series):
    array = numbers("i2", -2048, 2048)
    stored = (array & 0x0FFF).astype("i2")
    dataset = write(write_series, tmp_path / "a.dcm", stored, BitsStored=12, HighBit=11)
    if packed:
        frame = imagecodecs.jpegls_encode(stored.view("u2"))
        dataset.PixelData = pydicom.encaps.encapsulate([frame])
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEGLSLossless
        dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").pixels, array)


def test_inverted_gray_is_refused_where_its_numbers_matter(tmp_path, write_series):
    inverted = {"PhotometricInterpretation": "MONOCHROME1"}
    write(write_series, tmp_path / "labels.dcm", numbers("u1", 0, 3), **inverted)
    with pytest.raises(ImageFileError, match="inverted gray"):
        read_labels(tmp_path / "labels.dcm")
    table = pydicom.Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [256, 0, 16], "US"
    table.add_new("LUTData", "OW", (np.arange(256, dtype="<u2") ** 2).tobytes())
    pixels = numbers("u1", 0, 255)
    write(write_series, tmp_path / "a.dcm", pixels, ModalityLUTSequence=[table])
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").pixels, pixels.astype(int) ** 2)
    write(write_series, tmp_path / "b.dcm", pixels, ModalityLUTSequence=[table], **inverted)
    with pytest.raises(ImageFileError, match="Modality LUT"):
        read_image(tmp_path / "b.dcm")
