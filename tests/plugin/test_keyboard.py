"""Keyboard, floating docks and several windows."""

from __future__ import annotations

from driving import annotation, press
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QShortcut

from napari_emcad.plugin import contributions


def test_keys_choose_classes_and_tab_leaves_the_table(teach, qtbot):
    press(qtbot, teach.teach.panel.classes._add)
    rows, labels = teach.teach.panel.classes._rows, annotation(teach)
    assert not rows.tabKeyNavigation()
    rows.setCurrentCell(2, 1)
    QTest.keyClick(rows, Qt.Key.Key_Up)
    assert labels.selected_label == 1
    QTest.keyClick(rows, Qt.Key.Key_Up)
    assert labels.selected_label == 255
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Space):
        labels.mode = "pan_zoom"
        teach.viewer.layers.selection.active = teach.viewer.layers["nuclei"]
        rows.setCurrentCell(1, 1)
        QTest.keyClick(rows, key)
        assert (labels.selected_label, str(labels.mode)) == (1, "paint")
        assert teach.viewer.layers.selection.active is labels
        assert not rows.editing


def test_keys_choose_annotations_and_space_ticks_them(teach, qtbot):
    press(qtbot, teach.teach.panel._new)
    first, _ = teach.annotations.pairs
    table = teach.teach.panel.annotations
    teach.teach.view.show()
    table.setCurrentCell(1, 0)
    QTest.keyClick(table, Qt.Key.Key_Up)
    assert teach.teach.annotating.pair.key == first.key
    QTest.keyClick(table, Qt.Key.Key_Space)
    assert not teach.session.project.entries[first.key].enabled


def working(window):
    """Return the keys of the enabled shortcuts that belong to a window, with repetitions."""
    owned = [s for s in window.findChildren(QShortcut) if s.parent().window() is window]
    return [s.key().toString() for s in owned if s.isEnabled()]


def test_shortcuts_work_in_both_windows_while_the_dock_floats(teach, qtbot):
    dock = teach.parent()
    main = dock.parentWidget()
    assert working(main).count("Alt+T") == 1
    dock.setFloating(True)
    QApplication.processEvents()
    assert working(main).count("Alt+T") == 1
    assert working(dock).count("Alt+T") == 1
    dock.setFloating(False)
    QApplication.processEvents()
    assert working(main).count("Alt+T") == 1
    dock.setFloating(True)
    dock.destroyOnClose()
    QApplication.processEvents()
    assert working(main).count("Alt+T") == 0


def test_a_checkpoint_opens_in_the_viewer_it_was_dropped_on(
    make_napari_viewer, dock, two_classes, qtbot, monkeypatch
):
    first, second = make_napari_viewer(), make_napari_viewer()
    panels = [dock(first), dock(second)]
    opened = []
    for panel in panels:
        controller = panel.model.controller
        monkeypatch.setattr(controller, "open_file", lambda _, p=panel: opened.append(p))
    first.open(str(two_classes), plugin="napari-emcad")
    second.open(str(two_classes), plugin="napari-emcad")
    assert opened == panels
    assert contributions._reading_viewer() in (first, second)


def test_no_shortcut_opens_a_menu_as_well(teach):
    """Alt and the underlined letter of a menu open it; a shortcut of both would do nothing."""
    menus = teach.viewer.window._qt_window.menuBar().actions()
    letters = {title[title.index("&") + 1].upper() for a in menus if "&" in (title := a.text())}
    assert letters
    ours = {shortcut.key().toString() for shortcut in teach.teach.bind_shortcuts(teach)}
    assert not ours & {f"Alt+{letter}" for letter in letters}
