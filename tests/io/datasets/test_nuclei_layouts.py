"""PanNuke, MoNuSeg and MoNuSAC, and run lengths of Kaggle's competitions."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.io.datasets.layouts import find_files
from napari_emcad.io.datasets.read import DatasetError, read_dataset
from napari_emcad.io.images.opened_image import ImageFileError

AS_STORED = Preprocessing("range", 0.0, 255.0)


@pytest.fixture
def write_fold(tmp_path):
    """Return a function that writes a fold of PanNuke, whose red is 20 times the class."""

    def write_fold(number, patches=3, background=5):
        random = np.random.default_rng(number)
        classes = random.integers(0, 6, (patches, 16, 16))
        masks = np.zeros((patches, 16, 16, 6))
        for kind in range(5):
            own = classes == kind + 1
            masks[..., kind + (kind >= background)] = own * random.integers(1, 90, own.shape)
        masks[..., background] = classes == 0
        images = np.zeros((patches, 16, 16, 3))
        images[..., 0] = 20 * classes
        for kind, array in (("images", images), ("masks", masks)):
            place = tmp_path / f"Fold {number}" / kind / f"fold{number}"
            place.mkdir(parents=True, exist_ok=True)
            np.save(place / f"{kind}.npy", array)
        return masks

    return write_fold


def test_folds_of_pannuke_have_a_class_per_kind(tmp_path, write_fold):
    for number in (1, 2):
        write_fold(number)
    found = find_files(tmp_path)
    assert str(found) == "PanNuke: 2 folds, 6 patches, 6 classes"
    assert found.class_names == (
        "neoplastic", "inflammatory", "connective", "dead", "epithelial",
    )  # fmt: skip
    data = read_dataset(found, 3, AS_STORED, 5)
    assert len(data.slices) == 6
    assert len({part.image for part in data.slices}) == 2
    for part in data.slices:
        np.testing.assert_array_equal(np.rint(part.planes[0] * 255 / 20), part.target)


def test_pixels_of_several_kinds_are_ignored(tmp_path, write_fold):
    masks = write_fold(1)
    masks[0, :2, :2, :2] = 7
    np.save(tmp_path / "Fold 1/masks/fold1/masks.npy", masks)
    data = read_dataset(find_files(tmp_path), 3, AS_STORED, 5)
    assert (data.slices[0].target[:2, :2] == -1).all()
    assert "4 pixels with nuclei of several kinds" in data.label_notes[0].text


def test_another_order_of_channels_is_refused(tmp_path, write_fold):
    write_fold(1, background=0)
    with pytest.raises(DatasetError, match="sixth channel that is not the background"):
        read_dataset(find_files(tmp_path), 3, AS_STORED, 5)


def xml(*layers, region="", head='MicronsPerPixel="0.25"'):
    """Return the text of an ImageScope file; a layer is an attribute and its polygons."""
    text = f'<?xml version="1.0"?><Annotations {head}>'
    for number, (name, polygons) in enumerate(layers, start=1):
        text += f'<Annotation Id="{number}" Name="" Type="4"><Attributes>'
        text += f'<Attribute Name="{name}" Id="0" Value=""/></Attributes><Regions>'
        text += "<RegionAttributeHeaders/>"
        for k, corners in enumerate(polygons, start=1):
            points = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in corners)
            text += f'<Region Id="{k}" Type="0" {region}><Vertices>{points}</Vertices></Region>'
        text += "</Regions></Annotation>"
    return f"{text}</Annotations>"


def box(left, top, right, bottom):
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


@pytest.fixture
def nuclei(tmp_path, save, picture):
    """Return a function that writes an image of 40 × 48 pixels and its outlines."""

    def nuclei(image, outlines, text):
        save(tmp_path / image, picture())
        (tmp_path / outlines).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / outlines).write_text(text)

    return nuclei


def test_outlines_of_monuseg_are_nuclei(tmp_path, nuclei, targets):
    text = xml(("Description", [box(2, 3, 10, 7), box(20.4, 30.2, 25.1, 35.3)]))
    nuclei("Tissue Images/T-1.tif", "Annotations/T-1.xml", text)
    found = find_files(tmp_path)
    assert str(found) == "Aperio XML: 1 image"
    assert found.class_names == ("nucleus",)
    (target,) = targets(found, 1).values()
    expected = np.zeros((40, 48))
    expected[3:8, 2:11] = expected[31:36, 21:26] = 1
    np.testing.assert_array_equal(target, expected)


def test_attributes_of_monusac_are_classes_and_ambiguous_pixels_are_ignored(
    tmp_path, nuclei, targets
):
    text = xml(
        ("Lymphocyte", [box(0, 0, 20, 20)]),
        ("Epithelial", [box(5, 5, 8, 8)]),
        ("Ambiguous", [box(30, 30, 35, 35)]),
    )
    nuclei("TCGA-1/TCGA-1_2.tif", "TCGA-1/TCGA-1_2.xml", text)
    nuclei("TCGA-1/TCGA-1_3.tif", "TCGA-1/TCGA-1_3.xml", xml(("Epithelial", [box(1, 1, 4, 4)])))
    found = find_files(tmp_path)
    assert found.class_names == ("Epithelial", "Lymphocyte")
    assert {found.case_of(image) for image, _ in found.pairs} == {"TCGA-1"}
    target = targets(found, 2)["TCGA-1/TCGA-1_2.tif"]
    assert (target[0, 0], target[6, 6], target[32, 32], target[25, 25]) == (2, 1, -1, 0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (xml(("", [box(1, 1, 4, 4)]), ("", [box(6, 6, 9, 9)])), "2 layers of outlines, of which"),
        (xml(("", [box(1, 1, 90, 90)])), "outlines outside of its image of 48 × 40"),
        (xml(("", [box(1, 1, 4, 4)]), region='NegativeROA="1"'), "is cut out of others"),
        (xml(("", [box("nan", 1, 4, 4)])), "no coordinates in the region 1"),
        (xml(("", [box(1, 1, 4, 4)]))[:-20], "is damaged"),
    ],
)
def test_outlines_that_are_not_clear_are_refused(tmp_path, nuclei, text, problem):
    nuclei("a.tif", "a.xml", text)
    with pytest.raises((ImageFileError, DatasetError), match=problem):
        read_dataset(find_files(tmp_path), 3, AS_STORED, 1)


def test_an_image_without_outlines_is_named(tmp_path, nuclei, save, picture):
    nuclei("a.tif", "a.xml", xml(("", [box(1, 1, 4, 4)])))
    save(tmp_path / "b.tif", picture())
    assert find_files(tmp_path).problems == ("b.tif has no XML file of its name; add it.",)


def runs_of(mask, by_rows):
    """Return run lengths of a mask as Kaggle writes them, by the changes along the pixels."""
    pixels = np.concatenate([[0], mask.flatten("C" if by_rows else "F"), [0]])
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    changes[1::2] -= changes[::2]
    return " ".join(map(str, changes))


def disc(y, x, radius, shape=(40, 48)):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return ((rows - y) ** 2 + (columns - x) ** 2 < radius**2).astype(int)


def write_table(path, header, *rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.mark.parametrize(
    ("header", "by_rows"),
    [
        (("id", "annotation", "width", "height", "cell_type"), True),
        (("ImageId", "EncodedPixels", "Height", "Width", "Usage"), False),
        (("ImageId", "EncodedPixels"), False),
        (("id", "encoding"), False),
        (("id", "rle_mask"), False),
    ],
)
def test_run_lengths_are_counted_as_in_each_competition(
    tmp_path, save, picture, targets, header, by_rows
):
    masks = {"one": disc(12, 12, 6), "two": disc(30, 20, 8)}
    sizes = {"width": 48, "Width": 48, "height": 40, "Height": 40}
    rows = []
    for name, mask in masks.items():
        save(tmp_path / "train" / f"{name}.png", picture())
        values = {"id": name, "ImageId": name, "cell_type": "astro", "Usage": "Public"}
        values |= {header[1]: runs_of(mask, by_rows)} | sizes
        rows.append([values[column] for column in header])
    other = [*rows[0]]
    other[1] = runs_of(disc(30, 36, 5), by_rows)
    write_table(tmp_path / "train.csv", header, *rows, other)
    write_table(tmp_path / "sample_submission.csv", header, rows[0])
    save(tmp_path / "test" / "three.png", picture())
    found = find_files(tmp_path)
    assert str(found) == "run lengths: 2 images"
    assert found.notes == ("1 images that train.csv does not list are left out.",)
    read = targets(found, 1)
    np.testing.assert_array_equal(read["one.png"], masks["one"] | disc(30, 36, 5))
    np.testing.assert_array_equal(read["two.png"], masks["two"])


def refusal(tmp_path, save, picture, header, row):
    save(tmp_path / "one.png", picture())
    write_table(tmp_path / "train.csv", header, row)
    with pytest.raises((ImageFileError, DatasetError)) as error:
        read_dataset(find_files(tmp_path), 3, AS_STORED, 1)
    return str(error.value)


def test_the_other_order_of_pixels_is_refused(tmp_path, save, picture):
    row = ("one", runs_of(disc(20, 20, 10), by_rows=True))
    message = refusal(tmp_path, save, picture, ("ImageId", "EncodedPixels"), row)
    assert "whole only if pixels are counted along rows" in message


@pytest.mark.parametrize(
    ("runs", "problem"),
    [
        ("5 3 4 2", "outside of the image, or in another order"),
        ("1900 50", "outside of the image"),
        ("5 3 9", "no pairs of numbers"),
        ("5.5 3", "no pairs of numbers"),
    ],
)
def test_other_run_lengths_are_refused(tmp_path, save, picture, runs, problem):
    assert problem in refusal(tmp_path, save, picture, ("id", "encoding"), ("one", runs))


def test_a_table_of_another_size_is_refused(tmp_path, save, picture):
    header = ("id", "annotation", "width", "height")
    message = refusal(tmp_path, save, picture, header, ("one", "1 2", 40, 48))
    assert "the table says (48, 40) pixels, the image has (40, 48)" in message


def test_run_lengths_of_classes_are_refused(tmp_path, save, picture):
    header = ("ImageId", "ClassId", "EncodedPixels")
    message = refusal(tmp_path, save, picture, header, ("one", 1, "1 2"))
    assert "run lengths of several classes (ClassId)" in message
