"""Segment several image files with two processes; a second start would do only what is missing."""

from pathlib import Path

import numpy as np

import napari_emcad

if __name__ == "__main__":  # new processes import this file
    random = np.random.default_rng(0)
    files = {}
    for n in range(4):
        image = Path(f"image_{n}.npy")
        np.save(image, random.integers(0, 200, (128, 128), np.uint8))
        files[image] = Path("results") / f"image_{n}_labels.tif"
    done = napari_emcad.segment_files(files, workers=2, on_event=lambda event: None)
    print(f"{len(done.outputs)} files, failed: {dict(done.failed)}")
