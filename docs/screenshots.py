"""Render every picture of the documentation from the running program.

    python docs/screenshots.py [--only NAME …] [--data DIR]

With DIR, a folder of labeled images such as `benchmarks/dsb2018.py` takes, the sheet of `evaluate`
is drawn as well.
Needs a screen, or ``xvfb-run -s "-screen 0 1600x1200x24"``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING

from napari_emcad.model import triton_preload  # noqa: F401  # isort: skip  (before the first canvas)
import napari
import numpy as np
from napari.settings import get_settings
from qtpy.QtWidgets import QApplication, QScrollArea
from skimage.filters import threshold_otsu
from superqt import QCollapsible

from napari_emcad.plugin.autosave import controller
from napari_emcad.plugin.stages.request import StageChoices
from napari_emcad.plugin.widget import EmcadWidget, show_panel

if TYPE_CHECKING:
    from collections.abc import Callable


_NOWHERE = TemporaryDirectory()
"""What a sitting keeps goes here, not to the user's own recovery folder."""

HERE = Path(__file__).parent / "images"
PATIENCE_S = 60
STAGES_SHOWN = "probability,sum,delta,gate,channel,decoder,encoder,entropy,disagreement"


def main() -> None:
    """Render the pictures that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--output", type=Path, default=HERE)
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    for name in chosen.only:
        _render(SCENES[name], chosen.output / f"{name}.png")
    stages_sheet(chosen.output / "stages_sheet.png")
    if chosen.data is not None:
        evaluate_sheet(chosen.data, chosen.output / "evaluate_sheet.png")


def evaluate_sheet(data: Path, path: Path) -> None:
    """The worst three of the bundled model, as `napari-emcad evaluate --sheet` draws them."""
    from napari_emcad.cli import main as emcad

    folders = ("--images", str(data / "images"), "--labels", str(data / "labels"))
    emcad(["evaluate", *folders, "--sheet", str(path), "--worst", "3", "--overwrite"])


def stages_sheet(path: Path) -> None:
    """What `napari-emcad stages` draws of the sample of dark nuclei, a corner of it."""
    from tempfile import TemporaryDirectory

    from PIL import Image

    from napari_emcad.cli import main as emcad
    from napari_emcad.io.images.write import write_array
    from napari_emcad.plugin.contributions import sample_dark

    with TemporaryDirectory() as folder:
        image = Path(folder) / "nuclei.tif"
        write_array(image, np.asarray(sample_dark()[0][0])[:256, :256], "YX")
        emcad(["stages", str(image), "--output", folder, "--maps", STAGES_SHOWN])
        drawn = Image.open(Path(folder) / "nuclei_stages.png")
        drawn.quantize(256, kmeans=1).save(path, optimize=True)


def _render(scene: Callable[[napari.Viewer], None], path: Path) -> None:
    controller.recovery_root = lambda: Path(_NOWHERE.name)
    get_settings().appearance.theme = "dark"
    viewer = napari.Viewer(show=True)
    window = viewer.window._qt_window
    window.resize(1180, 760)
    scene(viewer)
    _wait(0.6)
    window.grab().save(str(path))
    viewer.close()


# -- the scenes


def segmented(viewer: napari.Viewer) -> None:
    """A fluorescence image after Run."""
    panel = _panel(viewer, "nuclei_dark")
    _run(panel)


def segmented_light(viewer: napari.Viewer) -> None:
    """Histology in the light theme, with single objects."""
    get_settings().appearance.theme = "light"
    panel = _panel(viewer, "nuclei_colour")
    panel.segment.panel._separate.setChecked(True)
    _run(panel)


def model(viewer: napari.Viewer) -> None:
    """The Model panel."""
    panel = _panel(viewer, "nuclei_dark")
    panel._tabs.setCurrentWidget(panel.model.panel)


def model_light(viewer: napari.Viewer) -> None:
    """The Model panel with its details unfolded, in the light theme."""
    get_settings().appearance.theme = "light"
    panel = _panel(viewer, "nuclei_dark")
    panel._tabs.setCurrentWidget(panel.model.panel)
    _unfold(panel.model.panel)


def advanced(viewer: napari.Viewer) -> None:
    """The Segment panel with Advanced unfolded, and probabilities."""
    panel = _panel(viewer, "nuclei_bright")
    _unfold(panel.segment.panel)
    panel.segment.panel._advanced._probabilities.setChecked(True)
    _run(panel)


def stack(viewer: napari.Viewer) -> None:
    """A stack with channels, whose axes are shown with their sizes."""
    viewer.open_sample("napari-emcad", "nuclei_dark")
    flat = viewer.layers[0].data[:256, :256]
    several = np.stack([np.stack([np.roll(flat, 9 * z, 1), flat // 3]) for z in range(6)])
    viewer.layers.clear()
    viewer.add_image(several, name="cells", axis_labels=("z", "c", "y", "x"), scale=(2, 1, 1, 1))
    _ready(show_panel(viewer))


def running(viewer: napari.Viewer) -> None:
    """A large image while it fills in, tile by tile."""
    viewer.open_sample("napari-emcad", "nuclei_dark")
    large = np.tile(viewer.layers[0].data, (5, 4))
    viewer.layers.clear()
    viewer.add_image(large, name="slide")
    panel = show_panel(viewer)
    _ready(panel)
    panel.segment.controller.run()
    _wait_for(lambda: "left" in panel.job_bar.progress)
    _wait(2.5)


def stages(viewer: napari.Viewer) -> None:
    """The Stages panel on a stack: a map, bars, the pixel under the cursor, places to paint."""
    viewer.open_sample("napari-emcad", "nuclei_dark")
    flat = viewer.layers[0].data[:256, :256]
    viewer.layers.clear()
    several = np.stack([np.roll(flat, 9 * z, 1) for z in range(6)])
    viewer.add_image(several, name="nuclei", axis_labels=("z", "y", "x"), scale=(2, 1, 1))
    panel = show_panel(viewer)
    _ready(panel)
    kinds = ("probability", "gate", "channel", "entropy", "disagreement")
    panel.stages.panel._follow.setChecked(True)
    _look(panel, kinds)
    reach = panel.stages.panel.suggest._range
    reach.setCurrentIndex(reach.findData(True))
    panel.stages.panel.suggest._suggest.click()
    _ready(panel)
    _wait_for(lambda: not panel.stages.controller._waiting)
    _wait(1)  # the maps follow to the slice of the first place
    _ready(panel)
    viewer.reset_view()
    viewer.scene.camera.zoom *= 0.97
    for callback in viewer.mouse_move_callbacks:
        callback(viewer, SimpleNamespace(position=(viewer.dims.point[0], 92.0, 118.0)))


def stages_beside(viewer: napari.Viewer) -> None:
    """What the network computed inside, a stage in each column."""
    viewer.open_sample("napari-emcad", "nuclei_dark")
    flat = viewer.layers[0].data[:256, :256]
    viewer.layers.clear()
    viewer.add_image(flat, name="nuclei")
    panel = show_panel(viewer)
    _ready(panel)
    _look(panel, ("probability", "gate", "decoder", "delta", "entropy", "disagreement"))
    panel.stages.panel._side_by_side.click()


def calibrated(viewer: napari.Viewer) -> None:
    """Doubt of a model that was calibrated on squares of a mask, in the light theme."""
    get_settings().appearance.theme = "light"
    panel = _panel(viewer, "nuclei_colour")
    red = viewer.layers[0].data[..., 0]
    mask = viewer.add_labels((red < threshold_otsu(red)).astype(np.uint8), name="truth")
    panel.teach.annotating.use_layer(mask)
    mask.visible = False
    panel._tabs.setCurrentWidget(panel.stages.panel)
    _unfold(panel.stages.panel)
    _wait_for(panel.stages.panel.calibration._button.isEnabled)
    panel.stages.panel.calibration._button.click()
    _ready(panel)
    _look(panel, ("entropy", "disagreement"))
    for area in panel.stages.panel.findChildren(QScrollArea):
        area.ensureWidgetVisible(panel.stages.panel.calibration)


def _look(panel: EmcadWidget, kinds: tuple[str, ...]) -> None:
    panel._tabs.setCurrentWidget(panel.stages.panel)
    panel.stages.panel.set_value(StageChoices((4, 3, 2, 1), kinds))
    _wait(0.3)
    panel.stages.panel._show.click()
    _ready(panel)
    _wait_for(lambda: not panel.stages.controller._waiting)


def refusal(viewer: napari.Viewer) -> None:
    """A file that is no checkpoint."""
    panel = _panel(viewer, "nuclei_dark")
    path = Path(__file__).parent / "images" / "segmented.png"
    panel.model.controller.open_file(path)
    _ready(panel)


_OBJECTS = (
    ((44, 125), (50, 133)),
    ((80, 201), (96, 206)),
    ((80, 104), (95, 106)),
    ((84, 143), (104, 142)),
    ((108, 120), (113, 126)),
    ((200, 188), (212, 196)),
    ((185, 226), (199, 224)),
)
_GROUND = (
    ((20, 95), (25, 118)),
    ((40, 160), (44, 185)),
    ((100, 168), (120, 172)),
    ((140, 195), (155, 205)),
    ((215, 150), (235, 158)),
    ((138, 104), (142, 114)),
)

_PALE = (((144, 160), (168, 172)), ((140, 166), (150, 175)), ((160, 158), (172, 170)))
"""Strokes of a nucleus that the bundled model misses; the first one is held out."""


def teach(viewer: napari.Viewer) -> None:
    """Strokes of nuclei and background, before anything is trained."""
    panel = _taught(viewer)
    panel.teach.panel._annotation.setFocus()


def training(viewer: napari.Viewer) -> None:
    """A training that runs: curve, time left, prediction."""
    panel = _taught(viewer)
    panel.teach.panel.form._steps.setValue(200)
    panel.teach.panel._train.click()
    _wait_for(lambda: "left" in panel.job_bar.progress)
    _wait(14)


def versions(viewer: napari.Viewer) -> None:
    """After two trainings and an update in Live mode, in the light theme."""
    get_settings().appearance.theme = "light"
    panel = _taught(viewer, part=4)
    for k, strokes in ((1, _PALE[:1]), (0, _GROUND[4:5])):
        for each in strokes:
            _stroke(panel, k, each)
    for further in _PALE[1:]:
        _train(panel)
        _stroke(panel, 1, further)
        _stroke(panel, 1, (further[1], further[0][:1] + further[1][1:]))
    count = len(panel.session.versions)
    panel.teach.panel._live.click()
    _wait_for(lambda: len(panel.session.versions) > count)
    _ready(panel)
    for each in panel.teach.panel.findChildren(QCollapsible):
        if each.text() == "Versions":
            each.expand(animate=False)
    _wait(0.3)
    for area in panel.teach.panel.findChildren(QScrollArea):
        area.ensureWidgetVisible(panel.teach.panel.versions)


def _train(panel: EmcadWidget) -> None:
    panel.teach.panel._train.click()
    _wait(0.5)
    _ready(panel)


def _taught(viewer: napari.Viewer, part: int | None = None) -> EmcadWidget:
    """Return a panel with an annotation of some strokes."""
    panel = _panel(viewer, "nuclei_colour")
    panel._tabs.setCurrentWidget(panel.teach.panel)
    panel.teach.panel._new.click()
    for k, strokes in ((1, _OBJECTS), (0, _GROUND)):
        for each in strokes[:part]:
            _stroke(panel, k, each)
    _wait_for(lambda: len(panel.session.project.record.pixel_counts) == 2)
    return panel


def _stroke(panel: EmcadWidget, k: int, ends: tuple[tuple[int, int], tuple[int, int]]) -> None:
    """Paint a straight stroke, and let it be noticed."""
    panel.teach.annotating.paint(k)
    labels = panel.teach.annotating.pair.labels
    for point in np.linspace(*ends, 24):
        labels.paint(point, labels.selected_label)
    seen = panel.session.project.record
    _wait_for(lambda: panel.session.project.record is not seen)


SCENES: dict[str, Callable[[napari.Viewer], None]] = {
    each.__name__: each
    for each in (
        segmented,
        segmented_light,
        model,
        model_light,
        advanced,
        stack,
        running,
        stages,
        stages_beside,
        calibrated,
        refusal,
        teach,
        training,
        versions,
    )
}


# -- patience


def _panel(viewer: napari.Viewer, sample: str) -> EmcadWidget:
    viewer.open_sample("napari-emcad", sample)
    panel = show_panel(viewer)
    _ready(panel)
    return panel


def _run(panel: EmcadWidget) -> None:
    panel.segment.panel._run.click()
    _ready(panel)


def _ready(panel: EmcadWidget) -> None:
    _wait_for(lambda: panel.session.checkpoint is not None and not panel.runner.running)


def _unfold(widget: object) -> None:
    for each in widget.findChildren(QCollapsible):
        each.expand(animate=False)


def _wait(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the program did not get there")
        _wait(0.02)


if __name__ == "__main__":
    main()
