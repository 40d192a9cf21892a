"""``evaluate --protocol`` and ``train --protocol``."""

from __future__ import annotations

import csv
import json

import h5py
import numpy as np
import pytest
from PIL import Image

from napari_emcad.cli import main
from napari_emcad.io.checkpoints.files import read_checkpoint, write_checkpoint
from napari_emcad.io.checkpoints.heads import with_class_names
from napari_emcad.io.checkpoints.initialize import initialize_checkpoint
from napari_emcad.io.datasets.layouts import find_files
from napari_emcad.io.datasets.synapse import BTCV_ORGANS, ORGANS
from napari_emcad.pipelines.class_order import with_classes_of
from napari_emcad.pipelines.evaluate import open_labeled
from napari_emcad.pipelines.protocols import PROTOCOLS, find_recipe
from napari_emcad.training.presets import PRESETS


def network(*names):
    plain = initialize_checkpoint(num_classes=9).override(
        input_channels=1, intensity="range", low=0, high=1, size=32
    )
    return with_class_names(plain, names)


@pytest.fixture(scope="module")
def organs_file(tmp_path_factory):
    """Return the file of an untrained network of eight organs for small gray slices."""
    path = tmp_path_factory.mktemp("model") / "organs.safetensors"
    write_checkpoint(network(*ORGANS), path)
    return path


@pytest.fixture
def synapse(tmp_path):
    """Return two slices of each of three cases, and two volumes."""
    rng = np.random.default_rng(0)
    root = tmp_path / "Synapse"
    (root / "train_npz").mkdir(parents=True)
    (root / "test_vol_h5").mkdir()
    for case in range(3):
        for number in range(2):
            image, label = rng.random((32, 32), np.float32), rng.integers(0, 9, (32, 32))
            path = root / "train_npz" / f"case{case:04}_slice{number:03}.npz"
            np.savez(path, image=image, label=label.astype(np.float32))
    for case in (8, 9):
        with h5py.File(root / "test_vol_h5" / f"case{case:04}.npy.h5", "w") as file:
            file["image"] = rng.random((3, 32, 32), np.float32)
            file["label"] = rng.integers(0, 9, (3, 32, 32)).astype(np.float32)
    return root


@pytest.fixture
def polyps(tmp_path):
    rows, columns = np.mgrid[:48, :48]
    for n in range(4):
        labels = ((rows - 20 - n) ** 2 + (columns - 22) ** 2 < 90).astype(np.uint8)
        noise = np.random.default_rng(n).integers(0, 30, (48, 48))
        pixels = np.stack([np.where(labels, 180, 60) + noise] * 3, axis=-1).astype(np.uint8)
        for kind, array in (("Original", pixels), ("Ground Truth", labels * 255)):
            (tmp_path / "Clinic" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(tmp_path / "Clinic" / kind / f"{n}.png")
    return tmp_path / "Clinic"


def evaluate(capsys, *arguments):
    status = main(["evaluate", *map(str, arguments)])
    output = capsys.readouterr()
    return status, output.out, output.err


def test_synapse_is_scored_by_volume_and_organ(synapse, organs_file, capsys, tmp_path):
    table = tmp_path / "t.csv"
    arguments = (synapse, "--checkpoint", organs_file, "--protocol", "synapse", "--csv", table)
    status, out, err = evaluate(capsys, *arguments, "--json")
    assert status == 0
    assert "Synapse: 3 cases, 6 slices, 2 test volumes, 9 classes." in err
    assert "Used is its part test: 2 files." in err
    report = json.loads(out)
    assert [case["name"] for case in report["cases"]] == ["case0008.npy.h5", "case0009.npy.h5"]
    assert set(report["by_class"]) == set(ORGANS)
    dices = [case["by_class"]["liver"]["dice"] for case in report["cases"]]
    assert report["by_class"]["liver"]["dice"] == pytest.approx(np.mean(dices))
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["class"] for row in rows[:8]] == list(ORGANS)
    assert float(rows[4]["dice"]) == dices[0]
    status, out, _ = evaluate(capsys, *arguments[:-2])
    assert "HD95 (voxels)" in out.splitlines()[0]
    assert "\nmean of 2 " in out
    assert "\nmean, absent as published" in out


def test_slices_are_not_scored_as_volumes(synapse, organs_file, capsys):
    arguments = (synapse, "--checkpoint", organs_file, "--protocol", "synapse", "--split", "train")
    status, _, err = evaluate(capsys, *arguments)
    assert status == 2
    assert "case0000_slice000.npz is a slice, and the protocol scores volumes" in err


@pytest.mark.parametrize("values", [8, 13])
def test_labels_are_renumbered_in_the_order_of_the_checkpoint(synapse, tmp_path, values):
    path = synapse / "test_vol_h5" / "case0008.npy.h5"
    order = list(range(1, 9))
    with h5py.File(path, "r+") as file:
        labels = file["label"][()].astype(int)
        if values == 13:
            order = [BTCV_ORGANS.index(name) + 1 for name in ORGANS]
            labels = np.array([0, *order])[labels]
            labels[0, 0, 0] = 5  # the esophagus
            file["label"][...] = labels
    files = find_files(synapse).splits["test"]
    for names in (ORGANS, tuple(reversed(ORGANS)), (*ORGANS[3:], *ORGANS[:3])):
        checkpoint = network(*names)
        renumbered, remark = with_classes_of(checkpoint, files)
        assert bool(remark) == (names != ORGANS)
        truth = open_labeled(path, (path,), checkpoint, files=renumbered).truth
        for value, name in zip(order, ORGANS, strict=True):
            assert (truth[labels == value] == names.index(name) + 1).all()
        assert not truth[(labels == 0) | (values == 13 and labels == 5)].any()


def test_renumbered_labels_are_said(synapse, tmp_path, capsys):
    path = tmp_path / "reversed.safetensors"
    write_checkpoint(network(*reversed(ORGANS)), path)
    status, _, err = evaluate(capsys, synapse, "--checkpoint", path, "--protocol", "synapse")
    assert status == 0
    assert "the labels are renumbered in the order of the checkpoint's classes" in err


def test_a_checkpoint_without_class_names_is_matched_by_number_and_that_is_said(
    synapse, tmp_path, capsys
):
    path = tmp_path / "unnamed.safetensors"
    plain = initialize_checkpoint(num_classes=9)
    write_checkpoint(plain.override(input_channels=1, size=32), path)
    arguments = (synapse, "--checkpoint", path, "--json")
    status, _, err = evaluate(capsys, *arguments)
    assert status == 0
    assert "does not name its classes" in err
    assert "1 aorta, 2 gallbladder" in err
    names = json.dumps([ORGANS[k] for k in (6, 3, 2, 1, 5, 4, 7, 0)])
    status, out, err = evaluate(capsys, *arguments, "--set", f"classes={names}")
    assert status == 0
    assert "renumbered in the order of the checkpoint's classes" in err
    assert list(json.loads(out)["by_class"])[:2] == ["spleen", "right kidney"]


def test_polyps_have_the_sweep_and_the_usual_scores(polyps, capsys):
    status, out, err = evaluate(capsys, polyps, "--protocol", "polyp", "--json")
    assert status == 0
    assert "stretched to 0 … 1 in every image, as published" in err
    report = json.loads(out)
    mean = report["mean"]
    assert set(mean) - {"cases"} == {
        *("dice", "iou", "dice_sweep", "iou_sweep", "dice_max", "iou_max"),
    }
    assert mean["dice_sweep"] < mean["dice_max"] <= 1
    assert mean["dice"] == pytest.approx(np.mean([case["dice"] for case in report["cases"]]))
    assert mean["dice"] <= mean["dice_max"] + 0.01
    status, out, _ = evaluate(capsys, polyps, "--protocol", "polyp")
    assert "mDice, sweep" in out.splitlines()[0]


def test_the_usual_scores_are_those_of_evaluate(polyps, capsys):
    usual = json.loads(evaluate(capsys, polyps, "--json")[1])["mean"]
    busi = json.loads(evaluate(capsys, polyps, "--protocol", "busi", "--json")[1])["mean"]
    isic = json.loads(evaluate(capsys, polyps, "--protocol", "isic", "--json")[1])["mean"]
    assert set(busi) == {"dice", "iou", "cases"}
    assert (busi["dice"], busi["iou"]) == pytest.approx((usual["dice"], usual["iou"]))
    assert isic["sensitivity"] == pytest.approx(usual["recall"])
    assert set(isic) == {"dice", "iou", "sensitivity", "specificity", "accuracy", "cases"}


def test_images_without_an_object_are_named(polyps, capsys):
    nothing = Image.fromarray(np.zeros((48, 48), np.uint8))
    nothing.save(polyps / "Ground Truth" / "0.png")
    status, _, err = evaluate(capsys, polyps, "--protocol", "busi", "--json")
    assert status == 0
    assert "1 of 4 have no object in the truth" in err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--protocol", "synapse"), "scores 8 classes, and the checkpoint has 1"),
        (("--protocol", "polyps"), "did you mean polyp?"),
        (
            ("--protocol", "acdc", "--spacing", "2,1,1", "--unit", "mm"),
            "measures distances in voxels",
        ),
        (("--split", "test"), "the parts of the data set are none; or all"),
    ],
)
def test_impossible_evaluations_are_refused_at_once(polyps, capsys, more, words):
    status, _, err = evaluate(capsys, polyps, *more)
    assert status == 2
    assert words in err


def test_recipes_are_the_presets_and_sizes_of_the_papers():
    assert set(PROTOCOLS) == {"synapse", "acdc", "polyp", "isic", "busi"}
    values = {}
    for name in PROTOCOLS:
        recipe = find_recipe(name)
        config = PRESETS[recipe.preset]
        values[name] = config.crop, config.batch, config.epochs, config.scales, config.clip
        assert recipe.model["size"] == config.crop
        assert (config.learning_rate, config.weight_decay) == (1e-4, 1e-4)
    scales = (0.75, 1.0, 1.25)
    assert values == {
        "synapse": (224, 6, 300, (1.0,), 0),
        "acdc": (224, 16, 200, (1.0,), 0),
        "polyp": (352, 16, 200, scales, 0.5),
        "isic": (352, 16, 200, scales, 0.5),
        "busi": (256, 16, 200, (1.0,), 0),
    }
    for name in ("polyp", "busi"):
        for recipe in (find_recipe(name, "seed-dice"), find_recipe(name, "seed-unified")):
            config = PRESETS[recipe.preset]
            assert (config.learning_rate, config.batch, recipe.hold_out) == (5e-5, 8, 0.2)


SMALL = ["--set", "epochs=1", "--set", "crop=32", "--set", "batch=2", "--model", "size=32"]


def test_train_with_a_protocol(synapse, tmp_path, capsys):
    command = ["train", str(synapse), "--output", str(tmp_path / "run"), "--start", "nothing"]
    assert main([*command, "--protocol", "synapse", *SMALL]) == 0
    err = capsys.readouterr().err
    assert "protocol synapse: preset paper-synapse, 1 epochs, batch 2, crop 32" in err
    assert "starts from an encoder with ImageNet weights" in err
    assert "2 images (4 slices) to learn from, 1 image (2 slices) held out" in err
    trained = read_checkpoint(tmp_path / "run" / "model.safetensors")
    assert tuple(label.name for label in trained.classes) == ORGANS
    assert trained.config.input_channels == 1
    assert (trained.preprocessing.low, trained.preprocessing.high) == (0, 1)
    assert trained.history[-1]["config"]["supervision"] == "mutation"


def test_train_with_the_recipe_of_the_seed(polyps, tmp_path, capsys):
    command = ["train", str(polyps), "--output", str(tmp_path / "run"), "--protocol", "polyp"]
    assert main([*command, "--recipe", "seed-unified", *SMALL]) == 0
    err = capsys.readouterr().err
    assert "preset seed-unified, 1 epochs, batch 2, crop 32, rate 5e-05" in err
    assert "3 images to learn from, 1 image held out" in err
    trained = read_checkpoint(tmp_path / "run" / "model.safetensors")
    assert trained.history[-1]["config"]["loss"] == "unified"


def test_the_paper_needs_a_part_for_testing_which_is_said(polyps, tmp_path, capsys):
    command = ["train", str(polyps), "--output", str(tmp_path / "run"), "--protocol", "polyp"]
    assert main([*command, *SMALL]) == 0
    assert "The paper keeps 10% of the images for testing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--recipe", "paper"], "--recipe is of a protocol"),
        (["--protocol", "isic", "--recipe", "seed-dice"], "has no recipe seed-dice"),
        (["--protocol", "sinapse"], "did you mean synapse?"),
    ],
)
def test_impossible_trainings_are_refused_at_once(polyps, tmp_path, capsys, more, words):
    assert main(["train", str(polyps), "--output", str(tmp_path / "run"), *more]) == 2
    assert words in capsys.readouterr().err
