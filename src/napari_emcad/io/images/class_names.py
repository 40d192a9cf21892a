"""The names of classes that a data set brings along: ``classes.yaml``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_emcad.io.images.dataset import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

_FILES = ("classes.yaml", "classes.yml")


def class_names(folder: Path) -> tuple[str, ...] | None:
    """Return the names of classes 1, 2, … that a folder's ``classes.yaml`` says; None without one.

    It lists them in order, or says the name of each number; 0 may be named as the background.
    Every name is a text, ``yes`` and ``no`` as well.

    Raises
    ------
    DatasetError
        If the file is neither, or names the background as a class.
    """
    found = [folder / name for name in _FILES if (folder / name).is_file()]
    if not found:
        return None
    content = _content(found[0])
    said = content.get("classes", content) if isinstance(content, dict) else content
    names = _in_order(said) if isinstance(said, dict) else said
    if not isinstance(names, list) or not names or not all(map(_is_name, names)):
        raise DatasetError(
            f"{found[0]} must list the classes' names: 'classes: [cell, wall]', or 'classes: "
            f"{{1: cell, 2: wall}}'."
        )
    if names[0].strip().lower() == "background":
        raise DatasetError(
            f"{found[0]} lists {names[0]} as class 1; the background is value 0 and has no place "
            f"in the list. Begin it with the name of value 1."
        )
    return tuple(names)


def _content(path: Path) -> Any:
    """Return what a YAML file holds with every scalar as a text; None if it is none."""
    import yaml

    try:
        return yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError, OSError):
        return None


def _in_order(names: dict[Any, Any]) -> list[Any]:
    """Return the names of 1, 2, … without that of 0; nothing if a number is missing."""
    numbered = {int(k): name for k, name in names.items() if str(k).isdecimal()}
    numbered.pop(0, None)
    complete = sorted(numbered) == list(range(1, len(numbered) + 1))
    rest = len(names) - len(numbered) - ("0" in names)
    return [numbered[k] for k in sorted(numbered)] if complete and not rest else []


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and bool(name.strip()) and not name.strip().isdecimal()
