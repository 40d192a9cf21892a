"""Feature extractors from files: the one that comes with the package, or any PVTv2 encoder."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from napari_emcad.imaging.intensity import IMAGENET_MEAN, IMAGENET_STD
from napari_emcad.io.checkpoints.initialize import read_encoder
from napari_emcad.io.checkpoints.sniff import expand_path
from napari_emcad.model.encoders import ENCODERS

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from os import PathLike
    from pathlib import Path

    from napari_emcad.model.feature_extractor import FeatureExtractor

_BUNDLED = "pvt_v2_b0_general.safetensors"


def bundled_encoder_file() -> AbstractContextManager[Path]:
    """Return a context with the file of the PVTv2-B0 that comes with the package.

    It was distilled from EfficientNet-Lite0 with ImageNet weights; docs/checkpoints.md describes
    it. `initialize_checkpoint` takes the file.
    """
    return as_file(files("napari_emcad").joinpath("assets", _BUNDLED))


@lru_cache(maxsize=1)
def bundled_feature_extractor() -> FeatureExtractor:
    """Return the feature extractor that comes with the package; the same one in every call."""
    with bundled_encoder_file() as path:
        return read_feature_extractor(path)


def read_feature_extractor(path: str | PathLike[str]) -> FeatureExtractor:
    """Return the PVTv2 encoder in a file as a feature extractor.

    Parameters
    ----------
    path
        As for `initialize_checkpoint`; the encoder was trained with ImageNet's standardization.

    Raises
    ------
    CheckpointError
        If the file is not a PVTv2 encoder.
    """
    import torch

    from napari_emcad.model.encoder import create_encoder
    from napari_emcad.model.feature_extractor import FeatureExtractor
    from napari_emcad.model.skip_init import SkipInit

    path = expand_path(path)
    name, tensors = read_encoder(path)
    with SkipInit():
        encoder = create_encoder(name)
    prefix = "encoder."
    weights = {key.removeprefix(prefix): torch.from_numpy(one) for key, one in tensors.items()}
    encoder.load_state_dict(weights)
    encoder.eval().requires_grad_(False)
    encoder.to(memory_format=torch.channels_last)
    return FeatureExtractor(path.stem, ENCODERS[name].widths, IMAGENET_MEAN, IMAGENET_STD, encoder)
