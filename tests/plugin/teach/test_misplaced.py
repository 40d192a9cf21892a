"""A layer that lies elsewhere than an image is no annotation of its pixels without a question."""

from __future__ import annotations

import numpy as np
import pytest
from driving import wait_until_idle

from napari_emcad.plugin.layers.drawn import data_to_world


@pytest.fixture
def scaled(viewer, dock, nuclei):
    viewer.add_image(nuclei, name="nuclei", scale=(0.5, 0.5))
    return dock(viewer)


ELSEWHERE = {
    "its pixels are 1 × 1": {},
    "its first pixel": {"scale": (0.5, 0.5), "translate": (0, 20)},
    "mirrored": {"scale": (-0.5, 0.5)},
    "rotated": {"scale": (0.5, 0.5), "rotate": 90},
    "its pixels are 0.5 × 0.5099": {"affine": [[0.5, 0.1, 0], [0, 0.5, 0], [0, 0, 1]]},
}


@pytest.mark.parametrize("says", ELSEWHERE)
def test_a_misplaced_layer_is_used_only_after_a_question(scaled, nuclei, says):
    mask = (nuclei > 100).astype(np.uint8)
    layer = scaled.viewer.add_labels(mask, name="elsewhere", **ELSEWHERE[says])
    scaled.teach.annotating.use_layer(layer)
    assert says in scaled.job_bar.message
    assert not scaled.session.project.entries
    scaled.teach.annotating.use_layer(layer)
    assert scaled.teach.annotating.pair.labels is layer
    image = scaled.viewer.layers["nuclei"]
    np.testing.assert_allclose(data_to_world(layer), data_to_world(image), atol=1e-9)


@pytest.mark.parametrize(
    "placement",
    [
        {"scale": (0.5, 0.5)},
        {"scale": (0.5, 0.5), "translate": (0.2, -0.2)},
        {"affine": [[0.5, 0, 0], [0, 0.5, 0], [0, 0, 1]]},
    ],
)
def test_a_layer_on_the_image_is_used_at_once(scaled, nuclei, placement):
    layer = scaled.viewer.add_labels((nuclei > 100).astype(np.uint8), name="there", **placement)
    scaled.teach.annotating.use_layer(layer)
    assert scaled.teach.annotating.pair.labels is layer


def test_units_are_compared_as_napari_draws_them(viewer, dock, nuclei):
    viewer.add_image(nuclei, name="nuclei", scale=(0.5, 0.5), units=("um", "um"))
    panel = dock(viewer)
    mask = (nuclei > 100).astype(np.uint8)
    same = viewer.add_labels(mask, scale=(500, 500), units=("nm", "nm"), name="same")
    panel.teach.annotating.use_layer(same)
    assert panel.teach.annotating.pair.labels is same
    other = viewer.add_labels(mask, scale=(0.5, 0.5), units=("nm", "nm"), name="other")
    panel.teach.annotating.use_layer(other)
    assert panel.teach.annotating.pair.labels is same
    assert "does not lie on" in panel.job_bar.message


def test_a_layer_that_is_moved_afterwards_is_neither_moved_back_nor_learned(scaled, qtbot, nuclei):
    mask = (nuclei > 100).astype(np.uint8)
    layer = scaled.viewer.add_labels(mask, name="mine", scale=(0.5, 0.5))
    scaled.teach.annotating.use_layer(layer)
    wait_until_idle(scaled, qtbot)
    assert not scaled.teach.training.why_not()
    layer.data, layer.scale, layer.translate = mask[::-1].copy(), (-0.5, 0.5), (47.5, 0)
    wait_until_idle(scaled, qtbot)
    assert "no longer lies on" in scaled.teach.training.why_not()
    scaled.teach.training.train()
    wait_until_idle(scaled, qtbot)
    assert tuple(layer.scale) == (-0.5, 0.5)
    assert len(scaled.session.versions) == 1
