"""Slow tests run until they have passed with the same files, in a project of their own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = "from slow_selection import *"
TESTS = """
from pathlib import Path
import pytest

ROOT = Path(__file__).parents[1]

@pytest.mark.slow("src/one.txt")
def test_one():
    assert "wrong" not in (ROOT / "src/one.txt").read_text()

@pytest.mark.slow
def test_all(): pass

def test_quick(): pass
"""


@pytest.fixture
def project(tmp_path):
    """Return a project with two slow tests and a quick one, known to git."""
    for name, text in {
        "pyproject.toml": "[tool.pytest.ini_options]\nmarkers = ['slow: slow']\n",
        "src/one.txt": "1",
        "src/two.txt": "2",
        "tests/conftest.py": CONFTEST,
        "tests/test_them.py": TESTS,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    shutil.copy(Path(__file__).with_name("slow_selection.py"), tmp_path / "tests")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    return tmp_path


def run(project, *options):
    """Return the results of a run by the test's name."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *options],
        cwd=project,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.split() for line in done.stdout.splitlines() if "::" in line and "%]" in line]
    return {line[0].partition("::")[2]: line[1] for line in lines}


def test_a_test_runs_until_it_has_passed_with_the_same_files(project):
    slow = {"test_one": "PASSED", "test_all": "PASSED"}
    assert run(project, "--slow", "changed") == slow | {"test_quick": "PASSED"}
    assert run(project, "--slow", "record", "-m", "slow") == slow
    assert run(project, "--slow", "changed") == {"test_quick": "PASSED"}
    assert run(project) == slow | {"test_quick": "PASSED"}

    (project / "src/two.txt").write_text("3")  # which the first test does not name
    assert run(project, "--slow", "changed") == {"test_all": "PASSED", "test_quick": "PASSED"}


def test_a_test_that_fails_is_not_recorded(project):
    assert run(project, "--slow", "record")["test_one"] == "PASSED"
    (project / "src/one.txt").write_text("wrong")
    for slow in ("record", "changed"):
        assert run(project, "--slow", slow)["test_one"] == "FAILED"
    recorded = json.loads((project / "tests/slow_passed.json").read_text())
    assert list(recorded) == ["tests/test_them.py::test_all"]


def test_everything_runs_where_git_does_not_know_the_files(project):
    run(project, "--slow", "record")
    shutil.rmtree(project / ".git")
    assert len(run(project, "--slow", "changed")) == 3
