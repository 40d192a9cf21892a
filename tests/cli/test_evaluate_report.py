"""What ``napari-emcad evaluate`` prints and writes, and what it refuses before any work."""

from __future__ import annotations

import csv
import json
import os
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_emcad import cli
from napari_emcad.pipelines import evaluate, worst_cases
from napari_emcad.pipelines.scores import METRICS
from napari_emcad.training.metrics import hausdorff95, score

pytestmark = pytest.mark.usefixtures("tiny_bundled")

FOLDERS = ("--images", "images", "--labels", "labels")


@pytest.fixture
def segmented(monkeypatch):
    """Have class k segmented where an image has 100 k to 100 k + 99, and count how often."""
    calls = []

    def by_value(pixels, _checkpoint, axes, **_options):
        calls.append(axes)
        labels = (np.asarray(pixels) // 100).astype(np.uint8)
        return SimpleNamespace(labels=labels, probabilities=None)

    monkeypatch.setattr(evaluate, "segment", by_value)
    return calls


@pytest.fixture
def folder(tmp_path, monkeypatch, segmented):
    """Return a folder, the current one, with a place for images and one for labels."""
    monkeypatch.chdir(tmp_path)
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def add(folder):
    """Return a function that adds an image which is segmented as said, and its truth."""

    def add(name, predicted, truth, size=None, **sizes):
        image = np.asarray(predicted, np.uint8) * 100 + 50
        meta = {"axes": "ZYX"[-image.ndim :], **sizes}
        if size is not None:
            meta |= {"PhysicalSizeX": size, "PhysicalSizeY": size}
        file = folder / "images" / f"{name}.tif"
        tifffile.imwrite(file, image, photometric="minisblack", ome=True, metadata=meta)
        truth = np.asarray(truth, np.uint8)
        tifffile.imwrite(folder / "labels" / f"{name}.tif", truth, photometric="minisblack")

    return add


@pytest.fixture
def run(capsys):
    """Return a function: a command line's exit status, standard output and standard error."""

    def run(*arguments):
        try:
            status = cli.main(["evaluate", *FOLDERS, *map(str, arguments)])
        except SystemExit as ended:
            status = ended.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def evaluate_json(run):
    """Return a function: the JSON that is printed."""

    def evaluate_json(*arguments):
        status, out, _ = run("--json", *arguments)
        assert status == 0
        return json.loads(out, parse_constant=pytest.fail)  # no NaN, which is no JSON

    return evaluate_json


def square(top, left, side=10, value=1):
    mask = np.zeros((40, 50), np.uint8)
    mask[top : top + side, left : left + side] = value
    return mask


NOTHING = np.zeros((40, 50), np.uint8)


# -- figures


def test_each_image_has_its_distance_and_its_unit(add, evaluate_json):
    add("a", square(5, 5), square(5, 9), size=0.5)
    add("b", square(5, 5), square(8, 5), size=0.5)
    report = evaluate_json()
    assert [each["hd95"] for each in report["images"]] == [2.0, 1.5]
    assert {each["unit"] for each in report["images"]} == {report["unit"]} == {"µm"}
    assert (report["mean"]["hd95"], report["mean"]["hd95_images"]) == (1.75, 2)


def test_an_undefined_distance_is_null_and_the_mean_comes_with_its_number_of_images(
    add, evaluate_json, run
):
    add("a", square(5, 5), square(5, 9))
    add("b", NOTHING, square(5, 5))
    add("c", NOTHING, NOTHING)
    report = evaluate_json()
    assert [each["hd95"] for each in report["images"]] == [4.0, None, None]
    for mean in (report["mean"], report["by_class"]["nucleus"]):
        assert (mean["hd95"], mean["hd95_images"]) == (4.0, 1)
    assert report["mean"]["dice"] == pytest.approx((0.6 + 0) / 2)
    assert report["counted_images"] == 2
    _, out, _ = run()
    rows = out.splitlines()
    assert [row.split()[-1] for row in rows[2:4]] == ["-", "-"]
    assert rows[4].endswith("4.00 px")
    assert rows[-1].startswith("HD95, mean of 3 images: defined in 1 of 3;")


def test_without_a_defined_distance_there_is_no_mean(add, evaluate_json, run):
    add("a", NOTHING, square(5, 5))
    assert evaluate_json()["mean"]["hd95"] is None
    assert evaluate_json()["mean"]["hd95_images"] == 0
    status, out, _ = run()
    assert status == 0
    assert out.splitlines()[-1].startswith("HD95, mean of 1 image: defined in none of 1:")


def test_a_class_missing_in_truth_and_prediction_does_not_lower_the_distance(
    add, evaluate_json, two_classes
):
    add("a", square(5, 5), square(5, 9))
    add("b", square(20, 20, value=2), square(20, 23, value=2))
    report = evaluate_json("--checkpoint", two_classes)
    assert [each["hd95"] for each in report["images"]] == [4.0, 3.0]
    assert [each["hd95_images"] for each in report["by_class"].values()] == [1, 1]
    assert report["mean"]["hd95"] == 3.5


def test_a_remark_names_the_classes_that_a_binary_network_lacks(add, run, folder):
    labels = square(5, 5) + square(20, 20, value=2) + square(20, 38, value=2) + square(30, 5, 5, 3)
    add("a", square(5, 5), labels)
    _, _, err = run()
    assert "Classes 2, 3 do not exist in it" in err
    counted = [sum(square(10 * (k // 4), 12 * (k % 4), 8, k + 1) for k in range(9))] * 2
    for name, each in zip("ab", counted, strict=True):
        add(name, square(5, 5), each)
    assert "exist" not in run()[2]
    add("a", square(5, 5), square(5, 5, value=255))
    add("b", square(5, 5), square(5, 5, value=1))
    assert "exist" not in run()[2]
    levels = square(5, 5, value=128) + square(20, 20, value=255)
    add("a", square(5, 5), levels)
    add("b", square(5, 5), levels)
    assert "Classes 128, 255 do not exist in it" in run()[2]


def test_a_name_that_the_sheet_shows_as_codes_is_printed(add, run):
    add("核", square(5, 5), square(5, 9))
    assert "1 on the sheet is 核.tif." in run("--sheet", "worst.png")[2]


def test_labels_of_three_slices_are_a_stack_as_their_image_is(add, folder, evaluate_json):
    stack = np.stack([square(5, 5)] * 3)
    add("a", stack, stack)
    tifffile.imwrite(folder / "labels" / "a.tif", stack, photometric="rgb", planarconfig="separate")
    assert evaluate_json()["mean"]["dice"] == 1


def test_distances_of_different_units_have_no_mean(add, evaluate_json, run):
    add("a", square(5, 5), square(5, 9), size=0.5)
    add("b", square(5, 5), square(5, 9))
    report = evaluate_json()
    assert report["unit"] is None
    assert [(each["hd95"], each["unit"]) for each in report["images"]] == [(2, "µm"), (4, "pixel")]
    assert report["mean"]["hd95"] is report["by_class"]["nucleus"]["hd95"] is None
    *_, remark = run()[1].splitlines()
    assert "pixel, µm" in remark
    assert "--spacing" in remark


def test_spacing_and_unit_override_those_of_the_files(add, evaluate_json, run):
    add("a", square(5, 5), square(5, 9), size=0.5)
    add("b", square(5, 5), square(8, 5))
    report = evaluate_json("--spacing", "2,3", "--unit", "mm")
    assert [each["hd95"] for each in report["images"]] == [12.0, 6.0]
    assert (report["unit"], report["mean"]["hd95"]) == ("mm", 9.0)
    assert run("--spacing", "2,3", "--unit", "mm")[1].splitlines()[1].endswith("12.00 mm")


@pytest.mark.parametrize(("spacing", "distance"), [("5,1,1", 10.0), ("0.25", 0.5)])
def test_distances_of_stacks_run_through_z(spacing, distance, add, evaluate_json):
    stack = np.zeros((5, 40, 50), np.uint8)
    one, other = stack.copy(), stack.copy()
    one[1, 5:25, 5:25], other[3, 5:25, 5:25] = 1, 1
    add("a", one, other)
    report = evaluate_json("--spacing", spacing, "--unit", "mm")
    assert report["images"][0]["hd95"] == pytest.approx(distance)


def test_a_stack_needs_a_size_along_z(add, run, segmented):
    stack = np.zeros((5, 40, 50), np.uint8)
    add("a", stack, stack)
    status, out, err = run("--spacing", "1,1", "--unit", "mm")
    assert (status, out, segmented) == (2, "", [])
    assert "a.tif" in err
    assert "along Z" in err


@pytest.fixture
def classes_of_both(add):
    """Add two images of two classes; return what is predicted and what is true of each."""
    first = square(5, 5) + square(20, 20, value=2), square(5, 9) + square(22, 20, value=2)
    second = square(5, 5), square(5, 5) + square(20, 30, value=2)
    add("a", *first)
    add("b", *second)
    return first, second


def test_each_class_has_its_means_over_images(classes_of_both, evaluate_json, two_classes):
    report = evaluate_json("--checkpoint", two_classes)
    for k, name in ((1, "nucleus"), (2, "debris")):
        expected = [score(predicted == k, truth == k) for predicted, truth in classes_of_both]
        for metric in METRICS:
            values = [getattr(each, metric) for each in expected]
            assert report["by_class"][name][metric] == pytest.approx(np.mean(values))
            for row, value in zip(report["images"], values, strict=True):
                assert row["by_class"][name][metric] == pytest.approx(value)
    assert [report["by_class"][each]["hd95_images"] for each in ("nucleus", "debris")] == [2, 1]
    assert report["by_class"]["debris"]["hd95"] == 2.0
    assert report["images"][0]["hd95"] == pytest.approx((4 + 2) / 2)
    assert report["images"][1]["by_class"]["debris"]["hd95"] is None


def test_the_table_has_a_row_for_each_class(classes_of_both, run, two_classes):
    _, out, _ = run("--checkpoint", two_classes)
    names = [row.split("  ")[0] for row in out.splitlines()[3:8]]
    classes = "nucleus", "debris"
    means, pools = ([f"{words}, {each}" for each in classes] for words in ("mean", "all pixels"))
    assert names == ["mean of 2 images", *means, *pools]
    *_, remark = out.splitlines()
    assert remark.startswith("HD95, mean, debris: defined in 1 of 2;")


# -- the table as a file


def test_the_csv_has_a_row_per_image_and_class(classes_of_both, run, folder, two_classes):
    run("--checkpoint", two_classes, "--csv", "new/scores.csv")
    with (folder / "new" / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["image"], row["class"]) for row in rows] == [
        (name, label) for name in ("a.tif", "b.tif") for label in ("nucleus", "debris")
    ]
    pairs = [(each, k) for each in classes_of_both for k in (1, 2)]
    for row, ((predicted, truth), k) in zip(rows, pairs, strict=True):
        expected = score(predicted == k, truth == k)
        assert int(row["false_positive"]) == expected.false_positive
        for metric in METRICS:
            assert float(row[metric]) == pytest.approx(getattr(expected, metric))
        if (predicted == k).any():
            assert float(row["hd95"]) == hausdorff95(predicted == k, truth == k)
        else:
            assert row["hd95"] == ""
        assert row["unit"] == "pixel"


# -- the worst as a picture


def test_the_sheet_shows_as_many_of_the_worst_as_asked_for(add, run, folder):
    for number in range(4):
        add(f"{number}", square(5, 5), square(5, 5 + number))
    heights = []
    for name, *options in (("all.png",), ("three.png", "--worst", 3), ("one.png", "--worst", 1)):
        assert run("--sheet", name, *options)[0] == 0
        heights.append(len(iio.imread(folder / name)))
    row = (heights[1] - heights[2]) / 2
    assert heights[0] - heights[1] == row > 100


def test_nothing_is_drawn_without_sheet(add, run, folder, monkeypatch):
    monkeypatch.setattr(worst_cases, "as_sheet_row", pytest.fail)
    add("a", square(5, 5), square(5, 9))
    assert run()[0] == 0
    assert sorted(each.name for each in folder.iterdir()) == ["images", "labels"]


def test_stacks_and_color_images_have_a_sheet(add, run, folder, monkeypatch):
    stack = np.stack([NOTHING, square(5, 5), NOTHING])
    add("a", stack, np.stack([NOTHING] * 3))
    color = np.stack([square(5, 5) * 100] * 3, axis=-1)
    iio.imwrite(folder / "images" / "b.png", color)
    iio.imwrite(folder / "labels" / "b.png", square(5, 5))
    by_value = evaluate.segment

    def of_first_channel(pixels, checkpoint, axes, **options):
        pixels = pixels[..., 0] if "C" in axes else pixels
        return by_value(pixels, checkpoint, axes, **options)

    monkeypatch.setattr(evaluate, "segment", of_first_channel)
    assert run("--sheet", "worst.png")[0] == 0
    assert iio.imread(folder / "worst.png").shape[2] == 3


# -- refused before any work


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--sheet", "worst.jpg"), "must end in .png"),
        (("--worst", "3"), "--worst is for --sheet"),
        (("--spacing", "1,1"), "go together"),
        (("--unit", "mm"), "go together"),
        (("--spacing", "1,1", "--unit", ""), "go together"),
        (("--csv", "there.csv"), "exists already"),
        (("--sheet", "there.png"), "exists already"),
        (("--sheet", "images/a.tif"), ".png"),
        (("--csv", "images/a.tif", "--overwrite"), "that are read"),
        (("--csv", "labels/a.tif", "--overwrite"), "that are read"),
        (
            ("--checkpoint", "there.csv", "--csv", "there.csv", "--overwrite"),
            "that are read",
        ),
        (("--csv", "images", "--overwrite"), "is a folder"),
        (("--csv", "there.csv/b.csv"), "cannot be written"),
        (("--sheet", "a.png", "--csv", "a.png"), "both"),
        (("--sheet", "a.png", "--csv", "./sub/../a.png"), "both"),
    ],
)
def test_impossible_options_are_refused_before_any_work(
    options, words, add, run, folder, segmented
):
    add("a", NOTHING, NOTHING)
    (folder / "sub").mkdir()
    for name in ("there.csv", "there.png"):
        (folder / name).write_bytes(b"before")
    image = (folder / "images" / "a.tif").read_bytes()
    status, out, err = run(*options)
    (line,) = err.splitlines()
    assert (status, out, segmented) == (2, "", [])
    assert line.startswith("napari-emcad: ")
    assert line.endswith(".")
    assert words in line
    assert (folder / "there.csv").read_bytes() == (folder / "there.png").read_bytes() == b"before"
    assert (folder / "images" / "a.tif").read_bytes() == image


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything may be written to")
def test_a_folder_without_write_permission_is_refused(add, run, folder, segmented):
    add("a", NOTHING, NOTHING)
    (folder / "locked").mkdir(mode=0o500)
    status, _, err = run("--csv", "locked/a.csv")
    assert (status, segmented) == (2, [])
    assert "may not write" in err


@pytest.mark.parametrize("spacing", ["", "a", "0,1", "-1", "nan", "inf,1", "1,1,1,1", "1;1"])
def test_an_invalid_spacing_is_a_usage_error(spacing, add, run):
    status, out, err = run(f"--spacing={spacing}", "--unit", "mm")
    assert (status, out) == (2, "")
    assert "one to three sizes" in err


@pytest.mark.parametrize("worst", ["0", "101", "-1", "few", "1.5"])
def test_an_invalid_number_of_cases_is_a_usage_error(worst, add, run):
    status, _, err = run("--sheet", "a.png", f"--worst={worst}")
    assert status == 2
    assert "from 1 to 100" in err


def test_existing_files_are_replaced_with_overwrite(add, run, folder):
    add("a", square(5, 5), square(5, 9))
    for name in ("there.csv", "there.png"):
        (folder / name).write_bytes(b"before")
    assert run("--csv", "there.csv", "--sheet", "there.png", "--overwrite")[0] == 0
    assert (folder / "there.csv").read_bytes().startswith(b"image,")
    assert iio.imread(folder / "there.png").ndim == 3


def test_scores_are_printed_even_if_files_cannot_be_written(add, run, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    add("a", square(5, 5), square(5, 9))
    monkeypatch.setattr("os.fsync", full)
    for option in (("--csv", "a.csv"), ("--sheet", "a.png")):
        status, out, err = run(*option)
        assert status == 2
        assert "mean of 1 image " in out
        assert "No space left" in err
