"""The course of a training as a picture: loss and held-out Dice over epochs."""

from __future__ import annotations

from io import BytesIO
from math import ceil, floor, log10
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from napari_emcad.training.events import kept_epoch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_emcad.training.events import EpochEnd

    Points = list[tuple[float, float]]

_WIDTH, _HEIGHT, _MARGIN, _TOP = 900, 420, 64, 48
_FINE = 2
"""Everything is drawn so many times larger and reduced, which smooths lines."""

_LOSS, _DICE, _GRID, _INK, _QUIET = "#3498db", "#e67e22", "#dddddd", "#333333", "#8a8a8a"
_LINES, _TICKS, _DOTS = 5, 12, 60
_OUTLIER = 6
"""A loss so many times above three quarters of all would flatten the others."""


def draw_curves(epochs: Sequence[EpochEnd]) -> bytes:
    """Return a PNG; the loss belongs to the left axis, Dice (0 … 1) to the right one.

    The kept epoch is marked. The left axis ends where most losses do; what lies beyond is drawn
    at its end and said in words.
    """
    size = (_WIDTH * _FINE, _HEIGHT * _FINE)
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    last = max((each.epoch for each in epochs), default=1)
    losses: Points = [(each.epoch, each.loss) for each in epochs]
    dice: Points = [(each.epoch, each.dice) for each in epochs if each.dice is not None]
    step = _nice(_highest(losses) / _LINES)
    lines = max(ceil(_highest(losses) / step - 1e-9), 1)
    top = max(lines * step, _highest(losses))
    _draw_grid(draw, last, [f"{k * step:.3g}" for k in range(lines + 1)], bool(dice))
    _draw_kept(draw, epochs, last)
    _draw_curve(draw, [_place(x, y / top, last) for x, y in losses], _LOSS)
    _draw_curve(draw, [_place(x, y, last) for x, y in dice], _DICE)
    _draw_words(draw, epochs, top, bool(dice))
    content = BytesIO()
    picture.reduce(_FINE).save(content, "PNG")
    return content.getvalue()


def _highest(losses: Points) -> float:
    """Return the highest loss that is no outlier; 1 where there is none."""
    ordered = sorted(loss for _, loss in losses)
    if not ordered or ordered[-1] <= 0:
        return 1.0
    usual = ordered[int(0.75 * (len(ordered) - 1))]
    return max((loss for loss in ordered if loss <= _OUTLIER * usual), default=0.0) or ordered[-1]


def _nice(step: float, among: Sequence[float] = (1, 2, 2.5, 5, 10)) -> float:
    """Return the next of some numbers times a power of ten."""
    power = 10.0 ** floor(log10(step))
    return float(next(n * power for n in among if n * power >= step * (1 - 1e-9)))


def _draw_grid(
    draw: ImageDraw.ImageDraw, last: int, losses: Sequence[str], with_dice: bool
) -> None:
    right = _WIDTH - _MARGIN
    for number, told in enumerate(losses):
        y = _place(1, number / (len(losses) - 1), last)[1]
        draw.line(_fine([(_MARGIN, y), (right, y)]), _GRID, _FINE)
        _write(draw, (_MARGIN - 8, y), told, _LOSS, "rm")
    for tenths in range(0, 11, 2) if with_dice else ():
        _write(draw, (right + 8, _place(1, tenths / 10, last)[1]), f"{tenths / 10}", _DICE, "lm")
    bottom = _place(1, 0, last)[1]
    every = max(round(_nice(last / _TICKS, (1, 2, 5, 10))), 1)
    for epoch in sorted({1, *range(every, last + 1, every)}):
        x = _place(epoch, 0, last)[0]
        draw.line(_fine([(x, bottom), (x, bottom + 4)]), _QUIET, _FINE)
        _write(draw, (x, bottom + 14), str(epoch), _INK, "mm")
    _write(draw, (_WIDTH / 2, _HEIGHT - 14), "epoch", _INK, "mm")


def _draw_kept(draw: ImageDraw.ImageDraw, epochs: Sequence[EpochEnd], last: int) -> None:
    """Mark the kept epoch by a dashed line and words above it."""
    kept = kept_epoch(epochs)
    if kept is None:
        return
    x, bottom = _place(kept.epoch, 0, last)
    for y in range(_TOP, round(bottom), 8):
        draw.line(_fine([(x, y), (x, y + 4)]), _QUIET, _FINE)
    score = "" if kept.dice is None else f", Dice {kept.dice:.3f}"
    told = f"kept: epoch {kept.epoch}{score}"
    half = ImageFont.load_default(13).getlength(told) / 2
    _write(
        draw, (min(max(x, _MARGIN + half), _WIDTH - _MARGIN - half), _TOP - 10), told, _INK, "mm"
    )


def _draw_curve(draw: ImageDraw.ImageDraw, points: Points, color: str) -> None:
    if len(points) > 1:
        draw.line(_fine(points), color, 2 * _FINE, joint="curve")
    for x, y in points if len(points) < _DOTS else ():
        draw.ellipse(_fine([(x - 3, y - 3), (x + 3, y + 3)]), color)


def _draw_words(
    draw: ImageDraw.ImageDraw, epochs: Sequence[EpochEnd], top: float, with_dice: bool
) -> None:
    beyond = [each.loss for each in epochs if each.loss > top]
    more = f" ({len(beyond)} above the axis, up to {max(beyond):.3g})" if beyond else ""
    _write(draw, (_MARGIN, 16), f"loss{more}", _LOSS, "lm")
    told = "Dice of the held-out images" if with_dice else _without_dice(epochs)
    _write(draw, (_WIDTH - _MARGIN, 16), told, _DICE if with_dice else _QUIET, "rm")


def _without_dice(epochs: Sequence[EpochEnd]) -> str:
    if not epochs:
        return "no epoch has ended yet"
    ended = epochs[-1].epoch == epochs[-1].total
    return "no Dice: nothing was held out" if ended else "no Dice so far"


def _write(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, color: str, anchor: str
) -> None:
    draw.text(_fine([at])[0], text, color, ImageFont.load_default(13 * _FINE), anchor)


def _fine(points: Points) -> Points:
    return [(x * _FINE, y * _FINE) for x, y in points]


def _place(epoch: float, share: float, last: int) -> tuple[float, float]:
    across = (epoch - 1) / (last - 1) if last > 1 else 0.5
    x = _MARGIN + (_WIDTH - 2 * _MARGIN) * across
    bottom = _HEIGHT - _MARGIN + 8
    return x, bottom - (bottom - _TOP) * min(share, 1.0)
