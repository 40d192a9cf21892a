"""The form for the roles of an image's axes, and the channels that the network receives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_emcad.plugin.layers.geometry import AxisInfo, axes_of, axes_string, levels
from napari_emcad.plugin.widgets.helpers import caption, combo, form, shorten, text

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari.layers import Image
    from qtpy.QtWidgets import QComboBox

_ROLES = {"": "choose …", "S": "slices", "C": "channels", "Y": "rows", "X": "columns"}
_INPUTS = {1: ("Channel",), 3: ("Red input", "Green input", "Blue input")}
_UNSET, _EMPTY = -2, -1


class AxesForm(QWidget):
    """Shows the axes of an image layer and lets the user choose their roles.

    Signals
    -------
    changed
        The user chose another role or channel.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._rgb = False
        self._layer: Hashable = None
        self._axes: tuple[AxisInfo, ...] = ()
        self._inputs = 3
        self._roles: list[QComboBox] = []
        self._channels: list[QComboBox] = []
        self._form = form(self)

    def show_layer(self, layer: Image | None, inputs: int) -> None:
        """Show the axes of a layer; what was chosen for this layer stays where it is possible.

        Parameters
        ----------
        layer
            Image layer; None for none.
        inputs
            Number of input channels of the network.
        """
        axes = () if layer is None else axes_of(layer)
        rgb, key = layer is not None and bool(layer.rgb), getattr(layer, "unique_id", None)
        if (key, axes, rgb, inputs) == (self._layer, self._axes, self._rgb, self._inputs):
            return
        names = [axis.name for axis in axes]
        same = key == self._layer and names == [axis.name for axis in self._axes]
        chosen = (self._roles, self._channels) if same else ([], [])
        roles, channels = ([box.currentData() for box in boxes] for boxes in chosen)
        self._clear()
        self._layer, self._axes, self._rgb, self._inputs = key, axes, rgb, inputs
        if layer is not None:
            self._show_axes(levels(layer)[0].array.shape)
        _choose(self._roles, roles)
        self._show_channels()
        _choose(self._channels, channels)

    @property
    def roles(self) -> tuple[str, ...]:
        """Role of every axis: Y, X, C, S (slices) or "" (not chosen)."""
        if not self._roles:
            return tuple(axis.role for axis in self._axes)
        return tuple(box.currentData() for box in self._roles)

    @property
    def axes(self) -> str:
        """Axes for `napari_emcad.segment`; valid if there is no `problem`."""
        return axes_string(self.roles, self._rgb)

    @property
    def channels(self) -> tuple[int | None, ...] | None:
        """Channel of every network input, None for an empty one; None if there is no choice."""
        if not self._channels:
            return None
        chosen = [box.currentData() for box in self._channels]
        return tuple(None if channel == _EMPTY else channel for channel in chosen)

    def choose(self, axes: str, channels: tuple[int | None, ...] | None) -> tuple[str, ...]:
        """Choose roles and channels, and return the names of what does not fit the layer.

        Parameters
        ----------
        axes, channels
            As the properties; "" and None change nothing.
        """
        wrong = []
        stacked = axes.removesuffix("C") if self._rgb else axes
        if stacked and len(stacked) != len(self._axes):
            wrong.append("axes")
        elif stacked and self._roles:
            _choose(self._roles, [letter if letter in "CYX" else "S" for letter in stacked])
            self._roles_changed()
        if channels is not None and len(channels) == len(self._channels):
            _choose(self._channels, [_EMPTY if c is None else c for c in channels])
        elif channels is not None:
            wrong.append("channels")
        return tuple(wrong)

    @property
    def problem(self) -> str:
        """Reason why the axes cannot be used, or ""."""
        roles = self.roles
        for place, (axis, role) in enumerate(zip(self._axes, roles, strict=True)):
            if not role:
                other = "columns" if "X" in roles[:place] else "slices"
                return f"Choose whether axis {axis.name} ({axis.size}) is {other} or channels."
        for role, name in (("Y", "rows"), ("X", "columns")):
            if roles.count(role) != 1:
                return f"Exactly one axis must be {name}; now {roles.count(role)} are."
        if roles.count("C") > 1:
            return "Only one axis can be channels."
        if any(box.currentData() == _UNSET for box in self._channels):
            return "Choose which channel feeds each input."
        return ""

    def _clear(self) -> None:
        self._axes, self._roles, self._channels = (), [], []
        while self._form.rowCount():
            self._form.removeRow(0)

    def _show_axes(self, shape: tuple[int, ...]) -> None:
        sizes = " × ".join(str(axis.size) for axis in self._axes)
        colors = f", {'RGB' if shape[-1] == 3 else 'RGBA'}" if self._rgb else ""
        self._form.addRow(caption("Size"), text(f"{sizes} pixels{colors}"))
        if len(self._axes) < 3:
            return
        for axis in self._axes:
            self._roles.append(self._role_combo(axis.role))
            self._form.addRow(
                caption(f"Axis {shorten(axis.name, 8)} ({axis.size})"), self._roles[-1]
            )

    def _role_combo(self, role: str) -> QComboBox:
        box = combo({title: key for key, title in _ROLES.items() if key or not role})
        box.setToolTip("What lies along this axis of the image: rows, columns, slices or channels")
        box.setCurrentIndex(box.findData(role))
        box.activated.connect(self._roles_changed)
        return box

    def _roles_changed(self) -> None:
        for box in self._channels:
            self._form.removeRow(box)
        self._channels = []
        self._show_channels()
        self.changed.emit()

    def _show_channels(self) -> None:
        if self._rgb or self.roles.count("C") != 1:
            return
        count = self._axes[self.roles.index("C")].size
        if count == 1:
            return
        for position, title in enumerate(_INPUTS[self._inputs]):
            self._channels.append(self._channel_combo(count, position))
            self._form.addRow(caption(title), self._channels[-1])

    def _channel_combo(self, count: int, position: int) -> QComboBox:
        box = combo({"choose …": _UNSET})
        box.setToolTip("Channel of the image that feeds this input of the network; none is 0")
        for channel in range(count):
            box.addItem(f"channel {channel}", channel)
        if self._inputs > 1:
            box.addItem("nothing", _EMPTY)
        box.setCurrentIndex(box.findData(position if count == self._inputs else _UNSET))
        box.activated.connect(lambda _: self._channel_chosen(box.currentData()))
        return box

    def _channel_chosen(self, channel: int) -> None:
        """Use the first chosen channel for all inputs; the user may change the others."""
        for box in self._channels:
            if box.currentData() == _UNSET:
                box.setCurrentIndex(box.findData(channel))
        self.changed.emit()


def _choose(boxes: list[QComboBox], values: list[Any]) -> None:
    """Choose values that were chosen before in as many boxes, if they are offered still."""
    if len(boxes) == len(values):
        for box, value in zip(boxes, values, strict=True):
            if (row := box.findData(value)) >= 0:
                box.setCurrentIndex(row)
