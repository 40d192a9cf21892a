"""Names of the classes of a data set, read from its ``classes.yaml``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_emcad.io.datasets.read import DatasetError
from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    from pathlib import Path

_FILES = ("classes.yaml", "classes.yml")


def class_names(folder: Path) -> tuple[str, ...] | None:
    """Return the names of classes 1, 2, … from a folder's ``classes.yaml``; None without the file.

    The file contains a list of names, or a mapping from numbers to names, in which 0 may be named
    as the background. All names are strings, also ``yes`` and ``no``.

    Raises
    ------
    DatasetError
        If the file contains neither, or names the background as a class.
    """
    path = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if path is None:
        return None
    content = _load(path)
    entries = content.get("classes", content) if isinstance(content, dict) else content
    names = _in_order(entries) if isinstance(entries, dict) else entries
    if not isinstance(names, list) or not names or not all(map(_is_name, names)):
        raise DatasetError(
            f"{path} must list the classes' names: 'classes: [cell, wall]', or 'classes: "
            f"{{1: cell, 2: wall}}'."
        )
    if names[0].strip().lower() == "background":
        raise DatasetError(
            f"{path} lists {names[0]} as class 1; the background is value 0 and has no place "
            f"in the list. Begin it with the name of value 1."
        )
    return tuple(map(composed, names))


def _load(path: Path) -> Any:
    """Return the content of a YAML file with all scalars as strings; None if it is invalid."""
    import yaml

    try:
        return yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError, OSError):
        return None


def _in_order(names: dict[Any, Any]) -> list[Any]:
    """Return the names of 1, 2, … without that of 0; an empty list if a number is missing."""
    numbered = {int(key): name for key, name in names.items() if str(key).isdecimal()}
    numbered.pop(0, None)
    complete = sorted(numbered) == list(range(1, len(numbered) + 1))
    rest = len(names) - len(numbered) - ("0" in names)
    return [numbered[number] for number in sorted(numbered)] if complete and not rest else []


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and bool(name.strip()) and not name.strip().isdecimal()
