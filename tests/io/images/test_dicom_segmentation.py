"""DICOM segmentations that highdicom writes are labels on the voxels of their image."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emcad.io.images.geometry import acquired_geometry, sliced_geometry
from napari_emcad.io.images.labels import read_labels
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image
from napari_emcad.io.images.read_options import PLANES, ReadOptions

pydicom = pytest.importorskip("pydicom")
highdicom = pytest.importorskip("highdicom")

PATIENT = {
    "PatientName": "A^B",
    "PatientBirthDate": "",
    "PatientSex": "",
    "StudyDate": "20200101",
    "StudyTime": "101010",
    "StudyID": "1",
    "AccessionNumber": "",
    "ReferringPhysicianName": "",
    "Manufacturer": "none",
    "SliceThickness": 2.5,
    "StudyInstanceUID": "1.2.3",
    "FrameOfReferenceUID": "1.2.4",
}
OBLIQUE = ((0.8, 0.6, 0), (-0.36, 0.48, 0.8))
VOLUME = np.random.default_rng(0).integers(0, 1000, (8, 20, 30)).astype(np.int16)
LABELS = np.zeros(VOLUME.shape, np.uint8)
LABELS[2:5, 3:9, 4:20] = 1
LABELS[6, 10:15, 5:9] = 2  # plane 5 is empty, and not stored


def describe(number):
    tissue = pydicom.sr.coding.Code("85756007", "SCT", "Tissue")
    kind = highdicom.seg.SegmentAlgorithmTypeValues.MANUAL
    return highdicom.seg.SegmentDescription(number, f"organ {number}", tissue, tissue, kind)


@pytest.fixture
def save(tmp_path, write_series):
    """Return a function that writes a series and its segmentation, and returns both paths."""

    def save(directions, labels=LABELS, kind="BINARY"):
        folder = write_series(tmp_path / "series", VOLUME, directions, **PATIENT)
        files = [pydicom.dcmread(path) for path in folder.iterdir()]
        normal = np.cross(*directions)
        files.sort(key=lambda file: np.dot(file.ImagePositionPatient, normal))
        count = labels.shape[-1] if labels.ndim == 4 else int(labels.max())
        segments = [describe(number) for number in range(1, count + 1)]
        uids = ["1.2.5", 1, "1.2.6", 1, "maker", "model", "1", "serial"]
        segmentation = highdicom.seg.Segmentation(files, labels, kind, segments, *uids)
        segmentation.save_as(tmp_path / "seg.dcm")
        return folder, tmp_path / "seg.dcm"

    return save


@pytest.mark.parametrize("plane", [None, *PLANES])
@pytest.mark.parametrize("directions", [((1, 0, 0), (0, 1, 0)), OBLIQUE])
@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_segments_lie_on_the_voxels_of_their_image(directions, kind, plane, save):
    folder, path = save(directions, kind=kind)
    options = ReadOptions(plane=plane)
    image = read_image(folder, options)
    labels = read_labels(path, image.pixels.shape, image, options)
    pairs = np.stack([np.asarray(image.pixels).ravel(), labels.ravel()])
    expected = np.stack([VOLUME.ravel(), LABELS.ravel()])
    assert labels.shape == image.pixels.shape
    np.testing.assert_array_equal(pairs[:, np.lexsort(pairs)], expected[:, np.lexsort(expected)])
    if plane is None:
        np.testing.assert_array_equal(labels, LABELS)
    opened = read_image(path, options)
    assert opened.is_labels
    assert "organ 1 = 1, organ 2 = 2" in opened.note


def test_overlapping_segments_are_refused(save):
    both = np.zeros((*VOLUME.shape, 2), np.uint8)
    both[3, 4:9, 5:9] = 1
    _, path = save(((1, 0, 0), (0, 1, 0)), both)
    with pytest.raises(ImageFileError, match=r"cannot be read as labels .*overlap.*dcmqi"):
        read_image(path)


def test_a_segmentation_of_another_place_is_refused(save, tmp_path, write_series):
    _, path = save(((1, 0, 0), (0, 1, 0)))
    other = read_image(write_series(tmp_path / "other", VOLUME, origin=(3.3, 0, 0), **PATIENT))
    with pytest.raises(ImageFileError, match="lies elsewhere than its image"):
        read_labels(path, VOLUME.shape, other)


def test_a_missing_library_is_one_sentence(save, monkeypatch):
    _, path = save(((1, 0, 0), (0, 1, 0)))
    monkeypatch.setitem(__import__("sys").modules, "highdicom", None)
    with pytest.raises(ImageFileError, match=r"needs the package highdicom.*\[medical\]"):
        read_image(path)


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("start", [(0, 0, 0), (1, 2, 3)])
def test_a_part_in_any_order_is_placed_where_it_lies(plane, start):
    affine = np.diag([0.7, -0.8, 2.5, 1])
    affine[:3, 3] = 5, -7, 11
    shape, part = (9, 8, 7), (4, 5, 3)
    whole = sliced_geometry(affine, shape, plane)
    moved = affine.copy()
    moved[:, 3] = affine @ (*start, 1)
    own = acquired_geometry(moved, part)
    voxels = np.random.default_rng(0).integers(1, 9, part)
    full = np.zeros(shape, int)
    full[tuple(slice(s, s + n) for s, n in zip(start, part, strict=True))] = voxels
    placed = own.place_on(own.to_view(voxels), whole)
    np.testing.assert_array_equal(placed, whole.to_view(full))
    shifted = acquired_geometry(moved + np.eye(4)[:, [3, 0, 1, 2]] * 0.3, part)
    assert shifted.place_on(own.to_view(voxels), whole) is None
    assert whole.place_on(whole.to_view(full), own) is None
