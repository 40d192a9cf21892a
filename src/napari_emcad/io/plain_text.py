"""Text from files without the control characters that a terminal would obey."""

from __future__ import annotations

from unicodedata import category, normalize

_KEPT = "\n\t"

_INVISIBLE = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories: control characters, surrogates, line and paragraph separators."""


def is_control(character: str) -> bool:
    """Return whether a character is a control character, a surrogate or a line separator."""
    return category(character) in _INVISIBLE


def strip_control_characters(text: str) -> str:
    """Return a text without control characters; newlines and tabs are kept, CRLF becomes LF."""
    text = text.replace("\r\n", "\n")
    return "".join(c for c in text if c in _KEPT or not is_control(c))


def composed(text: str) -> str:
    """Return a name in Unicode's composed form (NFC).

    File systems and programs write an accent as part of its letter or as a character of its own;
    both are the same name.
    """
    return normalize("NFC", text)
