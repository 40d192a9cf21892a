"""The message at the end of a segmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_emcad.inference.events import InferenceSettings, Summary


def summary_message(summary: Summary, seconds: float, objects: int) -> str:
    """Return what was done, how long it took, and the notices of the job.

    Parameters
    ----------
    summary
        Summary of the job.
    seconds
        Duration.
    objects
        Number of the objects that were separated.
    """
    count = f", {objects} object{'s' if objects > 1 else ''}" if summary.object_classes else ""
    done, total = summary.slices_done, summary.slices_total
    if summary.ending == "stopped":
        after = f" after {done} of {total} slices" if total > 1 else ""
        message = f"Stopped{after}; what was done stays."
    else:
        what = f"{total} slices" if total > 1 else "Segmented"
        message = f"{what} in {seconds:.1f} s on {summary.device}{count}."
    return " ".join([message, *summary.notices])


def suspicion(
    labels: NDArray[Any], settings: InferenceSettings, largest: float | None, summary: Summary
) -> str:
    """Return the likely reason of a result that is empty, or full of one class, or "".

    Parameters
    ----------
    labels
        The labels that the job has computed.
    settings
        Threshold and clean-up.
    largest
        Largest probability of the only class; None for several classes, or if it is not known.
    summary
        Summary of the job; a notice in it has given the reason already.
    """
    if summary.notices or not labels.size:
        return ""
    problem = summary.pixel_problem
    if labels.any():
        full = (
            labels.min() > 0 and not settings.clean_up.separate and (labels == labels.flat[0]).all()
        )
        if not full:
            return ""
        return f"Everything is of one class. {problem}" if problem else _FULL
    if problem:
        return f"Nothing was found. {problem}"
    if largest is None:
        return "Nothing was found; the model may not know such images: teach it with a few strokes."
    if largest > settings.threshold:
        return "Nothing is left: the clean-up has removed all that was found."
    return (
        f"Nothing was found: the largest probability is {largest:.2f}, the threshold "
        f"{settings.threshold:g}. Lower it under Clean up, or teach the model with a few strokes."
    )


_FULL = (
    "Everything is of one class; the model may not know such images, or expect other values or a "
    "larger field of view."
)
