"""What a user types stays while the panel is refreshed, and wrong values are named at once."""

from __future__ import annotations

import numpy as np
import pytest
from driving import choose_quick_training, draw_strokes, press, train, wait_until_idle
from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLineEdit

import napari_emcad
from napari_emcad.plugin.model.details_form import DetailsForm
from napari_emcad.plugin.segment.axes_form import AxesForm


def choose(box, data):
    box.setCurrentIndex(box.findData(data))
    box.activated.emit(box.currentIndex())


def edit_name(panel, k=1):
    """Open the editor of a class name as a double click does."""
    rows = panel.teach.panel.classes._rows
    rows.setCurrentCell(k, 1)
    rows.editItem(rows.item(k, 1))
    return rows.findChild(QLineEdit)


def test_a_class_name_is_edited_while_the_table_is_refreshed(teach, qtbot):
    draw_strokes(teach, qtbot)
    editor = edit_name(teach)
    for letter in "cell":
        QTest.keyClicks(editor, letter)
        teach.teach.view.show()
        teach.session.project.recolor_class(1, "#123456")
    assert editor.text() == "cell"
    train(teach, qtbot)
    assert editor.text() == "cell"
    QTest.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: teach.session.project.classes[0].name == "cell")


def test_a_refused_class_name_can_be_mended(teach, qtbot):
    editor = edit_name(teach)
    QTest.keyClicks(editor, "background")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: "already" in teach.job_bar.message)
    rows = teach.teach.panel.classes._rows
    qtbot.waitUntil(lambda: rows.editing)
    teach.teach.view.show()
    editors = [e for e in rows.findChildren(QLineEdit) if e.isVisibleTo(rows)]
    assert editors[-1].text() == "background"
    QTest.keyClick(editors[-1], Qt.Key.Key_Escape)
    assert teach.session.project.classes[0].name == "nucleus"


def test_a_current_row_is_not_changed_while_a_cell_is_edited(teach, qtbot):
    editor = edit_name(teach)
    teach.teach.annotating.paint(0)
    teach.teach.view.show()
    assert editor.isVisibleTo(teach)
    assert teach.teach.panel.classes.current == 1


def test_refreshing_changes_no_item_and_no_menu(teach, qtbot):
    """Qt redraws and refills whatever is set, even to the value that it has."""
    teach.viewer.add_labels(np.zeros((96, 128), np.uint8), name="mine")
    panel = teach.teach.panel
    train_free = [panel.classes._rows, panel.annotations, panel.versions._rows]
    teach.teach.view.show()
    actions = panel._layers.actions()
    changes = []
    for table in train_free:
        table.model().dataChanged.connect(lambda *_: changes.append(1))
    teach.teach.view.show()
    assert changes == []
    assert panel._layers.actions() == actions


@pytest.fixture
def details(qtbot):
    """Return a form with the bundled model, and the list of overrides that it emits."""
    form, emitted = DetailsForm(), []
    qtbot.addWidget(form)
    form.changed.connect(emitted.append)
    form.show_checkpoint(napari_emcad.bundled_checkpoint())
    return form, emitted


def test_typed_details_stay_while_the_model_is_updated(details):
    form, emitted = details
    checkpoint = form._checkpoint
    QTest.keyClicks(form._classes, "x")
    form._low.setValue(33)
    form._zoom.setValue(3.5)
    form.show_checkpoint(checkpoint.override(title="updated live 1 time"))
    assert form._classes.text() == f"{checkpoint.classes[0].name}x"
    assert (form._low.value(), form._zoom.value()) == (33, 3.5)
    form._classes.editingFinished.emit()
    assert emitted == [{"classes": [f"{checkpoint.classes[0].name}x"]}]


def test_a_wrong_number_of_class_names_stays_and_is_named_at_once(qtbot):
    form, emitted = DetailsForm(), []
    qtbot.addWidget(form)
    form.changed.connect(emitted.append)
    form.show_checkpoint(napari_emcad.initialize_checkpoint(num_classes=3))
    form._classes.clear()
    QTest.keyClicks(form._classes, "a, b, c")
    assert "3 class names; this network has 2 classes" in form._problem.text()
    form._classes.editingFinished.emit()
    form.show_checkpoint(form._checkpoint.override(title="again"))
    assert form._classes.text() == "a, b, c"
    assert emitted == []
    for _ in range(3):
        QTest.keyClick(form._classes, Qt.Key.Key_Backspace)
    assert form._problem.isHidden()
    form._classes.editingFinished.emit()
    assert emitted == [{"classes": ["a", "b"]}]
    form._classes.setText("a, a")
    form._classes.textEdited.emit("a, a")
    assert "same name" in form._problem.text()
    press(qtbot, form._revert)
    assert form._classes.text() == "class 1, class 2"
    assert form._problem.isHidden()


def test_a_limit_above_the_other_is_named_at_once(details):
    form, emitted = details
    form._low.setValue(form._high.value() + 1)
    assert "must be below To" in form._problem.text()
    form._low.editingFinished.emit()
    assert emitted == []
    assert form._low.value() == form._high.value() + 1


def test_going_back_to_a_kind_restores_the_values_of_the_model(details):
    form, emitted = details
    original = form._checkpoint.override(
        intensity="range", low=5, high=4095, mean=(0.1,) * 3, std=(2.0,) * 3, zoom=3.0
    )
    form.show_checkpoint(original)

    def apply():
        form.show_checkpoint(form._checkpoint.override(**emitted.pop()))

    for box, other, before in (
        (form._intensity, "percentile", "range"),
        (form._native, False, True),
        (form._norm, ((0.0,), (1.0,)), ((0.1,) * 3, (2.0,) * 3)),
    ):
        for value in (other, before):
            rows = [box.itemData(n) for n in range(box.count())]
            box.setCurrentIndex(rows.index(value))
            box.activated.emit(box.currentIndex())
            apply()
    assert form._checkpoint.preprocessing == original.preprocessing


def test_chosen_axes_stay_when_a_stack_grows(qtbot):
    form, layer = AxesForm(), Image(np.zeros((3, 20, 30), np.uint8))
    qtbot.addWidget(form)
    form.show_layer(layer, 3)
    choose(form._roles[0], "C")
    for box, channel in zip(form._channels, (2, 1, 0), strict=True):
        choose(box, channel)
    boxes = list(form._channels)
    form.show_layer(layer, 3)
    assert form._channels == boxes  # an open list stays open
    layer.data = np.zeros((4, 25, 30), np.uint8)
    form.show_layer(layer, 3)
    assert (form.axes, form.channels) == ("CYX", (2, 1, 0))
    form.show_layer(Image(np.zeros((4, 25, 30), np.uint8)), 3)
    assert "slices or channels" in form.problem


def test_a_chosen_scope_stays_when_the_image_has_other_pixels(panel):
    layer = panel.viewer.add_image(np.zeros((7, 20, 30), np.uint8), contrast_limits=(0, 1))
    panel.context.image_input.set_layer(layer)
    scope = panel.segment.panel._scope
    scope.setCurrentIndex(scope.findData("layer"))
    layer.data = np.zeros((9, 20, 30), np.uint8)
    assert scope.currentData() == "layer"
    assert panel.context.image_input.options.scope == "layer"


def test_a_further_setting_is_checked_while_it_is_typed(teach, qtbot):
    choose_quick_training(teach)
    form = teach.teach.panel.form
    QTest.keyClicks(form._more, "flip=perhaps")
    wait_until_idle(teach, qtbot)
    assert "flip" in teach.teach.panel._reason.text()
    assert form._more.text() == "flip=perhaps"
