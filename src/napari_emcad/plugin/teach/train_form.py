"""The training form: number of steps, and all other settings under Advanced."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QLineEdit, QWidget

from napari_emcad.interactive.task import Start, TrainingSettings
from napari_emcad.plugin.widgets.helpers import (
    caption,
    collapsible,
    combo,
    decimal,
    duration,
    form,
    row,
    spin,
    text,
)
from napari_emcad.training.config import LossName, SupervisionName, TeacherName
from napari_emcad.training.presets import PRESETS
from napari_emcad.training.settings import parse_settings

if TYPE_CHECKING:
    from qtpy.QtWidgets import QComboBox

    from napari_emcad.training.config import Trainable

_STARTS: dict[str, Start] = {
    "automatic": "automatic",
    "the open model": "model",
    "the general network (B0)": "general",
    "ImageNet encoder (timm's hub)": "imagenet",
    "an encoder file …": "file",
    "nothing": "nothing",
}
_PARTS: dict[str, Trainable] = {
    "everything": "all",
    "decoder, stages 2 to 4": "stage2",
    "decoder, stages 3 and 4": "stage3",
    "decoder, stage 4": "stage4",
    "decoder alone": "decoder",
}
_LOSSES: dict[str, LossName] = {
    "CE + Dice": "ce_dice",
    "BCE + Dice": "bce_dice",
    "unified (Dice + focal)": "unified",
    "asymmetric unified focal": "asymmetric_unified",
    "weighted BCE + IoU": "weighted_bce_iou",
}
_SUPERVISIONS: dict[str, SupervisionName] = {
    "four heads and their sum": "deep_and_sum",
    "four heads": "deep",
    "all 15 sums (MUTATION)": "mutation",
    "last head": "last",
    "learned weights": "learned",
}
_TEACHERS: dict[str, TeacherName] = {
    "probe, if images are unfamiliar": "probe",
    "probe, where the model agrees": "consensus",
    "the initial model": "initial",
    "running mean of the model": "ema",
}
_STROKES, _FRESH = "scribbles", "scribbles-from-nothing"
"""Presets for strokes, for trained and for untrained networks."""

_MOST_STEPS = 100_000

_TIPS = {
    "_start": "Weights to begin with. Automatic: the open model, or the general network if the "
    "included nuclei model does not know the images",
    "_part": "Parts of the network that learn; fewer are quicker and forget less",
    "_presets": "Sets all fields below to a named configuration (scribbles)",
    "_loss": "What the training makes small (binary or multi-class, by the preset)",
    "_supervision": "Which of the four heads, and sums of them, are compared with the strokes",
    "_rate": "Size of an optimizer step of AdamW (0.0003)",
    "_batch": "Crops per optimizer step (2); more need more memory",
    "_crop": "Side of a crop in pixels, a multiple of 32 (256)",
    "_seed": "Number that makes the random crops repeatable (0)",
}
"""Tool tips of fields."""


class TrainForm(QWidget):
    """Edits a `TrainingSettings`.

    Signals
    -------
    changed
        A value has changed.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._file: Path | None = None
        self._preset = PRESETS[_STROKES]
        self._start, self._part = combo(_STARTS), combo(_PARTS)
        self._steps = spin(1, _MOST_STEPS, 10)
        self._steps.setToolTip(
            "Optimizer steps; a step uses one batch of crops around annotated pixels"
        )
        self._duration = text()
        self._pace = 0.0
        self._presets = combo({name: name for name in PRESETS})
        self._loss, self._supervision = combo(_LOSSES), combo(_SUPERVISIONS)
        self._teacher = combo(_TEACHERS)
        self._rate, self._encoder_rate = decimal(1e-7, 1, 1e-4), decimal(0, 10, 0.1)
        self._batch, self._crop = spin(1, 64), spin(32, 1024, 32, "px")
        self._pseudo, self._boundary = decimal(0, 10, 0.1), decimal(0, 10, 0.1)
        self._ema = decimal(0, 0.9999, 0.01)
        self._seed = spin(0, 10**6)
        self._more = QLineEdit()
        self._build()
        self._connect()
        self.set_value(TrainingSettings(self._preset))

    def value(self) -> TrainingSettings:
        """Return the values of the form.

        Raises
        ------
        ValueError
            If two settings contradict each other, or a further one is unknown.
        """
        batch, steps = self._batch.value(), self._steps.value()
        epochs = min(max(steps // 10, 1), 8)
        per_epoch = max(steps // epochs, 1)
        config = self._preset.replace(
            loss=self._loss.currentData(),
            supervision=self._supervision.currentData(),
            learning_rate=self._rate.value(),
            encoder_rate=self._encoder_rate.value(),
            train=self._part.currentData(),
            batch=batch,
            crop=self._crop.value(),
            pseudo=self._pseudo.value(),
            teacher=self._teacher.currentData(),
            boundary=self._boundary.value(),
            ema=self._ema.value(),
            seed=self._seed.value(),
            epochs=max(round(steps / per_epoch), 1),
            crops_per_epoch=per_epoch * batch,
            validate_every=1,
            **parse_settings(self._more.text()),
        )
        return TrainingSettings(config, self._start.currentData(), self._file)

    @property
    def problem(self) -> str:
        """Reason why the values cannot be used, or ""."""
        if self._start.currentData() == "file" and self._file is None:
            return "Choose an encoder file."
        try:
            self.value()
        except ValueError as error:
            return str(error)
        return ""

    def set_value(self, settings: TrainingSettings) -> None:
        """Show other values."""
        config = settings.config
        self._preset = config
        self._steps.setValue(settings.steps)
        for box, value in (
            (self._loss, config.loss),
            (self._supervision, config.supervision),
            (self._part, config.train),
            (self._teacher, config.teacher),
            (self._start, settings.start),
        ):
            box.setCurrentIndex(box.findData(value))
        for field, number in (
            (self._rate, config.learning_rate),
            (self._encoder_rate, config.encoder_rate),
            (self._batch, config.batch),
            (self._crop, config.crop),
            (self._pseudo, config.pseudo),
            (self._boundary, config.boundary),
            (self._ema, config.ema),
            (self._seed, config.seed),
        ):
            field.setValue(number)
        self._file = settings.encoder_file

    def set_steps(self, steps: int) -> None:
        """Set the number of steps of the next training."""
        self._steps.setValue(steps)

    @property
    def batch_pixels(self) -> int:
        """Pixels of a batch."""
        return int(self._batch.value() * self._crop.value() ** 2)

    def show_pace(self, seconds: float) -> None:
        """Show how long a training takes.

        Parameters
        ----------
        seconds
            Duration of a step per pixel of its batch; 0 if it is not known.
        """
        self._pace = seconds
        self._show_duration()

    def _show_duration(self, _: object = None) -> None:
        seconds = self._steps.value() * self.batch_pixels * self._pace
        self._duration.setText(f"about {duration(seconds)}" if seconds else "")

    def _build(self) -> None:
        rows, inner = form(self), QWidget()
        rows.addRow(caption("Steps"), row(self._steps, self._duration))
        advanced = form(inner)
        self._encoder_rate.setToolTip("Factor on the learning rate of the encoder")
        for field, tip in _TIPS.items():
            getattr(self, field).setToolTip(tip)
        self._pseudo.setToolTip("Weight of the pseudo-labels of unlabeled pixels; 0 is off")
        self._teacher.setToolTip(
            "Source of the pseudo-labels: a linear probe fitted to the strokes if the model had "
            "the first ones wrong, else the initial model; or confident predictions of the running "
            "mean"
        )
        self._boundary.setToolTip("Weight of a loss that draws borders to edges; 0 is off")
        self._ema.setToolTip(
            "Decay of the running mean of the weights, which is the result; 0 is off"
        )
        self._more.setPlaceholderText("flip=false, weight_decay=0.01")
        self._more.setToolTip("Any other setting, as name=value, separated by commas")
        for title, field in (
            ("Start from", self._start),
            ("Train", self._part),
            ("Preset", self._presets),
            ("Loss", self._loss),
            ("Supervision", self._supervision),
            ("Learning rate", self._rate),
            ("Encoder rate", self._encoder_rate),
            ("Batch", self._batch),
            ("Crop", self._crop),
            ("Running mean", self._ema),
            ("Pseudo-labels", self._pseudo),
            ("Labels from", self._teacher),
            ("Boundary", self._boundary),
            ("Seed", self._seed),
            ("Further", self._more),
        ):
            advanced.addRow(caption(title), field)
        rows.addRow(collapsible("Advanced", inner))
        self._presets.setCurrentIndex(self._presets.findData(_STROKES))

    def _connect(self) -> None:
        self._presets.activated.connect(self._preset_chosen)
        self._start.activated.connect(self._start_chosen)
        boxes: tuple[QComboBox, ...] = (self._loss, self._supervision, self._part, self._teacher)
        for box in boxes:
            box.activated.connect(self.changed)
        for field in (self._rate, self._encoder_rate, self._pseudo, self._boundary, self._ema):
            field.valueChanged.connect(self.changed)
        for number in (self._steps, self._batch, self._crop, self._seed):
            number.valueChanged.connect(self._show_duration)
            number.valueChanged.connect(self.changed)
        self._more.textChanged.connect(self.changed)

    def _preset_chosen(self) -> None:
        preset = PRESETS[self._presets.currentData()]
        self.set_value(TrainingSettings(preset, self._start.currentData(), self._file))
        self.changed.emit()

    def _start_chosen(self) -> None:
        if self._start.currentData() == "file":
            path, _ = QFileDialog.getOpenFileName(
                self, "Open a PVTv2 encoder", "", "Encoders (*.pth *.pt *.safetensors);;All (*)"
            )
            self._file = Path(path) if path else None
        self._start.setToolTip(str(self._file) if self._file else _TIPS["_start"])
        self._suit_preset()
        self.changed.emit()

    def _suit_preset(self) -> None:
        """Use the preset for strokes that suits the initial weights, unless another was chosen."""
        start = self._start.currentData()
        if self._presets.currentData() not in (_STROKES, _FRESH):
            return
        fresh = start not in ("automatic", "model")
        preset = PRESETS[_FRESH if fresh else _STROKES]
        if fresh and start != "nothing":  # the encoder is trained already
            preset = preset.replace(encoder_rate=PRESETS[_STROKES].encoder_rate)
        self._presets.setCurrentIndex(self._presets.findData(_FRESH if fresh else _STROKES))
        self.set_value(TrainingSettings(preset, start, self._file))


assert set(_LOSSES.values()) == set(get_args(LossName))
assert set(_TEACHERS.values()) == set(get_args(TeacherName))
assert set(_SUPERVISIONS.values()) == set(get_args(SupervisionName))
