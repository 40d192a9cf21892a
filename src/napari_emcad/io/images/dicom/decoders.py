"""Decoders of imagecodecs for pydicom: lossless and 12-bit JPEG, and JPEG-LS.

This module has the form that pydicom asks of a plugin: `is_available`, `DECODER_DEPENDENCIES` and a
function that decodes one frame.
"""

from __future__ import annotations

from typing import Any

JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")

DECODER_DEPENDENCIES = dict.fromkeys((JPEG_EXTENDED, *JPEG_LOSSLESS, *JPEG_LS), ("imagecodecs",))

_LABEL = "napari-emcad"


def is_available(uid: str) -> bool:
    """Return whether frames of a transfer syntax can be decoded."""
    import imagecodecs

    return bool(imagecodecs.JPEGLS.available if uid in JPEG_LS else imagecodecs.JPEG8.available)


def register_decoders() -> None:
    """Add the decoders to those of pydicom, behind the ones that it has."""
    from pydicom.pixels import get_decoder

    for uid in DECODER_DEPENDENCIES:
        decoder = get_decoder(uid)
        if _LABEL not in decoder.available_plugins:
            decoder.add_plugin(_LABEL, (__name__, "decode_frame"))


def decode_frame(source: bytes, runner: Any) -> bytearray:
    """Return the samples of one frame, without a conversion of colors.

    Parameters
    ----------
    source
        The packed frame.
    runner
        pydicom's description of the frame, which gets the layout of the samples.
    """
    import imagecodecs

    if str(runner.transfer_syntax) in JPEG_LS:
        samples = imagecodecs.jpegls_decode(source)
    elif runner.samples_per_pixel == 1:
        samples = imagecodecs.jpeg8_decode(source)
    else:
        samples = imagecodecs.jpeg8_decode(source, colorspace="RGB", outcolorspace="RGB")
    expected = (runner.rows, runner.columns)
    if samples.shape[:2] != expected:
        raise ValueError(f"the frame has {samples.shape[:2]} pixels, not {expected}")
    runner.set_option("planar_configuration", 0)
    runner.set_option("bits_allocated", 8 * samples.dtype.itemsize)
    return bytearray(samples.tobytes())
