"""A new network, from a bare PVTv2 encoder file or from nothing."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from napari_emcad.io.checkpoints import published
from napari_emcad.io.checkpoints.checkpoint import (
    GRAY_DEFAULT,
    RGB_DEFAULT,
    UNTRAINED,
    Checkpoint,
    Origin,
    default_classes,
)
from napari_emcad.io.checkpoints.foreign import check_numbers, is_pvt_encoder
from napari_emcad.io.checkpoints.pickles import read_pickled_tensors
from napari_emcad.io.checkpoints.sniff import CheckpointError, expand_path, sniff
from napari_emcad.model.config import ENCODERS, ModelConfig
from napari_emcad.model.tensor_shapes import tensor_shapes
from napari_emcad.training.config import meant

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from numpy.typing import NDArray


def initialize_checkpoint(
    encoder_file: str | PathLike[str] | None = None, seed: int = 0, **config: Any
) -> Checkpoint:
    """Return an untrained network, its encoder perhaps from an ImageNet file.

    Parameters
    ----------
    encoder_file
        A PVTv2 release file: original or timm's names as ``.pth``, or timm's
        ``model.safetensors``, which `napari_emcad.io.checkpoints.hub.hub_encoder` fetches. None
        draws the encoder's weights as well.
    seed
        Of the random weights.
    **config
        Fields of `ModelConfig`, such as ``num_classes``; with a file, it tells the encoder.

    Raises
    ------
    CheckpointError
        If the file is not a PVTv2 encoder, or is another one than `config` says; if a field of
        `config` is unknown or out of bounds.
    """
    encoder: dict[str, NDArray[Any]] = {}
    if encoder_file is not None:
        path = expand_path(encoder_file)
        found, encoder = _read_encoder(path)
        if config.setdefault("encoder", found) != found:
            raise CheckpointError(
                f"{path.name} is the encoder {found}, not {config['encoder']}; leave encoder out, "
                f"or choose another file."
            )
    fresh = _random(_config(config), seed)
    return replace(fresh, tensors={**fresh.tensors, **encoder})


def _config(values: dict[str, Any]) -> ModelConfig:
    possible = {each.name for each in fields(ModelConfig)}
    unknown = set(values) - possible
    if unknown:
        raise CheckpointError(
            f"A network has no {', '.join(sorted(unknown))}; possible are "
            f"{', '.join(sorted(possible))}{meant(unknown, possible)}."
        )
    try:
        return ModelConfig(**values)
    except (ValueError, TypeError) as error:
        raise CheckpointError(str(error)) from None


def _random(config: ModelConfig, seed: int) -> Checkpoint:
    import torch

    from napari_emcad.model.network import PvtEmcad

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weights = PvtEmcad(config).state_dict()
    return Checkpoint(
        config=config,
        tensors={name: tensor.numpy() for name, tensor in weights.items()},
        preprocessing=RGB_DEFAULT if config.input_channels == 3 else GRAY_DEFAULT,
        classes=default_classes(config.num_classes),
        title=f"New PVT-EMCAD-{config.encoder[-2:].upper()}",
        origin=Origin("", "", "new"),
        notes=(UNTRAINED,),
    )


def _read_encoder(path: Path) -> tuple[str, dict[str, NDArray[Any]]]:
    """Return the encoder's name and its tensors by our names."""
    try:
        tensors, _ = published.strip_wrappers(_read_tensors(path))
        check_numbers(tensors)
    except CheckpointError as error:
        raise CheckpointError(f"{path.name} cannot be opened as an encoder: {error}.") from None
    if not is_pvt_encoder(tensors):
        raise CheckpointError(f"{path.name} is not a PVTv2 encoder file; its tensors differ.")
    body = {k: tensor for k, tensor in tensors.items() if not k.startswith("head.")}
    shapes = {k: tuple(tensor.shape) for k, tensor in body.items()}
    for encoder in ENCODERS:
        expected = _file_names(encoder, original="patch_embed1.proj.weight" in body)
        if shapes == {each: shape for each, (_, shape) in expected.items()}:
            return encoder, {native: body[each] for each, (native, _) in expected.items()}
    raise CheckpointError(f"{path.name} has the shape of no PVTv2 from b0 to b5.")


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
            "its numbers are of a kind NumPy does not have; save it as float32"
        ) from None


def _file_names(encoder: str, original: bool) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return (our name, shape) of each encoder tensor by its name in an encoder file."""
    shapes = tensor_shapes(ModelConfig(encoder=encoder)).items()
    ours = {native: shape for native, shape in shapes if native.startswith("encoder.")}
    return {_file_name(native, original): (native, shape) for native, shape in ours.items()}


def _file_name(native: str, original: bool) -> str:
    if original:
        return published.published_name(native).removeprefix("backbone.")
    return native.removeprefix("encoder.").replace("stages_", "stages.")
