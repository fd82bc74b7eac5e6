"""What became of a profile on the boot partition: the import at the start leaves a note for the agent, its log and ``status``.

The import has nobody to tell: it runs before anybody can log in, and on most machines nobody ever does.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from agent.first import NOTE_NAME
from agent.words import Words
from base.clock import boot_id
from base.files import read_record, write_atomically
from wire.errors import WireError
from wire.fields import get_object, get_string, parse_object

# Bytes; a cause may name a path.
_LIMIT = 8192
_log = logging.getLogger(__name__)


def store_note(state: Path, cause: Words, remedy: Words | None = None) -> None:
    """Note what became of the import; with a remedy it was not done. Where there is no state folder yet nothing is noted.

    Raises:
        OSError: the card takes no file.
    """
    if not state.is_dir():
        return
    told: dict[str, object] = {"boot": boot_id(), "cause": cause._asdict()}
    if remedy is not None:
        told["remedy"] = remedy._asdict()
    found = state.stat()
    # root imports, and the agent's user reads.
    owner = (found.st_uid, found.st_gid) if os.geteuid() == 0 else None
    data = json.dumps(told, ensure_ascii=False).encode("utf-8", "backslashreplace")
    write_atomically(state / NOTE_NAME, data, mode=0o600, owner=owner)


def forget_note(state: Path) -> None:
    """Forget it, since a profile was given in another way; raises OSError."""
    (state / NOTE_NAME).unlink(missing_ok=True)


def load_note(state: Path) -> Mapping[str, Mapping[str, str]] | None:
    """Return this start's note for ``status``: ``cause`` and, if it was not done, ``remedy``; None: there is none."""
    try:
        source = parse_object(read_record(state / NOTE_NAME, _LIMIT), "note of the import")
        # The import looks at each start of the machine: what was so before this one says nothing.
        if get_string(source, "boot", empty=True) != boot_id():
            return None
        return {name: _words(source, name) for name in ("cause", "remedy") if name in source}
    except (OSError, WireError):  # nothing depends on it
        return None


def _words(source: Mapping[str, object], name: str) -> dict[str, str]:
    found = get_object(source, name)
    return {language: get_string(found, language) for language in Words._fields}


def tell_note(state: Path) -> None:
    """Log this start's note, if there is one."""
    note = load_note(state)
    if note is None or "cause" not in note:
        return
    cause, remedy = note["cause"]["en"], note.get("remedy")
    if remedy is None:
        _log.info("%s", cause)
    else:
        _log.error("%s; %s", cause, remedy["en"])
