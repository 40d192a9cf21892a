"""Random changes of shape and color, of images and targets together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.model import triton_preload  # noqa: F401  # isort: skip  (before torchvision)
import torch
from skimage.color import hed_from_rgb, rgb_from_hed
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.model.own_random import OwnRandom

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_emcad.training.config import Augmentation

_DIAGONAL = 1.42
"""Diagonal of a square over its side: a rotated crop is cut from a window this much larger."""


class Augmenter:
    """Turns a window of a slice into a crop.

    Parameters
    ----------
    augmentation
        Kinds and strengths of the changes.
    crop
        Side of the crop in pixels.
    zoom
        Zoom of the preprocessing, in addition to the random one.
    """

    def __init__(self, augmentation: Augmentation, crop: int, zoom: float = 1.0) -> None:
        self._scale = [zoom * scale for scale in augmentation.scale]
        affine = augmentation.rotate > 0 or augmentation.shear > 0
        self._side = int(np.ceil(crop * _DIAGONAL)) if affine else crop
        self._shape = v2.Compose(_shape_transforms(augmentation, crop, affine))
        self._color = v2.Compose(_color_transforms(augmentation))

    def draw_window(self, rng: np.random.Generator) -> int:
        """Draw a zoom and return the side of the window that it needs."""
        zoom = float(np.exp(rng.uniform(*np.log(self._scale))))
        return max(round(self._side / zoom), 2)

    def __call__(
        self, pixels: NDArray[np.float32], target: NDArray[np.integer], inputs: int, seed: int
    ) -> tuple[Tensor, Tensor]:
        """Return an augmented crop of a window, ``(inputs, crop, crop)`` and ``(crop, crop)``.

        Parameters
        ----------
        pixels
            ``(1 or inputs, S, S)`` in 0 … 1.
        target
            ``(S, S)``.
        inputs
            Number of channels of the crop.
        seed
            Seed of everything that is drawn.
        """
        image = tv_tensors.Image(torch.from_numpy(np.ascontiguousarray(pixels)))
        mask = tv_tensors.Mask(torch.from_numpy(np.ascontiguousarray(target))[None])
        with OwnRandom(seed):
            if image.shape[-1] != self._side:
                image, mask = v2.Resize((self._side, self._side), antialias=True)(image, mask)
            image, mask = self._shape(image, mask)
            if image.shape[0] != inputs:
                image = tv_tensors.Image(image.expand(inputs, -1, -1))
            image = self._color(image)
        return image.clamp(0, 1).as_subclass(Tensor), mask[0].as_subclass(Tensor).long()


def _shape_transforms(augmentation: Augmentation, crop: int, affine: bool) -> list[Any]:
    transforms: list[Any] = []
    if affine:
        random_affine = v2.RandomAffine(
            degrees=augmentation.rotate,
            shear=augmentation.shear or None,
            interpolation=v2.InterpolationMode.BILINEAR,
            fill={tv_tensors.Image: 0.0, tv_tensors.Mask: UNLABELED},
        )
        transforms += [v2.RandomApply([random_affine], p=0.5), v2.CenterCrop(crop)]
    if augmentation.flip:
        transforms += [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip(), _RandomTranspose()]
    return transforms or [v2.Identity()]


def _color_transforms(augmentation: Augmentation) -> list[Any]:
    jitter = v2.ColorJitter(
        augmentation.brightness, augmentation.contrast, augmentation.saturation, augmentation.hue
    )
    transforms: list[Any] = [
        v2.RandomApply([jitter], p=0.7),
        v2.RandomGrayscale(augmentation.gray),
        v2.RandomApply([v2.RandomChannelPermutation()], p=augmentation.permute),
        v2.RandomInvert(augmentation.invert),
    ]
    if augmentation.stain:
        transforms.append(v2.RandomApply([_RandomStain(augmentation.stain)], p=0.7))
    if augmentation.gamma > 1:
        transforms.append(v2.RandomApply([_RandomGamma(augmentation.gamma)], p=0.5))
    if augmentation.blur:
        blur = v2.GaussianBlur(7, (0.1, augmentation.blur))
        transforms.append(v2.RandomApply([blur], p=0.3))
    if augmentation.noise:
        transforms.append(v2.RandomApply([_RandomNoise(augmentation.noise)], p=0.4))
    return transforms


class _RandomTranspose(v2.Transform):
    """Swap rows and columns, half of the time."""

    def __init__(self) -> None:
        super().__init__()

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw whether to swap."""
        return {"swap": bool(torch.rand((), device="cpu") < 0.5)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Return the input, perhaps transposed."""
        return tv_tensors.wrap(inpt.mT, like=inpt) if params["swap"] else inpt


class _RandomGamma(v2.Transform):
    """Raise values to a power between 1 / largest and largest."""

    def __init__(self, largest: float) -> None:
        super().__init__()
        self._log = float(np.log(largest))

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the power."""
        return {"power": float(torch.exp(self._log * (2 * torch.rand((), device="cpu") - 1)))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Return the input to this power."""
        return tv_tensors.wrap(inpt.clamp(0, 1) ** params["power"], like=inpt)


class _RandomStain(v2.Transform):
    """Change the amounts of hematoxylin, eosin and DAB of an RGB image.

    Notes
    -----
    Tellez et al., Medical Image Analysis 58, 2019: an amount `c` becomes `a c + b`. Images that
    have not three channels are left as they are.
    """

    _SHIFT = 0.2
    """Largest `b` relative to the largest change of `a`."""

    _DARKEST = 1e-3
    """Intensity of black, as light has no absorbance beyond it."""

    def __init__(self, largest: float) -> None:
        super().__init__()
        self._largest = largest

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw factors and shifts."""
        factors, shifts = self._largest * (2 * torch.rand(2, 3, device="cpu") - 1)
        return {"factors": 1 + factors, "shifts": self._SHIFT * shifts}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Return an image ``(3, H, W)`` in 0 … 1 with other amounts of stain."""
        if inpt.shape[0] != 3:
            return inpt
        to_stains, to_rgb = (torch.as_tensor(m.T).to(inpt) for m in (hed_from_rgb, rgb_from_hed))
        absorbance = -inpt.clamp(self._DARKEST, 1).log().flatten(1)
        amounts = params["factors"][:, None] * (to_stains @ absorbance)
        changed = (-(to_rgb @ (amounts + params["shifts"][:, None]))).exp()
        return tv_tensors.wrap(changed.clamp(0, 1).view(inpt.shape), like=inpt)


class _RandomNoise(v2.Transform):
    """Add Gaussian noise of a standard deviation up to `largest`."""

    def __init__(self, largest: float) -> None:
        super().__init__()
        self._largest = largest

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the standard deviation."""
        return {"sigma": float(self._largest * torch.rand((), device="cpu"))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Return the input with noise added."""
        return tv_tensors.wrap(
            inpt + params["sigma"] * torch.randn(inpt.shape, device="cpu"), like=inpt
        )
