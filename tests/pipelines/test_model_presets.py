"""Settings of published models are offered for the files that may be such models."""

from __future__ import annotations

import pytest

from napari_emcad.io.checkpoints.initialize import initialize_checkpoint
from napari_emcad.pipelines.model_presets import MODEL_PRESETS, fitting_presets


@pytest.mark.parametrize("title", MODEL_PRESETS)
def test_a_preset_gives_names_range_and_size(title, tiny_encoder):
    values = MODEL_PRESETS[title]
    checkpoint = initialize_checkpoint(
        encoder=tiny_encoder,
        input_channels=values["input_channels"],
        num_classes=len(values["classes"]) + (len(values["classes"]) > 1),
    )
    assert title in fitting_presets(checkpoint)
    changed = checkpoint.override(**values)
    assert tuple(label.name for label in changed.classes) == tuple(values["classes"])
    assert (changed.preprocessing.low, changed.preprocessing.high) == (
        values["low"],
        values["high"],
    )
    assert changed.preprocessing.size == values["size"]


def test_other_numbers_of_classes_fit_no_preset(tiny_encoder):
    two = initialize_checkpoint(encoder=tiny_encoder, num_classes=3)
    assert fitting_presets(two) == []
