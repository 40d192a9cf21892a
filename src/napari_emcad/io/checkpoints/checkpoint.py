"""What a checkpoint is: a network's weights with everything that is needed to use them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast, get_args
from unicodedata import category

import numpy as np

from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.io.checkpoints.sniff import CheckpointError
from napari_emcad.model.config import ModelConfig
from napari_emcad.model.tensor_shapes import parameters, tensor_shapes
from napari_emcad.training.config import meant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_emcad.model.network import PvtEmcad

Head = Literal["finest", "sum"]

COLORS = ("#f5b041", "#3498db", "#2ecc71", "#e74c3c", "#9b59b6", "#1abc9c", "#e84393", "#95a5a6")

_COLOR = r"#[0-9a-fA-F]{6}"

RGB_DEFAULT = Preprocessing(size=(352, 352))
"""What published networks with three inputs expect: 0 … 255, ImageNet mean and std, 352²."""

GRAY_DEFAULT = Preprocessing(low=-125, high=275, mean=(0,), std=(1,), size=(224, 224))
"""What published networks with one input expect: −125 … 275 HU, 224²."""


LONGEST_NAME = 100
"""Characters of a class's name; it stands in tables, in status bars and below pictures."""

_ENDS = "\n\t"
_UNSEEN = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of control characters, halves of characters, and ends of lines."""


@dataclass(frozen=True, slots=True)
class ClassLabel:
    """A class that is not the background: its name, and its color as ``#rrggbb``.

    Raises
    ------
    ValueError
        If the name is empty, of several lines or more than `LONGEST_NAME` characters, or the color
        is no such code.
    """

    name: str
    color: str

    @staticmethod
    def from_dict(entry: Mapping[str, Any]) -> ClassLabel:
        """Return the class that `to_dict` described; ``color`` is accepted for ``colour``.

        Raises
        ------
        KeyError
            If the name or the color is missing.
        ValueError
            If one of them is not valid.
        """
        return ClassLabel(entry["name"], entry["colour"] if "colour" in entry else entry["color"])

    def to_dict(self) -> dict[str, str]:
        """Return the class as files and JSON output name it: ``name`` and ``colour``.

        The British spelling is part of the file format: earlier releases read it.
        """
        return {"name": self.name, "colour": self.color}

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"{self.name!r} is no name of a class.")
        if len(self.name) > LONGEST_NAME or any(map(_unseen, self.name)):
            raise ValueError(
                f"{self.name[:LONGEST_NAME]!r} is no name of a class: it must be one line of at "
                f"most {LONGEST_NAME} characters."
            )
        if not isinstance(self.color, str) or not re.fullmatch(_COLOR, self.color):
            raise ValueError(f"{self.color!r} is no color such as #3498db.")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a checkpoint came from: its file, that file's sha256, and which format it has."""

    path: str
    sha256: str
    format: Literal["native", "published", "new"]


_NAMED = 8
"""Classes that a checkpoint's `repr` names."""

UNTRAINED = "Untrained: its segmentations mean nothing before it has been trained."
"""The note of a new network."""


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A network's weights with everything that is needed to use them.

    Attributes
    ----------
    config
        The architecture.
    tensors
        Weights by our names; read-only.
    preprocessing
        What happens to pixels first.
    classes
        Classes 1, 2, …; label k of a segmentation is ``classes[k - 1]``, 0 is background.
    head
        Which map is the prediction: ``"finest"`` or ``"sum"``.
    title, description
        For people: what it segments, what it was trained on, how well it does. Control characters
        are left out, see `strip_control_characters`.
    history
        One dictionary per training that led here, oldest first.
    parent
        sha256 of the checkpoint that training started from.
    origin
        The file it was read from.
    assumed
        Names of what the file does not say and was filled with defaults.
    notes
        What else a user should know, such as tensors that were left out.

    Raises
    ------
    ValueError
        If one of them is of another kind, or they contradict each other.
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
        sealed = {name: _sealed(tensor) for name, tensor in self.tensors.items()}
        object.__setattr__(self, "tensors", MappingProxyType(sealed))
        self._check_words()
        wanted = max(self.config.num_classes - 1, 1)
        if len(self.classes) != wanted:
            has = f"{wanted} class{'es' if wanted > 1 else ''}"
            raise ValueError(f"{len(self.classes)} class names; this network has {has}.")
        names = [each.name for each in self.classes]
        if len(set(names)) < len(names):
            raise ValueError(f"Two classes have the same name: {', '.join(names)}.")
        if self.head not in get_args(Head):
            raise ValueError(f"head is {self.head!r}; it must be finest or sum.")
        if len(self.preprocessing.mean) not in (1, self.config.input_channels):
            raise ValueError(
                f"mean and std have {len(self.preprocessing.mean)} numbers; the network has "
                f"{self.config.input_channels} inputs."
            )

    def _check_words(self) -> None:
        """Refuse words that are none; leave control characters out of the others."""
        for name in ("title", "description"):
            object.__setattr__(
                self, name, strip_control_characters(_text(name, getattr(self, name)))
            )
        for name in ("assumed", "notes"):
            said = tuple(
                strip_control_characters(_text(f"one of {name}", each))
                for each in getattr(self, name)
            )
            object.__setattr__(self, name, said)
        if self.parent is not None:
            _text("parent", self.parent)
        if not all(isinstance(each, dict) for each in self.history):
            raise ValueError("The history is not a list of trainings.")

    def __repr__(self) -> str:
        """Return what tells it from others; its tensors have millions of numbers."""
        names = ", ".join(each.name for each in self.classes[:_NAMED])
        names += ", …" * (len(self.classes) > _NAMED)
        return f"<Checkpoint {self.title!r}: {self.config}, classes {names}>"

    def __reduce__(self) -> tuple[Any, ...]:
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return _rebuilt, (values | {"tensors": dict(self.tensors)},)

    @property
    def untrained(self) -> bool:
        """Whether it is a new network, which has learned nothing but perhaps its encoder."""
        return UNTRAINED in self.notes

    @property
    def parameters(self) -> int:
        """Trainable numbers of the network."""
        return parameters(self.config)

    def network(self, drop_path_rate: float = 0.0) -> PvtEmcad:
        """Return the network with these weights, float32, in eval mode, on the CPU.

        Every call builds a new one.
        """
        import torch

        from napari_emcad.model.network import PvtEmcad

        with torch.device("meta"):
            network = PvtEmcad(self.config, drop_path_rate)
        weights = {name: torch.from_numpy(_single(tensor)) for name, tensor in self.tensors.items()}
        network.load_state_dict(weights, strict=True, assign=True)
        return network.eval()

    def override(self, **overrides: Any) -> Checkpoint:
        """Return this checkpoint with what its file cannot say, or says wrongly, set by hand.

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
        try:
            return _overridden(self, overrides)
        except (ValueError, TypeError) as error:
            raise CheckpointError(str(error)) from None


def strip_control_characters(said: str) -> str:
    """Return a text without control characters, which terminals obey; line ends and tabs stay."""
    said = said.replace("\r\n", "\n")
    return "".join(each for each in said if each in _ENDS or not _unseen(each))


def _unseen(letter: str) -> bool:
    return category(letter) in _UNSEEN


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}; it must be a text.")
    return value


def default_classes(num_classes: int) -> tuple[ClassLabel, ...]:
    """Return names and colors for a network whose file has none."""
    names = ["object"] if num_classes == 1 else [f"class {k}" for k in range(1, num_classes)]
    return class_labels(tuple(names) or ("class 1",))


def class_labels(
    names: Iterable[str | ClassLabel], known: Sequence[ClassLabel] = ()
) -> tuple[ClassLabel, ...]:
    """Return classes by their names.

    Parameters
    ----------
    names
        Of classes 1, 2, …
    known
        Classes before: one of the same name keeps its color, and so does one that was renamed.
    """
    listed = list(names)
    colors = {each.name: each.color for each in known}
    renamed = [None if each.name in listed else each.color for each in known]
    return tuple(
        each
        if isinstance(each, ClassLabel)
        else ClassLabel(str(each), colors.get(str(each)) or _color(i, renamed))
        for i, each in enumerate(listed)
    )


def _color(position: int, renamed: Sequence[str | None]) -> str:
    old = renamed[position] if position < len(renamed) else None
    return old or COLORS[position % len(COLORS)]


def _overridden(checkpoint: Checkpoint, overrides: dict[str, Any]) -> Checkpoint:
    architecture, pixels = _names(ModelConfig), _names(Preprocessing)
    other = {"head", "title", "description", "classes"}
    unknown = set(overrides) - architecture - pixels - other
    if unknown:
        possible = architecture | pixels | other
        raise ValueError(
            f"{', '.join(sorted(unknown))} cannot be set; possible are "
            f"{', '.join(sorted(possible))}{meant(unknown, possible)}."
        )
    config = replace(checkpoint.config, **_picked(overrides, architecture))
    if tensor_shapes(config) != tensor_shapes(checkpoint.config):
        wrong = [k for k in _picked(overrides, architecture) if _differs(config, checkpoint, k)]
        raise ValueError(f"{', '.join(wrong)}: the tensors of the file say otherwise.")
    default = checkpoint.preprocessing
    if config.input_channels != checkpoint.config.input_channels:
        default = RGB_DEFAULT if config.input_channels == 3 else GRAY_DEFAULT
    values = _picked(overrides, pixels)
    if values.get("size") is not None:
        values.setdefault("zoom", 1.0)
    rest = _picked(overrides, other)
    if "classes" in rest:
        rest["classes"] = class_labels(_listed(rest["classes"]), checkpoint.classes)
    said = {"preprocessing"} if values else set()
    guessed = ("preprocessing",) if default is not checkpoint.preprocessing and not values else ()
    before = (each for each in checkpoint.assumed if each not in {*overrides, *said, *guessed})
    return replace(
        checkpoint,
        config=config,
        preprocessing=replace(default, **values),
        assumed=(*before, *guessed),
        **rest,
    )


def _listed(classes: str | Iterable[str | ClassLabel]) -> tuple[str | ClassLabel, ...]:
    """Return class names; a text is one, or several behind commas."""
    if isinstance(classes, str):
        classes = [each.strip() for each in classes.split(",") if each.strip()]
    if not isinstance(classes, Iterable):
        raise ValueError(f"classes is {classes!r}; it must be a list of names.")
    return tuple(classes)


def _names(kind: type) -> set[str]:
    return {each.name for each in fields(kind)}


def _picked(values: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in names}


def _differs(config: ModelConfig, checkpoint: Checkpoint, name: str) -> bool:
    return cast("bool", getattr(config, name) != getattr(checkpoint.config, name))


def _rebuilt(values: dict[str, Any]) -> Checkpoint:
    """Return a checkpoint out of a pickle."""
    return Checkpoint(**values)


def _sealed(tensor: NDArray[Any]) -> NDArray[Any]:
    """Return the same numbers, which cannot be written through this view."""
    view = tensor.view()
    view.setflags(write=False)
    return view


def _single(tensor: NDArray[Any]) -> NDArray[Any]:
    """Return a copy: float32, or int64 for counters."""
    return np.array(tensor, dtype=np.float32 if tensor.dtype.kind == "f" else np.int64)
