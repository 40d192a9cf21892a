"""Projects: written at once or not at all, moved with their images, and read without trust."""

from __future__ import annotations

import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_emcad.io.annotation_file import SavedAnnotation, annotation_bytes, read_annotation
from napari_emcad.io.project_folder import (
    ProjectError,
    SavedProject,
    SavedVersion,
    read_project,
    write_project,
)


def annotation(path, value=1):
    labels = np.zeros((8, 9), np.uint8)
    labels[2:4, 3:5] = value
    return SavedAnnotation(labels, {"name": "strokes", "image": "nuclei", "path": path})


def project(tmp_path, checkpoint, value=1):
    return SavedProject(
        (annotation(str(tmp_path / "images" / "one.tif"), value), annotation(None)),
        (SavedVersion(checkpoint, {"how": "opened"}), SavedVersion(checkpoint, {"how": "trained"})),
        1,
        (("nucleus", "#ff0000"),),
        {"tile": 256},
    )


@pytest.fixture
def folder(tmp_path, tiny_checkpoint):
    written = tmp_path / "work" / "cells.emcad"
    written.parent.mkdir()
    write_project(written, project(tmp_path, tiny_checkpoint))
    return written


def test_everything_is_read_as_it_was_written(folder, tmp_path, tiny_checkpoint):
    read, problems = read_project(folder)
    assert problems == []
    np.testing.assert_array_equal(read.annotations[0].labels, annotation("").labels)
    assert [one.about["how"] for one in read.versions] == ["opened", "trained"]
    for name, tensor in tiny_checkpoint.tensors.items():
        np.testing.assert_array_equal(read.versions[1].checkpoint.tensors[name], tensor)
    assert (read.current, read.classes, read.settings) == (
        1,
        (("nucleus", "#ff0000"),),
        {"tile": 256},
    )
    assert [path.name for path in folder.parent.iterdir()] == ["cells.emcad"]


def test_images_are_found_where_the_project_has_moved_to(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "images").mkdir(parents=True)
    (elsewhere / "work").mkdir()
    (elsewhere / "images" / "one.tif").write_bytes(b"pixels")
    folder.rename(elsewhere / "work" / "cells.emcad")
    read, _ = read_project(elsewhere / "work" / "cells.emcad")
    assert read.annotations[0].metadata["path"] == str(elsewhere / "images" / "one.tif")
    assert read.annotations[1].metadata["path"] is None


def test_saving_again_replaces_the_project(folder, tmp_path, tiny_checkpoint):
    write_project(folder, SavedProject((annotation(None, 3),)))
    read, _ = read_project(folder)
    assert len(read.annotations) == 1
    assert read.annotations[0].labels.max() == 3
    assert read.versions == ()
    assert [path.name for path in folder.parent.iterdir()] == ["cells.emcad"]


def test_a_failed_saving_leaves_the_old_project(folder, tmp_path, tiny_checkpoint, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_emcad.io.project_folder.write_checkpoint", full)
    with pytest.raises(ProjectError, match="No space left"):
        write_project(folder, project(tmp_path, tiny_checkpoint, value=9))
    assert read_project(folder)[0].annotations[0].labels.max() == 1
    assert [path.name for path in folder.parent.iterdir()] == ["cells.emcad"]


def test_other_folders_are_not_replaced(tmp_path):
    precious = tmp_path / "data.emcad"
    precious.mkdir()
    (precious / "thesis.txt").write_text("mine")
    with pytest.raises(ProjectError, match="is no project"):
        write_project(precious, SavedProject())
    assert (precious / "thesis.txt").read_text() == "mine"


def test_a_damaged_part_is_named_and_the_rest_is_read(folder):
    (folder / "annotation-1.npz").write_bytes(b"PK\x03\x04 damaged")
    (folder / "model-1.safetensors").write_bytes(b"damaged")
    read, problems = read_project(folder)
    assert len(read.annotations) == len(read.versions) == 1
    assert read.current == 0
    assert "annotation-1.npz" in problems[0]
    assert "model-1.safetensors" in problems[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "no project of napari-emcad"),
        ({"version": 99}, "newer release"),
        ({"annotations": ["../../secret.npz"]}, "list of annotations is wrong"),
        ({"annotations": None}, "list of annotations is wrong"),
        ({"versions": [{"file": "/etc/passwd", "about": {}}]}, "list of versions is wrong"),
        ({"versions": [{"about": {}}]}, "list of versions is wrong"),
        ({"classes": ["nucleus"]}, "list of classes is wrong"),
        ({"current": 7}, "current version is wrong"),
        ({"current": True}, "current version is wrong"),
        ({"settings": []}, "settings are missing"),
    ],
)
def test_a_wrong_index_is_refused_in_words(folder, change, message):
    index = json.loads((folder / "project.json").read_text())
    (folder / "project.json").write_text(json.dumps(index | change))
    with pytest.raises(ProjectError, match=message):
        read_project(folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda children: (
            st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3)
        ),
    )
)
def test_any_json_is_read_or_refused(tmp_path, content):
    (tmp_path / "project.json").write_text(json.dumps(content))
    with pytest.raises(ProjectError):
        read_project(tmp_path)


def test_a_missing_index_is_named(tmp_path):
    with pytest.raises(ProjectError, match=r"has no project\.json"):
        read_project(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_a_damaged_annotation_is_refused_or_read(tmp_path, data):
    content = bytearray(annotation_bytes(annotation("one.tif")))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    path = tmp_path / "annotation.npz"
    path.write_bytes(content)
    with suppress(ValueError, KeyError, OSError):
        read_annotation(path)
