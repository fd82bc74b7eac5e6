"""Calls over D-Bus: a real daemon and a service that answers, refuses, is silent or dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from base.dbus import (
    DBusError,
    DBusRefusedError,
    DBusTimeoutError,
    DBusUnavailableError,
    Method,
    call,
    connect,
)
from tests.base.private_bus import PrivateBus, private_bus

NAME = "org.example.story"
# Only a call that hangs takes so long.
DEADLINE = 20.0


def method(member: str, signature: str = "") -> Method:
    return Method(NAME, "/", NAME, member, signature)


@pytest.fixture
def private(tmp_path: Path) -> Iterator[PrivateBus]:
    with private_bus(tmp_path) as bus:
        yield bus


@pytest.fixture
async def service(private: PrivateBus) -> AsyncIterator[asyncio.Event]:
    """A service; the event is set when it was asked for its silence."""
    bus = await MessageBus(bus_address=private.address).connect()
    asked = asyncio.Event()

    def answer(message: Message) -> Message | bool:
        if message.message_type is not MessageType.METHOD_CALL or message.interface != NAME:
            return False
        match message.member:
            case "Add":
                return Message.new_method_return(message, "i", [sum(message.body)])
            case "Refuse":
                return Message.new_error(message, f"{NAME}.Error", "not today")
            case "Gone":
                return Message.new_error(message, "org.freedesktop.DBus.Error.NoReply", "it died")
        asked.set()
        return True

    bus.add_message_handler(answer)
    await bus.request_name(NAME)
    yield asked
    bus.disconnect()


async def ask(address: str, wanted: Method, *arguments: Any, deadline: float = DEADLINE) -> Any:
    async with connect(DEADLINE, address) as bus:
        return await call(bus, wanted, *arguments, deadline=deadline)


@pytest.mark.usefixtures("service")
async def test_a_method_gets_its_arguments_and_returns_its_results(private: PrivateBus) -> None:
    assert await ask(private.address, method("Add", "ii"), 2, 3) == [5]


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    ("member", "error", "text"),
    [("Refuse", DBusRefusedError, "not today"), ("Gone", DBusUnavailableError, "it died")],
)
async def test_an_error_is_the_services_or_the_buss(
    private: PrivateBus, member: str, error: type[DBusError], text: str
) -> None:
    with pytest.raises(error, match=text):
        await ask(private.address, method(member))


async def test_a_service_that_is_not_there(private: PrivateBus) -> None:
    with pytest.raises(DBusUnavailableError, match=NAME):
        await ask(private.address, method("Add"))


@pytest.mark.usefixtures("service")
async def test_no_answer_ends_at_the_deadline(private: PrivateBus) -> None:
    with pytest.raises(DBusTimeoutError, match=r"no answer in 0\.05 s"):
        await ask(private.address, method("Silent"), deadline=0.05)


async def test_a_bus_that_dies_in_a_call(private: PrivateBus, service: asyncio.Event) -> None:
    asking = asyncio.create_task(ask(private.address, method("Silent")))
    await service.wait()
    private.die()
    with pytest.raises(DBusUnavailableError, match="went away"):
        await asking


async def test_no_bus(tmp_path: Path) -> None:
    with pytest.raises(DBusUnavailableError):
        await ask(f"unix:path={tmp_path / 'nobody'}", method("Add"))
