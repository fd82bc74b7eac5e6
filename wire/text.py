"""The product's one rule for text that people read and write: titles, names and sentences.

Text is kept in NFC and compared by `fold`, so that it matters neither how a card or an app spells a
letter (é as one character or as two), nor case, width or kind of blank. Every character is taken,
those of a newer Unicode included, except those that can forge what stands around the text:

- control characters (categories Cc and Cs: line breaks, NUL, terminal codes, half a surrogate pair);
- the line and paragraph separators U+2028 and U+2029;
- the embeddings, overrides and isolates of the bidirectional algorithm (U+202A to U+202E, U+2066 to
  U+2069), which reorder the rest of a line of a log, a list or an error message. The marks U+200E,
  U+200F and U+061C act on their neighbours only, and are taken.

Sources: Unicode Standard Annex 15 (NFC, NFKC), section 3.13 of the standard (NFKC_Casefold).
"""

from __future__ import annotations

import re
import unicodedata

from wire.errors import FieldError

_REFUSED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Default_Ignorable_Code_Point of DerivedCoreProperties.txt: joiners, variation selectors, fillers,
# tags. They change at most the look of their neighbours.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def is_printable(text: str) -> bool:
    """Return whether ``text`` has none of the refused characters; it may be empty."""
    return _REFUSED.search(text) is None


def kept(text: str) -> str:
    """Return ``text`` as it is stored and shown: in NFC."""
    return unicodedata.normalize("NFC", text)


def cleaned(text: str) -> str:
    """Return ``text`` in NFC with U+FFFD for each refused character.

    For names that were found, on a card for example, and cannot be sent back for correction.
    """
    return kept(_REFUSED.sub("\N{REPLACEMENT CHARACTER}", text))


def fold(text: str) -> str:
    """Return the form in which two texts are equal if a person would call them the same.

    NFKC_Casefold with its blanks collapsed: width, case, composition, kinds and number of blanks and
    invisible characters do not count. The result is "" for a text that shows nothing.
    """
    if text.isascii():
        return " ".join(text.lower().split())
    visible = _INVISIBLE.sub("", unicodedata.normalize("NFKD", text)).casefold()
    # Some characters decompose only after folding, and some decompositions have capitals.
    folded = unicodedata.normalize("NFKD", visible).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def spellings(text: str) -> tuple[str, ...]:
    """Return the forms under which ``text`` may be stored; older versions kept what came."""
    return tuple({text, kept(text), unicodedata.normalize("NFD", text)})


def parse_text(field: str, value: object, limit: int, *, empty: bool = False) -> str:
    """Return a text of at most ``limit`` characters as it is kept; blanks alone are empty.

    Raises:
        FieldError: it is not a string, too long, empty (unless ``empty``) or not printable.
    """
    text = kept(value) if isinstance(value, str) else ""
    visible = empty or bool(fold(text))
    if not isinstance(value, str) or not visible or len(text) > limit or not is_printable(text):
        low = 0 if empty else 1
        raise FieldError(field, value, f"{low} to {limit} printable characters")
    return text
