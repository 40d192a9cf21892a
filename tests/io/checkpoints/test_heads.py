"""Other classes: what stays keeps its probabilities."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_emcad.io.checkpoints.classes import ClassLabel
from napari_emcad.io.checkpoints.heads import with_class_names
from napari_emcad.io.checkpoints.initialize import initialize_checkpoint
from napari_emcad.io.checkpoints.sniff import CheckpointError


@pytest.fixture(scope="module")
def binary():
    return initialize_checkpoint(seed=5).override(classes=["cell"])


@pytest.fixture(scope="module")
def several():
    labels = [ClassLabel("a", "#112233"), ClassLabel("b", "#445566"), ClassLabel("c", "#778899")]
    return initialize_checkpoint(seed=5, num_classes=4).override(classes=labels)


def logits(checkpoint):
    torch.manual_seed(0)
    with torch.inference_mode():
        return checkpoint.network().predict(torch.randn(1, 3, 64, 64), "sum")[0].numpy()


def odds(values, k):
    """Return the log-odds of class k against the background."""
    return values[0] if len(values) == 1 else values[k] - values[0]


def test_the_same_names_change_nothing(several):
    assert with_class_names(several, ["a", "b", "c"]) is several


def test_one_class_becomes_several_and_keeps_its_odds(binary):
    more = with_class_names(binary, ["wall", "cell"])
    assert more.config.num_classes == 3
    assert [each.name for each in more.classes] == ["wall", "cell"]
    assert more.classes[1].color == binary.classes[0].color
    np.testing.assert_allclose(odds(logits(more), 2), odds(logits(binary), 1), atol=1e-4)


def test_several_become_one_and_keep_its_odds(several):
    one = with_class_names(several, ["b"])
    assert one.config.num_classes == 1
    np.testing.assert_allclose(odds(logits(one), 1), odds(logits(several), 2), atol=1e-4)


def test_classes_may_be_reordered_removed_and_added(several):
    other = with_class_names(several, ["c", "new", "a"])
    assert [each.color for each in other.classes][::2] == ["#778899", "#112233"]
    np.testing.assert_allclose(odds(logits(other), 1), odds(logits(several), 3), atol=1e-4)
    np.testing.assert_allclose(odds(logits(other), 3), odds(logits(several), 1), atol=1e-4)
    for name, tensor in several.tensors.items():
        if not name.startswith("heads."):
            assert np.shares_memory(other.tensors[name], tensor)


def test_missing_names_are_filled_in_and_no_class_is_refused(binary):
    assert [each.name for each in with_class_names(binary, ["cell"], 3).classes] == [
        "cell",
        "class 2",
        "class 3",
    ]
    with pytest.raises(CheckpointError, match="at least one"):
        with_class_names(binary, [])
    with pytest.raises(CheckpointError, match="same name"):
        with_class_names(binary, ["x", "x"])
