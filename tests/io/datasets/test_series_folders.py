"""Folders of DICOM files are images of a data set, with a label file of the folder's name."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emcad.cli import main
from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.io.checkpoints.classes import ClassLabel
from napari_emcad.io.datasets.layouts import find_files
from napari_emcad.io.datasets.read import read_dataset
from napari_emcad.io.images.read import read_image
from napari_emcad.io.images.read_options import ReadOptions
from napari_emcad.io.images.write_labels import write_result

pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

STUDY = {"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4", "SliceThickness": 2.5}
CLASSES = (ClassLabel("bone", "#ffffff"),)
PLAIN = Preprocessing("none", mean=(0.0,), std=(1.0,))


@pytest.fixture
def data_set(tmp_path, write_series):
    """Return a data set of two series with labels as NIfTI and as DICOM segmentation."""
    random = np.random.default_rng(0)
    for name, kind in (("case", ".nii.gz"), ("1.2.840.7", ".dcm"), ("1.2.840.8", ".dcm")):
        pixels = random.integers(0, 200, (4, 40, 48)).astype("i2")
        folder = tmp_path / "images" / name
        write_series(folder, pixels, places=[2, 0, 3, 1], **STUDY)
        image = read_image(folder)
        labels = (np.asarray(image.pixels) > 100).astype("u1")
        write_result(tmp_path / "labels" / f"{name}{kind}", labels, "ZYX", image, CLASSES)
    return tmp_path


def test_a_folder_per_case(data_set):
    found = find_files(data_set)
    assert [image.name for image, _ in found.pairs] == ["1.2.840.7", "1.2.840.8", "case"]
    assert not found.problems
    data = read_dataset(found, 1, PLAIN, None)
    assert len(data.slices) == 12
    for part in data.slices:
        np.testing.assert_array_equal(part.target, part.planes[0] > 100)


def test_labels_in_a_folder_per_case(data_set):
    for file in sorted((data_set / "labels").iterdir()):
        name = file.name.removesuffix(".dcm").removesuffix(".nii.gz")
        end = file.name.removeprefix(name)
        (data_set / "labels" / name).mkdir()
        file.rename(data_set / "labels" / name / f"segmentation{end}")
    found = find_files(data_set)
    assert [image.name for image, _ in found.pairs] == ["1.2.840.7", "1.2.840.8", "case"]
    assert not found.problems
    for part in read_dataset(found, 1, PLAIN, None).slices:
        np.testing.assert_array_equal(part.target, part.planes[0] > 100)


@pytest.mark.usefixtures("tiny_bundled")
def test_it_is_trained_on(data_set, tmp_path, capsys):
    quick = ["--set", "epochs=1", "--set", "crops_per_epoch=1", "--set", "batch=1"]
    assert main(["train", str(data_set), "--output", str(tmp_path / "run"), *quick]) == 0
    assert "3 images" in capsys.readouterr().err


def test_several_series_are_chosen_from(data_set, write_series):
    pixels = np.zeros((4, 40, 48), "i2")
    write_series(data_set / "images" / "case", pixels, first=500, SeriesNumber=2, **STUDY)
    found = find_files(data_set)
    with pytest.raises(ValueError, match="has 2 series; choose one"):
        read_dataset(found, 1, PLAIN, None)
    case = [pair for pair in found.pairs if pair[0].name == "case"]
    options = ReadOptions(series="1")
    assert len(read_dataset(case, 1, PLAIN, None, options=options).slices) == 4


def test_slices_with_labels_of_their_own_are_images(tmp_path, write_series):
    """A folder of the same path among the labels has a label file for every plane."""
    pixels = np.random.default_rng(0).integers(0, 200, (3, 40, 48)).astype("i2")
    write_series(tmp_path / "images" / "case", pixels, **STUDY)
    for path in (tmp_path / "images" / "case").iterdir():
        image = read_image(path)
        labels = (np.asarray(image.pixels) > 100).astype("u1")
        write_result(tmp_path / "labels" / "case" / f"{path.stem}.png", labels, "YX", image)
    found = find_files(tmp_path)
    assert len(found.pairs) == 3
    assert all(image.suffix == ".dcm" for image, _ in found.pairs)


def test_a_series_without_labels_is_named(data_set):
    (data_set / "labels" / "case.nii.gz").unlink()
    problems = find_files(data_set).problems
    assert any("has no label files of its name" in text for text in problems)
