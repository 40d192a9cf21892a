"""Messages and progress keep their height, so that nothing moves under the mouse."""

from __future__ import annotations

from qtpy.QtGui import QFont

from napari_emcad.inference.events import Progress
from napari_emcad.plugin.runner.job_bar import JobBar


def test_the_height_does_not_depend_on_what_is_shown(qtbot):
    bar = JobBar()
    qtbot.addWidget(bar)
    bar.resize(300, 100)
    bar.show()
    heights = [bar.sizeHint().height()]
    bar.show_message("A long message. " * 20, error=True)
    heights.append(bar.sizeHint().height())
    bar.show_started("Segmenting", cancellable=True)
    bar.show_progress(Progress(1, 3))
    heights.append(bar.sizeHint().height())
    bar.show_ended()
    bar.show_message("")
    heights.append(bar.sizeHint().height())
    assert len(set(heights)) == 1


def test_the_height_follows_the_font(qtbot):
    bar = JobBar()
    qtbot.addWidget(bar)
    before = bar._area.height()
    bar.setFont(QFont(bar.font().family(), 3 * bar.font().pointSize()))
    assert bar._area.height() > 2 * before
