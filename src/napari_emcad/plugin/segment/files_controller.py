"""Segments image files that are not open, with the workers of a cluster or a process of its own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_emcad.cluster.request import FilesRequest, ImageFile
from napari_emcad.io.images.file_names import label_extension, stem_of
from napari_emcad.plugin.segment.files_job import files_job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_emcad.pipelines.segmentation_model import SegmentationModel
    from napari_emcad.plugin.runner.context import Context
    from napari_emcad.plugin.runner.thread import Outcome
    from napari_emcad.plugin.segment.files_job import FilesDone
    from napari_emcad.plugin.segment.panel import SegmentPanel


class FilesController(QObject):
    """Runs the segmentation of files; what is finished stays, and the next start does the rest.

    Parameters
    ----------
    context
        Shared state of the panel.
    panel
        Fields of the Segment tab.
    model
        Returns the chosen model.
    """

    def __init__(
        self, context: Context, panel: SegmentPanel, model: Callable[[], SegmentationModel | None]
    ) -> None:
        super().__init__(panel)
        self._context, self._panel, self._model = context, panel, model
        panel.files.files_requested.connect(self.run)

    def run(self, paths: Sequence[Path], folder: Path) -> None:
        """Segment files into a folder; labels that are there already are not computed again.

        Parameters
        ----------
        paths
            Image files.
        folder
            Folder for ``NAME_labels`` and its extension.
        """
        model, reason = self._model(), self._context.session.why_not_run()
        if reason or model is None:
            self._context.show_message(reason or "Open a model first.", error=True)
            return
        outputs = {p: folder / f"{stem_of(p)}_labels{label_extension(p)}" for p in paths}
        missing = {path: output for path, output in outputs.items() if not output.exists()}
        there = len(outputs) - len(missing)
        if not missing:
            self._context.show_message(f"All {there:,} labels are in {folder} already.")
            return
        files = f"{len(missing):,} file{'s' if len(missing) != 1 else ''}"
        self._context.runner.run(
            f"Segmenting {files}",
            partial(
                files_job,
                [ImageFile(path, output) for path, output in missing.items()],
                FilesRequest(model, self._panel.settings),
            ),
            partial(self._ended, folder, there),
        )

    def _ended(self, folder: Path, there: int, outcome: Outcome) -> None:
        if outcome.error:
            return
        done: FilesDone = outcome.result
        ending = "Stopped; press Segment files again for the rest." if done.stopped else ""
        skipped = f"{there:,} were there already." if there else ""
        written = f"{done.written:,} file{'s' if done.written != 1 else ''} written to {folder}."
        parts = [written, skipped, ending, *done.failed]
        self._context.show_message(" ".join(filter(None, parts)), error=bool(done.failed))
