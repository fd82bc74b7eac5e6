"""The players: mpv through libmpv, or a stand-in where libmpv is missing."""

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
# Bytes of read-ahead: a minute at 256 kbit/s; more would cost too much of a Pi's memory.
DEMUXER_MAX_BYTES = 2 * 1024 * 1024

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

    async def play(self, source: str, on_end: EndListener, *, volume: int = 100) -> None:
        """Start a path or URL; returns when it plays. Raises RefusedError, UnavailableError.

        ``volume`` is for this source only, in percent of the machine's volume.
        """

    async def pause(self, *, paused: bool) -> None:
        """Pause, or resume if ``paused`` is false."""

    async def stop(self) -> None:
        """Stop the track; its ``on_end`` is not called."""

    async def position(self) -> float | None:
        """Return the seconds played of the current track, None without one."""

    async def close(self) -> None:
        """Release the sound device."""


def find_player() -> Player:
    """Return mpv if libmpv is installed, else the stand-in; libmpv is loaded at first use."""
    if ctypes.util.find_library("mpv"):
        return MpvPlayer()
    _log.warning("%s", StandInPlayer.name)
    return StandInPlayer()


class StandInPlayer:
    """Accepts every request and plays nothing, for machines without libmpv."""

    name = "no player found (libmpv is missing): what is asked for is kept but not heard"
    output = None

    async def play(self, source: str, on_end: EndListener, *, volume: int = 100) -> None:
        """Accept any source; ``on_end`` is never called."""
        _log.info("not played, libmpv is missing: %s", source)
        del on_end, volume

    async def pause(self, *, paused: bool) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Do nothing."""

    async def position(self) -> float | None:
        """Return None."""
        return None

    async def close(self) -> None:
        """Do nothing."""


class MpvPlayer:
    """libmpv in this process, loaded at the first `play`: an idle agent saves its 50 MB."""

    def __init__(self) -> None:
        """Do not load libmpv yet."""
        self._mpv: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loading: asyncio.Future[None] | None = None
        self._started = False
        self._on_end: EndListener = lambda _reason: None

    @property
    def name(self) -> str:
        """The name mpv and its current audio output."""
        if self._mpv is None:
            return "mpv: not started yet"
        if self.output == "null":
            return "mpv: no sound device found: what plays is not heard"
        return f"mpv: {self.output or 'idle'}"

    @property
    def output(self) -> str | None:
        """The value of mpv's ``current-ao``."""
        return None if self._mpv is None else self._mpv.current_ao

    async def play(self, source: str, on_end: EndListener, *, volume: int = 100) -> None:
        """Load ``source`` in place of the current track."""
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
        # As bytes: a file's name need not be UTF-8, but python-mpv's loadfile requires it.
        self._mpv.string_command("loadfile", os.fsencode(source), "replace")
        try:
            async with asyncio.timeout(LOAD_TIMEOUT):
                await loading
        except TimeoutError as error:
            await self.stop()
            raise UnavailableError(f"play: nothing to hear in {LOAD_TIMEOUT:g} s") from error
        except asyncio.CancelledError:
            # The caller has given up: the source must not start playing later.
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
            # "null" keeps time without a sound device, so that a queue still advances.
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
        """Run ``call`` in the event loop; mpv's events arrive in mpv's own thread."""
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
        # A very short track may end before `play` has resumed and cleared `_loading`.
        if self._loading is None or self._loading.done():
            self._on_end(reason)
        # Before the new track's start-file event, an end-file is of the track that it replaces.
        elif self._started:
            text = reason or "it holds no sound"
            self._loading.set_exception(RefusedError(f"play: cannot be played: {text}"))
