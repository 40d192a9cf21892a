"""What describes the project elsewhere (CITATION.cff, mkdocs.yml, GitHub) agrees with pyproject."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCHEMAS = {
    "vendor.citation-file-format": ["CITATION.cff"],
    "vendor.github-workflows": [f".github/workflows/{path.name}" for path in WORKFLOWS],
    "vendor.dependabot": [".github/dependabot.yml"],
    "vendor.github-issue-config": [".github/ISSUE_TEMPLATE/config.yml"],
    "vendor.github-issue-forms": [f".github/ISSUE_TEMPLATE/{n}.yml" for n in ("problem", "wish")],
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_for_other_programs_follow_their_schemas(schema):
    pytest.importorskip("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    done = subprocess.run(
        [*command, *SCHEMAS[schema]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_project_has_one_address():
    urls = PROJECT["urls"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert citation["repository-code"] == urls["Source"] == urls["Homepage"]
    assert citation["url"] == urls["Documentation"]
    assert f"repo_url: {urls['Source']}\n" in site
    assert f"site_url: {urls['Documentation']}\n" in site


@pytest.mark.parametrize(
    "path",
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / ".github").rglob("*.yml")],
    ids=lambda path: path.name,
)
def test_links_to_the_project_begin_with_its_address(path):
    urls = PROJECT["urls"]
    raw = urls["Source"].replace("github.com", "raw.githubusercontent.com")
    for link in re.findall(r"https://[^\s)\"'`]*napari-emcad[^\s)\"'`]*", path.read_text("utf-8")):
        assert link.startswith((urls["Source"], urls["Documentation"], raw)), link


def test_the_readme_links_pages_and_files_that_exist():
    text, urls = (ROOT / "README.md").read_text(encoding="utf-8"), PROJECT["urls"]
    for target in re.findall(r"\]\((https://[^)]*)\)", text):
        if target.startswith(urls["Documentation"]):
            page = target.removeprefix(urls["Documentation"]).strip("/") or "index"
            assert (ROOT / "docs" / f"{page}.md").exists(), target
        elif "/main/" in target:
            assert (ROOT / target.split("/main/")[1]).exists(), target


def test_the_readme_needs_no_repository_around_it():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\((?!https://)", text) == []


def test_authors_license_and_pythons_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["license"] == PROJECT["license"]
    names = [author["name"] for author in citation["authors"]]
    assert names == [author["name"] for author in PROJECT["authors"]]
    tests = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    for minor in range(11, 15):
        assert f"Programming Language :: Python :: 3.{minor}" in PROJECT["classifiers"]
        assert f'"3.{minor}"' in tests


def test_workflows_name_environments_of_tox_that_exist():
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    for path in WORKFLOWS:
        for names in re.findall(r"tox -e ([\w,-]+)$", path.read_text(encoding="utf-8"), re.M):
            for name in names.split(","):
                assert f"[testenv:{name}]" in tox, (path.name, name)
