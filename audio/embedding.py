"""Speech as a row of points: every 80 ms, the last 0.775 s of sound as 96 numbers.

Google's speech embedding (Apache-2.0, as pyopen-wakeword ships it): what sounds alike lies in one direction,
whoever speaks. `audio.wake_match` compares rows of them; nothing that was said can be made from them again.
"""

from __future__ import annotations

import array
import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from audio.errors import AudioError
from audio.tflite import TfLiteModel, load_library

PACKAGE: Final = "pyopen_wakeword"
EXTRA: Final = "story-agent[wake]"
RATE: Final = 16000
STEP_SAMPLES: Final = 1280
STEP_BYTES: Final = STEP_SAMPLES * 2
STEP_SECONDS: Final = STEP_SAMPLES / RATE
SIZE: Final = 96
"""Numbers in a point."""
WINDOW_SECONDS: Final = 0.775
"""How much sound a point tells of."""

# One step of 80 ms is eight rows of 32 mel bands; they need the 30 ms before it as well.
_MEL_SAMPLES: Final = STEP_SAMPLES + 480
_BANDS, _ROWS, _STEP_ROWS = 32, 76, 8

Point = tuple[float, ...]
"""`SIZE` numbers, of length 1."""


class Embedder:
    """Sound in, points out; `close` it. It keeps 1 s of sound in memory."""

    def __init__(self, folder: Path) -> None:
        """Load library and models from the package's ``folder``; raises AudioError."""
        library = load_library(_library(folder))
        models = folder / "models"
        self._mel = TfLiteModel(library, models / "melspectrogram.tflite", (1, _MEL_SAMPLES))
        self._embed = TfLiteModel(library, models / "embedding_model.tflite", (1, _ROWS, _BANDS, 1))
        self.reset()

    def reset(self) -> None:
        """Forget what was heard; what comes next begins after silence."""
        self._samples = array.array("h", bytes((_MEL_SAMPLES - STEP_SAMPLES) * 2))
        # Rows of the model's silence: a point needs 76, and a word is not to wait for them.
        self._rows = array.array("f", bytes(_ROWS * _BANDS * 4))
        self.skip(bytes(STEP_BYTES * (_ROWS // _STEP_ROWS + 1)))

    def add(self, sound: bytes) -> list[Point]:
        """Return the points that these samples complete (16,000 a second, signed 16 bit)."""
        self._samples.frombytes(sound)
        points = []
        while len(self._samples) >= _MEL_SAMPLES:
            self._hear()
            points.append(unit(self._embed.run(self._rows)))
        return points

    def skip(self, sound: bytes) -> None:
        """Take samples without computing their points, which is most of the work; later ones know of them."""
        self._samples.frombytes(sound)
        while len(self._samples) >= _MEL_SAMPLES:
            self._hear()

    def _hear(self) -> None:
        heard = self._mel.run(array.array("f", self._samples[:_MEL_SAMPLES]))
        del self._samples[:STEP_SAMPLES]
        # The scale that the embedding was trained with.
        self._rows.extend(array.array("f", (value / 10 + 2 for value in heard)))
        del self._rows[: len(self._rows) - _ROWS * _BANDS]

    def close(self) -> None:
        """Give the models' memory back."""
        self._mel.close()
        self._embed.close()


@dataclass(frozen=True, slots=True)
class Missing:
    """Why there are no points on this machine."""

    reason: str


def find_models() -> Path | Missing:
    """Return the folder of the extra's package, without importing it, or why there is none."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return Missing(
            f"{PACKAGE} is not installed: pip install -c tools/constraints.txt '{EXTRA}'"
        )
    return Path(spec.origin).parent


def _library(folder: Path) -> Path:
    found = sorted((folder / "lib").glob("*tensorflowlite_c.*"))
    if not found:
        raise AudioError(f"{folder / 'lib'}: expected TensorFlow Lite's C library")
    return found[0]


def unit(values: array.array[float]) -> Point:
    """Return values scaled to length 1, so that a product is the cosine between two points."""
    length = math.sqrt(sum(value * value for value in values)) or 1.0
    return tuple(value / length for value in values)
