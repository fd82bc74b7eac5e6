"""TensorFlow Lite by its C library: one model, floats in, floats out.

The library and the models come with the extra ``[wake]``, whose Python code is not imported: it needs numpy,
which is 20 MB of memory for what two arrays and ctypes do here.
"""

from __future__ import annotations

import array
import ctypes
from collections.abc import Sequence
from ctypes import c_char_p, c_int, c_int32, c_size_t, c_void_p
from pathlib import Path
from typing import Final

from audio.errors import AudioError

FLOAT_BYTES: Final = 4
_OK: Final = 0

# The C API's functions that are used: result, arguments (tensorflow/lite/c/c_api.h).
_FUNCTIONS: Final = {
    "TfLiteModelCreateFromFile": (c_void_p, (c_char_p,)),
    "TfLiteModelDelete": (None, (c_void_p,)),
    "TfLiteInterpreterCreate": (c_void_p, (c_void_p, c_void_p)),
    "TfLiteInterpreterDelete": (None, (c_void_p,)),
    "TfLiteInterpreterResizeInputTensor": (c_int, (c_void_p, c_int32, c_void_p, c_int32)),
    "TfLiteInterpreterAllocateTensors": (c_int, (c_void_p,)),
    "TfLiteInterpreterGetInputTensor": (c_void_p, (c_void_p, c_int32)),
    "TfLiteInterpreterGetOutputTensor": (c_void_p, (c_void_p, c_int32)),
    "TfLiteInterpreterInvoke": (c_int, (c_void_p,)),
    "TfLiteTensorByteSize": (c_size_t, (c_void_p,)),
    "TfLiteTensorCopyFromBuffer": (c_int, (c_void_p, c_void_p, c_size_t)),
    "TfLiteTensorCopyToBuffer": (c_int, (c_void_p, c_void_p, c_size_t)),
}


def load_library(path: Path) -> ctypes.CDLL:
    """Load the C library; raises AudioError if it is none for this machine."""
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise AudioError(f"{path}: cannot be loaded: {error}") from error
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class TfLiteModel:
    """One model with one input and one output of 32-bit floats; `close` it."""

    def __init__(self, library: ctypes.CDLL, path: Path, shape: Sequence[int]) -> None:
        """Load the model ``path`` for inputs of ``shape``; raises AudioError if that cannot be done."""
        self._library = library
        self._model = library.TfLiteModelCreateFromFile(str(path).encode())
        if not self._model:
            raise AudioError(f"{path}: expected a TensorFlow Lite model")
        self._interpreter = library.TfLiteInterpreterCreate(self._model, None)
        dimensions = (c_int32 * len(shape))(*shape)
        self._check(
            library.TfLiteInterpreterResizeInputTensor(
                self._interpreter, 0, dimensions, len(shape)
            ),
            f"{path.name}: takes no input of {tuple(shape)}",
        )
        self._check(
            library.TfLiteInterpreterAllocateTensors(self._interpreter),
            f"{path.name}: no memory for it",
        )
        self._input = library.TfLiteInterpreterGetInputTensor(self._interpreter, 0)
        self._name = path.name

    def run(self, values: array.array[float]) -> array.array[float]:
        """Return the model's output for ``values`` (type code ``f``); raises AudioError."""
        library = self._library
        address, count = values.buffer_info()
        size = count * FLOAT_BYTES
        self._check(
            library.TfLiteTensorCopyFromBuffer(self._input, address, size),
            f"{self._name}: got {count} values, expected those of its shape",
        )
        self._check(library.TfLiteInterpreterInvoke(self._interpreter), f"{self._name}: failed")
        output = library.TfLiteInterpreterGetOutputTensor(self._interpreter, 0)
        result = array.array("f", bytes(library.TfLiteTensorByteSize(output)))
        library.TfLiteTensorCopyToBuffer(output, result.buffer_info()[0], len(result) * FLOAT_BYTES)
        return result

    @staticmethod
    def _check(status: int, text: str) -> None:
        if status != _OK:
            raise AudioError(f"{text} (TensorFlow Lite's status {status})")

    def close(self) -> None:
        """Give its memory back."""
        self._library.TfLiteInterpreterDelete(self._interpreter)
        self._library.TfLiteModelDelete(self._model)
