"""What several threads use is used by one at a time: each of these waits for the lock that another holds.

A lock that is left out breaks no other test: two threads meet in it by chance. Here the test itself holds the lock.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agent.first.bind_token import BindToken
from agent.local.clients import Clients
from agent.local.keyring import FOLDER_NAME, Keyring
from agent.local.page.sessions import Sessions
from agent.voice.ledger import Ledger
from agent.voice.ledger_book import Book
from base.clock import EARLIEST, TrustedTime
from machine.microphone_switch import MicrophoneSwitch
from machine.mixers import StandInMixer
from resources.loudness.gain_index import GainIndex
from resources.online.cache import Cache, Kept
from resources.playing.positions import Positions
from resources.playing.queue import Track
from resources.record import Record
from resources.titles.media_folder import MediaFolder
from staging.recognition.title_lists import TitleLists
from staging.store.engine import Trouble
from staging.store.outage import Outage
from staging.store.voice_keys import VoiceKeys
from tests.agent.parts import make_profile
from tests.resources.parts import level_on
from wire.family import Family

Act = Callable[[Any], object]


class Held:
    """A lock that tells when somebody waits for it."""

    def __init__(self) -> None:
        self._lock, self.came = threading.RLock(), threading.Event()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self.came.set()
            self._lock.acquire()

    def __exit__(self, *_error: object) -> None:
        self._lock.release()


def waits(owner: object, act: Act, name: str) -> bool:
    """Do something in a thread while the owner's lock is held; return whether it waited, and did it then."""
    lock, done = Held(), threading.Event()
    setattr(owner, name, lock)

    def work() -> None:
        try:
            act(owner)
        finally:
            done.set()
            lock.came.set()

    thread = threading.Thread(target=work)
    with lock:
        thread.start()
        assert lock.came.wait(60)
        waited = not done.is_set()
    thread.join(60)
    assert done.is_set()
    return waited


def cache_of(folder: Path) -> Cache:
    cache = Cache(folder / "stories", 1_000_000, free_floor=0)
    kept = cache.begin("a", 10, "audio/mpeg", '"1"')
    assert kept is not None
    kept.write(0, b"12345")
    kept.close()
    return cache


def kept_of(folder: Path) -> Kept:
    kept = cache_of(folder).find("a")
    assert kept is not None
    kept.write(5, b"678")
    return kept


def voice_keys_of(folder: Path) -> VoiceKeys:
    keys = VoiceKeys(folder / "keys.sqlite")
    keys._key_of(1, {"id": 10_001, "segment": 0})
    return keys


def client_of(folder: Path) -> Clients:
    Keyring(folder / FOLDER_NAME).add("phone", [])
    return Clients(folder)


def len_of(book: Book) -> int:
    return len(book.entries)


URL, MARK = "http://127.0.0.1/a", bytes(8)
MAKERS: dict[str, Callable[[Path], Any]] = {
    "bind token": lambda folder: BindToken(make_profile(1, ""), folder),
    "clock": lambda folder: TrustedTime(folder / "time.json"),
    "cache": cache_of,
    "story": kept_of,
    "gains": lambda folder: GainIndex(folder / "gains.sqlite"),
    "media": MediaFolder,
    "titles": TitleLists,
    "outage": lambda _folder: Outage("the store"),
    "voice keys": voice_keys_of,
}
ACTS: list[tuple[str, str, Act]] = [
    ("bind token", "take", lambda it: it.take(Family("ab" * 16, 1, 30))),
    ("clock", "floor", lambda it: it.floor()),
    ("clock", "from_cloud", lambda it: it.from_cloud),
    ("clock", "was_told", lambda it: it.was_told),
    ("clock", "forget_metadata", lambda it: it.forget_metadata(["key"])),
    ("clock", "note_cloud", lambda it: it.note_cloud(EARLIEST + 1)),
    ("cache", "find", lambda it: it.find("b")),
    ("cache", "begin", lambda it: it.begin("b", 5, "audio/mpeg", '"1"')),
    ("cache", "pin", lambda it: it.pin(URL, pinned=True)),
    ("cache", "pinned", lambda it: it.pinned()),
    ("cache", "has_whole", lambda it: it.has_whole("a")),
    ("cache", "total", lambda it: it.total()),
    ("cache", "drop", lambda it: it.drop("a")),
    ("cache", "let_go", lambda it: it.let_go("a")),
    ("cache", "note", lambda it: it.note("a", it._load()["a"])),
    ("story", "read", lambda it: it.read(0, 5)),
    ("story", "write", lambda it: it.write(8, b"9")),
    ("story", "sync", lambda it: it.sync()),
    ("story", "close", lambda it: it.close()),
    ("gains", "find", lambda it: it.find(__file__)),
    ("gains", "close", lambda it: it.close()),
    ("media", "index", lambda it: it.index()),
    ("media", "unreadable", lambda it: it.unreadable()),
    ("media", "close", lambda it: it.close()),
    ("titles", "index", lambda it: it.index("0083000000000a", "p")),
    ("outage", "note", lambda it: it.note(Trouble.BUSY, "why")),
    ("voice keys", "leave", lambda it: it.leave({MARK})),
    ("voice keys", "note_going", lambda it: it.note_going([(MARK, 1)])),
    ("voice keys", "going", lambda it: it.going()),
    ("voice keys", "spare", lambda it: it.spare([(MARK, 1)])),
    ("voice keys", "forget", lambda it: it.forget({MARK})),
    ("voice keys", "keep", lambda it: it.keep({MARK})),
    ("voice keys", "close", lambda it: it.close()),
    ("voice keys", "seal's key", lambda it: it._key_of(1, {"id": 10_001, "segment": 1})),
    ("voice keys", "opened", lambda it: it._decrypt(MARK, "00.AAAA")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("of", "act"), [(of, act) for of, _, act in ACTS], ids=[f"{of} {name}" for of, name, _ in ACTS]
)
def test_it_waits_for_whoever_holds_the_lock(of: str, act: Act, tmp_path: Path) -> None:
    owner = MAKERS[of](tmp_path)
    waited = waits(owner, act, "_lock")
    if of in {"media", "gains", "voice keys"}:  # which have files open
        owner.close()
    assert waited


def test_a_story_is_made_durable_by_one_at_a_time(tmp_path: Path) -> None:
    assert waits(kept_of(tmp_path), lambda kept: kept.sync(), "_syncing")


class HeldTask:
    """A lock of asyncio's that tells when somebody waits for it."""

    def __init__(self) -> None:
        self._lock, self.came = asyncio.Lock(), asyncio.Event()

    async def __aenter__(self) -> None:
        if self._lock.locked():
            self.came.set()
        await self._lock.acquire()

    async def __aexit__(self, *_error: object) -> None:
        self._lock.release()

    def locked(self) -> bool:
        return self._lock.locked()


async def task_waits(owner: object, act: Callable[[Any], Awaitable[object]], name: str) -> bool:
    """Do something in a task while the owner's lock is held; return whether it waited, and did it then."""
    lock = HeldTask()
    setattr(owner, name, lock)

    async def work() -> None:
        await act(owner)

    async with lock:
        task = asyncio.create_task(work())
        came = asyncio.create_task(lock.came.wait())
        async with asyncio.timeout(60):
            await asyncio.wait([task, came], return_when=asyncio.FIRST_COMPLETED)
        waited = lock.came.is_set() and not task.done()
    await task
    came.cancel()
    return waited


TRACK = Track("a", "/media/a.mp3", "a.mp3")
TASKS: list[tuple[str, str, Callable[[Path], Any], str, Callable[[Any], Awaitable[object]]]] = [
    ("record", "save", lambda folder: Record(folder / "a.json"), "_lock", lambda it: it.save({"a": 1})),
    ("microphone", "set", lambda folder: MicrophoneSwitch(folder / "off"), "_lock", lambda it: it.set(on=False)),
    ("sessions", "open", lambda folder: Sessions(folder / "a.json", lambda: 1.8e9), "_lock", lambda it: it.open("token")),
    ("sessions", "read", lambda folder: Sessions(folder / "a.json", lambda: 1.8e9), "_lock", lambda it: it.holds("a", "b")),
    ("sessions", "store", lambda folder: Sessions(folder / "a.json", lambda: 1.8e9), "_lock", lambda it: it._store()),
    ("ledger", "read", lambda folder: Ledger(folder, lambda: 1.8e9), "_lock", lambda it: it._opened()),
    ("ledger", "change", lambda folder: Ledger(folder, lambda: 1.8e9), "_lock", lambda it: it._change(len_of)),
    ("clients", "load", Clients, "_lock", lambda it: it.load()),
    ("clients", "add", Clients, "_lock", lambda it: it.add("phone")),
    ("clients", "remove", client_of, "_lock", lambda it: it.remove("phone")),
    ("level", "get", lambda _folder: level_on(StandInMixer()), "_lock", lambda it: it.get()),
    ("level", "peek", lambda _folder: level_on(StandInMixer()), "_lock", lambda it: it.peek()),
    ("level", "set", lambda _folder: level_on(StandInMixer()), "_lock", lambda it: it.set(0.5)),
    ("level", "restore", lambda _folder: level_on(StandInMixer()), "_lock", lambda it: it.restore()),
    ("positions", "beat", Positions, "_disk", lambda it: it.beat(TRACK, 1.0, 9.0)),
    ("positions", "forget", Positions, "_disk", lambda it: it.forget(None)),
    ("positions", "flush", Positions, "_disk", lambda it: it.flush()),
    ("positions", "close", Positions, "_disk", lambda it: it.close()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "name", "act"), [row[2:] for row in TASKS], ids=[f"{of} {name}" for of, name, *_ in TASKS]
)  # fmt: skip
async def test_a_task_waits_for_whoever_holds_the_lock(
    make: Callable[[Path], Any],
    name: str,
    act: Callable[[Any], Awaitable[object]],
    tmp_path: Path,
) -> None:
    assert await task_waits(make(tmp_path), act, name)
