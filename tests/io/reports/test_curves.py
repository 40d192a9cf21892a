"""The picture of a training's course."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from napari_emcad.io.reports import curves as module
from napari_emcad.io.reports.curves import draw_curves
from napari_emcad.training.events import EpochEnd, selected_epoch

LOSS, DICE = (52, 152, 219), (230, 126, 34)


@pytest.fixture
def written(monkeypatch):
    """Return the words that are drawn, in order."""
    words = []
    draw = ImageDraw.ImageDraw.text

    def text(self, xy, string, *more, **options):
        words.append(string)
        return draw(self, xy, string, *more, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    return words


def course(losses, dice=(), total=None):
    """Return epochs with these losses, and Dice as far as it goes."""
    scores = [*dice, *[None] * (len(losses) - len(dice))]
    best = [
        s is not None and s > max([-1, *filter(None, scores[:i])]) for i, s in enumerate(scores)
    ]
    return [
        EpochEnd(n, total or len(losses), loss, 1e-3, score, is_best, 1.0 * n)
        for n, (loss, score, is_best) in enumerate(zip(losses, scores, best, strict=True), start=1)
    ]


def picture(epochs):
    return np.asarray(Image.open(BytesIO(draw_curves(epochs))).convert("RGB")).astype(int)


def rows_of(page, color):
    """Return the rows within the axes that have a color."""
    inside = page[module._TOP - 3 : -module._MARGIN + 12, module._MARGIN + 2 : -module._MARGIN - 2]
    return np.flatnonzero((inside == color).all(-1).any(1))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 30, 200, 1234])
def test_epochs_are_whole_numbers_that_do_not_touch(count, written):
    picture(course([1.0] * count))
    ticks = [int(each) for each in written if each.isdecimal() and int(each) > 1]
    assert len(ticks) == len(set(ticks)) <= module._EPOCH_TICKS + 2
    assert all(1 <= each <= count for each in ticks)
    assert not [each for each in written if ImageFont.load_default(13).getlength(each) > 400]


def test_the_kept_epoch_is_marked(written):
    epochs = course([3, 2, 1, 0.9], [0.1, 0.6, 0.5, 0.4])
    assert selected_epoch(epochs) is epochs[1]
    picture(epochs)
    assert "kept: epoch 2, Dice 0.600" in written


def test_without_anything_held_out_the_last_is_kept_and_there_is_no_second_axis(written):
    epochs = course([3, 2, 1])
    page = picture(epochs)
    assert selected_epoch(epochs) is epochs[2]
    assert "kept: epoch 3" in written
    assert "no Dice: nothing was held out" in written
    assert not (page == DICE).all(-1).any()
    written.clear()
    picture(course([3, 2], total=9))
    assert "no Dice so far" in written


@pytest.mark.parametrize("outliers", [1, 2, 5])
def test_outliers_do_not_flatten_the_others_and_are_counted(outliers, written):
    losses = [1000.0] * outliers + list(np.linspace(1, 0.5, 30))
    rows = rows_of(picture(course(losses)), LOSS)
    calm = rows_of(picture(course(losses[outliers:])), LOSS)
    assert np.ptp(calm[calm > calm.min() + 4]) > 80
    assert np.ptp(rows) >= np.ptp(calm)
    assert f"loss ({outliers} above the axis, up to 1e+03)" in written


@pytest.mark.parametrize("losses", [[], [0.0], [0.0, 0.0], [3e-5, 1e-5], [1e9], [7, 0.3]])
def test_all_training_histories_can_be_drawn(losses, written):
    assert picture(course(losses, [0.5] * len(losses))).shape == (420, 900, 3)
    assert not any("above" in each for each in written[-2:]) or losses == [7, 0.3]
    assert losses or "no epoch has ended yet" in written
