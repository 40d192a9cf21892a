"""Render the figures of the documentation that need no window, from examples and stage maps.

    python docs/figures.py [NAME …]

Every figure in docs/figures/ is drawn by the function of its name; those of the window's "?"
buttons lie in the package, src/napari_emcad/assets/help/.
"""

from __future__ import annotations

import os
import runpy
import sys
from base64 import b64decode
from contextlib import contextmanager
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import nbformat
import nibabel
import numpy as np
from nbclient import NotebookClient
from PIL import Image
from PIL.Image import Resampling
from skimage.io import imread

import napari_emcad as ne
from napari_emcad.cli import main as emcad
from napari_emcad.imaging.colormap import SEQUENTIAL, apply_colormap
from napari_emcad.imaging.overlay import overlay, to_rgb
from napari_emcad.io.reports.stage_sheet import StageSheet, draw_stage_sheet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"
HELP = ROOT / "src" / "napari_emcad" / "assets" / "help"
COLORS = ("#e5534b", "#57ab5a", "#539bf5", "#e0b341", "#b083f0", "#39c5cf")


def main() -> None:
    """Draw the figures that are named on the command line, or all."""
    for folder in (FIGURES, HELP):
        folder.mkdir(exist_ok=True)
    drawn = {
        draw.__name__: draw
        for draw in (
            *(emcad_encoder, emcad_attention, emcad_gates, emcad_decoder, emcad_heads),
            *(train_curves, folder_results, head_volume, python_result),
            *(gate, spatial, entropy),
        )
    }
    for name in sys.argv[1:] or drawn:
        picture, of_help = Image.fromarray(drawn[name]()), name in ("gate", "spatial", "entropy")
        path = (HELP if of_help else FIGURES) / f"{name}.png"
        picture.quantize(24 if of_help else 256, kmeans=1).save(path, optimize=True)
        print(path)


def emcad_encoder() -> NDArray[np.uint8]:
    """Four encoder maps, as colors and as one of their channels."""
    channels = [f"encoder:{stage}:0" for stage in (4, 3, 2, 1)]
    return _maps("What the encoder gives", ["encoder", *channels])


def emcad_attention() -> NDArray[np.uint8]:
    """Channel and spatial attention of every stage."""
    return _maps("MSCAM: channel attention and spatial attention", ["channel", "spatial"])


def emcad_gates() -> NDArray[np.uint8]:
    """Gates on the skip connections."""
    return _maps("LGAG: the gates on the skip connections", ["gate"])


def emcad_decoder() -> NDArray[np.uint8]:
    """Decoder maps of every stage."""
    return _maps("What the stages give", ["decoder"])


def emcad_heads() -> NDArray[np.uint8]:
    """Predictions of the four heads and of their running sum."""
    return _maps("Four heads", ["probability", "sum", "delta", "disagreement"])


def gate() -> NDArray[np.uint8]:
    """The finest gate beside its image, for the window."""
    return _image_and_map("gate:1")


def spatial() -> NDArray[np.uint8]:
    """Spatial attention beside its image, for the window."""
    return _image_and_map("spatial:2")


def entropy() -> NDArray[np.uint8]:
    """Entropy beside its image, for the window."""
    return _image_and_map("entropy")


def train_curves() -> NDArray[np.uint8]:
    """Curves of the training of the tutorial."""
    with _folder_of("make_a_data_set.py") as folder:
        settings = ("epochs=15", "crops_per_epoch=32", "batch=4", "crop=128")
        options = [word for setting in settings for word in ("--set", setting)]
        emcad(["train", "nuclei/", "--output", "run/", "--start", "general", *options])
        return np.asarray(Image.open(folder / "run" / "curves.png").convert("RGB"))


def folder_results() -> NDArray[np.uint8]:
    """Four images of a folder, and their objects."""
    with _folder_of("make_a_data_set.py") as folder:
        emcad(["segment", "nuclei/images/", "--output", "results/", "--separate"])
        columns = []
        for name in ("0_0", "128_128", "256_256", "384_512"):
            image = imread(folder / "nuclei" / "images" / f"{name}.png")
            labels = imread(folder / "results" / f"{name}_labels.tif")
            columns.append(_column(image, labels))
        return _enlarged(np.hstack(columns))


def head_volume() -> NDArray[np.uint8]:
    """Four slices of a volume, and their labels."""
    with _folder_of("segment_a_volume.py") as folder:
        image, labels = (
            nibabel.as_closest_canonical(nibabel.load(folder / name)).get_fdata()[::-1, ::-1]
            for name in ("head.nii.gz", "head_labels.nii.gz")
        )
    slices = [_column(image[..., z].T, labels[..., z].T.astype(np.uint8)) for z in (3, 8, 13, 18)]
    return _enlarged(np.hstack(slices))


def python_result() -> NDArray[np.uint8]:
    """The last picture of the notebook."""
    notebook = nbformat.read(ROOT / "examples" / "segment_and_fine_tune.ipynb", as_version=4)
    NotebookClient(notebook, timeout=None).execute()
    *_, picture = (
        output.data["image/png"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", ())
    )
    return np.asarray(Image.open(BytesIO(b64decode(picture))).convert("RGB"))


def _maps(title: str, names: list[str]) -> NDArray[np.uint8]:
    """Return a sheet of maps of a corner of the sample of fluorescent nuclei."""
    image = imread(str(files("napari_emcad") / "assets" / "nuclei_dark.png"))[:256, :256]
    maps = ne.stage_maps(image, ne.bundled_checkpoint(), names, axes="YX")[0]
    classes = ["background", "nucleus"]
    sheet = StageSheet(title, image[None], image.shape, (0, 0), [*maps.values()], classes)
    return draw_stage_sheet(sheet)


def _image_and_map(name: str) -> NDArray[np.uint8]:
    """Return a small part of the sample of fluorescent nuclei beside one of its maps."""
    image = imread(str(files("napari_emcad") / "assets" / "nuclei_dark.png"))[:256, :256]
    maps = ne.stage_maps(image, ne.bundled_checkpoint(), name, axes="YX")[0]
    (stage_map,) = maps.values()
    every = round(stage_map.factor[0])
    inner = np.s_[32 // every : 160 // every, 32 // every : 160 // every]
    values = stage_map.values[inner]
    limits = tuple(np.percentile(values, (2, 98)).tolist())
    colors = Image.fromarray(apply_colormap(values, limits, SEQUENTIAL))
    shown = to_rgb(image[None, 32:160, 32:160])
    beside = np.asarray(colors.resize((128, 128), Resampling.NEAREST))
    return np.hstack([shown, np.full((128, 4, 3), 128, np.uint8), beside])


@contextmanager
def _folder_of(example: str) -> Iterator[Path]:
    """Run an example in a temporary working folder, and return there afterwards."""
    before = Path.cwd()
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            runpy.run_path(str(ROOT / "examples" / example))
            yield Path(folder)
        finally:
            os.chdir(before)


def _column(image: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return an image above itself with labels."""
    return np.vstack([to_rgb(image[None]), overlay(image[None], labels, COLORS)])


def _enlarged(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return picture.repeat(2, 0).repeat(2, 1)


if __name__ == "__main__":
    main()
