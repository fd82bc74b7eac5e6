"""What cloud and device tell each other about the family that owns a machine (docs/adr/0051). Ours, not the document's.

``PUT /family`` from the cloud, to devices that say that they read it (`wire.abilities.FAMILY`): ``{"bindToken": 32 hex
digits, "since": ms, "voiceDays": days}``, each of which may be missing. The device answers 2.04 when a new bind token is
on its disk, and shows this one from then on; ``since`` is the time (Unix, milliseconds) up to which everything is of a
family that has gone. ``voiceDays`` says how long the cloud keeps voice; 0: until it is erased.

The report ``voice_erase`` from the device, to clouds that read it (`wire.abilities.VOICE_ERASE`): ``{"utterances":
[{"id": number, "at": ms}, …]}``. Its 2.04 means that the cloud has erased them wherever it had them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import StrEnum

from wire.errors import FieldError
from wire.fields import INT64_MAX, dump_object, get_int, get_string, is_object, parse_object
from wire.profile import BIND_TOKEN_PATTERN
from wire.records import dataclass

FAMILY_PATH = ("family",)
KEY_VOICE_ERASE = "voice_erase"
# Utterances in one report: with its frame it fits into one message of 2,048 bytes.
ERASE_LIMIT = 20
# A century; "for ever" is 0.
DAYS_MAX = 36_500


class Why(StrEnum):
    """Why a microphone was opened, or voice was sent without one."""

    BUTTON = "button"
    WORD = "word"
    COMMAND = "command"
    """``story-agent listen``, or a program on the machine's socket."""
    CLOUD = "cloud"
    """The cloud's wish, where the machine's settings allow it."""
    FILE = "file"
    """No microphone: ``story-agent say`` or a program sent a sound."""


@dataclass(frozen=True, slots=True)
class Family:
    """What the cloud tells a device of its family; None: nothing is said about it."""

    bind_token: str | None = field(default=None, repr=False)
    since: int | None = None
    voice_days: int | None = None

    def to_payload(self) -> bytes:
        """Build the payload of ``PUT /family``."""
        told = {"bindToken": self.bind_token, "since": self.since, "voiceDays": self.voice_days}
        return dump_object({name: value for name, value in told.items() if value is not None})


def parse_family(payload: bytes) -> Family:
    """Parse the payload of ``PUT /family``; raises WireError that names the member."""
    source = parse_object(payload, "family")
    token = None
    if "bindToken" in source:
        token = get_string(source, "bindToken", secret=True)
        if not BIND_TOKEN_PATTERN.fullmatch(token):
            raise FieldError("bindToken", token, "32 hexadecimal digits", secret=True)
    since = get_int(source, "since", high=INT64_MAX) if "since" in source else None
    days = get_int(source, "voiceDays", high=DAYS_MAX) if "voiceDays" in source else None
    return Family(token and token.lower(), since, days)


@dataclass(frozen=True, slots=True)
class Spoken:
    """An utterance as its device names it: the number in its segments, and when it began (Unix, ms)."""

    id: int
    at: int


def erase_report(spoken: Sequence[Spoken]) -> dict[str, object]:
    """Build the report that asks the cloud to erase at most `ERASE_LIMIT` utterances."""
    listed = [{"id": each.id, "at": each.at} for each in spoken[:ERASE_LIMIT]]
    return {KEY_VOICE_ERASE: {"utterances": listed}}


def parse_erase(value: object) -> tuple[Spoken, ...]:
    """Parse the value of ``voice_erase``; raises FieldError that names the member."""
    listed = value.get("utterances") if is_object(value) else None
    path = f"{KEY_VOICE_ERASE}.utterances"
    if not isinstance(listed, list) or not 0 < len(listed) <= ERASE_LIMIT:
        raise FieldError(path, listed, f"a list of 1 to {ERASE_LIMIT} utterances")
    return tuple(_spoken(entry, f"{path}[{number}]") for number, entry in enumerate(listed))


def _spoken(value: object, path: str) -> Spoken:
    if not is_object(value):
        raise FieldError(path, value, "an object with id and at")
    source: Mapping[str, object] = value
    high = INT64_MAX
    return Spoken(
        get_int(source, "id", path=f"{path}.", high=high),
        get_int(source, "at", path=f"{path}.", high=high),
    )
