"""Data sets in the folders and with the names in which they are distributed."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.io.datasets.layouts import find_files
from napari_emcad.io.datasets.read import DatasetError, read_dataset
from napari_emcad.io.images.opened_image import ImageFileError

YEARS = ("2007_1", "2007_2", "2008_1", "2009_1", "2010_1", "2011_1")
"""Names of Pascal VOC, which begin with years."""


@pytest.fixture
def write(tmp_path, save):
    """Return a function that writes pictures, whose values are their numbers in the call."""

    def write(*names: str) -> None:
        for k, name in enumerate(names, start=1):
            mask = np.full((12, 16), k, np.uint8)
            path = tmp_path / name
            if path.suffix == ".tif":
                path.parent.mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(path, mask)
            else:
                save(path, mask)

    return write


@pytest.fixture
def pairs(tmp_path):
    """Return a function: the names of images and of their label files."""

    def pairs(found) -> dict[str, list[str]]:
        return {
            image.relative_to(tmp_path).as_posix(): [
                label.relative_to(tmp_path).as_posix() for label in labels
            ]
            for image, labels in found.pairs
        }

    return pairs


def test_the_field_of_view_of_fundus_pictures_is_no_mask(tmp_path, write):
    write("images/01_dr.png", "manual1/01_dr.tif", "mask/01_dr_mask.tif")
    with pytest.raises(ImageFileError, match="has manual1 and mask, and it is not clear"):
        find_files(tmp_path)


def test_drive_is_paired_by_its_numbers(tmp_path, write, pairs):
    for part, number in (("training", 21), ("test", 1)):
        write(f"{part}/images/{number:02}_{part}.tif", f"{part}/1st_manual/{number:02}_manual1.gif")
    found = find_files(tmp_path)
    assert pairs(found)["training/images/21_training.tif"] == ["training/1st_manual/21_manual1.gif"]
    assert set(found.splits) == {"train", "test"}
    assert not found.problems


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("Image_01L.png", ("Image_01L_1stHO.png", "Image_01L_2ndHO.png")),
        ("im0001.ppm", ("im0001.ah.ppm", "im0001.vk.ppm")),
        ("1.png", ("1_manual1.png", "1_manual2.png")),
    ],
)
def test_the_outlines_of_two_people_are_not_united(tmp_path, save, image, labels):
    for name in (image, *labels):
        save(tmp_path / name, np.zeros((8, 8), np.uint8))
    (problem,) = find_files(tmp_path).problems
    assert f"label files of several kinds in {tmp_path} ({', '.join(labels)})" in problem


def test_folders_of_parts_keep_images_beside_their_masks_apart(tmp_path, write):
    write(
        *(
            f"{p}/{n}{s}.png"
            for p in ("train", "valid", "test")
            for n in "ab"
            for s in ("", "_mask")
        )
    )
    found = find_files(tmp_path)
    assert {name: len(part.pairs) for name, part in found.splits.items()} == {
        "train": 2, "val": 2, "test": 2,
    }  # fmt: skip


def test_stacks_called_training_and_testing_are_parts(tmp_path, write):
    write("training.tif", "training_groundtruth.tif", "testing.tif", "testing_groundtruth.tif")
    found = find_files(tmp_path)
    assert [len(found.splits[name].pairs) for name in ("train", "test")] == [1, 1]


def test_array_files_called_train_and_test_are_parts(tmp_path):
    for name in ("train", "test"):
        array = np.zeros((6, 12, 16), np.uint8)
        np.savez(tmp_path / f"{name}.npz", image=array, label=array)
    assert set(find_files(tmp_path).splits) == {"train", "test"}


def test_slices_of_a_patient_stay_together(tmp_path, write):
    patients = ("TCGA_1", "TCGA_2")
    write(*(f"{p}/{p}_{n}{s}.tif" for p in patients for n in (1, 2) for s in ("", "_mask")))
    write("benign/benign (1).png", "benign/benign (1)_mask.png")
    found = find_files(tmp_path)
    cases = {found.case_of(image) for image, _ in found.pairs}
    assert cases == {"TCGA_1", "TCGA_2", "benign/benign (1).png"}


def test_the_only_other_folder_has_the_images(tmp_path, write, pairs):
    write("CXR_png/a_1.png", "mask/a_1_mask.png")
    (tmp_path / "readings").mkdir()
    (tmp_path / "readings" / "a_1.txt").write_text("healthy")
    assert pairs(find_files(tmp_path)) == {"CXR_png/a_1.png": ["mask/a_1_mask.png"]}
    write("overlays/a_1.png")
    assert not find_files(tmp_path).pairs


def test_images_beside_the_folder_of_their_masks(tmp_path, write, pairs):
    write("a.png", "b.png", "masks/a_mask.png", "masks/b.png")
    assert pairs(find_files(tmp_path)) == {
        "a.png": ["masks/a_mask.png"],
        "b.png": ["masks/b.png"],
    }


def test_a_number_behind_the_suffix_may_be_that_of_the_image(tmp_path, write, pairs):
    write("images/a_1.png", "images/a_2.png", "masks/a_mask_1.png", "masks/a_mask_2.png")
    expected = {f"images/a_{k}.png": [f"masks/a_mask_{k}.png"] for k in (1, 2)}
    assert pairs(find_files(tmp_path)) == expected
    write("images/a.png", "masks/a_mask.png")
    found = find_files(tmp_path)
    assert pairs(found) == {"images/a.png": ["masks/a_mask.png"]}
    assert "a_mask_1.png may belong to a or to a_1; rename it." in found.problems


def test_words_behind_the_names_of_images(tmp_path, write, pairs):
    write("000_img.png", "000_masks.png", "1_image.png", "1_mask.png")
    found = pairs(find_files(tmp_path))
    assert found == {"000_img.png": ["000_masks.png"], "1_image.png": ["1_mask.png"]}


def test_a_word_behind_a_name_is_left_out_only_if_no_image_has_the_rest(tmp_path, write, pairs):
    write("a.png", "a_mask.png", "a_test.png")
    found = find_files(tmp_path)
    assert pairs(found) == {"a.png": ["a_mask.png"]}
    assert "a_test.png has no label files" in found.problems[0]


def test_what_cellpose_saves_beside_masks_is_left_out(tmp_path, write, pairs):
    write("a.tif", "a_cp_masks.png", "a_flows.tif")
    np.save(tmp_path / "a_seg.npy", {"masks": 1}, allow_pickle=True)
    (tmp_path / "a.meta").write_text("{}")
    found = find_files(tmp_path)
    assert pairs(found) == {"a.tif": ["a_cp_masks.png"]}
    assert not found.problems


def test_words_before_the_numbers_of_volumes_in_one_folder(tmp_path, write, pairs):
    write("volume-0.tif", "volume-1.tif", "segmentation-0.tif", "segmentation-1.tif")
    assert pairs(find_files(tmp_path)) == {
        "volume-0.tif": ["segmentation-0.tif"],
        "volume-1.tif": ["segmentation-1.tif"],
    }


def test_masks_per_image_below_folders_of_parts(tmp_path, write, pairs):
    for case in ("a", "b"):
        write(
            *(
                f"stage1_train/{case}/{n}"
                for n in (f"images/{case}.png", "masks/x.png", "masks/y.png")
            )
        )
    write("stage1_test/c/images/c.png")
    found = find_files(tmp_path)
    assert found.layout == "masks per image"
    assert [len(labels) for labels in pairs(found).values()] == [2, 2]


@pytest.mark.parametrize(
    "names",
    [("imaging.tif", "segmentation.tif"), ("{0}.tif", "GT.tif"), ("{0}_ct.tif", "{0}_seg.tif")],
)
def test_a_folder_per_case(tmp_path, write, pairs, names):
    for case in ("case_0", "case_1"):
        write(*(f"train/{case}/{name.format(case)}" for name in names))
    write(f"train/case_2/{names[0].format('case_2')}")
    found = find_files(tmp_path)
    image, labels = (f"train/case_0/{name.format('case_0')}" for name in names)
    assert pairs(found)[image] == [labels]
    assert len(found.splits["train"].pairs) == 2
    assert found.notes == ("1 cases without labels are left out.",)


def test_several_images_per_case_are_refused_by_name(tmp_path, write):
    for case in ("B_1", "B_2"):
        write(*(f"{case}/{case}_{word}.tif" for word in ("flair", "t1", "seg")))
    with pytest.raises(ImageFileError, match=r"2 images per case \(B_1_flair.tif, B_1_t1.tif\)"):
        find_files(tmp_path)


def test_the_fourth_axis_of_several_modalities_is_channels(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    volume = np.ones((6, 7, 5, 2), np.int16)
    for folder, array in (("imagesTr", volume), ("labelsTr", volume[..., 0].astype("u1"))):
        (tmp_path / folder).mkdir()
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / folder / "a.nii.gz")
    content = {"modality": {"0": "T2", "1": "ADC"}, "labels": {"0": "background", "1": "a"}}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    found = find_files(tmp_path)
    assert found.axes == {4: "CZYX"}
    as_stored = Preprocessing("range", 0.0, 1.0)
    (note,) = read_dataset(found, 1, as_stored, 1, True, channels=(1,)).image_notes
    assert "time" not in note.text
    assert note.text.endswith("Its axes are taken as CZYX.")
    (tmp_path / "dataset.json").write_text(json.dumps(content | {"modality": {"0": "CT"}}))
    assert find_files(tmp_path).axes == {}


def test_coco_one_folder_deeper(tmp_path, write):
    write("images/train_val/a.tif")
    entry = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 5, 1, 5, 5]]}
    image = {"id": 1, "file_name": "a.tif", "height": 12, "width": 16}
    category = {"id": 1, "name": "cell"}
    content = {"images": [image], "annotations": [entry], "categories": [category]}
    path = tmp_path / "annotations" / "LIVECell" / "livecell_coco_train.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))
    assert str(find_files(tmp_path)) == "COCO: 1 image (1 train)"


def test_cell_tracking_challenge(tmp_path, write, pairs):
    write("01/t000.tif", "01/t001.tif", "01/t002.tif")
    write("01_GT/SEG/man_seg001.tif", "01_GT/TRA/man_track000.tif", "01_ST/SEG/man_seg000.tif")
    found = find_files(tmp_path)
    assert pairs(found) == {"01/t001.tif": ["01_GT/SEG/man_seg001.tif"]}
    assert {found.case_of(image) for image, _ in found.pairs} == {"01"}
    assert "2 frames without a segmentation are left out." in found.notes
    write("01_GT/SEG/man_seg009.tif")
    with pytest.raises(ImageFileError, match=r"man_seg009.tif has no frame"):
        find_files(tmp_path)
    write("01_GT/SEG/man_seg_001_005.tif")
    with pytest.raises(ImageFileError, match="single slices"):
        find_files(tmp_path)


def test_pictures_of_results_are_no_images(tmp_path, write):
    write("predictions/a.png", "masks/a.png")
    with pytest.raises(ImageFileError, match="no data set"):
        find_files(tmp_path)


def test_annotations_that_are_no_images_are_named(tmp_path, write):
    write("Images/a.tif")
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text("<Annotations/>")
    with pytest.raises(ImageFileError, match=r"no label images, but \.xml; draw their outlines"):
        find_files(tmp_path)


def test_several_kinds_of_masks_per_image_are_named(tmp_path, write):
    ends = ("labelIds", "instanceIds")
    write("images/x_leftImg8bit.png", *(f"labels/x_gtFine_{end}.png" for end in ends))
    (problem,) = find_files(tmp_path).problems
    assert "label files of several kinds" in problem
    (tmp_path / "labels" / "x_gtFine_instanceIds.png").unlink()
    assert len(find_files(tmp_path).pairs) == 1
    write("organ/tissue images/a.png", "organ/label masks/a.png", "organ/mask binary/a.png")
    with pytest.raises(ImageFileError, match="has label masks and mask binary, and"):
        find_files(tmp_path / "organ")


@pytest.mark.parametrize(
    ("names", "cases"),
    [
        (("1_1", "1_2", "2_1", "3_1", "4_1", "5_1"), set("12345")),
        (YEARS, {f"{name}.png" for name in YEARS}),
        (("0_1", "0_2", "1_1"), {"0_1.png", "0_2.png", "1_1.png"}),
        (("p1_slice_1", "p1_slice_2", "p2_slice_1"), {"p1", "p2"}),
        (("c-1 frame12", "c-1 frame13", "d frame1"), {"c-1", "d"}),
        (("1_1", "1_2", "other"), {"1_1.png", "1_2.png", "other.png"}),
        (("slice_1", "slice_2"), {"slice_1.png", "slice_2.png"}),
        (("1_1", "1_2"), {"1_1.png", "1_2.png"}),
    ],
)
def test_images_of_a_patient_stay_together_by_their_names(tmp_path, write, names, cases):
    write(*(f"{folder}/{name}.png" for name in names for folder in ("images", "masks")))
    found = find_files(tmp_path)
    assert {found.case_of(image) for image, _ in found.pairs} == cases
    assert ("stay together" in " ".join(found.notes)) == (len(cases) < len(names))


@pytest.mark.parametrize(
    ("image", "labels"),
    [("train-volume.tif", "train-labels.tif"), ("AC4_inputs.tif", "AC4_labels.tif")],
)
def test_stacks_of_electron_microscopy_are_paired(tmp_path, write, pairs, image, labels):
    write(image, labels)
    assert pairs(find_files(tmp_path)) == {image: [labels]}


def test_gray_levels_of_classes_are_not_called_objects(tmp_path, save):
    """REFUGE: 0 is the cup, 128 the disc, 255 the background."""
    mask = np.full((12, 16), 255, np.uint8)
    mask[2:8, 2:8] = 128
    mask[4:6, 4:6] = 0
    for folder, array in (("images", mask), ("masks", mask)):
        save(tmp_path / folder / "a.png", array)
    with pytest.raises(DatasetError, match="with the values 128, 255; save them with 0 for the"):
        read_dataset(find_files(tmp_path), 1, Preprocessing("range", 0.0, 255.0), None)
    soft = np.tile(np.linspace(0, 255, 16).round().astype(np.uint8) // 2 * 2, (12, 1))
    soft[0, :2] = 255
    save(tmp_path / "masks" / "a.png", soft)
    with pytest.raises(DatasetError, match="with gray edges, save it thresholded"):
        read_dataset(find_files(tmp_path), 1, Preprocessing("range", 0.0, 255.0), None)


def test_images_in_numbered_folders_of_patients_stay_together(tmp_path, write):
    write(*(f"P{p}/{kind}/{n}.png" for p in (1, 2) for n in "ab" for kind in ("images", "masks")))
    found = find_files(tmp_path)
    assert {found.case_of(image) for image, _ in found.pairs} == {"P1", "P2"}
    assert "4 images are of 2 patients or volumes" in found.notes[0]


@pytest.mark.parametrize("folder", ["fold1", "part_1", "benign"])
def test_other_folders_are_no_patients(tmp_path, write, folder):
    write(*(f"{f}/{k}/{n}.png" for f in (folder, "x2") for n in "ab" for k in ("images", "masks")))
    found = find_files(tmp_path)
    assert len({found.case_of(image) for image, _ in found.pairs}) == 4


def test_the_folder_that_macos_adds_to_archives_is_left_out(tmp_path, write):
    places = [f"{part}/{kind}" for part in ("train", "test") for kind in ("images", "masks")]
    write(*(f"{place}/{place[:5]}{n}.png" for place in places for n in "ab"))
    write(*(f"__MACOSX/{place}/._a.png" for place in places))
    assert str(find_files(tmp_path)) == "nested folders: 4 images (2 train, 2 test)"
