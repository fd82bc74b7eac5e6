"""Takes out of a text what must not be shown: passwords and tokens in URLs, whoever wrote them there. No I/O."""

from __future__ import annotations

import re

HIDDEN = "[hidden]"
# RFC 3986: what stands before an @ in the authority, and the values of a query.
_USER = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]{0,20}://)[^/\s@\"']{1,500}@")
_QUERY = re.compile(
    r"(?P<name>[?&;][^=&\s\"']{0,60}(?:token|secret|key|sign|password|passwd|pwd|auth|credential)[^=&\s\"']{0,60}=)"
    r"[^&\s\"']{1,2000}",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(?P<name>\b(?:bearer|basic)\s+)[\w.~+/=-]{6,}", re.IGNORECASE)


def hide(text: str) -> str:
    """Return ``text`` without passwords in URLs, tokens in their queries, and Authorization values."""
    text = _USER.sub(rf"\g<scheme>{HIDDEN}@", text)
    return _BEARER.sub(rf"\g<name>{HIDDEN}", _QUERY.sub(rf"\g<name>{HIDDEN}", text))
