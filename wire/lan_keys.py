"""The keys that a client on the home network shares with a machine, as JSON: made, stored, handed over; no I/O.

The members are those of aiocoap's ``secret.json`` (its FilesystemSecurityContext), seen from the
client, so that a script puts what it got into a file and begins. They are the parameters of RFC 8613
section 3.2; a library that has other names for them takes the same values.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection

from wire.errors import FieldError
from wire.fields import dump_object, get_string, parse_object
from wire.records import dataclass

# Which every implementation has (RFC 8613 section 3.2).
ALGORITHM, HASH = "AES-CCM-16-64-128", "sha256"
SECRET_BYTES, SALT_BYTES, CLIENT_BYTES = 16, 8, 3
# Ours to every client; a client's is longer, so they are never equal.
SERVER_ID = b"\x01"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_HEX = re.compile(r"(?:[0-9a-f]{2})*")


@dataclass(frozen=True, slots=True)
class Keys:
    """One client's keys.

    Attributes:
        client_id: the client's sender id, up to 7 bytes; no other client has it.
        server_id: ours.
        secret: the master secret.
        salt: the master salt.
    """

    client_id: bytes
    server_id: bytes
    secret: bytes
    salt: bytes

    @classmethod
    def make(cls, taken: Collection[bytes]) -> Keys:
        """Return new ones, with an id that is not among ``taken``."""
        client_id = secrets.token_bytes(CLIENT_BYTES)
        while client_id in taken:
            client_id = secrets.token_bytes(CLIENT_BYTES)
        secret, salt = secrets.token_bytes(SECRET_BYTES), secrets.token_bytes(SALT_BYTES)
        return cls(client_id, SERVER_ID, secret, salt)

    def __repr__(self) -> str:
        return f"<Keys of {self.client_id.hex()}>"  # they must not get into a log

    def to_json(self) -> dict[str, object]:
        """Return what the client gets."""
        return {
            "algorithm": ALGORITHM,
            "kdf-hashfun": HASH,
            "sender-id_hex": self.client_id.hex(),
            "recipient-id_hex": self.server_id.hex(),
            "secret_hex": self.secret.hex(),
            "salt_hex": self.salt.hex(),
        }

    def dump(self) -> bytes:
        """Return them for a file."""
        return dump_object(self.to_json())


def parse_keys(data: bytes) -> Keys:
    """Read what `Keys.dump` wrote; raises WireError that shows no secret."""
    source = parse_object(data, "keys of the home network")
    client_id = _bytes(source, "sender-id_hex", 1, 7)
    server_id = _bytes(source, "recipient-id_hex", 1, 7)
    secret = _bytes(source, "secret_hex", SECRET_BYTES, 64)
    return Keys(client_id, server_id, secret, _bytes(source, "salt_hex", 0, 64))


def _bytes(source: dict[str, object], name: str, low: int, high: int) -> bytes:
    text = get_string(source, name, secret=True, empty=True)
    if not _HEX.fullmatch(text) or not low <= len(text) // 2 <= high:
        expected = f"{low} to {high} bytes in hexadecimal digits"
        raise FieldError(name, text, expected, secret=True)
    return bytes.fromhex(text)


def check_name(name: str) -> str:
    """Return a client's name, which is a file's too; raises FieldError."""
    if not NAME.fullmatch(name):
        raise FieldError("name", name, "1 to 32 of a-z, 0-9, - and _, no - or _ first")
    return name
