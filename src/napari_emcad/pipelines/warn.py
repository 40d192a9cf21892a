"""Warnings for people who call the package from Python."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

from napari_emcad.imaging.exposure import IntensityRangeWarning
from napari_emcad.inference.events import RangeNotice

_PACKAGE = f"{Path(__file__).parent.parent}{os.sep}"


def warn_if_out_of_range(event: object) -> None:
    """Warn the caller of the package about an image if an event of a job says so."""
    if isinstance(event, RangeNotice):
        warn_about_range(event.text)


def warn_about_range(message: str) -> None:
    """Issue an `IntensityRangeWarning` for the line that called the package."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, IntensityRangeWarning, stacklevel=level)
