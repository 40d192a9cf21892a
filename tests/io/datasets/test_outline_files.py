"""Data sets whose objects are outlined in the text files of YOLO or the XML file of CVAT."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from napari_emcad.io.datasets.layouts import find_files
from napari_emcad.io.images.opened_image import ImageFileError

SQUARE = "0.25 0.25 0.5 0.25 0.5 0.5 0.25 0.5"
"""Corners of a square from 12 to 24 of 48 columns, and from 10 to 20 of 40 rows."""


def square(k: int = 1) -> np.ndarray:
    labels = np.zeros((40, 48), np.int16)
    labels[10:21, 12:25] = k
    return labels


@pytest.fixture
def yolo(tmp_path, save, picture):
    """Return a function that writes an image with a text file."""

    def yolo(text: str, part: str = "train", name: str = "a") -> None:
        save(tmp_path / "images" / part / f"{name}.png", picture())
        path = tmp_path / "labels" / part / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return yolo


def test_yolo(tmp_path, yolo, targets):
    (tmp_path / "data.yaml").write_text("names:\n  0: cell\n  1: yes\n")
    yolo(f"1 {SQUARE}\n")
    yolo(f"0 {SQUARE}\n1 0.25 0.25 0.375 0.25 0.375 0.375 0.25 0.375\n", "val")
    yolo("", "val", "empty")
    found = find_files(tmp_path)
    assert str(found) == "YOLO: 3 images (1 train, 2 val)"
    assert found.class_names == ("cell", "yes")
    read = targets(found)
    np.testing.assert_array_equal(read["images/train/a.png"], square(2))
    assert read["images/val/a.png"][10, 12] == 2
    assert read["images/val/a.png"][20, 24] == 1
    assert not read["images/val/empty.png"].any()


def test_yolo_as_roboflow_exports_it(tmp_path, save, picture, targets):
    for part in ("train", "valid", "test"):
        save(tmp_path / part / "images" / "a.png", picture())
        (tmp_path / part / "labels").mkdir()
        (tmp_path / part / "labels" / "a.txt").write_text(f"0 {SQUARE}")
    (tmp_path / "data.yaml").write_text("names: ['cell']")
    found = find_files(tmp_path)
    assert set(found.splits) == {"train", "val", "test"}
    np.testing.assert_array_equal(targets(found)["valid/images/a.png"], square())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0.5 0.5 0.2 0.2", "boxes instead of outlines"),
        (f"2 {SQUARE}", "not a class and a polygon"),
        (f"-1 {SQUARE}", "not a class and a polygon"),
        (f"0.5 {SQUARE}", "not a class and a polygon"),
        (f"0 {SQUARE} 0.5", "not a class and a polygon"),
        ("0 12 10 24 10 24 20", "from 0 to 1"),
        (f"0 {SQUARE}\ncell {SQUARE}", "not a class and a polygon"),
        ("0 nan 0.1 0.2 0.1 0.2 0.2", "not a class and a polygon"),
    ],
)
def test_yolo_with_other_lines_is_refused(text, message, tmp_path, yolo, targets):
    (tmp_path / "data.yaml").write_text("names: [cell, wall]")
    yolo(text)
    with pytest.raises(ValueError, match=message):
        targets(find_files(tmp_path))


def test_an_image_of_yolo_without_a_text_file_is_named(tmp_path, yolo, save, picture):
    yolo(f"0 {SQUARE}")
    save(tmp_path / "images" / "train" / "b.png", picture())
    assert "b.png has no text file" in find_files(tmp_path).problems[0]


def cvat_file(shapes: str, labels=("cell", "background", "wall"), more: str = "") -> str:
    names = "".join(f"<label><name>{label}</name></label>" for label in labels)
    return (
        f"<annotations><version>1.1</version><meta><task><labels>{names}</labels></task></meta>"
        f'<image id="0" name="a.png" width="48" height="40">{shapes}</image>{more}</annotations>'
    )


@pytest.fixture
def cvat(tmp_path, save, picture):
    """Return a function that writes an image and an XML file."""

    def cvat(shapes: str, **options) -> None:
        save(tmp_path / "images" / "a.png", picture())
        (tmp_path / "annotations.xml").write_text(cvat_file(shapes, **options))

    return cvat


POLYGON = '<polygon label="{0}" points="12,10;24,10;24,20;12,20" z_order="{1}"/>'


@pytest.mark.parametrize(
    "shape",
    [
        POLYGON.format("wall", 0),
        '<box label="wall" xtl="12" ytl="10" xbr="24" ybr="20"/>',
        '<box label="wall" xtl="13" ytl="9" xbr="23" ybr="21" rotation="90"/>',
        '<mask label="wall" left="12" top="10" width="13" height="11" rle="0, 143"/>',
        '<mask label="wall" left="12" top="9" width="13" height="12" rle="13, 143"/>',
    ],
)
def test_shapes_of_cvat(shape, cvat, tmp_path, targets):
    cvat(f'{shape}<tag label="cell"/>')
    found = find_files(tmp_path)
    assert found.class_names == ("cell", "wall")
    np.testing.assert_array_equal(targets(found)["images/a.png"], square(2))


def test_an_ellipse_of_cvat_and_the_order_of_its_shapes(cvat, tmp_path, targets):
    ellipse = '<ellipse label="background" cx="18" cy="15" rx="3" ry="2" z_order="2"/>'
    cvat(ellipse + POLYGON.format("wall", 1) + POLYGON.format("cell", 0))
    labels = targets(find_files(tmp_path))["images/a.png"]
    assert labels[15, 18] == labels[15, 15] == 0
    assert labels[11, 18] == labels[15, 13] == 2


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ('<polyline label="cell" points="1,2;3,4"/>', "a polyline in a.png, which has no area"),
        (POLYGON.format("nerve", 0), "the label 'nerve' in a.png, which it does not list"),
        ('<polygon label="cell" points="1,2;3,4"/>', "whose points are not valid"),
        ('<polygon label="cell" points="1,2;x,4;5,6"/>', "whose points are not valid"),
        ('<box label="cell" xtl="1" ytl="2"/>', "whose points are not valid"),
        ('<mask label="cell" left="1" top="1" width="3" height="3" rle="3, 3"/>', "not valid"),
    ],
)
def test_other_shapes_of_cvat_are_refused(shapes, message, cvat, tmp_path, targets):
    cvat(shapes)
    with pytest.raises(ValueError, match=message):
        targets(find_files(tmp_path))


def test_cvat_files_that_do_not_say_enough_are_refused(cvat, tmp_path, targets):
    cvat(POLYGON.format("cell", 0), labels=())
    with pytest.raises(ImageFileError, match="does not list its labels"):
        find_files(tmp_path)
    cvat("", more='<track id="0" label="cell"/>')
    with pytest.raises(ImageFileError, match="is of a video"):
        find_files(tmp_path)
    cvat("", more='<image id="1" name="b.png" width="48" height="40"/>')
    assert "b.png, which does not exist" in find_files(tmp_path).problems[0]
    text = cvat_file(POLYGON.format("cell", 0)).replace('width="48"', 'width="40"')
    (tmp_path / "annotations.xml").write_text(text)
    with pytest.raises(ValueError, match=r"annotations.xml says \(40, 40\)"):
        targets(find_files(tmp_path))


def test_outlines_of_a_picture_that_is_meant_to_be_turned_are_refused(cvat, tmp_path, targets):
    """CVAT and LabelMe show it turned, but its pixels are read as they are stored."""
    cvat(POLYGON.format("cell", 0))
    path = tmp_path / "images" / "a.png"
    with Image.open(path) as picture:
        exif = picture.getexif()
        exif[274] = 3
        picture.save(path, exif=exif)
    with pytest.raises(ValueError, match="its outlines may lie elsewhere; save it upright"):
        targets(find_files(tmp_path))
