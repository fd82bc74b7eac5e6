"""The wake words of a machine: one file each, of points and never of voice, readable by the agent's user alone.

A file that is damaged costs its own word. A word is listened for when its card says that it is good enough.
"""

from __future__ import annotations

import array
import base64
import binascii
import json
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from audio.embedding import SIZE
from audio.wake_card import Card
from audio.wake_match import Template, Word
from base.files import fsync_path, make_folder, write_atomically
from wire.records import dataclass

FOLDER = "wake"
SUFFIX = ".json"
VERSION = 1
# A word of six takes has 40 kB; the child reads all of them at its start.
FILE_BYTES = 512 * 1024
WORDS_MAX = 8
NAME_LETTERS = 24
MODE, FOLDER_MODE = 0o600, 0o700
REMEDY = "record it again, or story-agent wake forget"
# Points are numbers from -1 to 1.
_SCALE = 32767


class WakeWordError(Exception):
    """A word cannot be read, stored or named so; the message says which, and what was expected."""


@dataclass(frozen=True, slots=True)
class StoredWord:
    """A word and its card, None before it has one."""

    word: Word
    card: Card | None = None

    def doubts(self) -> list[str]:
        """Return why it is not listened for; nothing if it is."""
        return (
            ["it has no card: story-agent wake card"] if self.card is None else self.card.doubts()
        )


class WakeWords:
    """The folder with one file for each word."""

    def __init__(self, state: Path) -> None:
        """Keep words in the state folder ``state``; it is made with the first one."""
        self.folder = state / FOLDER

    def read_all(self) -> tuple[list[StoredWord], dict[str, str]]:
        """Return the words, and of each file that cannot be read its name and why."""
        words, faults = [], {}
        for path in sorted(self.folder.glob(f"*{SUFFIX}"))[: WORDS_MAX * 2]:
            try:
                words.append(read_word(path))
            except WakeWordError as error:
                faults[path.name] = str(error)
        return words, faults

    def find(self, name: str) -> StoredWord:
        """Return the word ``name``; raises WakeWordError."""
        if not self._path(name).exists():
            known = ", ".join(each.word.name for each in self.read_all()[0]) or "none"
            raise WakeWordError(f"{name}: no such wake word; there are: {known}")
        return read_word(self._path(name))

    def save(self, stored: StoredWord) -> None:
        """Store a word, or replace it; raises WakeWordError."""
        name = check_name(stored.word.name)
        others = {each.word.name for each in self.read_all()[0]} - {name}
        if len(others) >= WORDS_MAX:
            raise WakeWordError(f"{name}: there are {WORDS_MAX} words already; forget one of them")
        try:
            make_folder(self.folder)
            self.folder.chmod(FOLDER_MODE)
            write_atomically(self._path(name), to_bytes(stored), mode=MODE)
            self._give_to_owner()
        except OSError as error:
            raise WakeWordError(f"{self.folder}: {error.strerror}") from error

    def forget(self, name: str) -> None:
        """Remove a word, also one whose file is damaged; raises WakeWordError."""
        try:
            self._path(name).unlink()
            fsync_path(self.folder)
        except FileNotFoundError:
            self.find(name)
        except OSError as error:
            raise WakeWordError(f"{name}: {error.strerror}") from error

    def _path(self, name: str) -> Path:
        return self.folder / f"{quote(name, safe='')}{SUFFIX}"

    def _give_to_owner(self) -> None:
        """Give what root has written to the user whose state folder it is."""
        owner = self.folder.parent.stat()
        if os.geteuid() == 0 and owner.st_uid:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def check_name(name: str) -> str:
    """Return a name that a word may have; raises WakeWordError."""
    if not 0 < len(name) <= NAME_LETTERS or not name.isprintable() or name != name.strip():
        raise WakeWordError(f"name: got {name[:40]!r}, expected 1 to {NAME_LETTERS} letters")
    return name


def to_bytes(stored: StoredWord) -> bytes:
    """Return a word's file."""
    content = {
        "version": VERSION,
        "name": stored.word.name,
        "templates": [_render(template) for template in stored.word.templates],
        "card": None if stored.card is None else asdict(stored.card),
    }
    return json.dumps(content, ensure_ascii=False).encode()


def _render(template: Template) -> dict[str, object]:
    flat = array.array("h", (round(v * _SCALE) for point in template.points for v in point))
    raw = flat.tobytes()
    return {
        "threshold": template.threshold,
        "points": base64.b64encode(raw).decode(),
        "crc": zlib.crc32(raw),
    }


def read_word(path: Path) -> StoredWord:
    """Read one file; raises WakeWordError that names it."""
    try:
        if not path.is_file():  # a pipe would be waited for
            raise WakeWordError(f"{path.name}: not a file; remove it")
        if path.stat().st_size > FILE_BYTES:
            raise WakeWordError(f"{path.name}: more than {FILE_BYTES} bytes; {REMEDY}")
        return from_bytes(path.read_bytes())
    except OSError as error:
        raise WakeWordError(f"{path.name}: {error.strerror}") from error
    except KeyError as error:
        raise WakeWordError(f"{path.name}: damaged: {error} is missing; {REMEDY}") from error
    except (ValueError, ArithmeticError) as error:
        raise WakeWordError(f"{path.name}: damaged: {error}; {REMEDY}") from error
    except (TypeError, AttributeError, RecursionError) as error:
        raise WakeWordError(f"{path.name}: damaged: no word's file; {REMEDY}") from error


def from_bytes(content: bytes) -> StoredWord:
    """Read a word's file; raises ValueError, TypeError, KeyError or AttributeError if it is none."""
    source = json.loads(content)
    if source["version"] != VERSION:
        raise ValueError(f"version: got {source['version']}, expected {VERSION}")
    made = tuple(_parse(each) for each in source["templates"])
    if not made:
        raise ValueError("templates: got none, expected one or more")
    card = source["card"]
    return StoredWord(Word(str(source["name"]), made), None if card is None else _parse_card(card))


def _parse(source: Mapping[str, Any]) -> Template:
    try:
        raw = base64.b64decode(source["points"], validate=True)
    except binascii.Error as error:
        raise ValueError(f"points: {error}") from error
    if zlib.crc32(raw) != source["crc"] or not raw or len(raw) % (SIZE * 2):
        raise ValueError("points: other bytes than were written")
    flat = array.array("h", raw)
    threshold = float(source["threshold"])
    if not 0 < threshold < 1:
        raise ValueError(f"threshold: got {threshold}, expected more than 0 and less than 1")
    points = tuple(
        tuple(value / _SCALE for value in flat[at : at + SIZE]) for at in range(0, len(flat), SIZE)
    )
    return Template(points, threshold)


def _parse_card(source: Mapping[str, Any]) -> Card:
    hours = float(source["hours"])
    if not 0 <= hours < math.inf:
        raise ValueError(f"hours: got {hours}, expected 0 or more")
    return Card(
        int(source["recalled"]), int(source["spoken"]), hours, int(source["false_alarms"]),
        {str(name): (int(pair[0]), int(pair[1])) for name, pair in source["near"].items()},
        str(source["corpus"]), str(source["made"]),
    )  # fmt: skip


def usable(words: Sequence[StoredWord]) -> list[Word]:
    """Return the words that are listened for."""
    return [each.word for each in words if not each.doubts()]
