"""Every notebook runs from its first to its last cell, and shows pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

pytestmark = pytest.mark.slow("examples", "src", ":!src/napari_emcad/plugin")

NOTEBOOKS = {p.stem: p for p in (Path(__file__).parents[1] / "examples").glob("*.ipynb")}


def read(path):
    return nbformat.read(path, as_version=4)


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def pictures(notebook):
    """Return the pictures of a notebook, of which the last cell with code must show one."""
    found = [output for output in outputs(notebook) if "image/png" in output.get("data", {})]
    *_, last = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert found[-1] in last.outputs
    return found


def run(path, folder):
    """Return a notebook with its outputs."""
    notebook = read(path)
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=None, resources=resources).execute()
    return notebook


def test_notebooks_are_stored_without_outputs():
    assert set(NOTEBOOKS) == {"segment_and_fine_tune", "look_inside"}
    for path in NOTEBOOKS.values():
        assert outputs(read(path)) == []
        assert all(cell.get("execution_count") is None for cell in read(path).cells)


def test_the_network_is_drawn_from_inside(tmp_path):
    assert len(pictures(run(NOTEBOOKS["look_inside"], tmp_path))) == 6


def test_strokes_make_the_model_better(tmp_path):
    notebook = run(NOTEBOOKS["segment_and_fine_tune"], tmp_path)
    assert len(pictures(notebook)) == 3
    text = "".join(output.get("text", "") for output in outputs(notebook))
    scores = dict(line.strip().split(": Dice ") for line in text.splitlines() if ": Dice " in line)
    assert float(scores["fine-tuned"]) > float(scores["bundled"]) + 0.3
    assert float(scores["instant"]) > float(scores["bundled"]) + 0.3
