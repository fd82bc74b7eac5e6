"""The CoAP response codes in use and their HTTP counterparts (RFC 7252 section 5.9, RFC 8075)."""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """A CoAP response code; the integer is the byte on the wire (3 bits class, 5 bits detail)."""

    CREATED = 0x41
    CHANGED = 0x44
    CONTENT = 0x45
    BAD_REQUEST = 0x80
    UNAUTHORIZED = 0x81
    FORBIDDEN = 0x83
    NOT_FOUND = 0x84
    METHOD_NOT_ALLOWED = 0x85
    CONFLICT = 0x89
    TOO_LARGE = 0x8D
    INTERNAL_SERVER_ERROR = 0xA0
    SERVICE_UNAVAILABLE = 0xA3

    @property
    def dotted(self) -> str:
        """The code in dotted notation, as in the open API: ``"2.05"``."""
        return dotted(self)

    @property
    def is_success(self) -> bool:
        """Whether the request succeeded (class 2)."""
        return self >> 5 == 2

    @property
    def http_status(self) -> int:
        """The equivalent HTTP status (RFC 8075 table 2)."""
        return _HTTP_STATUS[self]


_HTTP_STATUS = {
    Code.CREATED: 201,
    Code.CHANGED: 200,
    Code.CONTENT: 200,
    Code.BAD_REQUEST: 400,
    Code.UNAUTHORIZED: 401,
    Code.FORBIDDEN: 403,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.CONFLICT: 409,
    Code.TOO_LARGE: 413,
    Code.INTERNAL_SERVER_ERROR: 500,
    Code.SERVICE_UNAVAILABLE: 503,
}


def dotted(code: int) -> str:
    """Render any CoAP code byte as class.detail, with two digits of detail."""
    return f"{code >> 5}.{code & 0x1F:02d}"
