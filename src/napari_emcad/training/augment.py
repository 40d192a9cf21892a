"""Crops are zoomed, turned, mirrored and recolored, images and targets together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.model import triton_preload  # noqa: F401  # isort: skip  (before torchvision)
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from napari_emcad.annotation.label_rules import UNLABELED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_emcad.training.config import Augmentation

_DIAGONAL = 1.42


class Augmenter:
    """Turns a window of a slice into a crop.

    Parameters
    ----------
    augmentation
        What to do, and how strongly.
    crop
        Side of the crop in pixels.
    zoom
        Of the preprocessing, besides what is drawn.
    """

    def __init__(self, augmentation: Augmentation, crop: int, zoom: float = 1.0) -> None:
        self._scale = [zoom * each for each in augmentation.scale]
        turned = augmentation.rotate > 0 or augmentation.shear > 0
        self._side = int(np.ceil(crop * _DIAGONAL)) if turned else crop
        self._shape = v2.Compose(_shape_transforms(augmentation, crop, turned))
        self._color = v2.Compose(_color_transforms(augmentation))

    def window(self, rng: np.random.Generator) -> int:
        """Draw a zoom and return the side of the window that it needs."""
        zoom = float(np.exp(rng.uniform(*np.log(self._scale))))
        return max(round(self._side / zoom), 2)

    def __call__(
        self, pixels: NDArray[np.float32], target: NDArray[np.integer], inputs: int, seed: int
    ) -> tuple[Tensor, Tensor]:
        """Return an augmented crop of a window.

        Parameters
        ----------
        pixels
            ``(1 or inputs, S, S)`` in 0 … 1.
        target
            ``(S, S)``.
        inputs
            Channels wanted.
        seed
            What is drawn depends on it alone.
        """
        image = tv_tensors.Image(torch.from_numpy(np.ascontiguousarray(pixels)))
        mask = tv_tensors.Mask(torch.from_numpy(np.ascontiguousarray(target))[None])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if image.shape[-1] != self._side:
                image, mask = v2.Resize((self._side, self._side), antialias=True)(image, mask)
            image, mask = self._shape(image, mask)
            if image.shape[0] != inputs:
                image = tv_tensors.Image(image.expand(inputs, -1, -1))
            image = self._color(image)
        return image.clamp(0, 1).as_subclass(Tensor), mask[0].as_subclass(Tensor).long()


def _shape_transforms(chosen: Augmentation, crop: int, turned: bool) -> list[Any]:
    transforms: list[Any] = []
    if turned:
        affine = v2.RandomAffine(
            degrees=chosen.rotate,
            shear=chosen.shear or None,
            interpolation=v2.InterpolationMode.BILINEAR,
            fill={tv_tensors.Image: 0.0, tv_tensors.Mask: UNLABELED},
        )
        transforms += [v2.RandomApply([affine], p=0.5), v2.CenterCrop(crop)]
    if chosen.flip:
        transforms += [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip(), _Transposed()]
    return transforms or [v2.Identity()]


def _color_transforms(chosen: Augmentation) -> list[Any]:
    jitter = v2.ColorJitter(chosen.brightness, chosen.contrast, chosen.saturation, chosen.hue)
    transforms: list[Any] = [
        v2.RandomApply([jitter], p=0.7),
        v2.RandomGrayscale(chosen.gray),
        v2.RandomApply([v2.RandomChannelPermutation()], p=chosen.permute),
        v2.RandomInvert(chosen.invert),
    ]
    if chosen.gamma > 1:
        transforms.append(v2.RandomApply([_Gamma(chosen.gamma)], p=0.5))
    if chosen.blur:
        transforms.append(v2.RandomApply([v2.GaussianBlur(7, (0.1, chosen.blur))], p=0.3))
    if chosen.noise:
        transforms.append(v2.RandomApply([_Noise(chosen.noise)], p=0.4))
    return transforms


class _Transposed(v2.Transform):
    """Swap rows and columns, half of the time."""

    def __init__(self) -> None:
        super().__init__()

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw."""
        return {"swap": bool(torch.rand(()) < 0.5)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Apply what was drawn."""
        return tv_tensors.wrap(inpt.mT, like=inpt) if params["swap"] else inpt


class _Gamma(v2.Transform):
    """Raise values to a power between 1 / largest and largest."""

    def __init__(self, largest: float) -> None:
        super().__init__()
        self._log = float(np.log(largest))

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw."""
        return {"power": float(torch.exp(self._log * (2 * torch.rand(()) - 1)))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Apply what was drawn."""
        return tv_tensors.wrap(inpt.clamp(0, 1) ** params["power"], like=inpt)


class _Noise(v2.Transform):
    """Add Gaussian noise of a standard deviation up to `largest`."""

    def __init__(self, largest: float) -> None:
        super().__init__()
        self._largest = largest

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw."""
        return {"sigma": float(self._largest * torch.rand(()))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Apply what was drawn."""
        return tv_tensors.wrap(inpt + params["sigma"] * torch.randn(inpt.shape), like=inpt)
