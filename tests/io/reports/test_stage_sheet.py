"""The sheet of maps: each lies on its image, in the right colors, and everything fits."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emcad.imaging.colormap import DIVERGING, SEQUENTIAL, apply_colormap
from napari_emcad.inference.stage_maps.keys import MapKey, StageMap
from napari_emcad.io.reports import stage_sheet as module
from napari_emcad.io.reports.stage_panel import channel_panel, format_value, map_panel, panel_size
from napari_emcad.io.reports.stage_sheet import StageSheet, draw_stage_sheet

SIZE = (64, 96)
CLASSES = ("background", "nucleus")


def a_map(name="gate", stage=2, part=None, values=None, factor=(8.0, 8.0), corner=(0, 0)):
    values = np.zeros((8, 12), np.float32) if values is None else values
    offset = tuple(c + (f - 1) / 2 for c, f in zip(corner, factor, strict=True))
    signed = name in ("logits", "sum", "delta")
    limits = (-1.0, 1.0) if signed else (0.0, 1.0)
    return StageMap(MapKey(name, stage, part), values, factor, offset, limits, signed)


def sheet(*maps, picture=None, size=SIZE, corner=(0, 0), classes=CLASSES):
    picture = np.zeros((1, *size), np.uint8) if picture is None else picture
    return StageSheet("a.png", picture, size, corner, maps, classes)


def panel(stage_map, content):
    size = panel_size(content.size)
    return np.asarray(map_panel(stage_map, size, content.size, content.corner)).astype(int)


def test_colors_run_from_the_first_to_the_last_stop():
    found = apply_colormap(np.array([-9.0, 0, 0.5, 1, 9]), (0, 1), SEQUENTIAL)
    assert found[0].tolist() == found[1].tolist() == [0x44, 0x01, 0x54]
    assert found[3].tolist() == found[4].tolist() == [0xFD, 0xE7, 0x25]
    white = apply_colormap(np.array([[0.0]]), (-3, 3), DIVERGING)[0, 0]
    assert white.tolist() == [0xF7] * 3


@pytest.mark.parametrize("place", [(0, 0), (3, 5), (7, 11)])
@pytest.mark.parametrize("corner", [(0, 0), (100, 7)])
def test_a_map_pixel_is_drawn_at_its_place_on_the_image(place, corner):
    values = np.zeros((8, 12), np.float32)
    values[place] = 1
    drawn = panel(a_map(values=values, corner=corner), sheet(corner=corner))
    height, width = drawn.shape[:2]
    bright = np.argwhere(drawn[..., 0] > 200)
    for axis, (count, length) in enumerate(((8, height), (12, width))):
        block = length / count
        assert abs(bright[:, axis].min() - place[axis] * block) <= 1
        assert abs(bright[:, axis].max() + 1 - (place[axis] + 1) * block) <= 1


def test_map_pixels_beyond_the_image_are_cropped():
    values = np.zeros((3, 3), np.float32)
    values[:, 2] = 1
    drawn = panel(a_map(stage=4, values=values, factor=(32.0, 32.0)), sheet(size=(96, 80)))
    bright = np.argwhere(drawn[..., 0] > 200)[:, 1]
    assert bright.min() == pytest.approx(drawn.shape[1] * 64 / 80, abs=1)


def test_zero_of_a_signed_map_is_white():
    drawn = panel(a_map("delta"), sheet())
    assert (drawn == 0xF7).all()


def test_probabilities_are_shown_from_0_to_1_and_others_from_end_to_end():
    half = np.full((8, 12), 0.5, np.float32)
    half[0, 0] = 0.4
    middle = apply_colormap(np.array(0.5), (0, 1), SEQUENTIAL).tolist()
    assert panel(a_map("probability", values=half), sheet())[-1, -1].tolist() == middle
    last = [0xFD, 0xE7, 0x25]
    assert panel(a_map("gate", values=half), sheet())[-1, -1].tolist() == last


def test_class_1_of_a_map_of_all_classes_is_drawn():
    values = np.zeros((3, 8, 12), np.float32)
    values[1] = 1
    drawn = panel(a_map("probability", values=values), sheet(classes=("background", "a", "b")))
    assert (drawn == [0xFD, 0xE7, 0x25]).all()
    title = module._column_title(("probability", None), ("background", "a", "b"))
    assert title == "probability, a"
    assert module._column_title(("sum", 2), ("background", "a", "b")) == "sum of logits, b"
    assert module._column_title(("probability", None), CLASSES) == "probability"


def test_bars_are_as_high_as_their_channel():
    bars = np.asarray(channel_panel(np.array([0, 0.5, 1], np.float32), (100, 90))).astype(int)
    filled = (bars[..., 0] < 128).mean(0)
    assert filled[15] < 0.03
    assert filled[45] == pytest.approx(0.5, abs=0.03)
    assert filled[75] == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (2000, 3), (520, 696)])
@pytest.mark.parametrize("uncertainty", [0, 3])
def test_everything_fits_onto_the_page(size, uncertainty):
    factor = tuple(s / c for s, c in zip(size, (8, 12), strict=True))
    maps = [a_map(stage=n, factor=factor) for n in (4, 3, 2, 1)]
    maps += [
        a_map(kind, None, factor=factor)
        for kind in ("entropy", "disagreement", "flip_disagreement")
    ]
    maps += [StageMap(MapKey("channel", 3), np.ones(160, np.float32), None, None, (0, 1))]
    page = draw_stage_sheet(sheet(*maps[: 4 + uncertainty], maps[-1], size=size))
    assert page.dtype == np.uint8
    assert max(page.shape) < 3000
    for edge in (page[:4], page[-4:], page[:, :4], page[:, -4:]):
        assert (edge == 255).all()


def test_uncertainty_alone_and_stages_alone_are_sheets():
    assert (
        draw_stage_sheet(sheet(a_map("entropy", None))).shape[0]
        < draw_stage_sheet(sheet(a_map())).shape[0]
    )


def test_an_uneven_factor_is_written_for_both_axes():
    assert module._format_factor((8.0, 8.0)) == "8 px each"
    assert module._format_factor((21.333, 16.0)) == "21.3 x 16 px each"
    assert format_value(5e-7, 1.0) == "0"
    assert format_value(0.98765, 1.0) == "0.988"
