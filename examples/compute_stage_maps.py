"""See what a network does inside an image: each map at its own resolution, with its place."""

from importlib.resources import files

from skimage.io import imread

import napari_emcad

image = imread(str(files("napari_emcad") / "assets" / "nuclei_dark.png"))[:200, :300]
inside = napari_emcad.stage_maps(
    image, napari_emcad.bundled_checkpoint(), ["gate", "sum", "entropy"], axes="YX"
)
for name, each in inside[0].items():
    rows, columns = each.values.shape
    print(f"{name}: {rows} x {columns}, one is {each.factor[0]:.2f} pixels of the image")
