"""Preprocessing of published networks, whose files do not contain it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.imaging.intensity import Preprocessing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

RGB_DEFAULT = Preprocessing(size=(352, 352))
"""Published networks with 3 input channels: 0 … 255, ImageNet mean and std, 352 × 352."""

GRAY_DEFAULT = Preprocessing(low=-125, high=275, mean=(0,), std=(1,), size=(224, 224))
"""Published networks with 1 input channel: −125 … 275 HU, 224 × 224."""


def default_preprocessing(input_channels: int) -> Preprocessing:
    """Return the preprocessing of the published networks with 1 or 3 input channels."""
    return RGB_DEFAULT if input_channels == 3 else GRAY_DEFAULT


@dataclass(frozen=True, slots=True)
class KnownCheckpoint:
    """Description of a published file beyond its tensors."""

    title: str
    description: str
    class_names: tuple[str, ...]
    preprocessing: Preprocessing


def fingerprint(tensors: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of the tensors' names and values, independent of the file format."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()


_NUCLEI = KnownCheckpoint(
    title="Nuclei (DSB2018), PVT-EMCAD-B0",
    description=(
        "Nuclei in fluorescence and histology images. Trained from scratch on the 539 training "
        "images of the Data Science Bowl 2018 (CC0); mean Dice 0.908 on 65 test images (dark "
        "0.918, color 0.886, bright 0.713). Not for diagnosis."
    ),
    class_names=("nucleus",),
    preprocessing=Preprocessing(
        intensity="percentile",
        low=0.5,
        high=99.5,
        mean=(0.45,) * 3,
        std=(0.225,) * 3,
        size=None,
    ),
)

KNOWN: dict[str, KnownCheckpoint] = {
    "e91abe9b40f09c63051b6ef745a080a6edcf360fc5f2575b66d372ae27cfe799": _NUCLEI,
}
"""Known files by the `fingerprint` of their tensors."""
