"""The segments of a JPEG, which say how its pixels are packed."""

from __future__ import annotations


def jpeg_segments(content: bytes) -> dict[int, bytes]:
    """Return the content of the segments before the pixels by marker; of several the first one."""
    segments: dict[int, bytes] = {}
    start = 2
    while start + 4 <= len(content) and content[start] == 0xFF and content[start + 1] != 0xDA:
        length = int.from_bytes(content[start + 2 : start + 4], "big")
        segments.setdefault(content[start + 1], content[start + 4 : start + 2 + length])
        start += 2 + length
    return segments
