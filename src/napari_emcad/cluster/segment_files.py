"""Segment many files with several processes, or with a running dask cluster."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_emcad.cluster.connect import connect
from napari_emcad.cluster.events import ImageDone, ImageFailed
from napari_emcad.cluster.request import FilesRequest, ImageFile
from napari_emcad.cluster.submit import Submitter
from napari_emcad.cluster.tasks import ModelFile
from napari_emcad.imaging.link_objects import LinkSettings
from napari_emcad.io.checkpoints.checkpoint import Checkpoint
from napari_emcad.io.checkpoints.files import bundled_checkpoint, write_checkpoint
from napari_emcad.io.checkpoints.instant_model import InstantModel, write_instant
from napari_emcad.io.checkpoints.native import content_sha256
from napari_emcad.io.checkpoints.sniff import file_sha256
from napari_emcad.io.images.read_options import ReadOptions
from napari_emcad.io.segment_run import MODEL_FILE, SegmentRun, run_folder
from napari_emcad.pipelines.segment import merge_settings
from napari_emcad.pipelines.segmentation_model import check_model

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from os import PathLike

    from napari_emcad.cluster.events import FilesEvent
    from napari_emcad.inference.events import InferenceSettings
    from napari_emcad.pipelines.segmentation_model import SegmentationModel


@dataclass(frozen=True, slots=True)
class SegmentedFiles:
    """The result of `segment_files`.

    Attributes
    ----------
    outputs
        Files that are complete, also those of an earlier start.
    failed
        Why images were left out, by their name.
    """

    outputs: tuple[Path, ...]
    failed: Mapping[str, str] = field(default_factory=dict)


def segment_files(
    files: Mapping[str | PathLike[str], str | PathLike[str]] | Iterable[ImageFile],
    checkpoint: SegmentationModel | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    axes: str | None = None,
    channels: Sequence[int | None] | int | None = None,
    link: float | None = None,
    link_gap: int = 0,
    reading: Mapping[str, Any] | None = None,
    settings: InferenceSettings | None = None,
    overwrite: bool = False,
    on_event: Callable[[FilesEvent], object] | None = None,
    **options: Any,
) -> SegmentedFiles:
    """Segment image files into label files with several processes.

    Labels equal those of `segment` exactly. What is finished stays if the function is interrupted;
    calling it again with the same arguments computes only what is missing.

    Parameters
    ----------
    files
        Output by image: ``.tif``, ``.npy``, ``.zarr``, ``.nii.gz`` and the other formats of
        ``napari-emcad segment``.
    checkpoint
        Checkpoint or instant model; None takes the bundled checkpoint.
    workers
        Number of local processes; with ``if __name__ == "__main__"`` in a script of one's own.
    scheduler
        Address of a running dask scheduler instead. Its workers need this package in the same
        version, and the folders of images and outputs under the same paths.
    axes, channels, settings, **options
        As for `segment`; ``device`` is that of the workers.
    link, link_gap
        With ``clean_up=CleanUp(separate=True)``: give objects of neighboring slices with this
        overlap one number, over so many slices without them; see `link_objects`.
    reading
        Choices where files can be read in several ways: ``plane``, ``image_key`` and ``level``.
    overwrite
        Whether existing outputs are replaced, and an unfinished run with other settings is dropped.
    on_event
        Called with every `FilesProgress`, `ImageNotice`, `ImageFailed`, `LabelsBegun` and
        `ImageDone`.

    Raises
    ------
    ClusterError
        If the cluster cannot be used; see `napari_emcad.cluster.connect.connect`.
    SegmentRunError
        If another run writes to the same output, or an unfinished one has other settings.
    ValueError, TypeError
        If an option is out of bounds or unknown.
    FileExistsError
        If an output exists that this run has not written, and `overwrite` is not set.

    Examples
    --------
    >>> files = {"a.tif": "a_labels.tif", "b.tif": "b_labels.tif"}
    >>> napari_emcad.segment_files(files, workers=2)  # doctest: +SKIP
    """
    model = bundled_checkpoint() if checkpoint is None else checkpoint
    check_model(model)
    device = options.pop("device", "auto")
    request = FilesRequest(
        model,
        merge_settings(settings, options, device),
        axes=axes,
        channels=channels if isinstance(channels, int) or channels is None else tuple(channels),
        link=None if link is None else LinkSettings(link, link_gap),
        overwrite=overwrite,
        options=ReadOptions(**(reading or {})),
    )
    jobs = _image_files(files)
    folder = common_run_folder([job.output for job in jobs])
    outputs, failed = list[Path](), dict[str, str]()
    for event in segment_files_job(
        jobs, request, folder, workers, scheduler, _check_new(overwrite)
    ):
        if isinstance(event, ImageDone):
            outputs.append(event.output)
        elif isinstance(event, ImageFailed):
            failed[event.name] = event.text
        if on_event is not None:
            on_event(event)
    return SegmentedFiles(tuple(outputs), failed)


def segment_files_job(
    files: Sequence[ImageFile],
    request: FilesRequest,
    folder: Path,
    workers: int | None,
    scheduler: str | None,
    check: Callable[[Sequence[ImageFile]], object],
) -> Generator[FilesEvent, None, None]:
    """Segment files, yielding events; see `segment_files`.

    Parameters
    ----------
    files
        Images and outputs.
    request
        What is done with them.
    folder
        Folder of the run; see `napari_emcad.io.segment_run.run_folder`.
    workers, scheduler
        The cluster; see `connect`.
    check
        Called with the images that this run has not begun yet, before any is computed; it
        refuses outputs that must not be written.
    """
    run, failed = SegmentRun(folder), True
    with run.lock():
        try:
            model_file = write_model(request.model, folder)
            run.start(request.binding(content_sha256(model_file.path)), request.overwrite)
            check([file for file in files if not run.has_begun(file.output)])
            with connect(workers, scheduler) as client:
                failed = yield from _events(Submitter(client, request, model_file, run), files)
        finally:
            if not failed or run.is_empty:
                run.remove()


def _events(submitter: Submitter, files: Sequence[ImageFile]) -> Generator[FilesEvent, None, bool]:
    """Yield the events of a run, and return whether an image failed."""
    failed = False
    for event in submitter.segment(files):
        failed = failed or isinstance(event, ImageFailed)
        yield event
    return failed


def write_model(model: SegmentationModel, folder: Path) -> ModelFile:
    """Write the model to the folder of a run, from which workers read it.

    Raises
    ------
    CheckpointError
        If it cannot be written.
    """
    path = folder.absolute() / MODEL_FILE
    if isinstance(model, InstantModel):
        write_instant(model, path)
    elif isinstance(model, Checkpoint):
        write_checkpoint(model, path)
    else:
        raise TypeError(f"Models of the type {type(model).__name__} cannot be sent to workers.")
    return ModelFile(path, file_sha256(path))


def common_run_folder(outputs: Sequence[Path]) -> Path:
    """Return the folder of a run: beside its only output, or in the folder of the first one."""
    if len(outputs) == 1:
        return run_folder(outputs[0], is_folder=False)
    return run_folder(outputs[0].parent, is_folder=True)


def _image_files(files: Any) -> list[ImageFile]:
    if hasattr(files, "items"):
        files = [ImageFile(Path(path), Path(output)) for path, output in files.items()]
    jobs = list(files)
    if not jobs:
        raise ValueError("There is no image; name at least one.")
    return jobs


def _check_new(overwrite: bool) -> Callable[[Sequence[ImageFile]], None]:
    """Return a check that outputs do not exist."""

    def check(files: Sequence[ImageFile]) -> None:
        for file in files:
            if file.output.exists() and not overwrite:
                raise FileExistsError(f"{file.output} exists already; pass overwrite=True.")

    return check
