"""A segmentation as a command line, and as Python."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from napari_emcad.imaging.regions import CleanUp
from napari_emcad.inference.events import InferenceSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NOT_COPIED = ("draft", "logits", "clean_up")
"""Settings that only the window uses, or that have options of their own."""


@dataclass(frozen=True, slots=True)
class SegmentCall:
    """What the window would segment.

    Attributes
    ----------
    image
        Path of the image file.
    model
        Path of the checkpoint; "" for the bundled one.
    overrides
        Details of the checkpoint that were filled in, as for `Checkpoint.override`.
    axes
        A letter per axis of the image.
    channels
        Channel for every input; None for the default.
    level
        Number of the resolution; 0 is the finest.
    settings
        Settings of the inference.
    """

    image: str
    model: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    axes: str = ""
    channels: tuple[int | None, ...] | None = None
    level: int = 0
    settings: InferenceSettings = field(default_factory=InferenceSettings)


def command_line(call: SegmentCall) -> str:
    """Return the call of ``napari-emcad segment`` for a POSIX shell."""
    words = ["napari-emcad", "segment", call.image]
    if call.model:
        words += ["--checkpoint", call.model]
    for name, value in call.overrides.items():
        words += ["--set", f"{name}={_as_setting(value)}"]
    if call.axes:
        words += ["--axes", call.axes]
    if call.channels is not None:
        words += ["--channels", ",".join("none" if c is None else str(c) for c in call.channels)]
    if call.level:
        words += ["--level", str(call.level)]
    for name, value in _changed(call.settings):
        flag = f"--{name.replace('_', '-')}"
        words += [flag] if value is True else [flag, str(value)]
    return shlex.join(words)


def python_code(call: SegmentCall) -> str:
    """Return a script that computes the same labels."""
    lines = ["import napari_emcad", "from napari_emcad.io.images.read import read_image"]
    options = dict(_changed(call.settings))
    clean_up = {f.name: options.pop(f.name) for f in fields(CleanUp) if f.name in options}
    opened = "napari_emcad.bundled_checkpoint()"
    if call.model:
        opened = f"napari_emcad.read_checkpoint({call.model!r})"
    if call.overrides:
        opened += f".override({_arguments(call.overrides)})"
    reading = ""
    if call.level:
        lines.append("from napari_emcad.io.images.read_options import ReadOptions")
        reading = f", ReadOptions(level={call.level})"
    lines.insert(0, "from pathlib import Path\n")
    arguments: dict[str, Any] = {"axes": call.axes} if call.axes else {}
    if call.channels is not None:
        arguments["channels"] = call.channels
    text = _arguments(arguments | options)
    if clean_up:
        extra = f"clean_up=napari_emcad.CleanUp({_arguments(clean_up)})"
        text = f"{text}, {extra}" if text else extra
    lines += [
        "",
        f"checkpoint = {opened}",
        f"image = read_image(Path({call.image!r}){reading}).pixels",
        f"result = napari_emcad.segment(image, checkpoint{', ' * bool(text)}{text})",
        "print(result.labels.shape, result.labels.max())",
    ]
    return "\n".join(lines) + "\n"


def _changed(settings: InferenceSettings) -> Iterator[tuple[str, Any]]:
    """Yield the settings that are not the defaults, those of the clean-up as well."""
    for values, defaults in (
        (settings, InferenceSettings()),
        (settings.clean_up, CleanUp()),
    ):
        for one in fields(values):
            value = getattr(values, one.name)
            if one.name not in _NOT_COPIED and value != getattr(defaults, one.name):
                yield one.name, value


def _arguments(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())


def _as_setting(value: Any) -> str:
    """Return a value as ``--set`` reads it: as JSON, or a text as it is."""
    return value if isinstance(value, str) else json.dumps(value)
