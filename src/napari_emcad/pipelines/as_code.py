"""A segmentation as options of the command line, as a line for a terminal, and as Python."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from napari_emcad.imaging.regions import CleanUp
from napari_emcad.imaging.validation import as_int
from napari_emcad.inference.events import InferenceSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_COPIED = ("draft", "logits", "clean_up")
"""Settings that only the window uses, or that have options of their own."""

_FOR_FILES = frozenset(
    {"format", "image-key", "link", "link-gap", "measure", "output", "overwrite"}
    | {"scheduler", "series", "slices", "workers"}
)
"""Options of the command line about files, which the window does not use."""

_IN_CALL = frozenset({"checkpoint", "axes", "channels", "level", "set"})
"""Options of a `SegmentCall` that are no settings of the inference."""


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


def segment_option_names() -> frozenset[str]:
    """Return the names of all options that a file of settings for ``segment`` can have."""
    names = [f.name for one in (InferenceSettings, CleanUp) for f in fields(one)]
    return _IN_CALL | _FOR_FILES | {n.replace("_", "-") for n in names if n not in _NOT_COPIED}


def segment_options(call: SegmentCall) -> dict[str, Any]:
    """Return the options of ``napari-emcad segment``, by name without dashes; no defaults.

    The values are those of TOML: texts, numbers, true, lists, and a table ``set`` of details.
    """
    options: dict[str, Any] = {}
    if call.model:
        options["checkpoint"] = call.model
    if call.axes:
        options["axes"] = call.axes
    if call.channels is not None:
        options["channels"] = ["none" if c is None else c for c in call.channels]
    if call.level:
        options["level"] = call.level
    options |= {name.replace("_", "-"): value for name, value in _changed(call.settings)}
    if call.overrides:
        options["set"] = dict(call.overrides)
    return options


def call_from_options(options: Mapping[str, Any]) -> tuple[SegmentCall, list[str]]:
    """Return the call with options as those of `segment_options`, and the names of others.

    Raises
    ------
    ValueError
        If a value is of another type, or out of bounds.
    """
    rest = dict(options)
    model, overrides = str(rest.pop("checkpoint", "")), rest.pop("set", {})
    axes, level = str(rest.pop("axes", "")), as_int("level", rest.pop("level", 0))
    channels = rest.pop("channels", None)
    if not isinstance(overrides, Mapping):
        raise ValueError("set must be a table of details, such as [segment.set].")
    values = {name.replace("-", "_"): value for name, value in rest.items()}
    clean_up = {f.name: values.pop(f.name) for f in fields(CleanUp) if f.name in values}
    known = [f.name for f in fields(InferenceSettings) if f.name not in _NOT_COPIED]
    inference = {name: values.pop(name) for name in known if name in values}
    settings = InferenceSettings(**inference, clean_up=CleanUp(**clean_up))
    call = SegmentCall("", model, overrides, axes, _channels(channels), level, settings)
    return call, [name.replace("_", "-") for name in values]


def _channels(value: Any) -> tuple[int | None, ...] | None:
    """Return channels from a list, or from a text as on the command line."""
    if value is None:
        return None
    parts = value.split(",") if isinstance(value, str) else value
    try:
        return tuple(None if part == "none" else int(part) for part in parts)
    except (TypeError, ValueError):
        raise ValueError(f"channels is {value!r}; it must be a list such as [2, 0, 1].") from None


def option_texts(options: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Yield options, as those of `segment_options`, with their value for a command line.

    The value is None where the option is a flag; flags that are false are left out.
    """
    for name, value in options.items():
        if isinstance(value, Mapping):
            for key, one in value.items():
                yield f"--{name}", f"{key}={_as_setting(one)}"
        elif isinstance(value, list | tuple):
            yield f"--{name}", ",".join(map(str, value))
        elif isinstance(value, bool):
            if value:
                yield f"--{name}", None
        else:
            yield f"--{name}", str(value)


def command_line(call: SegmentCall) -> str:
    """Return the call of ``napari-emcad segment`` for a POSIX shell."""
    words = ["napari-emcad", "segment", call.image]
    for flag, value in option_texts(segment_options(call)):
        words += [flag] if value is None else [flag, value]
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
