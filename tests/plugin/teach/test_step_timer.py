"""The form says how long a training takes, once it has seen some steps."""

from __future__ import annotations

import pytest
from driving import draw_strokes, press, wait_until_idle

from napari_emcad.plugin.settings import set_training_pace, training_pace
from napari_emcad.plugin.teach.step_timer import StepTimer
from napari_emcad.plugin.widgets.helpers import duration


def test_the_median_of_the_steps_counts():
    times = iter([0.0, 1.0, 2.0, 3.0, 60.0, 61.0, 62.0])
    timer = StepTimer(lambda: next(times))
    timer.start(pixels=100)
    paces = [timer.step() for _ in range(7)]
    assert paces[:4] == [0.0] * 4
    assert paces[-1] == pytest.approx(0.01)  # one step that waited for something else


def test_steps_of_another_kind_give_no_estimate():
    timer = StepTimer(iter(range(99)).__next__)
    timer.start(pixels=0)
    assert not any(timer.step() for _ in range(9))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (80, "80 s"), (170, "3 min"), (7200, "2.0 h")]
)
def test_durations_are_rounded(seconds, text):
    assert duration(seconds) == text


def test_the_form_follows_steps_batch_and_crop(teach):
    form = teach.teach.panel.form
    form._steps.setValue(80)
    form._batch.setValue(2)
    form._crop.setValue(256)
    form.show_pace(1 / (2 * 256**2))
    assert form._duration.text() == "about 80 s"
    form._crop.setValue(512)
    assert form._duration.text() == "about 5 min"
    form.show_pace(0.0)
    assert form._duration.text() == ""


def test_a_training_leaves_its_pace_for_the_next_window(teach, qtbot):
    assert training_pace() == 0.0
    teach.teach.panel.form._steps.setValue(12)
    draw_strokes(teach, qtbot)
    press(qtbot, teach.teach.panel._train)
    wait_until_idle(teach, qtbot)
    assert training_pace() > 0
    assert teach.teach.panel.form._duration.text().startswith("about")
    set_training_pace("no number")
    assert training_pace() == 0.0
