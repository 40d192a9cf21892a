"""Whether a network's probabilities can be believed, measured on held-out paint.

Held-out strokes were never learned, so what the network says of them shows how sure it may be: one
temperature is fitted to them, which changes no label, only how doubtful the maps of doubt are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import map_coordinates

from napari_emcad.imaging.slices import as_slices
from napari_emcad.inference.events import Notice, Progress
from napari_emcad.inference.probabilities import class_probabilities
from napari_emcad.inference.stage_maps.keys import MapKey
from napari_emcad.inference.uncertainty import (
    TEMPERATURES,
    Reliability,
    entropy,
    fit_temperature,
    reliability,
)
from napari_emcad.interactive.annotated_patches import merged_record, patches_of
from napari_emcad.pipelines.stage_maps import stage_maps_job

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Hashable, Sequence

    from numpy.typing import NDArray

    from napari_emcad.annotation.record import AnnotatedPatch, Record
    from napari_emcad.inference.events import InferenceSettings
    from napari_emcad.inference.patches import Preprocessor
    from napari_emcad.inference.stage_maps.keys import StageMap
    from napari_emcad.interactive.annotated_patches import AnnotatedImage, PatchKey
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.model.network import PvtEmcad

    Span = tuple[int, int]
    Told = Generator[Progress | Notice, None, tuple[NDArray[np.float32], NDArray[np.int16]] | None]

FEWEST = 50
"""Held-out pixels below which a temperature says nothing."""

MOST = 2**18
"""Held-out pixels that are asked; of more, every n-th."""

_AROUND = 256
"""Pixels that the network sees around what is held out on a page of a large slice."""

_EQUAL = 0.05
"""A temperature this near to 1 changes next to nothing."""

_NEARLY = 0.99
"""A temperature is at its bound from this share of it on."""

_POOR = 0.05
"""Share of held-out pixels; a model that has more of them wrong is to be trained."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a network says of held-out pixels.

    Attributes
    ----------
    logits
        ``(K, n)``, as `napari_emcad.inference.probabilities.class_probabilities` takes them.
    classes
        ``(n,)``: what was painted.
    """

    logits: NDArray[np.float32]
    classes: NDArray[np.int16]

    @property
    def right(self) -> int:
        """How many it has right."""
        return int((class_probabilities(self.logits).argmax(0) == self.classes).sum())

    @property
    def doubt(self) -> float:
        """Mean entropy, 0 … 1."""
        return float(entropy(class_probabilities(self.logits)).mean())


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A temperature, and how far a network can be believed without and with it.

    Attributes
    ----------
    checkpoint
        The model that it is of, and of no other.
    temperature
        What its logits are divided by; 1 where none could be fitted.
    before, after
        At a temperature of 1, and at this one; of the same pixels.
    right
        How many of them the model has right.
    """

    checkpoint: Checkpoint
    temperature: float
    before: Reliability
    after: Reliability
    right: int

    @property
    def pixels(self) -> int:
        """How many stand behind it."""
        return int(self.before.pixels.sum())

    @property
    def fitted(self) -> bool:
        """Whether there was something to fit: mistakes."""
        return self.right < self.pixels

    def __str__(self) -> str:
        """Return it in plain words."""
        on = f"{self.pixels:,} held-out pixels"
        if not self.fitted:
            return (
                f"No temperature: the model is right on all {on}, so how sure it may be elsewhere "
                f"cannot be told. Paint where it is wrong as well."
            )
        if bound := self._bound(on):
            return bound
        before, after = self.before.error, self.after.error
        return (
            f"Temperature {self.temperature:.2g}: the model was {_how_sure(self.temperature)}. "
            f"Calibration error {before:.3f} → {after:.3f} on {on}."
        )

    def _bound(self, on: str) -> str:
        """Return what is said of a temperature at one of its bounds, or ""."""
        said, wrong = f"Temperature {self.temperature:.2g}", self.pixels - self.right
        if self.temperature > _NEARLY * TEMPERATURES[1]:
            poor = wrong >= _POOR * self.pixels
            advice = "Train it first." if poor else "Its probabilities do not tell where."
            which = f"the model is wrong on {wrong:,} of {on} however sure it is"
            return f"{said}, the highest: {which}. {advice}"
        if self.temperature * _NEARLY < TEMPERATURES[0]:
            which = f"the model is right on {self.right:,} of {on} however unsure it is"
            return f"{said}, the lowest: {which}."
        return ""


def why_not_calibrate(record: Record) -> str:
    """Return why held-out paint is not enough for a temperature, or ""."""
    painted, held_out = record.painted, record.held_out
    if not painted:
        return "Calibrating needs held-out paint: paint strokes on the Teach tab."
    if len(painted) < 2:
        return "Calibrating needs strokes of a second class (background counts)."
    if any(not held_out.get(k) for k in painted):
        return "Calibrating needs held-out strokes of every class: five strokes of each."
    total = sum(held_out.values())
    if total < FEWEST:
        return f"Calibrating needs {FEWEST} held-out pixels; there are {total}."
    return ""


def held_out_answers(
    checkpoint: Checkpoint,
    sources: Sequence[AnnotatedImage],
    record: Record,
    settings: InferenceSettings,
    stop: threading.Event,
) -> Generator[Progress | Notice, None, Answers | None]:
    """Ask a network about held-out pixels, page by page; torch is imported when it first runs.

    It sees them as a segmentation of the whole slice does: intensities of the whole slice (or
    stack), enlarged or resized as the checkpoint says. Of a slice that is too large for that it
    sees the surroundings.

    Parameters
    ----------
    checkpoint
        Whose network.
    sources
        The pairs that count.
    record
        Its classes are those of the checkpoint.
    settings
        Device, tile, overlap and precision count.
    stop
        Ends after the current tile.

    Returns
    -------
    Answers
        None if it was stopped.

    Raises
    ------
    ValueError
        If nothing is held out, or the device cannot be used.
    """
    from napari_emcad.inference.patches import Preprocessor  # torch; a panel makes values only

    record = merged_record(sources, record)
    keys = [key for key in patches_of(sources, record) if record.pages[key].held_out]
    if not keys:
        raise ValueError("Nothing is held out.")
    every = -(-sum(int(record.pages[key].held.sum()) for key in keys) // MOST)
    by_key = {each.key: each.slices for each in sources}
    ready: dict[Hashable, Preprocessor] = {}
    network = checkpoint.network()
    found: list[tuple[NDArray[np.float32], NDArray[np.int16]]] = []
    for number, key in enumerate(keys):
        yield Progress(number, len(keys))
        if key.source not in ready:
            ready[key.source] = Preprocessor(by_key[key.source], checkpoint.preprocessing)
        job = _page(checkpoint, network, ready[key.source], key, record.pages[key], settings, stop)
        said = yield from _without_progress(job, passed=len(keys) == 1)
        if said is None:
            return None
        found.append(said)
    yield Progress(len(keys), len(keys))
    logits, classes = (np.concatenate(parts, axis=-1) for parts in zip(*found, strict=True))
    return Answers(logits[:, ::every], classes[::every])


def calibrate(
    checkpoint: Checkpoint,
    sources: Sequence[AnnotatedImage],
    record: Record,
    settings: InferenceSettings,
    stop: threading.Event,
) -> Generator[Progress | Notice, None, Calibration | None]:
    """Fit the temperature of a checkpoint to held-out paint; see `held_out_answers`.

    Returns
    -------
    Calibration
        None if it was stopped.

    Raises
    ------
    ValueError
        If too little is held out (`why_not_calibrate`), or the device cannot be used.
    """
    record = merged_record(sources, record)
    reason = why_not_calibrate(record)
    if reason:
        raise ValueError(reason)
    answers = yield from held_out_answers(checkpoint, sources, record, settings, stop)
    return None if answers is None else calibrated(checkpoint, answers)


def calibrated(checkpoint: Checkpoint, answers: Answers) -> Calibration:
    """Return the calibration that answers make.

    A network that is right everywhere would be told to be sure of everything: then nothing is
    fitted, and the temperature is 1.
    """
    logits, classes, right = answers.logits, answers.classes, answers.right
    temperature = fit_temperature(logits, classes) if right < len(classes) else 1.0
    before, after = (reliability(logits, classes, each) for each in (1.0, temperature))
    return Calibration(checkpoint, temperature, before, after, right)


def _how_sure(temperature: float) -> str:
    if abs(temperature - 1) < _EQUAL:
        return "about as sure as it is right"
    return "too sure" if temperature > 1 else "less sure than it may be"


def _without_progress(job: Told, passed: bool) -> Told:
    """Pass on what a page's job tells; its progress only if it is the only one."""
    while True:
        try:
            event = next(job)
        except StopIteration as ended:
            said: tuple[NDArray[np.float32], NDArray[np.int16]] | None = ended.value
            return said
        if passed or not isinstance(event, Progress):
            yield event


def _page(
    checkpoint: Checkpoint,
    network: PvtEmcad,
    ready: Preprocessor,
    key: PatchKey,
    page: AnnotatedPatch,
    settings: InferenceSettings,
    stop: threading.Event,
) -> Told:
    """Return logits ``(K, n)`` and classes ``(n,)`` of a page's held-out pixels."""
    rows, columns = np.nonzero(page.held)
    classes = page.target[rows, columns]
    rows, columns = rows + key.rows[0], columns + key.columns[0]
    whole = ready.slices.height, ready.slices.width
    top, left = (0, whole[0]), (0, whole[1])
    if checkpoint.preprocessing.size is None and (key.rows, key.columns) != (top, left):
        top, left = (_around(at, size) for at, size in zip((rows, columns), whole, strict=True))
    planes = ready.planes(key.index, top, left)
    inputs = checkpoint.config.input_channels
    slices = as_slices(planes, inputs, "CYX", range(inputs) if len(planes) > 1 else (0,))
    prepared = replace(
        checkpoint, preprocessing=replace(checkpoint.preprocessing, intensity="none")
    )
    said = MapKey("sum" if checkpoint.head == "sum" else "logits", 1)
    job = stage_maps_job(slices, prepared, (said,), settings, stop, network=network)
    found: StageMap | None = None
    for event in job:  # to its end: a generator that is closed keeps its network
        if isinstance(event, (Progress, Notice)):
            yield event
        else:
            found = event.maps[0]
    if found is None:
        return None
    return _sampled(found, rows - top[0], columns - left[0]), classes


def _around(at: NDArray[np.integer], size: int) -> Span:
    """Return the range of a side that lies around these pixels."""
    return max(int(at.min()) - _AROUND, 0), min(int(at.max()) + 1 + _AROUND, size)


def _sampled(
    found: StageMap, rows: NDArray[np.integer], columns: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Return a map at image pixels, ``(K, n)``: between its own pixels bilinearly."""
    if found.factor is None or found.offset is None:
        raise ValueError(f"{found.key} has no place on the image.")
    places = np.stack(
        [
            (at - corner) / factor
            for at, corner, factor in zip((rows, columns), found.offset, found.factor, strict=True)
        ]
    )
    values = found.values.reshape(-1, *found.values.shape[-2:])
    sampled = [map_coordinates(each, places, order=1, mode="nearest") for each in values]
    return np.stack(sampled).astype(np.float32)
