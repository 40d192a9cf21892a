"""Names of classes as a user types them."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_emcad.io.checkpoints.classes import ClassLabel

_JOINERS = "\u200c\u200d"
"""Invisible characters that the spelling of some scripts needs."""


def clean_name(name: str) -> str:
    """Return a name on one line, without invisible characters, in Unicode's NFC form."""
    visible = "".join(map(_visible, name))
    return unicodedata.normalize("NFC", " ".join(visible.split())).strip(_JOINERS)


def check_class_name(name: str, others: Iterable[ClassLabel]) -> None:
    """Raise ValueError if a cleaned name is empty or looks like that of another class."""
    if not name:
        raise ValueError("A class needs a name.")
    taken = {"background", *(_comparable(label.name) for label in others)}
    if _comparable(name) in taken:
        raise ValueError(f"There is a class “{name}” already.")


def _visible(character: str) -> str:
    if character.isspace() or character in _JOINERS:
        return character
    return "" if unicodedata.category(character) in ("Cc", "Cf", "Cs") else character


def _comparable(name: str) -> str:
    """Return a form of a name that is equal for names that look the same."""
    without_joiners = clean_name(name).translate(dict.fromkeys(map(ord, _JOINERS)))
    return unicodedata.normalize("NFKC", without_joiners).casefold()
