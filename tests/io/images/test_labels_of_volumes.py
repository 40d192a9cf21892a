"""Label files of volumes lie where their image lies, or are refused."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emcad.io.checkpoints.classes import ClassLabel
from napari_emcad.io.datasets.layouts import from_folders
from napari_emcad.io.images.folder import image_files
from napari_emcad.io.images.labels import read_labels
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image
from napari_emcad.io.images.write_labels import write_result

nib = pytest.importorskip("nibabel")

AFFINE = np.diag([-1.0, 2, 3, 1])
IMAGE = np.random.default_rng(0).integers(0, 100, (6, 6, 6)).astype("i2")


@pytest.fixture
def image(tmp_path):
    nib.save(nib.Nifti1Image(IMAGE, AFFINE), tmp_path / "a.nii.gz")
    return read_image(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("codes", ["LAS", "RPI", "PSR", "IAL"])
def test_labels_in_another_orientation_are_turned(codes, image, tmp_path):
    labels = nib.Nifti1Image((IMAGE > 50).astype("u1"), AFFINE)
    start = nib.orientations.io_orientation(AFFINE)
    turn = nib.orientations.ornt_transform(start, nib.orientations.axcodes2ornt(codes))
    nib.save(labels.as_reoriented(turn), tmp_path / "b.nii.gz")
    read = read_labels(tmp_path / "b.nii.gz", image.pixels.shape, image)
    np.testing.assert_array_equal(read, image.pixels > 50)


@pytest.mark.parametrize(
    "affine", [np.eye(4), AFFINE + 0.5 * np.eye(4)[:, [3]], np.diag([1.0, 2, 3, 1])]
)
def test_labels_that_lie_elsewhere_are_refused(affine, image, tmp_path):
    affine = affine + np.array([[0, 0, 0, 1]] * 3 + [[0] * 4])
    affine[3] = 0, 0, 0, 1
    nib.save(nib.Nifti1Image((IMAGE > 50).astype("u1"), affine), tmp_path / "b.nii")
    with pytest.raises(ImageFileError, match=r"b\.nii lies elsewhere.*affine of the image\.$"):
        read_labels(tmp_path / "b.nii", image.pixels.shape, image)


def test_labels_without_an_orientation_are_refused(image, tmp_path):
    np.save(tmp_path / "b.npy", IMAGE > 50)
    with pytest.raises(ImageFileError, match=r"no orientation.*NIfTI"):
        read_labels(tmp_path / "b.npy", image.pixels.shape, image)


def test_files_with_two_extensions_are_pairs(tmp_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    (tmp_path / "images" / "a.nii.gz").touch()
    (tmp_path / "labels" / "a.nii").touch()
    ((image, (labels,)),) = from_folders(tmp_path / "images", tmp_path / "labels").pairs
    pair = image, labels
    assert [path.name for path in pair] == ["a.nii.gz", "a.nii"]


def test_a_pair_of_header_and_pixels_is_one_image(tmp_path):
    for name in ("a.hdr", "a.img", "b.mhd", "b.raw", "c.img", "d.nhdr", "d.raw.gz"):
        (tmp_path / name).touch()
    names = [path.name for path in image_files(tmp_path)]
    assert names == ["a.hdr", "b.mhd", "c.img", "d.nhdr"]


def test_labels_with_an_orientation_are_refused_for_an_image_without_one(tmp_path):
    np.save(tmp_path / "a.npy", IMAGE.T)
    image = read_image(tmp_path / "a.npy")
    nib.save(nib.Nifti1Image((IMAGE > 50).astype("u1"), np.eye(4)), tmp_path / "b.nii")
    with pytest.raises(ImageFileError, match="its image does not, so that sides may be exchanged"):
        read_labels(tmp_path / "b.nii", image.pixels.shape, image)
    nib.save(
        nib.Nifti1Image((IMAGE > 50).astype("u1"), np.diag([-1, -1, 1, 1])), tmp_path / "c.nii"
    )
    read = read_labels(tmp_path / "c.nii", image.pixels.shape, image)
    np.testing.assert_array_equal(read, image.pixels > 50)


def test_labels_of_a_single_slice_lie_on_it(tmp_path):
    one, there = IMAGE[..., :1], np.diag([-1.0, -1, 1, 1])
    nib.save(nib.Nifti1Image(one, there), tmp_path / "a.nii")
    image = read_image(tmp_path / "a.nii")
    elsewhere = there + 50 * np.eye(4)[:, [2]] * np.eye(4)[3]
    nib.save(nib.Nifti1Image((one > 50).astype("u1"), elsewhere), tmp_path / "b.nii")
    with pytest.raises(ImageFileError, match="lies elsewhere"):
        read_labels(tmp_path / "b.nii", image.pixels.shape, image)
    np.save(tmp_path / "c.npy", one.T > 50)
    read = read_labels(tmp_path / "c.npy", image.pixels.shape, image)
    np.testing.assert_array_equal(read, image.pixels > 50)
    nib.save(nib.Nifti1Image(one, np.eye(4)), tmp_path / "turned.nii")
    turned = read_image(tmp_path / "turned.nii")
    with pytest.raises(ImageFileError, match="no orientation, but its image does"):
        read_labels(tmp_path / "c.npy", turned.pixels.shape, turned)


@pytest.mark.parametrize("extension", [".nii.gz", ".nii", ".mgz", ".nrrd", ".mha"])
@pytest.mark.parametrize("shape", [(7, 6), (7, 6, 5), (7, 6, 1), (7, 6, 5, 1), (7, 6, 5, 1, 1)])
@pytest.mark.parametrize("unit", ["mm", "micron"])
def test_labels_in_any_format_lie_on_their_image(extension, shape, unit, tmp_path):
    """Also of files with one slice, axes of one entry, and in another unit than the labels."""
    affine = np.array([[0, -0.5, 0, 5], [0.7, 0, 0, -6], [0, 0, 3, 7], [0, 0, 0, 1.0]])
    voxels = np.random.default_rng(0).integers(0, 3, shape).astype("i2")
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii.gz")
    opened = read_image(tmp_path / "a.nii.gz")
    labels = np.asarray(opened.pixels).astype("u1")
    classes = (ClassLabel("größe", "#ff0000"), ClassLabel("肝臓", "#00ff00"))
    write_result(tmp_path / f"b{extension}", labels, opened.axes, opened, classes)
    read = read_labels(tmp_path / f"b{extension}", labels.shape, opened)
    np.testing.assert_array_equal(read, labels)


def test_labels_whose_unit_was_dropped_lie_on_their_image(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 3, (7, 6, 5)).astype("i2")
    image = nib.Nifti1Image(voxels, np.diag([-1, -1, 2, 1.0]))
    image.header.set_xyzt_units("micron")
    nib.save(image, tmp_path / "a.nii")
    nib.save(nib.Nifti1Image(voxels, image.affine), tmp_path / "b.nii")
    opened = read_image(tmp_path / "a.nii")
    read = read_labels(tmp_path / "b.nii", opened.pixels.shape, opened)
    np.testing.assert_array_equal(read, voxels.T)


def test_a_time_of_one_frame_is_no_other_shape(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 3, (7, 6, 5, 1, 2)).astype("i2")
    nib.save(nib.Nifti1Image(voxels, np.diag([-1, -1, 2, 1.0])), tmp_path / "a.nii")
    opened = read_image(tmp_path / "a.nii")
    labels = np.asarray(opened.pixels)[0].astype("u1")
    write_result(tmp_path / "b.nii", labels, "TZYX", opened)
    np.testing.assert_array_equal(read_labels(tmp_path / "b.nii", labels.shape, opened), labels)
