"""Remarks about files, which are printed once per kind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NUMBER = re.compile(r"\d[\d.,]*")


@dataclass(frozen=True, slots=True)
class FileNote:
    """A remark about a file.

    Attributes
    ----------
    text
        The remark, with the name of the file.
    kind
        The remark without names and numbers, which is the same for other files.
    """

    text: str
    kind: str


NO_NOTE = FileNote("", "")


def file_note(name: str, *files: str, text: str) -> FileNote:
    """Return a remark about an image, which begins with a name; `NO_NOTE` of "".

    Parameters
    ----------
    name
        Name of the image for messages.
    files
        Names of the image file and its label files, one of which the remark may begin with.
    text
        The remark.
    """
    if not text:
        return NO_NOTE
    names = (name, *files)
    is_named = text.startswith(names)
    return FileNote(text if is_named else f"{name}: {text}", note_kind(text, names))


def note_kind(text: str, names: Iterable[str]) -> str:
    """Return a remark without the names of files and without numbers."""
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, "")
    return _NUMBER.sub("#", text)


def once_per_kind(notes: Sequence[FileNote]) -> list[str]:
    """Return the first remark of every kind, with the number of other images it holds for."""
    kinds = [note.kind for note in notes]
    firsts = {note.kind: note.text for note in reversed(notes)}
    return [_with_count(firsts[kind], kinds.count(kind) - 1) for kind in dict.fromkeys(kinds)]


def _with_count(text: str, others: int) -> str:
    more = f" The same holds for {others:,} other image{'s' * (others > 1)}."
    return text + more * (others > 0)
