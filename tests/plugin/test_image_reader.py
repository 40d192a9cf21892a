"""Medical images in the window: layers with scale, units, axes and metadata."""

from __future__ import annotations

import npe2
import numpy as np
import pytest

from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.plugin.image_reader import image_reader

nib = pytest.importorskip("nibabel")
sitk = pytest.importorskip("SimpleITK")
h5py = pytest.importorskip("h5py")

OBLIQUE = nib.affines.from_matvec(
    nib.eulerangles.euler2mat(0.1, -0.2, 0.15) @ np.diag([0.8, -0.7, 2.5]), [12.0, -8.0, 33.0]
)
VOXELS = np.random.default_rng(0).integers(-1000, 1000, (40, 32, 6)).astype("i2")


@pytest.fixture
def ct(tmp_path):
    image = nib.Nifti1Image(VOXELS, OBLIQUE)
    image.header.set_xyzt_units("mm")
    nib.save(image, tmp_path / "ct.nii.gz")
    return tmp_path / "ct.nii.gz"


def test_a_volume_opens_with_scale_units_and_axes(viewer, ct):
    (layer,) = viewer.open(ct, plugin="napari-emcad")
    assert (layer.name, layer.axis_labels, layer.rgb) == ("ct", ("Z", "Y", "X"), False)
    np.testing.assert_allclose(layer.scale, (2.5, 0.7, 0.8), rtol=1e-5)
    assert [str(unit) for unit in layer.units] == ["millimeter"] * 3
    np.testing.assert_array_equal(layer.data, VOXELS[::-1].T)


def test_the_metadata_places_the_array_where_the_image_lies(viewer, ct, tmp_path):
    (layer,) = viewer.open(ct, plugin="napari-emcad")
    copy = sitk.GetImageFromArray(np.ascontiguousarray(layer.data))
    copy.SetSpacing(layer.metadata["spacing"])
    copy.SetOrigin(layer.metadata["origin"])
    copy.SetDirection(layer.metadata["direction"])
    expected = sitk.DICOMOrient(sitk.ReadImage(str(ct)), "LPS")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(copy), sitk.GetArrayFromImage(expected))
    np.testing.assert_allclose(copy.GetOrigin(), expected.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(copy.GetDirection(), expected.GetDirection(), atol=1e-5)
    np.testing.assert_allclose(copy.GetSpacing(), expected.GetSpacing(), rtol=1e-5)


def test_the_affine_is_that_of_the_transposed_array(viewer, ct, tmp_path):
    (layer,) = viewer.open(ct, plugin="napari-emcad")
    copy = nib.Nifti1Image(np.transpose(layer.data, (2, 1, 0)), layer.metadata["affine"])
    expected = nib.as_closest_canonical(nib.load(ct))
    canonical = nib.as_closest_canonical(copy)
    np.testing.assert_array_equal(canonical.dataobj, np.asarray(expected.dataobj))
    np.testing.assert_allclose(canonical.affine, expected.affine, atol=1e-4)


def test_the_writer_of_napari_nifti_places_labels_where_the_image_lies(viewer, ct, tmp_path):
    writer = pytest.importorskip("napari_nifti._writer")
    (layer,) = viewer.open(ct, plugin="napari-emcad")
    labels = (layer.data > 500).astype("u1")
    writer.write_single_image(str(tmp_path / "b.nii.gz"), labels, {"metadata": layer.metadata})
    written = nib.as_closest_canonical(nib.load(tmp_path / "b.nii.gz"))
    expected = nib.as_closest_canonical(nib.load(ct))
    np.testing.assert_array_equal(written.dataobj, np.asarray(expected.dataobj) > 500)
    np.testing.assert_allclose(written.affine, expected.affine, atol=1e-4)


def test_labels_open_as_labels_if_the_file_says_so(viewer, tmp_path):
    image = nib.Nifti1Image((VOXELS > 0).astype("u1"), OBLIQUE)
    nib.save(image, tmp_path / "mask.nii")
    image.header.set_intent("label")
    nib.save(image, tmp_path / "labels.nii")
    assert viewer.open(tmp_path / "mask.nii", plugin="napari-emcad")[0]._type_string == "image"
    assert viewer.open(tmp_path / "labels.nii", plugin="napari-emcad")[0]._type_string == "labels"


def test_series_of_a_folder_are_layers(tmp_path, write_series):
    for number in (2, 7):
        write_series(
            tmp_path / "scan", VOXELS.T + np.int16(number), first=number, SeriesNumber=number,
            SeriesDescription=f"phase {number}",
        )  # fmt: skip
    layers = npe2.read([str(tmp_path / "scan")], stack=False, plugin_name="napari-emcad")
    names = [attributes["name"] for _, attributes, _ in layers]
    assert names == ["scan_2_phase_2", "scan_7_phase_7"]
    for (data, attributes, _), number in zip(layers, (2, 7), strict=True):
        np.testing.assert_array_equal(data, VOXELS.T + number)
        assert attributes["scale"] == pytest.approx((2.5, 0.7, 0.8))


def test_other_folders_are_left_to_other_readers(tmp_path):
    np.save(tmp_path / "a.npy", VOXELS)
    assert image_reader(str(tmp_path)) is None


def test_channels_and_times(viewer, tmp_path):
    nib.save(nib.Nifti1Image(np.stack([VOXELS] * 3, -1), OBLIQUE), tmp_path / "t.nii")
    (layer,) = viewer.open(tmp_path / "t.nii", plugin="napari-emcad")
    assert layer.axis_labels == ("T", "Z", "Y", "X")
    assert layer.scale[0] == 1
    assert str(layer.units[0]) == "pixel"


def test_arrays_by_name_or_a_reason(viewer, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image"], file["label"] = VOXELS, VOXELS > 0
    (layer,) = viewer.open(tmp_path / "a.h5", plugin="napari-emcad")
    np.testing.assert_array_equal(layer.data, VOXELS)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["one"], file["two"] = VOXELS, VOXELS
    read = image_reader(str(tmp_path / "b.h5"))
    with pytest.raises(ImageFileError, match="one 40×32×6"):
        read(str(tmp_path / "b.h5"))


def test_a_result_and_an_annotation_carry_the_metadata(viewer, dock, ct, finish, qtbot):
    (layer,) = viewer.open(ct, plugin="napari-emcad")
    panel = dock(viewer)
    from driving import press

    from napari_emcad.plugin.annotations.layer import new_annotation

    annotation = new_annotation(layer, "ZYX")
    np.testing.assert_array_equal(annotation.metadata["affine"], layer.metadata["affine"])
    viewer.layers.selection.active = layer
    press(qtbot, panel.segment.panel._run)
    finish(panel)
    result = viewer.layers[-1]
    assert result._type_string == "labels"
    for key in ("affine", "spacing", "origin", "direction"):
        np.testing.assert_array_equal(result.metadata[key], layer.metadata[key])
    assert result.metadata["napari-emcad"]["kind"] == "segmentation"


def test_ome_zarr_opens_with_levels_units_and_axes(viewer, tmp_path):
    zarr = pytest.importorskip("zarr")
    array = np.random.default_rng(0).integers(0, 255, (2, 3, 40, 64), np.uint8)
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    datasets = []
    for level in (0, 1):
        factor = 2**level
        group.create_array(str(level), data=array[..., ::factor, ::factor])
        transform = {"type": "scale", "scale": [1, 2, 0.5 * factor, 0.25 * factor]}
        datasets.append({"path": str(level), "coordinateTransformations": [transform]})
    space = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    axes = [{"name": "c", "type": "channel"}, *space]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    layers = viewer.open(tmp_path / "a.zarr", plugin="napari-emcad")
    assert len(layers) == 2
    for channel, layer in enumerate(layers):
        assert layer.multiscale
        assert [level.shape for level in layer.data] == [(3, 40, 64), (3, 20, 32)]
        assert layer.axis_labels == ("Z", "Y", "X")
        np.testing.assert_allclose(layer.scale, (2, 0.5, 0.25))
        assert {str(unit) for unit in layer.units} == {"micrometer"}
        np.testing.assert_array_equal(np.asarray(layer.data[0]), array[channel])
