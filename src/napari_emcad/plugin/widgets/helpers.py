"""Small pieces that give the panels one look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QStyle,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

if TYPE_CHECKING:
    from collections.abc import Mapping

_CAPTION_WIDTH = 88
_SPIN_WIDTH = 72
_SHORTEST_CHOICE = 8
"""Letters; a combo box shrinks to this rather than push the panel wider than its dock."""


class _OnlyWithFocus(QObject):
    """Keeps the mouse wheel, which scrolls the panel, from changing values on its way."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Pass a wheel event on unless the widget was clicked before."""
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False


def require_focus_for_wheel(widget: QWidget) -> None:
    """Let the wheel change a widget only when it has the focus."""
    widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    widget.installEventFilter(_OnlyWithFocus(widget))


def shorten(name: str, letters: int = 32) -> str:
    """Return a name in one line, without its middle if it is long."""
    name, half = " ".join(name.split()), letters // 2
    return name if len(name) <= letters else f"{name[:half]}…{name[-half:]}"


def combo(items: Mapping[str, Any] | None = None) -> QComboBox:
    """Return a combo box that holds values behind titles, and shrinks with its panel."""
    box = QComboBox()
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(_SHORTEST_CHOICE)
    require_focus_for_wheel(box)
    for title, value in (items or {}).items():
        box.addItem(title, value)
    return box


def spin(low: int, high: int, step: int = 1, suffix: str = "", off: str = "") -> QSpinBox:
    """Return a box for whole numbers; `off` is what its lowest value means."""
    box = QSpinBox()
    box.setMinimumWidth(_SPIN_WIDTH)
    box.setRange(low, high)
    box.setSingleStep(step)
    box.setSuffix(f" {suffix}" if suffix else "")
    box.setSpecialValueText(off)
    require_focus_for_wheel(box)
    return box


class _Decimal(QDoubleSpinBox):
    """Shows as many decimals as its number has."""

    def textFromValue(self, value: float) -> str:
        """Return the number in its shortest form."""
        return f"{value:.10g}"


def decimal(low: float, high: float, step: float = 1.0) -> QDoubleSpinBox:
    """Return a box for numbers."""
    box = _Decimal()
    box.setDecimals(9)
    box.setMinimumWidth(_SPIN_WIDTH)
    box.setRange(low, high)
    box.setSingleStep(step)
    require_focus_for_wheel(box)
    return box


def form(owner: QWidget | None = None) -> QFormLayout:
    """Return a form without margins whose fields fill the row."""
    layout = QFormLayout() if owner is None else QFormLayout(owner)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return layout


def caption(title: str) -> QLabel:
    """Return the label of a row, as wide as those of other forms above and below."""
    label = QLabel(title)
    label.setMinimumWidth(_CAPTION_WIDTH)
    return label


def text(value: str = "", rich: bool = False) -> QLabel:
    """Return words that wrap and can be copied; a long one does not widen the panel."""
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.RichText if rich else Qt.TextFormat.PlainText)
    label.setText(value)
    label.setWordWrap(True)
    label.setMinimumWidth(1)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def row(*widgets: QWidget) -> QWidget:
    """Return widgets side by side, of one width."""
    holder = QWidget()
    holder.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    for each in widgets:
        layout.addWidget(each, 1)
    return holder


def collapsible(title: str, content: QWidget) -> QCollapsible:
    """Return a section that opens on a click."""
    section = QCollapsible(title, expandedIcon="▾", collapsedIcon="▸")
    section.layout().setContentsMargins(0, 0, 0, 0)
    section.addWidget(content)
    return section


def scrollable(*content: QWidget) -> QScrollArea:
    """Return widgets above each other that scroll up and down, never sideways."""
    inside = QWidget()
    column = QVBoxLayout(inside)
    for each in content:
        column.addWidget(each)
    column.addStretch()
    area = _Scrolled(inside)
    area.setWidgetResizable(True)
    area.setFrameShape(QScrollArea.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(inside)
    return area


class _Scrolled(QScrollArea):
    """Is never narrower than its content, however that changes."""

    def __init__(self, inside: QWidget) -> None:
        super().__init__()
        self._inside = inside
        inside.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the content's size."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return False

    def minimumSizeHint(self) -> QSize:
        """Return the content's width with a scroll bar beside it."""
        bar = self.style().pixelMetric(QStyle.PixelMetric.PM_ScrollBarExtent)
        least = super().minimumSizeHint()
        return QSize(self._inside.minimumSizeHint().width() + bar + 4, least.height())
