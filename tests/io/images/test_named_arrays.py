"""HDF5 and NPZ files, against h5py and NumPy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_emcad.io.images.labels import read_labels
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image
from napari_emcad.io.images.read_options import ReadOptions

if TYPE_CHECKING:
    from pathlib import Path

h5py = pytest.importorskip("h5py")

IMAGE = np.random.default_rng(0).random((6, 30, 40)).astype("f4")
LABELS = (IMAGE > 0.5).astype("u1")


def write(path: Path, **arrays) -> Path:
    if path.suffix == ".npz":
        np.savez_compressed(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    return path


@pytest.fixture(params=["a.h5", "a.hdf5", "a.npz", "case1.npy.h5"])
def path(request, tmp_path):
    return tmp_path / request.param


@pytest.mark.parametrize(("image", "label"), [("image", "label"), ("raw", "gt"), ("imgs", "gts")])
def test_usual_names(path, image, label):
    write(path, **{label: LABELS, image: IMAGE, "spacing": np.ones(3)})
    opened = read_image(path)
    np.testing.assert_array_equal(opened.pixels, IMAGE)
    assert (opened.pixels.dtype, opened.axes) == (IMAGE.dtype, None)
    assert image in opened.note
    np.testing.assert_array_equal(read_labels(path), LABELS)


def test_the_only_array_needs_no_name(path):
    write(path, data=LABELS, spacing=np.ones(3))
    np.testing.assert_array_equal(read_image(path).pixels, LABELS)
    np.testing.assert_array_equal(read_labels(path), LABELS)


def test_keys_choose(path):
    write(path, first=IMAGE, second=IMAGE + 1, mask=LABELS, other=LABELS + 1)
    chosen = ReadOptions(image_key="second", label_key="other")
    np.testing.assert_array_equal(read_image(path, chosen).pixels, IMAGE + 1)
    np.testing.assert_array_equal(read_labels(path, options=chosen), LABELS + 1)


@pytest.mark.parametrize(
    ("arrays", "options", "words"),
    [
        ({"a": IMAGE, "b": IMAGE}, {}, ("--image-key", "a 6×30×40", "b 6×30×40")),
        ({"image": IMAGE, "raw": IMAGE}, {}, ("--image-key", "raw")),
        ({"image": IMAGE}, {"as_labels": True}, ("--label-key",)),
        ({"label": LABELS}, {}, ("--image-key",)),
        ({"image": IMAGE}, {"image_key": "pixels"}, ("no array pixels", "image 6×30×40")),
        ({"spacing": np.ones(3)}, {}, ("no array of numbers",)),
        ({"image": np.array([["a", "b"]], "S1")}, {}, ("no array of numbers",)),
    ],
)
def test_what_is_ambiguous_is_refused(path, arrays, options, words):
    write(path, **arrays)
    with pytest.raises(ImageFileError) as error:
        read_image(path, ReadOptions(**options))
    message = str(error.value)
    assert message.endswith(".")
    for word in words:
        assert word in message


def test_arrays_in_groups(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["volumes/raw"] = IMAGE
        file["volumes/labels"] = LABELS
    np.testing.assert_array_equal(read_image(tmp_path / "a.h5").pixels, IMAGE)
    chosen = ReadOptions(image_key="/volumes/labels")
    np.testing.assert_array_equal(read_image(tmp_path / "a.h5", chosen).pixels, LABELS)


def test_axes_and_sizes_of_the_file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("raw", data=IMAGE)
        dataset.attrs["element_size_um"] = (2.0, 0.5, 0.25)
        for dimension, letter in zip(dataset.dims, "tyx", strict=True):
            dimension.label = letter
        other = file.create_dataset("exported", data=IMAGE[..., None])
        tags = {"axes": [{"key": key} for key in "zyxc"]}
        other.attrs["axistags"] = json.dumps(tags)
    opened = read_image(tmp_path / "a.h5")
    assert (opened.axes, opened.unit) == ("TYX", "µm")
    assert opened.scale == {"Z": 2, "Y": 0.5, "X": 0.25}
    assert read_image(tmp_path / "a.h5", ReadOptions(image_key="exported")).axes == "ZYXC"


def test_objects_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", image=np.array([[{}, {}]], object))
    with pytest.raises(ImageFileError, match="no array of numbers"):
        read_image(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"])
def test_damaged_files(path, content):
    path.write_bytes(content)
    with pytest.raises(ImageFileError, match=r"damaged.*again\.$"):
        read_image(path)
