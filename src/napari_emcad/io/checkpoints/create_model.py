"""Create networks by name, as timm does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_emcad.io.checkpoints.hub import hub_encoder
from napari_emcad.io.checkpoints.initialize import initialize_checkpoint

if TYPE_CHECKING:
    from os import PathLike

    from napari_emcad.model.network import PvtEmcad


def create_model(
    encoder: str = "pvt_v2_b2",
    pretrained: bool | str | PathLike[str] = False,
    in_channels: int = 3,
    num_classes: int = 1,
    seed: int = 0,
    **config: Any,
) -> PvtEmcad:
    """Return a new PVT-EMCAD network in evaluation mode, as a torch module.

    Parameters
    ----------
    encoder
        Name of the encoder in timm, such as ``"pvt_v2_b0"``.
    pretrained
        True loads ImageNet weights of the encoder from timm's hub, or from the local cache; a path
        loads them from a file; False initializes the encoder randomly.
    in_channels
        3, or 1 for a network with a stem for gray images.
    num_classes
        Number of output channels: 1 for a binary network, else the number of classes including the
        background.
    seed
        Seed of the random weights.
    **config
        Other fields of `ModelConfig`.

    Raises
    ------
    CheckpointError
        If the encoder is unknown, a value is out of bounds, or the weights cannot be loaded.
    """
    file = hub_encoder(encoder) if pretrained is True else pretrained or None
    checkpoint = initialize_checkpoint(
        file,
        seed,
        encoder=encoder,
        input_channels=in_channels,
        num_classes=num_classes,
        **config,
    )
    return checkpoint.network()
