"""The settings' tables ``buttons`` and ``light``."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from wire.errors import FieldError
from wire.records import dataclass

# No line is connected.
NONE = -1
# Of a factory reset by hand.
RESET_KEYS_MIN = 2


class Key(StrEnum):
    """What a button does; the values are the members of the settings."""

    TALK = "talk"
    MUTE = "mute"
    PLAY_PAUSE = "play_pause"
    NEXT = "next"
    PREVIOUS = "previous"
    VOLUME_UP = "volume_up"
    VOLUME_DOWN = "volume_down"


class Reader(StrEnum):
    """What reads the lines."""

    AUTO = "auto"
    """The kernel's device if there is one, else gpiozero."""
    CHIP = "chip"
    """/dev/gpiochipN, without any library."""
    GPIOZERO = "gpiozero"
    """The extra [gpio]: its pin factories know boards and pins over a network."""


class Pull(StrEnum):
    """The resistor inside the chip."""

    UP = "up"
    DOWN = "down"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ButtonSettings:
    """The machine's own buttons (docs/listening.md); the numbers are GPIO lines, -1: there is none."""

    talk: int = NONE
    """Hold to speak, or tap and speak; a press while the machine listens cancels."""
    mute: int = NONE
    """Closes the microphone, and allows it again."""
    play_pause: int = NONE
    """Pauses the story, and goes on with it."""
    next: int = NONE
    """The next title."""
    previous: int = NONE
    """The title before, or this one from its beginning."""
    volume_up: int = NONE
    """Louder by one step."""
    volume_down: int = NONE
    """Quieter by one step."""
    pull: Pull = Pull.UP
    """``up``, ``down`` or ``none`` (a resistor on the board)."""
    active_low: bool = True
    """Whether a pressed button connects its line to ground."""
    reader: Reader = Reader.AUTO
    """``auto``, ``chip`` or ``gpiozero``."""
    chip: str = ""
    """The kernel's device (``/dev/gpiochip0``); empty: the one of the Raspberry Pi's header, else the first."""
    input: str = ""
    """Keys of an input device (gpio-keys, USB, Bluetooth): ``all``, or a part of its name; empty: none."""
    talk_code: int = 0
    """The input device's key code that is the talk button; 0: KEY_VOICECOMMAND or KEY_RECORD."""
    reset: str = ""
    """Buttons that, held together while the machine starts, erase what the family has left: ``volume_down+next``;
    empty: none."""
    reset_seconds: float = 10.0
    """How long they are held for that."""

    def reset_keys(self) -> frozenset[Key]:
        """Return the keys of ``reset``; raises FieldError if one is no button of this machine."""
        names = [name for name in self.reset.split("+") if name] if self.reset else []
        lines, by_input = dict(self.lines()), bool(self.input)
        for name in names:
            if name not in set(Key) or not (by_input or Key(name) in lines):
                raise FieldError(
                    "buttons.reset", self.reset, "buttons of this machine, joined by +"
                )
        if self.reset and len(set(names)) < RESET_KEYS_MIN:
            raise FieldError(
                "buttons.reset",
                self.reset,
                "two buttons or more, as volume_down+next: a child leans on one",
            )
        return frozenset(Key(name) for name in names)

    def lines(self) -> Iterator[tuple[Key, int]]:
        """Return the keys that have a line, and the lines."""
        for key in Key:
            line = getattr(self, key.value)
            if line != NONE:
                yield key, line


@dataclass(frozen=True, slots=True)
class LightSettings:
    """The light that is on whenever the microphone is open (docs/listening.md)."""

    led: str = ""
    """A light of the kernel's by its name in /sys/class/leds; empty: none."""
    gpio: int = NONE
    """A GPIO line; -1: none. Prefer ``led``, which goes out also when the agent is killed."""
    active_low: bool = False
    """Whether the line is low while the light is on."""
    chip: str = ""
    """As ``buttons.chip``."""


def check_led(name: str, member: str) -> str:
    """Return a name that a light in /sys/class/leds may have; raises FieldError."""
    if "/" in name or name in {".", ".."}:
        raise FieldError(member, name, "the name of a folder in /sys/class/leds")
    return name
