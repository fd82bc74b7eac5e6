"""What a machine's QR code says, on its label and on its screen: the two values that an app binds it with.

The open API's ``POST /device/bind`` takes ``deviceUuid`` and ``token``, the bind token; so the code is a JSON object of
these two members, in this order. Version 5 of a QR code holds it with error correction M.
"""

from __future__ import annotations

from wire.errors import FieldError
from wire.fields import dump_object, get_string, parse_object
from wire.profile import BIND_TOKEN_PATTERN, UUID_PATTERN

# Modules a side: version 5, ISO/IEC 18004 table 1.
QR_VERSION, QR_ERROR = 5, "m"
# Any mask is valid. Trying all eight takes five times as long (10,000 labels: 51 s instead of 11 s).
QR_MASK = 3


def pairing_text(uuid: str, bind_token: str) -> str:
    """Return the text of a machine's QR code."""
    return dump_object({"deviceUuid": uuid, "token": bind_token}).decode()


def parse_pairing(text: str) -> tuple[str, str]:
    """Return uuid and bind token of a code that was read; raises WireError."""
    source = parse_object(text, "pairing code")
    uuid, token = get_string(source, "deviceUuid"), get_string(source, "token", secret=True)
    if not UUID_PATTERN.fullmatch(uuid):
        raise FieldError("deviceUuid", uuid, "14 hexadecimal digits")
    if not BIND_TOKEN_PATTERN.fullmatch(token):
        raise FieldError("token", token, "32 hexadecimal digits", secret=True)
    return uuid, token
