"""Makes tests/upgrade/kept/NAME.tar.gz: the files of a machine's state folder, each written by the program of today.

    python -m tests.upgrade.make_kept NAME

What it holds is in `test_kept.py`, which reads it by the program of then. An archive that is there is never made anew: it
is of its day. The update's files, the launcher's and an outbox of the version before are in `before/` (`make_fixtures.py`), from a run of their own.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tarfile
import tempfile
from pathlib import Path

from agent.first.bind_token import FILE_NAME as BIND_TOKEN
from agent.first.bind_token import BindToken
from agent.link.outbox import Outbox
from agent.local.keyring import FOLDER_NAME, Keyring
from agent.local.page import SESSIONS_NAME
from agent.local.page.sessions import Sessions
from agent.voice.ledger import FILE_NAME as LEDGER
from agent.voice.ledger_book import Book, Entry, Erased, dump_book
from base.files import write_atomically
from machine.wake_words import WakeWords
from ota.install.rauc import RaucRecord, SlotTrial
from resources.online.cache import Cache
from resources.playing.beat_file import Beat
from resources.playing.position_store import PositionStore
from resources.playing.resume import Heard
from tests.agent.parts import make_profile
from tests.agent.test_points import built
from tests.machine.wake_parts import stored
from tests.upgrade.house import ROOT
from wire.family import Family

KEPT = ROOT / "tests/upgrade/kept"
"""Of each day that a format was made or changed, an archive."""
POINTS = {
    "volume_limits": "max=12 min=2 start=4", "night": "20:00-07:00 max=5", "play_mode": "shuffle",
    "rules": "quiet 20:30-06:30; daily 60", "listening": "daily 30", "microphone": "false", "child_lock": "true",
}  # fmt: skip
URL = "http://127.0.0.1/a.mp3"
OUTBOX, SESSION = "outbox.sqlite", "session-of-the-page"


async def make(state: Path) -> str:
    """Fill a state folder; return the name of a session of the page."""
    async with built(state) as whole:
        for name, text in POINTS.items():
            assert await whole.ask("PUT", name, text) == "", name
    store = PositionStore(state)
    store.open()
    store.write(
        {
            "story": Heard(12.5, 180.0, turn=8, when=1.8e9),
            "song": Heard(0.0, None, finished=True, turn=7),
        },
        {"left": "story"},
    )
    store.beat(Beat(9, b"story", 34.5, 180.0))
    store.close()
    cache = Cache(state / "stories", 1_000_000, free_floor=0)
    kept = cache.begin("key", 10, "audio/mpeg", '"1"')
    assert kept is not None
    kept.write(0, b"0123456789")
    kept.close()
    cache.pin(URL, pinned=True)
    Keyring(state / FOLDER_NAME).add("phone", [])
    WakeWords(state).save(stored("xiaozhi"))
    entries = [
        Entry(1, 1_800_000_000, "talk", 3.5, 2.25, 900, 10_001, "sent", "cloud:1", Erased.DONE, 1_800_000_100),
        Entry(2, 1_800_000_200, "wake", 1.0, end="nothing"),
    ]  # fmt: skip
    write_atomically(state / LEDGER, dump_book(Book(entries, 3, 30)))
    profile = make_profile(1, "")
    BindToken(profile, state).take(Family("ab" * 16, 1_700_000_000_000, 30))
    assert (state / BIND_TOKEN).exists()
    record = RaucRecord(SlotTrial("1.1.0", "77", "rootfs.1", "rootfs.0", "boot", 1))
    write_atomically(state / "rauc.json", record.to_bytes())
    outbox = Outbox(state / OUTBOX, 1024 * 1024, now=lambda: 1.8e9)
    await outbox.open()
    await outbox.put("volume", 5)
    await outbox.finish(await outbox.take())  # the next number is known from it
    for key, value, once in (("volume", 6, None), ("ota_event", {"event": 10}, "update 77")):
        await outbox.put(key, value, once=once)
    await outbox.close()
    return await Sessions(state / SESSIONS_NAME, lambda: 1.8e9).open("token")


def fill(state: Path) -> None:
    """Make a state folder with all of it."""
    state.mkdir()
    (state / SESSION).write_text(asyncio.run(make(state)))


def main(name: str) -> None:
    """Make the archive."""
    os.environ["PULSE_SERVER"] = (
        "unix:/nonexistent"  # the stand-in for a mixer: what is set on a real one is not kept
    )
    target = KEPT / f"{name}.tar.gz"
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        fill(state)
        KEPT.mkdir(exist_ok=True)
        with tarfile.open(target, "x:gz") as archive:
            archive.add(state, "state")


if __name__ == "__main__":
    main(sys.argv[1])
