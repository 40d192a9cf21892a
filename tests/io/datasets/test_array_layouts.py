"""Synapse, ACDC and other NPZ and HDF5 files that hold an image and its labels."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.io.datasets.layouts import find_files
from napari_emcad.io.datasets.read import read_dataset
from napari_emcad.io.datasets.synapse import BTCV_ORGANS, ORGANS
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.pipelines.train import split

UNIT = Preprocessing("range", 0.0, 1.0)


def noise(path, shape):
    return np.random.default_rng(list(path.name.encode())).random(shape).astype(np.float32)


def npz(path, labels, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, image=noise(path, labels.shape), label=labels.astype(np.float32), **more)


def h5(path, labels, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["image"] = noise(path, labels.shape)
        file["label"] = labels.astype(np.float32)
        for name, array in more.items():
            file[name] = array


def organs(most, shape=(32, 32)):
    """Return labels with every value from 0 to `most`, a row each."""
    labels = np.zeros(shape, np.uint8)
    for value in range(1, most + 1):
        labels[..., value, :] = value
    return labels


@pytest.fixture
def make_synapse(tmp_path):
    def make(most):
        for case in (5, 6, 7):
            for number in range(4):
                npz(tmp_path / "train_npz" / f"case{case:04}_slice{number:03}.npz", organs(most))
        for case in (1, 2):
            volume = organs(most, (6, 32, 32))
            h5(tmp_path / "test_vol_h5" / f"case{case:04}.npy.h5", volume)
        return tmp_path

    return make


def test_synapse_is_found_and_described_in_one_line(make_synapse):
    found = find_files(make_synapse(8))
    assert str(found) == "Synapse: 3 cases, 12 slices, 2 test volumes, 9 classes"
    assert found.class_names == ORGANS
    assert {name: len(part.pairs) for name, part in found.splits.items()} == {
        "train": 12,
        "test": 2,
    }
    data = read_dataset(found.splits["train"], 1, UNIT, 8)
    assert data.classes == 8
    assert np.array_equal(data.slices[0].target, organs(8))


def test_slices_of_a_case_are_never_on_both_sides_of_a_split(make_synapse):
    data = read_dataset(find_files(make_synapse(8)).splits["train"], 1, UNIT, 8)
    training, held_out = split(data.slices, 0.3, 0)
    assert {one.image_name for one in held_out} == {held_out[0].name.partition("_")[0]}
    assert len(held_out) == 4
    assert not {one.image_name for one in training} & {one.image_name for one in held_out}


def test_labels_of_13_organs_become_the_eight_of_the_papers(make_synapse):
    found = find_files(make_synapse(13))
    assert "esophagus" in found.notes[0]
    for part in ("train", "test"):
        data = read_dataset(found.splits[part], 1, UNIT, 8)
        target = data.slices[0].target
        by_name = {name: int(target[value, 0]) for value, name in enumerate(BTCV_ORGANS, start=1)}
        for name, k in by_name.items():
            assert k == (ORGANS.index(name) + 1 if name in ORGANS else 0)


def test_volumes_are_stacks_of_slices_even_if_they_are_thin(tmp_path):
    h5(tmp_path / "test_vol_h5" / "case0001.npy.h5", organs(8, (3, 32, 32)))
    data = read_dataset(find_files(tmp_path), 1, UNIT, 8)
    assert [part.target.shape for part in data.slices] == [(32, 32)] * 3


def test_volumes_with_slices_along_the_last_axis_are_read_so(tmp_path):
    labels = np.moveaxis(organs(8, (5, 32, 32)), 0, -1)
    h5(tmp_path / "test_vol_h5" / "case0001.npy.h5", labels)
    data = read_dataset(find_files(tmp_path), 1, UNIT, 8)
    assert [part.target.shape for part in data.slices] == [(32, 32)] * 5
    assert np.array_equal(data.slices[0].target, organs(8))


def test_volumes_whose_axes_are_not_clear_are_refused(tmp_path):
    h5(tmp_path / "test_vol_h5" / "case0001.npy.h5", organs(8, (5, 32, 32)))
    h5(tmp_path / "test_vol_h5" / "case0002.npy.h5", np.zeros((32, 32, 5)))
    with pytest.raises(ImageFileError, match="not clear along which axis its slices lie"):
        find_files(tmp_path)


def test_lists_choose_slices_and_volumes(make_synapse):
    root = make_synapse(8)
    lists = root / "lists" / "lists_Synapse"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("case0005_slice000\ncase0005_slice001\n")
    (lists / "test_vol.txt").write_text("case0002\n")
    found = find_files(root)
    assert str(found) == "Synapse: 1 case, 2 slices, 1 test volume, 9 classes"
    assert "11 files that the lists do not name" in found.notes[-1]
    (lists / "test_vol.txt").write_text("case0003\n")
    with pytest.raises(ImageFileError, match="lists case0003, of which"):
        find_files(root)


def test_labels_that_are_no_organs_are_refused(tmp_path):
    npz(tmp_path / "train_npz" / "case0001_slice000.npz", organs(14))
    with pytest.raises(ImageFileError, match="label 14; Synapse has 8 or 13"):
        find_files(tmp_path)


def patient(number, frame=1):
    return f"patient{number:03}_frame{frame:02}"


@pytest.fixture(params=["ACDC", "data"])
def acdc(request, tmp_path):
    """Return ACDC as slices and volumes, in either of its usual folders."""
    is_named = request.param == "ACDC"
    slices = tmp_path / ("ACDC_training_slices" if is_named else "data/slices")
    volumes = tmp_path / ("ACDC_training_volumes" if is_named else "data")
    for number in (1, 2, 3):
        for frame in (1, 8):
            volume = organs(3, (4, 24, 20))
            scribble = np.full(volume.shape, 4, np.uint8)
            h5(volumes / f"{patient(number, frame)}.h5", volume, scribble=scribble)
            for z in range(4):
                name = f"{patient(number, frame)}_slice_{z}.h5"
                h5(slices / name, volume[z], scribble=scribble[z])
    return tmp_path


def test_acdc_without_lists_has_no_test_set(acdc):
    """Its volumes are of the patients that are trained on, which their name must not hide."""
    found = find_files(acdc)
    assert str(found) == "ACDC: 3 cases, 24 slices, 6 volumes, 4 classes"
    assert set(found.splits) == {"train", "volumes"}
    data = read_dataset(found.splits["train"], 1, UNIT, 3)
    assert {part.image_name for part in data.slices} == {"patient001", "patient002", "patient003"}
    assert found.class_names == ("right ventricle", "myocardium", "left ventricle")


def test_lists_of_patients_divide_acdc(acdc):
    (acdc / "train_slices.list").write_text(f"{patient(1)}_slice_0\n{patient(3, 8)}_slice_1\n")
    (acdc / "test.list").write_text("patient002_frame01\npatient002_frame08\n")
    found = find_files(acdc)
    names = {
        split: {image.name[:10] for image, _ in part.pairs} for split, part in found.splits.items()
    }
    assert names == {"train": {"patient001", "patient003"}, "test": {"patient002"}}
    assert all("slice" not in image.name for image, _ in found.splits["test"].pairs)
    (acdc / "test.list").write_text("patient001_frame01\n")
    with pytest.raises(ImageFileError, match="patient001 for train and for test"):
        find_files(acdc)
    (acdc / "test.list").write_text("patient009_frame01\n")
    with pytest.raises(ImageFileError, match="has patient009, of whom there is no file"):
        find_files(acdc)


def test_arrays_in_folders_of_splits(tmp_path):
    for split_name, n in {"train": 3, "valid": 1, "test": 2}.items():
        for number in range(n):
            path = tmp_path / split_name / f"a_slice_{number}.npz"
            path.parent.mkdir(exist_ok=True)
            labels = organs(3)
            labels[0, 0] = 255
            np.savez(path, img=np.random.default_rng(number).random((32, 32)), label=labels)
    found = find_files(tmp_path)
    assert str(found) == "arrays: 6 images (3 train, 1 val, 2 test)"
    data = read_dataset(found.splits["test"], 1, UNIT, None)
    assert data.classes == 3
    assert (data.slices[0].target[0, 0]) == UNLABELED
    assert {part.image_name for part in data.slices} == {"a"}


def test_weights_beside_folders_of_images_are_no_data(tmp_path, save):
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file["kernel"], file["bias"] = np.zeros((3, 3)), np.zeros((3, 3))
    for kind in ("images", "labels"):
        save(tmp_path / kind / "1.png", np.ones((8, 8), np.uint8))
    assert find_files(tmp_path).layout == "folders"


def test_a_folder_of_arrays_without_labels_is_no_data_set(tmp_path):
    for n in range(2):
        np.savez(tmp_path / f"{n}.npz", image=np.zeros((8, 8)))
    with pytest.raises(ImageFileError, match="no data set in a layout that is known"):
        find_files(tmp_path)


def test_acdc_as_it_is_distributed(tmp_path):
    """NIfTI of two frames per patient, with a film of the heart that has no labels."""
    import nibabel

    for part, numbers in {"training": (1, 2), "testing": (101,)}.items():
        for number in numbers:
            root = tmp_path / part / f"patient{number:03}"
            root.mkdir(parents=True)
            (root / "Info.cfg").write_text("ED: 1")
            film = np.zeros((16, 18, 3, 2), np.int16)
            nibabel.save(nibabel.Nifti1Image(film, np.eye(4)), root / f"{root.name}_4d.nii.gz")
            for frame in (1, 8):
                labels = np.moveaxis(organs(3, (3, 16, 18)), 0, -1)
                noise_of = np.random.default_rng(number * frame).integers(0, 99, labels.shape)
                for end, pixels in (("", noise_of.astype(np.int16)), ("_gt", labels)):
                    path = root / f"{root.name}_frame{frame:02}{end}.nii.gz"
                    nibabel.save(nibabel.Nifti1Image(pixels, np.eye(4)), path)
    found = find_files(tmp_path)
    assert str(found) == "ACDC: 3 cases, 6 volumes, 4 classes"
    assert {name: len(part.pairs) for name, part in found.splits.items()} == {"train": 4, "test": 2}
    data = read_dataset(found.splits["train"], 1, UNIT, 3)
    assert {part.image_name for part in data.slices} == {"patient001", "patient002"}
    assert len(data.slices) == 12


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((30, 30, 22), "YXZ"),
        ((22, 30, 30), "ZYX"),
        ((30, 30, 50), "YXZ"),
        ((24, 28, 12), "YXZ"),
        ((12, 28, 24), "ZYX"),
        ((20, 20, 20), "ZYX"),
    ],
)
def test_slices_of_volumes_lie_along_the_axis_across_squares(tmp_path, shape, axes):
    """The left atrium is distributed as (rows, columns, slices)."""
    labels = np.random.default_rng(0).integers(0, 2, shape).astype(np.uint8)
    np.savez(tmp_path / "a.npz", image=100 * labels, label=labels)
    found = find_files(tmp_path)
    assert found.axes == {3: axes}
    assert f"({axes})" in found.notes[0]
    data = read_dataset(found, 1, Preprocessing("range", 0.0, 100.0), 1)
    assert len(data.slices) == shape[axes.index("Z")]
    for part in data.slices:
        np.testing.assert_array_equal(part.planes[0], part.target)


def test_volumes_with_slices_along_different_axes_are_refused(tmp_path):
    for name, shape in (("a", (30, 30, 22)), ("b", (22, 30, 30))):
        np.savez(tmp_path / f"{name}.npz", image=np.zeros(shape), label=np.zeros(shape, "u1"))
    with pytest.raises(ImageFileError, match=r"b.npz has slices along another axis than"):
        find_files(tmp_path)


def test_color_slices_are_no_volumes(tmp_path):
    labels = np.zeros((30, 30), np.uint8)
    np.savez(tmp_path / "a.npz", image=np.zeros((30, 30, 3)), label=labels)
    assert find_files(tmp_path).axes == {}
