"""Pascal VOC: palette masks, the void border, and lists of splits."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.io.datasets.label_files import read_label_files
from napari_emcad.io.datasets.layouts import find_files
from napari_emcad.io.images.opened_image import ImageFileError

PALETTE = np.random.default_rng(0).integers(0, 256, 768).tolist()


@pytest.fixture
def voc(tmp_path, save, picture):
    """Return three labeled pictures among five."""
    root = tmp_path / "VOC2012"
    for n in range(5):
        save(root / "JPEGImages" / f"2007_{n}.jpg", picture(n))
    for n in range(3):
        mask = np.zeros((40, 48), np.uint8)
        mask[5:15, 5:15] = 255
        mask[6:14, 6:14] = n + 1
        save(root / "SegmentationClass" / f"2007_{n}.png", mask, PALETTE)
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_0\n2007_2\n")
    (lists / "val.txt").write_text("2007_1\n")
    (lists / "trainval.txt").write_text("2007_0\n2007_1\n2007_2\n")
    (lists / "test.txt").write_text("2007_3\n2007_4\n")
    return root


def test_the_index_of_the_palette_is_the_class_and_255_is_void(voc, targets):
    found = find_files(voc)
    assert str(found) == "VOC: 3 images (2 train, 1 val)"
    assert found.notes == ("2 images without a mask are left out.",)
    for n, part in ((0, "train"), (1, "val"), (2, "train")):
        target = targets(found.splits[part])[f"2007_{n}.jpg"]
        assert (target[6:14, 6:14] == n + 1).all()
        assert (target == UNLABELED).sum() == 36
        assert (target == 0).sum() == 40 * 48 - 100


def test_a_mask_of_void_alone_has_no_class(voc, targets, save):
    mask = np.zeros((40, 48), np.uint8)
    mask[:9] = 255
    save(voc / "SegmentationClass" / "2007_1.png", mask, PALETTE)
    found = find_files(voc)
    assert set(np.unique(targets(found)["2007_1.jpg"])) == {UNLABELED, 0}
    alone = read_label_files(voc / "SegmentationClass" / "2007_1.png", coding=found.coding)
    assert set(np.unique(alone.pixels)) == {UNLABELED, 0}  # also without others that have classes


def test_a_labelmap_gives_the_classes_by_color(voc, targets):
    colors = [PALETTE[3 * k : 3 * k + 3] for k in (0, 2, 1, 3, 255)]
    names = ["background", "two", "one", "three", "void"]
    lines = [f"{n}:{','.join(map(str, c))}::" for n, c in zip(names, colors, strict=True)]
    (voc / "labelmap.txt").write_text("# label:color_rgb:parts:actions\n" + "\n".join(lines))
    found = find_files(voc)
    assert found.class_names == ("two", "one", "three")
    target = targets(found)["2007_0.jpg"]
    assert (target[6:14, 6:14] == 2).all()
    assert target[5, 5] == UNLABELED


def test_a_mask_without_its_image_is_a_problem(voc):
    (voc / "JPEGImages" / "2007_2.jpg").unlink()
    (problem,) = find_files(voc).problems
    assert "2007_2 has a mask" in problem


def test_a_listed_picture_without_a_mask_is_refused(voc):
    (voc / "ImageSets" / "Segmentation" / "val.txt").write_text("2007_1\n2007_4\n")
    with pytest.raises(ImageFileError, match="lists 2007_4, which is no labeled image"):
        find_files(voc)


def test_masks_of_0_and_255_in_folders_of_these_names_are_no_voc(tmp_path, save, picture, targets):
    save(tmp_path / "JPEGImages" / "a.png", picture())
    mask = np.zeros((40, 48), np.uint8)
    mask[:5] = 255
    save(tmp_path / "SegmentationClass" / "a.png", mask)
    found = find_files(tmp_path)
    assert found.layout == "folders"
    assert np.array_equal(targets(found)["a.png"], mask > 0)
