"""Cut the sample of fluorescent nuclei into a small data set, with labels by a threshold."""

from importlib.resources import files
from pathlib import Path

from skimage.filters import gaussian, threshold_otsu
from skimage.io import imread, imsave

image = imread(str(files("napari_emcad") / "assets" / "nuclei_dark.png"))
smooth = gaussian(image)
labels = (smooth > threshold_otsu(smooth)).astype("uint8")
for folder, pixels in (("images", image), ("labels", labels)):
    Path("nuclei", folder).mkdir(parents=True, exist_ok=True)
    for row in range(0, 512, 128):
        for column in range(0, 640, 128):
            path = Path("nuclei", folder, f"{row}_{column}.png")
            tile = pixels[row : row + 128, column : column + 128]
            imsave(path, tile, check_contrast=False)
print(f"{len(list(Path('nuclei/images').iterdir()))} images with labels in nuclei/")
