"""Files that are not open are segmented in the background, into a folder."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

import napari_emcad

pytestmark = pytest.mark.usefixtures("preferred_scheduler")


@pytest.fixture
def files(tmp_path, nuclei):
    paths = [tmp_path / f"{name}.tif" for name in "abc"]
    for n, path in enumerate(paths):
        tifffile.imwrite(path, np.roll(nuclei, 11 * n, 1))
    return paths


def segment(panel, finish, paths, folder):
    panel.segment.panel.files.files_requested.emit(paths, folder)
    finish(panel)


def test_labels_are_those_of_python(panel, finish, files, tmp_path):
    panel.segment.panel._separate.setChecked(True)
    segment(panel, finish, files, tmp_path)
    assert panel.runner.message == f"3 files written to {tmp_path}."
    settings = panel.segment.panel.settings
    for path in files:
        image = tifffile.imread(path)
        expected = napari_emcad.segment(image, panel.session.checkpoint, settings=settings).labels
        labels = tifffile.imread(path.with_name(f"{path.stem}_labels.tif"))
        np.testing.assert_array_equal(labels, expected)


def test_what_is_there_is_kept_and_the_rest_is_done(panel, finish, files, tmp_path):
    (tmp_path / "b_labels.tif").write_bytes(b"mine")
    segment(panel, finish, files, tmp_path)
    assert "2 files written" in panel.runner.message
    assert "1 were there already" in panel.runner.message
    assert (tmp_path / "b_labels.tif").read_bytes() == b"mine"
    segment(panel, finish, files, tmp_path)
    assert panel.runner.message == f"All 3 labels are in {tmp_path} already."


def test_a_damaged_file_is_named_and_the_others_are_segmented(panel, finish, files, tmp_path):
    files[1].write_bytes(b"no picture")
    segment(panel, finish, files, tmp_path)
    assert "2 files written" in panel.runner.message
    assert "b.tif" in panel.runner.message


def test_a_scheduler_that_does_not_answer_is_named(panel, finish, files, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "napari_emcad.plugin.segment.files_job.cluster_scheduler", lambda: "nowhere"
    )
    segment(panel, finish, files, tmp_path)
    assert "nowhere" in panel.runner.message
    assert not list(tmp_path.glob("*_labels.tif"))


def test_the_preference_is_empty_at_first():
    from napari_emcad.plugin.settings import cluster_scheduler

    assert cluster_scheduler() == ""
