"""A combo box of the devices that can run the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox

from napari_emcad.plugin.widgets.helpers import require_focus_for_wheel

if TYPE_CHECKING:
    from napari_emcad.inference.devices import DeviceChoice

_TITLES = {"auto": "Automatic", "cuda": "CUDA", "mps": "Apple GPU", "cpu": "CPU"}


class DeviceCombo(QComboBox):
    """Lists devices; which ones are available is known once torch is loaded.

    Signals
    -------
    opened
        The user opens the list.
    """

    opened = Signal()

    def __init__(self, device: str = "auto") -> None:
        super().__init__()
        self.setSizeAdjustPolicy(self.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        require_focus_for_wheel(self)
        for name, title in _TITLES.items():
            self.addItem(title, name)
        self.setCurrentIndex(max(self.findData(device), 0))
        self.setToolTip("Device that runs the network")

    @property
    def problem(self) -> str:
        """Reason why the chosen device cannot be used, or ""; known after `show_choices`."""
        reason = self.currentData(Qt.ItemDataRole.ToolTipRole)
        return f"{_TITLES[self.currentData()]} cannot be used: {reason}." if reason else ""

    def showPopup(self) -> None:
        """Open the list, and emit `opened`."""
        self.opened.emit()
        super().showPopup()

    def show_choices(self, choices: tuple[DeviceChoice, ...]) -> None:
        """Show the name of every device, or the reason why it cannot be used."""
        best = next(choice for choice in choices if not choice.reason)
        self.setItemText(0, f"Automatic: {best.title}")
        for choice in choices:
            row = self.findData(choice.name)
            reason = f" – {choice.reason}" if choice.reason else ""
            self.setItemText(row, f"{choice.title}{reason}")
            self.setItemData(row, choice.reason or None, Qt.ItemDataRole.ToolTipRole)
            self.model().item(row).setEnabled(not choice.reason)
