"""Write the labels and the probabilities of a segmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.io.images.file_names import VOLUME_EXTENSIONS, extension_of, stem_of
from napari_emcad.io.images.write_labels import write_result

if TYPE_CHECKING:
    from pathlib import Path

    from napari_emcad.io.images.opened_image import OpenedImage
    from napari_emcad.pipelines.segment import Segmentation


def write_segmentation(result: Segmentation, output: Path, image: OpenedImage) -> None:
    """Write the labels to `output`, and probabilities beside it if there are any.

    Raises
    ------
    ImageFileError
        If a format cannot hold them, or writing fails.
    """
    classes = () if result.summary.object_classes else result.classes
    write_result(output, result.labels, result.axes, image, classes)
    write_probabilities(result, output, image)


def write_probabilities(result: Segmentation, output: Path, image: OpenedImage) -> None:
    """Write the probabilities beside the labels in `output`, if there are any."""
    if result.probabilities is not None:
        path, axes = probabilities_file(output), f"C{result.axes}"
        write_result(path, result.probabilities, axes, image)


def probabilities_file(output: Path) -> Path:
    """Return the file for the probabilities beside that for the labels."""
    extension = extension_of(output)
    kind = extension if extension in VOLUME_EXTENSIONS else ".tif"
    kind = ".nii.gz" if extension in (".mgz", ".dcm") else kind
    return output.with_name(f"{stem_of(output).removesuffix('_labels')}_probabilities{kind}")
