"""What a checkpoint is; reading and writing published files and our own."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields, replace
from importlib.resources import as_file, files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as safetensors_bytes

from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.io import published
from napari_emcad.io.atomic import write_bytes
from napari_emcad.io.foreign import is_pvt_encoder
from napari_emcad.io.known import KNOWN, fingerprint
from napari_emcad.io.pickles import read_pickled_tensors
from napari_emcad.io.recognise import CheckpointError, EncoderOnlyError, file_path, recognise
from napari_emcad.model.config import ModelConfig
from napari_emcad.model.tensors import parameters, tensor_shapes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from os import PathLike

    from numpy.typing import NDArray

    from napari_emcad.model.network import PvtEmcad

FORMAT_VERSION = 1
"""Of our own files; a reader refuses newer ones."""

_BUNDLED = "assets/nuclei_b0.safetensors"

_ENCODER_ALONE = (
    "it is a PVTv2 encoder alone (ImageNet weights perhaps), not a segmentation network; "
    "start a new network from it with start_checkpoint, or choose a PVT-EMCAD checkpoint"
)

Head = Literal["finest", "sum"]
Tensors = dict[str, "NDArray[Any]"]

COLOURS = ("#f5b041", "#3498db", "#2ecc71", "#e74c3c", "#9b59b6", "#1abc9c", "#e84393", "#95a5a6")

RGB_DEFAULT = Preprocessing(size=(352, 352))
"""What published networks with three inputs expect: 0 … 255, ImageNet mean and std, 352²."""

GREY_DEFAULT = Preprocessing(low=-125, high=275, mean=(0,), std=(1,), size=(224, 224))
"""What published networks with one input expect: −125 … 275 HU, 224²."""


@dataclass(frozen=True, slots=True)
class ClassLabel:
    """A class that is not the background: its name, and its colour as ``#rrggbb``.

    Raises
    ------
    ValueError
        If the name is empty or the colour is no such code.
    """

    name: str
    colour: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"{self.name!r} is no name of a class.")
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", str(self.colour)):
            raise ValueError(f"{self.colour!r} is no colour such as #3498db.")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a checkpoint came from: its file, that file's sha256, and which format it has."""

    path: str
    sha256: str
    format: Literal["native", "published", "new"]


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
        For people: what it segments, what it was trained on, how well it does.
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
        wanted = max(self.config.num_classes - 1, 1)
        if len(self.classes) != wanted:
            has = f"{wanted} class{'es' if wanted > 1 else ''}"
            raise ValueError(f"{len(self.classes)} class names; this network has {has}.")
        names = [each.name for each in self.classes]
        if len(set(names)) < len(names):
            raise ValueError(f"Two classes have the same name: {', '.join(names)}.")
        if not all(isinstance(each, dict) for each in self.history):
            raise ValueError("The history is not a list of trainings.")
        if self.head not in get_args(Head):
            raise ValueError(f"head is {self.head!r}; it must be finest or sum.")
        if len(self.preprocessing.mean) not in (1, self.config.input_channels):
            raise ValueError(
                f"mean and std have {len(self.preprocessing.mean)} numbers; the network has "
                f"{self.config.input_channels} inputs."
            )

    def __reduce__(self) -> tuple[Any, ...]:
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return _rebuilt, (values | {"tensors": dict(self.tensors)},)

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


def read_checkpoint(path: str | PathLike[str], **overrides: Any) -> Checkpoint:
    """Read a published or native PVT-EMCAD checkpoint; nothing in the file is executed.

    Parameters
    ----------
    path
        A ``.pth`` or ``.pt`` file with a published state dict, or our own ``.safetensors``. The
        file's content decides, not its name.
    **overrides
        What the file cannot say, see `Checkpoint.override`.

    Raises
    ------
    CheckpointError
        With one sentence: what the file is, what was expected, what to do.
    """
    path = file_path(path)
    try:
        kind = recognise(path)
        reader = _read_native if kind == "safetensors" else _read_published
        checkpoint = reader(path)
    except CheckpointError as error:
        message = f"{path.name or path} cannot be opened as a checkpoint: {error}."
        raise type(error)(" ".join(message.split())) from None
    return checkpoint.override(**overrides) if overrides else checkpoint


def bundled_checkpoint() -> Checkpoint:
    """Return the checkpoint that comes with the package: nuclei, B0."""
    with as_file(files("napari_emcad").joinpath(*_BUNDLED.split("/"))) as path:
        return read_checkpoint(path)


def write_checkpoint(checkpoint: Checkpoint, path: str | PathLike[str], half: bool = False) -> None:
    """Write a checkpoint, natively or for the authors' code, as the name's ending says.

    The file appears whole or not at all: it is written beside and renamed.

    Parameters
    ----------
    checkpoint
        What to write.
    path
        ``.safetensors`` for our format with all it knows; ``.pth`` or ``.pt`` for a published
        state dict, which holds tensors alone.
    half
        Whether to store weights as float16, half the size.

    Raises
    ------
    CheckpointError
        If the ending is another one, or the file cannot be written.
    """
    path = file_path(path)
    tensors = {k: _half(v) if half else v for k, v in checkpoint.tensors.items()}
    if path.suffix.lower() == ".safetensors":
        content = safetensors_bytes(
            {k: np.asarray(v, order="C") for k, v in tensors.items()}, _metadata(checkpoint)
        )
    elif path.suffix.lower() in (".pth", ".pt"):
        content = _published_bytes(tensors)
    else:
        raise CheckpointError(
            f"{path.name} cannot be written: its name must end in .safetensors (this plugin's "
            f"format) or .pth (the published format)."
        )
    try:
        write_bytes(path, content)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be written ({error.strerror}); nothing was changed there."
        ) from None


def default_classes(num_classes: int) -> tuple[ClassLabel, ...]:
    """Return names and colours for a network whose file has none."""
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
        Classes before: one of the same name keeps its colour, and so does one that was renamed.
    """
    listed = list(names)
    colours = {each.name: each.colour for each in known}
    renamed = [None if each.name in listed else each.colour for each in known]
    return tuple(
        each
        if isinstance(each, ClassLabel)
        else ClassLabel(str(each), colours.get(str(each)) or _colour(i, renamed))
        for i, each in enumerate(listed)
    )


def _colour(position: int, renamed: Sequence[str | None]) -> str:
    old = renamed[position] if position < len(renamed) else None
    return old or COLOURS[position % len(COLOURS)]


def is_bundled(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is the one that comes with the package."""
    return (
        Path(checkpoint.origin.path).as_posix().endswith(f"napari_emcad/{_BUNDLED}")
        and checkpoint.origin.format == "native"
    )


def _read_published(path: Path) -> Checkpoint:
    raw = read_pickled_tensors(path, recognise(path))
    tensors, extra = published.unwrapped(raw)
    if is_pvt_encoder(tensors):
        raise EncoderOnlyError(_ENCODER_ALONE)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    config = published.architecture(shapes)
    published.check(shapes, config)
    check_numbers(tensors)
    if tensors["conv.1.num_batches_tracked"] > 0:  # only grey training runs the grey stem
        config = replace(config, input_channels=1)
    notes = (f"Left out, as segmentation does not use them: {', '.join(extra)}.",) if extra else ()
    return _with_what_is_known(
        Checkpoint(
            config=config,
            tensors=published.to_native(tensors, config),
            preprocessing=RGB_DEFAULT if config.input_channels == 3 else GREY_DEFAULT,
            classes=default_classes(config.num_classes),
            title=path.stem,
            origin=Origin(str(path), _sha256(path), "published"),
            assumed=("activation", "dw_parallel", "preprocessing", "head", "classes"),
            notes=notes,
        )
    )


def _with_what_is_known(checkpoint: Checkpoint) -> Checkpoint:
    known = KNOWN.get(fingerprint(checkpoint.tensors))
    if known is None:
        return checkpoint
    return replace(
        checkpoint,
        preprocessing=known.preprocessing,
        classes=class_labels(known.class_names),
        title=known.title,
        description=known.description,
        assumed=(),
        notes=(*checkpoint.notes, "Recognised by its weights; preprocessing and classes known."),
    )


def _read_native(path: Path) -> Checkpoint:
    try:
        with safe_open(path, "numpy") as file:
            if is_pvt_encoder(file.keys()):
                raise EncoderOnlyError(_ENCODER_ALONE)
            metadata = file.metadata() or {}
            _check_format(metadata)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, TypeError, AttributeError):
        raise CheckpointError("it is damaged; copy or download it again") from None
    try:
        checkpoint = _from_metadata(metadata, tensors)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"its description is damaged ({error}); copy it again") from None
    _check_native(checkpoint)
    return replace(checkpoint, origin=Origin(str(path), _sha256(path), "native"))


def _check_format(metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != "napari-emcad":
        raise CheckpointError(
            "it is a safetensors file without napari-emcad's description of the network; export "
            "the state dict as .pth, which can be opened and saved in this plugin's format"
        )
    version = metadata.get("format_version", "")
    readable = {str(number) for number in range(1, FORMAT_VERSION + 1)}
    if version not in readable:
        raise CheckpointError(
            f"it has format version {version[:12] or 'unknown'}, this is napari-emcad for version "
            f"{FORMAT_VERSION}; update napari-emcad"
        )


def _metadata(checkpoint: Checkpoint) -> dict[str, str]:
    content = {
        "config": asdict(checkpoint.config),
        "preprocessing": asdict(checkpoint.preprocessing),
        "classes": [asdict(each) for each in checkpoint.classes],
        "head": checkpoint.head,
        "title": checkpoint.title,
        "description": checkpoint.description,
        "history": checkpoint.history,
        "parent": checkpoint.parent,
        "assumed": checkpoint.assumed,
        "notes": checkpoint.notes,
    }
    head = {"format": "napari-emcad", "format_version": str(FORMAT_VERSION)}
    return head | {key: json.dumps(value) for key, value in content.items()}


def _from_metadata(metadata: Mapping[str, str], tensors: Tensors) -> Checkpoint:
    content = {
        key: json.loads(value) for key, value in metadata.items() if not key.startswith("format")
    }
    return Checkpoint(
        config=ModelConfig(**content["config"]),
        tensors=tensors,
        preprocessing=Preprocessing(**content["preprocessing"]),
        classes=tuple(ClassLabel(**each) for each in content["classes"]),
        head=content["head"],
        title=str(content["title"]),
        description=str(content["description"]),
        history=tuple(content["history"]),
        parent=content["parent"],
        assumed=tuple(content["assumed"]),
        notes=tuple(content["notes"]),
    )


def _check_native(checkpoint: Checkpoint) -> None:
    ours = set(tensor_shapes(checkpoint.config))
    known = {k: v for k, v in checkpoint.tensors.items() if k in ours}
    shapes = {published.published_name(k): tuple(v.shape) for k, v in known.items()}
    surplus = {k: tuple(v.shape) for k, v in checkpoint.tensors.items() if k not in ours}
    published.check(shapes | surplus, checkpoint.config)
    check_numbers(checkpoint.tensors)


def check_numbers(tensors: Mapping[str, NDArray[Any]]) -> None:
    """Refuse tensors that are no weights.

    Raises
    ------
    CheckpointError
        If one holds other things than numbers, or NaN or infinities.
    """
    for name, tensor in tensors.items():
        counts = name.endswith("num_batches_tracked")
        if tensor.dtype.kind not in ("fiu" if counts else "f"):
            raise CheckpointError(
                f"its tensor {name} holds {tensor.dtype}, not weights; save it as float32"
            )
        if not np.isfinite(tensor).all():
            raise CheckpointError(
                f"its tensor {name} has values that are not finite (NaN or infinity): training "
                f"diverged before it was saved; use an earlier one"
            )


def _overridden(checkpoint: Checkpoint, overrides: dict[str, Any]) -> Checkpoint:
    architecture, pixels = _names(ModelConfig), _names(Preprocessing)
    other = {"head", "title", "description", "classes"}
    unknown = set(overrides) - architecture - pixels - other
    if unknown:
        possible = ", ".join(sorted(architecture | pixels | other))
        raise ValueError(f"{', '.join(sorted(unknown))} cannot be set; possible are {possible}.")
    config = replace(checkpoint.config, **_picked(overrides, architecture))
    if tensor_shapes(config) != tensor_shapes(checkpoint.config):
        wrong = [k for k in _picked(overrides, architecture) if _differs(config, checkpoint, k)]
        raise ValueError(f"{', '.join(wrong)}: the tensors of the file say otherwise.")
    default = checkpoint.preprocessing
    if config.input_channels != checkpoint.config.input_channels:
        default = RGB_DEFAULT if config.input_channels == 3 else GREY_DEFAULT
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
    return tuple(classes)


def _names(kind: type) -> set[str]:
    return {each.name for each in fields(kind)}


def _picked(values: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in names}


def _differs(config: ModelConfig, checkpoint: Checkpoint, name: str) -> bool:
    return cast("bool", getattr(config, name) != getattr(checkpoint.config, name))


def _published_bytes(tensors: Tensors) -> bytes:
    from io import BytesIO

    import torch

    named = published.to_published(tensors)
    content = BytesIO()
    torch.save({k: torch.from_numpy(np.array(v)) for k, v in named.items()}, content)
    return content.getvalue()


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


def _half(tensor: NDArray[Any]) -> NDArray[Any]:
    if tensor.dtype.kind != "f":
        return tensor
    with np.errstate(over="ignore"):
        halved = tensor.astype(np.float16)
    if not np.isfinite(halved).all():
        raise CheckpointError("Some weights are too large for float16; write it in full precision.")
    return halved


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
