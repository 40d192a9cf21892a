"""The package: modules loaded by its import, public names, distribution and manifest."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from importlib import metadata, resources
from pathlib import Path

import npe2
import pytest

import napari_emcad

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "timm", "torchvision", "napari", "qtpy", "PyQt6", "PySide6", "skimage", "numpy")


def loaded_by(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after running code."""
    program = f"import sys\n{code}\nprint(*sys.modules)"
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    return set(process.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    loaded = loaded_by("import napari_emcad; dir(napari_emcad); napari_emcad.__version__")
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "module",
    [
        "io.checkpoints.checkpoint",
        "io.checkpoints.files",
        "io.checkpoints.initialize",
        "io.checkpoints.published",
        "io.checkpoints.card",
        "io.images.read",
        "pipelines.segment",
    ],
)
def test_reading_a_description_needs_no_torch(module):
    loaded = loaded_by(f"import napari_emcad.{module}")
    assert loaded.isdisjoint({"torch", "timm", "napari", "qtpy"})


def test_the_bundled_checkpoint_is_read_without_torch():
    loaded = loaded_by("import napari_emcad; napari_emcad.bundled_checkpoint()")
    assert loaded.isdisjoint({"torch", "timm", "napari", "qtpy"})


def test_a_network_needs_no_napari():
    loaded = loaded_by("from napari_emcad import bundled_checkpoint as b; b().network()")
    assert "torch" in loaded
    assert loaded.isdisjoint({"napari", "qtpy", "PyQt6"})


def test_every_public_name_is_imported_from_its_module():
    for name in napari_emcad.__all__:
        value = getattr(napari_emcad, name)
        assert value.__name__ == name
        assert value.__module__ == f"napari_emcad.{napari_emcad._HOMES[name]}"
        assert value.__doc__


def test_public_names_are_listed_sorted_and_once():
    assert dir(napari_emcad) == sorted(napari_emcad.__all__) == sorted(napari_emcad._HOMES)
    assert len(set(napari_emcad.__all__)) == len(napari_emcad.__all__)


def test_a_star_import_brings_the_public_names():
    names: dict[str, object] = {}
    exec("from napari_emcad import *", names)
    assert set(napari_emcad.__all__) <= set(names)


@pytest.mark.parametrize("name", sorted(napari_emcad._DEPRECATED))
def test_deprecated_names_still_work_with_a_warning(name):
    successor = napari_emcad._DEPRECATED[name]
    with pytest.warns(FutureWarning, match=f"{name} is deprecated, use napari_emcad.{successor}"):
        value = getattr(napari_emcad, name)
    assert value is getattr(napari_emcad, successor)


def test_other_names_are_attribute_errors():
    with pytest.raises(AttributeError, match=r"napari_emcad.*no attribute 'spam'"):
        napari_emcad.spam  # noqa: B018
    assert not hasattr(napari_emcad, "_spam")


def test_modules_of_the_package_can_still_be_imported():
    assert importlib.import_module("napari_emcad.io.checkpoints.native").FORMAT_VERSION >= 1


def test_the_version_is_that_of_the_distribution():
    assert napari_emcad.__version__ == metadata.version("napari-emcad")


def test_types_manifest_and_assets_are_packaged():
    package = resources.files("napari_emcad")
    for name in ("py.typed", "napari.yaml", "assets/nuclei_b0.safetensors", "assets/LICENSES.md"):
        assert package.joinpath(name).is_file(), name
    for kind in ("dark", "colour", "bright"):
        assert package.joinpath(f"assets/nuclei_{kind}.png").is_file(), kind


def test_the_distribution_declares_its_entry_points():
    points = metadata.distribution("napari-emcad").entry_points
    (manifest,) = points.select(group="napari.manifest")
    assert manifest.value == "napari_emcad:napari.yaml"
    (script,) = points.select(group="console_scripts")
    assert script.load() is importlib.import_module("napari_emcad.cli").main


def test_the_distribution_does_not_require_napari_itself():
    required = metadata.requires("napari-emcad") or []
    plain = [requirement for requirement in required if "extra ==" not in requirement]
    assert not [
        requirement
        for requirement in plain
        if requirement.startswith(("napari", "pyqt", "PyQt", "PySide"))
    ]


@pytest.fixture(scope="module")
def manifest() -> npe2.PluginManifest:
    return npe2.PluginManifest.from_distribution("napari-emcad")


def test_every_command_of_the_manifest_can_be_imported(manifest):
    pytest.importorskip("napari")
    pytest.importorskip("qtpy")
    manifest.validate_imports()


def test_npe2_validates_the_manifest():
    pytest.importorskip("napari")
    command = [sys.executable, "-m", "npe2", "validate", "napari_emcad", "--imports"]
    process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert process.returncode == 0, process.stdout + process.stderr


def test_the_panel_is_a_widget_and_in_the_layers_segment_menu(manifest):
    contributions = manifest.contributions
    (widget,) = contributions.widgets
    (item,) = contributions.menus["napari/layers/segment"]
    assert item.command == widget.command == "napari-emcad.panel"
    commands = [command.id for command in contributions.commands]
    assert len(set(commands)) == len(commands)
    assert {widget.command, *(sample.command for sample in contributions.sample_data)} <= set(
        commands
    )


def test_the_readers_accept_checkpoints_and_what_napari_cannot_open(manifest):
    reader, images = manifest.contributions.readers
    assert {"*.nii.gz", "*.dcm", "*.nrrd", "*.mha", "*.h5"} <= set(images.filename_patterns)
    assert not {"*", "*.tif", "*.png"} & set(images.filename_patterns)
    assert images.accepts_directories
    assert sorted(reader.filename_patterns) == ["*.pt", "*.pth", "*.safetensors"]
    assert not reader.accepts_directories


def test_the_settings_of_the_manifest_agree_with_the_settings_of_a_job(manifest):
    settings = napari_emcad.InferenceSettings()
    inference = dict(manifest.contributions.configurations)["inference"]
    for name, setting in inference.properties.items():
        assert setting.default == getattr(settings, name), name


def test_layers_import_only_lower_layers():
    checker = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if checker is None or not (ROOT / "pyproject.toml").is_file():
        pytest.skip("import-linter is not installed")
    command = [checker, "--no-cache", "--config", str(ROOT / "pyproject.toml")]
    process = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert process.returncode == 0, process.stdout + process.stderr
