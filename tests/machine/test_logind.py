"""The restart of the machine: the requests to a stand-in for logind, on a private bus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from machine.logind import RebootError, reboot_machine
from tests.base.private_bus import private_bus


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with private_bus(tmp_path) as bus:
        yield bus.address


async def logind(address: str, asked: list[Message], error: str | None = None) -> MessageBus:
    bus = await MessageBus(bus_address=address).connect()

    def answer(message: Message) -> Message | bool:
        if message.message_type is not MessageType.METHOD_CALL or message.member != "Reboot":
            return False
        asked.append(message)
        if error:
            return Message.new_error(message, "org.freedesktop.DBus.Error.AccessDenied", error)
        return Message.new_method_return(message)

    bus.add_message_handler(answer)
    await bus.request_name("org.freedesktop.login1")
    return bus


async def test_logind_is_asked_without_a_question_to_anybody(address: str) -> None:
    asked: list[Message] = []
    bus = await logind(address, asked)
    await reboot_machine(address)
    assert [(m.path, m.interface, m.body) for m in asked] == [
        ("/org/freedesktop/login1", "org.freedesktop.login1.Manager", [False])
    ]
    bus.disconnect()


async def test_a_refusal_is_said(address: str) -> None:
    bus = await logind(address, [], "interactive authentication required")
    with pytest.raises(RebootError, match="interactive authentication required"):
        await reboot_machine(address)
    bus.disconnect()


async def test_no_logind_is_said(address: str) -> None:
    with pytest.raises(RebootError, match="logind: "):
        await reboot_machine(address)


async def test_no_bus_is_said(tmp_path: Path) -> None:
    with pytest.raises(RebootError, match="logind: "):
        await reboot_machine(f"unix:path={tmp_path}/nobody")
