"""The documentation agrees with the repository."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_pictures_exist(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


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
    script = (ROOT / "docs" / "screenshots.py").read_text(encoding="utf-8")
    for picture in (ROOT / "docs" / "images").glob("*.png"):
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
