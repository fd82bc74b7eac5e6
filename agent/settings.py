"""The agent's settings: one TOML file, every member optional, every mistake named.

The file is /etc/story-agent/agent.toml on a machine. The profile is not part of it: the profile is
the factory's, the settings are the operator's.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, get_type_hints

from audio.speex import DEFAULT_QUALITY
from ota.restart import parse_window
from ota.trust.terms import DEFAULT_CHANNEL
from wire.errors import FieldError, WireError
from wire.voice import HeaderStyle


class SettingsError(WireError):
    """The settings file cannot be used; the message names file, member and expectation."""


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """The cloud link."""

    keepalive_seconds: float = 55.0
    """How often ``alive`` is reported; the document's interval."""
    connect_timeout_seconds: float = 15.0
    """TCP, TLS and registration together; TLS alone takes about 1 s on a Pi Zero."""
    retry_max_seconds: float = 60.0
    """The longest wait between tries while the network or the cloud is away."""
    refused_retry_seconds: float = 300.0
    """The wait after the cloud refused us or was not the cloud of the profile: trying fast is vain."""


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    """How utterances are sent."""

    style: HeaderStyle = HeaderStyle.LENGTH32
    """Frame headers: ``length32`` (open API document) or ``spx`` (late-2017 SDK)."""
    quality: int = DEFAULT_QUALITY
    """Speex quality, 0 to 10; 8 gives the document's 38-byte frames."""
    max_seconds: float = 60.0
    """The longest utterance; what comes after is cut off."""


@dataclass(frozen=True, slots=True)
class PlaySettings:
    """What is played."""

    media_folder: Path = Path("media")
    """Songs and stories; relative to the state folder."""


@dataclass(frozen=True, slots=True)
class SwitchSettings:
    """Power-off."""

    armed: bool = False
    """Whether ``switch`` really powers the machine off; true on a real machine only."""


class InstallerKind(StrEnum):
    """What puts a package in place."""

    SLOTS = "slots"
    """A release of the agent, in a folder."""
    RAUC = "rauc"
    """An image of the whole system, by RAUC; the machine restarts."""


class SoundCheck(StrEnum):
    """What a new version's chime must come out of."""

    AUTO = "auto"
    """A sound device, if the version before had one."""
    DEVICE = "device"
    """A sound device."""
    OFF = "off"
    """There is no chime."""


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """What a new version must show before it stays, beside registering and serving."""

    sound: SoundCheck = SoundCheck.AUTO
    """Whether a chime must be played: ``auto``, ``device`` or ``off``."""
    chime_volume: int = 10
    """How loud the chime is, in percent of the machine's volume; 0 proves the path without a sound."""
    checks_folder: Path = Path("/etc/story-agent/health.d")
    """Programs that must end with 0; relative to the state folder. It need not be there."""
    check_timeout_seconds: float = 30.0
    """How long each of them may take."""


@dataclass(frozen=True, slots=True)
class OtaSettings:
    """Updates."""

    product: str = "story-machine"
    """The product whose packages this machine takes."""
    batch: str = ""
    """The factory batch, told in package_info."""
    root_file: Path = Path("root.json")
    """The TUF root that the machine was shipped with; relative to the state folder."""
    repository: str = ""
    """Base URL of the TUF repository; empty: the profile's ``configures.otaRepository``."""
    installer: InstallerKind = InstallerKind.SLOTS
    """``slots`` (releases of the agent) or ``rauc`` (images of the whole system)."""
    hardware: str = ""
    """This board, as releases spell it; empty: the device tree's first ``compatible``."""
    channel: str = DEFAULT_CHANNEL
    """The channel whose releases this machine takes."""
    window: str = ""
    """When an update may restart the machine, local time ("02:00-05:00"); empty: at any time."""
    delta: bool = True
    """Whether only those parts of an image are fetched that the running one lacks (``rauc``)."""
    max_bytes_per_second: int = 0
    """How fast a package is taken at most, so that a story streams on meanwhile; 0: no limit."""
    confirm_timeout_seconds: float = 120.0
    """How long a new version may take to prove itself before the old one comes back."""


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """Reports that wait for the link."""

    max_bytes: int = 4 * 1024 * 1024
    """Above this the oldest data-point reports are dropped, and only those."""


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """Access on the machine itself; the Unix socket in the state folder is always there."""

    http_port: int = 0
    """HTTP on 127.0.0.1; 0: off."""
    coap_port: int = 0
    """CoAP over UDP on 127.0.0.1; 0: off."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, one table of the file each."""

    link: LinkSettings = field(default_factory=LinkSettings)
    voice: VoiceSettings = field(default_factory=VoiceSettings)
    play: PlaySettings = field(default_factory=PlaySettings)
    switch: SwitchSettings = field(default_factory=SwitchSettings)
    ota: OtaSettings = field(default_factory=OtaSettings)
    health: HealthSettings = field(default_factory=HealthSettings)
    outbox: OutboxSettings = field(default_factory=OutboxSettings)
    local: LocalSettings = field(default_factory=LocalSettings)


_LIMITS: Mapping[str, tuple[float, float]] = {
    "link.keepalive_seconds": (1, 3600),
    "link.connect_timeout_seconds": (1, 300),
    "link.retry_max_seconds": (1, 3600),
    "link.refused_retry_seconds": (1, 86400),
    "voice.quality": (0, 10),
    "voice.max_seconds": (1, 600),
    "ota.confirm_timeout_seconds": (5, 3600),
    "ota.max_bytes_per_second": (0, 2**31),
    "health.chime_volume": (0, 100),
    "health.check_timeout_seconds": (1, 600),
    "outbox.max_bytes": (64 * 1024, 2**31),
    "local.http_port": (0, 65535),
    "local.coap_port": (0, 65535),
}

_NOT_EMPTY = frozenset({"ota.product", "ota.channel"})
# Text with a form of its own, checked by what will read it; empty stands for none.
_FORMS: Mapping[str, Callable[[str, str], object]] = {"ota.window": parse_window}


def load_settings(path: Path | None) -> Settings:
    """Read the settings file; None gives the defaults.

    Raises:
        SettingsError: the file cannot be read, is not TOML, or a member is unknown or wrong.
    """
    if path is None:
        return Settings()
    try:
        return parse_settings(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise SettingsError(f"settings {path}: {reason}") from error
    except WireError as error:
        raise SettingsError(f"settings {path}: {error}") from error


def parse_settings(text: str) -> Settings:
    """Read settings from TOML text; raises WireError naming the member."""
    try:
        source = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits; brackets without end
        raise WireError(f"not TOML: {error}") from error
    tables = {f.name: f.default_factory for f in fields(Settings)}
    for name, table in source.items():
        if name not in tables or not isinstance(table, dict):
            raise FieldError(name, table, "one of the tables " + ", ".join(tables))
    built = {
        name: _build_table(name, kind, source.get(name, {}))  # type: ignore[arg-type]
        for name, kind in tables.items()
    }
    return Settings(**built)


def _build_table(table: str, kind: type[Any], source: Mapping[str, object]) -> Any:
    types = get_type_hints(kind)
    values: dict[str, object] = {}
    for name, value in source.items():
        if name not in types:
            raise FieldError(f"{table}.{name}", value, "one of " + ", ".join(types))
        values[name] = _convert(f"{table}.{name}", types[name], value)
    return kind(**values)


def _convert(name: str, kind: type[Any], value: object) -> object:
    """Turn a TOML value into the member's type, or say what was expected."""
    low, high = _LIMITS.get(name, (0, 0))
    match value:
        case bool() if kind is bool:
            return value
        case int() | float() if kind in (int, float) and not isinstance(value, bool):
            if (kind is float or isinstance(value, int)) and low <= value <= high:
                return kind(value)
        case str() if kind is Path and value and value.isprintable():
            return Path(value)
        case str() if name in _FORMS:
            if value:
                _FORMS[name](value, name)
            return value
        case str() if kind is str and value.isprintable() and (value or name not in _NOT_EMPTY):
            return value
        case str() if issubclass(kind, StrEnum) and value in set(kind):
            return kind(value)
    raise FieldError(name, value, _expectation(kind, low, high))


def _expectation(kind: type[Any], low: float, high: float) -> str:
    if issubclass(kind, StrEnum):
        return "one of " + ", ".join(kind)
    if kind in (int, float):
        return f"{'an integer' if kind is int else 'a number'} from {low:g} to {high:g}"
    return {bool: "true or false", Path: "a path"}.get(kind, "a string of printable characters")
