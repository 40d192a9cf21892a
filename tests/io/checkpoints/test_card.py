"""A checkpoint in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_emcad import bundled_checkpoint
from napari_emcad.io.checkpoints.card import model_card


def history(*entries):
    return dict(model_card(replace(bundled_checkpoint(), history=entries)))["History"].splitlines()


def test_the_history_describes_every_training():
    first = {
        "event": "trained on 539 slices",
        "date": "2026-11-25T06:16:18+00:00",
        "epochs": 75,
        "best_dice": 0.90548,
        "ending": "finished",
        "parent_title": "a new network",
        "parent": None,
    }
    second = first | {"epochs": 1, "best_dice": None, "ending": "stopped", "parent": "ab" * 32}
    third = second | {"parent_title": "", "date": "2027-01-02", "ending": "diverged"}
    assert history(first, second, third) == [
        "2026-11-25: 75 epochs, best Dice 0.905, from “a new network”",
        "2026-11-25: 1 epoch, stopped, from “a new network”",
        "2027-01-02: 1 epoch, diverged, from abababababababab",
    ]


@pytest.mark.parametrize("entry", [{}, {"date": 5, "epochs": "x", "best_dice": []}])
def test_unusual_metadata_is_not_an_error(entry):
    assert "a training" in history(entry)[0]
    assert history({**entry, "event": "fine-tuned"})[0].endswith("fine-tuned")


def test_a_training_is_one_line_without_control_characters():
    assert history({"event": "a\x1b[31mb\nc"}) == ["a[31mb c"]


def test_without_a_training_there_is_no_history():
    assert "History" not in dict(model_card(replace(bundled_checkpoint(), history=())))
