"""The job that segments files in processes of their own, or with a cluster."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_emcad.inference.events import Progress
from napari_emcad.plugin.settings import cluster_scheduler

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Sequence

    from napari_emcad.cluster.events import FilesProgress, LabelsBegun
    from napari_emcad.cluster.request import FilesRequest, ImageFile


@dataclass(frozen=True, slots=True)
class FilesDone:
    """What has become of the files.

    Attributes
    ----------
    written
        Number of label files.
    failed
        Names and reasons of images that could not be segmented.
    stopped
        Whether the job was stopped before all were done; the next start does the rest.
    """

    written: int
    failed: tuple[str, ...]
    stopped: bool


def files_job(
    files: Sequence[ImageFile], request: FilesRequest, stop: threading.Event
) -> Generator[Progress | LabelsBegun, None, FilesDone]:
    """Segment files, one after another or several at once, as the cluster has workers.

    Parameters
    ----------
    files, request
        As for `napari_emcad.cluster.segment_files.segment_files_job`.
    stop
        Ends the job after the next part.

    Raises
    ------
    ValueError
        If the cluster cannot be used, or another run writes to the same output.
    """
    from napari_emcad.cluster.connect import ClusterError

    try:
        return (yield from _segment(files, request, stop))
    except ClusterError as error:
        raise ValueError(str(error)) from None


def _segment(
    files: Sequence[ImageFile], request: FilesRequest, stop: threading.Event
) -> Generator[Progress | LabelsBegun, None, FilesDone]:
    from napari_emcad.cluster.events import FilesProgress, ImageDone, ImageFailed, LabelsBegun
    from napari_emcad.cluster.segment_files import common_run_folder, segment_files_job

    scheduler = cluster_scheduler()
    folder, written, failed = common_run_folder([file.output for file in files]), 0, list[str]()
    job = segment_files_job(
        files, request, folder, None if scheduler else 1, scheduler or None, lambda _: None
    )
    with closing(job):
        for event in job:
            written += isinstance(event, ImageDone)
            if isinstance(event, FilesProgress):
                yield _progress(event)
            elif isinstance(event, LabelsBegun):
                yield event
            elif isinstance(event, ImageFailed):
                failed.append(f"{event.name}: {event.text}")
            if stop.is_set():
                return FilesDone(written, tuple(failed), stopped=True)
    return FilesDone(written, tuple(failed), stopped=False)


def _progress(event: FilesProgress) -> Progress:
    """Return the number of files; of a single one, percent."""
    if event.total == 1:
        return Progress(int(100 * event.share), 100)
    return Progress(event.done, event.total)
