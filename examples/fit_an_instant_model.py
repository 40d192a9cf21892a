"""Learn two scribbles at once, keep them in a file, and segment another part of the image."""

from importlib.resources import files

import imageio.v3 as iio
import numpy as np

import napari_emcad

image = iio.imread((files("napari_emcad") / "assets" / "nuclei_colour.png").read_bytes())
left, right = image[:, : image.shape[1] // 2], image[:, image.shape[1] // 2 :]

brightness = left.mean(-1)
scribbles = np.zeros(
    brightness.shape, np.uint8
)  # 0 is unlabeled, 255 background, 1 the first class
scribbles[80:90][brightness[80:90] < np.percentile(brightness, 10)] = 1
scribbles[80:90][brightness[80:90] > np.percentile(brightness, 60)] = 255

model = napari_emcad.fit_instant([left], [scribbles], classes=["nucleus"])
napari_emcad.write_instant(model, "nuclei.safetensors")
again = napari_emcad.read_instant("nuclei.safetensors")
labels = napari_emcad.segment(right, again).labels
print(f"{(labels > 0).mean():.1%} of the other half are nuclei")
