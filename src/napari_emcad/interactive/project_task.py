"""The training task of a saved project, without a window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_emcad.annotation.label_rules import LabelRule
from napari_emcad.annotation.record import Record
from napari_emcad.interactive.annotated_patches import AnnotatedImage, scan_annotations
from napari_emcad.interactive.task import training_task
from napari_emcad.io.checkpoints.heads import with_class_names
from napari_emcad.io.images.read import read_image
from napari_emcad.io.project_folder import ProjectError
from napari_emcad.pipelines.segment import slices_for

if TYPE_CHECKING:
    from napari_emcad.interactive.task import TrainingTask
    from napari_emcad.io.annotation_file import SavedAnnotation
    from napari_emcad.io.checkpoints.checkpoint import Checkpoint
    from napari_emcad.io.project_folder import SavedProject
    from napari_emcad.training.config import TrainingConfig


def project_task(
    project: SavedProject,
    checkpoint: Checkpoint,
    config: TrainingConfig,
    device: str = "auto",
    automatic: bool = False,
) -> TrainingTask:
    """Return the task to learn the annotations of a project, as the Teach tab does.

    Parameters
    ----------
    project
        Annotations with the paths of their images, and classes.
    checkpoint
        Checkpoint to start from; classes that it lacks get new heads.
    config
        Training configuration.
    device
        ``"auto"``, ``"cuda"``, ``"mps"`` or ``"cpu"``.
    automatic
        See `TrainingTask`.

    Raises
    ------
    ProjectError
        If nothing is annotated, or an image is missing or another one than was annotated.
    ImageFileError
        If an image cannot be read.
    ValueError
        If the classes do not fit the checkpoint.
    """
    names = [name for name, _ in project.classes]
    start = with_class_names(checkpoint, names) if names else checkpoint
    numbered = enumerate(project.annotations, start=1)
    images = tuple(_annotated_image(number, saved, start) for number, saved in numbered)
    record = scan_annotations(images, Record(), len(start.classes)).frozen_split()
    if not record.pixel_counts:
        raise ProjectError("Nothing is annotated in this project.")
    return training_task(start, images, record, config, device, automatic=automatic)


def _annotated_image(number: int, saved: SavedAnnotation, start: Checkpoint) -> AnnotatedImage:
    about, path = saved.metadata, saved.metadata.get("path")
    if not path:
        raise ProjectError(
            f"The image “{about['image']}” was never saved to a file; open the project in napari, "
            f"save the image, and save the project again."
        )
    if not Path(path).exists():
        raise ProjectError(f"The image {path} of the annotation “{about['name']}” is missing.")
    opened = read_image(Path(path))
    axes, channels = about["axes"], about["channels"]
    chosen = None if channels is None else tuple(channels)
    slices = slices_for(opened.pixels, start, axes, chosen)
    corner = tuple(about["corner"]) or (0,) * len(slices.spatial_shape)
    sizes = zip(slices.spatial_shape, corner, saved.labels.shape, strict=True)
    if any(first + size > whole for whole, first, size in sizes):
        raise ProjectError(
            f"{path} has another size than the image that was annotated: "
            f"{' × '.join(map(str, slices.spatial_shape))} pixels."
        )
    rule = LabelRule.from_dict(about["rule"])
    return AnnotatedImage(
        number, about["image"], slices, saved.labels, rule, corner, image=path, copied=saved.copied
    )
