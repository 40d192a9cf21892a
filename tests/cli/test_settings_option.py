"""Options of commands from a TOML file."""

import numpy as np
import pytest
import tifffile

from napari_emcad.cli import _parser, main
from napari_emcad.cli.settings_option import with_settings
from napari_emcad.io.settings_file import read_settings, write_settings
from napari_emcad.pipelines.as_code import segment_option_names


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a file of settings and returns its path."""

    def write(text):
        path = tmp_path / "settings.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def parsed(path, *words, command="segment"):
    """Return what the command gets from its arguments with a file of settings."""
    arguments = [command, *words, "--settings", str(path)]
    args = _parser().parse_args(arguments)
    return _parser().parse_args(with_settings(arguments, args))


def refusal(capsys, path):
    """Return the message of a command that refuses its file of settings."""
    assert main(["segment", "a.tif", "--settings", str(path)]) == 2
    return capsys.readouterr().err


def test_options_are_those_of_the_command_line(written):
    path = written(
        '[segment]\naxes = "ZYX"\nchannels = [2, "none", 0]\ntile = 256\noverlap = 0.5\n'
        "full-precision = true\nstretch = false\nthreshold = 0.25\n"
        '[segment.set]\nlow = -125\nintensity = "window"\nclasses = ["a", "b"]\n'
    )
    words = ["--axes", "ZYX", "--channels", "2,none,0", "--tile", "256", "--overlap", "0.5"]
    words += ["--full-precision", "--threshold", "0.25", "--set", "low=-125"]
    words += ["--set", "intensity=window", "--set", 'classes=["a", "b"]']
    typed = _parser().parse_args(["segment", "a.tif", *words, "--settings", str(path)])
    assert parsed(path, "a.tif") == typed


def test_options_that_are_typed_count_more(written):
    path = written("[segment]\ntile = 256\n[segment.set]\nlow = 1\nhigh = 2\n")
    args = parsed(path, "a.tif", "--tile", "128", "--set", "low=5")
    assert args.tile == 128
    assert dict(args.set) == {"low": 5, "high": 2}


def test_a_checkpoint_is_relative_to_the_file(written):
    path = written('[segment]\ncheckpoint = "models/a.safetensors"\n')
    assert parsed(path, "a.tif").checkpoint == path.parent / "models" / "a.safetensors"
    absolute = str(path.parent / "b.pth").replace("\\", "/")
    path = written(f'[segment]\ncheckpoint = "{absolute}"\n')
    assert parsed(path, "a.tif").checkpoint == path.parent / "b.pth"


def test_every_command_reads_its_own_table(written):
    path = written("[segment]\ntile = 64\n[train]\npreset = 'paper-ct'\nset = { epochs = 3 }\n")
    args = parsed(path, "data", "--output", "run", command="train")
    assert (args.preset, args.set) == ("paper-ct", [("epochs", 3)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[segment]\ntyle = 3\n", "segment has no option tyle (did you mean tile?)."),
        (
            "[segment]\nmodel = 'a.pth'\nformt = 'tif'\n",
            "segment has no options model, formt (did you mean format?).",
        ),
        ("[segment]\nrun = 3\n", "segment has no option run"),
        ("[segment]\nsettings = 'a.toml'\n", "segment has no option settings"),
        ("[segment]\ntile = true\n", "tile is true, but it takes a value."),
        ("[segment]\ntile = 2020-01-01\n", "tile must be a text, a number"),
        ("[segment]\nset = { a = [2020-01-01] }\n", "set must be a text, a number"),
        ("[segment\n", "is not a TOML file"),
        ("tile = 3\n", "follow a line [segment]."),
        ("[train]\nepochs = 3\n", "follow a line [segment] (there is [train])."),
        ("[segment]\noverlap = 7\n", "The overlap is 7.0; it must lie between 0 and 0.9."),
        ("segment = 3\n", "follow a line [segment]."),
    ],
)
def test_bad_files_are_refused_in_a_sentence(written, capsys, text, message):
    err = refusal(capsys, written(text))
    assert message in err
    assert "Traceback" not in err


def test_the_window_knows_the_options_of_the_command_line():
    words = vars(_parser().parse_args(["segment", "a.tif"]))
    options = {name.replace("_", "-") for name in words} - {"images", "run", "settings"}
    assert segment_option_names() == options


def test_values_of_another_type_are_refused_by_the_parser(written, capsys):
    with pytest.raises(SystemExit):
        refusal(capsys, written("[segment]\ntile = 'wide'\n"))
    assert "--tile: invalid int value: 'wide'" in capsys.readouterr().err


def test_files_that_cannot_be_read(tmp_path, capsys):
    assert "none.toml" in refusal(capsys, tmp_path / "none.toml")
    path = tmp_path / "bytes.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert "is not a TOML file" in refusal(capsys, path)
    path.write_bytes(b"#" * 1_000_001)
    assert "too large" in refusal(capsys, path)


def test_what_is_written_is_read(tmp_path):
    options = {"tile": 64, "axes": "YX", "stretch": True, "set": {"classes": ["a ü", 'b"c']}}
    write_settings(tmp_path / "a.toml", "segment", options)
    assert read_settings(tmp_path / "a.toml", "segment") == options
    assert list(tmp_path.iterdir()) == [tmp_path / "a.toml"]


@pytest.mark.usefixtures("tiny_bundled")
def test_labels_are_those_of_the_typed_options(written, tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (80, 90), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image)
    path = written("[segment]\nthreshold = 0.3\nsmallest-object = 9\nseparate = true\n")
    calls = {
        "file.tif": ["--settings", str(path)],
        "typed.tif": ["--threshold", "0.3", "--smallest-object", "9", "--separate"],
    }
    for name, words in calls.items():
        out = ["--output", str(tmp_path / name)]
        assert main(["segment", str(tmp_path / "a.tif"), *words, *out]) == 0
    labels = [tifffile.imread(tmp_path / name) for name in calls]
    np.testing.assert_array_equal(*labels)


def test_the_help_names_the_table(capsys):
    with pytest.raises(SystemExit):
        main(["stages", "--help"])
    assert "[stages]" in capsys.readouterr().out
