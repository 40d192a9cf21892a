"""Layouts of data sets: which label files belong to which image, and how they are read."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from napari_emcad.cli import main
from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.io.datasets.label_files import read_label_files
from napari_emcad.io.datasets.layouts import LAYOUTS, find_files, from_folders
from napari_emcad.io.datasets.pairing import pair_by_name
from napari_emcad.io.datasets.read import read_dataset
from napari_emcad.io.images.opened_image import ImageFileError

RANGE = Preprocessing("range", 0.0, 255.0)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def picture(seed=0, shape=(40, 48, 3)):
    return np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8)


def mask(value=255, corner=5, shape=(40, 48)):
    labels = np.zeros(shape, np.uint8)
    labels[corner : corner + 12, corner : corner + 15] = value
    return labels


def pairs_of(images, labels):
    found = from_folders(images, labels)
    if found.problems:
        raise ImageFileError(found.problems[0])
    return found.pairs


def names_of(found):
    return {image.name: [label.name for label in labels] for image, labels in found.pairs}


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images", "labels"),
        ("images", "masks"),
        ("image", "masks"),
        ("Original", "Ground Truth"),
        ("Original", "MergedMask"),
        ("imgs", "gt"),
        ("JPEGImages", "SegmentationClass"),
    ],
)
@pytest.mark.parametrize(
    "suffix", ["", "_mask", "_masks", "_segmentation", "_gt", "_labels", "_anno"]
)
def test_images_and_labels_in_two_folders(tmp_path, images, labels, suffix):
    for n in range(3):
        save(tmp_path / images / f"case {n}.png", picture(n))
        save(tmp_path / labels / f"case {n}{suffix}.png", mask())
    found = find_files(tmp_path)
    assert found.layout == "folders"
    assert names_of(found) == {f"case {n}.png": [f"case {n}{suffix}.png"] for n in range(3)}
    data = read_dataset(found.pairs, 3, RANGE, None)
    assert data.classes == 1
    assert all(part.target.sum() == 180 for part in data.slices)


def test_masks_beside_their_images_are_united(tmp_path):
    """BUSI: an image, and one or several masks of it, in a folder per kind."""
    for kind in ("benign", "malignant"):
        for n in (1, 2):
            save(tmp_path / kind / f"{kind} ({n}).png", picture(n))
            save(tmp_path / kind / f"{kind} ({n})_mask.png", mask(255, 3))
        save(tmp_path / kind / f"{kind} (2)_mask_1.png", mask(255, 22))
    found = find_files(tmp_path)
    assert found.layout == "suffixes"
    assert len(found.pairs) == 4
    assert names_of(found)["benign (2).png"] == ["benign (2)_mask.png", "benign (2)_mask_1.png"]
    data = read_dataset(found.pairs, 3, RANGE, None)
    assert sorted(int(part.target.sum()) for part in data.slices) == [180, 180, 360, 360]
    assert "4 images with 6 masks" in str(found)


def test_a_folder_per_image_with_a_mask_per_object(tmp_path):
    """DSB2018 as it is distributed."""
    for name in ("0a1", "0b2"):
        save(tmp_path / name / "images" / f"{name}.png", picture())
        for k in range(3):
            save(tmp_path / name / "masks" / f"{k}f.png", mask(255, 2 + 8 * k))
    found = find_files(tmp_path)
    assert found.layout == "masks per image"
    (one, _) = read_dataset(found.pairs, 3, RANGE, None).slices
    assert set(np.unique(one.target)) == {0, 1}
    expected = np.any([mask(1, 2 + 8 * k) for k in range(3)], axis=0)
    assert np.array_equal(one.target, expected)


def test_the_layout_of_nnunet_with_its_class_names(tmp_path):
    for n in range(2):
        save(tmp_path / "imagesTr" / f"la_{n:03}_0000.png", picture(n, (40, 48)))
        save(tmp_path / "labelsTr" / f"la_{n:03}.png", mask(n + 1))
    about = {"labels": {"background": 0, "wall": 1, "cavity": 2}}
    (tmp_path / "dataset.json").write_text(json.dumps(about))
    found = find_files(tmp_path)
    assert found.layout == "nnU-Net"
    assert found.class_names == ("wall", "cavity")
    assert names_of(found)["la_001_0000.png"] == ["la_001.png"]
    old = {"labels": {"0": "background", "1": "wall", "2": "cavity"}}
    (tmp_path / "dataset.json").write_text(json.dumps(old))
    assert find_files(tmp_path).class_names == ("wall", "cavity")


def test_images_of_several_files_are_refused(tmp_path):
    for channel in range(2):
        save(tmp_path / "images" / f"brain_000{channel}.png", picture(0, (40, 48)))
    save(tmp_path / "labels" / "brain.png", mask(1))
    with pytest.raises(ImageFileError, match=r"brain_0001\.png .* further channel"):
        find_files(tmp_path)


def test_an_unknown_folder_and_layout_are_refused(tmp_path):
    save(tmp_path / "a.png", picture())
    with pytest.raises(ImageFileError, match="no data set in a layout that is known"):
        find_files(tmp_path)
    with pytest.raises(ImageFileError, match="choose nnunet, synapse"):
        find_files(tmp_path, "cocoa")
    with pytest.raises(ImageFileError, match="not a folder"):
        find_files(tmp_path / "no")
    assert set(LAYOUTS) >= {"nnunet", "folders", "masks-per-image", "suffixes"}


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_a_mask_with_equal_channels_is_gray(tmp_path, channels):
    gray = mask(255)
    stacked = np.stack([gray] * channels, axis=-1)
    if channels in (2, 4):
        stacked[..., -1] = 255
    save(tmp_path / "m.png", stacked)
    assert np.array_equal(read_label_files([tmp_path / "m.png"], (40, 48)).pixels, gray)
    if channels > 2:
        stacked[8, 8, 1] = 7
        save(tmp_path / "c.png", stacked)
        with pytest.raises(ImageFileError, match="color image"):
            read_label_files([tmp_path / "c.png"], (40, 48))


def test_gray_edges_of_a_mask_are_thresholded_and_named(tmp_path):
    small = Image.fromarray(mask(255)).resize((96, 80), Image.Resampling.BICUBIC)
    small.save(tmp_path / "soft.png")
    read = read_label_files([tmp_path / "soft.png"], (80, 96))
    assert set(np.unique(read.pixels)) == {0, 255}
    assert "gray levels" in read.note
    assert np.array_equal(read.pixels == 255, np.asarray(small) > 127)


@pytest.mark.parametrize(
    "values", [(1, 2, 255), tuple(range(1, 60)), (127, 255), (51, 102, 204, 255)]
)
def test_values_that_are_classes_or_objects_are_kept(tmp_path, values):
    labels = np.zeros((40, 48), np.uint8)
    for n, value in enumerate(values):
        labels[n % 40, :] = value
    save(tmp_path / "m.png", labels)
    read = read_label_files([tmp_path / "m.png"], (40, 48))
    assert np.array_equal(read.pixels, labels)
    assert not read.note


def test_train_and_evaluate_read_a_data_set_as_it_lies(tmp_path, capsys):
    for n in range(4):
        save(tmp_path / "Original" / f"{n}.png", picture(n, (64, 64, 3)))
        save(tmp_path / "Ground Truth" / f"{n}.png", mask(255, 5, (64, 64)))
    train = ["train", "--output", str(tmp_path / "run"), "--set", "epochs=1", "--set", "batch=2"]
    assert main([*train, str(tmp_path), "--set", "crop=64"]) == 0
    assert "folders: 4 images." in capsys.readouterr().err
    folders = ["--images", str(tmp_path / "Original"), "--labels", str(tmp_path / "Ground Truth")]
    assert main(["evaluate", *folders]) == 0
    by_folders = capsys.readouterr().out
    assert main(["evaluate", str(tmp_path)]) == 0
    assert capsys.readouterr().out == by_folders
    assert main(["evaluate", str(tmp_path), *folders]) == 2
    assert "not both" in capsys.readouterr().err


def test_all_labels_are_checked_before_anything_is_segmented(tmp_path, capsys):
    for n in range(3):
        save(tmp_path / "images" / f"{n}.png", picture(n))
        save(tmp_path / "labels" / f"{n}.png", mask(255))
    save(tmp_path / "labels" / "2.png", mask(255, 5, (30, 48)))
    assert main(["evaluate", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert "2.png" in printed.err
    assert "1 of 3" not in printed.err
    assert main(["evaluate", str(tmp_path), "--skip-bad"]) == 0
    assert "left out: 2.png" in capsys.readouterr().err


@pytest.fixture
def folders(tmp_path):
    """Return a function that fills an image and a label folder with empty files."""

    def fill(images: list[str], labels: list[str]):
        for folder, names in (("images", images), ("labels", labels)):
            (tmp_path / folder).mkdir()
            for name in names:
                (tmp_path / folder / name).touch()
        return tmp_path / "images", tmp_path / "labels"

    return fill


def test_images_are_paired_with_labels_of_the_same_stem_in_order(folders):
    found = pairs_of(*folders(["b.tif", "a.png", "c.jpg"], ["c.png", "a.tif", "b.npy", "d.png"]))
    names = [(image.name, labels[0].name) for image, labels in found]
    assert names == [("a.png", "a.tif"), ("b.tif", "b.npy"), ("c.jpg", "c.png")]


def test_files_that_are_not_images_are_skipped(folders):
    images, labels = folders(["a.png", ".DS_Store", "notes.txt", "index.CSV"], ["a.png", "a.json"])
    (images / "folder").mkdir()
    assert [image.name for image, _ in pairs_of(images, labels)] == ["a.png"]


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (["a.png", "b.png"], ["a.png"], ["b.png", "no label files"]),
        (["a.png"], ["a.png", "a.tif"], ["a.png", "2 label files"]),
        ([], ["a.png"], ["no images"]),
        (["a.png"], [], ["no images"]),
        (["notes.txt"], ["a.png"], ["no images"]),
    ],
)
def test_pairs_that_do_not_match_are_reported(images, labels, words, folders):
    with pytest.raises(ImageFileError) as caught:
        pairs_of(*folders(images, labels))
    for word in words:
        assert word in str(caught.value)


def test_a_missing_folder_is_an_error(folders, tmp_path):
    images, labels = folders(["a.png"], ["a.png"])
    for one, two in ((tmp_path / "no", labels), (images, tmp_path / "no"), (images / "a.png",) * 2):
        with pytest.raises(ImageFileError, match="not a folder"):
            pairs_of(one, two)


def test_void_of_one_label_file_is_void_in_all(tmp_path, capsys):
    for name in "abc":
        save(tmp_path / "images" / f"{name}.png", picture(shape=(64, 64, 3)))
    both = np.maximum(mask(1, 5, (64, 64)), mask(255, 30, (64, 64)))
    save(tmp_path / "labels" / "a.png", both)
    save(tmp_path / "labels" / "b.png", mask(255, 20, (64, 64)))
    save(tmp_path / "labels" / "c.png", mask(1, 20, (64, 64)))
    data = read_dataset(find_files(tmp_path).pairs, 3, RANGE, 1)
    assert [int((part.target < 0).sum()) for part in data.slices] == [180, 180, 0]
    assert [int((part.target == 1).sum()) for part in data.slices] == [180, 0, 180]
    assert main(["evaluate", str(tmp_path)]) == 0
    assert "360 in 2 label files" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["", "_mask"])
def test_frames_of_a_movie_are_images_of_their_own(suffix, tmp_path):
    names = [f"frame_{number:04}" for number in range(3)]
    for name in names:
        save(tmp_path / "a" / "images" / f"{name}.png", picture())
        save(tmp_path / "a" / "masks" / f"{name}{suffix}.png", mask())
        save(tmp_path / "b" / f"{name}.png", picture())
        save(tmp_path / "b" / f"{name}_mask.png", mask())
    for folder, ending in (("a", suffix), ("b", "_mask")):
        found = find_files(tmp_path / folder)
        assert names_of(found) == {f"{name}.png": [f"{name}{ending}.png"] for name in names}
        assert not found.problems


def test_label_files_of_several_kinds_are_not_united(tmp_path):
    save(tmp_path / "a.png", picture())
    save(tmp_path / "a_mask.png", mask())
    save(tmp_path / "a_labels.png", mask(corner=20))
    (problem,) = find_files(tmp_path).problems
    assert "a_labels.png, a_mask.png" in problem
    assert "several kinds" in problem


def test_masks_of_an_image_that_may_be_classes_are_not_united(tmp_path):
    for number in (1, 2):
        save(tmp_path / f"a_mask_{number}.png", mask(number, 5 * number))
    with pytest.raises(ImageFileError, match=r"values 1, 2, which may be classes"):
        read_label_files([tmp_path / "a_mask_1.png", tmp_path / "a_mask_2.png"])


def test_a_label_that_nnunet_ignores_does_not_become_a_class(tmp_path):
    save(tmp_path / "imagesTr" / "a_0000.png", picture())
    save(tmp_path / "labelsTr" / "a.png", mask(2))
    labels = {"background": 0, "tumor": 1, "ignore": 2}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    found = find_files(tmp_path)
    assert found.class_names == ("tumor",)
    assert found.coding.ignore == (2,)
    read = read_label_files(tmp_path / "labelsTr" / "a.png", coding=found.coding)
    assert sorted(set(np.unique(read.pixels).tolist())) == [-1, 0]
    assert read.ignored == {2}


def test_movies_with_two_folders_of_labels_are_refused_as_other_images_are(tmp_path):
    for number in range(2):
        for folder in ("images", "masks", "labels"):
            save(tmp_path / folder / f"frame_{number:04}.png", mask())
    with pytest.raises(ImageFileError, match="labels and masks, and it is not clear"):
        find_files(tmp_path)


@pytest.mark.parametrize("own", [True, False])
def test_a_label_file_of_an_image_is_of_no_other(own, tmp_path):
    """The image a_mask_1 has labels of its name, which look like a mask of the image a."""
    images = [tmp_path / "images" / f"{name}.png" for name in ("a", "a_mask_1", "b")]
    labels = [tmp_path / "labels" / f"{name}.png" for name in ("a_mask_1", "b_mask_1", "b_mask_2")]
    labels += [tmp_path / "labels" / "a.png"] * own
    pairs, problems = pair_by_name(images, labels, tmp_path / "labels")
    expected = {images[1]: (labels[0],), images[2]: tuple(labels[1:3])}
    assert dict(pairs) == expected | ({images[0]: (labels[3],)} if own else {})
    assert len(problems) == (not own)
    assert own or problems[0].startswith("a.png has no label files of its name")


def test_a_label_file_of_two_images_is_refused(tmp_path):
    images = [tmp_path / f"{name}.png" for name in ("img0001", "image0001", "img0002")]
    labels = [tmp_path / f"label{number:04}.png" for number in (1, 2)]
    pairs, problems = pair_by_name(images, labels, tmp_path)
    assert pairs == [(images[2], (labels[1],))]
    assert problems == [
        "img0001.png and image0001.png have the same labels by their names (label0001.png); "
        "rename or remove one."
    ]
