"""New networks, with the weights of a PVTv2 encoder file or with random weights."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from napari_emcad.io.checkpoints import published
from napari_emcad.io.checkpoints.checkpoint import UNTRAINED, Checkpoint, Origin
from napari_emcad.io.checkpoints.classes import default_classes
from napari_emcad.io.checkpoints.foreign import check_weights, is_pvt_encoder
from napari_emcad.io.checkpoints.known import default_preprocessing
from napari_emcad.io.checkpoints.pickles import read_pickled_tensors
from napari_emcad.io.checkpoints.sniff import CheckpointError, expand_path, sniff
from napari_emcad.model.config import ModelConfig
from napari_emcad.model.encoders import ENCODERS
from napari_emcad.model.tensor_shapes import tensor_shapes
from napari_emcad.training.settings import suggest_names

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from numpy.typing import NDArray


def initialize_checkpoint(
    encoder_file: str | PathLike[str] | None = None, seed: int = 0, **config: Any
) -> Checkpoint:
    """Return an untrained network, whose encoder may have ImageNet weights from a file.

    Parameters
    ----------
    encoder_file
        A PVTv2 release file: the original ``.pth``, or timm's ``model.safetensors``, which
        `napari_emcad.io.checkpoints.hub.hub_encoder` downloads; or a file of the network that timm
        makes with ``features_only=True``. None initializes the encoder randomly as well.
    seed
        Seed of the random weights.
    **config
        Fields of `ModelConfig`, such as ``num_classes``; the encoder follows from the file.

    Raises
    ------
    CheckpointError
        If the file is not a PVTv2 encoder, or another one than `config` says; if a field of
        `config` is unknown or out of bounds.
    """
    weights: dict[str, NDArray[Any]] = {}
    if encoder_file is not None:
        path = expand_path(encoder_file)
        encoder, weights = read_encoder(path)
        if config.setdefault("encoder", encoder) != encoder:
            raise CheckpointError(
                f"{path.name} is the encoder {encoder}, not {config['encoder']}; leave encoder "
                f"out, or choose another file."
            )
    untrained = _random(_config(config), seed)
    return replace(untrained, tensors={**untrained.tensors, **weights})


def _config(values: dict[str, Any]) -> ModelConfig:
    possible = {field.name for field in fields(ModelConfig)}
    unknown = set(values) - possible
    if unknown:
        raise CheckpointError(
            f"A network has no {', '.join(sorted(unknown))}; possible are "
            f"{', '.join(sorted(possible))}{suggest_names(unknown, possible)}."
        )
    try:
        return ModelConfig(**values)
    except (ValueError, TypeError) as error:
        raise CheckpointError(str(error)) from None


def _random(config: ModelConfig, seed: int) -> Checkpoint:
    from napari_emcad.model.network import PvtEmcad
    from napari_emcad.model.own_random import OwnRandom

    with OwnRandom(seed):
        weights = PvtEmcad(config).state_dict()
    return Checkpoint(
        config=config,
        tensors={name: tensor.numpy() for name, tensor in weights.items()},
        preprocessing=default_preprocessing(config.input_channels),
        classes=default_classes(config.num_classes),
        title=f"New PVT-EMCAD-{config.encoder_spec.short_name}",
        origin=Origin("", "", "new"),
        notes=(UNTRAINED,),
    )


def read_encoder(path: Path) -> tuple[str, dict[str, NDArray[Any]]]:
    """Return the name of the encoder in a file, and its tensors by the names of `PvtEmcad`.

    Raises
    ------
    CheckpointError
        If the file is not a PVTv2 encoder.
    """
    try:
        tensors, _ = published.strip_wrappers(_read_tensors(path))
        tensors = {_classifier_name(name): tensor for name, tensor in tensors.items()}
        check_weights(tensors)
    except CheckpointError as error:
        raise CheckpointError(f"{path.name} cannot be opened as an encoder: {error}.") from None
    if not is_pvt_encoder(tensors):
        raise CheckpointError(f"{path.name} is not a PVTv2 encoder file; its tensors differ.")
    body = {name: tensor for name, tensor in tensors.items() if not name.startswith("head.")}
    shapes = {name: tuple(tensor.shape) for name, tensor in body.items()}
    for encoder in ENCODERS:
        expected = _encoder_file_names(encoder, original="patch_embed1.proj.weight" in body)
        if shapes == {name: shape for name, (_, shape) in expected.items()}:
            return encoder, {native: body[name] for name, (native, _) in expected.items()}
    raise CheckpointError(f"{path.name} does not have the shapes of a PVTv2 from b0 to b5.")


def _classifier_name(name: str) -> str:
    """Return timm's name of a tensor in the classifier, also for those of ``features_only``."""
    return name.replace("stages_", "stages.", 1)


def _read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    kind = sniff(path)
    if kind != "safetensors":
        return read_pickled_tensors(path, kind)
    try:
        with safe_open(path, "numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError:
        raise CheckpointError("it is damaged; copy or download it again") from None
    except (TypeError, AttributeError):  # bfloat16 and float8, which NumPy does not have
        raise CheckpointError(
            "its numbers have a type that NumPy does not support; save it as float32"
        ) from None


def _encoder_file_names(encoder: str, original: bool) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the native name and the shape of the encoder's tensors by their names in a file.

    Parameters
    ----------
    encoder
        A key of `ENCODERS`.
    original
        Whether the file has the names of the PVTv2 release, instead of timm's.
    """
    return {
        _encoder_file_name(native, original): (native, shape)
        for native, shape in tensor_shapes(ModelConfig(encoder=encoder)).items()
        if native.startswith("encoder.")
    }


def _encoder_file_name(native: str, original: bool) -> str:
    if original:
        return published.published_name(native).removeprefix("backbone.")
    return native.removeprefix("encoder.").replace("stages_", "stages.")
