"""Remarks about files on the terminal, once per kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.cli.console import print_message
from napari_emcad.io.datasets.notes import FileNote, file_note, once_per_kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_emcad.io.datasets.found_files import LabeledFile


class NotePrinter:
    """Print the first remark of every kind at once, and at the end how many images have it."""

    def __init__(self) -> None:
        self._notes: list[FileNote] = []

    def add(self, name: str, notices: Iterable[str], pair: LabeledFile) -> None:
        """Print the remarks about an image that are of a new kind.

        Parameters
        ----------
        name
            Name of the image for messages.
        notices
            The remarks.
        pair
            Its file and its label files.
        """
        files = [path.name for path in (pair[0], *pair[1])]
        for notice in notices:
            note = file_note(name, *files, text=notice)
            if note.kind not in {known.kind for known in self._notes}:
                print_message(note.text)
            self._notes.append(note)

    def print_counts(self) -> None:
        """Print the remarks that several images have, with their number."""
        kinds = [note.kind for note in self._notes]
        repeated = [note for note in self._notes if kinds.count(note.kind) > 1]
        for message in once_per_kind(repeated):
            print_message(message)
