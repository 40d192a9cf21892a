"""A "?" beside some maps opens a picture and two sentences."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QToolButton

from napari_emcad.inference.stage_maps.specs import MAP_SPECS
from napari_emcad.io.images.samples import read_help_picture
from napari_emcad.plugin.stages.map_help import MAP_HELP, MapHelp


def buttons(panel):
    found = panel.stages.panel.findChildren(QToolButton)
    return {one.accessibleName(): one for one in found if one.text() == "?"}


@pytest.mark.parametrize("kind", MAP_HELP)
def test_the_keyboard_opens_and_closes_it(panel, qtbot, kind):
    panel._tabs.setCurrentWidget(panel.stages.panel)
    button = buttons(panel)[f"What {kind} shows"]
    assert button.focusPolicy() & Qt.FocusPolicy.TabFocus
    qtbot.keyClick(button, Qt.Key.Key_Space)
    (window,) = button.findChildren(MapHelp)
    picture, _, sentences = window.findChildren(QLabel)
    assert picture.pixmap().width() == read_help_picture(kind).shape[1]
    assert sentences.text() == MAP_HELP[kind]
    with qtbot.waitSignal(window.destroyed):
        qtbot.keyClick(window, Qt.Key.Key_Escape)


def test_every_text_is_of_a_map_and_has_two_sentences():
    assert set(MAP_HELP) <= set(MAP_SPECS)
    for sentences in MAP_HELP.values():
        assert sentences.count(". ") == 1


def test_pictures_are_small():
    for kind in MAP_HELP:
        assert read_help_picture(kind).shape == (128, 260, 3)
