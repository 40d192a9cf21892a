"""Which slow tests run: with ``--slow changed``, those that have not passed with the same files.

A slow test names the files that it tests, as pathspecs of git: ``@pytest.mark.slow("benchmarks")``.
Without any it tests the whole package. `PASSED` holds a checksum of these files for every test
that has passed; ``--slow record`` runs the same tests, and writes the checksums of those that pass.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PASSED = Path(__file__).parent / "slow_passed.json"
LIBRARIES = ("torch", "timm", "numpy", "scikit-image")  # their releases count as changes


def pytest_addoption(parser) -> None:
    """Add the option ``--slow``."""
    parser.addoption(
        "--slow",
        choices=("all", "changed", "record"),
        default="all",
        help="slow tests: all, or those whose files have changed since they passed, "
        "or these with a record of those that pass now",
    )


@pytest.hookimpl(trylast=True)  # after the selection by names and markers
def pytest_collection_modifyitems(config, items) -> None:
    """Take out the slow tests that have passed with the same files; note the others' checksums."""
    if config.option.slow == "all":
        return
    passed = _passed()
    known = []
    for item in items:
        if marker := item.get_closest_marker("slow"):
            checksum = _checksum((*(marker.args or ("src",)), _file(item.nodeid)))
            item.user_properties.append(("slow", checksum))
            if checksum and passed.get(item.nodeid) == checksum:
                known.append(item)
    if known:
        config.hook.pytest_deselected(items=known)
        items[:] = [item for item in items if item not in set(known)]


class Recorder:
    """Write the checksums of the slow tests that pass."""

    def __init__(self) -> None:
        self._passed = _passed()
        self._failed: set[str] = set()

    def pytest_runtest_logreport(self, report) -> None:
        """Note a part of a test: its set-up, its call or its clean-up."""
        checksum = dict(report.user_properties).get("slow")
        if not checksum:
            return
        if report.failed:
            self._failed.add(report.nodeid)
        self._passed[report.nodeid] = checksum

    def pytest_sessionfinish(self) -> None:
        """Write `PASSED` without tests that failed or whose file is gone."""
        kept = {
            test: checksum
            for test, checksum in sorted(self._passed.items())
            if test not in self._failed and (ROOT / _file(test)).exists()
        }
        PASSED.write_text(json.dumps(kept, indent=1) + "\n")


def pytest_configure(config) -> None:
    """Record in the process that gets the reports of all workers."""
    if config.option.slow == "record" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder())


@cache
def _checksum(pathspecs: tuple[str, ...]) -> str:
    """Return a checksum of the files' contents and of the libraries that matter most.

    It is empty where git does not know the files: then every test runs, and none is recorded.
    """
    command = ["git", "ls-files", "-z", "--", "pyproject.toml", *pathspecs]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    checksum = blake2b(digest_size=12)
    for name in sorted(filter(None, listed.stdout.split(b"\0"))):
        checksum.update(name + b"\0" + blake2b((ROOT / name.decode()).read_bytes()).digest())
    checksum.update(repr([sys.version_info[:2], *map(version, LIBRARIES)]).encode())
    return checksum.hexdigest()


def _passed() -> dict[str, str]:
    return json.loads(PASSED.read_text()) if PASSED.exists() else {}


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]
