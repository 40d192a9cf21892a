"""Masks with a color per class, and the tables that say which."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.cli import main
from napari_emcad.io.datasets.color_table import read_color_table
from napari_emcad.io.datasets.label_files import read_label_files
from napari_emcad.io.datasets.layouts import find_files
from napari_emcad.io.images.opened_image import ImageFileError

CLASSES = {0: (0, 0, 0), 1: (64, 128, 64), 2: (192, 0, 128)}
"""Colors of background, animal and archway."""


def painted(labels):
    colors = np.zeros((*labels.shape, 3), np.uint8)
    for value, color in CLASSES.items():
        colors[labels == value] = color
    return colors


def truth(seed=0):
    return np.random.default_rng(seed).integers(0, 3, (20, 24))


@pytest.fixture
def folder(tmp_path, save, picture):
    for n in range(2):
        save(tmp_path / "images" / f"{n}.png", picture(n, (20, 24, 3)))
        save(tmp_path / "labels" / f"{n}_L.png", painted(truth(n)))
        (tmp_path / "labels" / f"{n}_L.png").rename(tmp_path / "labels" / f"{n}.png")
    return tmp_path


TABLES = {
    "class_dict.csv": "name,r,g,b\nAnimal,64,128,64\nArchway,192,0,128\nbackground,0,0,0\n",
    "label_colors.txt": "64 128 64\tAnimal\n192 0 128\tArchway\n0 0 0\tBackground\n",
    "labelmap.txt": (
        "# label:color_rgb:parts:actions\nAnimal:64,128,64::\nArchway:192,0,128::\n"
        "background:0,0,0::\n"
    ),
    "labels.txt": "Animal 64 128 64\nArchway 192 0 128\nbackground 0 0 0\n",
    "classes.csv": "name;r;g;b\nAnimal;64;128;64\nArchway;192;0;128\nbackground;0;0;0\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_beside_the_data_gives_the_classes(folder, name, targets):
    (folder / name).write_text(TABLES[name])
    found = find_files(folder)
    assert found.class_names == ("Animal", "Archway")
    data = targets(found)
    for n in range(2):
        assert np.array_equal(data[f"{n}.png"], truth(n))


def test_without_a_table_the_colors_are_listed_with_what_to_do(folder, targets):
    with pytest.raises(ValueError, match=r"\(0, 0, 0\), \(64, 128, 64\), \(192, 0, 128\)") as error:
        targets(find_files(folder))
    assert "class_dict.csv" in str(error.value)
    assert "--colors" in str(error.value)


def test_void_is_ignored_and_background_is_class_0(folder, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("Void,0,0,0\nArchway,192,0,128\nAnimal,64,128,64\n")
    colors = read_color_table(table)
    assert colors.names == ("Archway", "Animal")
    labels = colors.decode(painted(truth()), "m.png")
    assert np.array_equal(labels, np.choose(truth(), [UNLABELED, 2, 1]))


def test_a_color_that_is_not_in_the_table_is_refused(folder, targets):
    (folder / "class_dict.csv").write_text("Animal,64,128,64\nArchway,192,0,128\n")
    with pytest.raises(ValueError, match=r"not in class_dict\.csv: \(0, 0, 0\); add them"):
        targets(find_files(folder))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Animal,64,128\n", "the line"),
        ("name,r,g,b\nAnimal,64,128,300\n", "'Animal,64,128,300'"),
        ("", "no such line"),
        ("a,1,2,3\nb,1,2,3\n", "to two classes"),
    ],
)
def test_bad_tables_are_refused(tmp_path, text, words):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ImageFileError, match=words):
        read_color_table(tmp_path / "t.csv")


def test_a_damaged_table_beside_the_data_is_named(folder):
    (folder / "class_dict.csv").write_text("name,r,g,b\nAnimal,64,128,64\nArchway,192,0,228x\n")
    with pytest.raises(ImageFileError, match=r"class_dict\.csv must list .* 'Archway,192,0,228x'"):
        find_files(folder)


def test_names_with_numbers_and_spaces(tmp_path):
    (tmp_path / "t.csv").write_text("grade 3,1,2,3\nbody of 4,4,5,6\n")
    table = read_color_table(tmp_path / "t.csv")
    assert table.names == ("grade 3", "body of 4")
    assert dict(table.classes) == {(1, 2, 3): 1, (4, 5, 6): 2}


def test_a_table_of_names_alone_is_no_table_of_colors(folder, targets):
    (folder / "labels.txt").write_text("Animal\nArchway\n")
    with pytest.raises(ValueError, match="its colors are"):
        targets(find_files(folder))


def test_a_gray_mask_among_colored_ones_is_refused(folder, targets, save):
    (folder / "class_dict.csv").write_text(TABLES["class_dict.csv"])
    save(folder / "labels" / "1.png", truth(1).astype(np.uint8))
    with pytest.raises(ValueError, match=r"1\.png is no picture with red, green and blue"):
        targets(find_files(folder))


def test_a_table_beside_masks_of_numbers_is_not_used(folder, targets, save):
    (folder / "class_dict.csv").write_text(TABLES["class_dict.csv"])
    for n in range(2):
        save(folder / "labels" / f"{n}.png", truth(n).astype(np.uint8))
    found = find_files(folder)
    assert found.coding.colors is None
    assert np.array_equal(targets(found)["1.png"], truth(1))


def test_a_palette_in_another_order_than_the_table_is_read_by_its_colors(folder, targets, save):
    """Programs that reduce colors number them as they like."""
    (folder / "class_dict.csv").write_text(TABLES["class_dict.csv"])
    order = [2, 0, 1]
    palette = [level for k in order for level in CLASSES[k]]
    for n in range(2):
        indices = np.argsort(order)[truth(n)].astype(np.uint8)
        save(folder / "labels" / f"{n}.png", indices, palette)
    assert np.array_equal(targets(find_files(folder))["0.png"], truth(0))


def test_jpeg_masks_with_colors_are_refused(tmp_path, save):
    save(tmp_path / "m.jpg", painted(np.repeat(np.repeat(truth(), 8, 0), 8, 1)))
    with pytest.raises(ImageFileError, match="JPEG with colors, which it changes"):
        read_label_files(tmp_path / "m.jpg", (160, 192))


def test_colors_of_the_command_line(folder, tmp_path, capsys):
    table = tmp_path / "mine.csv"
    table.write_text(TABLES["classes.csv"])
    command = ["train", str(folder), "--output", str(tmp_path.parent / f"{tmp_path.name}-run")]
    command += ["--set", "epochs=1", "--set", "crop=32", "--set", "batch=1"]
    assert main(command) == 2
    assert "its colors are" in capsys.readouterr().err
    assert main([*command, "--colors", str(table)]) == 0
    assert "2 classes (1 Animal, 2 Archway)" in capsys.readouterr().err


def test_a_color_with_another_number_in_another_mask_is_refused(tmp_path, save, picture, targets):
    """Programs that make pictures smaller number the colors of every file anew."""
    red, green = [200, 0, 0], [0, 200, 0]
    mask = np.zeros((40, 48), np.uint8)
    mask[:9], mask[20:30] = 1, 2
    for name, palette in (("a", red + green), ("b", green + red)):
        save(tmp_path / "images" / f"{name}.png", picture())
        save(tmp_path / "masks" / f"{name}.png", mask, palette=[0, 0, 0, *palette])
    with pytest.raises(ValueError, match=r"\(0, 200, 0\) as 1, but a.png as 2"):
        targets(find_files(tmp_path))
    (tmp_path / "class_dict.csv").write_text("background,0,0,0\nr,200,0,0\ng,0,200,0\n")
    found = targets(find_files(tmp_path))
    np.testing.assert_array_equal(found["a.png"], mask)
    np.testing.assert_array_equal(found["b.png"], np.array([0, 2, 1])[mask])
