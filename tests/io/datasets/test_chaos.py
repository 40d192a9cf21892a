"""DICOM series with a picture of labels per slice."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.io.datasets.layouts import find_files
from napari_emcad.io.datasets.read import DatasetError, read_dataset
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read_options import ReadOptions

pydicom = pytest.importorskip("pydicom")

ROWS, COLUMNS, COUNT = 6, 9, 4
AS_STORED = Preprocessing("range", 0.0, 1.0)


def write_slice(path, pixels, position, series):
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    one = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    one.SOPClassUID, one.SOPInstanceUID = (
        meta.MediaStorageSOPClassUID,
        meta.MediaStorageSOPInstanceUID,
    )
    one.SeriesInstanceUID, one.Modality, one.PatientID = series, "CT", "1"
    one.Rows, one.Columns = pixels.shape
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated = one.BitsStored = 16
    one.HighBit, one.PixelRepresentation = 15, 0
    one.PixelSpacing = [1.5, 1.5]
    one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    one.ImagePositionPatient = [0, 0, position]
    one.PixelData = pixels.astype("<u2").tobytes()
    one.save_as(path, enforce_file_format=True)


@pytest.fixture
def write_series(tmp_path):
    """Return a function that writes a series, whose pixels are 100 times their labels."""

    def write_series(place, names, pictures, levels, dicom="DICOM_anon", positions=None):
        series = pydicom.uid.generate_uid()
        order = range(len(names)) if positions is None else positions
        random = np.random.default_rng(len(str(place)))
        for name, picture, position in zip(names, pictures, order, strict=True):
            labels = random.integers(0, len(levels), (ROWS, COLUMNS))
            write_slice(tmp_path / place / dicom / name, 100 * labels, 3.0 * position, series)
            ground = tmp_path / place / "Ground" / picture
            ground.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.array(levels, "u1")[labels]).save(ground)

    return write_series


CT_NAMES = [f"i{n:04},0000b.dcm" for n in range(COUNT)]
CT_PICTURES = [f"liver_GT_{n:03}.png" for n in range(COUNT)]
MR_LEVELS = (0, 63, 126, 189, 252)


def check(data):
    """The pixels show the class everywhere: 100 times it, of 0 to 400."""
    for part in data.slices:
        np.testing.assert_array_equal(np.rint(part.planes[0] * 4), part.target)


@pytest.mark.parametrize("positions", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
@pytest.mark.parametrize("plane", [None, "coronal", "sagittal"])
def test_pictures_of_ct_lie_on_their_slices(tmp_path, write_series, positions, plane):
    for patient in ("1", "2"):
        write_series(
            f"Train_Sets/CT/{patient}", CT_NAMES, CT_PICTURES, (0, 255), positions=positions
        )
    found = find_files(tmp_path)
    assert str(found) == "CHAOS: 2 cases, 2 series, 8 slices, 2 classes"
    assert found.class_names == ("liver",)
    whole = Preprocessing("range", 0.0, 400.0)
    check(read_dataset(found, 1, whole, 1, options=ReadOptions(plane=plane)))


def test_gray_levels_of_mr_are_organs_and_patients_stay_together(tmp_path, write_series):
    names = [f"IMG-0004-{n:05}" for n in range(COUNT)]
    files, pictures = [f"{n}.dcm" for n in names], [f"{n}.png" for n in names]
    write_series("MR/1/T2SPIR", files, pictures, MR_LEVELS, positions=[3, 2, 1, 0])
    write_series("MR/1/T1DUAL", files, pictures, MR_LEVELS, "DICOM_anon/OutPhase")
    others = [f"IMG-0004-{n + 50:05}.dcm" for n in range(COUNT)]
    write_series("MR/1/T1DUAL", others, pictures, MR_LEVELS, "DICOM_anon/InPhase")
    write_series("MR/1/T1DUAL", files, pictures, MR_LEVELS, "DICOM_anon/OutPhase")
    found = find_files(tmp_path)
    assert found.class_names == ("liver", "right kidney", "left kidney", "spleen")
    assert {image.name for image, _ in found.pairs} == {"OutPhase", "DICOM_anon"}
    assert len({found.case_of(image) for image, _ in found.pairs}) == 1
    check(read_dataset(found, 1, Preprocessing("range", 0.0, 400.0), 4))


def test_ct_and_mr_are_not_mixed(tmp_path, write_series):
    write_series("CT/1", CT_NAMES, CT_PICTURES, (0, 255))
    names = [f"I{n}" for n in range(COUNT)]
    write_series("MR/1/T2SPIR", [f"{n}.dcm" for n in names], [f"{n}.png" for n in names], MR_LEVELS)
    with pytest.raises(ImageFileError, match="has series of CT, in which only the liver"):
        find_files(tmp_path)
    assert len(find_files(tmp_path / "MR").pairs) == 1


def test_pictures_that_do_not_fit_the_files_are_named(tmp_path, write_series):
    write_series("CT/1", CT_NAMES, CT_PICTURES, (0, 255))
    (tmp_path / "CT/1/Ground" / CT_PICTURES[1]).unlink()
    (problem,) = find_files(tmp_path).problems
    assert "has 3 pictures in Ground, which are not those of the files" in problem


def test_other_gray_levels_of_mr_are_refused(tmp_path, write_series):
    names = [f"I{n}" for n in range(COUNT)]
    files, pictures = [f"{n}.dcm" for n in names], [f"{n}.png" for n in names]
    write_series("MR/1/T2SPIR", files, pictures, (0, 1, 2, 3, 4))
    with pytest.raises(DatasetError, match="gray levels 1, 2, 3, 4, which stand for no organ"):
        read_dataset(find_files(tmp_path), 1, AS_STORED, 4)
