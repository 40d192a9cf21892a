"""The documentation agrees with the repository."""

from __future__ import annotations

import re
import runpy
import shlex
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from napari_emcad.cli import _parser

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_pictures_exist(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_to_other_sites_are_well_formed(page):
    for target in re.findall(r"\]\((\w+:[^)]*)\)", page.read_text(encoding="utf-8")):
        parts = urlsplit(target)
        assert parts.scheme == "https", f"{page.name}: {target}"
        assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc), f"{page.name}: {target}"
        assert not re.search(r"\s", target), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_have_options_that_exist(page):
    parser = _parser()
    for line in _lines_of(page, "sh"):
        words = shlex.split(line, comments=True)
        if words[:1] == ["napari-emcad"]:
            parser.parse_args(words[1:])  # exits if an option or its value is unknown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_blocks_are_python(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        if page.name != "reference.md":  # signatures
            compile(block, page.name, "exec")


def _lines_of(page, language):
    """Return the lines of the code blocks in a language; lines that go on are joined."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]


def test_the_reference_is_current():
    page = runpy.run_path(str(ROOT / "docs" / "reference.py"))["render"]()
    assert (ROOT / "docs" / "reference.md").read_text(encoding="utf-8") == page


def test_the_module_tree_is_current():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert runpy.run_path(str(ROOT / "docs" / "tree.py"))["render"](page) == page


def test_every_dependency_is_justified():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table = page[page.index("## Dependencies") :]
    for requirement in project["dependencies"]:
        assert re.match(r"[\w-]+", requirement)[0] in table, requirement


def test_every_picture_is_rendered_and_used():
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for folder, name in (("images", "screenshots.py"), ("figures", "figures.py")):
        script = (ROOT / "docs" / name).read_text(encoding="utf-8")
        for picture in (ROOT / "docs" / folder).glob("*.png"):
            assert f"def {picture.stem}(" in script, picture
            assert picture.name in pages, picture


def test_every_hazard_has_tests_that_exist():
    page = (ROOT / "docs" / "hazards.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("|")]
    for *_, tests in (row for row in rows if ".py" in row[-1]):
        named = re.findall(r"`([\w/]+\.py)`(?: `(\w+)`)?", tests)
        assert named, tests
        for path, test in named:
            text = (ROOT / "tests" / path).read_text(encoding="utf-8")
            assert f"def {test or 'test_'}" in text, (path, test)
    numbers = {int(n) for row in rows for n in re.findall(r"H(\d+)", row[0])}
    assert numbers == set(range(1, 29))
