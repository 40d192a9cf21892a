"""The worst cases of an evaluation, as rows of a contact sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.io.reports.evaluation_sheet import make_sheet_row
from napari_emcad.pipelines.scores import format_distance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_emcad.io.reports.evaluation_sheet import SheetRow
    from napari_emcad.pipelines.evaluate import Case

    Ranked = tuple[float, SheetRow]


def keep_worst(worst: Sequence[Ranked], case: Case, number: int) -> Sequence[Ranked]:
    """Return the cases with the lowest Dice so far, worst first, as rows of a contact sheet.

    Parameters
    ----------
    worst
        Result of the previous call; initially empty.
    case
        Next case; only its row is kept, so that memory is bounded by `number`.
    number
        Number of cases to keep.
    """
    dice = case.score.mean("dice")
    if len(worst) == number and dice >= worst[-1][0]:
        return worst
    ranked = sorted([*worst, (dice, as_sheet_row(case))], key=lambda pair: pair[0])
    return ranked[:number]


def as_sheet_row(case: Case) -> SheetRow:
    """Return the row of a case: the slice with the most wrong pixels, and the scores."""
    axes = case.slices.spatial_axes
    plane = axes.index("Y"), axes.index("X")
    predicted = np.moveaxis(case.predicted, plane, (-2, -1))
    known = np.where(case.truth == UNLABELED, case.predicted, case.truth)
    truth = np.moveaxis(known, plane, (-2, -1))
    wrong = np.count_nonzero(predicted != truth, axis=(-2, -1))
    index = tuple(map(int, np.unravel_index(np.argmax(wrong), wrong.shape)))
    stacked = axes.replace("Y", "").replace("X", "")
    position = "".join(f", {axis} = {n}" for axis, n in zip(stacked, index, strict=True))
    scores = (
        f"Dice {case.score.mean('dice'):.3f}",
        f"IoU {case.score.mean('iou'):.3f}",
        f"HD95 {format_distance(case.score.mean_hd95, case.score.unit)}",
    )
    planes, name = case.slices.read(index), case.score.name + position
    return make_sheet_row(name, "     ".join(scores), planes, truth[index], predicted[index])
