"""An instant model, fitted to strokes, and its file: a few thousand numbers beside an encoder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from napari_emcad.imaging.intensity import Preprocessing
from napari_emcad.io.atomic_write import write_bytes
from napari_emcad.io.checkpoints.checkpoint import Origin
from napari_emcad.io.checkpoints.classes import ClassLabel
from napari_emcad.io.checkpoints.feature_extractors import bundled_feature_extractor
from napari_emcad.io.checkpoints.known import fingerprint
from napari_emcad.io.checkpoints.sniff import CheckpointError, expand_path, file_sha256, sniff

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_emcad.io.checkpoints.checkpoint import Head
    from napari_emcad.model.feature_extractor import FeatureExtractor
    from napari_emcad.model.probe_ensemble import ProbeEnsemble
    from napari_emcad.model.segmenter import SegmenterConfig

FORMAT = "napari-emcad-instant"

_FORMAT_VERSION = 1

_LARGEST_ZOOM = 8.0

_DAMAGED = (
    SafetensorError,
    AttributeError,
    KeyError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)

_NEW = Origin("", "", "new")


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class InstantModel:
    """A probe with what is needed to segment images; `segment` takes it like a checkpoint.

    Attributes
    ----------
    probe
        The fitted probes.
    preprocessing
        Conversion of pixels to its inputs.
    classes
        Names and colors of the classes, the background left out.
    strokes
        Number of strokes it was fitted to.
    head
        The only head.
    title
        Name for people.
    origin
        File it was read from.
    """

    probe: ProbeEnsemble
    preprocessing: Preprocessing
    classes: tuple[ClassLabel, ...]
    strokes: int = 0
    head: Head = "finest"
    title: str = "Instant"
    origin: Origin = _NEW

    @property
    def config(self) -> SegmenterConfig:
        """Numbers of classes and of input channels."""
        return self.probe.config

    def network(self) -> ProbeEnsemble:
        """Return the probes, which predict like a network."""
        return self.probe


def write_instant(model: InstantModel, path: str | PathLike[str]) -> None:
    """Write an instant model atomically as a ``.safetensors`` file, without its encoder.

    Parameters
    ----------
    model
        Model from `fit_instant`.
    path
        File to write.

    Raises
    ------
    CheckpointError
        If the extension is another one, or writing fails.
    """
    path = expand_path(path)
    if path.suffix.lower() != ".safetensors":
        raise CheckpointError(f"{path.name} cannot be written: its name must end in .safetensors.")
    tensors = {
        f"probe{number}.{name}": np.ascontiguousarray(tensor.float().cpu().numpy())
        for number, probe in enumerate(model.probe.members)
        for name, tensor in probe.linear_weights().items()
    }
    extractor = model.probe.members[0].extractor
    content = {
        "encoder": extractor.name,
        "encoder_sha256": _encoder_sha256(extractor),
        "zooms": model.probe.zooms,
        "preprocessing": asdict(model.preprocessing),
        "classes": [label.to_dict() for label in model.classes],
        "strokes": model.strokes,
    }
    metadata = {"format": FORMAT, "format_version": str(_FORMAT_VERSION)}
    metadata |= {key: json.dumps(value) for key, value in content.items()}
    try:
        write_bytes(path, save(tensors, metadata))
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be written ({error.strerror}); nothing was changed there."
        ) from None


def read_instant(
    path: str | PathLike[str], extractor: FeatureExtractor | None = None
) -> InstantModel:
    """Read an instant model that `write_instant` wrote; no code in the file is executed.

    Parameters
    ----------
    path
        A ``.safetensors`` file.
    extractor
        The encoder that it was fitted with; None takes the one that comes with the package.

    Raises
    ------
    CheckpointError
        If the file is not an instant model or damaged, or it was fitted with another encoder.
    """
    path = expand_path(path)
    try:
        return _read(path, extractor or bundled_feature_extractor())
    except CheckpointError as error:
        message = f"{path.name or path} cannot be opened as an instant model: {error}."
        raise type(error)(" ".join(message.split())) from None


def is_instant_file(path: str | PathLike[str]) -> bool:
    """Return whether a file says that it is an instant model; other files are not examined."""
    path = expand_path(path)
    try:
        if sniff(path) != "safetensors":
            return False
        with safe_open(path, "numpy") as file:
            return (file.metadata() or {}).get("format") == FORMAT
    except (CheckpointError, SafetensorError, TypeError, AttributeError):
        return False


def _read(path: Path, extractor: FeatureExtractor) -> InstantModel:
    if not is_instant_file(path):
        sniff(path)  # raises for what is no tensor file at all
        raise CheckpointError("it holds no probe; open checkpoints with read_checkpoint")
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        _check_version(metadata.get("format_version", ""))
        content = {
            key: json.loads(value)
            for key, value in metadata.items()
            if not key.startswith("format")
        }
        _check_encoder(content["encoder"], content["encoder_sha256"], extractor)
        return InstantModel(
            probe=_probes(extractor, tensors, len(content["classes"]) + 1, content["zooms"]),
            preprocessing=Preprocessing.from_dict(content["preprocessing"]),
            classes=tuple(map(ClassLabel.from_dict, content["classes"])),
            strokes=int(content["strokes"]),
            origin=Origin(str(path), file_sha256(path), "native"),
        )
    except CheckpointError:
        raise
    except _DAMAGED as error:
        raise CheckpointError(f"it is damaged ({error}); copy it again") from None


def _check_version(version: str) -> None:
    if version != str(_FORMAT_VERSION):
        raise CheckpointError(
            f"it has format version {version[:12] or 'unknown'}, this is napari-emcad for version "
            f"{_FORMAT_VERSION}; update napari-emcad"
        )


def _check_encoder(name: str, sha256: str, extractor: FeatureExtractor) -> None:
    """Refuse another encoder: its features mean something else."""
    if sha256 != _encoder_sha256(extractor):
        raise CheckpointError(
            f"it was fitted on the features of another encoder ({name}) than {extractor.name}; "
            "fit it again with Instant"
        )


def _probes(
    extractor: FeatureExtractor,
    tensors: Mapping[str, NDArray[Any]],
    classes: int,
    zooms: Sequence[float],
) -> ProbeEnsemble:
    """Return the probes with these weights.

    Raises
    ------
    ValueError
        If a tensor is missing, has another shape, or is not finite, or a zoom is out of bounds.
    """
    import torch

    from napari_emcad.model.feature_probe import FeatureProbe, feature_widths
    from napari_emcad.model.probe_ensemble import ProbeEnsemble

    if not zooms or not all(0 < zoom <= _LARGEST_ZOOM for zoom in zooms):
        raise ValueError(f"its zooms are {zooms}")
    widths = feature_widths(extractor)
    names = [f"weight{number}" for number in range(len(widths))]
    shapes: dict[str, tuple[int, ...]] = {}
    for number in range(len(zooms)):
        shapes[f"probe{number}.bias"] = (classes,)
        for name, width in zip(names, widths, strict=True):
            shapes[f"probe{number}.{name}"] = (classes, width)
    if {name: tensor.shape for name, tensor in tensors.items()} != shapes:
        raise ValueError("its tensors have other names or shapes")
    if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
        raise ValueError("a weight is not finite")
    weights = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
    probes = [
        FeatureProbe(
            extractor,
            [weights[f"probe{number}.{name}"] for name in names],
            weights[f"probe{number}.bias"],
        )
        for number in range(len(zooms))
    ]
    return ProbeEnsemble(probes, zooms)


def _encoder_sha256(extractor: FeatureExtractor) -> str:
    """Return the SHA-256 of an encoder's weights as float32."""
    weights = extractor.encoder.state_dict()
    return fingerprint({name: one.float().cpu().numpy() for name, one in weights.items()})
