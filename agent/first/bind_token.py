"""The bind token that the machine shows: the profile's, or a newer one that the cloud has given it (docs/adr/0051).

A newer one lies in the state folder, whole and synced before the cloud is told that it is there. It takes the place of
one token of one profile: with another profile it means nothing. Should it be lost, the cloud gives it again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from dataclasses import field, replace
from pathlib import Path

from base.files import read_record, write_atomically
from wire.errors import WireError
from wire.family import Family
from wire.fields import INT64_MAX, get_int, get_string, parse_object
from wire.profile import BIND_TOKEN_PATTERN, Profile
from wire.records import dataclass

FILE_NAME = "bind_token.json"
FILE_MAX = 4096

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is on the disk: a newer token ("": none), and up to when (Unix, ms) families have gone."""

    token: str = field(default="", repr=False)
    since: int = 0


def load(state: Path, profile: Profile) -> Kept:
    """Return what is kept for this profile; a damaged file is none, and the cloud gives the token again."""
    path = state / FILE_NAME
    try:
        return _parse(read_record(path, FILE_MAX), profile)
    except FileNotFoundError:
        return Kept()
    except (OSError, WireError) as error:
        _log.warning("%s cannot be read, the profile's bind token is shown: %s", path, error)
        return Kept()


def _parse(data: bytes, profile: Profile) -> Kept:
    source = parse_object(data, FILE_NAME)
    if get_string(source, "uuid").lower() != profile.uuid.lower():
        return Kept()
    since = get_int(source, "since", high=INT64_MAX)
    token = get_string(source, "token", secret=True, empty=True)
    is_newer = source.get("insteadOf") == _digest(profile) and BIND_TOKEN_PATTERN.fullmatch(token)
    return Kept(token if is_newer else "", since)


def _digest(profile: Profile) -> str:
    return hashlib.sha256(profile.bind_token.lower().encode()).hexdigest()


def shown_profile(profile: Profile, state: Path) -> Profile:
    """Return the profile with the bind token that the machine shows."""
    kept = load(state, profile)
    return replace(profile, bind_token=kept.token) if kept.token else profile


class BindToken:
    """The bind token of a running agent; `take` and `profile` may be used from several threads."""

    def __init__(self, profile: Profile, state: Path) -> None:
        """Begin with what is in ``state``; ``profile`` is as it was flashed."""
        self._flashed = profile
        self._path = state / FILE_NAME
        self._kept = load(state, profile)
        self._lock = threading.Lock()

    @property
    def profile(self) -> Profile:
        """The profile, with the bind token that the machine shows."""
        token = self._kept.token
        return replace(self._flashed, bind_token=token) if token else self._flashed

    @property
    def since(self) -> int:
        """Up to when (Unix, ms) families have gone; 0: none has."""
        return self._kept.since

    @property
    def opening(self) -> tuple[str, ...]:
        """The bind tokens that open the device page at home: the shown one, and the one on the label.

        The label's does not bind any more once there is a newer one; but whoever has the machine finds that one there.
        """
        return tuple(
            dict.fromkeys((self.profile.bind_token.lower(), self._flashed.bind_token.lower()))
        )

    def is_news(self, since: int) -> bool:
        """Return whether a family that has gone at ``since`` (Unix, ms) is not noted yet.

        A time before the known one is from a cloud whose clock was ahead, and is right now: were the later one kept,
        the next family would go unnoticed for years. Whatever is another time counts, since both may have happened.
        """
        return since != self._kept.since

    def take(self, family: Family) -> None:
        """Keep what the cloud tells.

        Raises:
            OSError: it is not on the disk, and nothing has changed.
        """
        with self._lock:
            before = self._kept
            token = before.token
            if family.bind_token is not None:
                flashed = family.bind_token == self._flashed.bind_token.lower()
                token = "" if flashed else family.bind_token
            kept = Kept(token, before.since if family.since is None else family.since)
            if kept != before:
                self._write(kept)
                self._kept = kept

    def _write(self, kept: Kept) -> None:
        record = {
            "uuid": self._flashed.uuid,
            "insteadOf": _digest(self._flashed),
            "token": kept.token,
            "since": kept.since,
        }
        write_atomically(self._path, json.dumps(record).encode(), mode=0o600)
