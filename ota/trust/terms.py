"""The signed custom fields of a package, and the decision whether this machine may install it.

The custom fields of a TUF target are parsed strictly; `admit` checks them against the machine and
the order. No I/O: `trust` fetches the fields, `repository` writes them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict

from ota.errors import ContentError
from wire.errors import FieldError, show
from wire.fields import get_int, get_object, get_string, is_object, parse_object
from wire.ota import SIZE_MAX, InstallerKind, version_key
from wire.records import dataclass

# The largest map that is fetched, in bytes; the map of the largest image has about 5 MB.
MAP_MAX = 16 * 2**20
DEFAULT_CHANNEL = "stable"


@dataclass(frozen=True, slots=True)
class ThisMachine:
    """The properties of this machine that releases are checked against.

    Attributes:
        product: the product, as named in signed releases.
        hardware: the board's name as releases spell it; "" if unknown.
        running: the running version.
        channel: the channel whose releases this machine is offered.
        installer: the installer in use.
    """

    product: str
    running: str
    hardware: str = ""
    channel: str = DEFAULT_CHANNEL
    installer: InstallerKind = InstallerKind.SLOTS


@dataclass(frozen=True, slots=True)
class MapFile:
    """The signed map of an image's package (`ota.fetch.bundle_map`), which allows fetching parts of it.

    Attributes:
        length: length of the map, in bytes.
        sha256: SHA-256 of the map (hex).
        md5: MD5 of the package (hex); a machine that fetches only parts cannot compute it.
    """

    length: int
    sha256: str
    md5: str

    def fits(self, data: bytes) -> bool:
        """Return whether ``data`` is the map."""
        return hashlib.sha256(data).hexdigest() == self.sha256


def parse_map_file(source: Mapping[str, object], path: str) -> MapFile | None:
    """Read the member ``map``, None if it is missing; raises WireError naming the field."""
    if source.get("map") is None:
        return None
    members, inside = get_object(source, "map", path=path), f"{path}map."
    return MapFile(
        get_int(members, "length", path=inside, low=1, high=MAP_MAX),
        _hex(members, "sha256", inside, 64),
        _hex(members, "md5", inside, 32),
    )


def _hex(source: Mapping[str, object], name: str, path: str, digits: int) -> str:
    value = get_string(source, name, path=path)
    if not re.fullmatch(f"[0-9a-f]{{{digits}}}", value):
        raise FieldError(path + name, value, f"{digits} hex digits")
    return value


@dataclass(frozen=True, slots=True)
class Terms:
    """The custom fields of one signed package.

    Attributes:
        product: the product that it is a release of.
        version: the release's version.
        installer: the `InstallerKind` that it needs; other tools may have signed another word.
        hardware: the boards that it runs on; empty: all boards of the product.
        min_agent: the oldest version that can install it; None: any.
        data_budget: total bytes that its download may cost; None: the machine's default limit.
        downgrade_from: the newer versions that may be downgraded to it.
        channels: the channels it is offered on; None: all, empty: none yet.
        revoked: why it must not be installed any more; None: it is not revoked.
        map: the map for fetching only missing parts; None: the package is fetched whole.
    """

    product: str
    version: str
    installer: str = InstallerKind.SLOTS
    hardware: tuple[str, ...] = ()
    min_agent: str | None = None
    data_budget: int | None = None
    downgrade_from: tuple[str, ...] = ()
    channels: tuple[str, ...] | None = None
    revoked: str | None = None
    map: MapFile | None = None

    def to_json(self) -> dict[str, object]:
        """Render the custom fields; members with the default value are left out."""
        compatible: dict[str, object] = {}
        if self.hardware:
            compatible["hardware"] = list(self.hardware)
        if self.min_agent is not None:
            compatible["min_agent"] = self.min_agent
        optional: dict[str, object] = {
            "compatible": compatible or None,
            "data_budget": self.data_budget,
            "downgrade_from": list(self.downgrade_from) or None,
            "channels": None if self.channels is None else list(self.channels),
            "revoked": self.revoked,
            "map": None if self.map is None else asdict(self.map),
        }
        fixed = {"version": self.version, "product": self.product, "installer": self.installer}
        return fixed | {name: value for name, value in optional.items() if value is not None}


def parse_terms(custom: object) -> Terms:
    """Read a target's custom fields; raises WireError naming the field and what was expected."""
    if not is_object(custom):
        raise FieldError("custom", custom, "an object")
    has_compatible = custom.get("compatible") is not None
    compatible = get_object(custom, "compatible", path="custom.") if has_compatible else {}
    revoked = custom.get("revoked")
    channels = custom.get("channels")
    return Terms(
        product=get_string(custom, "product", path="custom."),
        version=_version(get_string(custom, "version", path="custom."), "custom.version"),
        installer=get_string(custom, "installer", path="custom."),
        hardware=_strings(compatible, "hardware", "custom.compatible."),
        min_agent=_min_agent(compatible),
        data_budget=_data_budget(custom),
        downgrade_from=tuple(
            _version(version, "custom.downgrade_from")
            for version in _strings(custom, "downgrade_from", "custom.")
        ),
        channels=None if channels is None else _strings(custom, "channels", "custom."),
        revoked=None if revoked is None else get_string(custom, "revoked", path="custom."),
        map=parse_map_file(custom, "custom."),
    )


def check_terms(terms: Terms) -> None:
    """Refuse terms that no machine could parse; raises WireError naming the field.

    Such terms could not be corrected once signed: every tool that changes terms parses them first.
    """
    text = json.dumps(terms.to_json())
    parse_terms(parse_object(text, "custom"))


def _min_agent(compatible: Mapping[str, object]) -> str | None:
    if compatible.get("min_agent") is None:
        return None
    value = get_string(compatible, "min_agent", path="custom.compatible.")
    return _version(value, "custom.compatible.min_agent")


def _data_budget(custom: Mapping[str, object]) -> int | None:
    if custom.get("data_budget") is None:
        return None
    return get_int(custom, "data_budget", path="custom.", low=1, high=SIZE_MAX)


def _version(value: str, field: str) -> str:
    version_key(value, field)
    return value


def _strings(source: Mapping[str, object], name: str, path: str) -> tuple[str, ...]:
    value = source.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise FieldError(f"{path}{name}", value, "a list of strings")
    return tuple(value)


def admit(terms: Terms, version: str, machine: ThisMachine) -> None:
    """Refuse a package that this machine must not install.

    Raises:
        ContentError: names the failed check and the two values compared.
    """
    _agree("wrong product", "product", terms.product, machine.product)
    _agree("wrong version", "version", terms.version, version)
    _agree("wrong installer", "installer", terms.installer, machine.installer)
    if terms.revoked is not None:
        raise ContentError("revoked", f"version {version}: {show(terms.revoked)}")
    if terms.hardware and machine.hardware not in terms.hardware:
        boards = ", ".join(terms.hardware)
        detail = f"for {show(boards)}, this machine is {show(machine.hardware or 'not known')}"
        raise ContentError("wrong hardware", detail)
    if terms.channels is not None and machine.channel not in terms.channels:
        offered = ", ".join(terms.channels) or "no channel yet"
        raise ContentError(
            "not offered", f"to {show(offered)}, this machine is on {machine.channel}"
        )
    if terms.min_agent and version_key(machine.running) < version_key(terms.min_agent):
        detail = f"version {version} needs {terms.min_agent}, this machine runs {machine.running}"
        raise ContentError("agent too old", detail)
    _check_newer(terms, machine.running)


def _check_newer(terms: Terms, running: str) -> None:
    """Refuse a version that is not newer, unless the signed fields permit this exact downgrade."""
    wanted, now = version_key(terms.version), version_key(running)
    if wanted > now or (wanted < now and now in map(version_key, terms.downgrade_from)):
        return
    raise ContentError("not newer", f"version {terms.version}, this machine runs {running}")


def _agree(check: str, name: str, got: object, expected: object) -> None:
    if got != expected:
        raise ContentError(check, f"{name}: got {show(got)}, expected {show(expected)}")
