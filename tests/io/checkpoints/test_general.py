"""The network that comes with the package to start trainings on other images from."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from napari_emcad import bundled_checkpoint
from napari_emcad.inference.jobs import run_job
from napari_emcad.interactive.initial_weights import initial_checkpoint
from napari_emcad.interactive.task import TrainingSettings
from napari_emcad.io.checkpoints.general import general_checkpoint
from napari_emcad.io.checkpoints.heads import with_class_names
from napari_emcad.training.presets import PRESETS


@pytest.mark.parametrize("channels", [1, 3])
def test_it_predicts_images_of_one_or_three_channels(channels):
    checkpoint = general_checkpoint(channels)
    assert checkpoint.config.input_channels == channels
    assert len(checkpoint.preprocessing.mean) == channels
    assert not checkpoint.untrained
    with torch.inference_mode():
        logits = checkpoint.network().predict(torch.rand(1, channels, 64, 96), checkpoint.head)
    assert logits.shape == (1, 1, 64, 96)
    assert logits.isfinite().all()


def test_a_training_from_it_has_classes_and_ranges_of_the_open_model():
    opened = bundled_checkpoint().override(low=2, high=98, zoom=1.0)
    opened = with_class_names(opened, ["cell", "debris"])
    settings = TrainingSettings(PRESETS["scribbles"], start="general")
    fresh = run_job(initial_checkpoint(opened, settings, threading.Event()))
    own = general_checkpoint()
    assert [one.name for one in own.classes] == ["object"]
    assert fresh.classes == opened.classes
    assert (fresh.preprocessing.low, fresh.preprocessing.zoom) == (2, 1.0)
    assert fresh.preprocessing.mean == own.preprocessing.mean
    same = [name for name in own.tensors if not name.startswith("heads.")]
    for name in same:
        np.testing.assert_array_equal(fresh.tensors[name], own.tensors[name])


def test_heads_of_a_single_class_stay_whatever_its_name():
    settings = TrainingSettings(PRESETS["scribbles"], start="general")
    opened = with_class_names(bundled_checkpoint(), ["crack"])
    fresh = run_job(initial_checkpoint(opened, settings, threading.Event()))
    assert fresh.classes == opened.classes
    for name, tensor in general_checkpoint().tensors.items():
        np.testing.assert_array_equal(fresh.tensors[name], tensor)
