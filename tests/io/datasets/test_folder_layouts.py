"""Nested folders, splits by folders and lists, and pairs that must not be guessed."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
import tifffile

from napari_emcad.io.datasets.layouts import find_files, from_folders
from napari_emcad.io.images.opened_image import ImageFileError


def write(save, root, names, images="images", labels="labels", suffix=""):
    """Write a data set whose masks tell which image they belong to."""
    for k, name in enumerate(names, start=1):
        pixels = np.full((20, 24, 3), k, np.uint8)
        mask = np.zeros((20, 24), np.uint8)
        mask[0, :k] = 1
        save(root / images / f"{name}.png", pixels)
        save(root / labels / f"{name}{suffix}.png", mask)


def right_pairs(targets, found):
    """Return whether every image has its own mask, by the numbers that `write` puts in both."""
    data = targets(found)
    sums = {name: int(target.sum()) for name, target in data.items()}
    values = {found.name_of(i): int(tifffile_or_png(i).max()) for i, _ in found.pairs}
    return sums == values


def tifffile_or_png(path):
    from PIL import Image

    return tifffile.imread(path) if path.suffix == ".tif" else np.asarray(Image.open(path))


NESTED = ["a/1", "a/2", "b/1", "b/c/1"]


def test_files_in_subfolders_are_paired_by_their_paths(tmp_path, save, targets):
    write(save, tmp_path, NESTED, suffix="_mask")
    found = find_files(tmp_path)
    assert found.layout == "folders"
    assert {found.name_of(image) for image, _ in found.pairs} == {f"{n}.png" for n in NESTED}
    assert right_pairs(targets, found)
    assert str(from_folders(tmp_path / "images", tmp_path / "labels")) == "folders: 4 images"


def test_a_file_of_the_same_name_in_another_subfolder_is_no_label(tmp_path, save):
    write(save, tmp_path, NESTED)
    (tmp_path / "labels" / "b" / "1.png").unlink()
    found = find_files(tmp_path)
    assert len(found.pairs) == 3
    (problem,) = found.problems
    assert "1.png has no label files of its name in" in problem
    assert problem.split(" in ")[1].startswith(str(tmp_path / "labels" / "b"))


def test_labels_without_an_image_are_named(tmp_path, save):
    write(save, tmp_path, ["1", "2", "3"])
    (tmp_path / "images" / "2.png").unlink()
    assert find_files(tmp_path).notes == ("2.png has no image of the name, and is not used.",)


@pytest.mark.parametrize("shape", ["images/{}", "{}/images"])
def test_folders_of_splits_divide_a_data_set(tmp_path, save, targets, shape):
    for split, names in {"train": "abc", "val": "de", "test": "f"}.items():
        images = shape.format(split)
        write(save, tmp_path, names, images, images.replace("images", "labels"))
    found = find_files(tmp_path)
    assert {name: len(part.pairs) for name, part in found.splits.items()} == {
        "train": 3,
        "val": 2,
        "test": 1,
    }
    assert "6 images (3 train, 2 val, 1 test)" in str(found)
    data = targets(found.splits["val"])
    assert sorted(int(target.sum()) for target in data.values()) == [1, 2]


def test_data_sets_of_the_polyp_papers(tmp_path, save):
    """TrainDataset, and a folder per test set."""
    write(save, tmp_path, "abc", "TrainDataset/image", "TrainDataset/masks")
    for name in ("CVC-300", "Kvasir"):
        write(save, tmp_path, name[:2], f"TestDataset/{name}/images", f"TestDataset/{name}/masks")
    found = find_files(tmp_path)
    assert found.layout == "nested folders"
    assert {name: len(part.pairs) for name, part in found.splits.items()} == {
        "train": 3,
        "test": 4,
    }
    assert "TestDataset/Kvasir/images/K.png" in {found.name_of(i) for i, _ in found.pairs}


def test_images_outside_of_the_splits_are_refused(tmp_path, save):
    write(save, tmp_path, ["train/a", "test/b", "c"])
    with pytest.raises(ImageFileError, match=r"c\.png is in no folder of a split"):
        find_files(tmp_path)


@pytest.mark.parametrize(
    "entry", ["case {}", "case {}.png", "images/case {}.png", "/home/me/data/images/case {}.png"]
)
@pytest.mark.parametrize("place", ["", "splits", "lists/lists_My"])
def test_lists_of_names_divide_a_data_set(tmp_path, save, entry, place):
    write(save, tmp_path, [f"case {n}" for n in range(5)])
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    for split, numbers in {"train": (0, 1), "test": (3,)}.items():
        lines = [entry.format(n) for n in numbers]
        (tmp_path / place / f"{split}.txt").write_text("\n".join(lines) + "\n")
    found = find_files(tmp_path)
    names = {k: [i.name for i, _ in part.pairs] for k, part in found.splits.items()}
    assert names == {"train": ["case 0.png", "case 1.png"], "test": ["case 3.png"]}
    assert found.notes == ("2 images that train.txt, test.txt do not list are left out.",)


def test_lists_that_do_not_fit_are_refused(tmp_path, save):
    write(save, tmp_path, "abc")
    (tmp_path / "train.txt").write_text("a\nd\n")
    with pytest.raises(ImageFileError, match="lists d, which is no labeled image"):
        find_files(tmp_path)
    (tmp_path / "train.txt").write_text("a\nb\n")
    (tmp_path / "val.txt").write_text("b\n")
    with pytest.raises(ImageFileError, match="listed for train and again for val"):
        find_files(tmp_path)
    (tmp_path / "val.txt").write_text("\n")
    with pytest.raises(ImageFileError, match="lists nothing"):
        find_files(tmp_path)


def test_an_ambiguous_name_in_a_list_is_refused(tmp_path, save):
    write(save, tmp_path, ["a/1", "b/1"])
    (tmp_path / "train.txt").write_text("1\n")
    with pytest.raises(ImageFileError, match="is the name of 2 images; list paths"):
        find_files(tmp_path)
    (tmp_path / "train.txt").write_text("a/1\n")
    (pair,) = find_files(tmp_path).splits["train"].pairs
    assert pair[0] == tmp_path / "images" / "a" / "1.png"


@pytest.mark.parametrize("separator", [" ", ",", ", ", "\t", ";"])
def test_lists_of_an_image_and_a_mask_per_line(tmp_path, save, targets, separator):
    write(save, tmp_path, ["x 1", "x 2", "y"], "some where", "other")
    for split, names in {"train": ["x 1", "y"], "val": ["x 2"]}.items():
        lines = [f"some where/{name}.png{separator}other/{name}.png" for name in names]
        (tmp_path / f"{split}.txt").write_text("\n".join(lines))
    found = find_files(tmp_path)
    assert found.layout == "lists"
    assert {name: len(part.pairs) for name, part in found.splits.items()} == {"train": 2, "val": 1}
    assert right_pairs(targets, found)


def test_a_list_that_pairs_an_image_with_the_mask_of_another_is_refused(tmp_path, save):
    write(save, tmp_path, "ab", "p", "q")
    (tmp_path / "train.txt").write_text("p/a.png q/b.png\np/b.png q/a.png\n")
    with pytest.raises(ImageFileError, match="by its name belongs to another image"):
        find_files(tmp_path)


def test_two_label_files_for_an_image_are_refused(tmp_path, save):
    write(save, tmp_path, "a")
    save(tmp_path / "labels" / "a_mask.png", np.ones((20, 24), np.uint8))
    (problem,) = find_files(tmp_path).problems
    assert "has 2 label files of its name" in problem


def test_ome_tif_beside_tif_is_ambiguous_and_alone_is_not(tmp_path):
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    tifffile.imwrite(tmp_path / "images" / "a.ome.tif", np.zeros((8, 8), np.uint8))
    tifffile.imwrite(tmp_path / "labels" / "a.tif", np.ones((8, 8), np.uint8))
    (pair,) = find_files(tmp_path).pairs
    assert [pair[0].name, *(label.name for label in pair[1])] == ["a.ome.tif", "a.tif"]
    tifffile.imwrite(tmp_path / "images" / "a.tif", np.zeros((8, 8), np.uint8))
    found = find_files(tmp_path)
    assert not found.pairs
    assert "have the same labels by their names" in found.problems[0]


def test_labels_that_segment_writes_beside_their_images(tmp_path, save, targets):
    for n in (1, 2):
        save(tmp_path / f"cell {n}.png", np.full((20, 24, 3), n, np.uint8))
        labels = np.zeros((20, 24), np.uint8)
        labels[0, :n] = 1
        tifffile.imwrite(tmp_path / f"cell {n}_labels.tif", labels)
    found = find_files(tmp_path)
    assert found.layout == "suffixes"
    assert right_pairs(targets, found)


@pytest.mark.parametrize(("images", "labels"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_an_accent_is_the_same_in_both_of_its_forms(tmp_path, save, images, labels):
    save(
        tmp_path / unicodedata.normalize(images, "Ärzte/images/é 1.png"),
        np.zeros((8, 8), np.uint8),
    )
    save(
        tmp_path
        / unicodedata.normalize(images, "Ärzte/labels")
        / unicodedata.normalize(labels, "é 1.png"),
        np.ones((8, 8), np.uint8),
    )
    found = find_files(tmp_path / unicodedata.normalize(images, "Ärzte"))
    assert len(found.pairs) == 1


def test_the_kinds_of_busi(tmp_path, save, targets):
    """Ultrasound of tumors and of none; a mask of zeros is a negative, no bad file."""
    for kind, masks in {"benign": 2, "malignant": 1, "normal": 1}.items():
        save(tmp_path / kind / f"{kind} (1).png", np.full((20, 24, 3), 9, np.uint8))
        for n in range(masks):
            mask = np.zeros((20, 24), np.uint8)
            mask[n * 5 : n * 5 + 3, 2:8] = 255 * (kind != "normal")
            end = f"_{n}" if n else ""
            save(tmp_path / kind / f"{kind} (1)_mask{end}.png", mask)
    found = find_files(tmp_path)
    assert found.layout == "suffixes"
    sums = {name: int(target.sum()) for name, target in targets(found).items()}
    assert sums == {
        "benign/benign (1).png": 36,
        "malignant/malignant (1).png": 18,
        "normal/normal (1).png": 0,
    }


def test_two_folders_of_labels_are_ambiguous(tmp_path, save):
    """DRIVE has a folder of vessels, and one of masks of the field of view."""
    write(save, tmp_path / "training", "ab", "images", "1st_manual")
    write(save, tmp_path / "training", "ab", "images", "mask", suffix="_mask")
    for root in (tmp_path, tmp_path / "training"):
        with pytest.raises(ImageFileError, match="has 1st_manual and mask, and it is not clear"):
            find_files(root)


def test_merged_masks_unite_those_of_another_folder(tmp_path, save):
    write(save, tmp_path, "ab", "Original", "MergedMask")
    write(save, tmp_path, "a", "Original", "Masks")
    found = find_files(tmp_path)
    assert {labels[0].parent.name for _, labels in found.pairs} == {"MergedMask"}


@pytest.mark.parametrize(
    ("image", "label"),
    [("img{}", "label{}"), ("image_{}", "mask_{}"), ("volume-{}", "segmentation-{}")],
)
def test_words_before_the_number(tmp_path, save, targets, image, label):
    write(save, tmp_path, [image.format(n) for n in (1, 10, 101)])
    for n in (1, 10, 101):
        path = tmp_path / "labels" / f"{image.format(n)}.png"
        path.rename(path.with_name(f"{label.format(n)}.png"))
    found = find_files(tmp_path)
    assert len(found.pairs) == 3
    assert right_pairs(targets, found)
    (tmp_path / "labels" / f"{label.format(10)}.png").unlink()
    (problem,) = find_files(tmp_path).problems
    assert problem.startswith(f"{image.format(10)}.png has no label files")


@pytest.mark.parametrize(
    ("images", "labels", "suffix"),
    [
        ("train", "train_labels", "_L"),
        ("train", "trainannot", ""),
        ("train", "train_masks", "_mask"),
        ("ISIC2018_Task1-2_Training_Input", "ISIC2018_Task1_Training_GroundTruth", "_segmentation"),
        ("ISIC-2017_Training_Data", "ISIC-2017_Training_Part1_GroundTruth", "_segmentation"),
    ],
)
def test_a_folder_of_images_beside_one_of_labels_per_part(
    tmp_path, save, targets, images, labels, suffix
):
    """CamVid, Carvana and ISIC."""
    swap = {"train": "test", "Training": "Test"}
    write(save, tmp_path, ["0016E5_1", "b"], images, labels, suffix)
    for old, new in swap.items():
        images, labels = images.replace(old, new), labels.replace(old, new)
    write(save, tmp_path, ["c"], images, labels, suffix)
    found = find_files(tmp_path)
    assert found.layout == "paired folders"
    assert {name: len(part.pairs) for name, part in found.splits.items()} == {
        "train": 2,
        "test": 1,
    }
    sums = sorted(int(target.sum()) for target in targets(found.splits["train"]).values())
    assert sums == [1, 2]


def test_parts_in_the_names_of_files(tmp_path, save):
    """GlaS."""
    for name in ("train_1", "train_12", "testA_1", "testB_1"):
        save(tmp_path / f"{name}.bmp", np.zeros((8, 8, 3), np.uint8))
        save(tmp_path / f"{name}_anno.bmp", np.ones((8, 8), np.uint8))
    found = find_files(tmp_path)
    assert {name: len(part.pairs) for name, part in found.splits.items()} == {
        "train": 2,
        "test": 2,
    }


def test_a_data_set_in_a_folder_of_its_own(tmp_path, save):
    write(save, tmp_path / "Kvasir-SEG" / "Kvasir-SEG", "ab", "images", "masks")
    assert len(find_files(tmp_path).pairs) == 2


def test_the_same_images_in_two_formats_are_refused(tmp_path, save):
    """CVC-ClinicDB comes as PNG and as TIFF."""
    for kind, end in (("PNG", "png"), ("TIF", "tif")):
        for n in range(3):
            pixels = np.random.default_rng(n).integers(0, 255, (20, 24, 3)).astype(np.uint8)
            save(tmp_path / kind / "Original" / f"{n}.{end}", pixels)
            save(tmp_path / kind / "Ground Truth" / f"{n}.{end}", pixels[..., 0])
    with pytest.raises(ImageFileError, match="hold the same images; name one of the two"):
        find_files(tmp_path)
    assert len(find_files(tmp_path / "TIF").pairs) == 3


def test_lists_beside_folders_of_splits_are_said_not_to_be_used(tmp_path, save):
    write(save, tmp_path, ["train/a", "test/b"])
    (tmp_path / "train.txt").write_text("b\n")
    found = find_files(tmp_path)
    assert [image.stem for image, _ in found.splits["train"].pairs] == ["a"]
    assert "train.txt are not used" in found.notes[0]


def test_lists_count_although_an_image_has_no_labels(tmp_path, save):
    """With --skip-bad the others must not be taken for one part."""
    write(save, tmp_path, "abc")
    (tmp_path / "labels" / "c.png").unlink()
    (tmp_path / "train.txt").write_text("a\n")
    (tmp_path / "test.txt").write_text("b\n")
    found = find_files(tmp_path)
    assert found.problems
    assert [image.stem for image, _ in found.splits["train"].pairs] == ["a"]
    (tmp_path / "test.txt").write_text("b\nc\n")
    found = find_files(tmp_path)  # the problem is reported, or left out with the image
    assert [image.stem for image, _ in found.splits["test"].pairs] == ["b"]
    (tmp_path / "test.txt").write_text("b\nd\n")
    with pytest.raises(ImageFileError, match="lists d, which is no labeled image"):
        find_files(tmp_path)


def test_superpixels_of_isic_are_no_images(tmp_path, save):
    images, labels = "ISIC-2017_Training_Data", "ISIC-2017_Training_Part1_GroundTruth"
    write(save, tmp_path, ["ISIC_1", "ISIC_2"], images, labels, "_segmentation")
    for n in (1, 2):
        pixels = np.zeros((20, 24, 3), np.uint8)
        save(tmp_path / images / f"ISIC_{n}_superpixels.png", pixels)
    found = find_files(tmp_path)
    assert not found.problems
    assert len(found.pairs) == 2
