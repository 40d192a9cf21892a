"""Published files whose preprocessing is known although they do not say it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.imaging.intensity import Preprocessing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a file beyond its tensors."""

    title: str
    description: str
    class_names: tuple[str, ...]
    preprocessing: Preprocessing


def fingerprint(tensors: Mapping[str, NDArray[Any]]) -> str:
    """Return a sha256 of the tensors' names and values, whatever file they came in."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()


_NUCLEI = Known(
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

KNOWN: dict[str, Known] = {
    "e91abe9b40f09c63051b6ef745a080a6edcf360fc5f2575b66d372ae27cfe799": _NUCLEI,
}
"""By `fingerprint`."""
