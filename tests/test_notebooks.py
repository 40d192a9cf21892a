"""Every notebook runs from its first to its last cell, and shows pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted((Path(__file__).parents[1] / "examples").glob("*.ipynb"))


def read(path):
    return nbformat.read(path, as_version=4)


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def run(path, folder):
    notebook = read(path)
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
    return notebook


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path):
    assert outputs(read(path)) == []
    assert all(cell.get("execution_count") is None for cell in read(path).cells)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    return {path.stem: run(path, tmp_path_factory.mktemp(path.stem)) for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_ends_with_a_picture(path, executed):
    pictures = [o for o in outputs(executed[path.stem]) if "image/png" in o.get("data", {})]
    assert len(pictures) >= 3
    *_, last = [cell for cell in executed[path.stem].cells if cell.cell_type == "code"]
    assert pictures[-1] in last.outputs


def test_strokes_make_the_model_better(executed):
    text = "".join(o.get("text", "") for o in outputs(executed["segment_and_fine_tune"]))
    scores = dict(line.strip().split(": Dice ") for line in text.splitlines() if ": Dice " in line)
    assert float(scores["fine-tuned"]) > float(scores["bundled"]) + 0.3
    assert float(scores["instant"]) > float(scores["bundled"]) + 0.3
