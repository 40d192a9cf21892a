"""The folder of a training."""

from __future__ import annotations

import csv
import json
import os

import pytest
import torch
from PIL import Image

from napari_emcad.io import run_folder
from napari_emcad.io.run_folder import RunError, TrainingRun
from napari_emcad.training.events import EpochEnd

STATE = {"step": 3, "network": {"a": torch.ones(2)}, "losses": [1.0], "best": None}
EPOCHS = [
    EpochEnd(n, 9, 5 / n, 1e-3, 0.1 * n if n % 2 else None, n == 3, 2.0 * n) for n in (1, 2, 3)
]


def test_a_state_comes_back_as_it_was(tmp_path):
    run = TrainingRun(tmp_path / "new" / "run")
    assert not run.has_state
    run.save(STATE, {"seed": 1, "scales": (1.0, 2.0)})
    again = TrainingRun(tmp_path / "new" / "run")
    assert again.has_state
    back = again.load({"seed": 1, "scales": (1.0, 2.0)})
    assert torch.equal(back["network"]["a"], STATE["network"]["a"])
    assert {k: v for k, v in back.items() if k != "network"} == {
        "step": 3,
        "losses": [1.0],
        "best": None,
    }


def test_the_state_of_another_training_is_refused_with_the_differences(tmp_path):
    run = TrainingRun(tmp_path)
    run.save(STATE, {"seed": 1, "crop": 64})
    with pytest.raises(RunError, match=r"other crop, seed; .* \(crop=64, seed=1\),"):
        run.load({"seed": 2, "crop": 32})


def test_the_different_settings_of_another_training_are_named(tmp_path):
    settings = {"seed": 1, "flip": False, "augmentation": {"scale": (0.5, 2.0), "hue": 0.1}}
    run = TrainingRun(tmp_path)
    run.save(STATE, {"training": settings, "images": ["a", "b"], "start": "x"})
    assert run.load({"training": settings, "images": ["a", "b"], "start": "x"})
    other = {**settings, "flip": True, "augmentation": {"scale": (0.5, 2.0), "hue": 0.2}}
    with pytest.raises(RunError) as caught:
        run.load({"training": other, "images": ["a"], "start": "x"})
    assert "other flip, hue, images; resume with the same (flip=false, hue=0.1), or" in str(
        caught.value
    )


def test_a_missing_or_damaged_state_is_an_error(tmp_path):
    run = TrainingRun(tmp_path)
    with pytest.raises(RunError, match="no training to resume"):
        run.load({})
    (tmp_path / "resume.pt").write_bytes(b"half of it")
    with pytest.raises(RunError, match="damaged"):
        run.load({})


def test_a_full_disk_is_an_error_and_the_last_state_stays(tmp_path, monkeypatch):
    run = TrainingRun(tmp_path)
    run.save(STATE, {})

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(run_folder, "write_bytes", full)
        with pytest.raises(RunError, match="No space left"):
            run.save({**STATE, "step": 4}, {})
    assert run.load({})["step"] == 3


def test_an_unwritable_folder_is_refused_before_training_starts(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="cannot be created"):
        TrainingRun(tmp_path / "file")
    if os.getuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(RunError, match="cannot be written"):
            TrainingRun(tmp_path / "closed")


def test_history_is_written_as_csv_json_and_curves(tmp_path):
    TrainingRun(tmp_path).write_history(EPOCHS)
    rows = list(csv.DictReader((tmp_path / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert rows[1]["dice"] == ""
    listed = json.loads((tmp_path / "history.json").read_text())
    assert listed[2]["best"] is True
    assert [each["kept"] for each in listed] == [False, False, True]
    assert [row["kept"] for row in rows] == ["False", "False", "True"]
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (900, 420)
        colors = {color for _, color in picture.getcolors(10**6)}
    assert {(52, 152, 219), (230, 126, 34)} <= colors
