"""Submit the parts of many images to a dask cluster, a window of them at a time."""

from __future__ import annotations

import uuid
from itertools import count
from typing import TYPE_CHECKING, Any

from napari_emcad.cluster.connect import ClusterError
from napari_emcad.cluster.events import (
    FilesProgress,
    ImageDone,
    ImageFailed,
    ImageNotice,
    LabelsBegun,
)
from napari_emcad.cluster.image_run import ImageRun
from napari_emcad.cluster.running_tasks import wait_until_idle
from napari_emcad.cluster.tasks import Failure, PartDone
from napari_emcad.cluster.worker import compute_part, compute_ranges, join_bands
from napari_emcad.imaging.axes import AxesError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from napari_emcad.cluster.events import FilesEvent
    from napari_emcad.cluster.request import FilesRequest, ImageFile
    from napari_emcad.cluster.tasks import ModelFile
    from napari_emcad.io.segment_run import SegmentRun

_PER_THREAD = 3
"""Parts per thread of the workers that are submitted at once, so that none waits for the next."""


class Submitter:
    """Submits parts, and writes the outputs of complete images.

    Parameters
    ----------
    client
        Client of dask.
    request, model_file
        What is done with all images, and the model as workers read it.
    run
        The folder of the run, which is locked.
    """

    def __init__(
        self, client: Any, request: FilesRequest, model_file: ModelFile, run: SegmentRun
    ) -> None:
        from distributed import as_completed

        self._client, self._request, self._model_file = client, request, model_file
        self._run = run
        self._pending: dict[Any, ImageRun] = {}
        self._completed = as_completed()
        self._ready: list[ImageRun] = []
        self._active: list[ImageRun] = []
        self._done = self._parts = self._total = 0
        self._id, self._numbers = uuid.uuid4().hex, count()

    def segment(self, files: Iterable[ImageFile]) -> Generator[FilesEvent, None, None]:
        """Segment images one after another; images that fail are reported and skipped."""
        files = list(files)
        self._total = len(files)
        feed = self._feed(files)
        try:
            yield self._progress()
            while True:
                is_fed = yield from self._fill(feed)
                if not self._pending:
                    if is_fed:
                        continue
                    break
                yield from self._settle(next(self._completed))
        finally:  # also if it is interrupted
            self._client.cancel(list(self._pending), force=True)
            if self._client.cluster is None:  # processes of our own end with their cluster
                wait_until_idle(self._client, self._id)

    def _fill(self, feed: Iterator[FilesEvent | None]) -> Generator[FilesEvent, None, bool]:
        """Submit parts until enough are pending; return whether there may be more."""
        while len(self._pending) < self._window():
            try:
                event = next(feed)
            except StopIteration:
                return False
            if event is not None:
                yield event
            yield from self._finish_ready()
        return True

    def _window(self) -> int:
        """Return the number of parts to submit at once; workers may come and go."""
        threads: int = sum(self._client.nthreads().values())
        return _PER_THREAD * max(threads, 1)

    def _feed(self, files: Iterable[ImageFile]) -> Iterator[FilesEvent | None]:
        """Open one image after another and submit its parts, one at every step."""
        for file in files:
            if self._run.is_finished(file.output):
                self._done += 1
                yield ImageDone(file.name, file.output)
                continue
            try:
                workers = len(self._client.nthreads())
                image = ImageRun(file, self._request, self._model_file, self._run, workers)
            except (ValueError, TypeError, OSError) as error:
                self._done += 1
                yield ImageFailed(file.name, str(error), isinstance(error, AxesError))
                continue
            self._active.append(image)
            if image.task.zarr is not None:
                yield LabelsBegun(image.name, image.task.zarr)
            if image.is_complete:
                self._ready.append(image)
                yield None
                continue
            for _ in self._submit_image(image):
                yield None
                if image.failed:
                    break

    def _submit_image(self, image: ImageRun) -> Iterator[None]:
        """Submit the missing parts of an image."""
        preprocessing = self._request.model.preprocessing
        needs_ranges = preprocessing.intensity == "percentile"
        of_stack = preprocessing.over == "stack"
        ranges = None
        for part, bands in image.missing():
            if needs_ranges and (ranges is None if of_stack else bands):
                ranges = self._submit(image, compute_ranges, part.first, is_part=False)
            known = ranges if of_stack or bands else None
            computed = []
            for band in bands or ([] if image.bands(part) else [part]):
                computed.append(self._submit(image, compute_part, band, known))
                yield None
            if image.task.joins:
                self._submit(image, join_bands, part, image.bands(part), computed)
                yield None

    def _submit(
        self, image: ImageRun, function: Callable[..., Any], *args: Any, is_part: bool = True
    ) -> Any:
        key = f"{function.__name__}-{self._id}-{next(self._numbers)}"
        future = self._client.submit(function, image.task, *args, key=key, pure=False)
        if is_part:
            self._pending[future] = image
            self._completed.add(future)
        return future

    def _settle(self, future: Any) -> Iterator[FilesEvent]:
        """Yield what follows from a task that has ended."""
        image = self._pending.pop(future, None)
        if image is None:  # of an image that was given up
            return
        result = self._result(future)
        if isinstance(result, Failure):
            yield from self._give_up(image, result.text)
            return
        self._parts += 1
        image.finish(result.key)
        if result.notice:
            image.notices.append(result.notice)
            yield ImageNotice(image.name, result.notice, is_range=True)
        if image.is_complete:
            self._ready.append(image)
        yield from self._finish_ready()
        yield self._progress()

    def _result(self, future: Any) -> PartDone | Failure:
        """Return what a task returned; errors that workers do not describe are described here."""
        from distributed.scheduler import KilledWorker

        if future.status in ("cancelled", "lost"):
            raise ClusterError(
                "The connection to the scheduler was lost; start the same command again for what "
                "is missing."
            )
        error = future.exception() if future.status == "error" else None
        if isinstance(error, KilledWorker):
            return Failure(
                "its workers died several times while they computed the same part; memory may be "
                "short: use fewer workers or a smaller tile."
            )
        if isinstance(error, ImportError):
            return Failure(
                f"a worker lacks the package {error.name or error}: install napari-emcad with the "
                f"same version in its environment and restart it."
            )
        if error is not None:
            return Failure(f"{type(error).__name__}: {error}")
        result: PartDone | Failure = future.result()
        return result

    def _give_up(self, image: ImageRun, text: str) -> Iterator[FilesEvent]:
        """Drop an image that cannot be segmented."""
        image.failed = True
        self._active.remove(image)
        self._done += 1
        dropped = [future for future, other in self._pending.items() if other is image]
        self._client.cancel(dropped)
        for future in dropped:
            del self._pending[future]
        yield ImageFailed(image.name, text)
        yield self._progress()

    def _finish_ready(self) -> Iterator[FilesEvent]:
        """Write the outputs of the images that are complete."""
        while self._ready:
            image = self._ready.pop(0)
            try:
                result = image.write()
            except (ValueError, OSError) as error:
                yield from self._give_up(image, str(error))
                continue
            self._active.remove(image)
            self._done += 1
            opened = None if result is None else image.image
            yield ImageDone(image.name, image.file.output, opened, result)
            image.close()
            yield self._progress()

    def _progress(self) -> FilesProgress:
        share = (self._done + sum(image.share for image in self._active)) / max(self._total, 1)
        return FilesProgress(self._done, self._total, share, self._parts)
