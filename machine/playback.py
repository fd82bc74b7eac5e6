"""One source from its loading to its end, on an mpv that may die and a sound device that may go.

mpv is paused whenever nothing can be heard: while a source loads, until the machine's volume is set,
and while there is no sound device. It goes on at the position that was heard last.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from machine.errors import RefusedError, ResourceError, UnavailableError
from machine.gain import Gain
from machine.mpv_options import NO_DEVICE, is_stream
from machine.mpv_process import DEVICES_CHANGED, DIED, OUTPUT_CHANGED, Event, MpvError, MpvProcess
from machine.progress import End, Progress, Tries, is_beginning_instead, judge_end
from wire.records import dataclass

# A local file starts in about 50 ms.
LOAD_SECONDS = 7.0
# How often the position is read: after a death the story goes on at most this much earlier.
POLL_SECONDS = 0.5
# Polls at one position after which the device takes nothing, as one that is suspended. A sound server's null sink
# takes its first samples after up to 2 s.
STILL_POLLS = 6
# The waits between tries to open a sound device again.
SOUND_BACK_OFF = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Sound:
    """What is known of the machine's sound device, for as long as the agent runs.

    Attributes:
        was_heard: whether a device has played anything. If not, a source keeps time unheard: a
            bench without a device plays a queue through. After a device it waits for one.
        lost: whether a source waits for the device that played before.
        dummy: whether the sound server plays to nobody: PulseAudio and PipeWire move what plays to
            a dummy output when the last device is unplugged.
    """

    was_heard: bool = False
    lost: bool = False
    dummy: bool = False


class Device(Protocol):
    """The sound device as its mixer knows it."""

    async def restore(self, *, renewed: bool) -> None:
        """Set the machine's volume; ``renewed``: the device was away. Raises ResourceError."""

    async def is_dummy(self) -> bool:
        """Return whether the sound server has no device and plays to nobody."""

    async def watch(self, on_change: Callable[[], None]) -> None:
        """Call ``on_change`` when devices come or go, or the default one changes."""


class Playback:
    """Plays ``source``; `run` it in a task of its own, and cancel that to give it up."""

    def __init__(
        self,
        source: str,
        start: float,
        gain: Gain,
        open_mpv: Callable[[], Awaitable[MpvProcess]],
        device: Device,
        sound: Sound,
    ) -> None:
        """Play ``source`` from ``start`` seconds on.

        Args:
            source: an absolute path or an http(s) URL.
            start: beyond the end it is the last second.
            gain: how loud it is now, whenever a process loads it.
            open_mpv: returns the running mpv, or starts one; raises UnavailableError.
            device: its volume is set before anything sounds.
            sound: the machine's sound device.
        """
        self._source = source
        self._start = start
        self._gain = gain
        self._unheard_from = 0.0
        self._open_mpv = open_mpv
        self._device = device
        self._sound = sound
        self._mpv: MpvProcess | None = None
        self._entry = 0
        self.opening = False
        """Whether mpv was told to open the source, and has not said how that ended."""
        self._paused = False
        self._tries = Tries()
        self._retries = 0
        self._quiet_polls = 0
        self._still_polls = 0
        self._polled_at: float | None = None
        self.progress = Progress()
        self.loaded: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> str | None:
        """Play to the end; return why it broke off, None at the source's own end.

        ``loaded`` is done when it plays. Raises RefusedError and UnavailableError before that.
        """
        await self._begin_first()
        if not self.loaded.done():
            self.loaded.set_result(None)
        while True:
            try:
                end = await self._step()
            except MpvError as error:
                return f"mpv: {error}"
            except UnavailableError as error:
                if self._running.alive:
                    return str(error)
                continue  # its death is the next event
            except _BrokenOffError as error:
                return str(error)
            if end is not None:
                return end or None

    async def let_go(self, seconds: float) -> None:
        """Unload the source; after `run` was cancelled or failed, and before mpv gets another one.

        An mpv that hangs in opening a file, as on a slow card, answers and does not stop: it would hold up what
        is ordered next, so it is killed after ``seconds``.
        """
        mpv = self._mpv
        if mpv is None or not mpv.alive:
            return
        with contextlib.suppress(UnavailableError, MpvError):  # killed: as silent
            await mpv.request("stop", seconds=seconds)
        try:
            async with asyncio.timeout(seconds):
                while self.opening and mpv.alive:
                    event = await mpv.events.get()
                    self.opening = not self._is_end(event) and event["event"] != DIED
        except TimeoutError:
            mpv.kill(f"it hangs in opening {self._source}")

    async def pause(self, *, paused: bool) -> None:
        """Pause or resume; while there is no sound device, resume when there is one."""
        self._paused = paused
        if self._mpv is not None and self.loaded.done() and not self._sound.lost:
            await self._poll()
            await self._mpv.request("set_property", "pause", paused)

    async def position(self) -> float:
        """Return the seconds played."""
        if self._mpv is None or not self._mpv.alive or self._sound.lost:
            return self.progress.at
        try:
            found = _place(await self._mpv.ask("time-pos"))
        except UnavailableError:
            found = None
        return self.progress.at if found is None or self._is_unheard() else found

    async def seek(self, seconds: float) -> None:
        """Go to a place, at most the last second.

        Raises:
            RefusedError: the source's server sends it from the beginning only.
            MpvError: mpv refuses.
        """
        at = self.progress.clamp(seconds)
        if self._mpv is not None and self._mpv.alive and not self._sound.lost:
            with contextlib.suppress(UnavailableError):  # it died: it goes on there
                if await self._mpv.ask("seekable") is False:
                    raise RefusedError("play: its server cannot go to a place in the middle")
                await self._mpv.request("seek", at, "absolute+exact")
        self.progress.at = self._unheard_from = at

    async def apply_gain(self) -> None:
        """Give mpv the gain as it is now; one that loads gets it then."""
        if self._mpv is not None and self._mpv.alive:
            await self._mpv.request("set_property", "volume", self._gain.volume)

    async def _step(self) -> str | None:
        """Await one event; return the end's reason, "" for the source's own, None to go on."""
        event = await self._next_event(POLL_SECONDS)
        if event is None:
            await self._poll()
            await self._look_for_sound()
        elif event["event"] == DIED:
            await self._go_on("mpv ended unexpectedly")
        elif event["event"] == OUTPUT_CHANGED:
            if self._running.output == NO_DEVICE and self._sound.was_heard:
                await self._wait_for_sound()
        elif event["event"] == DEVICES_CHANGED:
            await self._follow_device()
        elif self._is_end(event):
            return await self._end(event)
        return None

    async def _follow_device(self) -> None:
        """Wait if the sound server has only its dummy left, else set the new default's volume."""
        if await self._has_device():
            await self._restore_level(renewed=False)
        elif self._sound.was_heard:
            await self._wait_for_sound()

    async def _end(self, event: Event) -> str | None:
        reason = str(event.get("reason"))
        verdict = judge_end(reason, self.progress, stream=is_stream(self._source))
        if verdict is End.FINISHED:
            return ""
        why = str(event.get("file_error") or "the transfer ended early")
        if verdict is End.FAILED:
            return f"at {self.progress.describe()}: {why}"
        await self._go_on(why)
        return None

    async def _go_on(self, why: str) -> None:
        """Load the source again at the last position; raises _BrokenOffError after the last try."""
        while (wait := self._tries.next_wait(self.progress.at)) is not None:
            _log.warning("play: goes on at %s: %s", self.progress.describe(), why)
            await asyncio.sleep(wait)
            try:
                await self._begin(self.progress.at)
            except (RefusedError, UnavailableError, MpvError) as error:
                why = str(error).removeprefix("play: ")
            else:
                return
        raise _BrokenOffError(f"at {self.progress.describe()}: {why}")

    async def _begin_first(self) -> None:
        """Load the source at its start; mpv cannot begin beyond the end, which only it knows."""
        start, begun = self._start, False
        if start > 0:
            with contextlib.suppress(RefusedError):
                begun = await self._load_at(start)
        if not begun:
            await self._load_at(0.0)
            if start > 0 and (last := self.progress.clamp(start)) < start:
                await self._load_at(last)
        self.progress.at = self._unheard_from = await self._ask_position() or 0.0
        await self._begin_sound()

    async def _begin(self, start: float) -> None:
        """Load the source at ``start`` seconds, silently, then let it sound."""
        await self._load_at(start)
        if is_beginning_instead(start, await self._ask_position()):
            await self._running.request("stop")
            raise UnavailableError("play: the server cannot go on in the middle")
        await self._begin_sound()

    async def _load_at(self, start: float) -> bool:
        """Load the source, silently; return whether ``start`` is not at or beyond its end."""
        self._mpv = mpv = await self._open_mpv()
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                await self._load(mpv, start)
        except TimeoutError as error:
            raise UnavailableError(f"play: nothing to hear in {LOAD_SECONDS:g} s") from error
        position = await self._ask_position()
        self.progress.duration = _number(await mpv.ask("duration"))
        return position is not None and start <= self.progress.clamp(start)

    async def _ask_position(self) -> float | None:
        return _place(await self._running.ask("time-pos"))

    async def _begin_sound(self) -> None:
        if self._sound.was_heard and not await self._has_device():
            await self._wait_for_sound()
        else:
            await self._let_sound()

    async def _load(self, mpv: MpvProcess, start: float) -> None:
        await mpv.request("set_property", "pause", True)
        await mpv.request("set_property", "volume", self._gain.volume)
        # Without it mpv asks a server for the beginning once; a seek to 0 would ask again.
        options = f"start={start:.3f}" if start else ""
        answer = await mpv.request(
            name="loadfile", url=self._source, flags="replace", options=options
        )
        self._entry = answer.get("playlist_entry_id", 0) if isinstance(answer, dict) else 0
        self.opening = True
        await self._await_begin()
        self.opening = False

    async def _await_begin(self) -> None:
        started = False
        while True:
            event = await self._next_event(None)
            if event is None or event["event"] == DIED:
                raise UnavailableError("play: mpv ended unexpectedly")
            if event["event"] == "start-file":
                started = event.get("playlist_entry_id") == self._entry
            elif event["event"] == "playback-restart" and started:
                return
            elif self._is_end(event):
                self.opening = False
                text = event.get("file_error") or "it holds no sound"
                raise RefusedError(f"play: cannot be played: {text}")

    async def _let_sound(self) -> None:
        """Set the machine's volume, then resume unless the source is paused."""
        renewed, self._sound.lost = self._sound.lost, False
        if await self._has_device():
            self._sound.was_heard = True
            await self._restore_level(renewed=renewed)
        if not self._paused:
            await self._running.request("set_property", "pause", False)

    async def _poll(self) -> None:
        """Note the position, and how much of the source has been read."""
        mpv = self._running
        position = _place(await mpv.ask("time-pos"))
        await self._note_still(position)
        read, size = await mpv.ask("stream-pos"), await mpv.ask("stream-end")
        if position is not None and not self._is_unheard():
            self.progress.at = position
        if (duration := _number(await mpv.ask("duration"))) is not None:
            self.progress.duration = duration
        if (now := _number(read)) is not None:
            self.progress.read = max(int(now), self.progress.read or 0)
        if (whole := _number(size)) is not None:
            self.progress.size = int(whole)

    @property
    def stands(self) -> bool:
        """Whether the sound device takes nothing: it is suspended, or its server hangs. It goes on by itself."""
        return self._still_polls >= STILL_POLLS and not self._paused

    async def _note_still(self, position: float | None) -> None:
        """Count the polls without progress. What waits for bytes of a source is idle by mpv's word."""
        still = position == self._polled_at and not self._paused
        self._polled_at = position
        if still and await self._running.ask("core-idle") is False:
            self._still_polls += 1
        else:
            self._still_polls = 0

    def _is_unheard(self) -> bool:
        """Return whether mpv's position runs on without a device; not if there never was one."""
        silent = self._running.output in {None, NO_DEVICE} or self._sound.dummy
        return silent and self._sound.was_heard

    async def _look_for_sound(self) -> None:
        """Try to open a device if there never was one; what was not heard is played again."""
        if self._running.output != NO_DEVICE and not self._sound.dummy:
            return
        if self._sound.was_heard:  # its event was lost with a process
            await self._wait_for_sound()
            return
        self._quiet_polls += 1
        if self._quiet_polls * POLL_SECONDS >= _back_off(self._retries):
            self._quiet_polls = 0
            self._retries += 1
            if await self._open_output():
                await self._resume_at(self._unheard_from)

    async def _wait_for_sound(self) -> None:
        """Hold the source at the last position that was heard until a device plays again."""
        await self._running.request("set_property", "pause", True)
        self._sound.lost = True
        _log.warning("play: no sound device: paused at %s", self.progress.describe())
        tries = 0
        while not await self._open_output():
            if await self._running.ask("idle-active") is True:
                self._sound.lost = False
                return  # the source has ended, as its event says: no device will ever be opened for it
            await asyncio.sleep(_back_off(tries))
            tries += 1
        _log.info("play: the sound device is back: goes on at %s", self.progress.describe())
        await self._resume_at(self.progress.at)

    async def _open_output(self) -> bool:
        """Return whether mpv has opened a sound device, after a try to do so."""
        if await self._running.read_output() in {None, NO_DEVICE}:
            await self._running.request("ao-reload")
        return await self._has_device()

    async def _has_device(self) -> bool:
        """Return whether mpv plays to a device, not to nothing or to a sound server's dummy."""
        if await self._running.read_output() in {None, NO_DEVICE}:
            return False
        self._sound.dummy = await self._device.is_dummy()
        return not self._sound.dummy

    async def _restore_level(self, *, renewed: bool) -> None:
        """Set the machine's volume; a mixer that fails must not keep a story silent."""
        try:
            await self._device.restore(renewed=renewed)
        except ResourceError as error:
            _log.warning("play: the volume is not set before the sound: %s", error)

    async def _resume_at(self, seconds: float) -> None:
        await self._running.request("set_property", "pause", True)
        await self._running.request("seek", seconds, "absolute+exact")
        await self._let_sound()

    @property
    def _running(self) -> MpvProcess:
        if self._mpv is None:
            raise UnavailableError("play: mpv is not started")
        return self._mpv

    async def _next_event(self, seconds: float | None) -> Event | None:
        """Return the next event, None if there is none in ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                return await self._running.events.get()
        except TimeoutError:
            return None

    def _is_end(self, event: Event) -> bool:
        return event["event"] == "end-file" and event.get("playlist_entry_id") == self._entry


class _BrokenOffError(Exception):
    """The source cannot be played any further; the message says where and why."""


def _back_off(tries: int) -> float:
    return SOUND_BACK_OFF[min(tries, len(SOUND_BACK_OFF) - 1)]


def _place(value: object) -> float | None:
    """Return mpv's position. As a track begins it is less than 0, and mpv would count such a place from the end."""
    found = _number(value)
    return None if found is None else max(0.0, found)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
