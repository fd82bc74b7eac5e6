"""What the agent's locks guard is touched with the lock held, in every work that takes it (`tests.guarded`)."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest

import agent.local.lan
import agent.local.page.sessions
from agent.app import Agent
from agent.first import reset
from agent.first.bind_token import BindToken
from agent.first.reset import Wish, store_wish
from agent.first.setup import SetupMode
from agent.local.clients import Clients
from agent.local.doors import Doors
from agent.local.page.routes import DevicePage
from agent.local.page.sessions import Sessions
from agent.settings import LocalSettings, Settings, VoiceSettings
from agent.state import state_lock
from agent.voice.button import Buttons
from agent.voice.ledger import Ledger
from agent.voice.sender import VoiceSender
from agent.voice.wake import Wake
from machine.button_settings import Key
from resources.dispatch import Dispatch
from tests.agent.memory_link import MemoryLink
from tests.agent.parts import make_profile
from tests.agent.voice.test_sender import sine
from tests.extras import require
from tests.guarded import FileGuard, Guard, nothing
from wire.family import Family

Patch = pytest.MonkeyPatch


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


async def test_the_numbers_of_a_client(tmp_path: Path, monkeypatch: Patch) -> None:
    require("cbor2")
    clients = Clients(tmp_path)
    context = clients.find((await clients.add("phone")).client_id)
    assert context is not None
    guard = Guard(context, "_reserving", monkeypatch).calls(context, "_reserve")
    await guard.check_tasks(context.reserve)


async def test_what_the_devices_page_shows(tmp_path: Path, monkeypatch: Patch) -> None:
    async def status() -> dict[str, object]:
        return {}

    page = DevicePage(Dispatch([], nothing), status, Mock(), tmp_path, lambda: 1.8e9)
    guard = Guard(page, "_looking", monkeypatch).data("_seen")
    await guard.check_tasks(page._look)


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


def test_the_devices_page_is_made_once_for_all_ports(tmp_path: Path, monkeypatch: Patch) -> None:
    made = Agent(make_profile(1, ""), Settings(), tmp_path, "1.0.0")
    made._dispatch = Dispatch([], nothing)
    guard = Guard(made, "_page_lock", monkeypatch).data("_page")
    guard.check(made._device_page)


async def test_the_token_of_the_ports(tmp_path: Path, monkeypatch: Patch) -> None:
    doors = Doors(LocalSettings(), tmp_path, Mock(), Mock())
    guard = Guard(doors, "_making", monkeypatch).calls(agent.local.lan, "load_token")
    await guard.check_tasks(doors._token)


def test_the_state_folder_while_it_is_reset(tmp_path: Path, monkeypatch: Patch) -> None:
    store_wish(tmp_path, Wish(keep_profile=True, media=False))
    guard = FileGuard(tmp_path / "agent.lock", monkeypatch).calls(reset, "_erase")
    guard.check(lambda: reset.carry_out(tmp_path, tmp_path / "profile.json", Settings()))
    with state_lock(tmp_path):
        assert not reset.is_free(tmp_path)
    assert reset.is_free(tmp_path)


async def test_the_state_folder_while_its_files_are_waited_for(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    waiting = SetupMode(tmp_path, {}, lambda: None, "1.0.0")
    guard = FileGuard(tmp_path / "agent.lock", monkeypatch).calls(waiting, "_try")
    await guard.check_tasks(waiting.run)
