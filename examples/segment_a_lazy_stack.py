"""Segment a lazily loaded time series slice by slice, and print the progress."""

import dask.array as da
import numpy as np

import napari_emcad

frames = da.random.default_rng(0).integers(0, 60, (4, 128, 128), dtype=np.uint8, chunks=(1, -1, -1))
y, x = np.mgrid[:128, :128]
disc = ((y - 64) ** 2 + (x - 50) ** 2 < 15**2) * np.uint8(150)


def print_progress(event: object) -> None:
    """Print the number of finished steps."""
    if isinstance(event, napari_emcad.Progress):
        print(f"{event.done} of {event.total}")


result = napari_emcad.segment(
    frames + disc, napari_emcad.bundled_checkpoint(), axes="TYX", on_event=print_progress
)
print(f"labels {result.labels.shape}, {(result.labels > 0).mean():.1%} nuclei")
