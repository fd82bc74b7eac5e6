"""The loudness of real files, measured by a real mpv."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

from machine.errors import RefusedError, UnavailableError
from machine.measure import measure, parse_result
from machine.mpv_program import find_program
from tests.machine.parts import processes_of, until, write_sound, write_traps

NO_UNIT = Path("/nonexistent/mpv.sock")


@pytest.mark.parametrize("lufs", [-6.0, -23.0, -40.0])
async def test_a_sine_of_a_known_loudness(lufs: float, tmp_path: Path) -> None:
    """BS.1770: a stereo sine of about 1 kHz has the loudness of its peak (its K-weighting is 0 dB)."""
    story = write_sound(tmp_path / "sine.wav", lufs, seconds=4)
    found = await measure(str(story), find_program(), NO_UNIT)
    assert found.lufs == pytest.approx(lufs, abs=0.2)
    assert found.peak == pytest.approx(lufs, abs=0.2)


async def test_silence_has_no_peak(tmp_path: Path) -> None:
    found = await measure(str(write_sound(tmp_path / "a.wav", -math.inf)), find_program(), NO_UNIT)
    assert found.lufs <= -60
    assert found.peak == -math.inf


async def test_what_is_no_recording_is_refused_and_opens_nothing_else(tmp_path: Path) -> None:
    story = write_sound(tmp_path / "sine.wav", -20)
    write_traps(tmp_path, story)
    (tmp_path / "noise.mp3").write_bytes(b"no sound at all" * 100)
    for name in ("m3u.mp3", "edl.mp3", "hls.mp3", "zip.mp3", "noise.mp3", "none.mp3"):
        with pytest.raises(RefusedError, match="loudness: "):
            await measure(str(tmp_path / name), find_program(), NO_UNIT)


async def test_a_measurement_that_is_given_up_leaves_no_process(tmp_path: Path) -> None:
    story = write_sound(tmp_path / "long.wav", -20, seconds=60)
    task = asyncio.create_task(measure(str(story), find_program(), NO_UNIT))
    await until(processes_of("mpv"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not processes_of("mpv")())


async def test_without_mpv_it_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        await measure(str(tmp_path / "a.wav"), [str(tmp_path / "none")], NO_UNIT)


def test_a_result_is_the_whole_and_the_loudest_channel() -> None:
    found = parse_result({
        "lavfi.r128.I": "-23.5", "lavfi.r128.true_peaks_ch0": "0.5",
        "lavfi.r128.true_peaks_ch1": "0.25", "lavfi.r128.true_peak": "0.1",
    })  # fmt: skip
    assert found.lufs == -23.5
    assert found.peak == pytest.approx(-6.02, abs=0.01)


@pytest.mark.parametrize(
    "found",
    [
        None, [], {}, {"lavfi.r128.I": "loud"}, {"lavfi.r128.I": "-23"},
        {"lavfi.r128.I": "nan", "lavfi.r128.true_peaks_ch0": "0.5"},
    ],
)  # fmt: skip
def test_what_is_no_result_is_refused(found: object) -> None:
    with pytest.raises(RefusedError, match="loudness: mpv"):
        parse_result(found)
