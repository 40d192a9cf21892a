"""Text on pictures, in the letters of Pillow's own font."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from PIL import ImageFont


def elide(text: str, room: float, size: int) -> str:
    """Return a text as the font can draw it, its middle left out where it is wider than `room`."""
    text = to_drawable(text)
    shortened, kept = text, len(text)
    while kept > 1 and font(size).getlength(shortened) > room:
        kept -= 1
        shortened = f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"
    return shortened


def to_drawable(text: str) -> str:
    """Return a text in the letters of Pillow's own font: no accents, u for µ, others by their code.

    Other fonts differ from computer to computer, and may be missing.
    """
    plain = unicodedata.normalize("NFKD", text).replace("μ", "u")
    plain = "".join(each for each in plain if not unicodedata.combining(each))
    return "".join(each if " " <= each <= "~" else _code(each) for each in plain)


def _code(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font at a size in pixels."""
    return ImageFont.load_default(size)
