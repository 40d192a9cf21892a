"""Numbers of classes in a data set and in a checkpoint, matched by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_emcad.io.checkpoints.classes import default_classes

if TYPE_CHECKING:
    from napari_emcad.io.datasets.found_files import FoundFiles
    from napari_emcad.pipelines.segmentation_model import SegmentationModel


def with_classes_of(checkpoint: SegmentationModel, files: FoundFiles) -> tuple[FoundFiles, str]:
    """Return a data set whose classes have the numbers that they have in a checkpoint.

    Two files with the same organs may number them in another order. If both name the same classes,
    labels are renumbered; else numbers count, which is said.

    Returns
    -------
    files
        The data set, whose coding renumbers labels if needed.
    remark
        What the user should know about it, or "".
    """
    data = list(files.class_names or ())
    network = [label.name for label in checkpoint.classes]
    if len(data) < 2 or data == network:
        return files, ""
    if sorted(map(str.lower, data)) == sorted(map(str.lower, network)):
        numbers = {name.lower(): k for k, name in enumerate(network, start=1)}
        order = {k: numbers[name.lower()] for k, name in enumerate(data, start=1)}
        pairs = files.coding.classes or tuple((k, k) for k in order)
        renumbered = tuple((value, order.get(k, k)) for value, k in pairs)
        remark = "the labels are renumbered in the order of the checkpoint's classes, by name."
        return files.with_coding(classes=renumbered), remark if order else ""
    listed = ", ".join(f"{k} {name}" for k, name in enumerate(data, start=1))
    is_unnamed = network == [label.name for label in default_classes(len(network) + 1)]
    other = "does not name its" if is_unnamed else f"has {', '.join(network)} as"
    return files, (
        f"the checkpoint {other} classes; those of the data set are matched by number: {listed}."
    )
