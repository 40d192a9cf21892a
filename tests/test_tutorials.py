"""The commands of the tutorials do what the pages say, in a folder of their own."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow(
    "docs/train.md", "docs/slides.md", "docs/volumes.md", "src", ":!src/napari_emcad/plugin"
)

ROOT = Path(__file__).parents[1]
RUN = "import sys; from napari_emcad.cli import main; sys.exit(main())"
WRITTEN = {
    "train": ["run/model.safetensors", "run/curves.png", "results/0_0_labels.tif"],
    "slides": ["results/0_0_labels.tif", "results/384_512_labels.tif", "objects.csv"],
    "volumes": ["head.nii.gz", "brain.safetensors", "head_labels.nii.gz"],
}
"""Files that the first commands of a page write."""


def commands(page):
    """Return the commands of the first shell block of a page that are this project's."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    block = re.search(r"```sh\n(.*?)```", text, re.DOTALL)[1].replace("\\\n", " ")
    for line in block.splitlines():
        program, *words = shlex.split(line, comments=True)
        if program == "python":
            yield [sys.executable, str(ROOT / words[0])]
        elif program == "napari-emcad":
            yield [sys.executable, "-c", RUN, *words]


@pytest.mark.parametrize("page", WRITTEN)
def test_the_first_commands_of_a_tutorial_run(page, tmp_path):
    printed = [run(command, tmp_path) for command in commands(page)]
    for name in WRITTEN[page]:
        assert (tmp_path / name).stat().st_size > 0, name
    if page == "train":
        assert float(re.search(r"mean of 20 images +([\d.]+)", printed[-1])[1]) > 0.8


def run(command, folder):
    """Run a command in a folder, and return what it prints."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
