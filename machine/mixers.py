"""The supported mixers: the sound server (PulseAudio, PipeWire), ALSA, or a stand-in."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from machine.errors import UnavailableError
from machine.outputs import Outputs, decibels
from machine.programs import find_on_path, run_program
from machine.pulse import NoSuchSinkError, PulseConnection, addresses, is_there
from machine.pulse_wire import (
    FULL,
    Command,
    PulseWireError,
    Server,
    Sink,
    Stream,
    Writer,
    read_server,
    read_sinks,
    read_streams,
)

# amixer answers in about 10 ms; a hung sound card must not block a request.
PROGRAM_TIMEOUT = 3.0
# Names that Raspberry Pi and USB sound cards use, in the order in which they are tried.
ALSA_CONTROLS = ("Master", "PCM", "Digital", "Headphone", "Speaker")
# amixer's words where there is no mixer to look for controls in.
NO_MIXER = "Mixer attach"
# The machine's level until somebody sets one: step 8 of 16, -20 dB.
DEFAULT_LEVEL = 10 ** (-20 / 60)
# module-always-sink (PulseAudio) and pipewire-pulse name it so.
DUMMY_SINK = "auto_null"
CARDS = Path("/proc/asound/cards")
# What the kernel writes while there is none.
NO_CARDS = "--- no soundcards ---"
# A chain of filters is followed so far: a circle of them must not hold us.
CHAIN_LIMIT = 8

_log = logging.getLogger(__name__)


class Mixer(Protocol):
    """A mixer of the machine; levels as in `machine.outputs`."""

    @property
    def name(self) -> str:
        """One line for people: the mixer in use."""

    @property
    def rank(self) -> int:
        """A machine that has had a mixer is not content with one of a lower rank."""

    @property
    def alive(self) -> bool:
        """Whether it is still there, as far as is known."""

    @property
    def tells(self) -> bool:
        """Whether it calls ``on_change`` at each change, its end included."""

    async def read(self) -> Outputs:
        """Return the outputs with their levels; raises UnavailableError."""

    async def put(self, levels: Mapping[str, float]) -> None:
        """Set the level of outputs by their keys, and unmute them; raises UnavailableError."""

    async def close(self) -> None:
        """Release the device."""


async def find_mixer(on_change: Callable[[], None]) -> Mixer:
    """Return the first mixer that works: the sound server, then ALSA.

    The stand-in is the mixer only of a machine on which nothing can sound: without a sound server
    and without a card. ``on_change`` is called when a mixer that can tell sees a change.

    Raises:
        UnavailableError: there is a server or a card, but none whose level can be set.
    """
    faults: list[str] = []
    for find in (PulseMixer.find, AlsaMixer.find):
        try:
            if (mixer := await find(on_change)) is not None:
                return mixer
        except UnavailableError as error:
            faults.append(str(error))
    if faults:
        raise UnavailableError("; ".join(faults))
    return StandInMixer()


def read_surroundings() -> str | None:
    """Return text that changes if another mixer may be found; None: one may come at any moment.

    The latter is while a sound server's socket is there, since the server may be starting. Both are in
    memory (a temporary file system, the kernel): looking takes 10 microseconds.
    """
    return None if any(map(is_there, addresses(os.environ))) else read_cards()


class StandInMixer:
    """Keeps the level on a machine on which nothing can sound."""

    name = "no mixer found: volume is kept but not heard"
    rank = 0
    alive = True
    tells = False

    def __init__(self) -> None:
        """Start at the default level."""
        self._level = DEFAULT_LEVEL

    async def read(self) -> Outputs:
        """Return one output with the level that was put last."""
        return Outputs("", "", {"": self._level})

    async def put(self, levels: Mapping[str, float]) -> None:
        """Store the level."""
        self._level = levels.get("", self._level)

    async def close(self) -> None:
        """Do nothing: there is no device."""


class PulseMixer:
    """The sinks of PulseAudio, or of PipeWire's PulseAudio server."""

    name = "PulseAudio: default sink"
    rank = 2
    tells = True

    def __init__(self, connection: PulseConnection) -> None:
        """Use `find`."""
        self._connection = connection
        self._sinks: dict[str, Sink] = {}
        self._streams: dict[str, Stream] = {}

    @classmethod
    async def find(cls, on_change: Callable[[], None]) -> PulseMixer | None:
        """Return a mixer for the first server that answers, None where there is no server.

        Raises:
            UnavailableError: a server's socket is there, and no server answers.
        """
        fault: UnavailableError | None = None
        for address in addresses(os.environ):
            if is_there(address):
                try:
                    return cls(await PulseConnection.open(address, on_change))
                except UnavailableError as error:
                    fault = fault or error
        if fault is not None:
            raise fault
        return None

    @property
    def alive(self) -> bool:
        """Whether the server has not ended."""
        return self._connection.alive

    async def read(self) -> Outputs:
        """Ask the server for its default and all sinks."""
        asked = (
            Command.GET_SERVER_INFO, Command.GET_SINK_INFO_LIST, Command.GET_SINK_INPUT_INFO_LIST,
        )  # fmt: skip
        answers = await self._connection.request(*map(self._connection.message, asked))
        try:
            server, sinks = read_server(answers[0]), list(read_sinks(answers[1]))
            streams = list(read_streams(answers[2]))
        except PulseWireError as error:
            raise UnavailableError(f"sound server: {error}") from error
        self._sinks = {_key(sink): sink for sink in sinks}
        self._streams = {f"stream#{stream.index}": stream for stream in streams}
        boosted = {key for key, stream in self._streams.items() if stream.is_boosted}
        outputs = outputs_of(server, sinks)
        return replace(outputs, boosts=outputs.boosts | boosted)

    async def put(self, levels: Mapping[str, float]) -> None:
        """Set all channels, then unmute the sinks; one that has gone meanwhile is passed over."""
        for key, level in levels.items():
            if messages := self._messages(key, level):
                with contextlib.suppress(NoSuchSinkError):
                    await self._connection.request(*messages)
        if not self.alive:
            raise UnavailableError("sound server: has ended")

    def _messages(self, key: str, level: float) -> list[Writer]:
        if (stream := self._streams.get(key)) is not None:
            volumes = (round(level * FULL),) * len(stream.volumes)
            message = self._connection.message(Command.SET_SINK_INPUT_VOLUME)
            return [message.word(stream.index).volumes(volumes)]
        if (sink := self._sinks.get(key)) is None:
            return []
        volumes = (round(level * FULL),) * len(sink.volumes)
        message = self._connection.message(Command.SET_SINK_VOLUME)
        found = [message.word(sink.index).text(None).volumes(volumes)]
        if sink.muted:
            message = self._connection.message(Command.SET_SINK_MUTE)
            found.append(message.word(sink.index).text(None).flag(value=False))
        return found

    async def close(self) -> None:
        """End the connection."""
        await self._connection.close()


def outputs_of(server: Server, sinks: list[Sink]) -> Outputs:
    """Return the outputs of a server.

    A filter (echo cancellation, an equaliser) plays to another sink: the level is that sink's, since
    setting both would make the sound quieter twice.

    Raises:
        UnavailableError: the server has no output.
    """
    by_name = {sink.name: sink for sink in sinks}
    default = by_name.get(server.default_sink)
    for _ in range(CHAIN_LIMIT):
        if default is None or not default.is_filter or default.master not in by_name:
            break
        default = by_name[default.master]
    if default is None:
        raise UnavailableError("sound server: it has no output")
    devices = [sink for sink in sinks if not sink.is_filter or sink is default]
    boosts = [sink for sink in sinks if sink not in devices and sink.level > 1.0]
    return Outputs(
        run=str(server.cookie),
        default=_key(default),
        levels={_key(sink): sink.level for sink in devices},
        boosts=frozenset(map(_key, boosts)),
        is_dummy=default.name == DUMMY_SINK,
    )


def _key(sink: Sink) -> str:
    """Return a key: a card that comes again has its old name and another number."""
    return f"{sink.name}#{sink.index}"


async def _run(*command: str) -> str:
    """Run a mixer program and return its output; raises UnavailableError with its message."""
    return await run_program(command, PROGRAM_TIMEOUT, os.environ)


class AlsaMixer:
    """An ALSA simple control, through amixer (Debian's alsa-utils)."""

    rank = 1
    alive = True
    tells = False

    def __init__(self, program: str, control: str) -> None:
        """Use `find`."""
        self._program = program
        self._control = control
        self._in_decibels = False

    @property
    def name(self) -> str:
        """The control in use."""
        return f"ALSA: {self._control}"

    @classmethod
    async def find(cls, _on_change: Callable[[], None]) -> AlsaMixer | None:
        """Return a mixer for the first known control that amixer can read.

        Raises:
            UnavailableError: there is a card, and none of its controls is known.
        """
        program = find_on_path("amixer")
        for control in ALSA_CONTROLS if program else ():
            mixer = cls(str(program), control)
            try:
                await mixer.read()
            except UnavailableError as error:
                if NO_MIXER in str(error):  # another control's name would not help
                    break
                continue
            return mixer
        if not has_card(read_cards()):
            return None
        if program is None:
            raise UnavailableError("sound card: amixer is missing (package alsa-utils)")
        raise UnavailableError(
            "sound card: it has no control, expected " + ", ".join(ALSA_CONTROLS)
        )

    async def read(self) -> Outputs:
        """Return the control of the default card as one output."""
        text = await _run(self._program, "-M", "sget", self._control)
        level, self._in_decibels = parse_amixer(text)
        return Outputs(read_cards(), self._control, {self._control: level})

    async def put(self, levels: Mapping[str, float]) -> None:
        """Set the control, and its mute switch if it has one."""
        if (level := levels.get(self._control)) is not None:
            value = amixer_value(level, in_decibels=self._in_decibels)
            switch = "unmute" if level > 0 else "mute"  # the lowest volume need not be silent
            # "--" lets a negative number be no option.
            await _run(self._program, "-M", "--", "sset", self._control, value, switch)

    async def close(self) -> None:
        """Do nothing: no device is held between calls."""


def read_cards() -> str:
    """Return the kernel's list of sound cards, "" on a kernel without ALSA."""
    try:
        with open(CARDS, errors="replace") as file:  # noqa: PTH123  # each look at the level reads it
            return file.read()
    except OSError:
        return ""


def has_card(cards: str) -> bool:
    """Return whether the kernel's list names a card."""
    return bool(cards.strip()) and NO_CARDS not in cards


def amixer_value(level: float, *, in_decibels: bool) -> str:
    """Return what amixer is told for a level: decibels if the control knows them, else percents.

    Without them amixer's mapped scale (-M) is the only one that follows hearing.
    """
    if in_decibels and level > 0:
        return f"{decibels(level):.2f}dB"
    return f"{round(level * 100)}%"


def parse_amixer(text: str) -> tuple[float, bool]:
    """Parse the level, and whether it is in decibels, from the output of ``amixer -M sget``.

    A control's decibels are those of its loudest channel, and 0 dB is full.

    Raises:
        UnavailableError: the control has no playback volume.
    """
    percents = [int(found) for found in re.findall(r"\[(\d+)%\]", text)]
    if not percents:
        raise UnavailableError("amixer: the control has no volume")
    gains = [float(found) for found in re.findall(r"\[(-?[\d.]+)dB\]", text)]
    if ("[off]" in text and "[on]" not in text) or not any(percents):
        return 0.0, bool(gains)
    if gains:
        return 10 ** (max(gains) / 60), True
    return sum(percents) / len(percents) / 100, False
