"""No thread sees a module half imported."""

from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
import threading

import pytest

from napari_emcad.plugin.runner.whole_import import WholeImports

_SLOW = """
import threading
import napari_emcad_slow_gate as gate
gate.begun.set()
assert gate.opened.wait(60)
class Tensor: pass
late = 5
if gate.broken:
    raise ImportError("no GPU")
"""


class Gate:
    def __init__(self):
        self.begun, self.opened, self.broken = threading.Event(), threading.Event(), False


@pytest.fixture
def gate(tmp_path, monkeypatch):
    """Return a gate that the import of `napari_emcad_slow` waits for; it runs in a thread."""
    (tmp_path / "napari_emcad_slow.py").write_text(_SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    gate = Gate()
    monkeypatch.setitem(sys.modules, "napari_emcad_slow_gate", gate)
    finder = WholeImports({"napari_emcad_slow": ("Tensor",)})
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    yield gate
    gate.opened.set()
    gate.thread.join(60)
    sys.modules.pop("napari_emcad_slow", None)


def start(gate):
    def load():
        try:
            importlib.import_module("napari_emcad_slow")
        except ImportError as error:
            gate.error = error

    gate.thread = threading.Thread(target=load)
    gate.thread.start()
    assert gate.begun.wait(60)
    return sys.modules["napari_emcad_slow"]


def test_a_class_of_a_half_imported_module_has_no_instances(gate):
    half = start(gate)
    assert not issubclass(int, half.Tensor)
    gate.opened.set()
    gate.thread.join(60)
    assert isinstance(half.Tensor(), half.Tensor)
    assert "__getattr__" not in vars(half)
    assert "SourceFileLoader" in repr(half.__spec__.loader)


def test_another_attribute_is_waited_for(gate):
    half, asked = start(gate), threading.Event()
    found = []

    def ask():
        asked.set()
        found.append(half.late)

    asking = threading.Thread(target=ask)
    asking.start()
    assert asked.wait(60)
    gate.opened.set()
    asking.join(60)
    assert found == [5]
    with pytest.raises(AttributeError):
        _ = half.no_such_name


def test_a_failing_import_lets_nobody_wait(gate):
    gate.broken = True
    half = start(gate)
    gate.opened.set()
    gate.thread.join(60)
    assert "no GPU" in str(gate.error)
    with pytest.raises(AttributeError):
        _ = half.no_such_name


@pytest.mark.slow
def test_the_view_is_rotated_while_the_panel_imports_torch():
    """scipy looks for torch's tensors in sys.modules; every action is tried while torch loads."""
    code = """
        import sys, threading, importlib
        import numpy as np
        from scipy.spatial.transform import Rotation
        import napari_emcad.plugin.widget
        assert "torch" not in sys.modules
        thread = threading.Thread(target=importlib.import_module, args=("torch",))
        thread.start()
        sys.setswitchinterval(1e-4)
        half = turns = 0
        while thread.is_alive():
            torch = sys.modules.get("torch")
            half += torch is not None and "Tensor" not in vars(torch)
            Rotation.from_euler("x", np.array([float(turns)])).as_matrix()
            class Array(np.ndarray):  # scipy remembers its answer for every class
                pass
            Rotation.from_euler("x", np.zeros(1).view(Array)).as_matrix()
            turns += 1
        thread.join()
        import torch
        assert torch.is_tensor(torch.ones(3)) and isinstance(torch.ones(3), torch.Tensor)
        print("half", half > 0)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "half True"
