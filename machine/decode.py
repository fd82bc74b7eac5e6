"""What a file sounds like, faster than real time: mpv decodes it to samples, and nothing is heard."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from audio.vad import RATE
from machine.errors import UnavailableError
from machine.mpv_options import FORMATS, build_environment

PIECE_BYTES = 64 * 1024


def decode(path: Path) -> Iterator[bytes]:
    """Yield the samples of a recording: 16,000 a second, mono, signed 16 bit; a file that is none yields nothing.

    Raises:
        UnavailableError: mpv is not installed or cannot be started.
    """
    program = shutil.which("mpv")
    if program is None:
        raise UnavailableError("mpv: not installed, so stories cannot be decoded")
    try:
        process = subprocess.Popen(  # noqa: S603  # a fixed program and options; a path after --
            decode_command(program, path), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=build_environment(os.environ),
        )  # fmt: skip
    except OSError as error:
        raise UnavailableError(f"mpv: cannot be started: {error.strerror}") from error
    with process:
        try:
            while process.stdout is not None and (piece := process.stdout.read(PIECE_BYTES)):
                yield piece
        finally:
            process.kill()


def decode_command(program: str, path: Path) -> list[str]:
    """Return mpv's command: one recording, no other file or address that it names."""
    options = (
        "no-config", "no-terminal", "no-video", "no-ytdl", "no-load-scripts", "untimed", "ao=pcm",
        "ao-pcm-file=/dev/stdout", "ao-pcm-waveheader=no", f"audio-samplerate={RATE}", "audio-channels=mono",
        "audio-format=s16", "demuxer=lavf", f"demuxer-lavf-o=format_whitelist=[{','.join(FORMATS)}]",
        "load-unsafe-playlists=no", "access-references=no", "autoload-files=no",
    )  # fmt: skip
    return [program, *(f"--{option}" for option in options), "--", str(path)]
