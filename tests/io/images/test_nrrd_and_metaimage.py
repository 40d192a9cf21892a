"""NRRD and MetaImage volumes, against SimpleITK and pynrrd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_emcad.io.checkpoints.classes import ClassLabel
from napari_emcad.io.images.labels import read_labels
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image
from napari_emcad.io.images.read_options import ReadOptions
from napari_emcad.io.images.write import write_array
from napari_emcad.io.images.write_labels import write_result

if TYPE_CHECKING:
    from pathlib import Path

sitk = pytest.importorskip("SimpleITK")
nrrd = pytest.importorskip("nrrd")

EXTENSIONS = (".nrrd", ".nhdr", ".mha", ".mhd")


def rotation(angles) -> np.ndarray:
    transform = sitk.Euler3DTransform()
    transform.SetRotation(*angles)
    return np.array(transform.GetMatrix()).reshape(3, 3)


def volume(shape=(6, 5, 4), kind="i2") -> np.ndarray:
    return np.random.default_rng(0).integers(-1024, 3072, shape).astype(kind)


def save(path: Path, array, direction=None, spacing=(0.5, 0.75, 3.0)) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin((10.0, -20.0, 30.0))
    if direction is not None:
        image.SetDirection(np.asarray(direction).ravel().tolist())
    sitk.WriteImage(image, str(path))
    return image


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.sampled_from(EXTENSIONS),
    st.permutations(range(3)),
    st.tuples(*[st.sampled_from((-1.0, 1.0))] * 3),
    st.tuples(*[st.floats(-0.4, 0.4)] * 3),
    st.sampled_from(["u1", "i2", "u2", "i4", "f4", "f8"]),
)
def test_volumes_of_any_orientation(tmp_path, extension, order, signs, angles, kind):
    direction = rotation(angles) @ np.diag(signs)[:, order]
    image = save(tmp_path / f"a{extension}", volume(kind=kind), direction)
    opened = read_image(tmp_path / f"a{extension}")
    expected = sitk.DICOMOrient(image, "LPS")
    np.testing.assert_array_equal(opened.pixels, sitk.GetArrayFromImage(expected))
    assert (opened.axes, opened.unit, opened.pixels.dtype) == ("ZYX", "mm", np.dtype(kind))
    np.testing.assert_allclose([opened.scale[a] for a in "XYZ"], expected.GetSpacing(), rtol=1e-5)
    for written in ("b.nrrd", "b.mha", "b.nii.gz"):
        labels = (opened.pixels > 1000).astype("u1")
        write_result(tmp_path / written, labels, "ZYX", opened)
        result = sitk.ReadImage(str(tmp_path / written))
        np.testing.assert_array_equal(
            sitk.GetArrayFromImage(result), sitk.GetArrayFromImage(image) > 1000
        )
        np.testing.assert_allclose(result.GetDirection(), image.GetDirection(), atol=1e-5)
        np.testing.assert_allclose(result.GetOrigin(), image.GetOrigin(), rtol=1e-5)
        np.testing.assert_allclose(result.GetSpacing(), image.GetSpacing(), rtol=1e-5)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_pictures(extension, tmp_path):
    array = volume((6, 5))
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.5, 0.75))
    sitk.WriteImage(image, str(tmp_path / f"a{extension}"))
    opened = read_image(tmp_path / f"a{extension}")
    np.testing.assert_array_equal(opened.pixels, array)
    assert (opened.axes, opened.scale) == ("YX", {"X": 0.5, "Y": 0.75})


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("shape", [(6, 5, 3), (4, 6, 5, 3)])
def test_colors(extension, shape, tmp_path):
    array = np.random.default_rng(1).integers(0, 255, shape).astype("u1")
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=True), str(tmp_path / f"a{extension}"))
    if extension in (".nrrd", ".nhdr") and "vector" in str(
        nrrd.read_header(str(tmp_path / f"a{extension}")).get("kinds")
    ):
        with pytest.raises(ImageFileError, match="vector"):
            read_image(tmp_path / f"a{extension}")
        return
    opened = read_image(tmp_path / f"a{extension}")
    np.testing.assert_array_equal(opened.pixels, array)
    assert opened.axes == "ZYXC"[5 - len(shape) - 1 :]


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
def test_nrrds_in_other_spaces(encoding, tmp_path):
    array = volume((5, 6, 7))
    header = {
        "space": "right-anterior-superior",
        "space directions": np.diag([2.0, 3.0, 4.0]),
        "space origin": np.zeros(3),
        "encoding": encoding,
    }
    nrrd.write(str(tmp_path / "a.nrrd"), array, header)
    opened = read_image(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(opened.pixels, array[::-1, ::-1].T)
    assert opened.scale == {"X": 2, "Y": 3, "Z": 4}
    classes = (ClassLabel("liver", "#112233"),)
    write_result(tmp_path / "b.nrrd", (opened.pixels > 0).astype("u1"), "ZYX", opened, classes)
    labels, written = nrrd.read(str(tmp_path / "b.nrrd"))
    np.testing.assert_array_equal(labels, array > 0)
    assert written["space"] == "right-anterior-superior"
    np.testing.assert_array_equal(written["space directions"], header["space directions"])
    assert written["class 1"] == "liver"


@pytest.mark.parametrize("first", [True, False])
def test_a_list_of_volumes_is_time(first, tmp_path):
    array = volume((3, 5, 6, 7))
    none = [np.nan] * 3
    directions = [none, *np.diag([-1.0, -1, 1])] if first else [*np.diag([-1.0, -1, 1]), none]
    header = {
        "space": "RAS",
        "kinds": ["list", *["domain"] * 3] if first else [*["domain"] * 3, "list"],
        "space directions": np.array(directions),
        "space origin": np.zeros(3),
    }
    nrrd.write(str(tmp_path / "a.nrrd"), array if first else np.moveaxis(array, 0, -1), header)
    opened = read_image(tmp_path / "a.nrrd")
    assert opened.axes == "TZYX"
    np.testing.assert_array_equal(opened.pixels, array.transpose(0, 3, 2, 1))


def test_an_nrrd_without_orientation_is_read_as_it_lies(tmp_path):
    array = volume((5, 6, 7))
    nrrd.write(str(tmp_path / "a.nrrd"), array, {"spacings": [1.0, 2.0, 3.0]})
    opened = read_image(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(opened.pixels, array.T)
    assert (opened.axes, opened.scale) == ("ZYX", {"X": 1, "Y": 2, "Z": 3})
    assert "no orientation" in opened.note
    with pytest.raises(ImageFileError, match="--slices"):
        read_image(tmp_path / "a.nrrd", ReadOptions(plane="sagittal"))


def test_segmentations_of_slicer_are_labels(tmp_path):
    header = {"space": "LPS", "space directions": np.eye(3), "Segment0_ID": "Segment_1"}
    nrrd.write(str(tmp_path / "a.nrrd"), volume(kind="u1"), header)
    assert read_image(tmp_path / "a.nrrd").is_labels


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("content", [b"", b"hello", b"NRRD0004\ntype: float\n", b"ObjectType = Im"])
def test_damaged_files(extension, content, tmp_path):
    (tmp_path / f"a{extension}").write_bytes(content)
    with pytest.raises(ImageFileError, match=r"damaged.*copy it again\.$"):
        read_image(tmp_path / f"a{extension}")


def test_tensors_are_refused(tmp_path):
    header = {"kinds": ["3D-symmetric-matrix", "space", "space", "space"]}
    nrrd.write(str(tmp_path / "a.nrrd"), volume((6, 5, 4, 3)), header)
    with pytest.raises(ImageFileError, match="3D-symmetric-matrix"):
        read_image(tmp_path / "a.nrrd")


# -- labels of files without an orientation


@pytest.mark.parametrize(
    ("extension", "color"), [*((one, False) for one in EXTENSIONS), (".mha", True), (".mhd", True)]
)
def test_labels_of_a_flat_file_are_flat_and_in_its_place(extension, color, tmp_path):
    image = sitk.GetImageFromArray(volume((6, 5, 3) if color else (6, 5), "u1"), isVector=color)
    image.SetSpacing((0.5, 0.75))
    image.SetOrigin((3.0, -4.0))
    image.SetDirection((0.0, 1.0, 1.0, 0.0))
    sitk.WriteImage(image, str(tmp_path / f"a{extension}"))
    opened = read_image(tmp_path / f"a{extension}")
    labels = volume((6, 5), "u1") % 3
    written_as = ".nrrd" if extension in (".nrrd", ".nhdr") else ".mha"
    write_result(tmp_path / f"b{written_as}", labels, "YX", opened)
    written = sitk.ReadImage(str(tmp_path / f"b{written_as}"))
    assert written.GetSize() == image.GetSize()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(written), labels)
    for get in ("GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(written, get)(), getattr(image, get)())
    np.testing.assert_array_equal(read_labels(tmp_path / f"b{written_as}", (6, 5), opened), labels)
    chances = np.random.default_rng(0).random((2, 6, 5)).astype("f4")
    write_result(tmp_path / f"c{written_as}", chances, "CYX", opened)
    written = sitk.ReadImage(str(tmp_path / f"c{written_as}"))
    found = sitk.GetArrayFromImage(written)  # ITK takes the list of a NRRD for components
    found = np.moveaxis(found, -1, 0) if written_as == ".nrrd" else found
    np.testing.assert_array_equal(found, chances)
    np.testing.assert_allclose(written.GetOrigin()[:2], image.GetOrigin())


@pytest.mark.parametrize(
    "fields",
    [
        {
            "space dimension": 3,
            "space directions": np.diag([0.5, -0.75, 3.0]),
            "space origin": np.array([1.0, 2.0, 3.0]),
            "space units": ["um"] * 3,
        },
        {
            "space": "scanner-xyz",
            "space directions": np.array([[0, 0.5, 0], [0.75, 0, 0], [0, 0, 3.0]]),
            "space origin": np.array([1.0, 2.0, 3.0]),
        },
        {"spacings": np.array([0.5, 0.75, 3.0]), "axis mins": np.array([7.0, 8.0, 9.0])},
    ],
)
@pytest.mark.parametrize("times", [None, "first", "last"])
def test_labels_of_an_unknown_space_keep_their_origin(fields, times, tmp_path):
    pixels, header, shape = volume(), dict(fields), (6, 5, 4)
    if times:
        where = 0 if times == "first" else 3
        pixels = np.stack([pixels, pixels + 1], where)
        header["kinds"] = np.insert(np.array(["domain"] * 3, object), where, "list").tolist()
        for name in ("space directions", "spacings", "axis mins"):
            if name in header:
                header[name] = np.insert(header[name], where, np.nan, axis=0)
    nrrd.write(str(tmp_path / "a.nrrd"), pixels, header)
    opened = read_image(tmp_path / "a.nrrd")
    assert opened.geometry is None
    labels = (np.asarray(opened.pixels) % 3).astype("u1")
    write_result(tmp_path / "b.nrrd", labels, opened.axes, opened)
    voxels, written = nrrd.read(str(tmp_path / "b.nrrd"))
    expected = np.moveaxis(pixels, 0, -1) if times == "first" else pixels
    np.testing.assert_array_equal(voxels, expected % 3)
    for name, values in fields.items():
        if name in ("space directions", "spacings", "axis mins"):
            np.testing.assert_allclose(np.asarray(written[name], float)[: len(shape)], values)
        else:
            np.testing.assert_array_equal(written[name], values)
    again = read_image(tmp_path / "b.nrrd")
    assert (again.axes, again.scale, again.unit) == (opened.axes, opened.scale, opened.unit)


@pytest.mark.parametrize(
    ("field", "unit"), [("nm", "nm"), ("micrometers", "µm"), ("cm", "cm"), ("", "mm")]
)
def test_units_of_nrrd(field, unit, tmp_path):
    header = {"space": "RAS", "space directions": np.eye(3), "space origin": [0, 0, 0]}
    nrrd.write(str(tmp_path / "a.nrrd"), volume(), header | {"space units": [field] * 3})
    assert read_image(tmp_path / "a.nrrd").unit == unit
    units = [field, field, "s"]
    header = {"spacings": [2.0, 3.0, 1.0], "units": units, "kinds": ["domain", "domain", "time"]}
    nrrd.write(str(tmp_path / "b.nrrd"), volume(), header)
    assert read_image(tmp_path / "b.nrrd").unit == unit


@pytest.mark.parametrize("units", [["mm", "mm", "um"], ["furlong"] * 3])
def test_other_units_of_nrrd_are_refused(units, tmp_path):
    header = {"space": "RAS", "space directions": np.eye(3), "space origin": [0, 0, 0]}
    nrrd.write(str(tmp_path / "a.nrrd"), volume(), header | {"space units": units})
    with pytest.raises(ImageFileError, match="one unit of length"):
        read_image(tmp_path / "a.nrrd")


@pytest.mark.parametrize("name", ["b.mha", "b.mgz", "b.nii", "b.nrrd"])
@pytest.mark.parametrize("axes", ["YX", "ZYX"])
def test_micrometers_are_not_written_as_millimeters(name, axes, tmp_path):
    labels = np.ones((2, 6, 5)[3 - len(axes) :], "u1")
    write_array(tmp_path / "a.tif", labels, axes, dict.fromkeys(axes, 0.5), "µm")
    opened = read_image(tmp_path / "a.tif")
    write_result(tmp_path / name, labels, axes, opened)
    written = read_image(tmp_path / name)
    factor = {"mm": 1e-3, "µm": 1.0}[written.unit]
    assert written.scale["X"] == pytest.approx(0.5 * factor)


def test_a_direction_of_no_length_is_refused_with_the_name(tmp_path):
    header = {"space": "LPS", "space directions": np.diag([1, 2, 0.0]), "space origin": [0, 0, 0]}
    nrrd.write(str(tmp_path / "a.nrrd"), volume(), header)
    with pytest.raises(ImageFileError, match=r"a\.nrrd: the affine matrix"):
        read_image(tmp_path / "a.nrrd")


def test_a_space_with_time_has_the_orientation_of_the_space(tmp_path):
    array = volume((4, 5, 6))
    directions = np.zeros((4, 4))
    directions[:3, :3] = np.diag([0.5, 0.75, 3.0])[[1, 0, 2]]
    directions[3, 3] = 2.0
    header = {
        "space": "left-posterior-superior-time",
        "space directions": directions,
        "space origin": np.array([1.0, 2, 3, 0]),
        "kinds": ["domain"] * 3 + ["time"],
    }
    nrrd.write(str(tmp_path / "t.nrrd"), np.stack([array, array + 1], -1), header)
    header = {
        "space": "left-posterior-superior",
        "space directions": directions[:3, :3],
        "space origin": np.array([1.0, 2, 3]),
    }
    nrrd.write(str(tmp_path / "a.nrrd"), array, header)
    opened, one = read_image(tmp_path / "t.nrrd"), read_image(tmp_path / "a.nrrd")
    assert opened.axes == "TZYX"
    np.testing.assert_array_equal(opened.pixels[0], one.pixels)
    np.testing.assert_array_equal(opened.geometry.affine, one.geometry.affine)
    write_result(tmp_path / "l.nrrd", np.ones(opened.pixels.shape, "u1"), "TZYX", opened)
    again = read_image(tmp_path / "l.nrrd")
    np.testing.assert_allclose(again.geometry.affine, one.geometry.affine)
