"""``napari-emcad train``: a folder in, a checkpoint and an honest history out."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

import napari_emcad
from napari_emcad.cli import main
from napari_emcad.io.checkpoints.general import general_checkpoint

pytestmark = pytest.mark.usefixtures("tiny_bundled")

QUICK = [
    *("--set", "epochs=2", "--set", "crop=64", "--set", "batch=2", "--set", "crops_per_epoch=4"),
    *("--set", "validate_every=1", "--set", "mixed_precision=false"),
]


@pytest.fixture
def folder(tmp_path):
    """Return a folder of five images of discs with instance labels."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:72, :80]
    for kind in ("images", "labels"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for number in range(5):
        labels = np.zeros((72, 80), np.uint16)
        for k in range(1, 5):
            cy, cx = rng.integers(10, 62), rng.integers(10, 70)
            labels[(y - cy) ** 2 + (x - cx) ** 2 < 64] = k
        image = (30 + 150 * (labels > 0) + rng.normal(0, 5, labels.shape)).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / "data" / "images" / f"{number}.png")
        Image.fromarray(labels).save(tmp_path / "data" / "labels" / f"{number}.png")
    return tmp_path / "data"


def train(folder, output, *more):
    return main(["train", str(folder), "--output", str(output), "--foreground", *QUICK, *more])


def test_it_writes_a_checkpoint_with_its_parent_and_history(folder, tmp_path, capsys):
    assert train(folder, tmp_path / "run") == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == str(tmp_path / "run" / "model.safetensors")
    assert "epoch 2 of 2" in captured.err
    checkpoint = napari_emcad.read_checkpoint(tmp_path / "run" / "model.safetensors")
    bundled = napari_emcad.bundled_checkpoint()
    assert checkpoint.parent == bundled.origin.sha256
    assert checkpoint.history[-1]["event"] == "trained on 4 slices"
    assert checkpoint.history[-1]["config"]["epochs"] == 2
    assert checkpoint.preprocessing == bundled.preprocessing
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert [each["epoch"] for each in history] == [1, 2]
    assert all(each["dice"] is not None for each in history)
    (kept,) = (each for each in history if each["kept"])
    assert f"epoch {kept['epoch']} is kept, Dice {kept['dice']:.4f}." in captured.err
    assert (tmp_path / "run" / "curves.png").exists()
    image = np.asarray(Image.open(folder / "images" / "0.png"))
    assert napari_emcad.segment(image, checkpoint).labels.shape == image.shape


def test_from_nothing_with_several_named_classes(folder, tmp_path):
    (folder / "classes.yaml").write_text("classes: [round, square, large, small]")
    more = [*QUICK, "--start", "nothing", "--model", "aggregation=concat"]
    assert main(["train", str(folder), "--output", str(tmp_path / "run"), *more]) == 2
    more = [*QUICK, "--start", "nothing"]
    assert main(["train", str(folder), "--output", str(tmp_path / "run"), *more]) == 0
    checkpoint = napari_emcad.read_checkpoint(tmp_path / "run" / "model.safetensors")
    assert [each.name for each in checkpoint.classes] == ["round", "square", "large", "small"]
    assert checkpoint.config.num_classes == 5
    assert checkpoint.parent is None


def test_from_the_general_network(folder, tmp_path):
    (folder / "classes.yaml").write_text("classes: [round, square, large, small]")
    more = [*QUICK, "--start", "general"]
    assert main(["train", str(folder), "--output", str(tmp_path / "run"), *more]) == 0
    checkpoint = napari_emcad.read_checkpoint(tmp_path / "run" / "model.safetensors")
    assert [each.name for each in checkpoint.classes] == ["round", "square", "large", "small"]
    assert checkpoint.preprocessing.zoom == 1
    assert checkpoint.parent == general_checkpoint().origin.sha256


def test_from_a_bare_encoder_file(folder, tmp_path):
    whole = napari_emcad.initialize_checkpoint(seed=2)
    encoder = {
        name.removeprefix("encoder.").replace("stages_", "stages."): torch.tensor(tensor)
        for name, tensor in whole.tensors.items()
        if name.startswith("encoder.")
    }
    torch.save(encoder, tmp_path / "pvt_v2_b0.pth")
    assert train(folder, tmp_path / "run", "--start", str(tmp_path / "pvt_v2_b0.pth")) == 0


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--set", "name=1"], "name"),
        (["--set", "function=1"], "function"),
        (["--preset", "fast"], "There is no preset fast; choose one of paper-polyp"),
        (["--preset", "from-scrach"], "(did you mean from-scratch?)."),
        (["--set", "epoch=3"], "epoch is no setting"),
        (["--set", "epoch=3"], "(did you mean epochs?)."),
        (["--set", "xyzzy=3"], "weight_decay."),
        (["--model", "encodr=pvt_v2_b2"], "(did you mean encoder?)."),
        (["--start", "no.pth"], "no such file"),
        (["--hold-out", "1"], "--hold-out is 1.0"),
        (["--resume"], "no training to resume"),
        (["--validation", "nowhere"], "nowhere is not a folder"),
    ],
)
def test_usage_errors_are_one_line_and_status_2(folder, tmp_path, capsys, more, words):
    assert train(folder, tmp_path / "run", *more) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert words in lines[0]


def test_instance_labels_without_foreground_and_bad_files(folder, tmp_path, capsys):
    labels = np.arange(72 * 80, dtype=np.uint16).reshape(72, 80)
    Image.fromarray(labels).save(folder / "labels" / "2.png")
    assert main(["train", str(folder), "--output", str(tmp_path / "run"), *QUICK]) == 2
    assert "--foreground" in capsys.readouterr().err
    (folder / "images" / "3.png").write_bytes(b"broken")
    assert train(folder, tmp_path / "run") == 2
    assert "3.png" in capsys.readouterr().err
    assert train(folder, tmp_path / "run", "--skip-bad") == 0
    assert "left out" in capsys.readouterr().err


def test_an_output_with_a_training_is_not_overwritten(folder, tmp_path, capsys):
    assert train(folder, tmp_path / "run") == 0
    assert train(folder, tmp_path / "run") == 2
    assert "--resume" in capsys.readouterr().err
    assert train(folder, tmp_path / "run", "--resume", "--set", "seed=5") == 2
    assert (
        "with other held-out images, images, seed; resume with the same (seed=0),"
        in capsys.readouterr().err
    )
    assert train(folder, tmp_path / "run", "--resume", "--model", "zoom=2") == 2
    assert "with other zoom; resume with the same (zoom=1.5)," in capsys.readouterr().err
    (tmp_path / "run" / "resume.pt").unlink()
    assert train(folder, tmp_path / "run") == 2
    assert "holds a model.safetensors already; move it" in capsys.readouterr().err


def test_other_files_in_the_output_are_not_replaced(folder, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "history.csv").write_text("mine")
    assert train(folder, tmp_path / "run") == 2
    assert "history.csv already" in capsys.readouterr().err
    assert (tmp_path / "run" / "history.csv").read_text() == "mine"


@pytest.mark.parametrize("foreground", [[], ["--foreground"]])
def test_negative_labels_are_ignored_and_named(foreground, folder, tmp_path, capsys):
    labels = sorted((folder / "labels").iterdir())[0]
    truth = np.asarray(Image.open(labels)).astype(np.int16)
    truth[0, 0] = -1
    labels.unlink()
    tifffile.imwrite(labels.with_suffix(".tif"), truth)
    assert train(folder, tmp_path / "run", *foreground) == 0
    assert "ignored are the pixels whose label is below 0" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.slow("src", ":!src/napari_emcad/plugin")
def test_a_killed_training_is_resumed_to_the_same_result(folder, tmp_path):
    """SIGKILL at any moment loses what came after the last snapshot, no more."""
    code = (
        "import sys; from napari_emcad.training import loop; loop._SNAPSHOT_S = 0.0;"
        "from napari_emcad.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["train", str(folder), "--foreground", *QUICK, "--set", "epochs=6"]

    def start(output, *more):
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments, "--output", str(output), *more],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    assert start(tmp_path / "whole").wait(240) == 0
    killed = start(tmp_path / "killed")
    deadline = time.monotonic() + 120
    while not (tmp_path / "killed" / "resume.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    assert start(tmp_path / "killed", "--resume").wait(240) == 0
    one, other = (
        napari_emcad.read_checkpoint(tmp_path / name / "model.safetensors")
        for name in ("whole", "killed")
    )
    for name, tensor in one.tensors.items():
        np.testing.assert_allclose(tensor, other.tensors[name], rtol=0, atol=1e-6, err_msg=name)


def test_a_training_goes_on_if_its_state_cannot_be_saved(folder, tmp_path, capsys, monkeypatch):
    from napari_emcad.io.run_folder import RunError, TrainingRun

    def full(*_):
        raise RunError("resume.pt cannot be written: No space left on device.")

    monkeypatch.setattr(TrainingRun, "save", full)
    assert train(folder, tmp_path / "run") == 0
    assert "cannot be resumed from here" in capsys.readouterr().err
    assert (tmp_path / "run" / "model.safetensors").exists()
    assert (tmp_path / "run" / "history.csv").exists()


def test_a_model_is_written_elsewhere_if_the_disk_is_full_at_the_end(
    folder, tmp_path, capsys, monkeypatch
):
    from napari_emcad.io import atomic_write

    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    def full(path, content):
        if path.is_relative_to(run) and path.name != ".writable":  # tried before the training
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        atomic_write.write_bytes(path, content)

    for module in ("run_folder", "checkpoints.files"):
        monkeypatch.setattr(f"napari_emcad.io.{module}.write_bytes", full)
    assert train(folder, run) == 1
    captured = capsys.readouterr()
    assert "No space left" in captured.err
    assert f"The model is in {elsewhere / 'model.safetensors'} instead." in captured.err
    assert captured.out.strip() == str(elsewhere / "model.safetensors")
    assert napari_emcad.read_checkpoint(elsewhere / "model.safetensors").history


def test_an_interrupted_training_can_be_resumed_to_the_same_network(
    folder, tmp_path, capsys, monkeypatch
):
    from contextlib import contextmanager

    from napari_emcad.cli import train as verb

    @contextmanager
    def at_once(stop):
        stop.set()
        yield

    assert train(folder, tmp_path / "whole") == 0
    with monkeypatch.context() as patched:
        patched.setattr(verb, "stop_on_interrupt", at_once)
        assert train(folder, tmp_path / "run") == 130
    assert "--resume" in capsys.readouterr().err
    assert train(folder, tmp_path / "run", "--resume") == 0
    one, other = (
        napari_emcad.read_checkpoint(tmp_path / name / "model.safetensors").tensors
        for name in ("whole", "run")
    )
    assert all(np.array_equal(one[k], other[k]) for k in one)


# -- what is trained on


def whole(folder, output, *more):
    """Train with the labels as they are: classes."""
    return main(["train", str(folder), "--output", str(output), *QUICK, *more])


def put_labels(folder, name, labels):
    Image.fromarray(labels).save(folder / "labels" / name)


@pytest.fixture
def classes(folder):
    """Return the folder with labels of two classes, each in pieces."""
    for path in (folder / "labels").iterdir():
        put_labels(folder, path.name, quartered())
    return folder


def quartered():
    labels = np.zeros((72, 80), np.uint8)
    for k in range(8):
        labels[9 * k : 9 * k + 5, 5:30] = k % 2 + 1
    return labels


def test_bad_pairs_are_refused_before_training_or_skipped_and_named(classes, tmp_path, capsys):
    (classes / "labels" / "0.png").write_bytes(b"broken")
    (classes / "labels" / "1.png").unlink()
    put_labels(classes, "2.png", quartered() * 50)
    assert whole(classes, tmp_path / "run") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "1.png has no label files" in line
    assert not (tmp_path / "run").exists()
    assert whole(classes, tmp_path / "run", "--skip-bad") == 0
    err = capsys.readouterr().err
    for name in ("0.png", "1.png", "2.png"):
        assert any("left out" in line and name in line for line in err.splitlines()), name
    assert "2 classes (1 nucleus, 2 class 2); 1 image to learn from, 1 image held out" in err


def test_a_folder_of_bad_pairs_only_is_not_trained_on(classes, tmp_path, capsys):
    for path in (classes / "labels").iterdir():
        path.write_bytes(b"broken")
    assert whole(classes, tmp_path / "run", "--skip-bad") == 2
    assert "No image of the folder can be used" in capsys.readouterr().err


def test_classes_images_and_device_are_printed_before_training(folder, tmp_path, capsys):
    assert train(folder, tmp_path / "run") == 0
    first = capsys.readouterr().err.splitlines()[0]
    assert "1 class (1 nucleus); 4 images to learn from, 1 image held out; CPU (" in first
    assert first.endswith(", float32.")


def test_a_remark_says_what_to_do_about_labels_that_number_objects(folder, tmp_path, capsys):
    for number in range(5):
        labels = np.zeros((72, 80), np.uint8)
        for k in range(3 + number):
            labels[10 * k : 10 * k + 6, 5:20] = k + 1
        put_labels(folder, f"{number}.png", labels)
    assert whole(folder, tmp_path / "run") == 0
    assert "single objects" in (words := capsys.readouterr().err)
    assert "--foreground" in words
    assert train(folder, tmp_path / "other") == 0
    assert "single objects" not in capsys.readouterr().err


def test_foreground_contradicts_several_class_names(folder, tmp_path, capsys):
    (folder / "classes.yaml").write_text("[cell, wall]")
    assert train(folder, tmp_path / "run") == 2
    assert "cell, wall" in capsys.readouterr().err


def test_remarks_name_absent_classes_empty_labels_and_constant_images(classes, tmp_path, capsys):
    (classes / "classes.yaml").write_text("[cell, wall, debris]")
    put_labels(classes, "0.png", np.zeros((72, 80), np.uint8))
    Image.fromarray(np.full((72, 80), 7, np.uint8)).save(classes / "images" / "1.png")
    (classes / "images" / "2.png").unlink()
    tifffile.imwrite(classes / "images" / "2.tif", np.full((72, 80), np.nan, np.float32))
    assert whole(classes, tmp_path / "run", "--hold-out", "0") == 0
    err = capsys.readouterr().err
    assert "No image to learn from has debris." in err
    assert "No label, background only (to learn from): 0.png." in err
    assert "The same value everywhere (to learn from): 1.png, 2.tif." in err
    assert "Nothing is held out" in err


def test_stacks_of_two_channels_are_trained_on(tmp_path, capsys):
    for kind in ("images", "labels"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for name in ("a.tif", "b.tif"):
        stack = np.random.default_rng(0).integers(0, 99, (2, 72, 80)).astype(np.uint16)
        tifffile.imwrite(tmp_path / "data" / "images" / name, stack)
        tifffile.imwrite(tmp_path / "data" / "labels" / name, quartered())
    more = ["--axes", "CYX", "--channels", "1"]
    assert whole(tmp_path / "data", tmp_path / "run", *more) == 0
    assert whole(tmp_path / "data", tmp_path / "run", "--resume", *more[:3], "0") == 2
    assert "other channels" in capsys.readouterr().err


# -- another folder that is held out


@pytest.fixture
def held_out(classes):
    """Return a second folder like the first."""
    return shutil.copytree(classes, classes.parent / "held_out")


@pytest.mark.parametrize(
    ("names", "theirs"), [(None, "cell, wall"), ("a, b", "b, a"), ("a, b, c", "a, b")]
)
def test_class_names_of_the_validation_must_agree(
    classes, held_out, tmp_path, capsys, names, theirs
):
    if names is not None:
        (classes / "classes.yaml").write_text(f"[{names}]")
    (held_out / "classes.yaml").write_text(f"[{theirs}]")
    assert whole(classes, tmp_path / "run", "--validation", str(held_out)) == 2
    err = capsys.readouterr().err
    assert f"names {theirs};" in err
    assert names is None or f"names {names}." in err


def test_the_training_folder_cannot_be_the_validation_folder(classes, tmp_path, capsys):
    assert whole(classes, tmp_path / "run", "--validation", str(classes)) == 2
    assert "is the folder that is trained on" in capsys.readouterr().err


def test_remarks_name_classes_that_differ_between_training_and_validation(
    classes, held_out, tmp_path, capsys
):
    put_labels(held_out, "0.png", quartered() + (quartered() == 2))
    more = ["--validation", str(held_out)]
    assert whole(classes, tmp_path / "run", *more) == 2
    assert "0.png: the labels hold 3, the classes are 1 to 2" in capsys.readouterr().err
    for path in (held_out / "labels").iterdir():
        put_labels(held_out, path.name, (quartered() == 1).astype(np.uint8))
    put_labels(held_out, "0.png", np.zeros((72, 80), np.uint8))
    assert whole(classes, tmp_path / "run", *more) == 0
    err = capsys.readouterr().err
    assert "No image held out has class 2." in err
    assert "No label, background only (held out): 0.png." in err


# -- where it is written to


@pytest.mark.parametrize("place", ["images", "labels/run", "../held_out/images/run"])
def test_an_output_within_an_input_folder_is_refused(classes, held_out, capsys, place):
    assert whole(classes, classes / place, "--validation", str(held_out)) == 2
    assert "which is read" in capsys.readouterr().err
    assert not (classes / "labels" / "run").exists()


def test_an_impossible_output_is_refused_before_images_are_read(classes, tmp_path, capsys):
    (classes / "labels" / "0.png").write_bytes(b"broken")
    (tmp_path / "file").touch()
    assert whole(classes, tmp_path / "file") == 2
    assert "it is a file; name a folder" in capsys.readouterr().err


def test_two_trainings_do_not_share_a_folder(folder, tmp_path, capsys):
    from napari_emcad.io.run_folder import TrainingRun

    with TrainingRun(tmp_path / "run").lock():
        assert train(folder, tmp_path / "run") == 2
        assert "Another training is writing" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert train(folder, tmp_path / "run") == 0
    assert not [each for each in (tmp_path / "run").iterdir() if each.name[0] == "."]


# -- progress


def test_a_log_file_gets_a_line_of_progress_now_and_then(folder, tmp_path, capsys, monkeypatch):
    from napari_emcad.cli import console

    assert train(folder, tmp_path / "quiet") == 0
    assert "step 1 of" not in capsys.readouterr().err
    now = iter(range(0, 10_000, 20))
    monkeypatch.setattr(console.time, "monotonic", lambda: next(now))
    pulse = console.ProgressLine()
    for step in range(1, 6):
        pulse.show_progress(f"step {step} of 5")
    assert capsys.readouterr().err.splitlines() == ["step 2 of 5", "step 4 of 5"]
