"""Images whose channels lie in files of their own, such as the modalities of an MR examination."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.io.datasets.pairing import case_name
from napari_emcad.io.images.opened_image import ImageFileError
from napari_emcad.io.images.read import read_image
from napari_emcad.io.plain_text import composed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_emcad.imaging.slices import Slices
    from napari_emcad.io.datasets.found_files import FoundFiles
    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.io.images.read_options import ReadOptions


_FIRST = "_0000"
"""End of the name of the first channel of an image."""


def read_channels(files: Sequence[Path], options: ReadOptions | None = None) -> OpenedImage:
    """Read an image from a file per channel; of one file, the image of the file.

    Parameters
    ----------
    files
        Gray images of the same size that lie at the same place, in the order of the channels.
    options
        As for `read_image`.

    Returns
    -------
    OpenedImage
        That of the first file, with an axis C before those of the file.

    Raises
    ------
    ImageFileError
        If a file cannot be read, has channels itself, or does not lie on the first one.
    """
    first = read_image(files[0], options)
    if len(files) == 1:
        return first
    if first.axes is None or "C" in first.axes:
        raise ImageFileError(
            f"{files[0]} is one of {len(files)} channels, but is no gray image itself; save it as "
            f"one number per pixel."
        )
    channels = [np.asarray(first.pixels)]
    for path in files[1:]:
        other = read_image(path, options)
        _check_place(files[0], first, path, other)
        channels.append(np.asarray(other.pixels))
    names = ", ".join(path.name for path in files)
    note = f"{first.note} Its channels are {names}.".strip()
    return replace(first, pixels=np.stack(channels), axes=f"C{first.axes}", note=note, axes_note="")


def check_chosen(files: Sequence[Path], slices: Slices) -> None:
    """Refuse to mix three channels of an image as red, green and blue are mixed for one input.

    Raises
    ------
    ImageFileError
        The message says what to do.
    """
    if len(files) > 1 and slices.channels.luminance:
        names = ", ".join(f"{k} {path.name}" for k, path in enumerate(files))
        raise ImageFileError(
            f"{files[0].name} has {len(files)} channels and the network takes 1; choose one of "
            f"them with --channels: {names}."
        )


def with_channels(found: FoundFiles) -> FoundFiles:
    """Return a data set whose images ``a_0000`` have the files ``a_0001`` … as further channels.

    Raises
    ------
    ImageFileError
        If images have different numbers of channels, or one is missing between others.
    """
    images = {image for image, _ in found.pairs}
    channels = {image: _channels_of(image, images) for image in images}
    several = {image: files for image, files in channels.items() if len(files) > 1}
    counts = {len(files) for files in channels.values()}
    if len(counts) > 1:
        image = min(channels, key=lambda one: len(channels[one]))
        raise ImageFileError(
            f"{image} has {len(channels[image])} files of channels and other images have "
            f"{max(counts)}; add the missing ones."
        )
    return replace(found, channels=several)


def _channels_of(image: Path, images: set[Path]) -> tuple[Path, ...]:
    """Return the files of the channels of an image whose name ends with ``_0000``, in order.

    Those that are `images` with labels of their own are no channels.
    """
    name = case_name(image)
    if not name.endswith(_FIRST):
        return (image,)
    stem = name.removesuffix(_FIRST)
    end = composed(image.name)[len(name) :]
    pattern = re.compile(rf"{re.escape(stem)}_(\d{{4}}){re.escape(end)}")
    files = {
        int(match.group(1)): path
        for path in image.parent.iterdir()
        if (match := pattern.fullmatch(composed(path.name)))
        and (path == image or path not in images)
    }
    if set(files) != set(range(len(files))):
        raise ImageFileError(f"{image} has the channels {sorted(files)}; add the missing one.")
    return tuple(files[number] for number in sorted(files))


def _check_place(path: Path, first: OpenedImage, other_path: Path, other: OpenedImage) -> None:
    """Refuse channels whose pixels do not lie on those of the first channel."""
    same = other.axes == first.axes and other.pixels.shape == first.pixels.shape
    one, two = first.geometry, other.geometry
    if (one is None) != (two is None) or (one and two and not two.lies_on(one)):
        same = False
    if not same or other.unit != first.unit:
        raise ImageFileError(
            f"{other_path} does not lie on {path.name} ({other.pixels.shape} and "
            f"{first.pixels.shape} pixels), so they cannot be channels of one image; resample it "
            f"to the grid of the first."
        )
