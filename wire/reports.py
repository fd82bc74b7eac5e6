"""What a device sends to the cloud: the registration and the reports (device protocol, "Link").

Registration: ``CON POST /reg_for_control`` with uuid and token, answered 2.05 when accepted. In the
device protocol that answer has no payload; our cloud adds the time (docs/adr/0009) and what it
reads (`wire.abilities`), which other firmware ignores.
Report: ``POST /v1/device/data?deviceUuid=…&token=…`` with ``{"data": {key: value, …}}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field

from wire.abilities import MEMBER, Abilities, parse_reads, to_json
from wire.errors import FieldError, MissingFieldError, WireError
from wire.fields import dump_object, get_int, get_object, get_string, parse_object
from wire.records import dataclass
from wire.support import SUPPORT_END, parse_day

REGISTER_PATH = ("reg_for_control",)
REPORT_PATH = ("v1", "device", "data")
# Where our devices serve their self-description; 2017 firmware has none (docs/adr/0004).
DESCRIPTION_PATH = ("resource",)
# The reference client's interval; home routers keep idle NAT mappings at least a minute longer.
KEEPALIVE_SECONDS = 55.0
KEEPALIVE: Mapping[str, object] = {"alive": 0}

_SHA256 = re.compile("[0-9a-f]{64}")

KEY_ALIVE = "alive"
KEY_DEVICE_INFO = "device_info"
KEY_PACKAGE_INFO = "package_info"
KEY_OTA_EVENT = "ota_event"
KEY_OTA_STATE = "ota_state"
# Our extension: transaction, version, and the last log lines of a version that was rolled back.
KEY_OTA_LOG = "ota_log"
# Our extension: what is wrong with the machine itself, such as reports that a damaged card has lost.
KEY_TROUBLE = "device_trouble"
KEYS_VOICE = frozenset({"voice_control", "duer_voice"})
# Any other key in a report is a data point's new value (the open API's REPORT data).
KEYS_SYSTEM = KEYS_VOICE | {
    KEY_ALIVE,
    KEY_DEVICE_INFO,
    KEY_PACKAGE_INFO,
    KEY_OTA_EVENT,
    KEY_OTA_STATE,
    KEY_OTA_LOG,
    KEY_TROUBLE,
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """A device's credentials, sent in the registration's payload and in each report's query."""

    uuid: str
    token: str = field(repr=False)


def registration_payload(credentials: Credentials) -> bytes:
    """Build the payload of ``POST /reg_for_control``."""
    return dump_object({"deviceUUID": credentials.uuid, "token": credentials.token})


def parse_registration(payload: bytes) -> Credentials:
    """Parse the payload of ``POST /reg_for_control``; raises WireError that names the member."""
    source = parse_object(payload, "registration")
    return Credentials(get_string(source, "deviceUUID"), get_string(source, "token", secret=True))


@dataclass(frozen=True, slots=True)
class Registered:
    """What the cloud says when it accepts a registration; an older cloud says nothing.

    Attributes:
        time_ms: the cloud's time (Unix, milliseconds); None if it told none.
        reads: what the cloud reads beyond the device document.
    """

    time_ms: int | None = None
    reads: Abilities = frozenset()


def registration_answer(time_ms: int, reads: Abilities) -> bytes:
    """Build the payload of the 2.05 answer to a registration from the time (Unix, milliseconds).

    Earlier agents read ``time``, whole seconds.
    """
    told = {"time": time_ms // 1000, "time_ms": time_ms}
    return dump_object(told | {MEMBER: to_json(reads)})


def parse_registration_answer(payload: bytes) -> Registered:
    """Parse the payload of the 2.05 answer to a registration; an empty one tells nothing.

    Raises:
        WireError: the payload is not a JSON object, or a member is invalid.
    """
    if not payload:
        return Registered()
    source = parse_object(payload, "registration's answer")
    reads = parse_reads(source)
    if "time_ms" in source:
        return Registered(get_int(source, "time_ms"), reads)
    # Earlier clouds tell whole seconds.
    time_ms = get_int(source, "time") * 1000 if "time" in source else None
    return Registered(time_ms, reads)


@dataclass(frozen=True, slots=True)
class Alive:
    """What the answer to ``alive`` tells a device that reads deadlines.

    Attributes:
        time_ms: the cloud's time (Unix, milliseconds).
        twin: whether another machine uses the same identity.
    """

    time_ms: int
    twin: bool = False


def alive_answer(time_ms: int, *, twin: bool = False) -> bytes:
    """Build the payload of the answer to ``alive``, for a device that reads deadlines."""
    return dump_object({"time_ms": time_ms} | ({"twin": True} if twin else {}))


def parse_alive_answer(payload: bytes) -> Alive | None:
    """Return what the answer to ``alive`` tells, None if nothing."""
    try:
        source = parse_object(payload, "answer")
        return Alive(get_int(source, "time_ms"), source.get("twin") is True)
    except WireError:  # the document does not specify the payload
        return None


def report_query(credentials: Credentials) -> tuple[str, str]:
    """Build the two Uri-Query options of a report."""
    return (f"deviceUuid={credentials.uuid}", f"token={credentials.token}")


def parse_report_query(options: Iterable[str]) -> Credentials:
    """Parse a report's Uri-Query options; raises MissingFieldError."""
    values = dict(option.partition("=")[::2] for option in options)
    for name in ("deviceUuid", "token"):
        if not values.get(name):
            raise MissingFieldError(name, "a Uri-Query option with a value")
    return Credentials(values["deviceUuid"], values["token"])


def report_payload(data: Mapping[str, object]) -> bytes:
    """Build the payload of a report from its keys and values."""
    return dump_object({"data": data})


def parse_report(payload: bytes) -> dict[str, object]:
    """Parse a report's payload and return its ``data``, which has at least one key."""
    data = get_object(parse_object(payload, "report"), "data", secret=True)
    if not data:
        raise FieldError("data", data, "an object with at least one key")
    return data


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """The ``device_info`` report: the device's identity and network connection."""

    uuid: str
    bind_token: str = field(repr=False)
    firmware_version: str
    network_type: str
    mac: str
    ip: str
    ssid: str
    hostname: str
    reads: Abilities = frozenset()
    """What this device reads beyond the device document."""

    def to_json(self) -> dict[str, object]:
        """Build the value of ``device_info``."""
        return {
            "uuid": self.uuid,
            "bindToken": self.bind_token,
            "firmwareVersion": self.firmware_version,
            "networkType": self.network_type,
            "mac": self.mac,
            "ip": self.ip,
            "ssid": self.ssid,
            "hostname": self.hostname,
            MEMBER: to_json(self.reads),
        }


def abilities_report(uuid: str, reads: Abilities) -> dict[str, object]:
    """Build the report that tells a cloud, on each connection, what the device ``uuid`` reads."""
    return {KEY_DEVICE_INFO: {"uuid": uuid, MEMBER: to_json(reads)}}


@dataclass(frozen=True, slots=True)
class Sboms:
    """Which lists of parts (SBOM) lie beside the running code, as SHA-256 in hex; "": none does.

    Attributes:
        running: of the release that runs.
        base: of the base install, whose libraries a release uses that brings none.
    """

    running: str = ""
    base: str = ""

    def to_json(self) -> dict[str, str]:
        """Build the member ``sbom`` of ``package_info``, without what is not there."""
        told = {"sha256": self.running, "base_sha256": self.base}
        return {name: digest for name, digest in told.items() if digest}


@dataclass(frozen=True, slots=True)
class PackageInfo:
    """The ``package_info`` report: the running version, sent after every start."""

    product: str
    batch: str
    os_name: str
    developer: str
    version: str
    staged_version: str = ""
    sboms: Sboms = Sboms()
    support_end: str = SUPPORT_END
    """The day until which faults are mended, YYYY-MM-DD."""

    def to_json(self) -> dict[str, object]:
        """Build the value of ``package_info``."""
        told: dict[str, object] = {
            "version": "1.0",
            "product": self.product,
            "batch": self.batch,
            "os": {
                "name": self.os_name,
                "developer": self.developer,
                "staged_version": self.staged_version,
                "version": self.version,
            },
            "support_end": self.support_end,
        }
        if sboms := self.sboms.to_json():
            told["sbom"] = sboms
        return told


def parse_package_version(value: object) -> str:
    """Return the running version in a value of ``package_info``; raises WireError."""
    source = get_object({KEY_PACKAGE_INFO: value}, KEY_PACKAGE_INFO)
    running = get_object(source, "os", path=f"{KEY_PACKAGE_INFO}.")
    return get_string(running, "version", path=f"{KEY_PACKAGE_INFO}.os.")


def parse_package_sboms(value: object) -> Sboms:
    """Return the digests in a value of ``package_info``; raises WireError for one that is none."""
    source = get_object({KEY_PACKAGE_INFO: value}, KEY_PACKAGE_INFO)
    if "sbom" not in source:
        return Sboms()  # firmware of before, and a checkout
    told = get_object(source, "sbom", path=f"{KEY_PACKAGE_INFO}.")
    return Sboms(_digest(told, "sha256"), _digest(told, "base_sha256"))


def parse_package_support(value: object) -> str | None:
    """Return the day of the support's end in a value of ``package_info``, None if it has none; raises WireError."""
    source = get_object({KEY_PACKAGE_INFO: value}, KEY_PACKAGE_INFO)
    if "support_end" not in source:
        return None  # firmware of before
    return parse_day(source["support_end"], f"{KEY_PACKAGE_INFO}.support_end")


def _digest(source: Mapping[str, object], name: str) -> str:
    value = source.get(name, "")
    if not isinstance(value, str) or (value and not _SHA256.fullmatch(value)):
        raise FieldError(f"{KEY_PACKAGE_INFO}.sbom.{name}", value, "64 digits of lower-case hex")
    return value
