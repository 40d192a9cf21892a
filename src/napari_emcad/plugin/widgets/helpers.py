"""Makes small widgets with the same appearance and behavior on all tabs."""

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
    from collections.abc import Mapping, Sequence

ERROR_COLOR = "#e5534b"
"""Color of messages about errors, legible in the dark and the light theme."""

_CAPTION_WIDTH = 88
_SPIN_WIDTH = 72
_COMBO_LETTERS = 8
"""Width to which a combo box may shrink, so that it does not make the panel wider than its dock."""


class _WheelFilter(QObject):
    """Prevents that scrolling the panel changes the values of the widgets under the mouse."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Ignore wheel events unless the widget has the focus."""
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False


def require_focus_for_wheel(widget: QWidget) -> None:
    """Let the mouse wheel change a widget only if it has the focus."""
    widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    widget.installEventFilter(_WheelFilter(widget))


def shorten(name: str, letters: int = 32) -> str:
    """Return a name in one line of at most `letters` characters and "…" in place of the middle."""
    name, half = " ".join(name.split()), letters // 2
    return name if len(name) <= letters else f"{name[:half]}…{name[-half:]}"


def literal(name: str) -> str:
    """Return a name as the text of a button or menu, where "&" alone marks a shortcut."""
    return name.replace("&", "&&")


def duration(seconds: float) -> str:
    """Return a duration in seconds, minutes or hours as text."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def combo(items: Mapping[str, Any] | None = None) -> QComboBox:
    """Return a combo box that shrinks with its panel.

    Parameters
    ----------
    items
        Values by title.
    """
    box = QComboBox()
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(_COMBO_LETTERS)
    require_focus_for_wheel(box)
    for title, value in (items or {}).items():
        box.addItem(title, value)
    return box


def list_items(box: QComboBox, items: Sequence[tuple[str, Any, str]]) -> None:
    """List items in a combo box, unless they are listed already; none is chosen then.

    Parameters
    ----------
    items
        Title, value and tool tip of every item.
    """
    role = Qt.ItemDataRole.ToolTipRole
    rows = range(box.count())
    if [(box.itemText(n), box.itemData(n), box.itemData(n, role) or "") for n in rows] == [*items]:
        return
    box.clear()
    for title, value, tip in items:
        box.addItem(title, value)
        box.setItemData(box.count() - 1, tip, role)


def spin(low: int, high: int, step: int = 1, suffix: str = "", off: str = "") -> QSpinBox:
    """Return a spin box for integers.

    Parameters
    ----------
    low, high, step
        Range and step.
    suffix
        Unit.
    off
        Text that is shown in place of the lowest value.
    """
    box = QSpinBox()
    box.setMinimumWidth(_SPIN_WIDTH)
    box.setRange(low, high)
    box.setSingleStep(step)
    box.setSuffix(f" {suffix}" if suffix else "")
    box.setSpecialValueText(off)
    require_focus_for_wheel(box)
    return box


class _Decimal(QDoubleSpinBox):
    """Shows no more decimals than the number has."""

    def textFromValue(self, value: float) -> str:
        """Return the shortest form of a number."""
        return f"{value:.10g}"


def decimal(low: float, high: float, step: float = 1.0) -> QDoubleSpinBox:
    """Return a spin box for decimal numbers."""
    box = _Decimal()
    box.setDecimals(9)
    box.setMinimumWidth(_SPIN_WIDTH)
    box.setRange(low, high)
    box.setSingleStep(step)
    require_focus_for_wheel(box)
    return box


def form(owner: QWidget | None = None) -> QFormLayout:
    """Return a form layout without margins, whose fields fill their rows."""
    layout = QFormLayout() if owner is None else QFormLayout(owner)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return layout


def caption(title: str) -> QLabel:
    """Return the label of a row; labels of all forms have the same width."""
    label = QLabel(title)
    label.setMinimumWidth(_CAPTION_WIDTH)
    return label


def text(value: str = "", rich: bool = False) -> QLabel:
    """Return a label that wraps and can be copied; long words do not widen the panel."""
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.RichText if rich else Qt.TextFormat.PlainText)
    label.setText(value)
    label.setWordWrap(True)
    label.setMinimumWidth(1)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def row(*widgets: QWidget) -> QWidget:
    """Return widgets side by side, of equal width."""
    holder = QWidget()
    holder.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget, 1)
    return holder


def collapsible(title: str, *content: QWidget) -> QCollapsible:
    """Return a closed section with widgets below each other, which opens on a click."""
    section = QCollapsible(title, expandedIcon="▾", collapsedIcon="▸")
    section.layout().setContentsMargins(0, 0, 0, 0)
    for widget in content:
        section.addWidget(widget)
    section.toggleButton().setToolTip(f"Shows or hides the fields of “{title}”")
    return section


def scrollable(*content: QWidget) -> QScrollArea:
    """Return a vertical scroll area with widgets below each other."""
    holder = QWidget()
    column = QVBoxLayout(holder)
    for widget in content:
        column.addWidget(widget)
    column.addStretch()
    area = _VerticalScrollArea(holder)
    area.setWidgetResizable(True)
    area.setFrameShape(QScrollArea.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(holder)
    return area


class _VerticalScrollArea(QScrollArea):
    """A scroll area that is never narrower than its content."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self._content = content
        content.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Update the minimum size when the layout of the content changes."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return False

    def minimumSizeHint(self) -> QSize:
        """Return the width of the content and a scroll bar."""
        bar = self.style().pixelMetric(QStyle.PixelMetric.PM_ScrollBarExtent)
        height = super().minimumSizeHint().height()
        return QSize(self._content.minimumSizeHint().width() + bar + 4, height)
