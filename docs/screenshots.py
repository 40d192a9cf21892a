"""Render all pictures of the documentation from the running program.

    python docs/screenshots.py [--only NAME …] [--data DIR]

With DIR, a folder of labeled images as for `benchmarks/dsb2018.py`, the sheet of `napari-emcad
evaluate` is drawn as well. Needs a display, or ``xvfb-run -s "-screen 0 1600x1200x24"``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from types import SimpleNamespace
from typing import TYPE_CHECKING

from napari_emcad.model import triton_preload  # noqa: F401  # isort: skip  (before the first canvas)
import napari
import numpy as np
from napari.settings import get_settings
from qtpy.QtCore import QRect
from qtpy.QtGui import QPainter, QPixmap
from qtpy.QtWidgets import QApplication, QDialog, QScrollArea, QWidget
from scipy.ndimage import binary_erosion
from skimage import data
from skimage.filters import threshold_otsu
from superqt import QCollapsible

from napari_emcad.io.autosave import find_recoveries
from napari_emcad.io.checkpoints.files import bundled_checkpoint, write_checkpoint
from napari_emcad.io.images.write import write_array
from napari_emcad.plugin import widget
from napari_emcad.plugin.autosave import controller
from napari_emcad.plugin.stages.request import StageChoices
from napari_emcad.plugin.teach.instant_controller import InstantState
from napari_emcad.plugin.widget import EmcadWidget, show_panel

if TYPE_CHECKING:
    from collections.abc import Callable


_RECOVERY_FOLDER = TemporaryDirectory()
"""Sessions are autosaved here instead of in the user's recovery folder."""

IMAGES = Path(__file__).parent / "images"

TIMEOUT_S = 300
"""Seconds after which a scene that does not get ready is an error."""

SHEET_MAPS = "probability,sum,delta,gate,channel,decoder,encoder,entropy,disagreement"


def main() -> None:
    """Render the pictures that are chosen by the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--output", type=Path, default=IMAGES)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        _render(SCENES[name], options.output / f"{name}.png")
    stages_sheet(options.output / "stages_sheet.png")
    if options.data is not None:
        evaluate_sheet(options.data, options.output / "evaluate_sheet.png")


def evaluate_sheet(data: Path, path: Path) -> None:
    """Sheet of `napari-emcad evaluate`: the three worst images of the bundled model."""
    from napari_emcad.cli import main as emcad

    folders = ("--images", str(data / "images"), "--labels", str(data / "labels"))
    emcad(["evaluate", *folders, "--sheet", str(path), "--worst", "3", "--overwrite"])


def stages_sheet(path: Path) -> None:
    """Sheet of `napari-emcad stages` for a corner of the sample of dark nuclei."""
    from PIL import Image

    from napari_emcad.cli import main as emcad
    from napari_emcad.plugin.contributions import sample_dark

    with TemporaryDirectory() as folder:
        image = Path(folder) / "nuclei.tif"
        write_array(image, np.asarray(sample_dark()[0][0])[:256, :256], "YX")
        emcad(["stages", str(image), "--output", folder, "--maps", SHEET_MAPS])
        sheet = Image.open(Path(folder) / "nuclei_stages.png")
        sheet.quantize(256, kmeans=1).save(path, optimize=True)


def _render(scene: Callable[[napari.Viewer], None], path: Path) -> None:
    """Play a scene in a new viewer and save a picture of its window."""
    recovery = (
        Path(mkdtemp(dir=_RECOVERY_FOLDER.name)) / "recovery"
    )  # no scene offers another's work
    controller.recovery_root = lambda: recovery
    get_settings().appearance.theme = "dark"
    viewer = napari.Viewer(show=True)
    window = viewer.window._qt_window
    window.resize(1180, 760)
    scene(viewer)
    _wait(0.6)
    _grab(window).save(str(path))
    viewer.close()


def _grab(window: QWidget) -> QPixmap:
    """Return a picture of a window with its open dialogs, which are windows of their own."""
    picture = window.grab()
    painter = QPainter(picture)
    for dialog in window.findChildren(QDialog):
        if dialog.isVisible():
            corner = window.rect().center() - dialog.rect().center()
            painter.drawPixmap(corner, dialog.grab())
            painter.drawRect(QRect(corner, dialog.size()))
    painter.end()
    return picture


# -- the scenes


def segmented(viewer: napari.Viewer) -> None:
    """A fluorescence image after Segment."""
    panel = _panel(viewer, "nuclei_dark")
    _run(panel)


def segmented_light(viewer: napari.Viewer) -> None:
    """Histology with numbered objects, in the light theme."""
    get_settings().appearance.theme = "light"
    panel = _panel(viewer, "nuclei_colour")
    panel.segment.panel._separate.setChecked(True)
    _run(panel)


def model(viewer: napari.Viewer) -> None:
    """The Model tab."""
    panel = _panel(viewer, "nuclei_dark")
    panel._tabs.setCurrentWidget(panel.model.panel)


def shelf(viewer: napari.Viewer) -> None:
    """The shelf of models on the Model tab, one of whose files is missing."""
    panel = _panel(viewer, "nuclei_dark")
    _run(panel)
    _wait(0.5)
    folder = Path(mkdtemp(dir=_RECOVERY_FOLDER.name))
    for name in ("gone.safetensors", "glomeruli.safetensors"):
        path = folder / name
        write_checkpoint(bundled_checkpoint().override(classes=(path.stem,)), path)
        panel.model.controller.open_file(path)
        _ready(panel)
        _wait(0.3)
    (folder / "gone.safetensors").unlink()
    panel.model.shelf.refresh()
    _run(panel)
    panel._tabs.setCurrentWidget(panel.model.panel)
    _wait(0.3)


def shelf_light(viewer: napari.Viewer) -> None:
    """The same in the light theme and a small window."""
    get_settings().appearance.theme = "light"
    viewer.window._qt_window.resize(1280, 720)
    shelf(viewer)


def model_light(viewer: napari.Viewer) -> None:
    """The Model tab with its details unfolded, in the light theme."""
    get_settings().appearance.theme = "light"
    panel = _panel(viewer, "nuclei_dark")
    panel._tabs.setCurrentWidget(panel.model.panel)
    _unfold(panel.model.panel)


def advanced(viewer: napari.Viewer) -> None:
    """The Segment tab with Advanced unfolded, and probabilities."""
    panel = _panel(viewer, "nuclei_bright")
    _unfold(panel.segment.panel)
    panel.segment.panel._advanced._probabilities.setChecked(True)
    _run(panel)


def stack(viewer: napari.Viewer) -> None:
    """A stack with channels; the Segment tab shows its axes with their sizes."""
    viewer.open_sample("napari-emcad", "nuclei_dark")
    flat = viewer.layers[0].data[:256, :256]
    pixels = np.stack([np.stack([np.roll(flat, 9 * z, 1), flat // 3]) for z in range(6)])
    viewer.layers.clear()
    viewer.add_image(pixels, name="cells", axis_labels=("z", "c", "y", "x"), scale=(2, 1, 1, 1))
    _ready(show_panel(viewer))


def running(viewer: napari.Viewer) -> None:
    """A large image during its segmentation, tile by tile."""
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
    """The Stages tab with a stack: a map, bars, the pixel under the cursor."""
    viewer.open_sample("napari-emcad", "nuclei_dark")
    flat = viewer.layers[0].data[:256, :256]
    viewer.layers.clear()
    pixels = np.stack([np.roll(flat, 9 * z, 1) for z in range(6)])
    viewer.add_image(pixels, name="nuclei", axis_labels=("z", "y", "x"), scale=(2, 1, 1))
    panel = show_panel(viewer)
    _ready(panel)
    kinds = ("probability", "gate", "channel", "entropy", "disagreement")
    panel.stages.panel._follow.setChecked(True)
    _compute_maps(panel, kinds)
    viewer.reset_view()
    viewer.scene.camera.zoom *= 0.97
    for callback in viewer.mouse_move_callbacks:
        callback(viewer, SimpleNamespace(position=(viewer.dims.point[0], 92.0, 118.0)))


def stages_beside(viewer: napari.Viewer) -> None:
    """Stage maps beside the image, one column per stage."""
    viewer.open_sample("napari-emcad", "nuclei_dark")
    flat = viewer.layers[0].data[:256, :256]
    viewer.layers.clear()
    viewer.add_image(flat, name="nuclei")
    panel = show_panel(viewer)
    _ready(panel)
    _compute_maps(panel, ("probability", "gate", "decoder", "delta", "entropy", "disagreement"))
    panel.stages.panel._side_by_side.click()


def calibrated(viewer: napari.Viewer) -> None:
    """Uncertainty of a model after calibration on a mask, in the light theme."""
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
    _compute_maps(panel, ("entropy", "disagreement"))
    for area in panel.stages.panel.findChildren(QScrollArea):
        area.ensureWidgetVisible(panel.stages.panel.calibration)


def _compute_maps(panel: EmcadWidget, kinds: tuple[str, ...]) -> None:
    """Choose maps of all stages in the Stages tab, and wait for them."""
    panel._tabs.setCurrentWidget(panel.stages.panel)
    panel.stages.panel.set_value(StageChoices((4, 3, 2, 1), kinds))
    _wait(0.3)
    panel.stages.panel._show.click()
    _ready(panel)
    _wait_for(lambda: not panel.stages.controller._presenter._waiting)


def refusal(viewer: napari.Viewer) -> None:
    """The message about a file that is not a checkpoint."""
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
_BACKGROUND = (
    ((20, 95), (25, 118)),
    ((40, 160), (44, 185)),
    ((100, 168), (120, 172)),
    ((140, 195), (155, 205)),
    ((215, 150), (235, 158)),
    ((138, 104), (142, 114)),
)

_PALE = (((144, 160), (168, 172)), ((140, 166), (150, 175)), ((160, 158), (172, 170)))
"""Strokes in a nucleus that the bundled model misses; the first one is held out."""


def teach(viewer: napari.Viewer) -> None:
    """Strokes of nuclei and background, before the first training."""
    panel = _annotated_panel(viewer)
    panel.teach.panel._annotation.setFocus()


def training(viewer: napari.Viewer) -> None:
    """A running training: loss curve, time left, preview."""
    panel = _annotated_panel(viewer)
    panel.teach.panel.form._steps.setValue(200)
    panel.teach.panel._train.click()
    _wait_for(lambda: "left" in panel.job_bar.progress)
    _wait(14)


def versions(viewer: napari.Viewer) -> None:
    """The version list after two trainings and an update in Live mode, in the light theme."""
    get_settings().appearance.theme = "light"
    panel = _annotated_panel(viewer, part=4)
    for k, strokes in ((1, _PALE[:1]), (0, _BACKGROUND[4:5])):
        for ends in strokes:
            _stroke(panel, k, ends)
    for first, last in _PALE[1:]:
        _train(panel)
        _stroke(panel, 1, (first, last))
        _stroke(panel, 1, (last, (first[0], last[1])))
    count = len(panel.session.versions)
    panel.teach.panel._live.click()
    _wait_for(lambda: len(panel.session.versions) > count)
    _ready(panel)
    for section in panel.teach.panel.findChildren(QCollapsible):
        if section.text() == "Versions":
            section.expand(animate=False)
    _wait(0.3)
    for area in panel.teach.panel.findChildren(QScrollArea):
        area.ensureWidgetVisible(panel.teach.panel.versions)


def instant(viewer: napari.Viewer) -> None:
    """Instant after six strokes on an image that the open model does not know."""
    viewer.add_image(data.coins(), name="coins")
    panel = show_panel(viewer)
    _ready(panel)
    panel._tabs.setCurrentWidget(panel.teach.panel)
    panel.teach.panel._new.click()
    panel.teach.panel._instant.click()
    strokes = (
        (1, ((110, 255), (128, 276))),
        (0, ((96, 110), (98, 210))),
        (1, ((40, 146), (60, 162))),
        (0, ((114, 178), (138, 178))),
        (1, ((182, 202), (200, 218))),
        (0, ((30, 178), (62, 179))),
    )
    for k, ends in strokes:
        _stroke(panel, k, ends)
    _wait_for(lambda: bool(panel.teach.panel._source.text()))
    _wait(5)  # the last scan and the last update
    _wait_for(lambda: panel.teach.instant.state is InstantState.ON)
    panel.teach.panel._prediction.setFocus()


def instant_model(viewer: napari.Viewer) -> None:
    """The instant model chosen on the Segment tab, and what it segmented."""
    instant(viewer)
    panel = show_panel(viewer)
    panel.teach.panel._instant.click()
    panel._tabs.setCurrentWidget(panel.segment.panel)
    panel.segment.panel.model._box.setCurrentIndex(1)
    for layer in list(viewer.layers)[1:]:
        layer.visible = False
    panel.segment.panel._run.click()
    _wait(0.5)
    _ready(panel)


def objects(viewer: napari.Viewer) -> None:
    """A table of nuclei, of which the small ones are hidden."""
    panel = _panel(viewer, "nuclei_dark")
    image = viewer.layers[0]
    image.scale, image.units = (0.5, 0.5), ("um", "um")
    panel.segment.panel._separate.setChecked(True)
    panel.segment.panel._run.click()
    _wait(0.5)
    _ready(panel)
    panel._tabs.setCurrentWidget(panel.objects.panel)
    panel.objects.panel._measure.click()
    _wait(0.5)
    _ready(panel)
    panel.objects.panel.filter._low.setValue(80)
    viewer.reset_view()


def correct(viewer: napari.Viewer) -> None:
    """Accepted objects, and Split pressed, in the light theme."""
    get_settings().appearance.theme = "light"
    objects(viewer)
    panel = show_panel(viewer)
    panel.objects.panel.filter._all.click()
    for number in (4, 5, 7):
        panel.objects.panel.table.select_row(number, add=True)
    panel.objects.panel.correct._accept.click()
    panel.objects.panel.correct._split.click()


def clean_up(viewer: napari.Viewer) -> None:
    """The sliders of the clean-up, which have changed the slice on screen alone."""
    panel = _stack_panel(viewer)
    for section in panel.segment.panel.findChildren(QCollapsible):
        if section.text() == "Clean up":
            section.expand(animate=False)
    panel.segment.panel._separate.setChecked(True)
    _run(panel)
    panel.segment.panel.clean_up._smallest.setValue(300)
    _wait_for(lambda: not panel.segment.panel.clean_up._apply.isHidden())


def scores(viewer: napari.Viewer) -> None:
    """A segmentation beside the truth: scores by slice, and the errors of the worst one."""
    panel = _stack_panel(viewer)
    _run(panel)
    result = viewer.layers["nuclei segmentation"]
    truth = np.stack([binary_erosion(plane > 0) for plane in result.data]).astype(np.uint8)
    truth[3] = np.roll(truth[3], 12, 0)
    viewer.add_labels(truth, name="expert", scale=result.scale, axis_labels=result.axis_labels)
    panel._tabs.setCurrentWidget(panel.scores.panel)
    panel.scores.panel._compare.click()
    _wait(0.5)
    _ready(panel)
    panel.scores.panel._errors.click()
    result.visible = viewer.layers["expert"].visible = False
    panel.scores.panel._worst.click()


def value_range(viewer: napari.Viewer) -> None:
    """The warning about an image whose values the model does not expect."""
    y, x = np.mgrid[:256, :256]
    slices = np.full((256, 256), -1000.0)
    slices[((y - 128) / 90) ** 2 + ((x - 128) / 110) ** 2 < 1] = 40
    slices[(y - 120) ** 2 + (x - 100) ** 2 < 900] = 110
    noise = np.random.default_rng(0).normal(0, 30, (12, 256, 256))
    viewer.add_image((slices + noise).astype(np.int16), name="ct", axis_labels=("z", "y", "x"))
    panel = show_panel(viewer)
    _ready(panel)
    panel.session.override(intensity="range", low=0, high=255)
    _wait_for(lambda: not panel.segment.panel.range_box.isHidden())


def suggest(viewer: napari.Viewer) -> None:
    """The region that Suggest proposes next, in a ring."""
    panel = _annotated_panel(viewer, part=2)
    _wait_for(panel.teach.panel.suggest._suggest.isEnabled)
    panel.teach.panel.suggest._suggest.click()
    _wait(0.5)
    _ready(panel)
    for area in panel.teach.panel.findChildren(QScrollArea):
        area.ensureWidgetVisible(panel.teach.panel.suggest)


def closing(viewer: napari.Viewer) -> None:
    """The question about unsaved work when the window is closed."""
    panel = _annotated_panel(viewer, part=2)
    panel.teach.panel.form._steps.setValue(2)
    _train(panel)
    _train(panel)
    panel.context.saver.close_requested.emit(viewer.window._qt_window)


def earlier_sessions(viewer: napari.Viewer) -> None:
    """The list of what was saved automatically, with pictures."""
    root = controller.recovery_root()
    for sample, part in (("nuclei_dark", 1), ("nuclei_colour", 4)):
        panel = _annotated_panel(viewer, part, sample)
        panel.teach.panel.form._steps.setValue(2)
        if part > 1:
            _train(panel)
        viewer.window.remove_dock_widget(panel.parent())
        widget._SAVERS.pop(viewer).end()
        widget._SESSIONS.pop(viewer)
        widget._PAIRS.pop(viewer)
        viewer.layers.clear()
        _wait(1.1)
    assert len(find_recoveries(root)) == 2
    panel = _panel(viewer, "nuclei_colour")
    panel._tabs.setCurrentWidget(panel.teach.panel)
    for area in panel.teach.panel.findChildren(QScrollArea):
        area.ensureWidgetVisible(panel.teach.panel.project)
    panel.teach.panel.project._sessions.click()
    _wait_for(lambda: panel.sessions.window._list.count() == 2)


def earlier_sessions_light(viewer: napari.Viewer) -> None:
    """The same list in the light theme."""
    get_settings().appearance.theme = "light"
    earlier_sessions(viewer)


def interrupted(viewer: napari.Viewer) -> None:
    """A panel that was closed during a training offers to continue it."""
    panel = _annotated_panel(viewer, part=3)
    panel.teach.panel.form._steps.setValue(60)
    panel.teach.panel._train.click()
    _wait_for(lambda: "left" in panel.job_bar.progress)
    panel.parent().destroyOnClose()
    _wait_for(lambda: panel.session.steps_left > 0)
    panel = show_panel(viewer)
    _ready(panel)
    panel._tabs.setCurrentWidget(panel.teach.panel)


def review(viewer: napari.Viewer) -> None:
    """The review queue with a folder of images, some of which are done."""
    viewer.open_sample("napari-emcad", "nuclei_dark")
    pixels = viewer.layers[0].data
    viewer.layers.clear()
    folder = Path(mkdtemp(dir=_RECOVERY_FOLDER.name))
    for n in range(12):
        write_array(folder / f"well_B{n + 1:02d}_dapi.tif", np.roll(pixels, 40 * n, 1), "YX")
    panel = show_panel(viewer)
    _ready(panel)
    panel._tabs.setCurrentWidget(panel.teach.panel)
    for section in panel.teach.panel.findChildren(QCollapsible):
        if section.text() == "Review queue":
            section.expand(animate=False)
    panel.teach.review.add_folder(folder)
    for score in (0.93, 0.88, 0.91):
        queue = panel.session.review
        queue.change(queue.current, dice=score)
        panel.teach.panel.review._done.click()
    _run(panel)
    _wait(0.3)
    for area in panel.teach.panel.findChildren(QScrollArea):
        area.ensureWidgetVisible(panel.teach.panel.review)


def review_light(viewer: napari.Viewer) -> None:
    """The same in the light theme and a small window."""
    get_settings().appearance.theme = "light"
    viewer.window._qt_window.resize(1280, 720)
    review(viewer)


def _stack_panel(viewer: napari.Viewer) -> EmcadWidget:
    """Return a panel with a stack of nuclei, all of which is to be segmented."""
    viewer.open_sample("napari-emcad", "nuclei_dark")
    flat = viewer.layers[0].data[:256, :256]
    viewer.layers.clear()
    pixels = np.stack([np.roll(flat, 9 * z, 1) for z in range(6)])
    viewer.add_image(pixels, name="nuclei", axis_labels=("z", "y", "x"), scale=(2, 1, 1))
    panel = show_panel(viewer)
    _ready(panel)
    scope = panel.segment.panel._scope
    scope.setCurrentIndex(scope.findData("layer"))
    return panel


def _train(panel: EmcadWidget) -> None:
    panel.teach.panel._train.click()
    _wait(0.5)
    _ready(panel)


def _annotated_panel(
    viewer: napari.Viewer, part: int | None = None, sample: str = "nuclei_colour"
) -> EmcadWidget:
    """Return a panel with strokes of both classes; `part` limits their number per class."""
    panel = _panel(viewer, sample)
    panel._tabs.setCurrentWidget(panel.teach.panel)
    panel.teach.panel._new.click()
    for k, strokes in ((1, _OBJECTS), (0, _BACKGROUND)):
        for ends in strokes[:part]:
            _stroke(panel, k, ends)
    _wait_for(lambda: len(panel.session.project.record.pixel_counts) == 2)
    return panel


def _stroke(panel: EmcadWidget, k: int, ends: tuple[tuple[int, int], tuple[int, int]]) -> None:
    """Paint a straight stroke of class k, and wait until it is in the project's record."""
    panel.teach.annotating.paint(k)
    labels = panel.teach.annotating.pair.labels
    for point in np.linspace(*ends, 24):
        labels.paint(point, labels.selected_label)
    previous = panel.session.project.record
    _wait_for(lambda: panel.session.project.record is not previous)


SCENES: dict[str, Callable[[napari.Viewer], None]] = {
    scene.__name__: scene
    for scene in (
        segmented,
        segmented_light,
        model,
        model_light,
        shelf,
        shelf_light,
        advanced,
        stack,
        running,
        stages,
        stages_beside,
        calibrated,
        refusal,
        teach,
        instant,
        instant_model,
        objects,
        correct,
        clean_up,
        scores,
        value_range,
        suggest,
        closing,
        earlier_sessions,
        earlier_sessions_light,
        interrupted,
        review,
        review_light,
        training,
        versions,
    )
}


# -- waiting


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


def _unfold(widget: QWidget) -> None:
    for section in widget.findChildren(QCollapsible):
        section.expand(animate=False)


def _wait(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"the scene is not ready after {TIMEOUT_S} s")
        _wait(0.02)


if __name__ == "__main__":
    main()
