"""Floor 5: the same verbs from a terminal."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from napari_emcad import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from napari_emcad.evaluation import ImageScore
    from napari_emcad.inference.events import Event
    from napari_emcad.io.checkpoint import Checkpoint
    from napari_emcad.jobs import Segmentation

P = ParamSpec("P")
T = TypeVar("T")

_OPTIONS = (
    "channels",
    "device",
    "tile",
    "overlap",
    "batch",
    "threshold",
    "stretch",
    "full_precision",
)
_OUTPUT_KINDS = (".tif", ".tiff", ".png", ".npy")


class Mistake(Exception):
    """Something the user asked for cannot be; the message says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line.

    Parameters
    ----------
    arguments
        What follows the program's name; None takes those of the process.

    Returns
    -------
    int
        0 if all went well, 2 for a user's mistake, 1 for another failure, 130 if interrupted.
    """
    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.run(chosen) or 0)
    except Mistake as mistake:
        _say(f"napari-emcad: {mistake}")
        return 2
    except MemoryError as error:
        _say(f"napari-emcad: {str(error) or 'memory ran out'}")
        return 1
    except KeyboardInterrupt:
        _say("napari-emcad: interrupted; files that were complete stay.")
        return 130
    except BrokenPipeError:  # whoever read our output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


# -- the verbs


def _info(chosen: argparse.Namespace) -> None:
    from napari_emcad.io.card import card, description, remarks

    checkpoint = _opened(chosen.checkpoint, chosen.set)
    if chosen.json:
        _print_json(description(checkpoint))
        return
    print(checkpoint.title)
    for caption, value in card(checkpoint):
        for row, line in enumerate(value.splitlines()):
            print(f"  {caption if row == 0 else '':<12}{line}")
    for text in filter(None, (checkpoint.description, remarks(checkpoint))):
        print(f"\n{text}")


def _segment(chosen: argparse.Namespace) -> int:
    checkpoint = _opened(chosen.checkpoint, chosen.set)
    targets = _targets(chosen.images, chosen.output)
    failed = 0
    for image, target in targets:
        try:
            result = _segment_file(image, checkpoint, chosen)
            _write_result(result, target)
        except Mistake as mistake:
            _say(f"napari-emcad: {mistake}")
            failed += 1
        else:
            print(target)
    if failed and len(targets) > 1:
        _say(f"napari-emcad: {failed} of {len(targets)} images were not segmented.")
    return 2 if failed else 0


def _evaluate(chosen: argparse.Namespace) -> None:
    from napari_emcad.evaluation import evaluate
    from napari_emcad.io.images import paired

    checkpoint = _opened(chosen.checkpoint, chosen.set)
    pairs = _or_mistake(paired, chosen.images, chosen.labels)
    scores: list[ImageScore] = []
    running = evaluate(pairs, checkpoint, axes=chosen.axes, **_options(chosen))
    for number in range(1, len(pairs) + 1):
        scores.append(_or_mistake(next, running))
        _tick(f"{number} of {len(pairs)} images", last=number == len(pairs))
    if chosen.json:
        _print_json(_report(scores, checkpoint))
    else:
        _print_table(scores, checkpoint)


def _convert(chosen: argparse.Namespace) -> None:
    from napari_emcad.io.checkpoint import write_checkpoint

    checkpoint = _opened(chosen.input, chosen.set)
    _or_mistake(write_checkpoint, checkpoint, chosen.output, chosen.half)
    print(chosen.output)


def _demo(chosen: argparse.Namespace) -> None:
    from importlib.resources import as_file, files

    from napari_emcad.io.images import read_image, write_array

    checkpoint = _opened(None, [])
    with as_file(files("napari_emcad") / "assets" / "nuclei_dark.png") as path:
        image = read_image(path).pixels
        result = _segment_file(path, checkpoint, _parser().parse_args(["segment", str(path)]))
    labels, picture = (
        chosen.output / f"nuclei_dark_{end}" for end in ("labels.tif", "overlay.png")
    )
    drawn = _overlay(image, result)
    _or_mistake(write_array, chosen.output / "nuclei_dark.png", image, "YX")
    _or_mistake(write_array, labels, result.labels, result.axes)
    _or_mistake(write_array, picture, drawn, "YXC")
    share = (result.labels > 0).mean()
    print(f"{checkpoint.title}: {share:.1%} of the pixels are nuclei.\n{labels}\n{picture}")
    if chosen.window and _has_screen():
        _open_window(image, result)


# -- pieces of them


def _opened(path: Path | None, settings: Iterable[tuple[str, Any]]) -> Checkpoint:
    from napari_emcad.io.checkpoint import bundled_checkpoint, read_checkpoint

    if path is not None:
        return _or_mistake(read_checkpoint, path, **dict(settings))
    return _or_mistake(bundled_checkpoint().override, **dict(settings))


def _or_mistake(work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    """Return what `work` returns; what it refuses is the user's mistake."""
    try:
        return work(*given, **named)
    except (ValueError, TypeError, OSError) as error:
        raise Mistake(str(error)) from error


def _targets(images: Sequence[Path], output: Path) -> list[tuple[Path, Path]]:
    """Return where each image's labels go."""
    if output.suffix.lower() in _OUTPUT_KINDS and not output.is_dir():
        if len(images) > 1:
            raise Mistake(f"{output} is one file for {len(images)} images; give a folder.")
        return _checked([(images[0], output)])
    names = [each.stem for each in images]
    targets = [
        (each, output / f"{each.stem if names.count(each.stem) == 1 else each.name}_labels.tif")
        for each in images
    ]
    return _checked(targets)


def _checked(targets: list[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    for image, target in targets:
        if image.resolve() == target.resolve():
            raise Mistake(f"{target} is the image itself; choose another output.")
    if len({target for _, target in targets}) < len(targets):
        raise Mistake("Two images have the same name; segment them into different folders.")
    return targets


def _segment_file(image: Path, checkpoint: Checkpoint, chosen: argparse.Namespace) -> Segmentation:
    from napari_emcad.io.images import ImageFileError, read_image
    from napari_emcad.jobs import segment

    try:
        opened = read_image(image)
        return segment(
            opened.pixels,
            checkpoint,
            chosen.axes or opened.axes,
            on_event=_teller(image.name),
            probabilities=chosen.probabilities,
            **_options(chosen),
        )
    except ImageFileError as error:
        raise Mistake(str(error)) from None
    except (ValueError, TypeError) as error:
        raise Mistake(f"{image.name}: {error}") from error


def _write_result(result: Segmentation, target: Path) -> None:
    from napari_emcad.io.images import write_array

    _or_mistake(write_array, target, result.labels, result.axes)
    if result.probabilities is not None:
        name = target.stem.removesuffix("_labels") + "_probabilities.tif"
        _or_mistake(write_array, target.with_name(name), result.probabilities, f"C{result.axes}")


def _options(chosen: argparse.Namespace) -> dict[str, Any]:
    """Return what `segment` takes as options."""
    from napari_emcad.imaging.regions import CleanUp

    said = vars(chosen)
    clean_up = {each.name: said[each.name] for each in fields(CleanUp) if each.name in said}
    options = {name: said[name] for name in _OPTIONS}
    return options | {"clean_up": _or_mistake(CleanUp, **clean_up)}


def _teller(name: str) -> Callable[[Event], None]:
    from napari_emcad.inference.events import Notice, Progress

    def tell(event: Event) -> None:
        if isinstance(event, Progress):
            _tick(f"{name}: {event.done} of {event.total}", last=event.done == event.total)
        elif isinstance(event, Notice):
            _say(event.text)

    return tell


def _overlay(image: Any, result: Segmentation) -> Any:
    from napari_emcad.imaging.overlay import overlay

    return overlay(image[None], result.labels, [each.colour for each in result.classes])


def _report(scores: list[ImageScore], checkpoint: Checkpoint) -> dict[str, Any]:
    from napari_emcad.evaluation import METRICS, mean_over_images, pooled

    names = {k: each.name for k, each in enumerate(checkpoint.classes, start=1)}
    counted = pooled(scores)
    return {
        "checkpoint": checkpoint.origin.path,
        "sha256": checkpoint.origin.sha256,
        "images": [{"name": s.name} | {m: s.mean(m) for m in METRICS} for s in scores],
        "mean": {m: mean_over_images(scores, m) for m in METRICS},
        "pooled": {names[k]: {m: getattr(counted[k], m) for m in METRICS} for k in names},
    }


def _print_table(scores: list[ImageScore], checkpoint: Checkpoint) -> None:
    from napari_emcad.evaluation import METRICS

    report = _report(scores, checkpoint)
    rows = [(each["name"], each) for each in report["images"]]
    rows += [(f"mean of {len(scores)} images", report["mean"])]
    rows += [(f"all pixels, {name}", each) for name, each in report["pooled"].items()]
    width = max(len(name) for name, _ in rows)
    print(f"{'':<{width}}  {'Dice':>9}  {'IoU':>9}  {'precision':>9}  {'recall':>9}")
    for name, each in rows:
        print(f"{name:<{width}}" + "".join(f"  {each[metric]:>9.4f}" for metric in METRICS))


def _print_json(content: Any) -> None:
    print(json.dumps(content, indent=2))


def _has_screen() -> bool:
    """Whether a window can be opened here, as far as can be told without trying."""
    screen = sys.platform in ("win32", "darwin") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    return screen and importlib.util.find_spec("napari") is not None


def _open_window(image: Any, result: Segmentation) -> None:
    import napari

    from napari_emcad.model import torch_stack  # noqa: F401  (before the first canvas)

    viewer = napari.Viewer()
    viewer.add_image(image, name="nuclei_dark")
    viewer.window.add_plugin_dock_widget("napari-emcad", "EMCAD")
    viewer.add_labels(result.labels, name="nuclei_dark segmentation")
    napari.run()


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _tick(text: str, last: bool) -> None:
    """Show progress: on a terminal in one line, else only the end."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="\n" if last else "", file=sys.stderr, flush=True)
    elif last:
        _say(text)


# -- the parser


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="napari-emcad", description="Segment images with PVT-EMCAD networks."
    )
    parser.add_argument("--version", action="version", version=f"napari-emcad {__version__}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    info = verbs.add_parser("info", help="say what a checkpoint is")
    info.add_argument("checkpoint", type=Path, nargs="?", help="default: the bundled one")
    info.add_argument("--json", action="store_true", help="as one JSON object")
    _add_set(info)
    info.set_defaults(run=_info)

    segment = verbs.add_parser("segment", help="segment images into label files")
    segment.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    segment.add_argument(
        "--output",
        type=Path,
        default=Path(),
        help="a folder (IMAGE_labels.tif is written there), or for one image a .tif, .png or .npy",
    )
    segment.add_argument(
        "--probabilities", action="store_true", help="write IMAGE_probabilities.tif as well"
    )
    _add_computing(segment)
    segment.add_argument("--separate", action="store_true", help="give each object its own number")
    segment.add_argument("--neck", type=int, default=5, help="pixels between centres (5)")
    segment.set_defaults(run=_segment)

    evaluate = verbs.add_parser("evaluate", help="score a checkpoint on labelled images")
    evaluate.add_argument("--images", type=Path, required=True, metavar="DIR")
    evaluate.add_argument(
        "--labels", type=Path, required=True, metavar="DIR", help="files of the images' names"
    )
    evaluate.add_argument("--json", action="store_true", help="as one JSON object")
    _add_computing(evaluate)
    evaluate.set_defaults(run=_evaluate)

    convert = verbs.add_parser("convert", help="published to native format and back")
    convert.add_argument("input", type=Path, metavar="IN")
    convert.add_argument("output", type=Path, metavar="OUT", help=".safetensors or .pth")
    convert.add_argument("--half", action="store_true", help="store weights as float16")
    _add_set(convert)
    convert.set_defaults(run=_convert)

    demo = verbs.add_parser("demo", help="segment an included image and show it")
    demo.add_argument("--output", type=Path, default=Path("napari-emcad-demo"), metavar="DIR")
    demo.add_argument(
        "--no-window", dest="window", action="store_false", help="do not open napari afterwards"
    )
    demo.set_defaults(run=_demo)
    return parser


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what the file does not say: activation=relu, dw_parallel=false, head=sum, size=352 …",
    )


def _add_computing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", type=Path, help="default: the bundled one")
    _add_set(parser)
    parser.add_argument("--axes", help="a letter per axis, such as ZYX or CYX; default: guessed")
    parser.add_argument(
        "--channels",
        type=_channels,
        help="the channel for each input, such as 2,0,1; - leaves an input empty",
    )
    parser.add_argument("--device", default="auto", choices=("auto", "cuda", "mps", "cpu"))
    parser.add_argument("--tile", type=int, default=512, help="side in pixels (512)")
    parser.add_argument("--overlap", type=float, default=0.25, help="share of a tile (0.25)")
    parser.add_argument("--batch", type=int, help="tiles at once; default: by the device")
    parser.add_argument("--threshold", type=float, default=0.5, help="of a binary network (0.5)")
    parser.add_argument(
        "--stretch", action="store_true", help="stretch probabilities to 0 … 1 as published"
    )
    parser.add_argument("--full-precision", action="store_true", help="float32 on GPUs too")
    parser.add_argument("--fill-holes", type=int, default=0, help="of up to so many pixels")
    parser.add_argument("--smallest-object", type=int, default=0, help="drop areas below")
    parser.add_argument("--largest-component", action="store_true", help="keep one area per class")


def _setting(text: str) -> tuple[str, Any]:
    name, found, value = text.partition("=")
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = value
    return name.strip(), tuple(parsed) if isinstance(parsed, list) else parsed


def _channels(text: str) -> tuple[int | None, ...]:
    try:
        return tuple(None if each.strip() == "-" else int(each) for each in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list such as 2,0,1") from None


if __name__ == "__main__":
    sys.exit(main())
