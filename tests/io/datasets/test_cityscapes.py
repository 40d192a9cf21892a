"""Cityscapes: numbers of classes in the files, and parts whose labels are withheld."""

from __future__ import annotations

import numpy as np

from napari_emcad.io.datasets.layouts import find_files


def write(tmp_path, save, part, city, labels):
    name = f"{city}_000000_000019"
    save(tmp_path / f"leftImg8bit/{part}/{city}/{name}_leftImg8bit.png", np.stack([labels] * 3, -1))
    for kind, values in (("labelIds", labels), ("instanceIds", labels * 2)):
        save(tmp_path / f"gtFine/{part}/{city}/{name}_gtFine_{kind}.png", values)
    (tmp_path / f"gtFine/{part}/{city}/{name}_gtFine_polygons.json").write_text("{}")


def test_classes_that_are_scored_are_numbered_and_others_ignored(tmp_path, save, targets):
    labels = np.arange(34, dtype=np.uint8).reshape(2, 17)
    for part, city in (("train", "aachen"), ("val", "munster")):
        write(tmp_path, save, part, city, labels)
    write(tmp_path, save, "test", "berlin", np.full((2, 17), 3, np.uint8))
    found = find_files(tmp_path)
    assert str(found) == "Cityscapes: 2 images (1 train, 1 val)"
    assert found.notes == ("The labels of test are withheld; it is left out.",)
    (target,) = targets(found.splits["val"], 19).values()
    scored = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
    expected = np.full(34, -1)
    expected[list(scored)] = range(1, 20)
    np.testing.assert_array_equal(target.ravel(), expected)
    assert found.class_names is not None
    assert (found.class_names[0], found.class_names[12], found.class_names[18]) == (
        "road", "rider", "bicycle",
    )  # fmt: skip


def test_an_image_without_labels_is_named(tmp_path, save):
    labels = np.full((2, 17), 7, np.uint8)
    for city in ("aachen", "bochum"):
        write(tmp_path, save, "train", city, labels)
    (tmp_path / "gtFine/train/bochum/bochum_000000_000019_gtFine_labelIds.png").unlink()
    (problem,) = find_files(tmp_path).problems
    assert "has no label file bochum_000000_000019_gtFine_labelIds.png" in problem
