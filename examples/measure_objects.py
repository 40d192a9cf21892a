"""Segment an image into single objects, and measure them in micrometers."""

from importlib.resources import files

import imageio.v3 as iio

import napari_emcad
from napari_emcad import CleanUp

image = iio.imread((files("napari_emcad") / "assets" / "nuclei_dark.png").read_bytes())
result = napari_emcad.segment(
    image, napari_emcad.bundled_checkpoint(), clean_up=CleanUp(separate=True)
)
table = napari_emcad.measure(
    result.labels, image, result.axes, scale={"Y": 0.5, "X": 0.5}, unit="µm"
)
inside = ~table.columns["touches_border"]
print(f"{len(table)} nuclei, {inside.sum()} of them within the image")
print(f"mean area {table.columns['area'][inside].mean():.0f} µm²")
print(table.to_csv().splitlines()[0])
