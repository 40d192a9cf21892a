"""Random user actions in the Teach tab of a real window: no error, and invariants hold."""

from __future__ import annotations

import os

import numpy as np
import pytest
from driving import drag, press, wait_until_idle
from napari.layers import Image, Labels
from qtpy.QtCore import Qt

from napari_emcad.annotation.label_rules import UNLABELED
from napari_emcad.interactive.project import AnnotationProject
from napari_emcad.plugin.layers.geometry import unwrap
from napari_emcad.plugin.stages.request import StageChoices

STEPS = int(os.environ.get("RANDOM_USER_STEPS", "60"))
"""Actions per walk; a walk of 2,000 takes about an hour."""

SEEDS = range(int(os.environ.get("RANDOM_USER_SEED", "0")), 3)


class RandomUser:
    """Performs random actions of a user."""

    def __init__(self, panel, qtbot, seed, images):
        self.panel, self.qtbot, self.images = panel, qtbot, images
        self.viewer, self.rng = panel.viewer, np.random.default_rng(seed)
        self.actions, self.reshaped = [], set()

    def act(self):
        names = [name for name in dir(type(self)) if name.startswith("do_")]
        name = str(self.rng.choice(names))
        self.actions.append(name)
        try:
            getattr(self, name)()
        except ValueError as error:  # napari's texture is older than the new axis order
            if str(error) != "Data is too large":
                raise
        self.qtbot.wait(int(self.rng.choice([0, 0, 30, 250])))

    def one_of(self, things):
        things = list(things)
        return things[int(self.rng.integers(len(things)))] if things else None

    def layers(self, kind):
        return [layer for layer in self.viewer.layers if type(layer) is kind]

    @property
    def labels(self):
        pair = self.panel.teach.annotating.pair
        return None if pair is None else pair.labels

    def position(self, labels, size=1):
        """Return a random position in the slice of a layer that the sliders show."""
        point = np.asarray(self.viewer.dims.point)[-labels.ndim :]
        shown = np.round(labels.world_to_data(point)).astype(int)
        position = np.clip(shown, 0, np.array(labels.data.shape) - 1)
        for axis in (-2, -1):
            position[axis] = self.rng.integers(max(labels.data.shape[axis] - size, 1))
        return position

    # -- annotating

    def do_new_annotation(self):
        if len(self.panel.annotations.pairs) < 4:
            press(self.qtbot, self.panel.teach.panel._new)

    def do_use_a_layer(self):
        image = self.one_of(self.layers(Image))
        if image is None or len(self.layers(Labels)) > 8:
            return
        shape = image.data.shape[: image.ndim]
        values = self.one_of([(1,), (255,), (1, 2, 255), (85, 170, 255), tuple(range(1, 30))])
        label_data = self.rng.choice([0, *values], shape).astype(np.uint8)
        label_data[..., : shape[-1] // 2] = 0
        self.panel.teach.annotating.use_layer(self.viewer.add_labels(label_data, name="mine"))

    def do_stroke(self):
        k = int(self.rng.integers(len(self.panel.session.project.classes) + 1))
        self.panel.teach.annotating.paint(k)
        labels = self.labels
        if labels is None or labels.mode != "paint":
            return
        position = self.position(labels, 10)
        last = labels.data.shape[-1] - 1
        ends = [min(position[-1] + 2 * step, last) for step in range(6)]
        drag(labels, [[*position[:-1], end] for end in ends])

    do_another_stroke = do_one_more_stroke = do_stroke

    def do_write(self):
        labels = self.labels
        if labels is not None and labels.data.flags.writeable:
            positions = np.stack([self.position(labels) for _ in range(20)]).T
            values = self.rng.choice([0, 1, 255], 20).astype(labels.data.dtype)
            labels.data_setitem(tuple(positions), values)

    def do_fill(self):
        labels = self.labels
        painted = labels is not None and labels.data.flags.writeable
        if painted and labels not in self.reshaped and self.rng.random() < 0.3:
            labels.fill(self.position(labels), int(self.one_of([0, 1, 255])))

    def do_undo(self):
        if self.labels is not None and self.labels not in self.reshaped:
            self.labels.undo()

    def do_redo(self):
        if self.labels is not None and self.labels not in self.reshaped:
            self.labels.redo()

    def do_correct(self):
        if self.panel.teach.panel._correct.isEnabled():
            press(self.qtbot, self.panel.teach.panel._correct)

    # -- classes and pairs

    def do_add_class(self):
        if len(self.panel.session.project.classes) < 4:
            press(self.qtbot, self.panel.teach.panel.classes._add)

    def do_rename_class(self):
        table = self.panel.teach.panel.classes._rows
        item = table.item(int(self.rng.integers(1, table.rowCount())), 1)
        item.setText(self.one_of(["nucleus", "a", "b\n", "\x00", "background", "A"]))

    def do_remove_class(self):
        table = self.panel.teach.panel.classes
        table.show_current(int(self.rng.integers(table._rows.rowCount())))
        if table._remove.isEnabled() and self.rng.random() < 0.5:
            press(self.qtbot, table._remove)

    def do_tick(self):
        table = self.panel.teach.panel.annotations
        if table.rowCount():
            item = table.item(int(self.rng.integers(table.rowCount())), 0)
            states = Qt.CheckState.Checked, Qt.CheckState.Unchecked
            item.setCheckState(states[int(self.rng.random() < 0.3)])

    def do_say_what_numbers_mean(self):
        table = self.panel.teach.panel.annotations
        if table.rowCount():
            box = table.cellWidget(int(self.rng.integers(table.rowCount())), 2)
            box.setCurrentIndex(int(self.rng.integers(3)))
            box.activated.emit(box.currentIndex())

    def do_choose_a_pair(self):
        table = self.panel.teach.panel.annotations
        if table.rowCount():
            table.cellClicked.emit(int(self.rng.integers(table.rowCount())), 0)

    def do_choose_an_image(self):
        self.panel.context.image_input.set_layer(self.one_of(self.layers(Image)))

    # -- training

    def do_train(self):
        if self.panel.teach.panel._train.isEnabled():
            press(self.qtbot, self.panel.teach.panel._train)

    def do_alt_t(self):
        self.panel.teach.training.train()

    def do_update(self):
        if self.panel.teach.panel._update.isEnabled():
            press(self.qtbot, self.panel.teach.panel._update)

    def do_live(self):
        press(self.qtbot, self.panel.teach.panel._live)

    def do_stop(self):
        self.panel.runner.stop()

    def do_cancel(self):
        if self.panel.job_bar._cancel.isVisibleTo(self.panel.job_bar):
            self.panel.runner.cancel()

    def do_wait(self):
        self.panel.runner.stop()
        wait_until_idle(self.panel, self.qtbot)

    def do_go_to_a_version(self):
        if self.panel.session.running is None:
            self.panel.teach.training.go_to(self.one_of(self.panel.session.versions))

    def do_compare(self):
        if self.panel.session.running is None and len(self.layers(Labels)) < 8:
            self.panel.teach.preview.compare(self.one_of(self.panel.session.versions))

    def do_segment(self):
        if self.panel.segment.panel._run.isEnabled():
            press(self.qtbot, self.panel.segment.panel._run)

    def do_save(self):
        self.panel.autosave.saver.save()

    # -- layers and dims

    def do_hide(self):
        layer = self.one_of(self.viewer.layers)
        if layer is not None:
            layer.visible = not layer.visible

    def do_toggle(self):
        self.panel.teach.annotating.toggle(self.one_of(["annotation", "prediction"]))

    def do_delete(self):
        layer = self.one_of(self.viewer.layers)
        if layer is not None and self.rng.random() < 0.4:
            self.viewer.layers.remove(layer)

    def do_select(self):
        layer = self.one_of(self.viewer.layers)
        if layer is not None:
            self.viewer.layers.selection.active = layer

    def do_open_an_image(self):
        if len(self.layers(Image)) < 4:
            name = self.one_of(self.images)
            self.viewer.add_image(self.images[name], name=name, **OPENED[name])

    def do_replace_data(self):
        image = self.one_of(self.layers(Image))
        if image is not None and self.rng.random() < 0.5 and not image.rgb:
            known = [array for array in self.images.values() if array.ndim <= image.ndim]
            image.data = self.one_of([self.images.get(image.name, image.data), *known])

    def do_replace_annotation(self):
        if self.labels is not None and self.rng.random() < 0.5:
            data = np.array(self.labels.data)
            smaller = [data[..., :20], data[0]] if data.ndim > 2 else [data[..., :20]]
            self.labels.data = self.one_of([data, data, *smaller, data[None]])
            if self.labels is not None and self.labels.data.shape != data.shape:
                self.reshaped.add(self.labels)  # napari keeps undo history of the old shape

    def do_change_pixels_in_place(self):
        layer = self.one_of(self.viewer.layers)
        if layer is not None and isinstance(layer.data, np.ndarray) and layer.data.flags.writeable:
            layer.data[..., : int(self.rng.integers(1, 20))] = int(self.rng.integers(0, 2))
            if self.rng.random() < 0.7:
                layer.refresh()

    def do_convert_labels(self):
        layer = self.one_of(self.layers(Labels))
        if layer is not None and self.rng.random() < 0.5:
            layer.data = np.array(layer.data).astype(self.one_of([np.int32, np.uint16, np.int64]))

    def do_place(self):
        layer = self.one_of(self.viewer.layers)
        if layer is not None:
            layer.scale = [float(self.one_of([0.5, 1, 2]))] * layer.ndim
            layer.translate = [float(self.one_of([0, 0, 7]))] * layer.ndim

    def do_units(self):
        layer = self.one_of(self.viewer.layers)
        if layer is not None:
            layer.units = [self.one_of(["um", "mm", "pixel"])] * layer.ndim

    def do_thick_slices(self):
        image = self.one_of(self.layers(Image))
        if image is not None and image.ndim > 2:
            image.projection_mode = self.one_of(["none", "mean", "max"])
            self.viewer.dims.margin_left = [float(self.rng.integers(0, 2))] * self.viewer.dims.ndim

    def do_rename_in_the_model(self):
        count = len(self.panel.session.checkpoint.classes)
        names = self.rng.permutation(list("abcdef"))[:count].tolist()
        self.panel.model.controller.override({"classes": names})

    def do_revert_the_model(self):
        if self.rng.random() < 0.3:
            self.panel.model.controller.revert()

    def do_show_maps(self):
        if self.panel.stages.panel._show.isEnabled():
            self.panel.stages.panel.set_value(StageChoices(stages=(1,), kinds=("probability",)))
            self.panel.stages.controller.compute()

    def do_rename(self):
        layer = self.one_of(self.viewer.layers)
        if layer is not None:
            layer.name = self.one_of(["x", "flat", "another"])

    def do_reorder(self):
        if len(self.viewer.layers) > 1:
            self.viewer.layers.move(0, len(self.viewer.layers))

    def do_slide(self):
        for axis in range(self.viewer.dims.ndim - 2):
            steps = int(self.viewer.dims.nsteps[axis])
            self.viewer.dims.set_current_step(axis, int(self.rng.integers(steps)))

    def do_turn(self):
        if self.viewer.dims.ndim > 2 and self.rng.random() < 0.3:
            self.viewer.dims.roll()
        elif self.rng.random() < 0.3:
            self.viewer.dims.ndisplay = 5 - self.viewer.dims.ndisplay

    def do_zoom(self):
        self.viewer.camera.zoom = float(self.rng.uniform(0.5, 6))


OPENED = {
    "flat": {},
    "within": {"axis_labels": ("z", "c", "y", "x"), "scale": (2, 1, 1, 1)},
    "stack": {"axis_labels": ("z", "y", "x")},
    "colour": {"rgb": True},
}


@pytest.fixture
def images(nuclei):
    small = nuclei[:64, :72]
    return {
        "flat": nuclei,
        "stack": np.stack([small] * 2),
        "within": np.stack([[small] * 3, [small.T[:64, :64].repeat(2, 1)[:, :72]] * 3]),
        "colour": np.stack([nuclei] * 3, axis=-1),
    }


@pytest.fixture
def splits(monkeypatch):
    """Return masks, by location, of all pixels trained on and of all pixels held out so far."""
    learned, validated, freeze_split = {}, {}, AnnotationProject.freeze_split

    def recording(self):
        record = freeze_split(self)
        for key, patch in record.patches.items():
            for masks, target in (
                (learned, patch.training_target()),
                (validated, patch.validation_target()),
            ):
                masks[key.location] = masks.get(key.location, False) | (target != UNLABELED)
        return record

    monkeypatch.setattr(AnnotationProject, "freeze_split", recording)
    return learned, validated


def check(panel, splits):
    session, training = panel.session, panel.teach.training
    panel.teach.view.show()
    can_start = session.running is None or session.running.preemptible
    can_train = not training.why_not() and not panel.teach.panel.form.problem and can_start
    for button in (panel.teach.panel._train, panel.teach.panel._update):
        assert button.isEnabled() == can_train
    assert (session.running is not None) == panel.runner.running
    used, current = session.checkpoint, session.versions.current.checkpoint
    assert all(np.shares_memory(current.tensors[name], t) for name, t in used.tensors.items())
    assert session.project.with_current_labels(used.classes) == used.classes
    assert set(session.project.entries) == {pair.key for pair in panel.annotations.pairs}
    assert unwrap(panel.context.image_input.layer) is panel.segment.panel._followed
    learned, validated = splits
    for position in learned:
        assert not (learned[position] & validated[position]).any()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_actions_raise_no_error_and_keep_the_panel_consistent(
    viewer, dock, qtbot, images, splits, seed
):
    for name in ("flat", "within"):
        viewer.add_image(images[name], name=name, **OPENED[name])
    panel = dock(viewer)
    panel._tabs.setCurrentWidget(panel.teach.panel)
    form = panel.teach.panel.form
    form._steps.setValue(2)
    form._batch.setValue(1)
    form._crop.setValue(64)
    user = RandomUser(panel, qtbot, seed, images)
    try:
        for _ in range(STEPS):
            user.act()
            check(panel, splits)
        panel.teach.training.set_live(False)
        panel.runner.stop()
        wait_until_idle(panel, qtbot)
        check(panel, splits)
        assert panel.session.running is None
        viewer.layers.clear()
        wait_until_idle(panel, qtbot)
        check(panel, splits)
    except BaseException:
        print(seed, user.actions)  # noqa: T201  (to reproduce the failure)
        raise
