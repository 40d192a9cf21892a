"""Settings of an inference job, and the events that it yields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from napari_emcad.imaging.regions import CleanUp
from napari_emcad.imaging.validation import as_bool, as_float, as_int

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_emcad.imaging.slices import Where


@dataclass(frozen=True, slots=True)
class InferenceSettings:
    """Settings of a segmentation job; not saved with a checkpoint.

    Parameters
    ----------
    device
        ``"auto"`` (the best available), ``"cuda"``, ``"mps"`` or ``"cpu"``.
    tile
        Side of a tile in pixels that the network sees, where slices are not resized.
    overlap
        Share of a tile that overlaps with the next, 0 … < 1.
    batch
        Number of tiles or slices that are computed at once; None chooses for the device.
    full_precision
        Whether to compute in float32 where half precision would be faster.
    draft
        Whether it is a preview: no remarks about the range of intensity.
    threshold
        Probability above which a pixel of a binary network is foreground.
    stretch
        Whether the probabilities of a slice are stretched to 0 … 1 first, as in published
        evaluations of binary networks. It forces at least one foreground pixel per slice.
    probabilities
        Whether probabilities are returned.
    logits
        Whether the regions of tiles have their logits, so that labels can be computed again with
        another threshold or clean-up, see `napari_emcad.inference.logit_cache`.
    clean_up
        Clean-up of the labels of a finished slice.

    Raises
    ------
    ValueError
        If a value is of another type, or out of bounds.
    """

    device: str = "auto"
    tile: int = 512
    overlap: float = 0.25
    batch: int | None = None
    full_precision: bool = False
    draft: bool = False
    threshold: float = 0.5
    stretch: bool = False
    probabilities: bool = False
    logits: bool = False
    clean_up: CleanUp = field(default_factory=CleanUp)

    def __post_init__(self) -> None:
        self._convert()
        if self.tile < 32:
            raise ValueError(f"The tile side is {self.tile}; it must be at least 32 pixels.")
        if not 0 <= self.overlap <= 0.9:
            raise ValueError(f"The overlap is {self.overlap}; it must lie between 0 and 0.9.")
        if self.batch is not None and self.batch < 1:
            raise ValueError(f"The batch is {self.batch}; it must be at least 1.")
        if not 0 < self.threshold < 1:
            raise ValueError(f"The threshold is {self.threshold}; it must lie between 0 and 1.")

    def _convert(self) -> None:
        """Convert values to Python's own types, and refuse those of another type."""
        values: dict[str, Any] = {"tile": as_int("The tile", self.tile)}
        if self.batch is not None:
            values["batch"] = as_int("The batch", self.batch)
        for name in ("overlap", "threshold"):
            values[name] = as_float(f"The {name}", getattr(self, name))
        for name in ("full_precision", "draft", "stretch", "probabilities", "logits"):
            values[name] = as_bool(name, getattr(self, name))
        if not isinstance(self.clean_up, CleanUp):
            raise ValueError(f"clean_up is {self.clean_up!r}; it must be a CleanUp.")
        for name, value in values.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True)
class Progress:
    """Number of tiles that are done, and of all tiles."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Notice:
    """A message for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class RangeNotice(Notice):
    """A message that an image lies outside of the range that the model expects."""


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A part of the segmentation, as good as it is so far; later regions replace earlier ones.

    Attributes
    ----------
    where
        NumPy index of the region in a segmentation of the whole image.
    labels
        uint8 or wider, a new array of the region's shape.
    probabilities
        ``(K, …)`` float32, or None if they were not requested.
    logits
        ``(K, …)`` float32, or None if they were not requested, or if the region is the final one
        of a slice, whose logits came with earlier regions.
    begins
        NumPy index of the part that a network predicts from here on, if that network is another one
        than that of the regions before; else None.
    """

    where: Where
    labels: NDArray[Any]
    probabilities: NDArray[Any] | None
    logits: NDArray[np.float32] | None = None
    begins: Where | None = None


Event = Progress | Notice | Region


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of a job.

    Attributes
    ----------
    ending
        ``"finished"``, or ``"stopped"`` by the user.
    slices_done, slices_total
        Number of slices whose regions are final, and of all slices.
    device
        Title of the processor that was used.
    notices
        Texts of the notices that the job yielded.
    object_classes
        Classes of the separated objects 1, 2, …; empty if labels are classes.
    pixel_problem
        Why nothing can be found in the pixels (NaN, infinite or all of one value); "" if
        nothing prevents it.
    """

    ending: Literal["finished", "stopped"]
    slices_done: int
    slices_total: int
    device: str
    notices: tuple[str, ...] = ()
    object_classes: tuple[int, ...] = ()
    pixel_problem: str = ""
