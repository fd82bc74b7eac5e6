"""The loudness of a recording (EBU R 128, ITU-R BS.1770), measured by an mpv that plays to nobody.

It is libavfilter's ebur128 in a process of its own, as the player's: what decodes strangers' bytes must
not be the agent. Cancelled, it ends at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from machine.errors import RefusedError, UnavailableError
from machine.mpv_host import UNIT_SOCKET
from machine.mpv_options import NO_DEVICE
from machine.mpv_process import MpvError, MpvProcess
from wire.records import dataclass

# An hour's story takes a minute on a PC, and perhaps twenty on a Pi Zero.
MEASURE_SECONDS = 3600.0
POLL_SECONDS = 0.2
# The lowest of nice(1): whatever else wants to run comes first.
NICE = 19
# Which mpv plays nothing that could be heard, as fast as it can, and stays at the end, where the
# filter's result is read.
_PROPERTIES: Mapping[str, object] = {
    "ao": NO_DEVICE,
    "options/ao-null-untimed": True,
    "keep-open": True,
    "pause": False,
    "af": "@r128:lavfi=[ebur128=metadata=1:peak=true]",
}
_RESULT = "af-metadata/r128"


@dataclass(frozen=True, slots=True)
class Measured:
    """The loudness of a whole recording.

    Attributes:
        lufs: its integrated loudness in LUFS; -70 and below is silence.
        peak: its true peak in dB of full scale (dBTP), minus infinity for silence.
    """

    lufs: float
    peak: float


async def measure(source: str, program: Sequence[str], unit: Path = UNIT_SOCKET) -> Measured:
    """Measure the file ``source``; ``program`` is that of `machine.player.find_program`.

    Raises:
        RefusedError: it cannot be decoded to its end.
        UnavailableError: mpv cannot be started, died, or took too long.
    """
    mpv = await MpvProcess.start(program, unit)
    try:
        if mpv.pid is not None:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, mpv.pid, NICE)
        async with asyncio.timeout(MEASURE_SECONDS):
            return await _measure(mpv, source)
    except TimeoutError as error:
        raise UnavailableError(f"loudness: not measured in {MEASURE_SECONDS:g} s") from error
    except MpvError as error:
        raise RefusedError(f"loudness: {error}") from error
    finally:
        await mpv.close()


async def _measure(mpv: MpvProcess, source: str) -> Measured:
    for name, value in _PROPERTIES.items():
        await mpv.request("set_property", name, value)
    await mpv.request(name="loadfile", url=source, flags="replace")
    while await mpv.ask("eof-reached") is not True:
        while not mpv.events.empty():
            event = mpv.events.get_nowait()
            if event["event"] == "end-file":
                raise RefusedError(f"loudness: {event.get('file_error') or 'it holds no sound'}")
        await asyncio.sleep(POLL_SECONDS)
    return parse_result(await mpv.ask(_RESULT))


def parse_result(found: object) -> Measured:
    """Return the filter's result, mpv's map of text; raises RefusedError."""
    if not isinstance(found, dict):
        raise RefusedError("loudness: mpv gave no result")
    try:
        lufs = float(found["lavfi.r128.I"])
        peaks = [float(v) for k, v in found.items() if k.startswith("lavfi.r128.true_peaks_ch")]
    except (KeyError, ValueError) as error:
        raise RefusedError(f"loudness: mpv's result cannot be read: {error}") from error
    peak = max(peaks, default=math.nan)
    if math.isnan(lufs) or math.isnan(peak):
        raise RefusedError("loudness: mpv's result is no number")
    return Measured(lufs, 20 * math.log10(peak) if peak > 0 else -math.inf)
