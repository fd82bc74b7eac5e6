"""The recogniser process: reads WAV files from stdin and writes text to stdout, until stdin ends.

``python -m staging.recognition.worker CACHE`` loads the model from CACHE (joining it first) and
writes ``{"ready": seconds}``. A request is a line ``{"bytes": n, "prompt": …}`` and n bytes of WAV;
the answer is a line ``{"text": …, "confidence": …, "silence": …}`` or ``{"error": …}``. It is a
process of its own so that the server can kill it on timeout and free its 300 MB.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from staging.errors import StagingError
from staging.recognition.model import join_model

# The server typically has two cores; more threads gain little for a model this small.
THREADS_MAX = 4
# The server has priority over recognition.
NICENESS = 10
# In bytes. The server limits an utterance to one minute at 16 kHz, which is 1.9 MB.
WAV_LIMIT = 4 * 1024 * 1024


def main(arguments: list[str] | None = None) -> int:
    """Answer requests until stdin ends; returns the exit code."""
    cache = Path((sys.argv[1:] if arguments is None else arguments)[0])
    answers = _private_stdout()
    os.nice(NICENESS)
    started = time.monotonic()
    try:
        model = _load(join_model(cache))
    except (StagingError, ImportError, OSError, RuntimeError, ValueError) as error:
        _answer(answers, {"error": f"the speech model cannot be loaded: {error}"})
        return 1
    _answer(answers, {"ready": round(time.monotonic() - started, 3)})
    while line := sys.stdin.buffer.readline():
        _answer(answers, _serve(model, line))
    return 0


def _private_stdout() -> BinaryIO:
    """Return a stream on stdout for answers only; what libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _load(folder: Path) -> Any:
    # Never download: a missing model is an error.
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Imported here, because it takes most of a second and may be missing.
    from faster_whisper import WhisperModel  # noqa: PLC0415

    threads = min(THREADS_MAX, os.cpu_count() or 1)
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)


def _serve(model: Any, line: bytes) -> dict[str, object]:
    request = json.loads(line)
    size = request["bytes"]
    if not 0 < size <= WAV_LIMIT:
        raise ValueError(f"bytes: got {size}, expected 1 to {WAV_LIMIT}")
    wav = sys.stdin.buffer.read(size)
    try:
        return transcribe(model, wav, request["prompt"])
    except Exception as error:  # noqa: BLE001  # any failure is reported for this utterance only
        return {"error": f"{type(error).__name__}: {error}"}


def transcribe(model: Any, wav: bytes, prompt: str) -> dict[str, object]:
    """Return the text ("" for silence), confidence and silence, as in `recogniser.Transcript`.

    The settings and their reasons are in docs/recognition.md.
    """
    found, _ = model.transcribe(
        io.BytesIO(wav),
        language="zh",
        temperature=0.0,
        beam_size=5,
        initial_prompt=prompt,
        condition_on_previous_text=False,
        without_timestamps=True,
    )
    segments = list(found)
    return {
        "text": "".join(segment.text for segment in segments).strip(),
        "confidence": round(min((s.avg_logprob for s in segments), default=0.0), 3),
        "silence": round(min((s.no_speech_prob for s in segments), default=1.0), 3),
    }


def _answer(answers: BinaryIO, value: dict[str, object]) -> None:
    answers.write(json.dumps(value).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    sys.exit(main())
