"""Training curves as a picture: loss and held-out Dice over epochs."""

from __future__ import annotations

from io import BytesIO
from math import ceil, floor, log10
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from napari_emcad.io.reports.text import font
from napari_emcad.training.events import selected_epoch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_emcad.training.events import EpochEnd

    Points = list[tuple[float, float]]

_WIDTH, _HEIGHT, _MARGIN, _TOP = 900, 420, 64, 48
_SUPERSAMPLING = 2
"""Factor by which everything is drawn larger, and then reduced, for smooth lines."""

_LOSS, _DICE, _GRID, _INK, _QUIET = "#3498db", "#e67e22", "#dddddd", "#333333", "#8a8a8a"
_FONT_SIZE = 13
_GRID_LINES, _EPOCH_TICKS, _MOST_DOTS = 5, 12, 60

_OUTLIER_RATIO = 6
"""A loss this many times above the third quartile is an outlier, which the axis leaves out."""


def draw_curves(epochs: Sequence[EpochEnd]) -> bytes:
    """Return a PNG with the loss on the left axis, and Dice (0 … 1) on the right axis.

    The kept epoch is marked. The left axis leaves out outliers, which are drawn at its upper end
    and counted in the caption.
    """
    picture = Image.new("RGB", (_WIDTH * _SUPERSAMPLING, _HEIGHT * _SUPERSAMPLING), "white")
    draw = ImageDraw.Draw(picture)
    last = max((epoch.epoch for epoch in epochs), default=1)
    losses: Points = [(epoch.epoch, epoch.loss) for epoch in epochs]
    dice: Points = [(epoch.epoch, epoch.dice) for epoch in epochs if epoch.dice is not None]
    highest = _highest_usual(losses)
    step = _round_up(highest / _GRID_LINES)
    lines = max(ceil(highest / step - 1e-9), 1)
    top = max(lines * step, highest)
    _draw_grid(draw, last, [f"{k * step:.3g}" for k in range(lines + 1)], bool(dice))
    _draw_kept_epoch(draw, epochs, last)
    _draw_curve(draw, [_position(epoch, loss / top, last) for epoch, loss in losses], _LOSS)
    _draw_curve(draw, [_position(epoch, value, last) for epoch, value in dice], _DICE)
    _draw_captions(draw, epochs, top, bool(dice))
    content = BytesIO()
    picture.reduce(_SUPERSAMPLING).save(content, "PNG")
    return content.getvalue()


def _highest_usual(losses: Points) -> float:
    """Return the highest loss that is not an outlier; 1 if there is none."""
    ordered = sorted(loss for _, loss in losses)
    if not ordered or ordered[-1] <= 0:
        return 1.0
    quartile = ordered[int(0.75 * (len(ordered) - 1))]
    usual = [loss for loss in ordered if loss <= _OUTLIER_RATIO * quartile]
    return max(usual, default=0.0) or ordered[-1]


def _round_up(step: float, digits: Sequence[float] = (1, 2, 2.5, 5, 10)) -> float:
    """Return the next larger of some leading digits times a power of ten."""
    power = 10.0 ** floor(log10(step))
    return float(next(digit * power for digit in digits if digit * power >= step * (1 - 1e-9)))


def _draw_grid(
    draw: ImageDraw.ImageDraw, last: int, losses: Sequence[str], with_dice: bool
) -> None:
    right = _WIDTH - _MARGIN
    for number, loss in enumerate(losses):
        y = _position(1, number / (len(losses) - 1), last)[1]
        draw.line(_scale([(_MARGIN, y), (right, y)]), _GRID, _SUPERSAMPLING)
        _write(draw, (_MARGIN - 8, y), loss, _LOSS, "rm")
    for tenths in range(0, 11, 2) if with_dice else ():
        y = _position(1, tenths / 10, last)[1]
        _write(draw, (right + 8, y), f"{tenths / 10}", _DICE, "lm")
    bottom = _position(1, 0, last)[1]
    every = max(round(_round_up(last / _EPOCH_TICKS, (1, 2, 5, 10))), 1)
    for epoch in sorted({1, *range(every, last + 1, every)}):
        x = _position(epoch, 0, last)[0]
        draw.line(_scale([(x, bottom), (x, bottom + 4)]), _QUIET, _SUPERSAMPLING)
        _write(draw, (x, bottom + 14), str(epoch), _INK, "mm")
    _write(draw, (_WIDTH / 2, _HEIGHT - 14), "epoch", _INK, "mm")


def _draw_kept_epoch(draw: ImageDraw.ImageDraw, epochs: Sequence[EpochEnd], last: int) -> None:
    """Mark the kept epoch by a dashed line with a caption above it."""
    kept = selected_epoch(epochs)
    if kept is None:
        return
    x, bottom = _position(kept.epoch, 0, last)
    for y in range(_TOP, round(bottom), 8):
        draw.line(_scale([(x, y), (x, y + 4)]), _QUIET, _SUPERSAMPLING)
    score = "" if kept.dice is None else f", Dice {kept.dice:.3f}"
    caption = f"kept: epoch {kept.epoch}{score}"
    half = font(_FONT_SIZE).getlength(caption) / 2
    center = min(max(x, _MARGIN + half), _WIDTH - _MARGIN - half)
    _write(draw, (center, _TOP - 10), caption, _INK, "mm")


def _draw_curve(draw: ImageDraw.ImageDraw, points: Points, color: str) -> None:
    if len(points) > 1:
        draw.line(_scale(points), color, 2 * _SUPERSAMPLING, joint="curve")
    for x, y in points if len(points) < _MOST_DOTS else ():
        draw.ellipse(_scale([(x - 3, y - 3), (x + 3, y + 3)]), color)


def _draw_captions(
    draw: ImageDraw.ImageDraw, epochs: Sequence[EpochEnd], top: float, with_dice: bool
) -> None:
    outliers = [epoch.loss for epoch in epochs if epoch.loss > top]
    more = f" ({len(outliers)} above the axis, up to {max(outliers):.3g})" if outliers else ""
    _write(draw, (_MARGIN, 16), f"loss{more}", _LOSS, "lm")
    caption = "Dice of the held-out images" if with_dice else _why_no_dice(epochs)
    _write(draw, (_WIDTH - _MARGIN, 16), caption, _DICE if with_dice else _QUIET, "rm")


def _why_no_dice(epochs: Sequence[EpochEnd]) -> str:
    if not epochs:
        return "no epoch has ended yet"
    ended = epochs[-1].epoch == epochs[-1].total
    return "no Dice: nothing was held out" if ended else "no Dice so far"


def _write(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, color: str, anchor: str
) -> None:
    draw.text(_scale([at])[0], text, color, font(_FONT_SIZE * _SUPERSAMPLING), anchor)


def _scale(points: Points) -> Points:
    return [(x * _SUPERSAMPLING, y * _SUPERSAMPLING) for x, y in points]


def _position(epoch: float, share: float, last: int) -> tuple[float, float]:
    """Return the position of an epoch, and of a share of the axis' height, in pixels."""
    across = (epoch - 1) / (last - 1) if last > 1 else 0.5
    x = _MARGIN + (_WIDTH - 2 * _MARGIN) * across
    bottom = _HEIGHT - _MARGIN + 8
    return x, bottom - (bottom - _TOP) * min(share, 1.0)
