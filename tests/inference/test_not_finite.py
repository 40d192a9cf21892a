"""A network whose output is NaN is refused, instead of giving an empty segmentation."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_emcad import segment, stage_maps
from napari_emcad.inference.segment import NotFinite, check_finite
from napari_emcad.interactive.preview import PreviewSchedule
from napari_emcad.interactive.visible_region import VisibleRegion
from napari_emcad.pipelines.segment import slices_for

IMAGE = np.zeros((40, 50, 3), np.uint8)


@pytest.fixture(params=[np.nan, np.inf, -np.inf], ids=str)
def damaged(request, checkpoint):
    """Return a checkpoint whose finest head has no finite output."""
    sound = checkpoint()
    bias = np.full(1, request.param, np.float32)
    return replace(sound, tensors={**sound.tensors, "heads.stage1.bias": bias})


def test_a_segmentation_that_is_not_finite_is_refused(damaged):
    with pytest.raises(NotFinite, match=r"output is not finite.*weights are damaged"):
        segment(IMAGE, damaged)


@pytest.mark.parametrize("maps", ["gate:2", "entropy", "flip_disagreement", "encoder:4"])
def test_stage_maps_that_are_not_finite_are_refused(damaged, maps):
    with pytest.raises(NotFinite, match=r"output is not finite.*weights are damaged"):
        stage_maps(IMAGE, damaged, maps)[0]


def test_the_message_names_half_precision_where_it_was_used():
    with pytest.raises(NotFinite, match=r"in float16; compute in full precision.*full_precision"):
        check_finite(finite=False, half=torch.float16)


def test_a_preview_that_is_not_finite_does_not_end_a_training(damaged):
    visible, seconds = VisibleRegion(slices_for(IMAGE, damaged)), iter((0.0, 60.0, 60.0))
    preview = PreviewSchedule(
        damaged, visible, "cpu", threading.Event(), clock=lambda: next(seconds)
    )
    assert list(preview(damaged.network())) == []
