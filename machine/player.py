"""The players: mpv in a process of its own, or a stand-in where mpv is missing.

What decodes strangers' bytes must not hold the device's token, and its memory must not stay in the
agent (docs/adr/0016).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from machine.errors import RefusedError, ResourceError, UnavailableError
from machine.gain import Gain
from machine.mpv_host import UNIT_SOCKET, Child, Unit
from machine.mpv_options import NO_DEVICE, is_single_source
from machine.mpv_process import MpvError, MpvProcess
from machine.mpv_program import PROGRAM, find_program
from machine.playback import Device, Playback, Sound

# A play order's answer: within the dispatch's 8 s, and long enough for a slow server or for a sound
# server that is being restarted.
PLAY_SECONDS = 7.5
# A stop must be silent within 0.3 s: a process that has not stopped by then is killed.
STOP_SECONDS = 0.2
# An idle mpv is let go after this: the next story of a child comes within a minute or much later.
IDLE_SECONDS = 60.0

_log = logging.getLogger(__name__)

EndListener = Callable[[str | None], None]
"""Called when a track ends by itself, with None at its end or the reason of the failure."""


class Player(Protocol):
    """Plays one source at a time; it has no queue."""

    @property
    def name(self) -> str:
        """One line for people: the player and its audio output."""

    @property
    def output(self) -> str | None:
        """The audio output in use, by mpv's name, None if there is none."""

    @property
    def waiting(self) -> bool:
        """Whether a track waits for a sound device."""

    @property
    def folder(self) -> Path | None:
        """Where files for the player are written that it can read; None: anywhere."""

    async def play(
        self,
        source: str,
        on_end: EndListener,
        *,
        start: float = 0.0,
        gain: float = 0.0,
        volume: int = 100,
        keep_fade: bool = False,
    ) -> None:
        """Start a path or URL; returns when it plays. Raises RefusedError, UnavailableError.

        Args:
            source: an absolute path or an http(s) URL.
            on_end: called when the source ends by itself.
            start: the seconds to begin at; beyond the end it is the last second. A server that
                cannot go on in the middle begins at the beginning: `position` tells.
            gain: of this source, in dB (-60, silence, to 12).
            volume: of this source, in percent of the machine's volume.
            keep_fade: let a fade that runs go on: for what follows by itself. Else the source
                begins at its gain.
        """

    async def pause(self, *, paused: bool) -> None:
        """Pause, or resume if ``paused`` is false."""

    async def stop(self) -> None:
        """Stop the track; its ``on_end`` is not called."""

    async def position(self) -> float | None:
        """Return the seconds played of the current track, None without one."""

    async def length(self) -> float | None:
        """Return the current track's length in seconds, None if it is unknown or there is none."""

    async def seek(self, seconds: float) -> None:
        """Go to a place of the current track, at most its last second. Raises RefusedError."""

    async def set_gain(self, db: float) -> None:
        """Set the current track's gain at once, in dB (-60, silence, to 12)."""

    async def fade(self, to_db: float, seconds: float) -> bool:
        """Fade to ``to_db`` over the track's gain (0: as without a fade), linear in dB.

        Returns when it is over: True, or False if a newer order, fade or stop has ended it.
        Cancelled, it stays where it is. It is over with the track, and runs on while that is paused.
        """

    async def close(self) -> None:
        """Release the sound device."""


class AnyDevice:
    """A `Device` of which nothing is known: for a player without a mixer."""

    async def restore(self, *, renewed: bool) -> None:
        """Leave the volume."""

    async def is_dummy(self) -> bool:
        """Return False."""
        return False

    async def watch(self, on_change: Callable[[], None]) -> None:
        """See nothing."""


def find_player(
    device: Device | None = None, folder: Path | None = None, unit: Path = UNIT_SOCKET
) -> Player:
    """Return mpv or libmpv in a process of its own, started at the first play, else the stand-in.

    Args:
        device: sets the machine's volume before anything sounds.
        folder: for what is written for the player: its unit sees few of the agent's files.
        unit: the socket of the player's unit, which a machine need not have.
    """
    program = find_program()
    if program or unit.exists():
        return MpvPlayer(device, program=program, unit=unit, folder=folder)
    _log.warning("%s", StandInPlayer.name)
    return StandInPlayer()


class StandInPlayer:
    """Accepts every request and plays nothing, for machines without mpv."""

    name = "no player found (mpv is missing): what is asked for is kept but not heard"
    output = None
    waiting = False
    folder = None

    async def play(
        self,
        source: str,
        on_end: EndListener,
        *,
        start: float = 0.0,
        gain: float = 0.0,
        volume: int = 100,
        keep_fade: bool = False,
    ) -> None:
        """Accept any source; ``on_end`` is never called."""
        _log.info("not played, mpv is missing: %s", source)
        del on_end, start, gain, volume, keep_fade

    async def pause(self, *, paused: bool) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Do nothing."""

    async def position(self) -> float | None:
        """Return None."""
        return None

    async def length(self) -> float | None:
        """Return None."""
        return None

    async def seek(self, seconds: float) -> None:
        """Do nothing."""

    async def set_gain(self, db: float) -> None:
        """Do nothing."""

    async def fade(self, to_db: float, seconds: float) -> bool:
        """Return at once: there is nothing to hear."""
        del to_db, seconds
        return True

    async def close(self) -> None:
        """Do nothing."""


class MpvPlayer:
    """mpv as a child process, started at the first `play` and let go when idle."""

    def __init__(
        self,
        device: Device | None = None,
        *,
        program: Sequence[str] = (PROGRAM,),
        unit: Path = UNIT_SOCKET,
        folder: Path | None = None,
        idle_seconds: float = IDLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start nothing yet; ``program`` is that of `find_program`, the others are as there."""
        self.folder = folder
        self._unit = unit
        self._gain = Gain(clock)
        self._device = device or AnyDevice()
        self._program = program
        self._idle_seconds = idle_seconds
        self._mpv: MpvProcess | None = None
        self._opening = asyncio.Lock()
        self._sound = Sound()
        self._playback: Playback | None = None
        self._task: asyncio.Task[None] | None = None
        self._idle: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """Where mpv runs, and its current audio output."""
        if self._playback is not None and self.waiting:
            why = "no sound device" if self._sound.lost else "the sound device takes nothing"
            return f"{self._label}: {why}: waits at {self._playback.progress.describe()}"
        if self._mpv is None or not self._mpv.alive:
            return f"{self._label}: not started yet"
        if self.output == NO_DEVICE:
            return f"{self._label}: no sound device found: what plays is not heard"
        return f"{self._label}: {self.output or 'idle'}"

    @property
    def _label(self) -> str:
        """Where mpv runs, or would run."""
        if self._mpv is not None and self._mpv.alive:
            return self._mpv.label
        return Unit.label if self._unit.exists() else Child.label

    @property
    def output(self) -> str | None:
        """The value of mpv's ``current-ao``; a sound server without a device is none either."""
        if self._mpv is not None and self._mpv.output and self._sound.dummy:
            return NO_DEVICE
        return None if self._mpv is None else self._mpv.output

    @property
    def waiting(self) -> bool:
        """Whether the track is held at its place until the sound device is back, or takes sound again."""
        playback = self._playback
        return playback is not None and (self._sound.lost or playback.stands)

    @property
    def pid(self) -> int | None:
        """The id of mpv's process, None while none runs."""
        return self._mpv.pid if self._mpv is not None and self._mpv.alive else None

    async def play(
        self,
        source: str,
        on_end: EndListener,
        *,
        start: float = 0.0,
        gain: float = 0.0,
        volume: int = 100,
        keep_fade: bool = False,
    ) -> None:
        """Load ``source`` in place of the current track; another `play` or `stop` gives it up."""
        if not is_single_source(source):
            raise RefusedError("play: cannot be played: expected a file or an http(s) URL")
        await self._give_up()
        self._gain.begin(gain, volume, keep_fade=keep_fade)
        playback = self._playback = Playback(
            source, start, self._gain, self._open, self._device, self._sound
        )
        self._task = asyncio.create_task(self._play_to_end(playback, on_end))
        try:
            async with asyncio.timeout(PLAY_SECONDS):
                await asyncio.shield(playback.loaded)
        except TimeoutError as error:
            why = (
                "no sound device" if self._sound.lost else f"nothing to hear in {PLAY_SECONDS:g} s"
            )
            if self._playback is playback:
                await self.stop()
            raise UnavailableError(f"play: {why}") from error
        except asyncio.CancelledError:
            # The caller has given up: the source must not start playing later.
            if self._playback is playback:
                await self.stop()
            raise

    async def pause(self, *, paused: bool) -> None:
        """Set mpv's pause flag."""
        if self._playback is not None:
            with contextlib.suppress(UnavailableError, MpvError):  # the next mpv starts so
                await self._playback.pause(paused=paused)

    async def stop(self) -> None:
        """Unload the track, or give up the one that is loading."""
        await self._give_up(unload=True)
        self._gain.begin(0.0, 100, keep_fade=False)
        self._let_go_later()

    async def position(self) -> float | None:
        """Return the seconds played; while there is no sound device, those that were heard."""
        return None if self._playback is None else await self._playback.position()

    async def length(self) -> float | None:
        """Return mpv's duration, which may be an estimate."""
        return None if self._playback is None else self._playback.progress.duration

    async def seek(self, seconds: float) -> None:
        """Seek exactly; while there is no sound device, it is where the track will go on."""
        if self._playback is None or not self._playback.loaded.done():
            raise RefusedError("play: nothing is playing, so there is no place to go to")
        try:
            await self._playback.seek(seconds)
        except MpvError as error:
            raise RefusedError(f"play: cannot go to {seconds:g} s: {error}") from error

    async def set_gain(self, db: float) -> None:
        """Set mpv's volume."""
        self._gain.set(db)
        await self._apply_gain()

    async def fade(self, to_db: float, seconds: float) -> bool:
        """Set mpv's volume in steps of half a dB."""
        fade = self._gain.begin_fade(to_db, seconds)
        try:
            while self._gain.fade is fade:
                # Asked before mpv is told: a fade that ends while mpv takes its time would end short of its level.
                wait = self._gain.next_step()
                await self._apply_gain()
                if wait is None:
                    return self._gain.fade is fade
                await asyncio.sleep(wait)
        except asyncio.CancelledError:
            if self._gain.fade is fade:
                self._gain.hold()
            raise
        return False

    async def close(self) -> None:
        """End mpv."""
        await self._give_up()
        if self._idle is not None:
            self._idle.cancel()
        await self._let_go()

    async def _play_to_end(self, playback: Playback, on_end: EndListener) -> None:
        watching = asyncio.create_task(self._device.watch(self._tell_devices_changed))
        try:
            reason = await playback.run()
        except (ResourceError, MpvError) as error:
            await self._fail(playback, error)
            return
        except Exception as error:  # noqa: BLE001  # whatever it is, the next order is played
            reason = f"internal error: {type(error).__name__}"
            _log.error("play: at %s: %s", playback.progress.describe(), reason, exc_info=error)
            if not playback.loaded.done():
                await self._fail(playback, UnavailableError(f"play: {reason}"))
                return
        finally:
            watching.cancel()
        if reason is not None:
            await playback.let_go(STOP_SECONDS)  # it may sound still
        self._forget(playback)
        on_end(reason)

    async def _fail(self, playback: Playback, error: Exception) -> None:
        """Give up a source that does not begin, and say why to who waits for it."""
        await playback.let_go(STOP_SECONDS)  # nothing of it may be opened later
        self._forget(playback)
        if not playback.loaded.done():
            refused = error if isinstance(error, ResourceError) else None
            playback.loaded.set_exception(
                refused or RefusedError(f"play: cannot be played: {error}")
            )

    async def _apply_gain(self) -> None:
        if self._playback is not None:
            with contextlib.suppress(UnavailableError, MpvError):  # the next mpv starts with it
                await self._playback.apply_gain()

    def _tell_devices_changed(self) -> None:
        if self._mpv is not None:
            self._mpv.tell_devices_changed()

    def _forget(self, playback: Playback) -> None:
        if self._playback is playback:
            self._playback = None
            self._sound.lost = False
            self._let_go_later()

    async def _give_up(self, *, unload: bool = False) -> None:
        """End the current playback, which sounds until the next one loads; one that was loading fails."""
        playback, self._playback = self._playback, None
        task, self._task = self._task, None
        self._sound.lost = False
        if self._idle is not None:
            self._idle.cancel()
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.wait([task])
        if playback is not None and (unload or playback.opening):
            await playback.let_go(STOP_SECONDS)
        if playback is not None and not playback.loaded.done():
            playback.loaded.set_exception(UnavailableError("play: given up for a newer order"))
            playback.loaded.exception()  # seen, also if nobody waits any more

    async def _open(self) -> MpvProcess:
        async with self._opening:
            if self._mpv is None or not self._mpv.alive:
                await self._let_go()
                self._mpv = await MpvProcess.start(self._program, self._unit)
            return self._mpv

    async def _let_go(self) -> None:
        mpv, self._mpv = self._mpv, None
        if mpv is not None:
            await mpv.close()

    def _let_go_later(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.create_task(self._let_go_when_idle())

    async def _let_go_when_idle(self) -> None:
        await asyncio.sleep(self._idle_seconds)
        if self._playback is None:
            await self._let_go()
