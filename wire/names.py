"""The one rule for names of products: the cloud, the agent, the release tool and the console ask here.

A product's name is a folder of the signed repository, a part of URLs and of TUF's paths, a TUF role of
its own and an argument of commands. So it is made of letters of any script with their marks, digits,
and between them single blanks, dots, dashes and low lines; nothing that a path, a URL, a shell or one
of TUF's patterns reads otherwise. It is kept in NFC, because it is compared byte by byte.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

from wire.errors import FieldError

NAME_MAX = 64
# A role's file is named by the quoted name, at 9 characters for a Chinese one; file systems take 255 bytes.
QUOTED_MAX = 225
# TUF's own roles: a product of this name could get none.
RESERVED = frozenset({"root", "targets", "snapshot", "timestamp"})
EXPECTED = (
    "letters of any script and digits, with a single blank, dot, dash or low line between; at most"
    f" {NAME_MAX} characters (25 Chinese ones); not root, targets, snapshot or timestamp"
)
_JOINTS = re.compile(r"[ ._-]")


def is_product(name: str) -> bool:
    """Return whether ``name`` can name a product."""
    if (
        len(name) > NAME_MAX
        or name.lower() in RESERVED
        or name != unicodedata.normalize("NFC", name)
    ):
        return False
    if not all(_JOINTS.fullmatch(each) or _is_letter(each) for each in name):
        return False
    # Split at the joints: an empty piece is two joints in a row, or one at an end.
    pieces = _JOINTS.split(name)
    return (
        all(each and _is_first(each[0]) for each in pieces) and len(quote(name, "")) <= QUOTED_MAX
    )


def check_product(name: str, field: str = "product") -> str:
    """Return ``name`` if it can name a product; raises FieldError."""
    if not is_product(name):
        raise FieldError(field, name, EXPECTED)
    return name


def _is_letter(character: str) -> bool:
    """Return whether it is a letter, a mark on one, or a digit."""
    return unicodedata.category(character) in {"Lu", "Ll", "Lt", "Lo", "Lm", "Mn", "Mc", "Nd"}


def _is_first(character: str) -> bool:
    return unicodedata.category(character)[0] != "M"
