"""A checkpoint: the weights of a network with everything that is needed to use them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from napari_emcad.io.checkpoints.overrides import override
from napari_emcad.io.plain_text import strip_control_characters
from napari_emcad.model.tensor_shapes import count_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_emcad.imaging.intensity import Preprocessing
    from napari_emcad.io.checkpoints.classes import ClassLabel
    from napari_emcad.model.config import ModelConfig
    from napari_emcad.model.network import PvtEmcad

Head = Literal["finest", "sum"]

UNTRAINED = "Untrained: its segmentations mean nothing before it has been trained."
"""The note of a new network."""

_CLASSES_IN_REPR = 8


@dataclass(frozen=True, slots=True)
class Origin:
    """Path of the file that a checkpoint was read from, its SHA-256, and its format."""

    path: str
    sha256: str
    format: Literal["native", "published", "new"]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Checkpoint:
    """Weights of a network with everything that is needed to use them.

    Attributes
    ----------
    config
        Architecture of the network.
    tensors
        Weights by the names of `PvtEmcad`; read-only.
    preprocessing
        Normalization and resizing of images.
    classes
        Classes 1, 2, …; label k of a segmentation is ``classes[k - 1]``, 0 is the background.
    head
        Output that is the prediction: that of the finest stage, ``"finest"``, or the ``"sum"`` of
        all four.
    title, description
        What it segments, what it was trained on, how well it performs, as text for people without
        control characters.
    history
        One dictionary per training that led here, oldest first.
    parent
        SHA-256 of the checkpoint that training started from.
    origin
        File it was read from.
    assumed
        Names of settings that the file does not contain, for which defaults are used.
    notes
        Other remarks for the user, such as tensors that were left out.

    Raises
    ------
    ValueError
        If a value has the wrong type, or values contradict each other.
    """

    config: ModelConfig
    tensors: Mapping[str, NDArray[Any]]
    preprocessing: Preprocessing
    classes: tuple[ClassLabel, ...]
    head: Head = "finest"
    title: str = ""
    description: str = ""
    history: tuple[dict[str, Any], ...] = ()
    parent: str | None = None
    origin: Origin = Origin("", "", "new")
    assumed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        tensors = {name: _read_only(tensor) for name, tensor in self.tensors.items()}
        object.__setattr__(self, "tensors", MappingProxyType(tensors))
        self._clean_texts()
        expected = max(self.config.num_classes - 1, 1)
        if len(self.classes) != expected:
            has = f"{expected} class{'es' if expected > 1 else ''}"
            raise ValueError(f"{len(self.classes)} class names; this network has {has}.")
        names = [label.name for label in self.classes]
        if len(set(names)) < len(names):
            raise ValueError(f"Two classes have the same name: {', '.join(names)}.")
        if self.head not in get_args(Head):
            raise ValueError(f"head is {self.head!r}; it must be finest or sum.")
        if len(self.preprocessing.mean) not in (1, self.config.input_channels):
            raise ValueError(
                f"mean and std have {len(self.preprocessing.mean)} numbers; the network has "
                f"{self.config.input_channels} inputs."
            )

    def _clean_texts(self) -> None:
        """Check the types of texts, and remove control characters from those shown to people."""
        for name in ("title", "description"):
            text = strip_control_characters(_check_text(name, getattr(self, name)))
            object.__setattr__(self, name, text)
        for name in ("assumed", "notes"):
            texts = [_check_text(f"one of {name}", text) for text in getattr(self, name)]
            object.__setattr__(self, name, tuple(map(strip_control_characters, texts)))
        if self.parent is not None:
            _check_text("parent", self.parent)
        if not all(isinstance(entry, dict) for entry in self.history):
            raise ValueError("The history is not a list of trainings.")

    def __repr__(self) -> str:
        """Return a short description; the tensors have millions of numbers."""
        names = ", ".join(label.name for label in self.classes[:_CLASSES_IN_REPR])
        names += ", …" * (len(self.classes) > _CLASSES_IN_REPR)
        return f"<Checkpoint {self.title!r}: {self.config}, classes {names}>"

    def __reduce__(self) -> tuple[Any, ...]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return _unpickle, (values | {"tensors": dict(self.tensors)},)

    @property
    def untrained(self) -> bool:
        """Whether it is a new network, which was not trained, except perhaps its encoder."""
        return UNTRAINED in self.notes

    @property
    def parameters(self) -> int:
        """Number of trainable parameters of the network."""
        return count_parameters(self.config)

    def network(self, drop_path_rate: float = 0.0) -> PvtEmcad:
        """Return a new network with these weights, float32, in eval mode, on the CPU.

        Parameters
        ----------
        drop_path_rate
            Stochastic depth of the encoder, for training.
        """
        import torch

        from napari_emcad.model.network import PvtEmcad
        from napari_emcad.model.skip_init import SkipInit

        with SkipInit():
            network = PvtEmcad(self.config, drop_path_rate)
        weights = {
            name: torch.from_numpy(_as_float32(tensor)) for name, tensor in self.tensors.items()
        }
        network.load_state_dict(weights, strict=True, assign=True)
        return network.eval()

    def override(self, **overrides: Any) -> Checkpoint:
        """Return this checkpoint with settings that its file does not contain, or contains wrongly.

        Parameters
        ----------
        **overrides
            Fields of `ModelConfig` that leave no trace in the tensors (``activation``,
            ``dw_parallel``, ``input_channels``), fields of `Preprocessing` (``intensity``,
            ``low``, ``high``, ``over``, ``mean``, ``std``, ``zoom``, ``size``; an integer size is
            a square), ``head``, ``title``, ``description``, or ``classes`` (names, or
            `ClassLabel`).

        Raises
        ------
        CheckpointError
            If a name is unknown, or a value contradicts the tensors or is out of bounds.
        """
        return override(self, overrides)


def _check_text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}; it must be a text.")
    return value


def _unpickle(values: dict[str, Any]) -> Checkpoint:
    return Checkpoint(**values)


def _read_only(tensor: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view."""
    view = tensor.view()
    view.setflags(write=False)
    return view


def _as_float32(tensor: NDArray[Any]) -> NDArray[Any]:
    """Return a copy as float32, or int64 for counters."""
    return np.array(tensor, dtype=np.float32 if tensor.dtype.kind == "f" else np.int64)
