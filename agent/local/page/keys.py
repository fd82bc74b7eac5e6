"""What opens the device page: the machine's token, or the bind token that its label and its QR code have.

A family has a label and a phone, and no shell. Whoever may bind the machine in the app may see its page at home.
"""

from __future__ import annotations

import hmac

from wire.errors import WireError
from wire.pairing import parse_pairing


def find_key(given: bytes, token: str, uuid: str, bind_token: str) -> str | None:
    """Return which of the two secrets was given, None if neither was.

    Args:
        given: as it was typed or pasted: a secret, or the text of the label's QR code with that of this machine.
        token: the machine's; "": nobody has it.
        uuid: the machine's.
        bind_token: the present one; "": there is none.
    """
    text = given.decode("utf-8", "replace").strip()
    if text.startswith("{"):
        text = _in_code(text, uuid)
    found = None
    # Both are compared whatever the first gives, and a bind token as the app takes it: in any case of letters.
    for key, tried in ((bind_token, text.lower()), (token, text)):
        if key and hmac.compare_digest(tried.encode(), key.encode()):
            found = key
    return found


def _in_code(text: str, uuid: str) -> str:
    """Return the bind token in a QR code's text; "" if it is none of this machine's."""
    try:
        other, bind_token = parse_pairing(text)
    except WireError:
        return ""
    return bind_token if other.lower() == uuid.lower() else ""
