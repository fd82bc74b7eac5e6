"""What makes sound: mpv through libmpv, or a stand-in where it is missing."""

from __future__ import annotations

import asyncio
import ctypes.util
import logging
import os
from collections.abc import Callable
from typing import Any, Protocol

from machine.errors import RefusedError, UnavailableError

# mpv reports a dead server after NETWORK_TIMEOUT; a local file starts in about 50 ms.
NETWORK_TIMEOUT = 5.0
LOAD_TIMEOUT = 7.0
# Compressed sound ahead of the ears: a minute at 256 kbit/s, and no more of a Pi's memory.
DEMUXER_MAX_BYTES = 2 * 1024 * 1024

_log = logging.getLogger(__name__)

EndListener = Callable[[str | None], None]
"""Called when a track ends by itself: None at its end, or the reason that broke it off."""


class Player(Protocol):
    """Plays one source at a time; the queue is not its business."""

    @property
    def name(self) -> str:
        """Say in one line what this is and where the sound goes."""

    @property
    def output(self) -> str | None:
        """What takes the sound, by mpv's name of it; None while nothing does."""

    async def play(self, source: str, on_end: EndListener, *, volume: int = 100) -> None:
        """Start a path or URL; returns when it plays. Raises RefusedError, UnavailableError.

        ``volume`` is this source's own, in percent; the machine's applies on top.
        """

    async def pause(self, *, paused: bool) -> None:
        """Hold or go on."""

    async def stop(self) -> None:
        """Be silent; the end is not reported to the listener."""

    async def position(self) -> float | None:
        """Return the seconds played of the present track, None without one."""

    async def close(self) -> None:
        """Let go of the sound device."""


def find_player() -> Player:
    """Return mpv if libmpv is installed, else the stand-in; libmpv is only loaded at first use."""
    if ctypes.util.find_library("mpv"):
        return MpvPlayer()
    _log.warning("%s", StandInPlayer.name)
    return StandInPlayer()


class StandInPlayer:
    """Keeps what it was told where there is no libmpv."""

    name = "no player found (libmpv is missing): what is asked for is kept but not heard"
    output = None

    async def play(self, source: str, on_end: EndListener, *, volume: int = 100) -> None:
        """Take anything; it never ends by itself."""
        _log.info("not heard, libmpv is missing: %s", source)
        del on_end, volume

    async def pause(self, *, paused: bool) -> None:
        """Nothing sounds."""

    async def stop(self) -> None:
        """Nothing sounds."""

    async def position(self) -> float | None:
        """Nothing moves."""
        return None

    async def close(self) -> None:
        """Nothing to let go of."""


class MpvPlayer:
    """libmpv in this process, made at the first play: it brings 50 MB that an idle agent saves."""

    def __init__(self) -> None:
        """Load nothing yet."""
        self._mpv: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loading: asyncio.Future[None] | None = None
        self._started = False
        self._on_end: EndListener = lambda _reason: None

    @property
    def name(self) -> str:
        """MPV and its present audio output."""
        if self._mpv is None:
            return "mpv: not started yet"
        if self.output == "null":
            return "mpv: no sound device found: what plays is not heard"
        return f"mpv: {self.output or 'idle'}"

    @property
    def output(self) -> str | None:
        """MPV's current-ao."""
        return None if self._mpv is None else self._mpv.current_ao

    async def play(self, source: str, on_end: EndListener, *, volume: int = 100) -> None:
        """Load ``source`` in place of what plays."""
        if self._mpv is None:
            self._loop = asyncio.get_running_loop()
            try:
                self._mpv = await asyncio.to_thread(self._create)
            except OSError as error:
                raise UnavailableError(f"play: libmpv cannot be loaded: {error}") from error
        self._on_end = on_end
        loading = self._loading = asyncio.get_running_loop().create_future()
        self._started = False
        self._mpv.pause = False
        self._mpv.volume = volume
        # As bytes: a file's name need not be UTF-8, and mpv's own loadfile insists on it.
        self._mpv.string_command("loadfile", os.fsencode(source), "replace")
        try:
            async with asyncio.timeout(LOAD_TIMEOUT):
                await loading
        except TimeoutError as error:
            await self.stop()
            raise UnavailableError(f"play: nothing to hear in {LOAD_TIMEOUT:g} s") from error
        except asyncio.CancelledError:
            # Who asked has given up: what loads now must not sound later.
            await self.stop()
            raise
        finally:
            self._loading = None

    async def pause(self, *, paused: bool) -> None:
        """Set mpv's pause flag."""
        if self._mpv is not None:
            self._mpv.pause = paused

    async def stop(self) -> None:
        """Unload the track."""
        if self._mpv is not None:
            self._mpv.command("stop")

    async def position(self) -> float | None:
        """Return mpv's time-pos in seconds."""
        return None if self._mpv is None else self._mpv.time_pos

    async def close(self) -> None:
        """End mpv's core and its thread."""
        player, self._mpv = self._mpv, None
        if player is not None:
            await asyncio.to_thread(player.terminate)

    def _create(self) -> Any:
        import mpv  # noqa: PLC0415  # loads libmpv

        player = mpv.MPV(
            audio_client_name="story-agent",
            # The last one keeps time without a sound device, so that a queue still moves on.
            ao="pulse,alsa,null",
            config=False,
            demuxer_max_bytes=DEMUXER_MAX_BYTES,
            input_default_bindings=False,
            load_scripts=False,
            network_timeout=NETWORK_TIMEOUT,
            terminal=False,
            video=False,
            ytdl=False,
        )
        player.event_callback("start-file")(lambda _event: self._post(self._begun))
        player.event_callback("file-loaded")(lambda _event: self._post(self._loaded))
        player.event_callback("end-file")(self._end_file)
        return player

    def _post(self, call: Callable[..., None], *arguments: object) -> None:
        """Run ``call`` in the event loop; mpv's events come from a thread of its own."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *arguments)

    def _begun(self) -> None:
        self._started = True

    def _loaded(self) -> None:
        if self._loading is not None and not self._loading.done():
            self._loading.set_result(None)

    def _end_file(self, event: Any) -> None:
        import mpv  # noqa: PLC0415  # loaded by _create

        if event.data.reason == mpv.MpvEventEndFile.EOF:
            self._post(self._ended, None)
        elif event.data.reason == mpv.MpvEventEndFile.ERROR:
            self._post(self._ended, mpv.ErrorCode.human_readable(event.data.error))

    def _ended(self, reason: str | None) -> None:
        # A track shorter than one turn of the loop ends before `play` has seen that it was loaded.
        if self._loading is None or self._loading.done():
            self._on_end(reason)
        # Before the new track's start-file, an end is still that of the track it replaces.
        elif self._started:
            text = reason or "it holds no sound"
            self._loading.set_exception(RefusedError(f"play: cannot be played: {text}"))
