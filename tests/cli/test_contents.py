"""A training compares what its files contain, not their names."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_emcad.cli import main
from napari_emcad.io.run_folder import CONTENTS, RunError, TrainingRun
from napari_emcad.pipelines.train import split
from napari_emcad.training.contents import content_digests, find_copies
from napari_emcad.training.samples import LabeledSlice

pytestmark = pytest.mark.usefixtures("tiny_bundled")

QUICK = ["epochs=1", "crops_per_epoch=1", "batch=1", "crop=32"]


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("images", "labels"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for number in range(4):
        labels = np.zeros((48, 48), np.uint8)
        labels[10:30, 10 + 3 * number : 30] = 1
        image = (30 + 150 * labels + rng.normal(0, 5, labels.shape)).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / "data" / "images" / f"{number}.png")
        Image.fromarray(labels).save(tmp_path / "data" / "labels" / f"{number}.png")
    return tmp_path / "data"


def train(folder, *more):
    settings = [part for setting in QUICK for part in ("--set", setting)]
    output = str(folder.parent / "run")
    return main(["train", str(folder), "--output", output, *settings, *map(str, more)])


def test_a_validation_folder_with_copies_is_refused(folder, tmp_path, capsys):
    other = tmp_path / "validation"
    for name in ("images", "labels"):
        (other / name).mkdir(parents=True)
    copied = np.asarray(Image.open(folder / "images" / "2.png"))
    tifffile.imwrite(other / "images" / "patient.tif", copied)
    shutil.copy(folder / "labels" / "2.png", other / "labels" / "patient.png")
    assert train(folder, "--validation", other) == 2
    err = capsys.readouterr().err
    assert "patient.tif with the same pixels as 2.png" in err
    tifffile.imwrite(other / "images" / "patient.tif", copied // 2)
    assert train(folder, "--validation", other) == 0


@pytest.mark.parametrize("kind", ["images", "labels"])
def test_files_that_changed_since_the_stop_are_named(kind, folder, capsys):
    assert train(folder) == 0
    run = folder.parent / "run"
    changed = np.array(Image.open(folder / kind / "1.png"))
    changed[20, 20] ^= 1
    Image.fromarray(changed).save(folder / kind / "1.png")
    capsys.readouterr()
    if not (run / "resume.pt").exists():
        pytest.fail("a finished training keeps no state to resume")
    assert train(folder, "--resume") == 2
    of = "pixels" if kind == "images" else "labels"
    assert f"with other {of} of 1.png; resume" in capsys.readouterr().err


def labeled(name, pixels, image=""):
    planes = np.asarray(pixels, np.float32)[None]
    target = np.zeros(planes.shape[1:], np.int16)
    return LabeledSlice(name, planes, target, image=image, digest=str(pixels))


def test_copies_are_never_split_between_training_and_held_out():
    ramp = np.arange(16.0).reshape(4, 4)
    slices = [labeled(f"{n}", ramp + n // 3) for n in range(12)]
    slices += [labeled("v [0]", ramp + 2, "v"), labeled("v [1]", ramp + 9, "v")]
    for seed in range(6):
        training, held_out = split(slices, 0.3, seed)
        assert training
        assert held_out
        assert not find_copies(training, held_out)


def test_empty_slices_are_no_copies():
    empty = [labeled(name, np.zeros((4, 4))) for name in "abcd"]
    assert not find_copies(empty[:2], empty[2:])
    assert len(split(empty, 0.25, 0)[1]) == 1


def test_many_changed_files_are_counted(tmp_path):
    run = TrainingRun(tmp_path)
    saved = {CONTENTS: {f"pixels of {n}": "a" for n in range(9)}}
    run.save({}, saved)
    with pytest.raises(RunError, match=r"pixels of 4 and 4 more; resume"):
        run.load({CONTENTS: dict.fromkeys(saved[CONTENTS], "b")})


def test_a_run_of_an_earlier_release_has_no_contents_to_compare(tmp_path):
    run = TrainingRun(tmp_path)
    run.save({}, {"preprocessing": {"low": 1}})
    now = {"preprocessing": {"low": 1, "pool_channels": "all"}, CONTENTS: content_digests([])}
    assert run.load(now | {CONTENTS: {"pixels of a": "x"}}) == {}


@pytest.mark.parametrize("kind", ["uint16.png", "rgb.png", "float.tif"])
def test_a_copy_in_another_format_is_refused(kind, folder, tmp_path, capsys):
    other = tmp_path / "other"
    for name in ("images", "labels"):
        (other / name).mkdir(parents=True)
    pixels = np.asarray(Image.open(folder / "images" / "2.png"))
    copy = other / "images" / f"x.{kind.split('.')[1]}"
    if kind == "uint16.png":
        Image.fromarray(pixels.astype(np.uint16)).save(copy)
    elif kind == "rgb.png":
        Image.fromarray(np.stack([pixels] * 3, -1)).save(copy)
    else:
        tifffile.imwrite(copy, pixels.astype(np.float32))
    shutil.copy(folder / "labels" / "2.png", other / "labels" / "x.png")
    assert train(folder, "--validation", other) == 2
    assert "same pixels as 2.png" in capsys.readouterr().err
