"""The form for the details of a checkpoint that its file may lack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLineEdit, QPushButton, QWidget

from napari_emcad.imaging.intensity import IMAGENET_MEAN, IMAGENET_STD, ZOOMS
from napari_emcad.plugin.widgets.helpers import caption, combo, decimal, form, row, spin

if TYPE_CHECKING:
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

_NORMS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "ImageNet mean and std": (IMAGENET_MEAN, IMAGENET_STD),
    "none (0 … 1)": ((0.0,), (1.0,)),
}


class DetailsForm(QWidget):
    """Edits activation, branches, prediction, preprocessing and class names of a checkpoint.

    Signals
    -------
    changed
        The user changed details, given as arguments of `Checkpoint.override`.
    revert_requested
        The user wants the details of the file back.
    """

    changed = Signal(dict)
    revert_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._shown: dict[str, Any] = {}
        self._activation = combo({"ReLU6 (training scripts)": "relu6", "ReLU": "relu"})
        self._parallel = combo({"parallel": True, "sequential": False})
        self._head = combo({"finest head": "finest", "sum of the four heads": "sum"})
        self._inputs = combo({"3 (color)": 3, "1 (gray stem)": 1})
        self._intensity = combo(
            {"fixed range": "range", "percentiles": "percentile", "as they are": "none"}
        )
        self._low, self._high = (decimal(-1e9, 1e9) for _ in range(2))
        self._over = combo({"of each slice": "slice", "of the whole stack": "stack"})
        self._pool = combo(
            {"by itself, colors together": "color", "by itself": "none", "together": "all"}
        )
        self._pool.setToolTip(
            "Channels that share one range of percentiles; colors are the red, green and blue of a "
            "color picture"
        )
        self._norm = combo()
        self._native = combo({"native, in tiles": True, "resized to": False})
        self._zoom = decimal(*ZOOMS, step=0.25)
        self._zoom.setToolTip("Factor by which images are enlarged, for small objects")
        self._height, self._width = (spin(32, 8192, 32) for _ in range(2))
        self._classes = QLineEdit()
        self._classes.setToolTip("Names of classes 1, 2, …, separated by commas or semicolons")
        self._revert = QPushButton("As in the file")
        self._revert.setToolTip("Undoes all changes of this form")
        self._revert.clicked.connect(self.revert_requested)
        self._multiclass, self._separator = False, ","
        self._build()
        self._connect()

    def show_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Show the details of a checkpoint."""
        config, pixels = checkpoint.config, checkpoint.preprocessing
        for box, value in (
            (self._activation, config.activation),
            (self._parallel, config.dw_parallel),
            (self._inputs, config.input_channels),
            (self._head, checkpoint.head),
            (self._intensity, pixels.intensity),
            (self._over, pixels.over),
            (self._pool, pixels.pool_channels),
            (self._native, pixels.size is None),
        ):
            box.setCurrentIndex(box.findData(value))
        self._low.setValue(pixels.low)
        self._high.setValue(pixels.high)
        self._show_norm(pixels.mean, pixels.std)
        height, width = pixels.size or (352, 352)
        self._zoom.setValue(pixels.zoom)
        self._height.setValue(height)
        self._width.setValue(width)
        names = [label.name for label in checkpoint.classes]
        self._multiclass = len(names) > 1
        self._separator = ";" if any("," in name for name in names) else ","
        self._classes.setText(f"{self._separator} ".join(names))
        self._enable()
        self._shown = self._values()

    def _show_norm(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        self._norm.clear()
        for title, values in _NORMS.items():
            self._norm.addItem(title, values)
        if (mean, std) not in _NORMS.values():
            self._norm.addItem(f"mean {_join(mean)}; std {_join(std)}", (mean, std))
        listed = [tuple(self._norm.itemData(i)) for i in range(self._norm.count())]
        self._norm.setCurrentIndex(listed.index((mean, std)))

    def _build(self) -> None:
        rows = form(self)
        rows.addRow(caption("Activation"), self._activation)
        rows.addRow(caption("Branches"), self._parallel)
        rows.addRow(caption("Prediction"), self._head)
        rows.addRow(caption("Inputs"), self._inputs)
        rows.addRow(caption("Values"), self._intensity)
        rows.addRow(caption("From … to"), row(self._low, self._high))
        rows.addRow(caption("Percentiles"), self._over)
        rows.addRow(caption("Each channel"), self._pool)
        rows.addRow(caption("Normalize"), self._norm)
        rows.addRow(caption("Size"), self._native)
        rows.addRow(caption("Enlarged"), self._zoom)
        rows.addRow(caption("Pixels"), row(self._height, self._width))
        rows.addRow(caption("Classes"), self._classes)
        rows.addRow(caption(""), self._revert)

    def _connect(self) -> None:
        for box, name in (
            (self._activation, "activation"),
            (self._parallel, "dw_parallel"),
            (self._head, "head"),
            (self._inputs, "input_channels"),
            (self._over, "over"),
            (self._pool, "pool_channels"),
        ):
            box.activated.connect(lambda _, b=box, n=name: self._emit({n: b.currentData()}))
        self._intensity.activated.connect(lambda _: self._emit(self._new_intensity()))
        for box in (self._low, self._high):
            box.editingFinished.connect(lambda: self._emit(self._range()))
        self._norm.activated.connect(
            lambda _: self._emit(dict(zip(("mean", "std"), self._norm.currentData(), strict=True)))
        )
        self._native.activated.connect(lambda _: self._emit(self._sizes()))
        for side in (self._height, self._width, self._zoom):
            side.editingFinished.connect(lambda: self._emit(self._sizes()))
        self._classes.editingFinished.connect(lambda: self._emit({"classes": self._names()}))

    def _new_intensity(self) -> dict[str, Any]:
        """Return another kind of intensity with its default range."""
        intensity = self._intensity.currentData()
        if intensity == self._shown.get("intensity"):
            return {}
        default = {"range": (0.0, 255.0), "percentile": (0.5, 99.5)}.get(intensity)
        limits = dict(zip(("low", "high"), default, strict=True)) if default else {}
        return {"intensity": intensity, **limits}

    def _range(self) -> dict[str, float]:
        """Return both limits, or nothing until the user has changed the second one as well."""
        low, high = self._low.value(), self._high.value()
        return {"low": low, "high": high} if low < high else {}

    def _sizes(self) -> dict[str, Any]:
        """Return the size of the network's input: enlarged slices, or one fixed size."""
        if self._native.currentData():
            return {"size": None, "zoom": self._zoom.value()}
        return {"size": (self._height.value(), self._width.value()), "zoom": 1.0}

    def _names(self) -> list[str]:
        """Return the class names; the name of a single class may contain separators."""
        line = self._classes.text()
        separator = ";" if ";" in line else self._separator
        names = line.split(separator) if self._multiclass else [line]
        return [name.strip() for name in names if name.strip()]

    def _values(self) -> dict[str, Any]:
        """Return the values of all fields."""
        mean, std = self._norm.currentData()
        return {
            "activation": self._activation.currentData(),
            "dw_parallel": self._parallel.currentData(),
            "head": self._head.currentData(),
            "input_channels": self._inputs.currentData(),
            "over": self._over.currentData(),
            "pool_channels": self._pool.currentData(),
            "intensity": self._intensity.currentData(),
            "low": self._low.value(),
            "high": self._high.value(),
            "mean": mean,
            "std": std,
            **self._sizes(),
            "classes": self._names(),
        }

    def _emit(self, overrides: dict[str, Any]) -> None:
        """Emit `changed`, unless the user left the fields as they were."""
        self._enable()
        if any(self._shown.get(name) != value for name, value in overrides.items()):
            self.changed.emit(overrides)

    def _enable(self) -> None:
        native = self._native.currentData()
        self._height.setEnabled(not native)
        self._width.setEnabled(not native)
        self._zoom.setEnabled(native)
        intensity = self._intensity.currentData()
        self._over.setEnabled(intensity == "percentile")
        self._pool.setEnabled(intensity == "percentile")
        self._low.setEnabled(intensity != "none")
        self._high.setEnabled(intensity != "none")


def _join(numbers: tuple[float, ...]) -> str:
    """Return numbers as a text, or a single one if they are equal."""
    shown = numbers if len(set(numbers)) > 1 else numbers[:1]
    return ", ".join(f"{number:g}" for number in shown)
