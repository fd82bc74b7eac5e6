"""The agent's settings: one TOML file in which every member is optional.

The file is /etc/story-agent/agent.toml on a machine. The operator writes the settings; the profile
is separate because the factory writes it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import field
from enum import StrEnum
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from agent.media_place import is_around, own_folder_around
from agent.settings_files import layers_of, read_layers
from agent.settings_values import convert, convert_networks
from audio.speex import DEFAULT_QUALITY
from audio.vad import VadKind
from audio.wake_kinds import ReadyWord
from base import zone
from machine.button_settings import ButtonSettings, LightSettings
from machine.capture_kinds import BackEndKind
from ota.trust.terms import DEFAULT_CHANNEL
from resources.announce.settings import SoundsSettings
from resources.energy.settings import BatterySettings
from resources.playing.resume import Choice
from wire.errors import FieldError, WireError
from wire.ota import InstallerKind
from wire.records import dataclass
from wire.voice import HeaderStyle


class SettingsError(WireError):
    """The settings file is invalid; the message names file, member and what was expected."""


class LinkKind(StrEnum):
    """Which protocol the cloud link speaks."""

    AUTO = "auto"
    """The one in the profile's ``configures.link``, else framed CoAP."""
    COAP = "coap"
    """Framed CoAP over TLS, as in the document."""
    MQTT = "mqtt"
    """MQTT 5 over TLS, to a cloud behind a broker; needs the extra [mqtt]."""


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """The cloud link."""

    kind: LinkKind = LinkKind.AUTO
    """``auto`` (as the profile says, else ``coap``), ``coap`` or ``mqtt``."""
    mqtt_port: int = 0
    """The broker's port; 0: the profile's ``configures.mqttPort``, else 8883."""
    client_certificate: str = ""
    """File of a client certificate for the broker, in place of the token; empty: the token."""
    client_key: str = ""
    """File of its key; empty: the key is in the same file."""
    keepalive_seconds: float = 55.0
    """Interval of the ``alive`` report, as in the document."""
    connect_timeout_seconds: float = 15.0
    """TCP, TLS and registration together; TLS alone takes about 1 s on a Pi Zero."""
    retry_max_seconds: float = 60.0
    """The longest wait between tries while the network or the cloud is down."""
    refused_retry_seconds: float = 300.0
    """The wait after the cloud refused the device or failed verification; retries rarely help."""


class Band(StrEnum):
    """How much of a voice is sent."""

    NARROW = "narrow"
    """8,000 samples/s, as the document has it."""
    WIDE = "wide"
    """16,000 samples/s: twice the bytes, recognised better (docs/recognition.md)."""

    @property
    def rate(self) -> int:
        """Samples a second."""
        return 8000 if self is Band.NARROW else 16000


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    """How utterances are heard and sent (docs/listening.md)."""

    style: HeaderStyle = HeaderStyle.LENGTH32
    """Frame headers: ``length32`` (open API document) or ``spx`` (late-2017 SDK)."""
    quality: int = DEFAULT_QUALITY
    """Speex quality, 0 to 10; 8 gives the document's 38-byte frames."""
    max_seconds: float = 60.0
    """The longest utterance of a file; the rest is cut off. The microphone's have 15 s."""
    microphone: str = ""
    """The device or the sound server's source: an index, a name or a part of one; empty: the default."""
    capture: BackEndKind = BackEndKind.AUTO
    """What records: ``auto``, ``sounddevice``, ``parec`` or ``arecord``."""
    vad: VadKind = VadKind.AUTO
    """What tells speech from other sound: ``auto``, ``silero``, ``webrtc`` or ``energy``."""
    band: Band = Band.NARROW
    """``narrow`` (8 kHz) or ``wide`` (16 kHz); utterances from files keep their own rate."""
    pause_seconds: float = 0.7
    """The silence that ends what is said into the microphone."""
    remote_listen: bool = False
    """Whether the cloud may open the microphone, as a tester's button in the console does; on benches only."""


@dataclass(frozen=True, slots=True)
class WakeSettings:
    """The wake word (docs/wake.md)."""

    on: bool = False
    """Whether the microphone is left open for the words that ``story-agent wake enrol`` has recorded."""
    while_playing: bool = False
    """Whether it is heard over a story too; only where the echo is cancelled (docs/listening.md)."""
    ready: ReadyWord = ReadyWord.NONE
    """An English word that needs no recording: ``okay_nabu``, ``hey_jarvis``, ``hey_mycroft``, ``alexa``."""


@dataclass(frozen=True, slots=True)
class PlaySettings:
    """Playback."""

    media_folder: Path = Path("media")
    """Songs and stories; relative to the state folder."""
    allow_networks: tuple[str, ...] = ()
    """Private networks that stories may come from (["192.168.1.0/24"]); empty: the Internet only."""
    resume: Choice = Choice.AUTO
    """Whether titles go on where they were left: ``auto`` (those of 10 minutes and more), ``story``, ``song``."""
    cache_bytes: int = 200 * 1024 * 1024
    """How much of what came from the web is kept for the next time; 0: nothing."""


@dataclass(frozen=True, slots=True)
class SwitchSettings:
    """Power-off."""

    armed: bool = False
    """Whether ``switch`` powers the machine off; set it on real machines only."""
    idle_minutes: int = 0
    """Minutes without a story, an update or an order after which it powers off; 0: never."""


class SoundCheck(StrEnum):
    """Which output must play a new version's chime."""

    AUTO = "auto"
    """A sound device, if the previous version's chime was played by one."""
    DEVICE = "device"
    """A sound device."""
    OFF = "off"
    """No chime is played."""


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """The checks that a new version must pass, in addition to registering and serving."""

    sound: SoundCheck = SoundCheck.AUTO
    """Whether a chime must be played: ``auto``, ``device`` or ``off``."""
    chime_volume: int = 10
    """The chime's volume in percent of the machine's; 0 checks the audio path silently."""
    checks_folder: Path = Path("/etc/story-agent/health.d")
    """Folder of programs that must exit with 0; relative to the state folder. May be missing."""
    check_timeout_seconds: float = 30.0
    """Time limit of each program."""


@dataclass(frozen=True, slots=True)
class OtaSettings:
    """Updates."""

    product: str = "story-machine"
    """The product whose packages this machine accepts."""
    batch: str = ""
    """The factory batch, reported in ``package_info``."""
    root_file: Path = Path("root.json")
    """The TUF root shipped with the machine; relative to the state folder."""
    repository: str = ""
    """Base URL of the TUF repository; empty: the profile's ``configures.otaRepository``."""
    installer: InstallerKind = InstallerKind.SLOTS
    """``slots`` (releases of the agent) or ``rauc`` (images of the whole system)."""
    hardware: str = ""
    """This board's name in releases; empty: the device tree's first ``compatible``."""
    support_end: str = ""
    """The day until which the maker mends faults ("2031-12-31"); empty: the release's own."""
    channel: str = DEFAULT_CHANNEL
    """The channel whose releases this machine accepts."""
    window: str = ""
    """When an update may restart the machine, in local time ("02:00-05:00"); empty: any time."""
    delta: bool = True
    """Whether to download only the parts of an image that the running one lacks (``rauc``)."""
    max_bytes_per_second: int = 0
    """Limit on the download rate, so that a story can stream meanwhile; 0: no limit."""
    confirm_timeout_seconds: float = 120.0
    """Time for a new version to pass its health check before it is rolled back."""


@dataclass(frozen=True, slots=True)
class ClockSettings:
    """Hours: of the family's rules, the night, the sleep timer and the window for updates."""

    zone: str = ""
    """The zone in which they are judged, such as ``Asia/Shanghai``; empty: the machine's own."""


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """Reports queued until the cloud has answered them."""

    max_bytes: int = 4 * 1024 * 1024
    """Above this, the oldest data-point reports are dropped; other reports never are."""


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """Local access; the Unix socket in the state folder is always served."""

    http_port: int = 0
    """HTTP on 127.0.0.1; 0: off."""
    coap_port: int = 0
    """CoAP over UDP on 127.0.0.1; 0: off."""
    https_port: int = 0
    """HTTPS on ``https_address``, with the token in the state folder's ``local-token``; 0: off."""
    https_address: str = "0.0.0.0"  # noqa: S104  # whoever sets the port wants the home network
    """The address of this machine on which HTTPS is served."""
    oscore_port: int = 0
    """CoAP over UDP with OSCORE on ``oscore_address``, for clients of ``story-agent lan``; 0: off. Needs the extra [oscore]."""
    oscore_address: str = "0.0.0.0"  # noqa: S104  # whoever sets the port wants the home network
    """The address of this machine on which CoAP with OSCORE is served."""
    announce: bool = False
    """Whether HTTPS is announced by mDNS; needs the extra [mdns]."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; each member is a table of the file."""

    link: LinkSettings = field(default_factory=LinkSettings)
    voice: VoiceSettings = field(default_factory=VoiceSettings)
    buttons: ButtonSettings = field(default_factory=ButtonSettings)
    light: LightSettings = field(default_factory=LightSettings)
    play: PlaySettings = field(default_factory=PlaySettings)
    sounds: SoundsSettings = field(default_factory=SoundsSettings)
    battery: BatterySettings = field(default_factory=BatterySettings)
    switch: SwitchSettings = field(default_factory=SwitchSettings)
    ota: OtaSettings = field(default_factory=OtaSettings)
    health: HealthSettings = field(default_factory=HealthSettings)
    outbox: OutboxSettings = field(default_factory=OutboxSettings)
    local: LocalSettings = field(default_factory=LocalSettings)
    wake: WakeSettings = field(default_factory=WakeSettings)
    clock: ClockSettings = field(default_factory=ClockSettings)


TABLES: Mapping[str, type[Any]] = get_type_hints(Settings)
"""The tables of the file, by their names."""

# The unit's; other state folders are named.
STATE = Path("/var/lib/story-agent")
# The 7-bit addresses of chips: I2C-bus specification UM10204, section 3.1.12.
CHIP_ADDRESSES = (0x08, 0x77)


def load_settings(path: Path | None) -> Settings:
    """Read the settings file and its drop-ins; None means the defaults.

    Raises:
        SettingsError: a file cannot be read, is not TOML, or a member is unknown or invalid. The message has the
            first fault; ``story-agent config check`` tells all.
    """
    if path is None:
        return Settings()
    layers = read_layers(path)
    settings, faults = judge(layers.merged())
    if layers.faults:
        told = layers.faults[0]
        raise SettingsError(f"settings {told.file}: {told}") from told
    if faults:
        layer = layers.origin(faults[0].field)
        file = path if layer is None else layer.file
        raise SettingsError(f"settings {file}: {faults[0]}") from faults[0]
    return settings


def parse_settings(text: str) -> Settings:
    """Parse settings from TOML text; raises WireError that names the first member that is wrong."""
    layers = layers_of(text)
    settings, faults = judge(layers.merged())
    for fault in (*layers.faults, *faults):
        raise fault
    return settings


def judge(source: Mapping[str, object]) -> tuple[Settings, list[FieldError]]:
    """Return the settings, where what is wrong has its default, and all that is wrong."""
    faults = [
        FieldError(name, table, nearest(name, TABLES, "one of the tables "))
        for name, table in source.items()
        if name not in TABLES or not isinstance(table, dict)
    ]
    built: dict[str, Any] = {}
    for name, kind in TABLES.items():
        table = source.get(name)
        built[name], wrong = _build_table(name, kind, table if isinstance(table, dict) else {})
        faults += wrong
    # A default in place of a fault would disagree with the rest.
    spoiled = {fault.field.partition(".")[0] for fault in faults}
    return Settings(**built), [*faults, *_disagreements(built, spoiled)]


def doubts_of(settings: Settings, state: Path = STATE) -> Iterator[FieldError]:
    """Return the settings that do nothing or may do harm, each with what should be in its place.

    Machines have run with them for years: they are told, and refused by nothing, so that no update ends at them.
    """
    if fault := _doubt_media(settings.play.media_folder, state):
        yield fault
    light, buttons = settings.light, settings.buttons
    if settings.clock.zone and not zone.has(settings.clock.zone):
        yield FieldError(
            "clock.zone", settings.clock.zone,
            "a zone that this machine has, such as Asia/Shanghai: hours are judged in its own instead",
        )  # fmt: skip
    if settings.ota.repository and not _is_web_address(settings.ota.repository):
        from agent.config.hiding import hide  # noqa: PLC0415  # only of a fault

        expected = "an http(s) URL without user and password"
        yield FieldError("ota.repository", hide(settings.ota.repository), expected)
    if _share_a_port(settings.local):
        yield FieldError(
            "local.http_port", settings.local.http_port, "another port than local.https_port"
        )
    if light.led and light.gpio >= 0:
        yield FieldError(
            "light.gpio", light.gpio, "-1, or no light.led beside it: only light.led counts"
        )
    if buttons.talk_code and not buttons.input:
        yield FieldError(
            "buttons.talk_code", buttons.talk_code, "0, or buttons.input beside it: no key is read"
        )


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_complete = bool(parts.hostname) and parts.port != 0 and not set(url) & set(" @")
    except ValueError:  # brackets without an end, a port that is none
        return False
    return is_complete and parts.scheme in {"http", "https"}


def _share_a_port(local: LocalSettings) -> bool:
    """Return whether HTTP on 127.0.0.1 and HTTPS want one port of one address."""
    is_met = local.https_address in {"127.0.0.1", "0.0.0.0"}  # noqa: S104  # nothing is bound here
    return is_met and local.http_port == local.https_port > 0


def _doubt_media(media: Path, state: Path) -> FieldError | None:
    """Return why the stories had better lie elsewhere, None if they lie well."""
    if is_around(state, media):
        expected = (
            "a folder for stories alone, such as media: this one has the agent's own files in it"
        )
    elif own := own_folder_around(state, media):
        expected = (
            f"a folder for stories alone, such as media: the agent keeps files of its own in {own}"
        )
    else:
        return None
    return FieldError("play.media_folder", str(media), expected)


def _disagreements(built: Mapping[str, Any], spoiled: Collection[str]) -> Iterator[FieldError]:
    checks: tuple[tuple[Callable[..., object], tuple[str, ...]], ...] = (
        (_check_certificate, ("link",)), (_check_network, ("local",)), (_check_levels, ("battery",)),
        (_check_address, ("battery",)), (_check_lines, ("buttons", "light")), (ButtonSettings.reset_keys, ("buttons",)),
    )  # fmt: skip
    for check, names in checks:
        if set(names) & set(spoiled):
            continue
        try:
            check(*(built[name] for name in names))
        except FieldError as fault:
            yield fault


def nearest(name: str, names: Iterable[str], otherwise: str) -> str:
    """Return what was expected in place of an unknown name: the nearest one first."""
    from difflib import get_close_matches  # noqa: PLC0415  # only of a fault

    known = list(names)
    near = get_close_matches(name, known, 1)
    listed = f"{otherwise}{', '.join(known)}"
    return f"{near[0]} ({listed})" if near and near[0] != name else listed


def _check_certificate(link: LinkSettings) -> None:
    """Refuse a key without its certificate: the machine would log in by its token, unnoticed."""
    if link.client_key and not link.client_certificate:
        raise FieldError(
            "link.client_key", link.client_key, "link.client_certificate beside it, or no key"
        )


def _check_network(local: LocalSettings) -> None:
    addresses = {"https_address": local.https_address, "oscore_address": local.oscore_address}
    for name, address in addresses.items():
        if not _is_bindable(address):
            raise FieldError(
                f"local.{name}", address,
                "an IP address of this machine, 0.0.0.0 for all, or one of fe80:: with its interface (fe80::1%eth0)",
            )  # fmt: skip
    if local.oscore_port and local.oscore_port == local.coap_port:
        raise FieldError(
            "local.oscore_port", local.oscore_port, "another port than local.coap_port"
        )


def _is_bindable(address: str) -> bool:
    """Return whether it is an IP address, with the interface behind it where it is link-local and only there."""
    number, percent, zone = address.partition("%")
    try:
        raw = socket.inet_pton(socket.AF_INET6 if ":" in number else socket.AF_INET, number)
    except (OSError, ValueError):
        return False
    is_link_local = len(raw) == 16 and raw[0] == 0xFE and raw[1] & 0xC0 == 0x80
    return bool(zone) if is_link_local else not percent


def _check_levels(battery: BatterySettings) -> None:
    """Refuse a level that would power the machine off before any of its warnings."""
    first = max(battery.warn_percent, battery.warn_again_percent)
    if 0 < first <= battery.off_percent:
        raise FieldError(
            "battery.off_percent",
            battery.off_percent,
            f"less than the first warning's {first}, or 0",
        )


def _check_address(battery: BatterySettings) -> None:
    """Refuse an address that I²C reserves for other things than chips; 0 is the chip's usual one."""
    first, last = CHIP_ADDRESSES
    if battery.address and not first <= battery.address <= last:
        raise FieldError(
            "battery.address",
            battery.address,
            f"0, or a chip's address from {first:#04x} to {last:#04x}: I2C reserves the others",
        )


def _check_lines(buttons: ButtonSettings, light: LightSettings) -> None:
    """Refuse two keys, or a key and the light, on one line of one chip."""
    taken: dict[int, str] = {}
    if light.gpio >= 0 and light.chip == buttons.chip:
        taken[light.gpio] = "light.gpio"
    for key, line in buttons.lines():
        if line in taken:
            raise FieldError(f"buttons.{key}", line, f"another line than {taken[line]}")
        taken[line] = f"buttons.{key}"


def _build_table(
    table: str, kind: type[Any], source: Mapping[str, object]
) -> tuple[Any, list[FieldError]]:
    """Return the table, where what is wrong has its default, and all that is wrong."""
    types = get_type_hints(kind)
    values: dict[str, object] = {}
    faults: list[FieldError] = []
    for name, value in source.items():
        try:
            if name not in types:
                raise FieldError(f"{table}.{name}", value, _place_of(name, types))
            change = convert_networks if types[name] == tuple[str, ...] else convert
            values[name] = change(f"{table}.{name}", types[name], value)
        except FieldError as fault:
            faults.append(fault)
    return kind(**values), faults


def _place_of(name: str, types: Mapping[str, object]) -> str:
    """Return what was expected in place of an unknown member: it may belong to another table."""
    homes = [f"{table}.{name}" for table, kind in TABLES.items() if name in get_type_hints(kind)]
    if homes:
        return f"{homes[0]} (one of {', '.join(types)})"
    return nearest(name, types, "one of ")
