"""Calibration of a network on held-out pixels by temperature scaling.

A single temperature is fitted to the predictions on held-out pixels (Guo et al., "On Calibration of
Modern Neural Networks", 2017). It changes no label, only the values of uncertainty maps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_emcad.inference.uncertainty import (
    TEMPERATURES,
    Reliability,
    fit_temperature,
    reliability,
)
from napari_emcad.interactive.held_out import HeldOutPredictions, held_out_predictions

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_emcad.annotation.record import Record
    from napari_emcad.inference.events import InferenceSettings, Notice, Progress
    from napari_emcad.interactive.annotated_patches import AnnotatedImage
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint

    Range = tuple[int, int]
    Sampled = tuple[NDArray[np.float32], NDArray[np.int16]]
    PatchJob = Generator[Progress | Notice, None, Sampled | None]


FEWEST_PIXELS = 50
"""Number of held-out pixels below which no temperature is fitted."""

_CLOSE_TO_ONE = 0.05
"""Distance from 1 below which a temperature changes next to nothing."""

_AT_BOUND = 0.99
"""Share of a bound from which a temperature counts as being at the bound."""

_POOR = 0.05
"""Share of wrong held-out pixels from which a model needs training rather than calibration."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A temperature, and the reliability of the network without and with it.

    Attributes
    ----------
    checkpoint
        The model that was calibrated.
    temperature
        Divisor of its logits; 1 if none could be fitted.
    before, after
        Reliability on the same pixels at a temperature of 1 and at this one.
    correct
        Number of these pixels that the model predicts correctly.
    """

    checkpoint: Checkpoint
    temperature: float
    before: Reliability
    after: Reliability
    correct: int

    @property
    def pixels(self) -> int:
        """Number of held-out pixels used."""
        return int(self.before.pixels.sum())

    @property
    def is_fitted(self) -> bool:
        """Whether a temperature was fitted; without wrong pixels there is nothing to fit."""
        return self.correct < self.pixels

    def __str__(self) -> str:
        """Return a description for the user."""
        pixels = f"{self.pixels:,} held-out pixels"
        if not self.is_fitted:
            return (
                f"No temperature: the model is right on all {pixels}, so its confidence elsewhere "
                f"cannot be judged. Paint where it is wrong as well."
            )
        if text := self._bound_text(pixels):
            return text
        before, after = self.before.error, self.after.error
        return (
            f"Temperature {self.temperature:.2g}: the model was "
            f"{_confidence_text(self.temperature)}. "
            f"Calibration error {before:.3f} → {after:.3f} on {pixels}."
        )

    def _bound_text(self, pixels: str) -> str:
        """Return a description of a temperature at one of its bounds, or ""."""
        start, wrong = f"Temperature {self.temperature:.2g}", self.pixels - self.correct
        if self.temperature > _AT_BOUND * TEMPERATURES[1]:
            poor = wrong >= _POOR * self.pixels
            advice = "Train it first." if poor else "Its probabilities do not show where."
            reason = f"the model is wrong on {wrong:,} of {pixels} at any confidence"
            return f"{start}, the highest: {reason}. {advice}"
        if self.temperature * _AT_BOUND < TEMPERATURES[0]:
            reason = f"the model is right on {self.correct:,} of {pixels} at any confidence"
            return f"{start}, the lowest: {reason}."
        return ""


def why_not_calibrate(record: Record) -> str:
    """Return the reason why held-out pixels do not suffice for a temperature, or ""."""
    annotated, held_out = record.pixel_counts, record.held_out_counts
    if not annotated:
        return "Calibration needs held-out strokes: paint on the Teach tab."
    if len(annotated) < 2:
        return "Calibration needs strokes of a second class (background counts)."
    if any(not held_out.get(k) for k in annotated):
        return "Calibration needs held-out strokes: at least five strokes of every class."
    total = sum(held_out.values())
    if total < FEWEST_PIXELS:
        return f"Calibration needs {FEWEST_PIXELS} held-out pixels; there are {total}."
    return ""


def calibrate_job(
    checkpoint: Checkpoint,
    images: Sequence[AnnotatedImage],
    record: Record,
    settings: InferenceSettings,
    stop: threading.Event,
) -> Generator[Progress | Notice, None, Calibration | None]:
    """Fit the temperature of a checkpoint; see `held_out_predictions` for the parameters.

    Returns
    -------
    Calibration
        None if the job was stopped.

    Raises
    ------
    ValueError
        If too few pixels are held out (`why_not_calibrate`), or the device cannot be used.
    """
    reason = why_not_calibrate(record)
    if reason:
        raise ValueError(reason)
    predictions = yield from held_out_predictions(checkpoint, images, record, settings, stop)
    return None if predictions is None else fit_calibration(checkpoint, predictions)


def fit_calibration(checkpoint: Checkpoint, predictions: HeldOutPredictions) -> Calibration:
    """Return the calibration that fits predictions best.

    Without a wrong pixel the best temperature would make the network certain of everything, so
    none is fitted and the temperature is 1.
    """
    logits, classes, correct = predictions.logits, predictions.classes, predictions.correct
    temperature = fit_temperature(logits, classes) if correct < len(classes) else 1.0
    before, after = (reliability(logits, classes, value) for value in (1.0, temperature))
    return Calibration(checkpoint, temperature, before, after, correct)


def _confidence_text(temperature: float) -> str:
    if abs(temperature - 1) < _CLOSE_TO_ONE:
        return "well calibrated"
    return "overconfident" if temperature > 1 else "underconfident"
