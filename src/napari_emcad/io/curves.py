"""The course of a training as a picture: loss and held-out Dice over epochs."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_emcad.training.events import EpochEnd

    Points = list[tuple[float, float]]

_WIDTH, _HEIGHT, _MARGIN = 900, 420, 56
_LOSS, _DICE, _GRID, _INK = "#3498db", "#e67e22", "#dddddd", "#333333"
_LINES = 5


def curves_png(epochs: Sequence[EpochEnd]) -> bytes:
    """Return a PNG; the loss belongs to the left axis, Dice (0 … 1) to the right one."""
    picture = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    last = max((each.epoch for each in epochs), default=1)
    top = max((each.loss for each in epochs), default=1.0) or 1.0
    for line in range(_LINES + 1):
        share = line / _LINES
        y = _place(0, share, 1)[1]
        draw.line([(_MARGIN, y), (_WIDTH - _MARGIN, y)], fill=_GRID)
        draw.text((_MARGIN - 8, y), f"{share * top:.2f}", _LOSS, font, anchor="rm")
        draw.text((_WIDTH - _MARGIN + 8, y), f"{share:.1f}", _DICE, font, anchor="lm")
    losses: Points = [(each.epoch, each.loss / top) for each in epochs]
    dice: Points = [(each.epoch, each.dice) for each in epochs if each.dice is not None]
    for points, colour in ((losses, _LOSS), (dice, _DICE)):
        placed = [_place(x, y, last) for x, y in points]
        if len(placed) > 1:
            draw.line(placed, fill=colour, width=2)
        for x, y in placed if len(placed) < 60 else []:
            draw.ellipse([x - 2, y - 2, x + 2, y + 2], fill=colour)
    draw.text((_MARGIN, 16), "loss", _LOSS, font, anchor="lm")
    draw.text((_WIDTH - _MARGIN, 16), "Dice of the held-out images", _DICE, font, anchor="rm")
    draw.text((_WIDTH / 2, _HEIGHT - 14), f"epochs (1 to {last})", _INK, font, anchor="mm")
    content = BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def _place(epoch: float, share: float, last: int) -> tuple[float, float]:
    x = _MARGIN + (_WIDTH - 2 * _MARGIN) * (epoch - 1) / max(last - 1, 1)
    return x, _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * min(share, 1.0)
