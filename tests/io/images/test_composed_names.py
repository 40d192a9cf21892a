"""An accent that is part of its letter and one that is a character of its own are the same name."""

from __future__ import annotations

import shutil
from unicodedata import normalize

import numpy as np
import pytest
from PIL import Image

from napari_emcad import initialize_checkpoint
from napari_emcad.cli import main
from napari_emcad.io.checkpoints.classes import ClassLabel, class_labels
from napari_emcad.io.checkpoints.heads import with_class_names
from napari_emcad.io.datasets.layouts import from_folders
from napari_emcad.io.run_folder import TrainingRun

ONE, OTHER = normalize("NFC", "zellé"), normalize("NFD", "zellé")
assert ONE != OTHER


def put(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(names))
    for name in names:
        pixels = rng.integers(0, 255, (40, 48), np.uint8) // 128 * 255
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


@pytest.mark.parametrize(("image", "label"), [(ONE, OTHER), (OTHER, ONE), (ONE, ONE)])
def test_images_and_labels_are_paired(image, label, tmp_path):
    found = from_folders(put(tmp_path / "images", image), put(tmp_path / "labels", label))
    assert [(a.stem, b.stem) for a, (b,) in found.pairs] == [(image, label)]


def test_two_images_of_one_name_are_refused(tmp_path):
    images, labels = put(tmp_path / "images", ONE, OTHER), put(tmp_path / "labels", ONE)
    found = from_folders(images, labels)
    assert not found.pairs
    assert "same labels by their names" in found.problems[0]


def test_outputs_of_one_name_do_not_collide(tmp_path, capsys):
    for folder, name in (("a", ONE), ("b", OTHER)):
        put(tmp_path / folder, name)
    images = [str(tmp_path / "a" / f"{ONE}.png"), str(tmp_path / "b" / f"{OTHER}.png")]
    assert main(["segment", *images, "--output", str(tmp_path / "out")]) == 2
    assert "same name" in capsys.readouterr().err


def test_a_file_of_the_same_name_is_not_written_beside_another(tmp_path, capsys):
    image = put(tmp_path / "a", ONE) / f"{ONE}.png"
    (tmp_path / f"{OTHER}_labels.tif").touch()
    assert main(["segment", str(image), "--output", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_training_is_resumed_with_names_of_another_form(tmp_path):
    run = TrainingRun(tmp_path)
    run.save({}, {"images": [f"{OTHER}.png"], "contents": {f"pixels of {OTHER}.png": "a"}})
    assert run.load({"images": [f"{ONE}.png"], "contents": {f"pixels of {ONE}.png": "a"}}) == {}


def test_classes_keep_their_channels_and_colors():
    checkpoint = initialize_checkpoint(encoder="pvt_v2_b0", num_classes=3)
    named = with_class_names(checkpoint, [ONE, "wall"])
    renamed = with_class_names(named, ["wall", OTHER])
    assert [label.name for label in renamed.classes] == ["wall", ONE]
    assert ClassLabel(OTHER, "#112233") == ClassLabel(ONE, "#112233")
    assert class_labels([OTHER], [ClassLabel(ONE, "#112233")])[0].color == "#112233"


def test_class_names_of_a_validation_folder_may_have_another_form(tmp_path):
    for folder, name in (("data", ONE), ("other", OTHER)):
        put(tmp_path / folder / "images", *("ab" if folder == "data" else "cde"))
        put(tmp_path / folder / "labels", *("ab" if folder == "data" else "cde"))
        (tmp_path / folder / "classes.yaml").write_text(f"[{name}]", encoding="utf-8")
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    small = ["epochs=1", "crops_per_epoch=1", "batch=1", "crop=32"]
    arguments = ["train", str(tmp_path / "data"), "--validation", str(tmp_path / "other")]
    arguments += [part for setting in small for part in ("--set", setting)]
    assert main([*arguments, "--output", str(tmp_path / "run")]) == 0
