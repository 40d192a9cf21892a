"""Volumes in a folder per case: modalities as channels, and a file per structure."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.io.datasets.layouts import find_files
from napari_emcad.io.datasets.read import DatasetError, read_dataset
from napari_emcad.io.images.opened_image import ImageFileError

nib = pytest.importorskip("nibabel")

SHAPE = (7, 6, 5)
AFFINE = np.array([[0, -1.5, 0, 10], [-1, 0, 0, 20], [0, 0, -2.5, 30], [0, 0, 0, 1.0]])
AS_STORED = Preprocessing("range", 0.0, 1.0)


def save(path, voxels, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, affine), path)


def numbers(seed, largest=1000, kind="i2"):
    return np.random.default_rng(seed).integers(0, largest + 1, SHAPE).astype(kind)


def ras(voxels, affine=AFFINE):
    """Return voxels in the order of RAS+ by nibabel, independent of the reader under test."""
    return np.asarray(nib.as_closest_canonical(nib.Nifti1Image(voxels, affine)).dataobj)


def as_ras(shown):
    """Return axial slices (head, back, left) in the order of RAS+."""
    return shown[:, ::-1, ::-1].transpose(2, 1, 0)


def targets(data):
    return np.stack([part.target for part in data.slices])


@pytest.fixture
def write_brats(tmp_path):
    """Return a function that writes the files of a case, and returns their voxels by word."""

    def write_brats(case, words, joined="_", labels=(0, 1, 2, 4)):
        voxels = {}
        for seed, word in enumerate(words):
            is_labels = word == "seg"
            voxels[word] = numbers(seed, len(labels) - 1 if is_labels else 1000)
            if is_labels:
                voxels[word] = np.array(labels, "u1")[voxels[word]]
            name = case.rsplit("/", 1)[-1]
            save(tmp_path / case / f"{name}{joined}{word}.nii.gz", voxels[word])
        return voxels

    return write_brats


OLD = ("t1", "t1ce", "t2", "flair", "seg")
NEW = ("t1n", "t1c", "t2w", "t2f", "seg")


def test_brats_modalities_are_channels_and_labels_lie_on_them(tmp_path, write_brats):
    for case in ("HGG/Brats18_1", "LGG/Brats18_2"):
        voxels = write_brats(case, OLD)
    found = find_files(tmp_path)
    assert str(found) == "BraTS: 2 images"
    assert found.class_names is not None
    assert found.class_names[2] == "enhancing tumor"
    assert found.notes == ("The four channels are t1, t1ce, t2, flair.",)
    assert {found.name_of(image) for image, _ in found.pairs} == {
        "HGG/Brats18_1", "LGG/Brats18_2",
    }  # fmt: skip
    for channel, word in ((1, "t1ce"), (3, "flair")):
        data = read_dataset(found, 1, AS_STORED, 3, channels=(channel,))
        second = [part for part in data.slices if part.name.startswith("LGG")]
        shown = np.stack([part.planes[0] for part in second])
        np.testing.assert_array_equal(as_ras(shown) >= 1, ras(voxels[word]) >= 1)
        truth = as_ras(np.stack([part.target for part in second]))
        np.testing.assert_array_equal(truth, np.array([0, 1, 2, 0, 3])[ras(voxels["seg"])])


def test_brats_modalities_must_be_chosen_for_three_inputs(tmp_path, write_brats):
    write_brats("a_1", OLD)
    with pytest.raises(DatasetError, match="4 channels and the network takes 3"):
        read_dataset(find_files(tmp_path), 3, AS_STORED, 3)


def test_the_label_3_of_brats_until_2021_is_refused(tmp_path, write_brats):
    write_brats("a_1", OLD, labels=(0, 1, 2, 3))
    with pytest.raises(DatasetError, match="labels hold 3, but those of this layout are 1, 2, 4"):
        read_dataset(find_files(tmp_path), 1, AS_STORED, 3, channels=(0,))


def test_time_points_of_a_patient_stay_together(tmp_path, write_brats):
    for case in ("BraTS-GLI-00005-000", "BraTS-GLI-00005-001", "BraTS-GLI-00006-000"):
        write_brats(case, NEW, "-", (0, 1, 2, 3))
    found = find_files(tmp_path)
    assert {found.case_of(image) for image, _ in found.pairs} == {
        "BraTS-GLI-00005", "BraTS-GLI-00006",
    }  # fmt: skip
    data = read_dataset(found, 1, AS_STORED, 3, channels=(0,))
    assert set(np.unique(targets(data))) == {0, 1, 2, 3}


def test_classes_of_children_have_no_names_because_they_are_others(tmp_path, write_brats):
    write_brats("BraTS-PED-00005-000", NEW, "-", (0, 1, 2, 3))
    assert find_files(tmp_path).class_names is None


def test_a_case_of_brats_without_a_modality_is_named(tmp_path, write_brats):
    write_brats("a_1", OLD)
    write_brats("a_2", OLD[1:])
    write_brats("a_3", OLD[:4])
    found = find_files(tmp_path)
    assert found.problems == ("a_2 has no file t1; each case needs the four modalities and seg.",)
    assert found.notes[1] == "1 cases without labels are left out."


def test_labels_of_another_name_are_pointed_out(tmp_path, write_brats):
    write_brats("a_1", OLD)
    write_brats("a_2", OLD[:4])
    save(tmp_path / "a_2" / "W39_Segm.nii", numbers(0))
    (problem,) = find_files(tmp_path).problems
    assert "a_2 has no file seg (W39_Segm.nii may be one of them)" in problem


def test_a_channel_that_lies_elsewhere_is_refused(tmp_path, write_brats):
    write_brats("a_1", OLD)
    moved = AFFINE.copy()
    moved[0, 3] += 5
    save(tmp_path / "a_1" / "a_1_t2.nii.gz", numbers(0), moved)
    with pytest.raises(DatasetError, match=r"a_1_t2.nii.gz does not lie on a_1_t1.nii.gz"):
        read_dataset(find_files(tmp_path), 1, AS_STORED, 3, channels=(0,))


@pytest.fixture
def write_structures(tmp_path):
    """Return a function that writes a case of TotalSegmentator, and returns its classes."""

    def write_structures(case, names, empty=()):
        labels = numbers(0, len(names), "u1")
        save(tmp_path / case / "ct.nii.gz", numbers(1))
        for number, name in enumerate(names, start=1):
            mask = (labels == number) & (name not in empty)
            save(tmp_path / case / "segmentations" / f"{name}.nii.gz", mask.astype("u1"))
        return labels

    return write_structures


def test_structures_are_classes_by_the_alphabet(tmp_path, write_structures):
    labels = write_structures("s0001", ("aorta", "liver", "spleen"))
    found = find_files(tmp_path)
    assert str(found) == "TotalSegmentator: 1 case, 3 structures, 3 classes"
    assert found.class_names == ("aorta", "liver", "spleen")
    data = read_dataset(found, 1, AS_STORED, 3)
    np.testing.assert_array_equal(as_ras(targets(data)), ras(labels))


def test_classes_yaml_chooses_structures_and_their_order(tmp_path, write_structures):
    labels = write_structures("s0001", ("aorta", "liver", "spleen"))
    (tmp_path / "classes.yaml").write_text("classes: [spleen, aorta]")
    found = find_files(tmp_path)
    assert found.class_names == ("spleen", "aorta")
    data = read_dataset(found, 1, AS_STORED, 2)
    np.testing.assert_array_equal(as_ras(targets(data)), np.array([0, 2, 0, 1])[ras(labels)])
    (tmp_path / "classes.yaml").write_text("classes: [heart]")
    with pytest.raises(ImageFileError, match="lists heart, of which no case has a file"):
        find_files(tmp_path)


def test_more_structures_than_classes_are_refused(tmp_path, write_structures):
    write_structures("s0001", ("liver",))
    for number in range(64):
        (tmp_path / "s0001" / "segmentations" / f"rib_{number}.nii.gz").touch()
    with pytest.raises(ImageFileError, match=r"65 structures, more than 64 .* classes.yaml"):
        find_files(tmp_path)


def test_meta_csv_gives_the_parts(tmp_path, write_structures):
    for case in ("s0001", "s0002", "s0003"):
        write_structures(case, ("liver", "spleen"))
    (tmp_path / "meta.csv").write_text("image_id;age;split\ns0001;60;train\ns0003;70;test\n")
    found = find_files(tmp_path)
    parts = {n: [part.name_of(i) for i, _ in part.pairs] for n, part in found.splits.items()}
    assert parts == {"train": ["s0001"], "test": ["s0003"]}
    assert found.notes == ("1 cases that meta.csv does not list are left out.",)


def test_structures_that_share_voxels_are_refused(tmp_path, write_structures):
    write_structures("s0001", ("liver", "spleen"))
    save(tmp_path / "s0001" / "segmentations" / "spleen.nii.gz", np.ones(SHAPE, "u1"))
    with pytest.raises(DatasetError, match=r"spleen.nii.gz and liver.nii.gz share"):
        read_dataset(find_files(tmp_path), 1, AS_STORED, 2)


def test_a_case_without_a_structure_is_named(tmp_path, write_structures):
    write_structures("s0001", ("liver", "spleen"))
    write_structures("s0002", ("liver",))
    (problem,) = find_files(tmp_path).problems
    assert problem.startswith("s0002 has no file of spleen")


@pytest.fixture
def write_nnunet(tmp_path):
    """Return a function that writes a case of nnU-Net with a file per channel."""

    def write_nnunet(case, channels):
        voxels = [numbers(seed) for seed in range(channels)]
        for number, one in enumerate(voxels):
            save(tmp_path / "imagesTr" / f"{case}_{number:04}.nii.gz", one)
        labels = numbers(9, 2, "u1")
        save(tmp_path / "labelsTr" / f"{case}.nii.gz", labels)
        content = {"channel_names": dict(enumerate("abc")), "labels": {"background": 0, "x": 1}}
        (tmp_path / "dataset.json").write_text(json.dumps(content))
        return voxels, labels

    return write_nnunet


def test_files_of_nnunet_are_channels(tmp_path, write_nnunet):
    write_nnunet("e\N{COMBINING ACUTE ACCENT}_001", 3)
    voxels, labels = write_nnunet("h_002", 3)
    found = find_files(tmp_path)
    assert len(found.pairs) == 2
    data = read_dataset(found, 1, AS_STORED, 2, channels=(2,))
    second = [part for part in data.slices if part.name.startswith("h_002")]
    shown = as_ras(np.stack([part.planes[0] for part in second]))
    np.testing.assert_array_equal(shown >= 1, ras(voxels[2]) >= 1)
    truth = as_ras(np.stack([part.target for part in second]))
    np.testing.assert_array_equal(truth, ras(labels))


def test_a_missing_channel_of_nnunet_is_named(tmp_path, write_nnunet):
    write_nnunet("h_001", 3)
    write_nnunet("h_002", 3)
    (tmp_path / "imagesTr" / "h_002_0002.nii.gz").unlink()
    with pytest.raises(ImageFileError, match=r"h_002_0000.nii.gz has 2 files of channels and"):
        find_files(tmp_path)
    (tmp_path / "imagesTr" / "h_001_0001.nii.gz").unlink()
    with pytest.raises(ImageFileError, match=r"h_001_0000.nii.gz has the channels \[0, 2\]"):
        find_files(tmp_path)


def test_frames_with_labels_of_their_own_are_no_channels(tmp_path, write_nnunet):
    write_nnunet("h", 2)
    for number in (0, 1):
        save(tmp_path / "labelsTr" / f"h_{number:04}.nii.gz", numbers(number, 2, "u1"))
    (tmp_path / "labelsTr" / "h.nii.gz").unlink()
    found = find_files(tmp_path)
    assert (len(found.pairs), found.channels) == (2, {})


def test_times_without_labels_are_ignored_beside_others(tmp_path):
    labels = np.stack([numbers(0, 2, "u1"), np.zeros(SHAPE, "u1"), numbers(1, 2, "u1")], axis=-1)
    save(tmp_path / "a_sa.nii.gz", np.stack([numbers(2)] * 3, axis=-1))
    save(tmp_path / "a_sa_gt.nii.gz", labels)
    data = read_dataset(find_files(tmp_path), 1, AS_STORED, 2)
    assert len(data.slices) == 3 * SHAPE[2]
    by_time = targets(data).reshape(3, -1)
    assert (by_time[1] == -1).all()
    assert (by_time[[0, 2]] >= 0).all()
    assert "no label at 1 of 3 times" in data.label_notes[0].text


def test_three_channels_are_not_mixed_for_one_input(tmp_path, write_nnunet):
    write_nnunet("h_001", 3)
    found = find_files(tmp_path)
    with pytest.raises(DatasetError, match=r"3 channels and the network takes 1.*1 h_001_0001"):
        read_dataset(found, 1, AS_STORED, 2)
    data = read_dataset(found, 3, AS_STORED, 2)
    assert data.slices[0].planes.shape[0] == 3


def test_images_for_validation_are_a_part(tmp_path, write_nnunet):
    """AMOS has imagesVa/ and labelsVa/ beside those for training."""
    write_nnunet("amos_0001", 2)
    write_nnunet("amos_0002", 2)
    for folder in ("images", "labels"):
        (tmp_path / f"{folder}Va").mkdir()
        for path in (tmp_path / f"{folder}Tr").glob("amos_0002*"):
            path.rename(tmp_path / f"{folder}Va" / path.name)
    found = find_files(tmp_path)
    assert str(found) == "nnU-Net: 2 images (1 train, 1 val)"
    part = found.splits["val"]
    assert [part.name_of(image) for image, _ in part.pairs] == ["imagesVa/amos_0002_0000.nii.gz"]
    assert part.class_names == found.class_names == ("x",)
    assert len(read_dataset(part, 1, AS_STORED, 2, channels=(1,)).slices) == SHAPE[2]
