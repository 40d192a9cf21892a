"""What a new process loads and how it ends; every test starts its own process."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.slow


def run(code, seconds=90):
    """Run a script in a new interpreter; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr[-3000:]}"
    return done.stdout


def test_napari_starts_and_the_dock_opens_with_the_bundled_model_without_torch():
    output = run(
        """
        import sys, napari
        from qtpy.QtWidgets import QApplication
        viewer = napari.Viewer(show=False)
        assert "torch" not in sys.modules
        dock, panel = viewer.window.add_plugin_dock_widget("napari-emcad", "EMCAD")
        while panel.session.checkpoint is None or panel.runner.running:
            QApplication.processEvents()
        print(panel.session.checkpoint.title, "torch" in sys.modules)
        viewer.close()
        """
    )
    assert output.strip().endswith("False")


@pytest.mark.parametrize("end", ["viewer.close()", "QApplication.instance().quit()"])
def test_closing_napari_during_a_job_ends_the_process(end):
    """H5: the process ends after the current batch of a job that would take minutes.

    It is measured in CPU time, which does not depend on other work of the machine.

    H25: triton and timm are loaded by the job, after a canvas was drawn; without the preload the
    process crashes then on Linux, where Mesa has an LLVM of its own.
    """
    output = run(
        f"""
        import atexit, sys, time, napari, numpy as np
        atexit.register(lambda: print("exit", time.process_time(), flush=True))
        from qtpy.QtCore import QTimer
        from qtpy.QtWidgets import QApplication
        viewer = napari.Viewer(show=True)
        viewer.add_image(np.zeros((4000, 128, 128), np.uint8), axis_labels=("z", "y", "x"))
        viewer.screenshot()
        assert not {{"triton", "timm", "torch"}} & set(sys.modules)
        _, panel = viewer.window.add_plugin_dock_widget("napari-emcad", "EMCAD")
        while panel.session.checkpoint is None or panel.runner.running:
            QApplication.processEvents()
        scope = panel.segment.panel._scope
        scope.setCurrentIndex(scope.findData("layer"))
        panel.segment.controller.run()
        def watch():
            if panel.job_bar._progress.value() > 0:
                timer.stop()
                print("closed", time.process_time(), flush=True)
                {end}
        timer = QTimer()
        timer.timeout.connect(watch)
        timer.start(20)
        napari.run()
        print("ended", flush=True)
        """
    )
    closed, ended, left = output.splitlines()
    assert ended == "ended"
    assert float(left.split()[1]) - float(closed.split()[1]) < 8
