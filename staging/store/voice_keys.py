"""Keys of the voice that lies in a store, in a file of the data folder (docs/adr/0072, 0084).

A store keeps bytes of deleted rows: PostgreSQL in its tables' files and in its log until it uses their room again, SQLite where it
has put a page together anew. No client can change that. So what a store is given of a voice segment is encrypted, with a key for
each utterance; the key lies here, in a small SQLite file that is written anew when keys have gone. Keys go after the commit
that has deleted their rows: one that fails leaves what was there. That they are to go is noted in the file before it, until
they are in it no more: `settle` and `VoiceKeys.rewrite` end what a crash between has left.

In a row the member ``sealed`` has the place of ``voice_data``: the key's id, a dot, and Base64 of nonce and cipher text.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, event, select, type_coerce
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from staging.errors import StoreBusyError
from staging.store.key_file import ID_BYTES, KEY_BYTES, KeyFile
from staging.store.models import Report
from wire.errors import WireError
from wire.reports import KEYS_VOICE
from wire.voice import parse_segment

SEALED, PLAIN = "sealed", "voice_data"
NONCE_BYTES = 12
# Utterances that are spoken at one time, of one process: one that is forgotten here gets a second key.
OPEN_LIMIT = 1024
_INFO, _GOING = "voice keys", "keys that go"
_GONE = "SELECT id, device_id FROM going WHERE id NOT IN (SELECT id FROM keys)"
_SPARE = "DELETE FROM going WHERE id = ? AND device_id = ?"

_Key = tuple[bytes, bytes]
Going = tuple[bytes, int]
"""A key's id, and the device whose rows it is for."""


class VoiceKeys:
    """The keys of one cloud; its processes share the file, and any thread may use it."""

    def __init__(self, path: Path) -> None:
        """Use the file ``path``, which the first voice makes."""
        self._file = KeyFile(path)
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[int, int], tuple[_Key, int]] = OrderedDict()

    def seal(self, device_id: int, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return a segment's value (`VoiceSegment.to_json`) with its sound encrypted; raises StoreBusyError."""
        try:
            sound = parse_segment(value).voice_data
        except WireError:
            return dict(value)  # of a store of before: it is no sound
        if not sound:
            return dict(value)
        mark, key = self._key_of(device_id, value)
        nonce = secrets.token_bytes(NONCE_BYTES)
        hidden = base64.b64encode(nonce + _cipher(key).encrypt(nonce, sound, mark)).decode()
        rest = {name: member for name, member in value.items() if name != PLAIN}
        return rest | {SEALED: f"{mark.hex()}.{hidden}"}

    def opened(self, value: Any) -> Any:
        """Return a value of a row with its sound; without any if its key is gone; as it is if it is not sealed.

        Raises:
            StoreBusyError: the file cannot be read.
        """
        mark = mark_of(value)
        if mark is None:
            return value
        sound = self._decrypt(mark, value[SEALED])
        rest = {name: member for name, member in value.items() if name != SEALED}
        return rest | {PLAIN: "" if sound is None else base64.b64encode(sound).decode()}

    def leave(self, marks: Collection[bytes]) -> None:
        """Seal nothing more with these keys, which are to go."""
        with self._lock:
            self._leave(marks)

    def _leave(self, marks: Collection[bytes]) -> None:
        kept = ((name, used) for name, used in self._open.items() if used[0][0] not in marks)
        self._open = OrderedDict(kept)

    def note_going(self, going: Sequence[Going]) -> None:
        """Note keys that go once their rows are gone; raises StoreBusyError."""
        with self._lock:
            if self._file.exists():
                self._file.change(
                    going, "INSERT OR IGNORE INTO going (id, device_id) VALUES (?, ?)"
                )

    def going(self) -> list[Going]:
        """Return the keys of which it was noted that they go, and that are there; raises StoreBusyError."""
        with self._lock:
            return (
                self._file.found("SELECT id, device_id FROM going") if self._file.exists() else []
            )

    def spare(self, going: Sequence[Going]) -> None:
        """Let keys stay, since their rows have; raises StoreBusyError."""
        with self._lock:
            self._file.change(going, _SPARE)

    def forget(self, marks: Collection[bytes]) -> None:
        """Delete keys; a copy may be in the file until `rewrite`. Raises StoreBusyError."""
        with self._lock:
            if marks and self._file.exists():
                self._leave(marks)
                self._file.change([(mark,) for mark in marks], "DELETE FROM keys WHERE id = ?")

    def rewrite(self) -> None:
        """Write the file anew if keys that were noted have gone, and end their notes; raises StoreBusyError.

        SQLite overwrites what it deletes, but not the copies that lie in a page's free room since it was put together anew.
        """
        with self._lock:
            gone = self._file.found(_GONE) if self._file.exists() else []
            if gone:
                self._file.vacuum()
                self._file.change(gone, _SPARE)

    def keep(self, marks: Collection[bytes]) -> None:
        """Delete every key but these: a store was put in the place of another; raises StoreBusyError."""
        with self._lock:
            found = self._file.found("SELECT id FROM keys") if self._file.exists() else []
        gone = {mark for (mark,) in found if mark not in marks}
        if gone:
            self.forget(gone)
            with self._lock:
                self._file.vacuum()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Have the new keys of much voice on disk at the end alone, before its rows are; raises StoreBusyError."""
        with self._file.together():
            yield

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def _key_of(self, device_id: int, value: Mapping[str, Any]) -> _Key:
        """Return the key of an utterance; a segment that does not go on with it has a new one: numbers come again."""
        name, segment = (device_id, int(value["id"])), int(value["segment"])
        with self._lock:
            key, last = self._open.pop(name, (None, 0))
            if key is None or segment <= last:
                key = (secrets.token_bytes(ID_BYTES), secrets.token_bytes(KEY_BYTES))
                self._file.change([key], "INSERT OR IGNORE INTO keys (id, key) VALUES (?, ?)")
            self._open[name] = key, segment
            while len(self._open) > OPEN_LIMIT:
                self._open.popitem(last=False)
            return key

    def _decrypt(self, mark: bytes, sealed: str) -> bytes | None:
        try:
            hidden = base64.b64decode(sealed.partition(".")[2], validate=True)
        except (binascii.Error, ValueError):
            return None
        with self._lock:
            is_there = self._file.exists()  # else one that is lost is not begun anew by a reader
            found = self._file.found("SELECT key FROM keys WHERE id = ?", mark) if is_there else []
        if not found:
            return None
        key = found[0][0]
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  # see _cipher

        try:
            return bytes(_cipher(key).decrypt(hidden[:NONCE_BYTES], hidden[NONCE_BYTES:], mark))
        except (InvalidTag, ValueError):
            return None  # damaged


def _cipher(key: bytes) -> Any:
    # Two tenths of a second of each command.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    return AESGCM(key)


def mark_of(value: Any) -> bytes | None:
    """Return the id of the key that a row's value is sealed with; None: it is not sealed."""
    sealed = value.get(SEALED) if isinstance(value, dict) else None
    if not isinstance(sealed, str):
        return None
    try:
        mark = bytes.fromhex(sealed.partition(".")[0])
    except ValueError:
        return None
    return mark if len(mark) == ID_BYTES else None


def give(session: Session, keys: VoiceKeys | None) -> Session:
    """Let a session's statements use ``keys``; None: nothing is sealed."""
    if keys is not None:
        session.info[_INFO] = keys
    return session


def of(session: Session) -> VoiceKeys | None:
    """Return the keys of a session's store."""
    found: VoiceKeys | None = session.info.get(_INFO)
    return found


def note_going(session: Session, device_id: int, values: Iterable[Any]) -> None:
    """Note the keys of rows' values that the session deletes."""
    keys = of(session)
    if keys is not None:
        marks = {mark for mark in map(mark_of, values) if mark is not None}
        keys.leave(marks)
        session.info.setdefault(_GOING, []).extend((mark, device_id) for mark in marks)


def going(session: Session) -> Sequence[Going]:
    """Return the keys that go when the session commits."""
    found: list[Going] = session.info.get(_GOING, [])
    return found


def keep_going(session: Session, count: int) -> None:
    """Let the first ``count`` of them go alone: the work that noted the others has failed."""
    del session.info.get(_GOING, [])[count:]


def settle(session: Session) -> set[bytes]:
    """Return the keys that were to go and whose rows are gone; the others stay, for what was to delete their rows has failed.

    A transaction that writes: so none is under way that has noted something and may still fail.

    Raises:
        StoreBusyError: the file cannot be read.
    """
    keys = of(session)
    if keys is None:
        return set()
    own = set(going(session))  # of other work in this transaction
    noted = [each for each in keys.going() if each not in own]
    stay = [each for each in noted if _has_rows(session, *each)]
    with suppress(StoreBusyError):  # the next time, then
        keys.spare(stay)
    return {mark for mark, _ in noted} - {mark for mark, _ in stay}


def _has_rows(session: Session, mark: bytes, device_id: int) -> bool:
    sealed = type_coerce(Report.value, JSON)[SEALED].as_string()
    is_sealed = sealed.startswith(f"{mark.hex()}.")
    of_device = (Report.device_id == device_id, Report.key.in_(KEYS_VOICE))
    return session.scalar(select(Report.ts).where(*of_device, is_sealed).limit(1)) is not None


@event.listens_for(Report, "load")
def _open_loaded(report: Report, context: Any) -> None:
    """Open what is sealed as it is read, for whoever reads it."""
    value = report.value
    if isinstance(value, dict) and SEALED in value:
        keys = of(context.session)
        if keys is not None:
            set_committed_value(report, "value", keys.opened(value))
