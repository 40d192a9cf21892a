"""The scores of slices as columns of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.pixel_size import PIXEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_emcad.pipelines.compare_labels import LabelComparison


@dataclass(frozen=True, slots=True, eq=False)
class ScoreColumns:
    """Columns of one length, by their titles."""

    columns: Mapping[str, NDArray[Any]]

    @property
    def header(self) -> list[str]:
        """Titles of the columns."""
        return list(self.columns)


def slice_columns(comparison: LabelComparison, names: Sequence[str]) -> ScoreColumns:
    """Return a row per slice: its index, mean scores, and the Dice of single classes.

    Parameters
    ----------
    comparison
        Comparison of a stack.
    names
        Names of classes 1, 2, …
    """
    scores = comparison.by_slice
    unit = "px" if comparison.total.unit == PIXEL else comparison.total.unit
    indices = np.array(comparison.positions, int).reshape(len(scores), -1)
    titles = ["slice"] if indices.shape[1] == 1 else [f"axis {n}" for n in range(indices.shape[1])]
    columns: dict[str, NDArray[Any]] = {title: indices[:, n] for n, title in enumerate(titles)}
    for title, metric in (("Dice", "dice"), ("IoU", "iou")):
        columns[title] = np.array([one.mean(metric) if one.counts else np.nan for one in scores])
    columns[f"HD95 [{unit}]"] = np.array([one.mean_hd95 for one in scores])
    if len(names) > 1:
        for k, name in enumerate(names, start=1):
            by_class = [one.by_class[k] for one in scores]
            columns[name] = np.array([one.dice if one.occurs else np.nan for one in by_class])
    return ScoreColumns(columns)
