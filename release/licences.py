"""Under which licence a distribution may be passed on, as its own metadata says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.message import Message

# Older metadata names a licence by its classifier.
_CLASSIFIER = "License :: OSI Approved :: "
# What older metadata writes and SPDX has one identifier for. "BSD" is several licences: it stays a name.
_SPDX = {
    "apache": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
}
# SPDX's identifiers of the licences of our parts; CycloneDX takes any other as a name.
_IDENTIFIERS = frozenset({
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "EPL-2.0", "GPL-2.0-or-later", "GPL-3.0-or-later", "ISC",
    "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", "Unlicense", "Zlib",
})  # fmt: skip
_OPERATORS = frozenset({"AND", "OR", "WITH"})
UNKNOWN = "unknown"


def licence_name(about: Message, text: str = "") -> str:
    """Return a licence's short name from a wheel's metadata; ``text`` decides where that has none."""
    for field in ("License-Expression", "License"):
        value = (about[field] or "").strip()
        if value and "\n" not in value and len(value) < 60:
            return value
    for value in about.get_all("Classifier") or ():
        if value.startswith(_CLASSIFIER):
            return value.removeprefix(_CLASSIFIER)
    return text.strip().splitlines()[0].strip() if text.strip() else UNKNOWN


def to_cyclonedx(name: str) -> list[Mapping[str, object]]:
    """Return CycloneDX's ``licenses`` of a licence's name, as `licence_name` gives it."""
    name = _SPDX.get(name.lower(), name)
    if name in _IDENTIFIERS:
        return [{"license": {"id": name}}]
    words = re.split(r"[\s()]+", name.strip("()"))
    if _OPERATORS & set(words) and set(words) <= _IDENTIFIERS | _OPERATORS:
        return [{"expression": name}]
    return [{"license": {"name": name}}]
