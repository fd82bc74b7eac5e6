"""The supported mixers: PulseAudio or PipeWire, ALSA, or a stand-in."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from machine.errors import UnavailableError

# pactl and amixer answer in about 10 ms; a hung sound card must not block a request.
PROGRAM_TIMEOUT = 3.0
PULSE_FULL = 65536
# Names that Raspberry Pi and USB sound cards use, in the order in which they are tried.
ALSA_CONTROLS = ("Master", "PCM", "Digital", "Headphone", "Speaker")
DEFAULT_LEVEL = 0.5
# module-always-sink (PulseAudio) and pipewire-pulse name it so.
DUMMY_SINK = "auto_null"
# Of `pactl subscribe`; a sink's own changes are its level and state.
SINK_EVENT = re.compile(rb"on server #|'(?:new|remove)' on sink #")
CARDS = Path("/proc/asound/cards")

_log = logging.getLogger(__name__)


class Mixer(Protocol):
    """A mixer of the machine; levels are fractions from 0.0 to 1.0."""

    @property
    def name(self) -> str:
        """One line for people: the mixer in use."""

    async def get(self) -> float:
        """Return the level; raises UnavailableError."""

    async def set(self, level: float) -> None:
        """Set the level; raises UnavailableError."""

    async def identify(self) -> str:
        """Return which device it is now: text that differs for another one; raises UnavailableError.

        A sound server that was restarted is another one: it may have forgotten its levels.
        """

    async def close(self) -> None:
        """Release the device."""


async def find_mixer() -> Mixer:
    """Return the first mixer that works: PulseAudio, then ALSA, else the stand-in."""
    for candidate in (PulseMixer, AlsaMixer):
        mixer = await candidate.find()
        if mixer is not None:
            return mixer
    _log.warning("%s", StandInMixer.name)
    return StandInMixer()


def read_surroundings() -> str | None:
    """Return text that changes if another mixer may be found; None: one may come at any moment.

    The latter is while a sound server's socket is there, since the server may be starting.
    """
    return None if _pulse_socket_exists() else _read_cards()


class StandInMixer:
    """Stores the level on a machine without a mixer."""

    name = "no mixer found: volume is kept but not heard"

    def __init__(self) -> None:
        """Start at the default level."""
        self._level = DEFAULT_LEVEL

    async def get(self) -> float:
        """Return the level that was set last."""
        return self._level

    async def set(self, level: float) -> None:
        """Store the level."""
        self._level = level

    async def identify(self) -> str:
        """Return "": there is no device."""
        return ""

    async def close(self) -> None:
        """Do nothing: there is no device."""


class PulseMixer:
    """The default sink of PulseAudio, or of PipeWire's PulseAudio server, through pactl.

    pactl runs as a separate process, because libpulse can terminate the process that uses it when
    its server goes away; that must not be the agent (docs/adr/0003).
    """

    name = "PulseAudio: default sink"

    def __init__(self, program: str) -> None:
        """Use `find`."""
        self._program = program

    @classmethod
    async def find(cls) -> PulseMixer | None:
        """Return a mixer for the default sink if pactl can read it, else None."""
        program = shutil.which("pactl")
        if program is None or not _pulse_socket_exists():
            return None
        mixer = cls(program)
        try:
            await mixer.get()
        except UnavailableError as error:
            _log.info("%s", error)
            return None
        return mixer

    async def get(self) -> float:
        """Return the sink's level, at most 1.0; 0.0 while it is muted."""
        if "yes" in await _run(self._program, "get-sink-mute", "@DEFAULT_SINK@"):
            return 0.0
        return parse_pactl(await _run(self._program, "get-sink-volume", "@DEFAULT_SINK@"))

    async def set(self, level: float) -> None:
        """Set all channels of the sink to ``level`` and unmute it."""
        await _run(
            self._program, "set-sink-volume", "@DEFAULT_SINK@", str(round(level * PULSE_FULL))
        )
        await _run(self._program, "set-sink-mute", "@DEFAULT_SINK@", "0")

    async def identify(self) -> str:
        """Return the default sink's name and the server's cookie, which each start makes anew."""
        return parse_pactl_info(await _run(self._program, "info"))

    async def is_dummy(self) -> bool:
        """Return whether the server has no device: its default sink is the one it makes then."""
        return (await _run(self._program, "get-default-sink")).strip() == DUMMY_SINK

    async def watch(self, on_change: Callable[[], None]) -> None:
        """Call ``on_change`` when sinks come or go or the default changes, until the server ends."""
        process = await asyncio.create_subprocess_exec(
            self._program, "subscribe", env={**os.environ, "LC_ALL": "C"},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while process.stdout and (line := await process.stdout.readline()):
                if SINK_EVENT.search(line):
                    on_change()
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def close(self) -> None:
        """Do nothing: no device is held between calls."""


def parse_pactl(text: str) -> float:
    """Parse the level from the output of ``pactl get-sink-volume`` (raw values; full is 65536).

    Raises:
        UnavailableError: it has no channel's volume.
    """
    raw = [int(found) for found in re.findall(r":\s*(\d+)\s*/", text)]
    if not raw:
        raise UnavailableError("pactl: the default sink has no volume")
    return min(1.0, max(raw) / PULSE_FULL)


def parse_pactl_info(text: str) -> str:
    """Return the lines of ``pactl info`` that name the server's run and its default sink."""
    wanted = ("Cookie:", "Default Sink:")
    return " ".join(line for line in text.splitlines() if line.startswith(wanted))


async def _run(program: str, *arguments: str) -> str:
    """Run a mixer program and return its output; raises UnavailableError with its message."""
    name = Path(program).name
    try:
        process = await asyncio.create_subprocess_exec(
            program, *arguments, env={**os.environ, "LC_ALL": "C"},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:  # removed, wrong architecture, or out of memory
        raise UnavailableError(f"{name}: cannot be started: {error.strerror}") from error
    try:
        async with asyncio.timeout(PROGRAM_TIMEOUT):
            out, err = await process.communicate()
    except TimeoutError as error:
        raise UnavailableError(f"{name}: no answer in {PROGRAM_TIMEOUT:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        lines = err.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise UnavailableError(f"{name}: {lines[-1]}")
    return out.decode(errors="replace")


def _pulse_socket_exists() -> bool:
    server = os.environ.get("PULSE_SERVER", "")
    if server:
        return not server.startswith(("/", "unix:")) or Path(server.removeprefix("unix:")).exists()
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}"))
    folder = Path(os.environ.get("PULSE_RUNTIME_PATH", runtime / "pulse"))
    return (folder / "native").exists() or Path("/run/pulse/native").exists()


class AlsaMixer:
    """An ALSA simple control, through amixer (Debian's alsa-utils)."""

    def __init__(self, program: str, control: str) -> None:
        """Use `find`."""
        self._program = program
        self._control = control

    @property
    def name(self) -> str:
        """The control in use."""
        return f"ALSA: {self._control}"

    @classmethod
    async def find(cls) -> AlsaMixer | None:
        """Return a mixer for the first known control that amixer can read, or None."""
        program = shutil.which("amixer")
        if program is None:
            return None
        for control in ALSA_CONTROLS:
            mixer = cls(program, control)
            try:
                await mixer.get()
            except UnavailableError:
                continue
            return mixer
        return None

    async def get(self) -> float:
        """Return the control's level, 0.0 while it is muted."""
        return parse_amixer(await _run(self._program, "-M", "sget", self._control))

    async def set(self, level: float) -> None:
        """Set the control on its mapped (perceived) scale and unmute it if it has a mute switch."""
        percent = f"{round(level * 100)}%"
        await _run(self._program, "-M", "sset", self._control, percent, "unmute")

    async def identify(self) -> str:
        """Return the kernel's list of cards: the control is of the default one."""
        return await asyncio.to_thread(_read_cards)

    async def close(self) -> None:
        """Do nothing: no device is held between calls."""


def _read_cards() -> str:
    try:
        return CARDS.read_text(errors="replace")
    except OSError:  # a machine without ALSA in its kernel, whose control is a plug-in's
        return ""


def parse_amixer(text: str) -> float:
    """Parse the level (0.0 to 1.0, 0.0 when muted) from the output of ``amixer sget``.

    Raises:
        UnavailableError: the control has no playback volume.
    """
    percents = [int(found) for found in re.findall(r"\[(\d+)%\]", text)]
    if not percents:
        raise UnavailableError("amixer: the control has no volume")
    if "[off]" in text and "[on]" not in text:
        return 0.0
    return sum(percents) / len(percents) / 100
