"""What a machine kept is read by every version after it: state folders that the program of each day wrote (`make_kept`).

Whoever changes a format makes an archive of the new one, and the old ones go on to be read.
"""

from __future__ import annotations

import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.first.bind_token import BindToken
from agent.link.outbox import Outbox
from agent.local.keyring import FOLDER_NAME, Keyring
from agent.local.page import SESSIONS_NAME
from agent.local.page.sessions import Sessions
from agent.voice.ledger import FILE_NAME as LEDGER
from agent.voice.ledger_book import Entry, Erased, parse_book
from machine.wake_words import WakeWords
from ota.install.rauc import RaucRecord, SlotTrial, parse_record
from resources.online.cache import Cache
from resources.playing.position_store import PositionStore
from resources.playing.resume import Heard
from tests.agent.parts import make_profile
from tests.agent.test_points import built
from tests.upgrade.house import ROOT
from tests.upgrade.make_kept import OUTBOX, fill

ARCHIVES = sorted(
    (ROOT / "tests/upgrade/kept").glob("*.tar.gz"),
    key=lambda path: path.name.removesuffix(".tar.gz"),
)
# What there is of each; a file that an archive does not have was not kept then.
FILES = {
    "bind_token.json", "child_lock.json", OUTBOX, "lan/phone.keys", "lan/phone.number", "listening_rules.json", "loudness.json",
    "microphone-off", "page-sessions.json", "playing.beat", "playing.sqlite", "rauc.json", "rules.json",
    "stories/key.json", "stories/key.story", "stories/pins.json", "voice_ledger.json", "wake/xiaozhi.json",
}  # fmt: skip


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.removesuffix(".tar.gz"))
def state(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Unpack one, on a machine whose mixer is a stand-in."""
    monkeypatch.setenv("PULSE_SERVER", "unix:/nonexistent")
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "state"


def test_each_kind_of_file_is_in_one() -> None:
    assert len(ARCHIVES) >= 1
    found: set[str] = set()
    for path in ARCHIVES:
        with tarfile.open(path) as archive:
            found |= {name.removeprefix("state/") for name in archive.getnames()}
    assert found >= FILES, FILES - found


def form(path: Path) -> Any:
    """What a file's format is: the columns of its tables, or the members of its objects; None: it has neither."""
    if path.suffix == ".json":
        return members(json.loads(path.read_bytes()))
    if path.suffix != ".sqlite":
        return None
    with closing(sqlite3.connect(path)) as db:
        tables = [
            name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        columns = {name: db.execute(f"PRAGMA table_info({name})").fetchall() for name in tables}
    return {name: sorted(column[1:4] for column in found) for name, found in columns.items()}


def members(value: Any) -> Any:
    """The names of members, down to the values."""
    if isinstance(value, dict):
        return {name: members(each) for name, each in value.items()}
    if isinstance(value, list):
        return [members(each) for each in value]
    return None


def forms(state: Path) -> dict[str, Any]:
    """The formats of a state folder's files, by their names."""
    files = (path for path in sorted(state.rglob("*")) if path.is_file())
    return {str(path.relative_to(state)): form(path) for path in files}


def test_the_newest_archive_has_the_formats_of_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what is written from now on is read by no test of a later version: `make_kept` makes an archive of it."""
    monkeypatch.setenv("PULSE_SERVER", "unix:/nonexistent")
    with tarfile.open(ARCHIVES[-1]) as archive:
        archive.extractall(tmp_path / "kept", filter="data")
    fill(tmp_path / "now")
    found = forms(tmp_path / "kept" / "state")
    assert found == forms(tmp_path / "now")
    assert sum(each is not None for each in found.values()) > 10


async def test_reports_that_waited_go_on_with_their_numbers(tmp_path: Path) -> None:
    with tarfile.open(ARCHIVES[-1]) as archive:
        archive.extract(f"state/{OUTBOX}", tmp_path, filter="data")
    outbox = Outbox(tmp_path / "state" / OUTBOX, 1024 * 1024)
    assert await outbox.open() is None
    assert not await outbox.put("ota_event", {"event": 10}, once="update 77")  # it waits already
    await outbox.put("volume", 7)
    waiting = await outbox.take(10)
    assert [report.data for report in waiting] == [{"volume": 6}, {"ota_event": {"event": 10}}, {"volume": 7}]  # fmt: skip
    assert [report.row.number for report in waiting[:2]] == [2, 3]
    assert waiting[0].row.epoch == waiting[1].row.epoch
    assert len({(report.row.epoch, report.row.number) for report in waiting}) == 3
    assert waiting[0].row.time == 1_800_000_000_000
    await outbox.close()


async def test_a_version_that_is_gone_back_to_writes_into_what_a_newer_one_has_widened(
    tmp_path: Path,
) -> None:
    """A trial that fails leaves the newer version's files: a column more, a table more, members more."""
    with tarfile.open(ARCHIVES[-1]) as archive:
        archive.extractall(tmp_path, filter="data")
    state = tmp_path / "state"
    for name, table in (
        (OUTBOX, "report"),
        ("playing.sqlite", "heard"),
        ("playing.sqlite", "note"),
    ):
        with closing(sqlite3.connect(state / name)) as db:
            db.execute(f"ALTER TABLE {table} ADD COLUMN of_later TEXT")
            db.execute(f"CREATE TABLE later_{table} (a)")
            db.commit()
    outbox = Outbox(state / OUTBOX, 1024 * 1024)
    assert await outbox.open() is None
    await outbox.put("volume", 7)
    assert [report.data for report in await outbox.take(10)][-1] == {"volume": 7}
    assert outbox.status()["trouble"] is None
    await outbox.close()
    store = PositionStore(state)
    store.open()
    store.write({"another": Heard(1.5, None, turn=10, when=1.8e9)}, {"left": "another"})
    assert store.heard("another") == Heard(1.5, None, turn=10, when=1.8e9)
    assert store.notes()["left"] == "another"
    store.close()


async def test_what_a_family_set_is_in_force(state: Path) -> None:
    async with built(state) as whole:
        names = (
            "volume_limits",
            "night",
            "play_mode",
            "rules",
            "listening",
            "microphone",
            "child_lock",
        )
        assert [await whole.ask("GET", name) for name in names] == [
            "max=12 min=2 start=4", "20:00-07:00 max=5", "shuffle", "quiet 20:30-06:30; daily 60", "daily 30", "false", "true",
        ]  # fmt: skip
        assert await whole.ask("PUT", "volume", "13") == "4.00"


def test_a_story_goes_on_where_it_was_when_the_power_went(state: Path) -> None:
    store = PositionStore(state)
    assert store.open() == 9  # the beat's turn
    assert store.heard("story") == Heard(34.5, 180.0, turn=9, when=1.8e9)
    assert store.heard("song") == Heard(0.0, None, finished=True, turn=7)
    assert store.notes()["left"] == "story"
    store.close()


def test_a_kept_story_and_a_pin_are_there(state: Path) -> None:
    cache = Cache(state / "stories", 1_000_000, free_floor=0)
    assert cache.pinned() == [("http://127.0.0.1/a.mp3", False)]
    kept = cache.find("key")
    assert kept is not None
    assert (kept.record.size, kept.record.content_type, kept.record.validator) == (10, "audio/mpeg", '"1"')  # fmt: skip
    assert kept.read(0, 10) == b"0123456789"
    kept.close()


async def test_who_was_let_in_is(state: Path) -> None:
    (phone,) = Keyring(state / FOLDER_NAME).read()
    assert (phone.name, phone.fault, phone.number) == ("phone", "", 0)
    assert phone.keys is not None
    name = (state / "session-of-the-page").read_text()
    sessions = Sessions(state / SESSIONS_NAME, lambda: 1.8e9 + 1)
    assert await sessions.holds(name, "token")
    assert not await sessions.holds(name, "another")


def test_the_family_s_token_its_speech_and_its_wake_word_are_known(state: Path) -> None:
    token = BindToken(make_profile(1, ""), state)
    assert (token.profile.bind_token, token.since) == ("ab" * 16, 1_700_000_000_000)
    book = parse_book((state / LEDGER).read_bytes())
    assert (book.next_number, book.days) == (3, 30)
    assert book.entries == [
        Entry(1, 1_800_000_000, "talk", 3.5, 2.25, 900, 10_001, "sent", "cloud:1", Erased.DONE, 1_800_000_100),
        Entry(2, 1_800_000_200, "wake", 1.0, end="nothing"),
    ]  # fmt: skip
    words, faults = WakeWords(state).read_all()
    assert faults == {}
    assert [(each.word.name, len(each.word.templates), each.card is not None) for each in words] == [("xiaozhi", 2, True)]  # fmt: skip


def test_an_image_on_trial_is_on_trial(state: Path) -> None:
    trial = SlotTrial("1.1.0", "77", "rootfs.1", "rootfs.0", "boot", 1)
    assert parse_record((state / "rauc.json").read_bytes()) == RaucRecord(trial)
