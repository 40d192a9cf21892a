"""Objects outlined in JSON files: COCO, as its own library reads it, and LabelMe."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from skimage.draw import disk, polygon2mask

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.io.datasets.layouts import find_files
from napari_emcad.io.images import optional_libraries
from napari_emcad.io.images.opened_image import ImageFileError

SHAPE = (40, 48)


def blob(top, left, size=9):
    mask = np.zeros(SHAPE, np.uint8)
    mask[top : top + size, left : left + size] = 1
    return mask


def runs(mask):
    """Return an uncompressed run-length encoding: zeros first, down the columns."""
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges, flat.size]).tolist()
    return {"size": list(SHAPE), "counts": [0, *counts] if flat[0] else counts}


def packed(mask):
    rle = coco_mask.encode(np.asfortranarray(mask))
    return {"size": list(SHAPE), "counts": rle["counts"].decode()}


CATEGORIES = [{"id": 7, "name": "nucleus"}, {"id": 3, "name": "wall"}]


def content(annotations, images=2):
    return {
        "images": [
            {"id": 10 + n, "file_name": f"im {n}.png", "height": SHAPE[0], "width": SHAPE[1]}
            for n in range(images)
        ],
        "annotations": [{"id": k, "iscrowd": 0, **a} for k, a in enumerate(annotations)],
        "categories": CATEGORIES,
    }


POLYGON = [[4.0, 3.0, 20.5, 3.0, 20.5, 18.0, 12.0, 25.0, 4.0, 18.0]]


@pytest.fixture
def write(tmp_path, save):
    def write(data, place="annotations/instances.json", images="images"):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data))
        for n, entry in enumerate(data["images"]):
            save(tmp_path / images / entry["file_name"], np.full((*SHAPE, 3), n + 1, np.uint8))
        return tmp_path

    return write


def test_coco_reads_outlines_of_all_kinds_as_its_own_library(write, targets):
    annotations = [
        {"image_id": 10, "category_id": 7, "segmentation": POLYGON},
        {"image_id": 10, "category_id": 3, "segmentation": packed(blob(28, 30))},
        {"image_id": 11, "category_id": 3, "segmentation": runs(blob(31, 0)), "iscrowd": 1},
        {"image_id": 11, "category_id": 7, "segmentation": [[30, 2, 44, 2, 44, 12], *POLYGON]},
    ]
    root = write(content(annotations))
    found = find_files(root)
    assert str(found) == "COCO: 2 images"
    assert found.class_names == ("wall", "nucleus")
    data = targets(found)
    library = COCO(root / "annotations" / "instances.json")
    for number in (10, 11):
        expected = np.zeros(SHAPE)
        for entry in library.loadAnns(library.getAnnIds(imgIds=[number])):
            k = 1 if entry["category_id"] == 3 else 2
            expected[library.annToMask(entry) > 0] = k
        assert np.array_equal(data[f"images/im {number - 10}.png"], expected)


def test_the_smaller_of_two_overlapping_objects_is_on_top_which_is_said(write, targets):
    big, small = packed(blob(5, 5, 20)), packed(blob(10, 10, 4))
    annotations = [
        {"image_id": 10, "category_id": 3, "segmentation": small},
        {"image_id": 10, "category_id": 7, "segmentation": big},
    ]
    found = find_files(write(content(annotations, 1)))
    target = targets(found)["images/im 0.png"]
    assert np.array_equal(target == 1, blob(10, 10, 4) > 0)
    (image, files), draw = found.pairs[0], found.coding.draw
    assert "share 16 pixels" in draw(image, files, SHAPE)[1]


def test_an_image_without_objects_is_a_negative(write, targets):
    annotations = [{"image_id": 10, "category_id": 3, "segmentation": POLYGON}]
    data = targets(find_files(write(content(annotations))))
    assert not data["images/im 1.png"].any()


def test_files_of_several_splits(write, targets):
    annotations = [{"image_id": 10, "category_id": 3, "segmentation": POLYGON}]
    write(content(annotations), "train/_annotations.coco.json", "train")
    root = write(content(annotations, 1), "valid/_annotations.coco.json", "valid")
    found = find_files(root)
    assert {k: [i.parent.name for i, _ in part.pairs] for k, part in found.splits.items()} == {
        "train": ["train", "train"],
        "val": ["valid"],
    }
    other = content(annotations, 1)
    other["categories"] = [{"id": 3, "name": "nucleus"}]
    write(other, "valid/_annotations.coco.json", "valid")
    with pytest.raises(ImageFileError, match="different categories"):
        find_files(root)


def test_images_of_coco_2017_are_found_by_split(write):
    annotations = [{"image_id": 10, "category_id": 3, "segmentation": POLYGON}]
    write(content(annotations, 1), "annotations/instances_train2017.json", "train2017")
    root = write(content(annotations, 1), "annotations/instances_val2017.json", "val2017")
    (root / "annotations" / "captions_val2017.json").write_text("{}")
    found = find_files(root)
    places = {k: part.pairs[0][0].parent.name for k, part in found.splits.items()}
    assert places == {"train": "train2017", "val": "val2017"}


def test_several_files_without_a_split_are_refused(write):
    write(content([]), "a.json")
    with pytest.raises(ImageFileError, match="does not say for which one of train, val and test"):
        find_files(write(content([]), "b.json"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"segmentation": []}, "no valid outline"),
        ({"segmentation": [], "bbox": [1, 2, 3, 4]}, "no valid outline but a bbox"),
        ({"segmentation": [[1, 2, 3, 4]]}, "draw a polygon"),
        ({"segmentation": {"size": [48, 40], "counts": [5, 5]}}, "no valid outline"),
        ({"segmentation": None}, "for the annotation 0"),
    ],
)
def test_annotations_without_an_outline_are_refused(write, targets, change, words):
    annotations = [{"image_id": 10, "category_id": 3, **change}]
    with pytest.raises(ValueError, match=words):
        targets(find_files(write(content(annotations, 1))))


def test_coco_files_that_contradict_themselves_are_refused(write, tmp_path):
    with pytest.raises(ImageFileError, match="of the category 9, which the file does not list"):
        find_files(write(content([{"image_id": 10, "category_id": 9}])))
    with pytest.raises(ImageFileError, match="objects of the image 99"):
        find_files(write(content([{"image_id": 99, "category_id": 3}])))


def test_a_missing_or_ambiguous_image_is_a_problem(write, save):
    root = write(content([]))
    (root / "images" / "im 1.png").unlink()
    (problem,) = find_files(root).problems
    assert "lists im 1.png, which does not exist" in problem
    for place in "ab":
        save(root / place / "im 1.png", np.zeros((*SHAPE, 3), np.uint8))
    (problem,) = find_files(root).problems
    assert "of which there are 2; keep one" in problem


def test_an_image_of_another_size_than_its_outlines_is_refused(write, save, targets):
    root = write(content([{"image_id": 10, "category_id": 3, "segmentation": POLYGON}], 1))
    save(root / "images" / "im 0.png", np.zeros((48, 40, 3), np.uint8))
    with pytest.raises(ValueError, match=r"\(48, 40\) pixels, instances\.json says \(40, 48\)"):
        targets(find_files(root))


def test_without_the_library_the_command_that_installs_it_is_named(write, targets, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(optional_libraries, "import_module", missing)
    annotations = [{"image_id": 10, "category_id": 3, "segmentation": POLYGON}]
    with pytest.raises(ValueError, match=r"pip install \"napari-emcad\[coco\]\""):
        targets(find_files(write(content(annotations))))


def shapes(*entries, image="a.png", **more):
    listed = [
        {"label": label, "points": points, "shape_type": kind, **extra}
        for label, points, kind, extra in entries
    ]
    return {
        "version": "5.4.1",
        "flags": {},
        "shapes": listed,
        "imagePath": image,
        "imageHeight": SHAPE[0],
        "imageWidth": SHAPE[1],
        "imageData": None,
        **more,
    }


@pytest.fixture
def labelme(tmp_path, save):
    def labelme(content, name="a", image="a.png"):
        save(tmp_path / image, np.full((*SHAPE, 3), 9, np.uint8))
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return tmp_path

    return labelme


TRIANGLE = [[4, 3], [30, 5], [12, 28]]


def test_polygons_rectangles_and_circles_of_labelme(labelme, targets):
    root = labelme(
        shapes(
            ("wall", TRIANGLE, "polygon", {}),
            ("cell", [[40, 36], [34, 30]], "rectangle", {}),
            ("cell", [[40, 12], [40, 17]], "circle", {}),
        )
    )
    found = find_files(root)
    assert found.layout == "LabelMe"
    assert found.class_names == ("cell", "wall")
    target = targets(found)["a.png"]
    polygon = polygon2mask(SHAPE, np.array(TRIANGLE)[:, ::-1])
    assert (target[polygon] == 2).all()
    assert (target == 2).sum() - polygon.sum() < 40  # pixels on the outline
    assert (target[30:37, 34:41] == 1).all()
    circle = np.zeros(SHAPE, bool)
    circle[disk((12, 40), 5, shape=SHAPE)] = True
    assert (target[circle] == 1).all()
    assert (target == 1).sum() - 49 - circle.sum() < 30


def test_masks_of_labelme_lie_where_their_corner_is(labelme, targets):
    part = (np.random.default_rng(0).random((6, 7)) > 0.5).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(part * 255).save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    root = labelme(shapes(("cell", [[20, 10], [26, 15]], "mask", {"mask": text})))
    expected = np.zeros(SHAPE)
    expected[10:16, 20:27] = part
    assert np.array_equal(targets(find_files(root))["a.png"], expected)


def test_labels_txt_numbers_the_classes_of_labelme(labelme, targets):
    root = labelme(
        shapes(
            ("cell", [[0, 0], [5, 5]], "rectangle", {}),
            ("__ignore__", [[4, 4], [9, 9]], "rectangle", {}),
            ("_background_", [[8, 8], [9, 9]], "rectangle", {}),
        )
    )
    (root / "labels.txt").write_text("__ignore__\n_background_\nwall\ncell\n")
    found = find_files(root)
    assert found.class_names == ("wall", "cell")
    target = targets(found, 2)["a.png"]
    assert (target[:4, :4] == 2).all()
    assert (target[4:8, 4:8] == UNLABELED).all()
    assert (target[8:10, 8:10] == 0).all()
    (root / "labels.txt").write_text("wall\n")
    with pytest.raises(ImageFileError, match=r"has the label 'cell', which .* does not list"):
        find_files(root)


def test_labelme_files_name_their_images(labelme, targets, save):
    """The name in the file counts, also with the separators of Windows; else that of the file."""
    entry = "x", TRIANGLE, "polygon", {}
    root = labelme(shapes(entry, image="..\\pics\\b 1.png"), "b", "b 1.png")
    labelme(shapes(image="moved/old.png"), "c", "c.png")
    found = find_files(root)
    assert {i.name: labels[0].name for i, labels in found.pairs} == {
        "b 1.png": "b.json",
        "c.png": "c.json",
    }
    save(root / "d.png", np.zeros((*SHAPE, 3), np.uint8))
    (problem,) = find_files(root).problems
    assert "d.png has no JSON file" in problem
    (root / "d.json").write_text(json.dumps(shapes(image="c.png")))
    assert any("are both of c.png" in problem for problem in find_files(root).problems)


def test_labelme_files_may_lie_in_another_folder_than_their_images(tmp_path, save, targets):
    for n in range(2):
        save(tmp_path / "images" / f"{n}.png", np.full((*SHAPE, 3), n, np.uint8))
        corner = [[0, 0], [n, 3]]
        content = shapes(("x", corner, "rectangle", {}), image=f"../images/{n}.png")
        (tmp_path / "json").mkdir(exist_ok=True)
        (tmp_path / "json" / f"{n}.json").write_text(json.dumps(content))
    sums = {name: int(target.sum()) for name, target in targets(find_files(tmp_path)).items()}
    assert sums == {"images/0.png": 4, "images/1.png": 8}
    save(tmp_path / "more" / "1.png", np.zeros((*SHAPE, 3), np.uint8))
    problems = find_files(tmp_path).problems
    assert any(problem.startswith("1.json is of the image 1.png") for problem in problems)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (("x", [[1, 1], [5, 5]], "line", {}), "a line with the label 'x', which has no area"),
        (("x", [[1, 1], [5, 5]], "polygon", {}), "points are not valid"),
        (("x", [[1, 1]], "circle", {}), "points are not valid"),
        (("x", [[1, 1]], "mask", {"mask": "?"}), "points are not valid"),
    ],
)
def test_shapes_without_an_area_are_refused(labelme, targets, entry, words):
    with pytest.raises(ValueError, match=words):
        targets(find_files(labelme(shapes(entry))))


def test_labelme_of_an_image_of_another_size_is_refused(labelme, targets):
    root = labelme(shapes(("x", TRIANGLE, "polygon", {}), imageHeight=48, imageWidth=40))
    with pytest.raises(ValueError, match=r"image of \(48, 40\) pixels"):
        targets(find_files(root))
