"""The keys of clients on the home network, in files of the state folder: one of keys and one of a number each.

The file of keys is never written again (mode 0400). The other one has the number below which ours may
have been used with them: used twice with one key, a number would give what is said away, so whoever
has no such file, or another key's, has to be renewed. All of it blocks.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from base.files import fsync_path, make_folder, read_record, write_atomically
from wire.errors import FieldError, WireError
from wire.fields import dump_object, get_int, get_string, parse_object
from wire.lan_keys import NAME, Keys, check_name, parse_keys
from wire.records import dataclass

FOLDER_NAME = "lan"
# A family's phones and a few scripts; each costs a few kB while it is served.
CLIENTS_LIMIT = 16
_KEYS, _NUMBER = ".keys", ".number"
# Bytes of either file.
_FILE_LIMIT = 4096


class KeyringError(Exception):
    """What is asked of the keys cannot be done; the message says why."""


class UnknownClientError(KeyringError):
    """No client has that name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A client: its name, its keys and the first number not used, or why it cannot be served."""

    name: str
    keys: Keys | None = None
    number: int = 0
    fault: str = ""


class Keyring:
    """The files of one folder; one task at a time may use it."""

    def __init__(self, folder: Path) -> None:
        """Use ``folder``, which need not exist."""
        self._folder = folder

    def read(self) -> list[Entry]:
        """Return the clients by their names; one whose files are damaged has a fault.

        Raises:
            OSError: the folder cannot be read.
        """
        try:
            stems = [path.stem for path in self._folder.iterdir() if path.suffix == _KEYS]
        except FileNotFoundError:
            return []
        # Nobody could renew another one, and it must not take a client's place.
        names = sorted(stem for stem in stems if NAME.fullmatch(stem))
        return [self._entry(name) for name in names[:CLIENTS_LIMIT]]

    def add(self, name: str, taken: Collection[bytes]) -> Keys:
        """Make keys for a new client, with another id than those of ``taken``.

        Raises:
            KeyringError: the name is in use, or there are too many.
            FieldError: the name is none.
            OSError: they cannot be stored.
        """
        names = {entry.name for entry in self.read()}
        if check_name(name) in names:
            raise KeyringError(f"{name} has keys already: renew them, or remove it first")
        if len(names) >= CLIENTS_LIMIT:
            raise KeyringError(f"{CLIENTS_LIMIT} clients have keys already: remove one first")
        return self._make(name, taken)

    def renew(self, name: str, taken: Collection[bytes]) -> Keys:
        """Replace a client's keys; raises as `add`, and UnknownClientError."""
        self._find(name)
        return self._make(name, taken)

    def remove(self, name: str) -> None:
        """Forget a client; raises as `renew`."""
        path = self._find(name)
        for file in (path, path.with_suffix(_NUMBER)):
            _put_aside(file)
            file.unlink(missing_ok=True)
        fsync_path(self._folder)

    def reserve(self, name: str, keys: Keys, number: int) -> None:
        """Store that numbers below ``number`` may have been used with ``keys``; raises OSError."""
        told = {"client": keys.client_id.hex(), "below": number}
        write_atomically(self._folder / f"{name}{_NUMBER}", dump_object(told), mode=0o600)

    def _find(self, name: str) -> Path:
        path = self._folder / f"{check_name(name)}{_KEYS}"
        if not os.path.lexists(path):  # a link that leads nowhere is listed too
            raise UnknownClientError(f"{name}: no client of that name has keys")
        return path

    def _make(self, name: str, taken: Collection[bytes]) -> Keys:
        keys = Keys.make(taken)
        make_folder(self._folder)
        self._folder.chmod(0o700)
        for ending in (_KEYS, _NUMBER):
            _put_aside(self._folder / f"{name}{ending}")
        # The number first: after a power cut between the two, old keys have a number of new ones.
        self.reserve(name, keys, 0)
        write_atomically(self._folder / f"{name}{_KEYS}", keys.dump(), mode=0o400)
        return keys

    def _entry(self, name: str) -> Entry:
        try:
            keys = parse_keys(read_record(self._folder / f"{name}{_KEYS}", _FILE_LIMIT))
            number = _number(read_record(self._folder / f"{name}{_NUMBER}", _FILE_LIMIT), keys)
        except OSError as error:
            return Entry(name, fault=error.strerror or type(error).__name__)
        except WireError as error:
            return Entry(name, fault=str(error))
        return Entry(name, keys, number)


def _put_aside(path: Path) -> None:
    """Move a folder that lies in a file's place aside: it is none of ours, and may hold something of somebody's."""
    if not path.is_dir() or path.is_symlink():
        return
    free = (path.with_name(f"{path.name}.folder-{number}") for number in itertools.count(1))
    path.rename(next(place for place in free if not os.path.lexists(place)))


def _number(data: bytes, keys: Keys) -> int:
    source: Mapping[str, object] = parse_object(data, "number")
    if get_string(source, "client") != keys.client_id.hex():
        raise FieldError("client", get_string(source, "client"), "the id of these keys")
    return get_int(source, "below", high=2**40 - 1)
