"""Text on pictures, in Pillow's own font.

Other fonts differ between computers and may be missing. Pillow's font has ASCII characters only.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from PIL import ImageFont


def elide(text: str, width: float, size: int) -> str:
    """Return a text in ASCII, shortened in the middle to at most `width` pixels."""
    text = to_ascii(text)
    shortened, kept = text, len(text)
    while kept > 1 and font(size).getlength(shortened) > width:
        kept -= 1
        shortened = f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"
    return shortened


def to_ascii(text: str) -> str:
    """Return a text without accents, with u for µ, and escape codes for all other characters."""
    plain = unicodedata.normalize("NFKD", text).replace("μ", "u")
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" else _escape(c) for c in plain)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font at a size in pixels."""
    return ImageFont.load_default(size)
