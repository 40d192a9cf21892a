"""Segment one image with the bundled checkpoint, and count its objects."""

from importlib.resources import files

import imageio.v3 as iio

import napari_emcad

image = iio.imread((files("napari_emcad") / "assets" / "nuclei_dark.png").read_bytes())
checkpoint = napari_emcad.bundled_checkpoint()
result = napari_emcad.segment(
    image, checkpoint, clean_up=napari_emcad.CleanUp(smallest_object=20, separate=True)
)
print(f"{checkpoint.title}: {result.labels.max()} nuclei on {result.summary.device}")
