"""What a list shows of autosave folders, and their removal."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from napari_emcad.io.autosave import AutosaveFolder, dismiss, find_recoveries, read_recovery
from napari_emcad.io.earlier_sessions import delete, summarize
from napari_emcad.io.folder_lock import FolderLockedError, folder_lock

ABOUT = {"image": "cells", "path": "/data/cells.tif", "strokes": 3}


@pytest.fixture
def recovery(tmp_path, tiny_checkpoint):
    """Return an ended session with two annotations, one with a picture, and a model."""
    folder = AutosaveFolder(tmp_path)
    labels, picture = np.eye(9, dtype=np.uint8), np.full((4, 6, 3), 7, np.uint8)
    folder.save_annotation(1, labels, ABOUT, thumbnail=picture)
    folder.save_annotation(2, labels[:4], {"image": "old"})
    folder.save_model(tiny_checkpoint)
    folder.end()
    (found,) = find_recoveries(tmp_path)
    return found


def test_a_summary_has_pictures_and_numbers(recovery, tiny_checkpoint):
    annotations, title = summarize(recovery)
    assert title == tiny_checkpoint.title
    first, second = annotations
    assert (first.image, first.path, first.pixels, first.strokes) == (
        "cells",
        "/data/cells.tif",
        9,
        3,
    )
    assert first.thumbnail.shape == (4, 6, 3)
    assert (second.path, second.pixels, second.strokes, second.thumbnail) == ("", 4, 0, None)


@pytest.mark.parametrize("damage", [b"", b"PK nonsense", b"\x93NUMPY"])
def test_damaged_files_are_left_out(recovery, damage):
    for file in recovery.folder.glob("*.*"):
        file.write_bytes(damage)
    assert summarize(recovery) == ((), "")


def test_dismissed_sessions_are_found_on_request_until_they_are_removed(recovery, tmp_path):
    dismiss(recovery)
    assert find_recoveries(tmp_path) == []
    (kept,) = find_recoveries(tmp_path, dismissed=True)
    assert kept.dismissed
    assert kept.modified == recovery.modified  # of the work, not of the mark
    old = time.time() - 15 * 86400
    for file in recovery.folder.iterdir():
        os.utime(file, (old, old))
    assert find_recoveries(tmp_path, dismissed=True) == []
    assert not recovery.folder.exists()


def test_a_session_in_use_is_not_deleted(recovery):
    with folder_lock(recovery.folder), pytest.raises(FolderLockedError):
        delete(recovery)
    assert recovery.folder.exists()
    delete(recovery)
    assert not recovery.folder.exists()


def test_a_discarded_session_leaves_nothing_and_saves_no_late_model(tmp_path, tiny_checkpoint):
    folder = AutosaveFolder(tmp_path)
    folder.save_model(tiny_checkpoint)
    folder.discard()
    folder.save_last_model(tiny_checkpoint, steps_left=5)
    assert list(tmp_path.iterdir()) == []


def test_steps_that_are_left_belong_to_their_model(tmp_path, tiny_checkpoint):
    folder = AutosaveFolder(tmp_path)
    folder.end()
    folder.save_last_model(tiny_checkpoint, steps_left=5)
    (found,) = find_recoveries(tmp_path)
    assert found.steps_left == 5
    assert read_recovery(found)[1].title == tiny_checkpoint.title
    (found.folder / "steps-left").write_text("many")
    assert find_recoveries(tmp_path)[0].steps_left == 0
    folder.save_model(tiny_checkpoint)
    assert not (found.folder / "steps-left").exists()
