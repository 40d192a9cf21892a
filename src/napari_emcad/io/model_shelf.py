"""What a shelf of models shows of every model, kept in a folder so that no model has to be read."""

from __future__ import annotations

import hashlib
import io
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from napari_emcad.io.atomic_write import write_bytes
from napari_emcad.io.checkpoints.card import expected_image
from napari_emcad.io.checkpoints.checkpoint import Checkpoint
from napari_emcad.io.plain_text import strip_control_characters

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.checkpoints.instant_model import InstantModel

_LETTERS = 60
"""Most letters of a purpose."""


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """What a shelf shows of a model.

    Attributes
    ----------
    title, purpose
        Title of the model, and what it segments.
    expects
        The image that it expects: channels, size and range of values.
    dice
        Dice on held-out images; None if it is not known.
    colors
        Colors of the classes as ``#rrggbb``.
    """

    title: str
    purpose: str
    expects: str
    dice: float | None = None
    colors: tuple[str, ...] = ()


def summarize_model(model: Checkpoint | InstantModel) -> ModelSummary:
    """Return what a shelf shows of a model."""
    names = ", ".join(label.name for label in model.classes)
    description = model.description if isinstance(model, Checkpoint) else ""
    purpose = ": ".join(filter(None, [names, description.split(". ")[0].strip(". ")]))
    history = model.history if isinstance(model, Checkpoint) else ()
    dice = history[-1].get("best_dice") if history else None
    return ModelSummary(
        strip_control_characters(model.title) or "without a title",
        _shorten(strip_control_characters(" ".join(purpose.split()))),
        expected_image(model.config.input_channels, model.preprocessing),
        float(dice) if isinstance(dice, (int, float)) else None,
        tuple(label.color for label in model.classes),
    )


def _shorten(text: str) -> str:
    return text if len(text) <= _LETTERS else text[: _LETTERS - 1].rstrip() + "…"


class ModelShelf:
    """A folder with a summary and a picture of every model, by its path.

    Parameters
    ----------
    folder
        The folder; it is made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, path: str, summary: ModelSummary) -> None:
        """Keep the summary of a model.

        Raises
        ------
        OSError
            If writing fails.
        """
        self._write(path, ".json", json.dumps(asdict(summary)).encode())

    def write_picture(self, path: str, picture: NDArray[np.uint8]) -> None:
        """Keep a picture of what a model segments, ``(H, W, 3)``.

        Raises
        ------
        OSError
            If writing fails.
        """
        content = io.BytesIO()
        Image.fromarray(picture).save(content, "PNG")
        self._write(path, ".png", content.getvalue())

    def read(self, path: str) -> ModelSummary | None:
        """Return the summary of a model; None if there is none."""
        with suppress(OSError, ValueError, TypeError, AttributeError):
            values: dict[str, Any] = json.loads(self._file(path, ".json").read_bytes())
            return ModelSummary(**values | {"colors": tuple(values["colors"])})
        return None

    def read_picture(self, path: str) -> NDArray[np.uint8] | None:
        """Return the picture of a model, ``(H, W, 3)``; None if there is none."""
        with suppress(OSError, ValueError, UnidentifiedImageError):
            content = io.BytesIO(self._file(path, ".png").read_bytes())
            return np.asarray(Image.open(content).convert("RGB"))
        return None

    def remove(self, path: str) -> None:
        """Forget a model; its own file stays."""
        for suffix in (".json", ".png"):
            with suppress(OSError):
                self._file(path, suffix).unlink(missing_ok=True)

    def _write(self, path: str, suffix: str, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        write_bytes(self._file(path, suffix), content)

    def _file(self, path: str, suffix: str) -> Path:
        return self._folder / (hashlib.sha256(path.encode()).hexdigest()[:24] + suffix)
