"""The profile that the factory flashes onto a device (device protocol, "Profile").

One JSON object. Unknown members are ignored, so that an older agent can read a newer profile.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import field

from wire.errors import FieldError, WireError
from wire.fields import dump_object, get_int, get_string, parse_object
from wire.records import dataclass

UUID_PATTERN = re.compile(r"[0-9a-fA-F]{14}")
BIND_TOKEN_PATTERN = re.compile(r"[0-9a-fA-F]{32}")
# RFC 1123 section 2.1, plus the underscore that some local networks use.
HOST_PATTERN = re.compile(r"(?!-)[0-9A-Za-z_-]{1,63}(\.[0-9A-Za-z_-]{1,63})*\.?")
HOST_LENGTH_MAX = 253
PORT_MAX = 65535
TOKEN_MAX_BYTES = 249


class ProfileError(WireError):
    """The profile is invalid; ``problems`` lists every error found, one sentence each."""

    def __init__(self, problems: list[WireError]) -> None:
        """Join the ``problems`` into one message."""
        super().__init__("profile: " + "; ".join(str(p) for p in problems))
        self.problems = tuple(str(p) for p in problems)


@dataclass(frozen=True, slots=True)
class Profile:
    """A device's identity and the cloud it belongs to.

    ``token`` authenticates the device and ``bind_token`` lets an app bind it. Neither may be
    logged, so ``repr`` omits both.
    """

    uuid: str
    token: str = field(repr=False)
    bind_token: str = field(repr=False)
    server_addr: str
    coap_port: int
    lwm2m_port: int
    rsa_ca_crt: str = field(repr=False)
    configures: Mapping[str, object]
    mac_id: str
    version: int

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must not appear in any log or API answer."""
        return (self.token, self.bind_token)


def parse_profile(data: bytes | str) -> Profile:
    """Parse a profile and check every member.

    Raises:
        ProfileError: not a JSON object, or members are missing or invalid; all are named.
    """
    try:
        source = parse_object(data, "profile file")
    except WireError as error:
        raise ProfileError([error]) from error
    values, problems = _read_members(source)
    if problems:
        raise ProfileError(problems)
    return Profile(**values)  # type: ignore[arg-type]  # each reader returns its member's type


def render_profile(profile: Profile) -> bytes:
    """Serialize a profile for flashing: all keys, in the order of the document's table."""
    return dump_object(
        {
            "uuid": profile.uuid,
            "token": profile.token,
            "bindToken": profile.bind_token,
            "serverAddr": profile.server_addr,
            "coapPort": profile.coap_port,
            "lwm2mPort": profile.lwm2m_port,
            "rsaCaCrt": profile.rsa_ca_crt,
            "configures": dump_object(profile.configures).decode(),
            "macId": profile.mac_id,
            "version": profile.version,
        }
    )


def _read_members(
    source: Mapping[str, object],
) -> tuple[dict[str, object], list[WireError]]:
    values: dict[str, object] = {}
    problems: list[WireError] = []
    for name, read in _READERS.items():
        try:
            values[name] = read(source)
        except WireError as error:
            problems.append(error)
    return values, problems


def _read_uuid(source: Mapping[str, object]) -> str:
    value = get_string(source, "uuid")
    if not UUID_PATTERN.fullmatch(value):
        raise FieldError("uuid", value, "14 hexadecimal digits")
    return value


def _read_token(source: Mapping[str, object]) -> str:
    value = get_string(source, "token", secret=True)
    # Sent as a Uri-Query option "token=…" of at most 255 bytes (RFC 7252 section 5.10).
    if len(value.encode()) > TOKEN_MAX_BYTES:
        raise FieldError("token", value, f"at most {TOKEN_MAX_BYTES} bytes", secret=True)
    return value


def _read_bind_token(source: Mapping[str, object]) -> str:
    value = get_string(source, "bindToken", secret=True)
    if not BIND_TOKEN_PATTERN.fullmatch(value):
        raise FieldError("bindToken", value, "32 hexadecimal digits", secret=True)
    return value


def _read_server_addr(source: Mapping[str, object]) -> str:
    value = get_string(source, "serverAddr")
    if HOST_PATTERN.fullmatch(value) and len(value) <= HOST_LENGTH_MAX:
        return value
    if value.startswith("[") and value.endswith("]") and ":" in value:  # as URLs have IPv6
        value = value[1:-1]
    try:
        ipaddress.ip_address(value)
    except ValueError as error:
        raise FieldError("serverAddr", value, "a host name or an IP address") from error
    return value


def _read_ca(source: Mapping[str, object]) -> str:
    value = get_string(source, "rsaCaCrt")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=value)
    except (ssl.SSLError, TypeError, ValueError) as error:  # TypeError: not ASCII
        # Not shown: the value may be a private key that was pasted here by mistake.
        raise FieldError("rsaCaCrt", value, "a CA certificate in PEM", secret=True) from error
    if not context.get_ca_certs():
        expected = "a CA certificate in PEM (this one is not a CA's)"
        raise FieldError("rsaCaCrt", value, expected, secret=True)
    return value


def _read_configures(source: Mapping[str, object]) -> dict[str, object]:
    text = get_string(source, "configures")
    try:
        return parse_object(text, "configures")
    except WireError as error:
        raise FieldError("configures", text, "a string that holds a JSON object") from error


_READERS: dict[str, Callable[[Mapping[str, object]], object]] = {
    "uuid": _read_uuid,
    "token": _read_token,
    "bind_token": _read_bind_token,
    "server_addr": _read_server_addr,
    "coap_port": lambda s: get_int(s, "coapPort", low=1, high=PORT_MAX),
    "lwm2m_port": lambda s: get_int(s, "lwm2mPort", low=0, high=PORT_MAX),
    "rsa_ca_crt": _read_ca,
    "configures": _read_configures,
    "mac_id": lambda s: get_string(s, "macId", empty=True),
    "version": lambda s: get_int(s, "version"),
}
