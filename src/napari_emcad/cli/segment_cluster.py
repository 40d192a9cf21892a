"""``napari-emcad segment --workers`` and ``--scheduler``: segment on a dask cluster."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from napari_emcad.cli.console import (
    ProgressLine,
    UsageError,
    as_usage_error,
    print_message,
    print_result,
)
from napari_emcad.cli.images import AXES_ADVICE
from napari_emcad.cli.measure import write_table
from napari_emcad.cli.options import inference_options, load_segmentation_model, reading_options
from napari_emcad.cli.segment import check_output_files, is_output_file, measure_result
from napari_emcad.cli.time_left import TimeLeft

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from napari_emcad.cluster.events import FilesEvent, FilesProgress
    from napari_emcad.cluster.request import FilesRequest, ImageFile
    from napari_emcad.io.images.sources import ImageSource
    from napari_emcad.pipelines.object_table import ObjectTable


def run_on_cluster(args: argparse.Namespace, jobs: Sequence[tuple[ImageSource, Path]]) -> int:
    """Segment images in the processes of a cluster; one that fails is reported and skipped.

    Raises
    ------
    UsageError
        If the cluster cannot be used, or outputs cannot or must not be written.
    """
    from napari_emcad.cluster.connect import ClusterError
    from napari_emcad.cluster.request import ImageFile
    from napari_emcad.cluster.segment_files import segment_files_job
    from napari_emcad.io.segment_run import run_folder
    from napari_emcad.pipelines.object_table import joined_csv

    request = _request(args)
    files = [ImageFile(source.path, output, source.name, source.series) for source, output in jobs]
    sources = dict(zip(files, (source for source, _ in jobs), strict=True))

    def check(unfinished: Sequence[ImageFile]) -> None:
        check_output_files([(sources[file], file.output) for file in unfinished], args)

    is_file = is_output_file(args.output)
    folder = run_folder(files[0].output if is_file else args.output, is_folder=not is_file)
    events = segment_files_job(files, request, folder, args.workers, args.scheduler, check)
    printer = _Printer(args)
    try:
        for event in events:
            printer.print_event(event)
    except KeyboardInterrupt:
        print_message("interrupted; start the same command again for what is missing.")
        return 130
    except (ValueError, ClusterError) as error:
        raise UsageError(str(error)) from error
    finally:
        if printer.tables:
            write_table(joined_csv(printer.tables), args.measure)
    if printer.failed and len(files) > 1:
        print_message(f"{printer.failed} of {len(files)} images were not segmented.")
    return 2 if printer.failed else 0


def _request(args: argparse.Namespace) -> FilesRequest:
    """Return what is done with the images."""
    from napari_emcad.cluster.request import FilesRequest
    from napari_emcad.imaging.link_objects import LinkSettings
    from napari_emcad.inference.events import InferenceSettings

    options: dict[str, Any] = inference_options(args)
    channels = options.pop("channels")
    settings = InferenceSettings(**options, probabilities=args.probabilities)
    link = None if args.link is None else LinkSettings(args.link, args.link_gap)
    return as_usage_error(
        FilesRequest,
        load_segmentation_model(args.checkpoint, args.set),
        settings,
        reading_options(args),
        args.axes,
        channels,
        link,
        overwrite=args.overwrite,
        keeps_arrays=args.measure is not None,
    )


class _Printer:
    """Prints events, and measures the objects of images.

    Attributes
    ----------
    failed
        Number of images that were not segmented.
    tables
        Objects by the name of their image.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._line, self._left = ProgressLine(), TimeLeft(time.monotonic)
        self.failed = 0
        self.tables: dict[str, ObjectTable] = {}

    def print_event(self, event: FilesEvent) -> None:
        """Print an event."""
        from napari_emcad.cluster.events import (
            FilesProgress,
            ImageDone,
            ImageFailed,
            ImageNotice,
        )

        if isinstance(event, FilesProgress):
            self._line.show_progress(self._progress(event))
        elif isinstance(event, ImageFailed):
            self.failed += 1
            name = "" if event.text.startswith(event.name) else f"{event.name}: "
            print_message(f"{name}{event.text}{AXES_ADVICE if event.is_axes else ''}")
        elif isinstance(event, ImageDone):
            if self._args.measure is not None and event.segmentation and event.image:
                table = measure_result(event.segmentation, event.image, self._args)
                self.tables[event.name] = table
            print_result(str(event.output))
        elif isinstance(event, ImageNotice):
            print_message(f"{event.name}: {event.text}")

    def _progress(self, event: FilesProgress) -> str:
        images = f"{event.done} of {event.total} images" if event.total > 1 else "segmenting"
        return f"{images}, {event.share:.0%}{self._left.text(event.share)}"
