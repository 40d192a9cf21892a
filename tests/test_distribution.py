"""Wheel and source distribution: their files, and what runs where only the wheel is installed.

Dependencies come from the environment of the tests, through a path in the new environment, so that
gigabytes of PyTorch are not installed again; the project itself comes from the wheel alone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path, PurePosixPath

import pytest

for tool in ("build", "hatch_vcs", "twine"):
    pytest.importorskip(tool)

pytestmark = pytest.mark.slow("src", "README.md", "napari.yaml")

ROOT = Path(__file__).parents[1]
WHEEL_BYTES, SDIST_BYTES = 25e6, 42e6  # three networks of 7 to 8 MB are in them


def run(*command, cwd, **environment):
    """Run a command without the path of the source tree; its output is returned."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked_files():
    listed = run("git", "ls-files", "-z", cwd=ROOT).split("\0")
    return [name for name in listed if name and (ROOT / name).exists()]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The tracked files without git, as in a downloaded archive."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("the files of the project are known to git")
    folder = tmp_path_factory.mktemp("source")
    for name in tracked_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    return folder


@pytest.fixture(scope="module")
def distributions(source, tmp_path_factory):
    """Source distribution, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source, cwd=folder)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="module")
def python(distributions, tmp_path_factory):
    """Python of an environment in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run(
        python,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        distributions[0],
        cwd=folder,
    )
    (site,) = {
        run(
            python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder
        ).strip()
    }
    # Packages are found in a path of a .pth file, but .pth files of editable installs are not read.
    Path(site, "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return python


def names_in_wheel(path):
    return [PurePosixPath(name) for name in zipfile.ZipFile(path).namelist()]


def test_the_wheel_has_the_package_and_nothing_else(distributions):
    names = names_in_wheel(distributions[0])
    kinds = {name.suffix for name in names if name.parts[0] == "napari_emcad"}
    assert kinds == {".py", ".yaml", ".typed", ".safetensors", ".png", ".md"}
    others = {name.parts[0] for name in names if name.parts[0] != "napari_emcad"}
    assert [re.sub(r"-[^-]*\.dist-info", "", other) for other in others] == ["napari_emcad"]
    assert not [name for name in names if "__pycache__" in name.parts]


def test_the_wheel_has_every_module_of_the_source(distributions):
    package = [name.removeprefix("src/") for name in tracked_files() if name.startswith("src/")]
    assert {str(name) for name in names_in_wheel(distributions[0])} >= set(package)


def test_the_source_distribution_has_tracked_files_only(distributions):
    with tarfile.open(distributions[1]) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert names - set(tracked_files()) == {"PKG-INFO"}
    assert {"tests/conftest.py", "mkdocs.yml", "docs/index.md", "CITATION.cff"} <= names


def test_distributions_are_small(distributions):
    wheel, sdist = distributions
    assert wheel.stat().st_size < WHEEL_BYTES
    assert sdist.stat().st_size < SDIST_BYTES


def test_the_description_is_shown_by_pypi(distributions):
    run(sys.executable, "-m", "twine", "check", "--strict", *distributions, cwd=ROOT)


def test_without_git_the_version_is_the_fallback(distributions):
    assert distributions[0].name.startswith("napari_emcad-0.1.0-")
    assert distributions[1].name == "napari_emcad-0.1.0.tar.gz"


@pytest.mark.parametrize(
    ("tag", "version"), [(None, r"0\.1\.1\.dev\d+\+g.*"), ("v7.8.9", r"7\.8\.9")]
)
def test_with_git_the_version_is_that_of_the_tag(source, tmp_path, tag, version):
    clone = tmp_path / "clone"
    shutil.copytree(source, clone, symlinks=True)
    run("git", "init", "-q", cwd=clone)
    run("git", "add", "-A", cwd=clone)
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    run("git", *author, "commit", "-q", "-m", "All", cwd=clone)
    if tag:
        run("git", "tag", tag, cwd=clone)
    printed = run(sys.executable, "-m", "hatchling", "version", cwd=clone)
    assert re.fullmatch(version, printed.strip())


def test_the_package_comes_from_the_wheel(python, tmp_path):
    code = "import napari_emcad; print(napari_emcad.__file__, napari_emcad.__version__)"
    path, version = run(python, "-c", code, cwd=tmp_path).split()
    assert Path(path).is_relative_to(python.parents[1])
    assert version == "0.1.0"


def test_importing_the_package_loads_no_module_beyond_those_that_know_its_version(python, tmp_path):
    def loaded(code):
        return set(
            run(python, "-c", f"import sys\n{code}\nprint(*sys.modules)", cwd=tmp_path).split()
        )

    more = loaded("import napari_emcad") - loaded(
        "from importlib.metadata import version\nversion('napari-emcad')"
    )
    assert more == {"napari_emcad", "__future__"}


def test_npe2_validates_the_installed_manifest(python, tmp_path):
    pytest.importorskip("napari")
    run(python, "-m", "npe2", "validate", "napari_emcad", "--imports", cwd=tmp_path)


def test_the_installed_commands_run(python, tmp_path):
    program = python.with_name("napari-emcad")
    assert "PVT-EMCAD-B0" in run(program, "info", cwd=tmp_path)
    assert run(program, "--version", cwd=tmp_path).strip() == "napari-emcad 0.1.0"
    run(program, "demo", "--no-window", "--output", "demo", cwd=tmp_path)
    run(program, "segment", "demo/nuclei_dark.png", "--output", "again.png", cwd=tmp_path)
    assert (tmp_path / "again.png").stat().st_size > 1000
