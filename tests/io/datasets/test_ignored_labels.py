"""Labels that are neither learned nor scored: values below 0, and those that the user names."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.cli import main
from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.io.datasets.found_files import FoundFiles
from napari_emcad.io.datasets.label_coding import LabelCoding
from napari_emcad.io.datasets.label_files import read_label_files
from napari_emcad.io.datasets.read import read_dataset

RANGE = Preprocessing("range", 0.0, 255.0)


def discs(value=1):
    """Return an image of bright discs, and its labels."""
    rows, columns = np.mgrid[:64, :64]
    labels = np.zeros((64, 64), np.uint8)
    for y, x in ((16, 16), (44, 40)):
        labels[(rows - y) ** 2 + (columns - x) ** 2 < 100] = value
    noise = np.random.default_rng(int(labels.sum())).integers(0, 20, (64, 64))
    return (np.where(labels > 0, 180, 60) + noise).astype(np.uint8), labels


@pytest.fixture
def folder(tmp_path):
    """Return a data set of four images whose labels have 7 in a corner."""
    for n in range(4):
        image, labels = discs()
        labels[:8, :8] = 7
        for kind, pixels in (("images", np.roll(image, n)), ("labels", np.roll(labels, n))):
            (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "data" / kind / f"{n}.png")
    return tmp_path / "data"


def found(folder, **coding):
    image, labels = folder / "images" / "0.png", folder / "labels" / "0.png"
    return FoundFiles("files", ((image, (labels,)),), coding=LabelCoding(**coding))


@pytest.mark.parametrize("value", [7, 255])
def test_an_ignored_value_is_no_class_and_no_background(folder, value):
    path = folder / "labels" / "0.png"
    labels = np.asarray(Image.open(path)).copy()
    labels[labels == 7] = value
    Image.fromarray(labels).save(path)
    (one,) = read_dataset(found(folder, ignore=(value,)), 3, RANGE, None).slices
    assert np.array_equal(one.target == UNLABELED, labels == value)
    assert np.array_equal(one.target == 1, labels == 1)
    assert set(np.unique(one.target)) == {UNLABELED, 0, 1}


def test_several_values_may_be_ignored_and_background_is_one_of_them(folder):
    (one,) = read_dataset(found(folder, ignore=(7, 0)), 3, RANGE, None).slices
    assert set(np.unique(one.target)) == {UNLABELED, 1}


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "float32"])
@pytest.mark.parametrize("foreground", [False, True])
def test_a_label_below_0_is_never_a_class(tmp_path, folder, dtype, foreground):
    _, labels = discs()
    signed = labels.astype(dtype)
    signed[-5:] = -1
    signed[-9:-5] = -3
    tifffile.imwrite(tmp_path / "m.tif", signed)
    pairs = [(folder / "images" / "0.png", (tmp_path / "m.tif",))]
    (one,) = read_dataset(pairs, 3, RANGE, None, foreground).slices
    assert (one.target[-9:] == UNLABELED).all()
    assert np.array_equal(one.target[:-9], labels[:-9])


def test_masks_of_one_image_are_united_without_their_ignored_pixels(tmp_path):
    """A pixel is ignored if a mask says so, unless another one has an object there."""
    one, two = np.zeros((3, 4), np.int16), np.zeros((3, 4), np.int16)
    one[0, 0], one[1, 1], two[2, 2], two[1, 1] = -1, -1, 1, 1
    one[0, 3] = 200
    for name, mask in (("a", one), ("b", two)):
        tifffile.imwrite(tmp_path / f"{name}.tif", mask)
    files = [tmp_path / "a.tif", tmp_path / "b.tif"]
    expected = np.zeros((3, 4))
    expected[0, 0], expected[1, 1], expected[2, 2], expected[0, 3] = -1, 1, 1, 1
    assert np.array_equal(read_label_files(files).pixels, expected)
    expected[0, 3] = -1
    coded = read_label_files(files, coding=LabelCoding(ignore=(200,)))
    assert np.array_equal(coded.pixels, expected)
    assert coded.ignored == {200}


def test_train_says_what_it_ignores(folder, tmp_path, capsys):
    command = ["train", str(folder), "--output", str(tmp_path / "run"), "--set", "epochs=1"]
    command += ["--set", "crop=32", "--set", "batch=2", "--ignore", "7", "--ignore", "99"]
    assert main(command) == 0
    text = capsys.readouterr().err
    assert "label is below 0, 7, 99, or 255 beside other values, in 4 images" in text
    assert "--ignore 99: no label file has it." in text


def test_evaluate_scores_no_ignored_pixels(folder, capsys):
    """The truth of the ignored corner does not matter, whatever the network finds there."""
    reports = []
    for replacement in (7, 9):
        for path in (folder / "labels").iterdir():
            labels = np.asarray(Image.open(path)).copy()
            labels[labels > 1] = replacement
            Image.fromarray(labels).save(path)
        command = ["evaluate", str(folder), "--json", "--ignore", str(replacement)]
        assert main(command) == 0
        output = capsys.readouterr()
        assert f"below 0, {replacement}, or 255" in output.err
        reports.append(json.loads(output.out))
    assert reports[0]["pooled"] == reports[1]["pooled"]
    assert main(["evaluate", str(folder), "--json"]) == 0
    unaware = json.loads(capsys.readouterr().out)
    name = next(iter(unaware["pooled"]))
    assert unaware["pooled"][name]["recall"] < reports[0]["pooled"][name]["recall"]
