"""`napari-emcad measure`, and tables of `segment --measure`."""

from __future__ import annotations

import csv
from io import StringIO

import imageio.v3 as iio
import nibabel
import numpy as np
import pytest
import tifffile

from napari_emcad import cli

pytestmark = pytest.mark.usefixtures("tiny_bundled")


@pytest.fixture
def labels(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels = np.zeros((40, 60), np.uint16)
    labels[4:8, 10:16], labels[20:30, 30:40] = 1, 5
    tifffile.imwrite("labels.tif", labels)
    return labels


def run(capsys, *arguments):
    status = cli.main(["measure", *map(str, arguments)])
    return status, *capsys.readouterr()


def rows_of(text):
    return list(csv.DictReader(StringIO(text)))


def test_a_table_on_the_terminal(capsys, labels):
    iio.imwrite("image.png", np.where(labels == 5, 200, 10).astype(np.uint8))
    status, out, err = run(capsys, "labels.tif", "--image", "image.png")
    assert (status, err) == (0, "")
    first, second = rows_of(out)
    assert (first["label"], second["label"]) == ("1", "5")
    assert (first["area [pixel²]"], second["area [pixel²]"]) == ("24", "100")
    assert (first["intensity_mean"], second["intensity_mean"]) == ("10", "200")


def test_channels_of_a_color_image(capsys, labels):
    color = np.zeros((*labels.shape, 3), np.uint8)
    color[labels == 1] = 10, 20, 30
    iio.imwrite("image.png", color)
    _, out, _ = run(capsys, "labels.tif", "--image", "image.png")
    assert [rows_of(out)[0][f"intensity_mean_{c}"] for c in range(3)] == ["10", "20", "30"]


def test_channels_that_come_first(capsys, labels):
    stack = np.stack([labels * 2, labels * 3]).astype(np.uint16)
    tifffile.imwrite("image.tif", stack, imagej=True, metadata={"axes": "CYX"})
    _, out, _ = run(capsys, "labels.tif", "--image", "image.tif")
    assert [rows_of(out)[1][f"intensity_mean_{c}"] for c in range(2)] == ["10", "15"]


def test_a_volume_is_measured_in_the_unit_of_its_file(capsys, labels):
    volume = np.stack([labels.T] * 3, -1).astype(np.int16)
    affine = np.diag([0.5, 0.5, 2, 1])
    nibabel.save(nibabel.Nifti1Image(volume, affine), "labels.nii.gz")
    status, out, _ = run(capsys, "labels.nii.gz")
    assert status == 0
    row = rows_of(out)[1]
    assert float(row["volume [mm³]"]) == pytest.approx(300 * 0.5)
    assert float(row["volume_mL"]) == pytest.approx(0.15)


def test_a_size_on_the_command_line_comes_first(capsys, labels):
    _, out, _ = run(capsys, "labels.tif", "--spacing", "0.5", "--unit", "µm")
    assert rows_of(out)[1]["area [µm²]"] == "25"


def test_time_points(capsys, labels):
    tifffile.imwrite("time.tif", np.stack([labels, labels]))
    _, out, _ = run(capsys, "time.tif", "--axes", "TYX")
    assert [row["t"] for row in rows_of(out)] == ["0", "0", "1", "1"]


def test_it_is_written_and_not_over_another_file(capsys, labels):
    status, out, _ = run(capsys, "labels.tif", "--output", "table.csv")
    assert (status, out) == (0, "table.csv\n")
    with open("table.csv", encoding="utf-8") as file:
        assert len(rows_of(file.read())) == 2
    status, out, err = run(capsys, "labels.tif", "--output", "table.csv")
    assert (status, out) == (2, "")
    assert "--overwrite" in err
    assert run(capsys, "labels.tif", "--output", "labels.tif")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("no.tif",), "does not exist"),
        (("labels.tif", "--spacing", "1"), "go together"),
        (("labels.tif", "--axes", "TZYX"), "names 4 axes"),
        (("labels.tif", "--image", "other.png"), "must agree"),
        (("labels.tif", "--probabilities", "other.png"), "first axis"),
    ],
)
def test_what_does_not_fit_is_one_line(capsys, labels, arguments, reason):
    iio.imwrite("other.png", np.zeros((9, 9), np.uint8))
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert reason in err
    assert err.count("\n") == 1


def test_segment_writes_one_table_for_all_images(capsys, labels):
    image = np.where(labels > 0, 150, 12).astype(np.uint8)
    for name in ("a.png", "b.png"):
        iio.imwrite(name, image)
    assert cli.main(["segment", "a.png", "b.png", "--separate", "--measure", "all.csv"]) == 0
    capsys.readouterr()
    with open("all.csv", encoding="utf-8") as file:
        rows = rows_of(file.read())
    count = int(tifffile.imread("a_labels.tif").max())
    assert [row["image"] for row in rows] == ["a.png"] * count + ["b.png"] * count
    assert {row["class"] for row in rows} == {"nucleus"}
    assert "intensity_mean" in rows[0]
    assert cli.main(["segment", "a.png", "--output", "c", "--measure", "all.csv"]) == 2


def test_classes_are_measured_if_objects_are_not_numbered(capsys, labels):
    iio.imwrite("a.png", np.where(labels > 0, 150, 12).astype(np.uint8))
    assert cli.main(["segment", "a.png", "--measure", "all.csv", "--probabilities"]) == 0
    with open("all.csv", encoding="utf-8") as file:
        rows = rows_of(file.read())
    labels = tifffile.imread("a_labels.tif")
    assert [row["class"] for row in rows] == ["nucleus"] * bool(labels.any())
    assert not rows or float(rows[0]["probability_mean"]) >= 0.5


def test_a_stack_whose_axes_only_the_user_knows(capsys, labels):
    stack = np.stack([np.where(labels > 0, 150, 12).astype(np.uint8)] * 3)
    np.save("stack.npy", stack)
    arguments = ("segment", "stack.npy", "--axes", "ZYX", "--separate", "--measure", "all.csv")
    assert cli.main(list(arguments)) == 0
    with open("all.csv", encoding="utf-8") as file:
        assert "volume [pixel³]" in file.readline()
    capsys.readouterr()
    tifffile.imwrite("three.tif", np.stack([labels] * 3))
    status, out, _ = run(capsys, "three.tif", "--image", "stack.npy", "--axes", "ZYX")
    assert status == 0
    assert rows_of(out)[0]["intensity_mean"] == "150"


def test_probabilities_of_segment_are_taken_back(capsys, labels):
    iio.imwrite("a.png", np.where(labels > 0, 150, 12).astype(np.uint8))
    assert cli.main(["segment", "a.png", "--probabilities"]) == 0
    capsys.readouterr()
    status, out, _ = run(
        capsys, "labels.tif", "--image", "a.png", "--probabilities", "a_probabilities.tif"
    )
    assert status == 0
    assert 0.5 <= float(rows_of(out)[0]["probability_mean"]) <= 1


@pytest.fixture
def stack(labels):
    np.save("stack.npy", np.stack([np.where(labels > 0, 150, 12).astype(np.uint8)] * 4))
    return "stack.npy"


def test_objects_are_linked_through_slices(capsys, stack):
    plain = ("segment", stack, "--axes", "ZYX", "--separate", "--output", "plain.npy")
    assert cli.main(list(plain)) == 0
    arguments = ["segment", stack, "--axes", "ZYX", "--separate", "--output", "linked.npy"]
    assert cli.main([*arguments, "--link", "--measure", "table.csv"]) == 0
    before, after = np.load("plain.npy"), np.load("linked.npy")
    assert np.array_equal(before > 0, after > 0)
    assert after.max() == before.max() // 4
    assert all(np.array_equal(plane, after[0]) for plane in after)
    with open("table.csv", encoding="utf-8") as file:
        rows = rows_of(file.read())
    assert len(rows) == after.max()
    assert {row["class"] for row in rows} <= {"nucleus"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--link",), "add --separate"),
        (("--separate", "--link", "2"), "overlap is 2.0"),
        (("--separate", "--link", "0.5", "--link-gap", "-1"), "gap is -1"),
        (("--separate", "--link-gap", "1"), "--link-gap is for --link"),
    ],
)
def test_links_that_do_not_fit_are_refused(capsys, stack, arguments, reason):
    assert cli.main(["segment", stack, *arguments]) == 2
    assert reason in capsys.readouterr().err
