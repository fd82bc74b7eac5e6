"""The name by which the home network finds the machine."""

from __future__ import annotations

import re

# A label of DNS has 63 bytes; 7 of the address are added, and mDNS may add a number.
NAME_LIMIT = 48


def host_label(name: str, mac: str) -> str:
    """Return a host's label in ``.local``: ``name``, which may have a domain, and the end of ``mac``."""
    label = re.sub(r"[^A-Za-z0-9-]", "-", name.partition(".")[0])[:NAME_LIMIT].strip("-")
    digits = re.sub(r"[^0-9a-f]", "", mac.lower())[-6:]
    return "-".join(part for part in (label or "story-machine", digits) if part)
