"""The form for the details of a checkpoint that its file may lack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QLineEdit, QPushButton, QWidget

from napari_emcad.imaging.intensity import IMAGENET_MEAN, IMAGENET_STD, ZOOMS
from napari_emcad.io.checkpoints.sniff import CheckpointError
from napari_emcad.plugin.model.detail_tips import DETAIL_TIPS
from napari_emcad.plugin.widgets.helpers import (
    ERROR_COLOR,
    caption,
    combo,
    decimal,
    form,
    list_items,
    row,
    spin,
    text,
)

if TYPE_CHECKING:
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint, Origin

_NORMS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "ImageNet mean and std": (IMAGENET_MEAN, IMAGENET_STD),
    "none (0 … 1)": ((0.0,), (1.0,)),
}

_RANGES = {"range": (0.0, 255.0), "percentile": (0.5, 99.5)}
"""Range of every kind of intensity, for models that had no other."""

_SIDE = 352
"""Height and width in pixels to which images are resized, for models that had no other size."""


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
        self._checkpoint: Checkpoint | None = None
        self._shown: dict[str, Any] = {}
        self._origin: Origin | None = None
        self._ranges, self._norms = dict(_RANGES), list(_NORMS.items())
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
        self._height, self._width = (spin(32, 8192, 32) for _ in range(2))
        for field, tip in DETAIL_TIPS.items():
            getattr(self, field).setToolTip(tip)
        self._classes = QLineEdit()
        self._classes.setToolTip("Names of classes 1, 2, …, separated by commas or semicolons")
        self._revert = QPushButton("As in the file")
        self._revert.setToolTip("Undoes all changes of this form")
        self._revert.clicked.connect(self.show_again)
        self._revert.clicked.connect(self.revert_requested)
        self._problem = text()
        self._problem.setStyleSheet(f"color: {ERROR_COLOR};")
        self._problem.setVisible(False)
        self._multiclass, self._separator = False, ","
        self._build()
        self._connect()

    def show_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Show the details of a checkpoint.

        Only fields whose detail has changed are set: what the user has typed into others stays.
        """
        origin = checkpoint.origin
        if origin.format != "new" and origin != self._origin:
            self._origin, self._shown, self._ranges = origin, {}, dict(_RANGES)
            self._norms = list(_NORMS.items())
            self._height.setValue(_SIDE)
            self._width.setValue(_SIDE)
        shown, self._shown = self._shown, _details(checkpoint)
        self._checkpoint = checkpoint
        self._ranges[self._shown["intensity"]] = self._shown["low"], self._shown["high"]
        changed = {name for name, value in self._shown.items() if shown.get(name) != value}
        for name, box in self._boxes().items():
            if name in changed or not shown:
                box.setCurrentIndex(box.findData(self._shown[name]))
        self._show_numbers(changed, first=not shown)
        if changed & {"mean", "std"}:
            self._show_norm()
        if "classes" in changed:
            self._show_classes()
        self._enable()
        self._check()

    def show_again(self) -> None:
        """Show the details of the checkpoint in all fields, and forget what was typed."""
        if self._checkpoint is not None:
            self._shown = {}
            self.show_checkpoint(self._checkpoint)

    def _boxes(self) -> dict[str, QComboBox]:
        """Return the combo boxes whose values are details, by the name of the detail."""
        return {
            "activation": self._activation,
            "dw_parallel": self._parallel,
            "head": self._head,
            "input_channels": self._inputs,
            "over": self._over,
            "pool_channels": self._pool,
            "intensity": self._intensity,
        }

    def _show_numbers(self, changed: set[str], first: bool) -> None:
        """Show range, size and zoom; fields of the kind of size that is not chosen stay."""
        if changed & {"intensity", "low", "high"}:
            self._low.setValue(self._shown["low"])
            self._high.setValue(self._shown["high"])
        size = self._shown["size"]
        if changed & {"size", "zoom"} or first:
            self._native.setCurrentIndex(self._native.findData(size is None))
            if size is None or first:
                self._zoom.setValue(self._shown["zoom"])
            if size is not None:
                self._height.setValue(size[0])
                self._width.setValue(size[1])

    def _show_norm(self) -> None:
        """List the known normalizations and those that the model had since it was opened."""
        mean, std = norm = self._shown["mean"], self._shown["std"]
        if norm not in [values for _, values in self._norms]:
            self._norms.append((f"mean {_join(mean)}; std {_join(std)}", norm))
        list_items(self._norm, [(title, values, "") for title, values in self._norms])
        self._norm.setCurrentIndex([values for _, values in self._norms].index(norm))

    def _show_classes(self) -> None:
        names = self._shown["classes"]
        self._multiclass = len(names) > 1
        self._separator = ";" if any("," in name for name in names) else ","
        self._classes.setText(f"{self._separator} ".join(names))

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
        rows.addRow(self._problem)
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
        self._classes.textEdited.connect(self._check)
        for number in (self._low, self._high, self._height, self._width, self._zoom):
            number.valueChanged.connect(self._check)

    def _new_intensity(self) -> dict[str, Any]:
        """Return another kind of intensity with the last range of this model for it."""
        intensity = self._intensity.currentData()
        if intensity == self._shown.get("intensity") or intensity not in self._ranges:
            return {"intensity": intensity}
        low, high = self._ranges[intensity]
        return {"intensity": intensity, "low": low, "high": high}

    def _range(self) -> dict[str, float]:
        return {"low": self._low.value(), "high": self._high.value()}

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

    def _emit(self, overrides: dict[str, Any]) -> None:
        """Emit `changed`, unless the user left the fields as they were or they are wrong."""
        self._enable()
        changed = self._changed(overrides)
        if changed and not self._problem_of(overrides):
            self.changed.emit(overrides)
        self._check()

    def _changed(self, overrides: dict[str, Any]) -> bool:
        return any(self._shown.get(name) != value for name, value in overrides.items())

    def _problem_of(self, overrides: dict[str, Any]) -> str:
        """Return the reason why details cannot be set, or ""."""
        low, high = overrides.get("low", 0.0), overrides.get("high", 1.0)
        if low >= high:
            return f"From ({low:g}) must be below To ({high:g})."
        try:
            if self._checkpoint is not None and self._changed(overrides):
                self._checkpoint.override(**overrides)
        except CheckpointError as error:
            return str(error)
        return ""

    def _check(self, _: object = None) -> None:
        """Show at once what is wrong with the fields; what was typed stays."""
        fields: list[dict[str, Any]] = [{"classes": self._names()}, self._range(), self._sizes()]
        fields += [{name: box.currentData()} for name, box in self._boxes().items()]
        problems = [problem for field in fields if (problem := self._problem_of(field))]
        self._problem.setText("\n".join(dict.fromkeys(problems)))
        self._problem.setVisible(bool(problems))

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


def _details(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the details of a checkpoint as arguments of `Checkpoint.override`."""
    config, pixels = checkpoint.config, checkpoint.preprocessing
    return {
        "activation": config.activation,
        "dw_parallel": config.dw_parallel,
        "head": checkpoint.head,
        "input_channels": config.input_channels,
        "over": pixels.over,
        "pool_channels": pixels.pool_channels,
        "intensity": pixels.intensity,
        "low": pixels.low,
        "high": pixels.high,
        "mean": pixels.mean,
        "std": pixels.std,
        "size": pixels.size,
        "zoom": pixels.zoom,
        "classes": [label.name for label in checkpoint.classes],
    }


def _join(numbers: tuple[float, ...]) -> str:
    """Return numbers as a text, or a single one if they are equal."""
    shown = numbers if len(set(numbers)) > 1 else numbers[:1]
    return ", ".join(f"{number:g}" for number in shown)
