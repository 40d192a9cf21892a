"""Labels as OME-Zarr: levels, names, colors and sizes; beside an image, or in its labels group."""

from __future__ import annotations

import numpy as np
import pytest
from ngff import AXES, halved, write_group

from napari_emcad.cli import main
from napari_emcad.io.checkpoints.classes import ClassLabel
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image
from napari_emcad.io.images.read_options import ReadOptions
from napari_emcad.io.images.write_labels import write_result
from napari_emcad.io.images.zarr_writer import write_zarr_labels

zarr = pytest.importorskip("zarr")

LABELS = np.random.default_rng(0).integers(0, 3, (2, 300, 520), np.uint16)
CLASSES = (ClassLabel("cell", "#ff8000"), ClassLabel("crack", "#0000ff"))
SCALE = {"Z": 2.0, "Y": 0.5, "X": 0.25}


def test_labels_come_back_with_levels_names_and_sizes(tmp_path):
    path = tmp_path / "a.zarr"
    write_zarr_labels(path, LABELS, "ZYX", SCALE, "µm", CLASSES)
    for level, factor in ((0, 1), (1, 2), (2, 4)):
        opened = read_image(path, ReadOptions(level=level))
        assert opened.is_labels
        assert opened.axes == "ZYX"
        assert (opened.scale, opened.unit) == (
            SCALE | {"Y": 0.5 * factor, "X": 0.25 * factor},
            "µm",
        )
        np.testing.assert_array_equal(np.asarray(opened.pixels), LABELS[:, ::factor, ::factor])
    with pytest.raises(ImageFileError, match="levels are 0"):
        read_image(path, ReadOptions(level=3))
    ome = zarr.open_group(path).attrs["ome"]
    assert ome["version"] == "0.5"
    assert ome["image-label"]["colors"][0] == {"label-value": 1, "rgba": [255, 128, 0, 255]}
    assert ome["image-label"]["properties"][1] == {"label-value": 2, "name": "crack"}
    assert zarr.open_group(path)["0"].metadata.dimension_names == ("z", "y", "x")
    assert [one.name for one in tmp_path.iterdir()] == ["a.zarr"]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_labels_group_of_an_image_gets_them(version, tmp_path):
    path = tmp_path / "a.zarr"
    write_group(path, halved(np.zeros((2, 2, 300, 520), np.uint8)), version)
    write_group(path / "labels" / "other", [LABELS], version, AXES[1:], (2, 1, 1))
    names = {"labels": ["other"]}
    group = zarr.open_group(path / "labels", mode="a", zarr_format=3 if version == "0.5" else 2)
    group.attrs.update({"ome": names} if version == "0.5" else names)
    for labels in (LABELS, LABELS[:, ::-1]):
        write_zarr_labels(path, labels, "ZYX", SCALE, "µm", CLASSES)
        wanted = ReadOptions(as_labels=True, label_key="emcad")
        opened = read_image(path, wanted)
        np.testing.assert_array_equal(np.asarray(opened.pixels), labels)
        assert opened.scale == SCALE
        other = read_image(path, ReadOptions(as_labels=True, label_key="other"))
        np.testing.assert_array_equal(np.asarray(other.pixels), LABELS)
    assert read_image(path).pixels.shape == (2, 2, 300, 520)
    assert {one.name for one in (path / "labels").iterdir()} >= {"other", "emcad"}
    assert not list((path / "labels").glob(".napari-emcad-*"))


def test_axes_that_ome_zarr_lacks_are_refused(tmp_path):
    with pytest.raises(ImageFileError, match="no axes AYX"):
        write_zarr_labels(tmp_path / "a.zarr", LABELS, "AYX", {}, "pixel")
    assert not list(tmp_path.iterdir())


def test_labels_of_an_ome_zarr_image_are_ome_zarr(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plane = np.zeros((64, 96), np.uint8)
    plane[20:40, 30:60] = 200
    write_group(tmp_path / "a.zarr", [plane], axes=AXES[2:], sizes=(0.5, 0.25))
    assert main(["segment", "a.zarr"]) == 0
    beside = read_image(tmp_path / "a_labels.zarr")
    assert beside.is_labels
    assert (beside.scale, beside.unit) == ({"Y": 0.5, "X": 0.25}, "µm")
    assert main(["segment", "a.zarr", "--output", "a.zarr", "--probabilities"]) == 0
    inside = read_image(tmp_path / "a.zarr", ReadOptions(as_labels=True))
    np.testing.assert_array_equal(np.asarray(inside.pixels), np.asarray(beside.pixels))
    assert (tmp_path / "a_probabilities.tif").exists()
    assert main(["segment", "a.zarr", "--output", "a.zarr"]) == 2
    assert main(["segment", "a.zarr", "--output", "a.zarr", "--overwrite"]) == 0
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr" / "notes.txt").write_text("mine")
    assert main(["segment", "a.zarr", "--output", "mine.zarr", "--overwrite"]) == 2
    assert (tmp_path / "mine.zarr" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("unit", [{}, {"unit": "picometer"}])
def test_labels_in_the_group_of_an_image_lie_on_it(version, unit, tmp_path):
    path = tmp_path / "a.zarr"
    axes = [AXES[0], *({"name": name, "type": "space"} | unit for name in "zyx")]
    group = write_group(path, halved(np.zeros((2, 2, 300, 520), np.uint8)), version, axes)
    metadata = group.attrs.asdict()
    multiscale = metadata.get("ome", metadata)["multiscales"][0]
    shift = {"type": "translation", "translation": [0, 10, 20, 30]}
    for dataset in multiscale["datasets"]:
        dataset["coordinateTransformations"].append(shift)
    multiscale["coordinateTransformations"] = [{"type": "scale", "scale": [1, 1, 2, 2]}]
    group.attrs.update(metadata)
    write_zarr_labels(path, LABELS[:, ::2, ::2], "ZYX", {}, "pixel", CLASSES)
    metadata = zarr.open_group(path / "labels" / "emcad").attrs.asdict()
    written = metadata.get("ome", metadata)["multiscales"][0]
    scale, translation = written["datasets"][0]["coordinateTransformations"]
    assert scale["scale"] == [2, 2, 1]
    assert translation["translation"] == [10, 40, 60]
    assert written["axes"] == axes[1:]


def test_labels_of_a_converted_file_are_those_of_the_image_that_is_read(tmp_path):
    path = tmp_path / "a.zarr"
    zarr.open_group(path, mode="w").attrs["ome"] = {"bioformats2raw.layout": 3}
    for number in ("0", "1"):
        write_group(path / number, [np.zeros((2, 2, 300, 520), np.uint8)])
    write_zarr_labels(path, LABELS, "ZYX", SCALE, "µm", CLASSES)
    assert not (path / "labels").exists()
    np.testing.assert_array_equal(
        np.asarray(read_image(path, ReadOptions(as_labels=True)).pixels), LABELS
    )
    assert (path / "0" / "labels" / "emcad").is_dir()


def test_labels_are_not_written_into_an_array(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", data=LABELS)
    with pytest.raises(ImageFileError, match="holds no labels; name a new folder"):
        write_zarr_labels(tmp_path / "a.zarr", LABELS, "ZYX", SCALE, "µm", CLASSES)


@pytest.mark.parametrize("version", ["0.3", "0.4", "0.5"])
@pytest.mark.parametrize("unit", [None, "micrometer", "parsec"])
@pytest.mark.parametrize("level", [0, 1])
def test_labels_in_a_folder_of_their_own_lie_on_the_image(version, unit, level, tmp_path):
    """Also if the image has a scale without a unit, or does not begin at 0."""
    axes = [axis | ({"unit": unit} if unit else {}) for axis in AXES]
    axes = [{k: v for k, v in axis.items() if unit or k != "unit"} for axis in axes]
    group = write_group(
        tmp_path / "a.zarr", halved(np.zeros((2, 2, 300, 520), np.uint8)), version, axes
    )
    attributes = group.attrs.asdict()
    ome = attributes.get("ome", attributes)
    if version != "0.3":
        for number, dataset in enumerate(ome["multiscales"][0]["datasets"]):
            moved = {"type": "translation", "translation": [0, 7, 3 + number, -5]}
            dataset["coordinateTransformations"].append(moved)
        ome["multiscales"][0]["coordinateTransformations"] = [
            {"type": "scale", "scale": [1, 1, 3, 3]}
        ]
    group.attrs.update({"ome": ome} if version == "0.5" else ome)
    image = read_image(tmp_path / "a.zarr", ReadOptions(level=level))
    labels = LABELS[:, :: 2**level, :: 2**level]
    write_result(tmp_path / "b.zarr", labels, "ZYX", image, CLASSES)
    written = zarr.open_group(tmp_path / "b.zarr").attrs["ome"]["multiscales"][0]
    assert [axis["name"] for axis in written["axes"]] == list("zyx")
    assert [axis["type"] for axis in written["axes"]] == ["space"] * 3
    units = [None if version == "0.3" else unit] * 3
    assert [axis.get("unit") for axis in written["axes"]] == units
    factor = 2**level
    for number, dataset in enumerate(written["datasets"]):
        scale, translation = dataset["coordinateTransformations"]
        step = 2**number
        if version == "0.3":
            assert scale["scale"] == [1, step, step]
            continue
        assert scale["scale"] == [2, 1.5 * factor * step, 0.75 * factor * step]
        assert translation["translation"] == [7, 3 * (3 + level), -15]


def test_an_axis_of_unknown_size_gets_no_unit(tmp_path):
    write_zarr_labels(tmp_path / "a.zarr", LABELS, "ZYX", {"Y": 0.5, "X": 0.25}, "µm")
    opened = read_image(tmp_path / "a.zarr")
    assert (opened.scale, opened.unit) == ({"Y": 0.5, "X": 0.25}, "µm")
