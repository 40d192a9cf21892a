"""Write docs/fields.md: every field of every tab, read from the real panel.

    python docs/fields.py

A field's meaning is its entry in docs/fields.yaml, else its tooltip; a field with neither is an
error. Needs a display, or ``xvfb-run -s "-screen 0 1280x1024x24"``.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from napari_emcad.model import triton_preload  # noqa: F401  # isort: skip  (before the first canvas)
import numpy as np
import yaml
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QLayout,
    QLineEdit,
    QScrollArea,
    QScrollBar,
    QSlider,
    QSpinBox,
    QWidget,
)
from superqt import QCollapsible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import napari

    from napari_emcad.plugin.widget import EmcadWidget

PAGE = Path(__file__).with_name("fields.md")
MEANINGS = PAGE.with_suffix(".yaml")

HEAD = """# Every field

The tabs of the panel from top to bottom; sections that open on a click come last.
`python docs/fields.py` writes this page from the running panel and docs/fields.yaml.
"""

NAMES = {
    "AnnotationTable": "table of annotations",
    "ClassTable": "table of classes",
    "VersionList": "list of versions",
    "ObjectsPanel": "table of objects",
    "ScoresPanel": "tables of scores",
    "ModelPanel": "list of files",
    "ShelfBox": "list of models",
    "ReviewBox": "table of images",
    "CalibrationBox": "reliability plot",
    "BarPlot": "bars",
    "TrainingPlot": "curve",
    "Histogram": "histogram",
    "Readout": "Under the cursor",
}
"""Titles of what has none on the panel, by the class of the widget or of the one around it."""

GENERAL = {
    r"Axis .*": "Axis …",
    r"(?!… of|… in).* input$": "… input",
    r"Teach \d.*": "Teach … accepted objects",
    r"Undo the removal .*": "Undo the removal of …",
}
"""Titles for the page of fields whose titles depend on image and model, by pattern."""

OPEN_LISTS = {
    *("Image", "Labels", "Model", "Processor", "Resolution", "Keep", "… of", "Result", "Truth"),
    *("Normalize", "list of files"),
}
"""Lists whose entries are layers, files, devices, columns or classes."""

_FIELDS = (QAbstractButton, QAbstractItemView, QAbstractSpinBox, QComboBox, QLineEdit)


@dataclass(frozen=True)
class Field:
    """A field of the panel.

    Attributes
    ----------
    tab, section, title
        Where it is; the section is "" outside of those that open on a click.
    choices
        Choices, or bounds and initial value, as text; "" if there are none.
    tooltip
        Text that the panel shows when the mouse is over it.
    """

    tab: str
    section: str
    title: str
    choices: str
    tooltip: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What distinguishes the field from others."""
        return self.tab, self.section, self.title


def main() -> int:
    """Write the page."""
    os.environ.setdefault("NAPARI_CONFIG", f"{mkdtemp()}/settings.yaml")
    os.environ["XDG_CONFIG_HOME"] = mkdtemp()  # without recent files
    import napari

    from napari_emcad.plugin.widget import show_panel

    viewer = napari.Viewer(show=False)
    open_stack(viewer)
    panel = show_panel(viewer)
    while panel.session.checkpoint is None or panel.runner.running:
        QApplication.processEvents()
    PAGE.write_text(render(fields_of(panel)), encoding="utf-8")
    viewer.close()
    return 0


def open_stack(viewer: napari.viewer.Viewer) -> None:
    """Add a stack with channels, for which the Segment tab shows all of its fields."""
    viewer.add_image(
        np.zeros((5, 3, 64, 64), np.uint8), name="stack", axis_labels=("z", "c", "y", "x")
    )


def render(fields: list[Field]) -> str:
    """Return the text of the page."""
    meanings = yaml.safe_load(MEANINGS.read_text(encoding="utf-8"))
    lines, place = [HEAD], ("", "")
    for field in fields:
        if (field.tab, field.section) != place:
            lines += _heading(field, new_tab=field.tab != place[0])
            place = field.tab, field.section
        lines.append(f"| {field.title} | {field.choices} | {meaning(field, meanings)} |")
    return "\n".join(lines) + "\n"


def meaning(field: Field, meanings: Mapping[str, Mapping[str, str]]) -> str:
    """Return the meaning of a field.

    Raises
    ------
    LookupError
        If it has neither an entry nor a tooltip.
    """
    entries = meanings.get(field.tab, {})
    entry = entries.get(f"{field.section}: {field.title}") or entries.get(field.title)
    found = entry or field.tooltip
    if not found:
        raise LookupError(f"docs/fields.yaml: add {field.title!r} to {field.tab}.")
    return " ".join(found.split()).removesuffix(".")


def fields_of(panel: EmcadWidget) -> list[Field]:
    """Return the fields of all tabs, of several in a row the first."""
    found: dict[tuple[str, str, str], Field] = {}
    for tab in panel.tabs:
        for section, title, widget in _walk(tab.panel, "", ""):
            if not title:
                title = NAMES.get(type(widget).__name__) or NAMES[_owner(widget)]
            title = next((general for k, general in GENERAL.items() if re.match(k, title)), title)
            choices = "" if title in OPEN_LISTS else _choices(widget)
            if tab is panel.model and isinstance(widget, QAbstractSpinBox):
                choices = ""  # that of the open model
            field = Field(tab.title, section, title, choices, widget.toolTip())
            found.setdefault(field.key, field)
    order = [tab.title for tab in panel.tabs]
    # a section opens in the middle of a tab; the fields outside of it stay together on the page
    return sorted(found.values(), key=lambda field: (order.index(field.tab), field.section != ""))


def _walk(widget: QWidget, section: str, title: str) -> Iterator[tuple[str, str, QWidget]]:
    """Yield section, title and widget of the fields in a widget, in the order of its layouts."""
    if isinstance(widget, QCollapsible):
        yield from _walk(widget.content(), widget.text(), "")
    elif isinstance(widget, QScrollArea):
        yield from _walk(widget.widget(), section, title)
    elif isinstance(widget, _FIELDS):
        yield section, _shown(widget, title), widget
    elif widget.layout() is not None:
        yield from _walk_layout(widget.layout(), section, title)
    elif widget.toolTip() and not isinstance(widget, (QLabel, QScrollBar, QSlider)):
        yield section, "", widget


def _walk_layout(layout: QLayout, section: str, title: str) -> Iterator[tuple[str, str, QWidget]]:
    for index in range(layout.count()):
        item, name = layout.itemAt(index), title
        if isinstance(layout, QFormLayout):
            # an empty combo box is false
            field = item.layout() if item.widget() is None else item.widget()
            label = layout.labelForField(field)
            name = label.text() if isinstance(label, QLabel) else title
        if item.layout() is not None:
            yield from _walk_layout(item.layout(), section, name)
        elif item.widget() is not None:
            yield from _walk(item.widget(), section, name)


def _shown(widget: QWidget, title: str) -> str:
    """Return the title of a field: the text of a button, else that of its row."""
    if not isinstance(widget, QAbstractButton):
        return title
    text = widget.text().removesuffix(": off")
    return f"{title} {text}" if text.isdigit() else text


def _owner(widget: QWidget) -> str:
    """Return the name of the class of the innermost widget of our own around a widget."""
    parent = widget.parentWidget()
    while parent is not None and type(parent).__name__ not in NAMES:
        parent = parent.parentWidget()
    return type(parent).__name__


def _choices(widget: QWidget) -> str:
    if isinstance(widget, QComboBox):
        return " · ".join(widget.itemText(n) for n in range(widget.count()))
    if isinstance(widget, QAbstractSpinBox):
        return _bounds(widget)
    if isinstance(widget, QCheckBox):
        return f"initially {'on' if widget.isChecked() else 'off'}"
    return ""


def _bounds(box: Any) -> str:
    low, high = box.minimum(), box.maximum()
    unit = box.suffix()
    most = f"{high:,}" if isinstance(box, QSpinBox) else f"{high:g}"
    return f"{low:g} … {most}{unit}, initially {box.text()}"


def _heading(field: Field, *, new_tab: bool) -> list[str]:
    lines = ["", f"## {field.tab}"] if new_tab else []
    if field.section:
        lines += ["", f"### {field.section}"]
    return [*lines, "", "| field | choices, bounds | meaning |", "|---|---|---|"]


if __name__ == "__main__":
    sys.exit(main())
