"""Erased is erased: voice with a mark in it is looked for in every file of the cloud, as it came and as it sounds.

The utterances lie between others', in pages that SQLite has split and moved, and parts of them are in its log.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import math
import random
import sqlite3
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.pool import Pool

from audio.speex import SpeexEncoder
from staging.console.sound import decode
from staging.erasing import DAY_MS, Eraser
from staging.errors import StoreBusyError
from staging.gateway.reports import decide
from staging.recognition.kinds import Kind
from staging.recognition.outcomes import TYPED, VOICE, Outcome, OutcomeLog
from staging.store import (
    Database,
    apps,
    devices,
    effects,
    family,
    history,
    utterances,
    voice_ledger,
)
from staging.store.effects import Wanted
from staging.store.key_file import FILE_NAME
from staging.store.voice_keys import VoiceKeys
from tests.moved_clock import on_moved_clock
from wire.family import Spoken
from wire.voice import FRAME_SECONDS, HeaderStyle, Segmenter, VoiceSegment, unpack_frames

NOW = 1_495_000_000_000
UUID, OTHER = "0083000000000a", "0083000000000b"
RATE = 8000
TEXT = "给我讲小兔子的故事"


def hertz_of(number: int) -> int:
    return 400 + 170 * (number % 100)


def tone(number: int) -> list[VoiceSegment]:
    """Return an utterance of one second in which a tone of its own sounds, as a device sends it."""
    turn = 2 * math.pi * hertz_of(number) / RATE
    wave = array("h", [round(9000 * math.sin(turn * n)) for n in range(RATE)])
    segmenter, size = Segmenter(number, RATE, HeaderStyle.LENGTH32), round(RATE * FRAME_SECONDS)
    with SpeexEncoder(RATE, 8) as encoder:
        pieces = (wave[at : at + size].tobytes() for at in range(0, len(wave), size))
        made = [segmenter.add(encoder.encode(piece)) for piece in pieces]
    return [each for each in made if each is not None] + list(segmenter.finish())


def power_at(samples: bytes, hertz: int) -> float:
    """Return the share of the power that a frequency has (Goertzel)."""
    values = array("h", samples)
    real = imaginary = 0.0
    for n, value in enumerate(values):
        angle = 2 * math.pi * hertz * n / RATE
        real += value * math.cos(angle)
        imaginary += value * math.sin(angle)
    whole = sum(value * value for value in values) or 1
    return 2 * (real * real + imaginary * imaginary) / len(values) / whole


class Cloud:
    """Two families' devices in one data folder."""

    def __init__(self, database: Database, root: Path) -> None:
        self.database, self.root = database, root
        self.now = NOW
        self.ids = {uuid: database.call(devices.add, uuid, NOW).id for uuid in (UUID, OTHER)}
        self.outcomes = OutcomeLog(root)
        self.eraser = Eraser(database, self.outcomes, lambda: self.now)
        self.random = random.Random(7)

    def report(self, uuid: str, key: str, value: object) -> None:
        self.now += 50
        wanted = [Wanted(decide(uuid, {key: value}))]
        self.database.call(effects.apply_all, self.ids[uuid], None, wanted, self.now)

    def say(self, number: int, text: str = TEXT) -> list[VoiceSegment]:
        """Let the first device say an utterance, while the other one reports."""
        segments = tone(number)
        for segment in segments:
            self.report(UUID, "voice_control", segment.to_json())
            for _ in range(self.random.randrange(3)):
                self.report(OTHER, "note", "n" * self.random.randrange(1500))
        heard = Outcome(UUID, self.now, VOICE, utterance=number, text=text, kind=Kind.DONE)
        self.outcomes.add(heard)
        self.outcomes.add(replace(heard, uuid=OTHER, text="别的孩子说的"))
        return segments

    def keys(self) -> dict[bytes, bytes]:
        """Return what the file of the voice's keys has, by their marks."""
        with contextlib.closing(sqlite3.connect(self.root / FILE_NAME)) as file:
            return dict(file.execute("SELECT id, key FROM keys"))

    def traces(self, *marks: bytes) -> list[str]:
        """Return the files of the data folder that have one of the marks."""
        files = {path.name: path.read_bytes() for path in self.root.rglob("*") if path.is_file()}
        return [name for name, data in files.items() if any(mark in data for mark in marks)]


@pytest.fixture(autouse=True)
def careless() -> Iterator[None]:
    """Let SQLite leave what is deleted in its pages unless it is told otherwise: Debian's overwrites it by itself."""

    def on_connect(connection: object, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA secure_delete=OFF").close()

    event.listen(Pool, "connect", on_connect)
    yield
    event.remove(Pool, "connect", on_connect)


@pytest.fixture
def cloud(database: Database, tmp_path: Path) -> Cloud:
    database.voice_keys = VoiceKeys(tmp_path / FILE_NAME)
    return Cloud(database, tmp_path)


def in_postgresql(cloud: Cloud, mark: bytes) -> bool:
    """Return whether the server's own files, its log among them, have a mark."""

    def folder(session: Any) -> Path:
        return Path(
            session.scalar(text("SELECT setting FROM pg_settings WHERE name = 'data_directory'"))
        )

    files = cloud.database.call(folder).rglob("*")
    return any(mark in path.read_bytes() for path in files if path.is_file())


def marks_of(segments: list[VoiceSegment]) -> list[bytes]:
    """Return what must not be anywhere: each segment as a report has it, in parts, and its frames."""
    marks = []
    for segment in filter(lambda each: each.voice_data, segments):
        text = base64.b64encode(segment.voice_data)
        # SQLite may cut a value at the end of a page: a part is a trace as well.
        marks += [text[at : at + 120] for at in range(0, len(text) - 120, 120)]
        marks.append(segment.voice_data)
    return marks


def frames_of(segments: list[VoiceSegment]) -> list[bytes]:
    return [frame for each in segments for frame in unpack_frames(each.voice_data)]


async def test_no_file_has_a_trace_of_what_a_parent_has_erased(cloud: Cloud) -> None:
    kept = cloud.say(10_001, "留下的一句")
    gone = cloud.say(10_002)
    other = [*cloud.say(10_003, "也留下")]
    found, _ = cloud.database.call(utterances.page, cloud.ids[UUID], None, 10)
    samples, _ = decode(found[1])
    assert (
        power_at(samples.samples, hertz_of(10_002)) > 0.4
    )  # the mark is heard, and would be found
    keys = cloud.keys()
    assert cloud.traces(TEXT.encode()) != []
    assert cloud.traces(*marks_of([*kept, *gone, *other])) == []  # neither as text nor as bytes
    assert cloud.traces(*keys.values()) == [FILE_NAME]
    spoken = [Spoken(10_002, cloud.now)]
    cloud.database.call(family.erase_spoken, cloud.ids[UUID], spoken, cloud.now)
    assert await cloud.eraser.soon()
    left = cloud.keys()
    (lost,) = keys.keys() - left.keys()
    assert cloud.traces(keys[lost], TEXT.encode()) == []
    found, _ = cloud.database.call(utterances.page, cloud.ids[UUID], None, 10)
    assert [each.id for each in found] == [10_003, 10_001]
    assert [each["text"] for each in cloud.outcomes.recent(UUID)] == ["也留下", "留下的一句"]
    assert len(cloud.outcomes.recent(OTHER)) == 3
    for each, segments in zip(found, (other, kept), strict=True):
        assert each.frames() == frames_of(segments)
    if not cloud.database.is_file:
        first = next(each for each in gone if each.voice_data)
        assert not in_postgresql(cloud, base64.b64encode(first.voice_data)[:120])
        assert in_postgresql(cloud, b"n" * 400)  # the other one's reports, which are not sealed


@pytest.mark.one_database
async def test_voice_that_a_version_before_has_not_sealed_goes_from_the_file(cloud: Cloud) -> None:
    keys, cloud.database.voice_keys = cloud.database.voice_keys, None
    kept, gone = cloud.say(10_001), cloud.say(10_002)
    cloud.database.voice_keys = keys
    assert cloud.traces(*marks_of(gone)) != []
    spoken = [Spoken(10_002, cloud.now)]
    cloud.database.call(family.erase_spoken, cloud.ids[UUID], spoken, cloud.now)
    assert await cloud.eraser.soon()
    assert cloud.traces(*marks_of(gone)) == []
    assert cloud.traces(*marks_of(kept)) != []


async def test_a_family_that_has_gone_leaves_nothing_in_any_file(cloud: Cloud) -> None:
    name = "小熊的卧室"
    account = cloud.database.call(apps.account, "parent", NOW)
    token = cloud.database.call(devices.get, UUID).bind_token
    cloud.database.call(devices.bind, UUID, token or "", account.id, NOW)
    cloud.database.call(devices.rename, cloud.ids[UUID], name, NOW)
    segments = [*cloud.say(10_001), *cloud.say(10_002)]
    for title in ("三只小猪", "丑小鸭"):
        cloud.report(UUID, "play", title)
    cloud.outcomes.add(Outcome(UUID, cloud.now, TYPED, text="音量调到三", kind=Kind.DONE))
    receipt = cloud.database.call(devices.unbind, cloud.ids[UUID], cloud.now)
    assert receipt is not None
    await cloud.eraser.rest()
    texts = [TEXT, name, "三只小猪", "丑小鸭", "音量调到三"]
    encoded = [text.encode("unicode_escape") for text in texts]  # as JSON has it in a table
    assert cloud.traces(*marks_of(segments), *(text.encode() for text in texts), *encoded) == []
    row = cloud.database.call(family.receipt_of, receipt, account.id)
    assert row is not None
    assert (row[0].done_time, row[0].utterances) == (cloud.now, 2)
    assert cloud.database.call(voice_ledger.page, cloud.ids[UUID], None, 10) == ([], None)
    assert len(cloud.outcomes.recent(OTHER)) == 2


@pytest.mark.one_database
async def test_voice_goes_by_itself_after_its_days_and_the_ledger_says_so(cloud: Cloud) -> None:
    segments = cloud.say(10_001)
    cloud.report(UUID, "volume", 5)
    cloud.eraser.voice_days = 30
    cloud.now += 29 * DAY_MS
    await cloud.eraser.expire()
    assert cloud.outcomes.recent(UUID) != []
    cloud.now += DAY_MS
    await cloud.eraser.expire()
    assert cloud.traces(*marks_of(segments), TEXT.encode()) == []
    (entry,), _ = cloud.database.call(voice_ledger.page, cloud.ids[UUID], None, 10)
    assert (entry.erased_by, entry.frames) == ("days", 50)


@pytest.mark.one_database
async def test_a_sentence_goes_after_its_days_though_its_voice_went_a_look_before(
    cloud: Cloud,
) -> None:
    cloud.say(10_001)
    said = cloud.now
    heard = Outcome(UUID, said + 4000, VOICE, utterance=10_001, text="晚一点才听懂", kind=Kind.DONE)
    cloud.outcomes.add(heard)
    cloud.eraser.voice_days = 30
    cloud.now = said + 30 * DAY_MS + 2000
    await cloud.eraser.expire()
    assert [each["text"] for each in cloud.outcomes.recent(UUID)] == ["晚一点才听懂"]
    cloud.now += 600_000
    await cloud.eraser.expire()
    assert cloud.outcomes.recent(UUID) == []
    assert cloud.traces("晚一点才听懂".encode()) == []


@pytest.mark.one_database
async def test_old_voice_is_taken_from_the_log_later_if_somebody_still_reads_that(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = cloud.say(10_001)
    cloud.eraser.voice_days = 30
    cloud.now += 31 * DAY_MS

    def busy(_self: Database) -> None:
        raise StoreBusyError("its log is still being read")

    with monkeypatch.context() as reads:
        reads.setattr(Database, "scrub", busy)
        with pytest.raises(StoreBusyError):
            await cloud.eraser.expire()
    await cloud.eraser.expire()
    assert cloud.traces(*marks_of(segments)) == []


@pytest.mark.one_database
async def test_old_voice_that_a_killed_process_left_in_the_log_goes_with_the_next_start(
    cloud: Cloud,
) -> None:
    segments = cloud.say(10_001)
    device, before = cloud.ids[UUID], cloud.now + 1
    while cloud.database.call(voice_ledger.expire, device, before, 500, cloud.now):
        continue
    started = Eraser(cloud.database, cloud.outcomes, lambda: cloud.now, voice_days=30)
    await started.expire()
    assert cloud.traces(*marks_of(segments)) == []


class Ledger:
    """A store in which 205 devices have voice that is too old, and no order waits."""

    voice_keys = None

    def __init__(self) -> None:
        self.old = list(range(205))
        self.asked: list[int] = []
        self.looks: list[float] = []

    async def read(self, what: object, *words: Any) -> Any:
        if what is voice_ledger.with_voice_before:
            _before, limit = words
            self.asked.append(min(limit, len(self.old)))
            return self.old[:limit]
        assert what is family.waiting
        self.looks.append(asyncio.get_running_loop().time())
        return []

    async def write(self, what: object, *words: Any) -> int:
        if what is not voice_ledger.expire or words[0] not in self.old:
            return 0
        self.old.remove(words[0])
        return 1

    is_file = True

    async def settle_keys(self) -> None:
        """There are none."""

    def scrub(self) -> None:
        """Nothing is in it."""


def ledger_of(tmp_path: Path) -> tuple[Ledger, Eraser]:
    ledger = Ledger()
    database: Any = ledger
    return ledger, Eraser(database, OutcomeLog(tmp_path), lambda: NOW, voice_days=30)


async def test_old_voice_of_a_fleet_goes_by_a_hundred_devices_at_once(tmp_path: Path) -> None:
    ledger, eraser = ledger_of(tmp_path)
    await eraser.expire()
    assert (ledger.asked, ledger.old) == ([100, 100, 5, 0], [])


@on_moved_clock
async def test_an_order_of_another_process_is_looked_for_many_times_in_the_promised_minute(
    tmp_path: Path,
) -> None:
    ledger, eraser = ledger_of(tmp_path)
    running = asyncio.create_task(eraser.run())
    await asyncio.sleep(120)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    waits = [after - before for before, after in itertools.pairwise(ledger.looks)]
    assert all(4.5 <= wait <= 5.5 for wait in waits), waits
    assert len(waits) > 20


@pytest.mark.one_database
async def test_an_order_of_a_clock_that_was_years_ahead_takes_nothing_of_the_next_family(
    cloud: Cloud,
) -> None:
    """It is open while the clock is put right: the next family's entries are of an earlier time than its end."""
    number, call = cloud.ids[UUID], cloud.database.call
    first, second = (call(apps.account, name, NOW).id for name in ("first", "second"))
    bind_token = str(call(devices.get, UUID).bind_token)
    call(devices.bind, UUID, bind_token, first, NOW)
    gone = [*cloud.say(10_001)]
    true, cloud.now = cloud.now, cloud.now + 9 * 365 * DAY_MS
    gone += [*cloud.say(10_002, "九年以后")]
    call(devices.unbind, number, cloud.now)
    cloud.now += 1000
    call(devices.bind, UUID, str(call(devices.get, UUID).next_bind_token), second, cloud.now)
    cloud.report(UUID, "play", "还在九年以后")  # before the clock is put right
    cloud.now = true + 60_000
    kept = cloud.say(10_003, "也留下")
    cloud.report(UUID, "volume", 5)
    cloud.outcomes.add(Outcome(UUID, cloud.now, TYPED, text="留下的一句", kind=Kind.DONE))
    await cloud.eraser.rest()
    assert cloud.traces(*marks_of(gone), "九年以后".encode().join([b'"text": "', b'"'])) == []
    assert [each["text"] for each in cloud.outcomes.recent(UUID)] == ["留下的一句", "也留下"]
    found = call(history.page, number, history.Query(limit=100)).entries
    assert {entry.key for entry in found} == {"play", "volume", "voice_control"}
    assert all(entry.ts <= cloud.now for entry in found)
    heard, _ = call(utterances.page, number, None, 10)
    assert [each.frames() for each in heard] == [frames_of(kept)]
    entries, _ = call(voice_ledger.page, number, None, 10)
    assert [(entry.utterance, entry.erase_time) for entry in entries] == [(10_003, None)]


@pytest.mark.one_database
async def test_what_fails_is_tried_again_until_it_is_done(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = cloud.say(10_001)
    spoken = [Spoken(10_001, cloud.now)]
    cloud.database.call(family.erase_spoken, cloud.ids[UUID], spoken, cloud.now)
    tries = iter([False, False, True])
    real = cloud.database.scrub

    def scrub() -> None:
        if not next(tries, True):
            raise StoreBusyError("its log is still being read")
        real()

    monkeypatch.setattr(cloud.database, "scrub", scrub)
    assert not await cloud.eraser.soon()
    assert cloud.database.call(family.waiting) != []
    monkeypatch.setattr(cloud.eraser, "_pause", lambda: asyncio.sleep(0))
    running = asyncio.create_task(cloud.eraser.run())
    async with asyncio.timeout(60):
        while await cloud.database.read(family.waiting):
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert cloud.traces(*marks_of(segments)) == []


@pytest.mark.one_database
async def test_an_order_that_fails_each_time_holds_up_no_other_one(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (10_001, 10_002):
        cloud.say(number)
        spoken = [Spoken(number, cloud.now)]
        cloud.database.call(family.erase_spoken, cloud.ids[UUID], spoken, cloud.now)
    first, second = cloud.database.call(family.waiting)
    real = family.texts_of

    def texts_of(session: Any, receipt: str, now: int) -> Any:
        if receipt == first:
            raise StoreBusyError("a row that cannot be read")
        return real(session, receipt, now)

    monkeypatch.setattr(family, "texts_of", texts_of)
    with pytest.raises(StoreBusyError, match="cannot be read"):
        await cloud.eraser.rest()
    assert cloud.database.call(family.waiting) == [first]
    assert second != first


@contextlib.contextmanager
def reading(path: Path) -> Iterator[Any]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM reports").fetchone()
    yield connection
    connection.close()


@pytest.mark.one_database
async def test_a_reader_that_holds_the_log_makes_it_wait(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("staging.store.engine.SCRUB_TIMEOUT_S", 0.01)
    segments = cloud.say(10_001)
    with reading(tmp_path / "cloud.sqlite"):
        spoken = [Spoken(10_001, cloud.now)]
        cloud.database.call(family.erase_spoken, cloud.ids[UUID], spoken, cloud.now)
        assert not await cloud.eraser.soon()
    assert await cloud.eraser.soon()
    assert cloud.traces(*marks_of(segments)) == []
