"""Every field, button and table says what it is for."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QListView,
    QSlider,
    QWidget,
)

_FIELDS = (QAbstractButton, QAbstractItemView, QAbstractSpinBox, QComboBox, QLineEdit, QSlider)
_PARTS_OF_OTHERS = (QAbstractItemView, QAbstractSpinBox, QComboBox)


def fields(panel):
    for tab in panel.tabs:
        for field in tab.panel.findChildren(QWidget):
            if isinstance(field, _FIELDS) and not _is_part(field):
                yield tab.title, field


def _is_part(field):
    """Return whether a field is a part of another one, such as the list of a combo box."""
    owner = field.parent()
    part = isinstance(owner, _PARTS_OF_OTHERS) or "ComboBox" in type(owner).__name__
    return part or type(field) is QListView or field.objectName().startswith("qt_")


@pytest.fixture
def stack(viewer, dock, nuclei):
    viewer.add_image(np.stack([nuclei] * 6), name="stack", axis_labels=("z", "y", "x"))
    return dock(viewer)


def test_every_field_has_a_tool_tip(stack):
    found = list(fields(stack))
    assert len(found) > 100
    silent = [
        (title, type(field).__name__, getattr(field, "text", str)())
        for title, field in found
        if not field.toolTip().strip()
    ]
    assert silent == []


def test_tab_leaves_every_table(stack):
    tables = [field for _, field in fields(stack) if isinstance(field, QAbstractItemView)]
    assert len(tables) >= 5
    assert not any(table.tabKeyNavigation() for table in tables)
