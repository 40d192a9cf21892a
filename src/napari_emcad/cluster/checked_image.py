"""An image whose unreadable parts are named."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_emcad.io.images.opened_image import ImageFileError, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator


class CheckedImage:
    """An array that raises `ImageFileError` where its file cannot be read.

    Decoders raise errors of any type for damaged files.

    Parameters
    ----------
    array
        Pixels, perhaps lazy.
    name
        Name of the file for messages.
    """

    def __init__(self, array: Any, name: str) -> None:
        self._array, self._name = array, name
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype = np.dtype(array.dtype)
        self.ndim = len(self.shape)

    def __getitem__(self, where: tuple[int | slice, ...]) -> Any:
        """Return a part.

        Raises
        ------
        ImageFileError
            If it cannot be read; the message names the chunk.
        """
        try:
            return np.asarray(self._array[where])
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  (decoders raise errors of any type)
            raise ImageFileError(
                f"{self._name} is damaged in {self._broken(where)} ({first_line(error)}); copy the "
                f"file again."
            ) from None

    def _broken(self, where: tuple[int | slice, ...]) -> str:
        """Return the name of the first chunk, or of the part, that cannot be read."""
        for chunk, inside in self._chunks(where):
            try:
                self._array[inside]
            except Exception:  # noqa: BLE001
                return f"the chunk {'/'.join(map(str, chunk))}"
        return f"the part [{', '.join(map(_text, where))}]"

    def _chunks(
        self, where: tuple[int | slice, ...]
    ) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
        """Yield the numbers of the chunks of a part, and their pixels; none of other arrays."""
        sizes = getattr(self._array, "chunks", None)
        if sizes is None or not all(isinstance(size, int) for size in sizes):
            return
        ranges = []
        for at, length, size in zip(where, self.shape, sizes, strict=True):
            first, stop, _ = at.indices(length) if isinstance(at, slice) else (at, at + 1, 1)
            ranges.append(range(first // size, -(-stop // size)))
        for chunk in product(*ranges):
            pairs = zip(chunk, sizes, strict=True)
            yield chunk, tuple(slice(n * size, (n + 1) * size) for n, size in pairs)


def _text(at: int | slice) -> str:
    return f"{at.start}:{at.stop}" if isinstance(at, slice) else str(at)
