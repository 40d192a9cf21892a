"""The sheet of cases beside their truth: what is drawn, and that everything fits."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from napari_emcad.imaging.overlay import (
    CORRECT,
    MISSED,
    SPURIOUS,
    WRONG_CLASS,
    blend_labels,
    compare_labels,
    overlay,
    to_rgb,
)
from napari_emcad.io.checkpoints.classes import COLORS as CLASS_COLORS
from napari_emcad.io.checkpoints.classes import ClassLabel
from napari_emcad.io.reports import evaluation_sheet as module
from napari_emcad.io.reports.evaluation_sheet import draw_evaluation_sheet, make_sheet_row
from napari_emcad.io.reports.text import elide, font, to_ascii

NUCLEUS, WALL = ClassLabel("nucleus", "#00ff00"), ClassLabel("wall", "#0000ff")
COLORS = {name: bytes.fromhex(code[1:]) for name, code in module._KINDS.items()}
CELL, MARGIN = module._CELL, module._MARGIN


def case(name="a.png", size=(200, 200), figures="Dice 0.5", planes=None):
    """Return a case of four quarters: nothing, missed, invented, agreed."""
    height, width = size
    truth, predicted = np.zeros((2, *size), np.uint8)
    truth[:, width // 2 :], predicted[height // 2 :] = 1, 1
    planes = np.full((1, *size), 7, np.uint8) if planes is None else planes
    return make_sheet_row(name, figures, planes, truth, predicted)


def panels(page: np.ndarray) -> list[np.ndarray]:
    """Return the four panels of a sheet of one case of equal sides."""
    top = len(page) - MARGIN - module._GAP - CELL
    lefts = (MARGIN + column * (CELL + module._GAP) for column in range(4))
    return [page[top : top + CELL, left : left + CELL].astype(int) for left in lefts]


def inked(part: np.ndarray) -> bool:
    return bool((part != 255).any())


# -- where they disagree


def test_pixels_are_agreed_missed_invented_or_of_another_class():
    truth = np.array([0, 1, 1, 0, 2, 2], np.uint8)
    predicted = np.array([0, 1, 0, 2, 2, 1], np.uint16)
    expected = [0, CORRECT, MISSED, SPURIOUS, CORRECT, WRONG_CLASS]
    assert compare_labels(predicted, truth).tolist() == expected


def test_an_overlay_is_the_displayed_image_blended_with_colors():
    planes = np.random.default_rng(0).random((3, 9, 9))
    nothing = np.zeros((9, 9), np.uint8)
    np.testing.assert_array_equal(to_rgb(planes), overlay(planes, nothing, ["#ff0000"]))
    half = blend_labels(np.full((9, 9, 3), 100.0), nothing + 1, ["#ff0000"], 0.5)
    assert half[0, 0].tolist() == [178, 50, 50]  # of halves the even neighbor


def test_the_panels_are_image_truth_prediction_and_disagreement():
    ramp = np.broadcast_to(np.linspace(0, 60_000, 200), (1, 200, 200)).astype(np.uint16)
    image, truth, predicted, wrong = panels(
        draw_evaluation_sheet([case(planes=ramp)], [NUCLEUS], "worst")
    )
    quarter, rest = slice(20, 120), slice(160, 260)
    assert (image[..., 0] == image[..., 1]).all()
    assert image[9, 5, 0] < 10 < 245 < image[9, -5, 0]
    for panel, inside in ((truth, (quarter, rest)), (predicted, (rest, quarter))):
        green = panel[..., 1] - panel[..., 0]
        assert (green[quarter, quarter] == 0).all()
        assert (green[inside] > 5).all()
        assert green.max() == 255  # the outline
    for name, where in (("missed", (quarter, rest)), ("invented", (rest, quarter))):
        assert np.abs(wrong[where] - list(COLORS[name])).max() <= 26, name
    for where in ((quarter, quarter), (rest, rest)):
        assert (wrong[where] == wrong[where][..., :1]).all()
    assert wrong[rest, rest].mean() > wrong[quarter, rest][..., 2].mean()


def test_another_class_has_a_color_of_its_own():
    truth = np.ones((200, 200), np.uint8)
    mixed = make_sheet_row("a.png", "", np.zeros((1, 200, 200)), truth, truth + 1)
    wrong = panels(draw_evaluation_sheet([mixed], [NUCLEUS, WALL], "worst"))[3]
    assert np.abs(wrong[100, 100] - list(COLORS["wrong class"])).max() <= 26


@pytest.mark.parametrize("classes", [[NUCLEUS], [NUCLEUS, WALL]])
def test_the_legend_has_all_colors_of_the_sheet(classes):
    page = draw_evaluation_sheet([], classes, "worst")
    found = {bytes(color) for color in page.reshape(-1, 3)}
    wanted = {bytes.fromhex(each.color[1:]) for each in classes} | set(COLORS.values())
    if len(classes) == 1:
        wanted.remove(COLORS["wrong class"])
        assert COLORS["wrong class"] not in found
    assert wanted <= found


# What a dichromat sees of linear red, green and blue (Machado, Oliveira, Fernandes 2009, table 1).
SIGHT = {
    "usual": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


@pytest.mark.parametrize("sight", SIGHT)
def test_kinds_of_disagreement_can_be_told_apart_with_color_vision_deficiencies(sight):
    colors = np.array([list(each) for each in COLORS.values()]) / 255
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(SIGHT[sight]), 0, 1)
    seen = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    for one, other in combinations(rgb2lab(seen), 2):
        assert deltaE_ciede2000(one, other) > 15


def test_colors_of_disagreement_differ_from_those_of_classes():
    kinds, classes = (
        rgb2lab(np.array([list(bytes.fromhex(each[1:])) for each in colors]) / 255)
        for colors in (module._KINDS.values(), CLASS_COLORS)
    )
    for kind in kinds:
        assert deltaE_ciede2000(kind, classes).min() > 20


def test_classes_are_outlined_in_the_legend_and_disagreement_is_filled():
    page = draw_evaluation_sheet([], [NUCLEUS], "worst")
    for color, filled in ((bytes.fromhex(NUCLEUS.color[1:]), False), (COLORS["missed"], True)):
        rows, columns = np.nonzero((page == list(color)).all(-1))
        inside = page[(rows.min() + rows.max()) // 2, (columns.min() + columns.max()) // 2]
        assert (bytes(inside) == color) is filled


# -- that it fits


@pytest.mark.parametrize("name", ["a" * 255, "W" * 300, "short.png"])
def test_names_and_scores_neither_touch_nor_leave_the_page(name):
    page = draw_evaluation_sheet(
        [case(name, figures="Dice 0.123     IoU 0.100     HD95 12345.67 um")], [NUCLEUS], name
    )
    assert not inked(page[:, :MARGIN])
    assert not inked(page[:, -MARGIN + 2 :])
    caption = page[module._TITLE_HEIGHT + module._LEGEND_HEIGHT + module._NAMES_HEIGHT :][
        : module._CAPTION_HEIGHT
    ]
    columns = (caption != 255).any((0, 2))
    gaps = np.diff(np.flatnonzero(columns))
    assert gaps.max() >= 2 * module._GAP


def test_long_names_are_shortened_in_the_middle():
    short = elide("begin" + "x" * 300 + "end.tif", 300, 15)
    assert short.startswith("begin")
    assert short.endswith("end.tif")
    assert "…" in short
    assert font(15).getlength(short) <= 300
    assert elide("begin-end.tif", 300, 15) == "begin-end.tif"


@pytest.mark.parametrize("name", ["zwei\nZeilen.tif", "\udcff.tif", "核.tif", "\x00", ""])
def test_names_with_characters_that_the_font_lacks_can_be_drawn(name):
    assert draw_evaluation_sheet([case(name)], [NUCLEUS], name).shape[2] == 3


def test_names_are_drawn_in_ascii():
    pages = [
        draw_evaluation_sheet([case(name)], [NUCLEUS], name)
        for name in ("Zürich µ\n核.tif", "Zurich u\\n\\u6838.tif")
    ]
    np.testing.assert_array_equal(*pages)


def test_a_tall_image_is_centered_in_its_cell():
    picture = panels(draw_evaluation_sheet([case(size=(300, 90))], [NUCLEUS], "worst"))[0]
    columns = np.flatnonzero((picture != 255).any((0, 2)))
    assert columns[0] == pytest.approx(CELL - 1 - columns[-1], abs=1)
    assert len(columns) == pytest.approx(CELL * 90 / 300, abs=1)


def test_letters_without_their_accents_and_u_for_micro():
    assert to_ascii("Zürich 0.5 µm μm") == "Zurich 0.5 um um"


def test_names_in_other_scripts_stay_different():
    names = ["核.tif", "ж.tif", "ω.tif", "\udcff.tif", "\n.tif"]
    assert [to_ascii(each)[:-4] for each in names] == [
        *("\\u6838", "\\u0436", "\\u03c9", "\\udcff", "\\n")
    ]


def test_every_case_has_the_same_columns_whatever_its_size():
    sizes = [(40, 64), (600, 1500), (300, 90), (1, 200), (1, 1), (2000, 1999)]
    cases = [case(size=size) for size in sizes]
    page = draw_evaluation_sheet(cases, [NUCLEUS], "worst")
    assert page.shape[1] == 2 * MARGIN + 4 * CELL + 3 * module._GAP
    for column in range(1, 4):
        right = MARGIN + column * (CELL + module._GAP)
        below = page[
            module._TITLE_HEIGHT
            + module._LEGEND_HEIGHT
            + module._NAMES_HEIGHT
            + module._CAPTION_HEIGHT :
        ]
        pictures = below[: len(cases[0].picture) // module._SUPERSAMPLING]
        assert not inked(pictures[:, right - module._GAP : right])
    for each in cases:
        assert max(each.picture.shape) == module._SUPERSAMPLING * CELL
        assert each.picture.shape[:2] == each.truth.shape == each.predicted.shape


def test_many_classes_take_more_lines_and_not_more_width():
    few = draw_evaluation_sheet([], [NUCLEUS], "worst")
    many = draw_evaluation_sheet(
        [], [ClassLabel(f"class {k} " + "x" * 60, "#00ff00") for k in range(40)], "worst"
    )
    assert few.shape[1] == many.shape[1]
    assert len(many) > len(few)
    assert not inked(many[:, -MARGIN + 2 :])


# -- what is shown of an image


def test_a_small_object_in_a_large_image_is_magnified():
    truth, predicted = np.zeros((2, 1000, 2000), np.uint8)
    truth[900:940, 1800:1850] = 1
    image = np.zeros((1, 1000, 2000), np.uint16)
    image[0, 900:940, 1800:1850] = 3000
    shown = make_sheet_row("a.tif", "", image, truth, predicted)
    seen = np.count_nonzero(shown.truth) / shown.truth.size
    assert seen == pytest.approx(40 * 50 / 128**2, rel=0.05)
    assert (shown.picture[..., 0] > 128).mean() == pytest.approx(seen, rel=0.1)


@pytest.mark.parametrize("corner", [(0, 0), (0, 299), (199, 0), (199, 299), (100, 150)])
def test_all_labels_are_within_the_window(corner):
    truth = np.zeros((200, 300), np.uint8)
    truth[corner] = 1
    predicted = np.zeros_like(truth)
    predicted[90:110, 140:160] = 1
    shown = make_sheet_row("a.tif", "", truth[None], truth, predicted)
    assert shown.truth.any()
    scale = shown.predicted.shape[1] / 300
    assert np.count_nonzero(shown.predicted) >= 0.9 * (20 * scale) ** 2


def test_an_image_without_labels_is_shown_completely():
    nothing = np.zeros((100, 400), np.uint8)
    assert make_sheet_row("a.tif", "", nothing[None], nothing, nothing).picture.shape == (
        140,
        560,
        3,
    )


@pytest.mark.parametrize("fill", [0, 9, np.nan, np.inf])
@pytest.mark.parametrize("planes", [1, 2, 3])
def test_any_image_can_be_shown(fill, planes):
    image = np.full((planes, 50, 60), fill, np.float32)
    assert (
        draw_evaluation_sheet([case(size=(50, 60), planes=image)], [NUCLEUS], "").dtype == np.uint8
    )


@pytest.mark.parametrize("kind", [bool, np.uint8, np.uint16, np.int32, np.float64, ">u2"])
def test_gray_images_of_all_types_are_stretched_to_full_contrast(kind):
    image = (np.indices((1, 200, 200))[1] > 100).astype(kind)
    image = image if kind is bool else image * 3 + 1
    picture = case(planes=image).picture
    assert (picture.min(), picture.max()) == (0, 255)


def test_color_images_keep_their_colors():
    image = np.zeros((3, 200, 200), np.uint8)
    image[0, :100], image[2, 100:] = 200, 200
    picture = case(planes=image).picture
    assert picture[50, 50].tolist() == [255, 0, 0]
    assert picture[-50, 50].tolist() == [0, 0, 255]


def test_arguments_are_not_modified():
    truth, predicted = np.zeros((2, 50, 60), np.uint8)
    truth[10:20, 10:20] = 1
    image = np.random.default_rng(0).integers(0, 4000, (1, 50, 60)).astype(np.uint16)
    before = [each.copy() for each in (image, truth, predicted)]
    draw_evaluation_sheet([make_sheet_row("a", "", image, truth, predicted)], [NUCLEUS], "")
    for now, then in zip((image, truth, predicted), before, strict=True):
        np.testing.assert_array_equal(now, then)
