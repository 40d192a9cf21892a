"""Compute stage maps of an image: attention gates, logit sums and entropy, at their resolution."""

from importlib.resources import files

from skimage.io import imread

import napari_emcad

image = imread(str(files("napari_emcad") / "assets" / "nuclei_dark.png"))[:200, :300]
maps = napari_emcad.stage_maps(
    image, napari_emcad.bundled_checkpoint(), ["gate", "sum", "entropy"], axes="YX"
)
for name, stage_map in maps[0].items():
    rows, columns = stage_map.values.shape
    print(f"{name}: {rows} x {columns}, {stage_map.factor[0]:.2f} image pixels per value")
