"""NIfTI, MGH and Analyze volumes, against nibabel and SimpleITK."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_emcad.io.checkpoints.classes import ClassLabel
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image
from napari_emcad.io.images.read_options import PLANES, ReadOptions
from napari_emcad.io.images.rescale import rescale
from napari_emcad.io.images.write_labels import write_result

if TYPE_CHECKING:
    from pathlib import Path

nib = pytest.importorskip("nibabel")

OBLIQUE = nib.affines.from_matvec(
    nib.eulerangles.euler2mat(0.1, -0.2, 0.15) @ np.diag([-0.78, 0.77, 2.45]), [120.0, -80.0, 33.0]
)
"""Affine of an oblique acquisition, in mm."""


def volume(shape=(9, 8, 7), kind="i2", seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1024, 3072, shape).astype(kind)


def save(folder: Path, array, affine=OBLIQUE, name="a.nii.gz", image_type=None) -> Path:
    nib.save((image_type or nib.Nifti1Image)(array, affine), folder / name)
    return folder / name


@st.composite
def affines(draw) -> np.ndarray:
    """Return an affine of any orientation: permuted, mirrored, rotated by up to 25 degrees."""
    order = draw(st.permutations(range(3)))
    signs = draw(st.tuples(*[st.sampled_from((-1.0, 1.0))] * 3))
    sizes = draw(st.tuples(*[st.floats(0.2, 6)] * 3))
    angles = draw(st.tuples(*[st.floats(-0.4, 0.4)] * 3))
    affine = nib.affines.from_matvec(
        nib.eulerangles.euler2mat(*angles) @ np.diag(signs)[:, order] @ np.diag(sizes),
        draw(st.tuples(*[st.floats(-300, 300)] * 3)),
    )
    return np.float32(affine).astype(float)


@pytest.mark.parametrize("codes", ["".join(a + b + c) for a in "LR" for b in "AP" for c in "IS"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
def test_axial_slices_count_to_the_head_rows_to_the_back_columns_to_the_left(
    codes, order, tmp_path
):
    lps = np.arange(4 * 3 * 2).reshape(4, 3, 2)
    image = nib.Nifti1Image(lps.astype("i2"), np.diag([-1.0, -2.0, 3.0, 1.0]))
    target = nib.orientations.axcodes2ornt([codes[axis] for axis in order])
    start = nib.orientations.io_orientation(image.affine)
    nib.save(
        image.as_reoriented(nib.orientations.ornt_transform(start, target)), tmp_path / "a.nii"
    )
    opened = read_image(tmp_path / "a.nii")
    np.testing.assert_array_equal(opened.pixels, lps.T)
    assert (opened.axes, opened.scale, opened.unit) == ("ZYX", {"Z": 3, "Y": 2, "X": 1}, "mm")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(affines(), st.sampled_from(PLANES), st.sampled_from(["u1", "i2", "u2", "i4", "f4", "f8"]))
def test_every_voxel_lies_where_nibabel_says(tmp_path, affine, plane, kind):
    array = volume((4, 5, 6), kind)
    opened = read_image(save(tmp_path, array, affine), ReadOptions(plane=plane))
    geometry, voxel = opened.geometry, np.array([1, 3, 2])
    assert opened.pixels.dtype == np.dtype(kind)
    place = geometry.view_affine @ [*voxel, 1]
    index = tuple(np.rint(np.linalg.inv(affine) @ place)[:3].astype(int))
    assert opened.pixels[tuple(voxel)] == array[index]
    np.testing.assert_array_equal(geometry.to_file(opened.pixels), array)
    codes = nib.aff2axcodes(geometry.view_affine)
    assert "".join(codes) == {"axial": "SPL", "coronal": "PIL", "sagittal": "LIP"}[plane]
    np.testing.assert_allclose(
        [opened.scale[axis] for axis in "ZYX"], nib.affines.voxel_sizes(geometry.view_affine)
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(affines(), st.sampled_from(PLANES), st.sampled_from([".nii", ".nii.gz", ".mgz"]))
def test_labels_come_back_to_the_voxel(tmp_path, affine, plane, extension):
    array = volume((4, 5, 6))
    opened = read_image(save(tmp_path, array, affine), ReadOptions(plane=plane))
    labels = (opened.pixels > 1000).astype(np.uint8)
    write_result(tmp_path / f"labels{extension}", labels, "ZYX", opened)
    written, original = nib.load(tmp_path / f"labels{extension}"), nib.load(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(np.asarray(written.dataobj), array > 1000)
    np.testing.assert_allclose(written.affine, original.affine, atol=1e-4)
    assert written.get_data_dtype() == np.uint8


def test_slices_agree_with_simpleitk(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    path = save(tmp_path, volume(), OBLIQUE)
    expected = sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS")
    opened = read_image(path)
    np.testing.assert_array_equal(opened.pixels, sitk.GetArrayFromImage(expected))
    sizes = [opened.scale[axis] for axis in "XYZ"]
    np.testing.assert_allclose(sizes, expected.GetSpacing(), rtol=1e-5)


@pytest.mark.parametrize("image_type", ["Nifti1Image", "Nifti2Image", "MGHImage"])
def test_other_kinds_of_volumes(image_type, tmp_path):
    name = "a.mgz" if image_type == "MGHImage" else "a.nii"
    array = volume()
    opened = read_image(save(tmp_path, array, OBLIQUE, name, getattr(nib, image_type)))
    np.testing.assert_array_equal(opened.geometry.to_file(opened.pixels), array)
    np.testing.assert_allclose(opened.geometry.affine, OBLIQUE, atol=1e-4)


@pytest.mark.parametrize("image_type", ["Nifti1Pair", "AnalyzeImage", "Spm99AnalyzeImage"])
@pytest.mark.parametrize("name", ["a.hdr", "a.img"])
def test_pairs_of_files(image_type, name, tmp_path):
    array = volume()
    nib.save(getattr(nib, image_type)(array, np.diag([-1, 2, 3, 1.0])), tmp_path / "a.img")
    opened = read_image(tmp_path / name)
    np.testing.assert_array_equal(opened.pixels, array[:, ::-1].T)
    assert ("not certain" in opened.note) == (image_type == "AnalyzeImage" or "Spm" in image_type)


def test_slope_and_intercept_are_applied(tmp_path):
    image = nib.Nifti1Image(volume(kind="i2"), OBLIQUE)
    image.header.set_slope_inter(0.5, -3)
    content = bytearray(image.to_bytes())
    content[112:120] = np.array([0.5, -3], "<f4").tobytes()
    (tmp_path / "a.nii").write_bytes(content)
    opened = read_image(tmp_path / "a.nii")
    expected = nib.load(tmp_path / "a.nii").get_fdata()
    np.testing.assert_array_equal(opened.geometry.to_file(opened.pixels), expected)


@given(
    st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4"]),
    st.integers(-300, 300) | st.floats(-3, 3),
    st.integers(-70_000, 70_000),
)
def test_rescaled_numbers_are_exact(kind, slope, intercept):
    limits = np.iinfo(kind)
    stored = np.array([limits.min, 0, 1, 100, limits.max], kind)
    expected = stored.astype(np.float64) * slope + intercept
    np.testing.assert_allclose(rescale(stored, slope, intercept), expected, rtol=1e-6, atol=1e-3)
    if float(slope).is_integer():
        np.testing.assert_array_equal(rescale(stored, slope, intercept), expected)


def test_a_fourth_axis_is_time_and_labels_keep_it(tmp_path):
    array = volume((5, 6, 4, 3))
    opened = read_image(save(tmp_path, array))
    assert (opened.axes, opened.pixels.shape) == ("TZYX", (3, 4, 6, 5))
    assert "--axes CZYX" in opened.remark()
    assert "time" not in opened.remark("CZYX")
    write_result(tmp_path / "b.nii", (opened.pixels > 0).astype("u1"), "TZYX", opened)
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "b.nii").dataobj), array > 0)
    labels = (opened.pixels[0] > 0).astype("u1")
    write_result(tmp_path / "c.nii", labels, "ZYX", opened)
    np.testing.assert_array_equal(
        np.asarray(nib.load(tmp_path / "c.nii").dataobj), array[..., 0] > 0
    )


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1), (5, 6, 4, 1), (5, 6, 4, 1, 1), (5, 6, 1, 3)])
def test_labels_have_the_shape_of_the_file(shape, tmp_path):
    opened = read_image(save(tmp_path, volume(shape)))
    labels = (opened.pixels > 0).astype("u1")
    write_result(tmp_path / "b.nii.gz", labels, opened.axes, opened)
    assert nib.load(tmp_path / "b.nii.gz").shape == shape


def test_a_fifth_axis_is_channels(tmp_path):
    array = volume((5, 6, 4, 1, 2))
    opened = read_image(save(tmp_path, array))
    assert opened.axes == "CTZYX"
    np.testing.assert_array_equal(opened.pixels[1, 0], array[:, ::-1, :, 0, 1].T[:, :, ::1])


def test_a_single_slice_is_shown_as_it_was_acquired(tmp_path):
    coronal = read_image(save(tmp_path, volume((9, 1, 8)), np.diag([1, 1, 1, 1.0])))
    assert coronal.pixels.shape == (1, 8, 9)
    assert "coronal" in coronal.note


def test_rgb_voxels_are_colors(tmp_path):
    colors = np.random.default_rng(1).integers(0, 255, (5, 6, 4, 3)).astype("u1")
    packed = colors.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    opened = read_image(save(tmp_path, packed, np.diag([-1, -1, 1, 1.0])))
    assert opened.axes == "ZYXC"
    np.testing.assert_array_equal(opened.pixels, colors.transpose(2, 1, 0, 3))


@pytest.mark.parametrize(
    ("unit", "expected"), [("mm", "mm"), ("micron", "µm"), ("meter", "m"), ("unknown", "mm")]
)
def test_the_unit_is_kept(unit, expected, tmp_path):
    image = nib.Nifti1Image(volume(), OBLIQUE)
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii")
    opened = read_image(tmp_path / "a.nii")
    assert opened.unit == expected
    write_result(tmp_path / "b.nii", (opened.pixels > 0).astype("u1"), "ZYX", opened)
    assert nib.load(tmp_path / "b.nii").header.get_xyzt_units()[0] == unit


def test_label_files_say_so_and_name_their_classes(tmp_path):
    opened = read_image(save(tmp_path, volume()))
    assert not opened.is_labels
    classes = (ClassLabel("liver", "#112233"),)
    write_result(tmp_path / "b.nii", (opened.pixels > 0).astype("u1"), "ZYX", opened, classes)
    assert read_image(tmp_path / "b.nii").is_labels
    assert b"1 liver" in nib.load(tmp_path / "b.nii").header["descrip"].item()


def test_codes_of_the_orientation_are_kept(tmp_path):
    image = nib.Nifti1Image(volume(), None)
    image.header["pixdim"][1:4] = 2, 3, 4
    image.header.set_qform(None, 0)
    nib.save(image, tmp_path / "a.nii")
    opened = read_image(tmp_path / "a.nii")
    assert "not certain" in opened.note
    write_result(tmp_path / "b.nii", (opened.pixels > 0).astype("u1"), "ZYX", opened)
    before, after = (nib.load(tmp_path / name) for name in ("a.nii", "b.nii"))
    np.testing.assert_array_equal(after.affine, before.affine)
    assert (after.header["qform_code"], after.header["sform_code"]) == (0, 0)


def test_a_qform_that_differs_is_pointed_out(tmp_path):
    image = nib.Nifti1Image(volume(), np.diag([1, 1, 1, 1.0]))
    image.set_qform(np.diag([-1, -1, 1, 1.0]), 1)
    image.set_sform(np.diag([1, 1, 1, 1.0]), 1)
    nib.save(image, tmp_path / "a.nii")
    assert "qform and sform differ" in read_image(tmp_path / "a.nii").note


# -- refusals


@pytest.fixture
def refused():
    def refused(path: Path, *words: str, options: ReadOptions | None = None) -> None:
        with pytest.raises(ImageFileError) as error:
            read_image(path, options)
        message = str(error.value)
        assert message.splitlines() == [message]
        assert message.endswith(".")
        assert path.name in message
        for word in words:
            assert word in message

    return refused


def test_complex_numbers(refused, tmp_path):
    refused(save(tmp_path, volume().astype("c8")), "complex", "magnitude")


def test_displacements(refused, tmp_path):
    image = nib.Nifti1Image(volume((4, 4, 4, 1, 3), "f4"), OBLIQUE)
    image.header.set_intent("displacement vector")
    nib.save(image, tmp_path / "a.nii")
    refused(tmp_path / "a.nii", "displacements")


def test_a_singular_affine(refused, tmp_path):
    image = nib.Nifti1Image(volume(), None)
    image.header.set_sform(np.diag([1, 1, 0, 1.0]), 1)
    nib.save(image, tmp_path / "a.nii")
    refused(tmp_path / "a.nii", "affine", "correct the header")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mgz", "a.hdr", "a.img"])
@pytest.mark.parametrize(
    "content",
    [b"", b"hello", gzip.compress(b"hello", mtime=0), b"\0" * 400],
    ids=["empty", "text", "packed text", "zeros"],
)
def test_damaged_files(name, content, refused, tmp_path):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, "damaged")


def test_a_truncated_file(refused, tmp_path):
    path = save(tmp_path, volume((20, 20, 20)), name="a.nii")
    path.write_bytes(path.read_bytes()[:-100])
    refused(path, "damaged")


def test_a_plane_of_an_image_without_orientation(refused, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((8, 30, 30)))
    refused(tmp_path / "a.npy", "--slices", options=ReadOptions(plane="coronal"))


def test_a_missing_library(refused, tmp_path, monkeypatch):
    path = save(tmp_path, volume())
    monkeypatch.setitem(__import__("sys").modules, "nibabel", None)
    refused(path, 'pip install "napari-emcad[medical]"', "nibabel")
