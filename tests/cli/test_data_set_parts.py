"""Parts of data sets for training, validation and testing on the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from napari_emcad.cli import main

SMALL = ["--set", "epochs=1", "--set", "crop=32", "--set", "batch=2"]


@pytest.fixture
def parts(tmp_path):
    """Return a data set with four images to train on, two for validation and one for testing."""
    rows, columns = np.mgrid[:48, :48]
    number = 0
    for part, count in {"train": 4, "val": 2, "test": 1}.items():
        for _ in range(count):
            number += 1
            labels = ((rows - 15 - number) ** 2 + (columns - 22) ** 2 < 90).astype(np.uint8)
            noise = np.random.default_rng(number).integers(0, 30, (48, 48))
            pixels = (np.where(labels, 180, 60) + noise).astype(np.uint8)
            for kind, array in (("images", pixels), ("masks", labels * 255)):
                (tmp_path / "data" / part / kind).mkdir(parents=True, exist_ok=True)
                path = tmp_path / "data" / part / kind / f"{number}.png"
                Image.fromarray(array).save(path)
    return tmp_path / "data"


def train(capsys, folder, *more):
    command = ["train", str(folder), "--output", str(folder.parent / "run"), *SMALL]
    status = main([*command, *map(str, more)])
    return status, capsys.readouterr().err


def test_parts_for_training_and_validation_are_used_and_that_for_testing_is_not(parts, capsys):
    status, err = train(capsys, parts)
    assert status == 0
    assert "nested folders: 7 images (4 train, 2 val, 1 test). Used is its part train" in err
    assert "4 images to learn from, 2 images held out" in err


def test_a_share_on_the_command_line_is_of_the_part_for_training(parts, capsys):
    status, err = train(capsys, parts, "--hold-out", 0.25)
    assert status == 0
    assert "3 images to learn from, 1 image held out" in err


def test_a_data_set_without_a_part_for_training_is_not_trained_on(parts, capsys):
    (parts / "train").rename(parts.parent / "elsewhere")
    status, err = train(capsys, parts)
    assert status == 2
    assert "parts of the data set are val, test, and none is to train on" in err


def test_a_problem_in_any_part_is_reported(parts, capsys):
    (parts / "val" / "masks" / "5.png").unlink()
    status, err = train(capsys, parts)
    assert status == 2
    assert "5.png has no label files" in err
    status, err = train(capsys, parts, "--skip-bad")
    assert status == 0
    assert err.count("left out: 5.png") == 1
    assert "1 image held out" in err


@pytest.mark.parametrize(("more", "count"), [((), 1), (("--split", "val"), 2)])
def test_the_part_for_testing_is_scored_or_the_one_that_is_named(parts, capsys, more, count):
    assert main(["evaluate", str(parts), "--json", *more]) == 0
    assert len(json.loads(capsys.readouterr().out)["images"]) == count
    assert main(["evaluate", str(parts), "--json", "--split", "all"]) == 0
    assert len(json.loads(capsys.readouterr().out)["images"]) == 7


def test_a_validation_folder_that_numbers_its_classes_otherwise_is_refused(tmp_path, capsys):
    """The same colors in another order of the tables are other classes."""
    tables = {"a": "cell,255,0,0\nwall,0,255,0\n", "b": "wall,0,255,0\ncell,255,0,0\n"}
    for name, table in tables.items():
        for kind in ("images", "labels"):
            (tmp_path / name / kind).mkdir(parents=True)
        colors = np.zeros((40, 40, 3), np.uint8)
        colors[5:20, 5:20, 0], colors[20:30, 20:30, 1] = 255, 255
        noise = np.random.default_rng(ord(name)).integers(0, 255, (40, 40, 3))
        Image.fromarray(colors).save(tmp_path / name / "labels" / "1.png")
        Image.fromarray(noise.astype(np.uint8)).save(tmp_path / name / "images" / "1.png")
        (tmp_path / name / "class_dict.csv").write_text(f"{table}background,0,0,0\n")
    status, err = train(capsys, tmp_path / "a", "--validation", tmp_path / "b")
    assert status == 2
    assert "folders of" in err
    assert "names wall, cell; that of" in err
    (tmp_path / "b" / "class_dict.csv").write_text(f"{tables['a']}background,0,0,0\n")
    assert train(capsys, tmp_path / "a", "--validation", tmp_path / "b")[0] == 0


@pytest.mark.parametrize("verb", ["train", "evaluate"])
def test_a_layout_may_be_named(parts, capsys, verb):
    output = ["--output", str(parts.parent / "run"), *SMALL] if verb == "train" else []
    command = [verb, str(parts), *output, "--layout"]
    assert main([*command, "voc"]) == 2
    assert "no data set of the layout voc; leave --layout out" in capsys.readouterr().err
    assert main([*command, "nested"]) == 0
    assert "nested folders: 7 images" in capsys.readouterr().err


@pytest.mark.usefixtures("tiny_bundled")
def test_objects_that_cover_most_of_every_image_are_pointed_out(parts, capsys):
    """Masks of a field of view, and inverted ones, are read without an error."""
    for path in parts.glob("*/masks/*.png"):
        with Image.open(path) as mask:
            inverted = 255 - np.asarray(mask)
        Image.fromarray(inverted).save(path)
    status, err = train(capsys, parts)
    assert (status, "cover more than half of every image" in err) == (0, True)
    assert main(["evaluate", str(parts), "--split", "val"]) == 0
    assert "cover more than half of every image" in capsys.readouterr().err


@pytest.mark.usefixtures("tiny_bundled")
def test_usual_objects_are_not_pointed_out(parts, capsys):
    status, err = train(capsys, parts)
    assert (status, "cover more than half" in err) == (0, False)
    assert main(["evaluate", str(parts), "--split", "val"]) == 0
    assert "cover more than half" not in capsys.readouterr().err
