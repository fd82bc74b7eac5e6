"""The recogniser process: reads WAV files from stdin and writes what they may be, until stdin ends.

``python -m staging.recognition.worker --check MODULE:FACTORY`` only imports the module, and prints what is
wrong with it. ``python -m staging.recognition.worker CACHE [MODULE:FACTORY]`` loads a model (`hearing.SpeechModel`)
and writes ``{"ready": seconds}``. A request is a line ``{"bytes": n}`` and n bytes of WAV, answered by
``{"hypotheses": [[text, log probability], …], "silence": …}``; or a line ``{"score": [phrase, …]}``
about the last sound, answered by ``{"scores": [… or null]}``. Any failure is ``{"error": …}``. It is a
process of its own so that the server can kill it on timeout and free its 300 MB.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import BinaryIO

from audio.wav import read_wav
from staging.errors import StagingError
from staging.recognition.hearing import CHECK, DEFAULT_MODEL, SpeechModel, find_factory

# The server has priority over recognition.
NICENESS = 10
# In bytes. The server limits an utterance to one minute at 16 kHz, which is 1.9 MB.
WAV_LIMIT = 4 * 1024 * 1024


def main(arguments: list[str] | None = None) -> int:
    """Answer requests until stdin ends; returns the exit code."""
    cache, *named = sys.argv[1:] if arguments is None else arguments
    answers = _private_stdout()
    if cache == CHECK:
        return _check(named[0], answers)
    os.nice(NICENESS)
    started = time.monotonic()
    try:
        model = _load(named[0] if named else DEFAULT_MODEL, Path(cache))
    except Exception as error:  # noqa: BLE001  # whatever a model of others raises
        reason = str(error) or type(error).__name__
        _answer(answers, {"error": f"the speech model cannot be loaded: {reason}"})
        return 1
    _answer(answers, {"ready": round(time.monotonic() - started, 3)})
    while line := sys.stdin.buffer.readline():
        _answer(answers, serve(model, json.loads(line), sys.stdin.buffer))
    return 0


def _check(name: str, answers: BinaryIO) -> int:
    try:
        find_factory(name)
    except StagingError as error:
        answers.write(str(error).encode())
        answers.flush()
        return 1
    return 0


def _load(name: str, cache: Path) -> SpeechModel:
    model = find_factory(name)(cache)
    lacking = [each for each in ("hear", "score") if not callable(getattr(model, each, None))]
    if lacking:
        raise StagingError(
            f"recogniser {name}: {type(model).__name__} has no {' and no '.join(lacking)}"
        )
    return model


def _private_stdout() -> BinaryIO:
    """Return a stream on stdout for answers only; what libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def serve(model: SpeechModel, request: dict[str, object], sounds: BinaryIO) -> dict[str, object]:
    """Answer one request; a sound is read from ``sounds``."""
    phrases = request.get("score")
    size = request.get("bytes")
    # Read before anything can fail: the rest would be taken for the next request.
    wav = sounds.read(size) if isinstance(size, int) and 0 < size <= WAV_LIMIT else None
    try:
        if isinstance(phrases, list):
            scores = model.score([str(phrase) for phrase in phrases])
            return {"scores": None if scores is None else list(scores)}
        if wav is None:
            raise ValueError(f"bytes: got {size}, expected 1 to {WAV_LIMIT}")
        return _heard(model, wav)
    except Exception as error:  # noqa: BLE001  # any failure is reported for this utterance only
        return {"error": f"{type(error).__name__}: {error}"}


def _heard(model: SpeechModel, wav: bytes) -> dict[str, object]:
    hearing = model.hear(read_wav(wav))
    return {
        "hypotheses": [[h.text, h.log_probability] for h in hearing.hypotheses],
        "silence": round(hearing.silence, 3),
    }


def _answer(answers: BinaryIO, value: dict[str, object]) -> None:
    answers.write(json.dumps(value).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    sys.exit(main())
