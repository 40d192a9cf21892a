"""Files that release 0.1 wrote are read: tests/golden/release_0_1 was written by its code."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from napari_emcad import bundled_checkpoint
from napari_emcad.annotation.label_rules import LabelRule
from napari_emcad.io.autosave import find_recoveries, read_recovery
from napari_emcad.io.checkpoints.classes import ClassLabel
from napari_emcad.io.run_folder import RunError, TrainingRun
from napari_emcad.training.config import TrainingConfig

OLD = Path(__file__).parents[1] / "golden" / "release_0_1"
CONFIG = TrainingConfig(teacher="consensus", confidence=0.7)


def test_an_autosaved_annotation(tmp_path):
    (tmp_path / "session").mkdir()
    shutil.copy(OLD / "annotation.npz", tmp_path / "session" / "paint-1.npz")
    (recovery,) = find_recoveries(tmp_path)
    (annotation,), model, problems = read_recovery(recovery)
    assert (model, problems) == (None, [])
    expected = np.zeros((16, 24), np.uint8)
    expected[2:5, 3:9], expected[10:12, :4] = 2, 5
    np.testing.assert_array_equal(annotation.labels, expected)
    assert LabelRule.from_dict(annotation.metadata["rule"]) == LabelRule("scribbles", ((5, 1),))


def test_training_settings():
    saved = json.loads((OLD / "training.json").read_text())
    assert (saved["teacher"], saved["sure"]) == ("agreed", 0.7)
    assert TrainingConfig().replace(**saved) == CONFIG


def test_the_state_of_a_training(tmp_path):
    shutil.copy(OLD / "resume.pt", tmp_path)
    run = TrainingRun(tmp_path)
    assert run.load({"seed": 0, "training": asdict(CONFIG)}) == {}
    with pytest.raises(RunError, match="teacher"):
        run.load({"seed": 0, "training": asdict(CONFIG.replace(teacher="ema"))})


def test_the_classes_of_a_checkpoint():
    """The bundled checkpoint was written by release 0.1."""
    assert bundled_checkpoint().classes == (ClassLabel("nucleus", "#f5b041"),)


@pytest.mark.parametrize("key", ["colour", "color"])
def test_both_spellings_of_the_color_of_a_class(key):
    assert ClassLabel.from_dict({"name": "a", key: "#112233"}) == ClassLabel("a", "#112233")


@pytest.mark.parametrize("key", ["moved", "remapped"])
def test_both_names_of_the_values_of_a_rule(key):
    entry = {"meaning": "scribbles", key: [[5, 1]]}
    assert LabelRule.from_dict(entry) == LabelRule("scribbles", ((5, 1),))
