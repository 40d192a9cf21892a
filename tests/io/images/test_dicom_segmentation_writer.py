"""Labels of a DICOM series are written as a segmentation that lies on its voxels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_emcad.io.checkpoints.classes import ClassLabel
from napari_emcad.io.images.labels import read_labels
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image
from napari_emcad.io.images.read_options import PLANES, ReadOptions
from napari_emcad.io.images.write_labels import write_result

pydicom = pytest.importorskip("pydicom")
highdicom = pytest.importorskip("highdicom")

STUDY = {
    "StudyInstanceUID": "1.2.3",
    "FrameOfReferenceUID": "1.2.4",
    "SliceThickness": 2.5,
    "PatientName": "Groß^Ärmel",
    "SpecificCharacterSet": "ISO_IR 100",
}
AXIAL, OBLIQUE = ((1, 0, 0), (0, 1, 0)), ((0.8, 0.6, 0), (-0.36, 0.48, 0.8))
CORONAL = ((1, 0, 0), (0, 0, -1))
VOLUME = np.random.default_rng(0).integers(0, 1000, (6, 20, 30)).astype(np.int16)
CLASSES = (ClassLabel("Leber größer", "#e74c3c"), ClassLabel("a\\b " * 20, "#00ff00"))


@pytest.fixture
def write_enhanced(write_series):
    """Return a function that writes planes as frames of one file, in an order."""

    def write_enhanced(path, array, order, **attributes):
        frames = []
        for place in order:
            group, position = pydicom.Dataset(), pydicom.Dataset()
            position.ImagePositionPatient = [5, 6, 3 * place]
            group.PlanePositionSequence = [position]
            frames.append(group)
        shared, orientation, measures = (pydicom.Dataset() for _ in range(3))
        orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        measures.PixelSpacing, measures.SliceThickness = [0.5, 0.6], 3
        shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
        write_series.plane(
            path, array[0], None, None, None, NumberOfFrames=len(array),
            PixelData=array[order].tobytes(), PerFrameFunctionalGroupsSequence=frames,
            SharedFunctionalGroupsSequence=[shared], SeriesInstanceUID="1.2.5",
            SOPClassUID=pydicom.uid.EnhancedCTImageStorage, **attributes,
        )  # fmt: skip
        return path

    return write_enhanced


def labels_of(opened) -> np.ndarray:
    """Return labels of two classes by the intensities, so that they show where they lie."""
    pixels = np.asarray(opened.pixels)
    return np.select([pixels > 700, pixels > 300], [2, 1], 0).astype(np.uint8)


def volume_in_place(path) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and LPS affine of a segmentation as highdicom reads them."""
    volume = highdicom.seg.segread(path).get_volume(combine_segments=True)
    return volume.array, volume.affine


@pytest.mark.parametrize("plane", [None, *PLANES])
@pytest.mark.parametrize("directions", [AXIAL, OBLIQUE, CORONAL])
def test_every_voxel_is_where_it_was(directions, plane, tmp_path, write_series):
    """The files are named in another order than their positions."""
    folder = write_series(tmp_path / "ct", VOLUME, directions, places=[3, 0, 5, 1, 4, 2], **STUDY)
    options = ReadOptions(plane=plane)
    image = read_image(folder, options)
    labels, path = labels_of(image), tmp_path / "labels.dcm"
    write_result(path, labels, "ZYX", image, CLASSES)
    np.testing.assert_array_equal(read_labels(path, labels.shape, image, options), labels)
    written, affine = volume_in_place(path)
    sources = {file.SOPInstanceUID: file for file in map(pydicom.dcmread, folder.iterdir())}
    for position, number in zip(
        (affine @ [[i, 0, 0, 1] for i in range(6)][k] for k in range(6)), range(6), strict=True
    ):
        near = [
            file
            for file in sources.values()
            if np.allclose(file.ImagePositionPatient, position[:3], atol=1e-3)
        ]
        assert len(near) == 1
        pixels = near[0].pixel_array
        expected = np.select([pixels > 700, pixels > 300], [2, 1], 0)
        np.testing.assert_array_equal(written[number], expected)


def test_the_segmentation_names_series_classes_and_colors(tmp_path, write_series):
    image = read_image(write_series(tmp_path / "ct", VOLUME, **STUDY))
    write_result(tmp_path / "labels.dcm", labels_of(image), "ZYX", image, CLASSES)
    written = highdicom.seg.segread(tmp_path / "labels.dcm")
    source = pydicom.dcmread(next((tmp_path / "ct").iterdir()))
    for name in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"):
        assert str(written[name].value) == str(source[name].value)
    assert written.SeriesInstanceUID != source.SeriesInstanceUID
    named = written.ReferencedSeriesSequence[0]
    assert named.SeriesInstanceUID == source.SeriesInstanceUID
    used = {item.ReferencedSOPInstanceUID for item in named.ReferencedInstanceSequence}
    assert used == {pydicom.dcmread(f).SOPInstanceUID for f in (tmp_path / "ct").iterdir()}
    descriptions = [written.get_segment_description(number) for number in (1, 2)]
    assert descriptions[0].segment_label == "Leber größer"
    assert descriptions[1].segment_label == ("a/b " * 20)[:64].strip()
    assert [d.SegmentAlgorithmType for d in descriptions] == ["AUTOMATIC", "AUTOMATIC"]
    for description, label in zip(descriptions, CLASSES, strict=True):
        color = highdicom.color.CIELabColor.from_dicom_value(
            [int(value) for value in description.RecommendedDisplayCIELabValue]
        )
        exact = np.array([*bytes.fromhex(label.color[1:])])
        assert np.abs(np.array(color.to_rgb(clip=True)) - exact).max() <= 2


def test_class_names_in_any_script(tmp_path, write_series):
    image = read_image(write_series(tmp_path / "ct", VOLUME, **STUDY))
    classes = (ClassLabel("肝臓", "#ff0000"), ClassLabel("печень", "#00ff00"))
    write_result(tmp_path / "labels.dcm", labels_of(image), "ZYX", image, classes)
    assert "肝臓 = 1, печень = 2" in read_image(tmp_path / "labels.dcm").note


def test_one_plane_no_label_and_objects(tmp_path, write_series):
    folder = write_series(tmp_path / "ct", VOLUME, **STUDY)
    one = read_image(folder / "I0007.dcm")
    path = tmp_path / "one.dcm"
    write_result(path, labels_of(one), "YX", one, CLASSES)
    np.testing.assert_array_equal(read_labels(path, (20, 30), one), labels_of(one))
    image = read_image(folder)
    write_result(tmp_path / "none.dcm", np.zeros(VOLUME.shape, np.uint8), "ZYX", image, CLASSES)
    assert not read_labels(tmp_path / "none.dcm", VOLUME.shape, image).any()
    objects = np.zeros(VOLUME.shape, np.int32)
    objects.ravel()[:3000:10] = np.arange(1, 301)
    write_result(tmp_path / "objects.dcm", objects, "ZYX", image)
    np.testing.assert_array_equal(
        read_labels(tmp_path / "objects.dcm", VOLUME.shape, image), objects
    )


def test_frames_of_one_file_in_any_order(tmp_path, write_enhanced):
    order = [3, 0, 5, 1, 4, 2]
    path = write_enhanced(tmp_path / "enhanced.dcm", VOLUME, order, **STUDY)
    image = read_image(path)
    labels = labels_of(image)
    write_result(tmp_path / "labels.dcm", labels, "ZYX", image, CLASSES)
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.dcm", labels.shape, image), labels)
    written, affine = volume_in_place(tmp_path / "labels.dcm")
    first = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence
    for number, group in enumerate(first):
        place = np.linalg.inv(affine) @ [*group.PlanePositionSequence[0].ImagePositionPatient, 1]
        pixels = pydicom.dcmread(path).pixel_array[number]
        expected = np.select([pixels > 700, pixels > 300], [2, 1], 0)
        np.testing.assert_array_equal(written[round(place[0])], expected)


@pytest.mark.parametrize("places", [[0, 1, 3, 4, 5, 6], [0, 1, 2.4, 4, 5, 6.2]])
def test_planes_with_gaps_are_written_in_place_and_not_misread(places, tmp_path, write_series):
    """The affine of the image has one distance, so a plane behind the gap would be shifted."""
    image = read_image(write_series(tmp_path / "ct", VOLUME, places=places, **STUDY))
    labels = labels_of(image) * (np.arange(6) == 3)[:, None, None]
    write_result(tmp_path / "labels.dcm", labels.astype("u1"), "ZYX", image, CLASSES)
    written, affine = volume_in_place(tmp_path / "labels.dcm")
    np.testing.assert_allclose(affine[2, 3], 30 + 2.5 * places[3])
    np.testing.assert_array_equal(written[0], labels[3])
    with pytest.raises(ImageFileError, match="unequal distances or gaps"):
        read_labels(tmp_path / "labels.dcm", labels.shape, image)


@pytest.mark.parametrize("change", [{}, {"SpacingBetweenSlices": 9}])
def test_images_without_thickness_or_with_a_wrong_distance(change, tmp_path, write_series):
    study = {name: value for name, value in STUDY.items() if name != "SliceThickness"} | change
    image = read_image(write_series(tmp_path / "ct", VOLUME, **study))
    write_result(tmp_path / "labels.dcm", labels_of(image), "ZYX", image, CLASSES)
    labels = read_labels(tmp_path / "labels.dcm", VOLUME.shape, image)
    np.testing.assert_array_equal(labels, labels_of(image))


@pytest.mark.parametrize("name", ["FrameOfReferenceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_images_without_identity_are_refused(name, tmp_path, write_series):
    image = read_image(write_series(tmp_path / "ct", VOLUME, **{**STUDY, name: ""}))
    with pytest.raises(ImageFileError, match=f"has no {name}.*--format nii.gz"):
        write_result(tmp_path / "labels.dcm", labels_of(image), "ZYX", image, CLASSES)
    assert not (tmp_path / "labels.dcm").exists()


def test_other_images_are_refused(tmp_path, write_series):
    flat = read_image(write_series(tmp_path / "a", VOLUME[:1], step=None, **STUDY))
    times = read_image(write_series(tmp_path / "b", VOLUME, places=[0, 0, 1, 1, 2, 2], **STUDY))
    np.save(tmp_path / "array.npy", VOLUME)
    array = replace(read_image(tmp_path / "array.npy"), axes="ZYX")
    for image, axes, reason in (
        (flat, "YX", "positions in the patient"),
        (times, "TZYX", "2 times"),
        (array, "ZYX", "needs a DICOM image"),
    ):
        with pytest.raises(ImageFileError, match=rf"{reason}.*--format nii.gz\.$"):
            write_result(tmp_path / "labels.dcm", labels_of(image), axes, image, CLASSES)


@pytest.mark.parametrize("labeled", [(0, 1, 2, 3, 4, 5), (1, 2, 5), (0, 2, 4), (3,)])
@pytest.mark.parametrize("classes", [1, 2])
def test_segments_of_a_tilted_gantry(labeled, classes, tmp_path, write_series):
    """Planes are shifted by 0.3 mm each, in rows of 0.5 mm."""
    for number, pixels in enumerate(VOLUME):
        position = (0, 0.3 * number, 2.4 * number)
        write_series.plane(
            tmp_path / "ct" / f"{number}.dcm", pixels, position, AXIAL, (0.5, 0.5),
            InstanceNumber=number, SeriesInstanceUID="1.2.5", **STUDY,
        )  # fmt: skip
    opened = read_image(tmp_path / "ct")
    assert "tilted gantry" in opened.note
    labels = np.zeros(VOLUME.shape, np.uint8)
    labels[list(labeled)] = 1 + (VOLUME > 500)[list(labeled)] * (classes - 1)
    write_result(tmp_path / "seg.dcm", labels, "ZYX", opened, CLASSES[:classes])
    read = read_labels(tmp_path / "seg.dcm", labels.shape, opened)
    np.testing.assert_array_equal(read, labels)
