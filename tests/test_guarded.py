"""What each lock of the product guards is touched with the lock held, in every work that takes it (`tests.guarded`)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from sqlalchemy import make_url

import agent.local.page.sessions
import resources.online.cache
import resources.playing.teller
import resources.record
from agent.first.bind_token import BindToken
from agent.local.clients import Clients
from agent.local.page.routes import DevicePage
from agent.local.page.sessions import Sessions
from agent.settings import VoiceSettings
from agent.voice.button import Buttons
from agent.voice.ledger import Ledger
from agent.voice.sender import VoiceSender
from agent.voice.wake import Wake
from base.clock import TrustedTime
from machine.button_settings import Key
from machine.level import KeptLevel
from machine.light import Light
from machine.microphone_switch import MicrophoneSwitch
from machine.mixers import StandInMixer
from machine.player import MpvPlayer
from release.repository import Repository
from resources.dispatch import Dispatch
from resources.loudness.gain_index import GainIndex
from resources.online.cache import Cache
from resources.playing.positions import Positions
from resources.playing.queue import Track
from resources.record import Record
from resources.titles.media_folder import MediaFolder
from staging.commands.runs import _Turn
from staging.erasing import Eraser
from staging.gateway.control_history import ControlHistory, Noted
from staging.recognition.outcomes import OutcomeLog
from staging.recognition.recogniser import Recogniser
from staging.recognition.title_lists import TitleLists
from staging.store.engine import Trouble
from staging.store.outage import Outage
from staging.store.voice_keys import VoiceKeys
from tests.agent.memory_link import MemoryLink
from tests.agent.parts import make_profile
from tests.agent.voice.test_sender import sine
from tests.extras import require
from tests.guarded import Guard
from tests.resources.times.test_budget import House
from tests.resources.times.test_keeper import House as KeeperHouse
from wire.family import Family
from wire.rules import parse_listening, parse_rules
from wire.sleep import parse_timer
from wire.voice import HeaderStyle, VoiceSegment, pack_frame

Patch = pytest.MonkeyPatch


def test_the_trusted_time(tmp_path: Path, monkeypatch: Patch) -> None:
    clock = TrustedTime(tmp_path / "time.json", wall=lambda: 0.0)
    now = clock.now() + 100
    guard = Guard(clock, "_lock", monkeypatch).data("_record", "_stored")
    guard.check(
        clock.now, lambda: clock.note_cloud(now), lambda: clock.from_cloud, lambda: clock.was_told,
        lambda: clock.note_metadata(now, ["a"]), lambda: clock.forget_metadata(["b"]),
    )  # fmt: skip


async def test_the_clients_of_the_home_network(tmp_path: Path, monkeypatch: Patch) -> None:
    require("cbor2")
    clients = Clients(tmp_path)
    guard = Guard(clients, "_lock", monkeypatch)
    guard.calls(clients._keyring, "read", "add", "renew", "remove", "reserve")

    async def reserve() -> None:
        context = clients.find(next(iter(clients._by_id)))
        assert context is not None
        await context.reserve()

    await guard.check_tasks(
        clients.load, lambda: clients.add("phone"), lambda: clients.renew("phone"), reserve,
        lambda: clients.remove("phone"),
    )  # fmt: skip


async def test_the_ledger_of_speech(tmp_path: Path, monkeypatch: Patch) -> None:
    ledger = Ledger(tmp_path, lambda: 5000.0)
    guard = Guard(ledger, "_lock", monkeypatch).calls(ledger, "_read")
    await guard.check_tasks(ledger.shown, lambda: ledger.note_days(30))


async def test_one_utterance_is_sent_at_a_time(monkeypatch: Patch) -> None:
    sender = VoiceSender(MemoryLink(), VoiceSettings())
    guard = Guard(sender, "_lock", monkeypatch).calls(sender, "next_id", "_segments")
    await guard.check_tasks(lambda: sender.send(sine(0.3)))


def test_the_bind_token(tmp_path: Path, monkeypatch: Patch) -> None:
    held = BindToken(make_profile(1, ""), tmp_path)
    guard = Guard(held, "_lock", monkeypatch).calls(held, "_write")
    guard.check(lambda: held.take(Family("0123456789abcdef" * 2, 5_000)))


async def test_the_sessions_of_the_devices_page(tmp_path: Path, monkeypatch: Patch) -> None:
    sessions = Sessions(tmp_path / "sessions.json", lambda: 5000.0)
    guard = Guard(sessions, "_lock", monkeypatch)
    guard.calls(agent.local.page.sessions, "_read", "write_atomically")
    await guard.check_tasks(sessions._loaded, lambda: sessions.open("token"))


async def test_the_level_of_the_outputs(monkeypatch: Patch) -> None:
    mixer = StandInMixer()

    async def find(_lost: object) -> StandInMixer:
        return mixer

    level = KeptLevel(find, lambda: "")
    guard = Guard(level, "_lock", monkeypatch).calls(mixer, "read", "put").calls(level, "_look")
    await guard.check_tasks(
        level.get, level.peek, lambda: level.set(0.25), level.restore, level._follow_once
    )


class Lamp(Light):
    """A light that is always there."""

    async def _turn_on(self) -> None:
        """It shines."""

    async def _turn_off(self) -> None:
        """It is dark."""


async def test_the_light(monkeypatch: Patch) -> None:
    light = Lamp()
    guard = Guard(light, "_lock", monkeypatch).calls(light, "_turn_on", "_turn_off")

    async def shine() -> None:
        async with light.shining():
            assert guard.within == ["_turn_on"]

    await guard.check_tasks(shine)
    assert guard.within == ["_turn_on", "_turn_off"]


async def test_the_microphones_switch(tmp_path: Path, monkeypatch: Patch) -> None:
    switch = MicrophoneSwitch(tmp_path / "off")
    guard = Guard(switch, "_lock", monkeypatch).calls(switch, "_store")
    await guard.check_tasks(lambda: switch.set(on=False), lambda: switch.set(on=True))


def test_the_index_of_loudness(tmp_path: Path, monkeypatch: Patch) -> None:
    index = GainIndex(tmp_path / "gain.sqlite")
    guard = Guard(index, "_lock", monkeypatch).data("_database")
    (tmp_path / "a.wav").write_bytes(b"sound")
    guard.check(lambda: index.find(str(tmp_path / "a.wav")), index.close)


async def test_a_record_of_the_disk(tmp_path: Path, monkeypatch: Patch) -> None:
    record = Record(tmp_path / "volume.json")
    guard = Guard(record, "_lock", monkeypatch).calls(resources.record, "_write")
    await guard.check_tasks(lambda: record.save({"level": 3}))


def test_the_titles_of_a_folder(tmp_path: Path, monkeypatch: Patch) -> None:
    folder = MediaFolder(tmp_path)
    guard = Guard(folder, "_lock", monkeypatch).calls(folder, "_refresh", "_forget").data("_nodes")
    guard.check(folder.index, folder.unreadable, folder.close)


def test_a_transaction_that_may_begin(monkeypatch: Patch) -> None:
    turn = _Turn()
    guard = Guard(turn, "_lock", monkeypatch).data("_is_taken", "_is_given_up")
    guard.check(turn.take, turn.give_up)


def test_the_lists_of_titles(tmp_path: Path, monkeypatch: Patch) -> None:
    lists = TitleLists(tmp_path)
    lists.set(["小红帽"], product="p")
    guard = Guard(lists, "_lock", monkeypatch).data("_cache")
    guard.check(lambda: lists.index("a", "p"))


class Spells(dict[Any, Any]):
    """What an outage has noted. What there is may be looked at without the lock."""

    guard: Guard

    def __setitem__(self, key: Any, value: Any) -> None:
        self.guard.note("begins")
        super().__setitem__(key, value)

    def __delitem__(self, key: Any) -> None:
        self.guard.note("ends")
        super().__delitem__(key)


def test_the_outages_of_a_store(monkeypatch: Patch) -> None:
    now = SimpleNamespace(seconds=0.0)
    outage = Outage("the store", lambda: now.seconds)
    guard = Guard(outage, "_lock", monkeypatch)
    outage._spells = Spells()
    outage._spells.guard = guard

    def ends() -> None:
        now.seconds += 3600
        with outage.watch(writes=True):
            """The store works again."""

    guard.check(lambda: outage.note(Trouble.BUSY, "many ask"), ends)
    assert not outage._spells


def test_the_keys_of_voice(tmp_path: Path, monkeypatch: Patch) -> None:
    keys = VoiceKeys(tmp_path / "keys.sqlite")
    frame = pack_frame(b"sound", HeaderStyle.LENGTH32, 8000)
    value = VoiceSegment(7, 0, 8000, eof=False, voice_data=frame).to_json()
    sealed = keys.seal(1, value)
    guard = Guard(keys, "_lock", monkeypatch).data("_connection", "_open")
    mark = [bytes(16)]
    guard.check(
        lambda: keys.seal(1, VoiceSegment(7, 1, 8000, eof=True, voice_data=frame).to_json()),
        lambda: keys.opened(sealed), lambda: keys.note_going([(mark[0], 1)]), keys.going,
        lambda: keys.spare([(mark[0], 1)]), lambda: keys.leave(mark), lambda: keys.forget(mark),
        lambda: keys.keep(mark), keys.close,
    )  # fmt: skip


def test_a_kept_story(tmp_path: Path, monkeypatch: Patch) -> None:
    cache = Cache(tmp_path, 10_000, free_floor=0)
    kept = cache.begin("a", 100, "audio/mpeg", '"1"')
    assert kept is not None
    guard = Guard(kept, "_lock", monkeypatch).data("_file")
    noting = Guard(kept, "_syncing", monkeypatch).calls(cache, "note")
    guard.check(lambda: kept.write(0, bytes(50)), lambda: kept.read(0, 10))
    noting.check(kept.sync)
    assert guard.without == []
    guard.check(kept.close)


def test_the_kept_stories(tmp_path: Path, monkeypatch: Patch) -> None:
    cache = Cache(tmp_path, 10_000, free_floor=0)
    guard = Guard(cache, "_lock", monkeypatch).calls(cache, "_load").data("_open")
    guard.calls(resources.online.cache, "write_atomically")
    url = "http://h/a.mp3"
    record = cache.begin("b", 100, "audio/mpeg", '"1"')
    assert record is not None

    guard.check(
        lambda: cache.begin("a", 100, "audio/mpeg", '"1"'), lambda: cache.find("a"), lambda: cache.pin(url, pinned=True), cache.pinned,
        lambda: cache.has_whole("a"), cache.total, lambda: cache.note("b", record.record),
        lambda: cache.let_go("a"), lambda: cache.drop("a"),
    )  # fmt: skip


async def test_the_disk_of_positions(tmp_path: Path, monkeypatch: Patch) -> None:
    positions = Positions(tmp_path)
    guard = Guard(positions, "_disk", monkeypatch).calls(positions, "_try")
    store = positions._store
    assert store is not None
    guard.calls(store, "open", "beat", "write", "forget", "heard", "latest", "close")
    track = Track("a", "/a.mp3", "a")

    async def heard() -> None:
        positions.note(track, 100.0, 600.0, finished=False)
        await positions.flush()

    await guard.check_tasks(
        positions.load, lambda: positions.beat(track, 100.0, 600.0), heard, lambda: positions._heard("b"),
        positions._latest, lambda: positions.forget(None), positions.close,
    )  # fmt: skip


async def test_an_order_to_erase(tmp_path: Path, monkeypatch: Patch) -> None:
    database: Any = SimpleNamespace(read=nothing, settle_keys=nothing)
    eraser = Eraser(database, OutcomeLog(tmp_path), lambda: 1)
    guard = Guard(eraser, "_one", monkeypatch).calls(database, "read", "settle_keys")
    await guard.check_tasks(eraser.rest)


async def nothing(*_words: object) -> list[Any]:
    """Find nothing, and do nothing."""
    return []


async def test_the_start_of_a_recogniser(tmp_path: Path, monkeypatch: Patch) -> None:
    recogniser = Recogniser(tmp_path)
    guard = Guard(recogniser, "_starting", monkeypatch)
    monkeypatch.setattr(recogniser, "_start", nothing)
    guard.calls(recogniser, "_start")
    await guard.check_tasks(recogniser._ready)


async def test_the_values_of_control_requests(monkeypatch: Patch) -> None:
    database: Any = SimpleNamespace(write=nothing)
    history = ControlHistory(database)
    history.note(Noted(1, "volume", {}, "3", 5))
    guard = Guard(history, "_saving", monkeypatch).calls(database, "write")
    await guard.check_tasks(history.save)


async def test_the_numbers_of_a_client(tmp_path: Path, monkeypatch: Patch) -> None:
    require("cbor2")
    clients = Clients(tmp_path)
    context = clients.find((await clients.add("phone")).client_id)
    assert context is not None
    guard = Guard(context, "_reserving", monkeypatch).calls(context, "_reserve")
    await guard.check_tasks(context.reserve)


async def test_the_measure_of_listening(tmp_path: Path, monkeypatch: Patch) -> None:
    budget = House(tmp_path).budget
    ordering = Guard(budget, "_ordering", monkeypatch).calls(budget, "_save_rules")
    writing = Guard(budget, "_writing", monkeypatch).calls(budget, "_write_rules")
    order = parse_listening("daily 30")
    await ordering.check_tasks(lambda: budget.order(order))
    assert (writing.within, writing.without) == (["_write_rules"], [])
    await writing.check_tasks(budget._write)


async def test_a_line_to_a_server(monkeypatch: Patch) -> None:
    from staging.store import pipeline

    reader = pipeline.PostgresqlReader(make_url("postgresql://nobody@127.0.0.1/none"))
    guard = Guard(reader, "_opening", monkeypatch)
    monkeypatch.setattr(pipeline, "_connect", nothing)
    guard.calls(pipeline, "_connect")
    await guard.check_tasks(reader._open)


async def unheard(_name: str, _value: object) -> None:
    """A change that nobody is told of."""


async def test_what_the_devices_page_shows(tmp_path: Path, monkeypatch: Patch) -> None:
    async def status() -> dict[str, object]:
        return {}

    page = DevicePage(Dispatch([], unheard), status, Mock(), tmp_path, lambda: 1.8e9)
    guard = Guard(page, "_looking", monkeypatch).data("_seen")
    await guard.check_tasks(page._look)


async def test_the_start_of_a_player(monkeypatch: Patch) -> None:
    player = MpvPlayer(KeptLevel())
    monkeypatch.setattr("machine.player.MpvProcess.start", nothing)
    guard = Guard(player, "_opening", monkeypatch).data("_mpv")
    await guard.check_tasks(player._open)


async def test_the_microphone_for_the_wake_word(monkeypatch: Patch) -> None:
    wake = Wake(
        Mock(), lambda _hit: Mock(listens=False), nothing, wanted=lambda: False, deaf=lambda: False
    )
    guard = Guard(wake, "_adjusting", monkeypatch).data("_open")
    await guard.check_tasks(wake.adjust)


async def test_orders_of_buttons(monkeypatch: Patch) -> None:
    orders = Mock(press=nothing)
    buttons = Buttons([], Mock(), orders)
    guard = Guard(buttons, "_ordering", monkeypatch).calls(orders, "press")
    await guard.check_tasks(lambda: buttons._give(Key.NEXT))


async def test_the_timer_and_the_rules(tmp_path: Path, monkeypatch: Patch) -> None:
    keeper = KeeperHouse(tmp_path).keeper
    records = keeper._records
    ordering = Guard(keeper, "_ordering", monkeypatch)
    ordering.calls(records, "save_timer", "save_rules")
    writing = Guard(records, "_lock", monkeypatch)
    writing.calls(records, "_write_rules", "_write_timer", "_write_changes")
    rules, timer = parse_rules("quiet 20:30-06:30"), parse_timer("30")
    await ordering.check_tasks(lambda: keeper.order_rules(rules), lambda: keeper.order_timer(timer))
    await writing.check_tasks(records.save_rules, records.save_timer, records.close)


def test_the_metadata_of_a_repository(tmp_path: Path, monkeypatch: Patch) -> None:
    """Its lock is a file's, between processes; who has it is seen from within."""
    repository = Repository(tmp_path / "repository", tmp_path / "keys")
    store, inside = repository.store, SimpleNamespace(lock=threading.Lock())
    guard = Guard(inside, "lock", monkeypatch)
    locked = store.locked

    @contextlib.contextmanager
    def watched() -> Iterator[None]:
        with locked(), inside.lock:
            yield

    monkeypatch.setattr(store, "locked", watched)
    guard.calls(store, "published", "staged", "stage", "write")
    package = tmp_path / "package"
    package.write_bytes(b"package")
    guard.check(
        repository.create, lambda: repository.add(package, "p", "1.1.0"),
        lambda: repository.edit_terms("p", "1.1.0", lambda terms: replace(terms, channels=("x",))),
        lambda: repository.change_keys("timestamp", 1), repository.sign, repository.publish, repository.refresh,
    )  # fmt: skip


async def test_what_plays(tmp_path: Path, monkeypatch: Patch) -> None:
    teller = KeeperHouse(tmp_path).bench.teller
    guard = Guard(teller._programme, "lock", monkeypatch).calls(teller._holds, "lets_go_on")
    monkeypatch.setattr(resources.playing.teller, "play_chime", nothing)
    guard.calls(resources.playing.teller, "play_chime")
    await guard.check_tasks(teller._go_on_earlier, lambda: teller.prove_sound(5))
