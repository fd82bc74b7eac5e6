"""The chime: a short sound that checks the audio path.

It uses the path of a story (mpv, the sound server, the sound card): a player's position advances
only while something consumes its samples.
"""

from __future__ import annotations

import array
import asyncio
import math
import sys
from pathlib import Path

from base.threads import in_thread
from machine.errors import ResourceError
from machine.mpv_options import NO_DEVICE
from machine.player import Player, StandInPlayer
from wire.records import dataclass

# Two falling notes, like a door bell (Hz, seconds); faded in and out to avoid clicks.
RATE = 16000
NOTES = ((784.0, 0.45), (659.3, 0.75))
PEAK = 12000
ATTACK_SECONDS = 0.01
# How much must be played, and how long that may take with a sleeping sound card or a busy machine.
MOVED_SECONDS = 0.2
MOVE_TIMEOUT = 5.0
POLL_SECONDS = 0.05
# The player's user reads it through the agent's group.
FOLDER_MODE = 0o750


@dataclass(frozen=True, slots=True)
class SoundProof:
    """The result of playing the chime.

    Attributes:
        output: mpv's name of the audio output that was used, None if there was none.
        fault: why the sound was not played, None if the position advanced.
    """

    output: str | None
    fault: str | None = None

    @property
    def is_heard(self) -> bool:
        """Whether a sound device played it."""
        return self.fault is None and self.output not in {None, NO_DEVICE}


def write_chime(path: Path) -> None:
    """Write the chime as a WAV file, 16-bit mono; raises OSError."""
    import wave  # noqa: PLC0415  # no start needs it

    samples = chime_samples()
    if sys.byteorder == "big":
        samples.byteswap()
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())


def chime_samples() -> array.array[int]:
    """Return the chime's samples, 16 bits each; 20,000 take some milliseconds."""
    samples, sin = array.array("h"), math.sin
    for hertz, seconds in NOTES:
        count, turn = int(RATE * seconds), 2 * math.pi * hertz / RATE
        rises = int(RATE * ATTACK_SECONDS)
        swells = [PEAK * (1.0 - number / count) ** 2 for number in range(count)]
        swells[:rises] = [swell * number / rises for number, swell in enumerate(swells[:rises])]
        samples.extend([int(swell * sin(turn * number)) for number, swell in enumerate(swells)])
    return samples


async def play_chime(player: Player, volume: int) -> SoundProof:
    """Play the chime at ``volume`` (0 to 100 % of the machine's volume) and return the result.

    The player must be idle; it is stopped and closed afterwards.
    """
    import tempfile  # noqa: PLC0415  # no start needs it

    if isinstance(player, StandInPlayer):
        return SoundProof(None, player.name)
    try:
        if player.folder is not None:
            player.folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="chime-", dir=player.folder) as folder:
            path = Path(folder) / "chime.wav"
            path.parent.chmod(FOLDER_MODE)
            await in_thread(write_chime, path)
            return await _play(player, str(path), volume)
    except OSError as error:
        return SoundProof(None, f"the chime cannot be written: {error.strerror}")


def check_position(output: str | None, position: float | None) -> SoundProof:
    """Return the result for an ``output`` on which ``position`` seconds have been played."""
    moved = (position or 0.0) >= MOVED_SECONDS
    return SoundProof(output, None if moved else f"only {position or 0:.2f} s were played")


async def _play(player: Player, source: str, volume: int) -> SoundProof:
    ended: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def end(reason: str | None) -> None:
        if not ended.done():
            ended.set_result(reason)

    try:
        await player.play(source, end, volume=volume)
        fault = await _wait_until_moved(player, ended)
        return SoundProof(player.output, fault)
    except ResourceError as error:
        return SoundProof(player.output, str(error))
    finally:
        await player.stop()
        await player.close()


async def _wait_until_moved(player: Player, ended: asyncio.Future[str | None]) -> str | None:
    """Return why the position does not advance, None if it does or if the source ends first."""
    try:
        async with asyncio.timeout(MOVE_TIMEOUT):
            while not ended.done() and (await player.position() or 0.0) < MOVED_SECONDS:
                await asyncio.wait([ended], timeout=POLL_SECONDS)
    except TimeoutError:
        return f"the sound stands still: {await player.position() or 0:.2f} s in {MOVE_TIMEOUT:g} s"
    return ended.result() if ended.done() else None
