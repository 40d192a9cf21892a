"""What a list shows of the autosave folders of earlier sessions, and their removal."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from napari_emcad.io.annotation_file import AnnotationSummary, read_annotation_summary
from napari_emcad.io.autosave import MODEL, annotation_files
from napari_emcad.io.checkpoints.native import read_native_description
from napari_emcad.io.checkpoints.sniff import CheckpointError
from napari_emcad.io.folder_lock import folder_lock

if TYPE_CHECKING:
    from napari_emcad.io.autosave import Recovery


def summarize(recovery: Recovery) -> tuple[tuple[AnnotationSummary, ...], str]:
    """Return what a list shows of a recovery: its annotations, and the title of its model or "".

    Files that cannot be read are left out.
    """
    annotations, title = [], ""
    for path in annotation_files(recovery.folder):
        with suppress(OSError, ValueError, KeyError):
            annotations.append(read_annotation_summary(path))
    if recovery.model:
        with suppress(OSError, CheckpointError):
            title = read_native_description(recovery.folder / MODEL).title
    return tuple(annotations), title


def delete(recovery: Recovery) -> None:
    """Remove the folder of a recovery.

    Raises
    ------
    OSError
        If it cannot be removed, or is in use.
    """
    with folder_lock(recovery.folder):
        pass
    shutil.rmtree(recovery.folder)
