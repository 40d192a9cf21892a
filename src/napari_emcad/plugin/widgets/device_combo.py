"""The choice of a processor, with the reason why one is not available."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox

from napari_emcad.plugin.widgets.helpers import require_focus_for_wheel

if TYPE_CHECKING:
    from napari_emcad.inference.devices import DeviceChoice

_TITLES = {"auto": "Automatic", "cuda": "CUDA", "mps": "Apple GPU", "cpu": "CPU"}


class DeviceCombo(QComboBox):
    """Lists the processors; what is there is known once torch has been loaded.

    `asked` says that the list was opened before that.
    """

    asked = Signal()

    def __init__(self, device: str = "auto") -> None:
        super().__init__()
        self.setSizeAdjustPolicy(self.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        require_focus_for_wheel(self)
        for name, title in _TITLES.items():
            self.addItem(title, name)
        self.setCurrentIndex(max(self.findData(device), 0))
        self.setToolTip("Where the network runs")

    @property
    def problem(self) -> str:
        """Why the chosen processor cannot be used, or ""; known once `show_choices` was called."""
        reason = self.currentData(Qt.ItemDataRole.ToolTipRole)
        return f"{_TITLES[self.currentData()]} cannot be used: {reason}." if reason else ""

    def showPopup(self) -> None:
        """Open the list, and ask what is there if that is not known yet."""
        self.asked.emit()
        super().showPopup()

    def show_choices(self, choices: tuple[DeviceChoice, ...]) -> None:
        """Name each processor, and say why one cannot be used."""
        best = next(choice for choice in choices if not choice.reason)
        self.setItemText(0, f"Automatic: {best.title}")
        for choice in choices:
            row = self.findData(choice.name)
            reason = f" – {choice.reason}" if choice.reason else ""
            self.setItemText(row, f"{choice.title}{reason}")
            self.setItemData(row, choice.reason or None, Qt.ItemDataRole.ToolTipRole)
            self.model().item(row).setEnabled(not choice.reason)
