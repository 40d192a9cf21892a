"""Folders of images and labels: what is read, recognized, named and refused."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.io.datasets.class_names import class_names
from napari_emcad.io.datasets.layouts import find_files
from napari_emcad.io.datasets.read import DatasetError, read_dataset
from napari_emcad.io.images.opened_image import ImageFileError

PERCENTILE = Preprocessing(intensity="percentile", low=0, high=100)


@pytest.fixture
def folder(tmp_path):
    """Return a folder with two images and a function that puts another pair into it."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()

    def put(name, image, labels):
        for kind, array in (("images", image), ("labels", labels)):
            path = tmp_path / kind / name
            if path.suffix == ".png":
                Image.fromarray(array).save(path)
            else:
                tifffile.imwrite(path, array)

    return tmp_path, put


def image(seed=0, shape=(40, 50)):
    return np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8)


def mask(value, shape=(40, 50)):
    labels = np.zeros(shape, np.uint8)
    labels[5:20, 5:20] = value
    return labels


def read(folder, classes=1, preprocessing=PERCENTILE, inputs=3, **options):
    return read_dataset(find_files(folder).pairs, inputs, preprocessing, classes, **options)


def test_gray_and_rgb_and_stacks_become_slices(folder):
    path, put = folder
    put("gray.png", image(), mask(1))
    put("rgb.png", image(shape=(40, 50, 3)), mask(1))
    put("stack.tif", image(shape=(6, 40, 50)), mask(1, (6, 40, 50)))
    data = read(path)
    assert [each.name for each in data.slices][:3] == ["gray.png", "rgb.png", "stack.tif [0]"]
    assert [each.planes.shape[0] for each in data.slices] == [1, 3, *[1] * 6]
    assert all(each.planes.min() == 0 and each.planes.max() == 1 for each in data.slices)
    assert data.slices[0].target.sum() == 225


@pytest.mark.parametrize("value", [1, 255])
def test_a_0_255_mask_is_class_1(folder, value):
    path, put = folder
    put("a.png", image(), mask(value))
    assert read(path, None).classes == 1
    assert set(np.unique(read(path).slices[0].target)) == {0, 1}


def test_instance_labels_are_taken_as_one_class_on_request_and_refused_otherwise(folder):
    path, put = folder
    labels = np.arange(2000, dtype=np.uint16).reshape(40, 50)
    put("a.tif", image(), labels)
    assert read(path, foreground=True).slices[0].target.sum() == 1999
    with pytest.raises(DatasetError, match=r"a\.tif.*--foreground"):
        read(path, None)
    with pytest.raises(DatasetError, match=r"a\.tif.*1999.*--foreground"):
        read(path)


def test_masks_is_another_name_for_labels_and_several_classes_are_counted(folder):
    path, put = folder
    put("a.png", image(), mask(3))
    (path / "labels").rename(path / "masks")
    assert read(path, None).classes == 3


def test_a_bad_pair_is_refused_by_name_or_skipped_and_named(folder):
    path, put = folder
    put("a.png", image(), mask(1))
    put("b.png", image(), mask(1, (40, 51)))
    (path / "images" / "c.png").write_bytes(b"broken")
    Image.fromarray(mask(1)).save(path / "labels" / "c.png")
    with pytest.raises(DatasetError, match=r"b\.png.*\(40, 50\).*\(40, 51\).*--skip-bad"):
        read(path)
    data = read(path, skip_bad=True)
    assert [each.name for each in data.slices] == ["a.png"]
    assert len(data.skipped) == 2
    assert "c.png" in data.skipped[1]


def test_a_folder_of_bad_pairs_only_and_empty_labels_are_refused(folder):
    path, put = folder
    put("b.png", image(), mask(1, (40, 51)))
    with pytest.raises(DatasetError, match="No image"):
        read(path, skip_bad=True)
    put("b.png", image(), mask(0))
    with pytest.raises(DatasetError, match="nothing to learn"):
        read(path, None)


def test_images_without_labels_and_missing_folders_are_named(folder):
    path, put = folder
    put("a.png", image(), mask(1))
    (path / "labels" / "a.png").unlink()
    (path / "labels" / "z.png").write_bytes(b"x")
    assert "a.png has no label" in find_files(path).problems[0]
    with pytest.raises(ImageFileError, match="labels/"):
        find_files(path / "images")


def test_a_checkpoint_that_resizes_gets_resized_slices(folder):
    path, put = folder
    put("a.png", image(), mask(1))
    (only,) = read(path, preprocessing=Preprocessing(size=(64, 96))).slices
    assert only.planes.shape == (1, 64, 96)
    assert only.target.shape == (64, 96)
    assert set(np.unique(only.target)) == {0, 1}


@pytest.mark.parametrize("classes", [None, 2])
@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (mask(1).astype(np.float32) / 2, "whole numbers"),
        (mask(65), "up to 65"),
        (mask(200) // 2 + mask(1), "up to 101"),
    ],
)
def test_labels_that_are_not_classes_are_refused_by_name_or_skipped(folder, labels, words, classes):
    path, put = folder
    put("a.tif", image(), mask(2))
    put("b.tif", image(), labels)
    with pytest.raises(DatasetError, match=rf"b\.tif.*{words}.*--skip-bad"):
        read(path, classes)
    data = read(path, classes, skip_bad=True)
    assert ([each.name for each in data.slices], data.classes) == (["a.tif"], 2)
    assert "b.tif" in data.skipped[0]


def test_a_class_that_only_a_skipped_pair_has_does_not_count(folder):
    path, put = folder
    put("a.png", image(), mask(1))
    put("b.png", image(), mask(3))
    (path / "images" / "b.png").write_bytes(b"broken")
    assert read(path, None, skip_bad=True).classes == 1


def test_images_without_labels_and_images_of_one_name_are_named(folder):
    path, put = folder
    for name in ("a.png", "b.png", "c.png"):
        put(name, image(), mask(1))
    (path / "labels" / "a.png").unlink()
    tifffile.imwrite(path / "images" / "b.tif", image())
    found = find_files(path)
    assert [each.name for each, _ in found.pairs] == ["c.png"]
    assert "a.png has no label" in found.problems[0]
    assert "b.png and b.tif" in found.problems[1]


def test_labels_of_a_stack_need_no_axes_where_the_stack_has_them(folder):
    path, put = folder
    put("a.tif", image(shape=(3, 40, 50)), np.stack([mask(1)] * 3))
    with pytest.raises(DatasetError, match=r"color image.*--axes"):
        read(path)
    assert len(read(path, axes="ZYX").slices) == 3
    stack = image(shape=(3, 40, 50))
    tifffile.imwrite(path / "images" / "a.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    assert [each.target.sum() for each in read(path).slices] == [225] * 3


def test_channels_are_chosen(folder):
    path, put = folder
    put("a.tif", image(shape=(2, 40, 50)), mask(1))
    with pytest.raises(DatasetError, match=r"a\.tif.*ambiguous"):
        read(path)
    (one,) = read(path, axes="CYX", channels=(1,)).slices
    assert one.planes.shape == (1, 40, 50)
    (both,) = read(path, axes="CYX", channels=(1, None, 0)).slices
    assert both.planes.shape == (3, 40, 50)
    assert not both.planes[1].any()
    (first,) = read(path, axes="CYX", channels=(0, None, None)).slices
    assert [each.any() for each in first.planes] == [True, False, False]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("classes: [cell, wall]", ("cell", "wall")),
        ("- cell\n- wall\n", ("cell", "wall")),
        ("classes: {1: cell, 2: wall}", ("cell", "wall")),
        ("classes:\n  0: background\n  2: wall\n  1: cell\n", ("cell", "wall")),
        ("1: cell\n2: wall\n", ("cell", "wall")),
        ("- yes\n- no\n- on\n", ("yes", "no", "on")),
    ],
)
def test_class_names_come_from_a_small_yaml(tmp_path, text, names):
    assert class_names(tmp_path) is None
    (tmp_path / "classes.yaml").write_text(text)
    assert class_names(tmp_path) == names


@pytest.mark.parametrize(
    "text",
    [
        *("classes: 3", "{", "", "classes: []", "- 1\n- 2", "!!python/name:os.system"),
        *("classes: {1: cell, 3: wall}", "cell: 1\nwall: 2", "- cell\n-\n", "- [cell]"),
    ],
)
def test_a_yaml_without_names_is_refused(tmp_path, text):
    (tmp_path / "classes.yaml").write_text(text)
    with pytest.raises(DatasetError, match="must list the classes"):
        class_names(tmp_path)


@pytest.mark.parametrize("text", ["[Background, cell]", "{1: background, 2: cell}"])
def test_the_background_is_not_a_class(tmp_path, text):
    (tmp_path / "classes.yaml").write_text(f"classes: {text}")
    with pytest.raises(DatasetError, match="background is value 0"):
        class_names(tmp_path)
