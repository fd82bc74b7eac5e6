"""A protected server on a real socket: good clients, recorded packets, strangers, and a card that takes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
from collections.abc import AsyncIterator, Hashable, Iterator
from typing import TYPE_CHECKING

import aiocoap
import pytest
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.numbers.types import Type
from aiocoap.optiontypes import OpaqueOption

from tests.extras import module_needs
from tests.waiting import until
from transport.datagram import DatagramServer, Site
from transport.udp import bind_udp
from wire.exchange import Answer, Request
from wire.lan_keys import Keys

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
RESERVE = 1024
ECHO_BYTES = 8


if TYPE_CHECKING:
    from transport.udp import Admit

module_needs("cbor2")
from tests.transport.oscore_client import KEYS, Phone  # noqa: E402  # after the extra is found
from transport import oscore  # noqa: E402
from transport.oscore import ClientContext, ProtectedSite  # noqa: E402


class Machine:
    """A protected server that can be killed and started again; it keeps what a disk would keep."""

    def __init__(self) -> None:
        self.stored = 0
        self.done: list[Request] = []
        self.disk_error: OSError | None = None
        self.changed = asyncio.Event()
        self.is_over = False
        self.proved: list[str] = []
        self.watching = 0
        self.port = 0
        self.context = self.fresh()

    def fresh(self) -> ClientContext:
        return ClientContext(KEYS, self.stored, self.reserve)

    async def reserve(self, number: int) -> None:
        if self.disk_error is not None:
            raise self.disk_error
        assert number > self.stored
        self.stored = number

    async def handle(self, request: Request) -> Answer:
        self.done.append(request)
        if request.path == ("crash",):
            raise ValueError("internals")
        if request.path == ("long",):
            return Answer(0x45, b"a" * 2500)
        return Answer(0x45, b"%d" % len(self.done))

    @contextlib.contextmanager
    def watch(self, _path: tuple[str, ...], owner: Hashable) -> Iterator[Machine]:
        assert owner == KEYS.client_id
        self.watching += 1
        try:
            yield self
        finally:
            self.watching -= 1

    @contextlib.asynccontextmanager
    async def running(self, admit: Admit = lambda _address: True) -> AsyncIterator[int]:
        self.context = self.fresh()
        site = ProtectedSite(
            Site(self.handle, None, self.watch),
            lambda client: self.context if client == KEYS.client_id else None,
            lambda address, _context: self.proved.append(address),
        )
        bound = bind_udp("127.0.0.1", self.port)
        self.port = bound.getsockname()[1]
        server = DatagramServer.serve(bound, site, admit)
        yield self.port
        await server.shutdown()


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    made = Machine()
    async with made.running():
        yield made


def test_keys_are_derived_as_in_the_standard() -> None:
    """RFC 8613 appendix C.1.2."""
    keys = Keys(b"", b"\x01", bytes(range(1, 17)), bytes.fromhex("9e7ca92223786340"))
    made = ClientContext(keys, 0, None)  # type: ignore[arg-type]
    assert made.sender_key.hex() == "ffb14e093c94c9cac9471648b4f98710"
    assert made.recipient_key.hex() == "f0910ed7295e6ad4b54fc793154302ff"
    assert made.common_iv.hex() == "4622d4dd6d944168eefb54987c"


async def test_the_first_request_after_a_start_has_to_be_fresh(machine: Machine) -> None:
    phone = Phone(machine.port)
    first = phone.open(await phone.exchange(phone.packet("PUT", "volume", b"3")))
    assert (first.code, machine.done) == (aiocoap.UNAUTHORIZED, [])
    assert len(first.opt.echo) == ECHO_BYTES
    assert (await phone.ask("PUT", "volume", b"3")).payload == b"1"
    reply = phone.open(await phone.exchange(phone.packet("PUT", "volume", b"4")))
    assert (reply.code, reply.payload) == (aiocoap.CONTENT, b"2")
    assert machine.done[1] == Request("PUT", ("volume",), (), b"4")
    assert machine.proved == ["127.0.0.1"] * 2


async def test_a_recorded_request_is_carried_out_once_also_after_kill_9() -> None:
    machine = Machine()
    async with machine.running() as port:
        phone = Phone(port)
        await phone.ask("GET", "x")
        recorded = phone.packet("PUT", "volume", b"9")
        await phone.exchange(recorded)
        assert len(machine.done) == 2
        thief = Phone(port)
        answer = await thief.exchange(recorded)
        assert (str(answer.code), answer.payload) == ("4.01 Unauthorized", b"Replay detected")
    async with machine.running() as port:  # nothing was written at the end
        answer = await thief.exchange(recorded)
        assert answer.payload != b"Replay detected"  # it is not known, and has to prove to be new
        assert len(machine.done) == 2
        await phone.ask("GET", "x")
        assert (
            await thief.exchange(recorded[:2] + b"zz" + recorded[4:])
        ).payload == b"Replay detected"
    assert len(machine.done) == 3


async def test_no_number_is_used_twice_over_many_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oscore, "RESERVE", 4)
    monkeypatch.setattr(oscore, "RESERVE_AGAIN", 2)
    machine, numbers, sent = Machine(), list[bytes](), 0
    for _ in range(5):
        async with machine.running() as port:
            phone = Phone(port, first=sent)
            observed = await phone.ask("GET", "volume", observe=0)
            assert observed.opt.observe is not None
            for _ in range(7):
                machine.changed.set()
                told = phone.open(note := await phone.receive())
                assert (told.code, note.mtype) == (aiocoap.CONTENT, Type.CON)
                await asyncio.get_running_loop().sock_sendall(
                    phone.socket, bytes([0x60, 0]) + note.mid.to_bytes(2, "big")
                )
                await until(lambda: not machine.context.is_low)
            sent, numbers = phone.sender_sequence_number, numbers + phone.numbers
    assert len(numbers) == 5 * 9  # an Echo, its answer and seven changes
    assert len(set(numbers)) == len(numbers)


async def test_a_card_that_takes_nothing_is_no_reason_to_use_a_number_twice(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.disk_error = OSError(28, "No space left on device")
    phone = Phone(machine.port)
    answer = await phone.exchange(phone.packet("GET", "volume"))
    assert (str(answer.code), answer.opt.oscore) == ("5.03 Service Unavailable", None)
    assert "No space left on device" in caplog.text
    machine.disk_error = None
    assert (await phone.ask("GET", "volume")).payload == b"1"
    # What is left is used; ordinary answers need no number at all.
    machine.disk_error = OSError(28, "No space left on device")
    machine.context.sender_sequence_number = machine.context._reserved - 256 + 1
    assert (await phone.ask("GET", "volume")).payload == b"2"
    machine.context.sender_sequence_number = machine.context._reserved
    assert (await phone.exchange(phone.packet("GET", "volume"))).opt.oscore is None
    assert machine.stored == RESERVE


@pytest.mark.parametrize("path", ["volume", ".well-known/core", ".well-known/edhoc", ""])
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "FETCH", "DELETE"])
async def test_without_a_key_everything_is_4_01(machine: Machine, method: str, path: str) -> None:
    stranger = Phone(machine.port)
    message = aiocoap.Message(code=aiocoap.Code[method])
    message.opt.uri_path = tuple(path.split("/"))
    answer = await stranger.exchange(stranger.pack(message))
    assert (str(answer.code), answer.payload) == ("4.01 Unauthorized", b"OSCORE is needed")
    assert machine.done == []


ABC = KEYS.client_id
BROKEN: dict[str, tuple[bytes, bytes, str]] = {
    # the option, what is in place of the encrypted part, the answer
    "no client": (b"", b"x" * 20, "4.01 Unauthorized"),
    "another client": (b"\x09\x00xyz", b"x" * 20, "4.01 Unauthorized"),
    "a client of a context": (b"\x19\x00\x01c" + ABC, b"x" * 20, "4.01 Unauthorized"),
    "part of an id": (b"\x09\x00ab", b"x" * 20, "4.01 Unauthorized"),
    "no number": (b"\x08" + ABC, b"x" * 20, "4.00 Bad Request"),
    "a number of 6 bytes": (b"\x0e" + bytes(6) + ABC, b"x" * 20, "4.02 Bad Option"),
    "a number of 7 bytes": (b"\x0f" + bytes(7) + ABC, b"x" * 20, "4.02 Bad Option"),
    "a cut number": (b"\x0d\x00", b"x" * 20, "4.02 Bad Option"),
    "reserved bits": (b"\x89\x00" + ABC, b"x" * 20, "4.02 Bad Option"),
    "a group's": (b"\x29\x00" + ABC, b"x" * 90, "4.02 Bad Option"),
    "a context that is cut": (b"\x19\x00", b"x" * 20, "4.02 Bad Option"),
    "a context longer than all": (b"\x19\x00\xffabc", b"x" * 20, "4.02 Bad Option"),
    "a wrong tag": (b"\x09\x00" + ABC, b"x" * 20, "4.00 Bad Request"),
    "too short": (b"\x09\x00" + ABC, b"x", "4.00 Bad Request"),
    "nothing inside": (b"\x09\x00" + ABC, b"", "4.00 Bad Request"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_broken_is_refused_without_a_word_in_the_log(
    machine: Machine, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    option, payload, expected = BROKEN[name]
    stranger = Phone(machine.port)
    for kind in (Type.NON, Type.CON):  # silence for the first, else its answer would come first
        message = aiocoap.Message(code=aiocoap.POST, payload=payload)
        message.opt.oscore = option
        await asyncio.get_running_loop().sock_sendall(stranger.socket, stranger.pack(message, kind))
    answer = await stranger.receive()
    assert (str(answer.code), answer.mtype) == (expected, Type.ACK)
    assert (machine.done, machine.proved, caplog.records) == ([], [], [])


async def test_damage_anywhere_ends_nothing(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    phone, chance = Phone(machine.port), random.Random(8613)
    await phone.ask("GET", "volume")
    for _ in range(400):
        packet = bytearray(phone.packet("PUT", "volume", b"5"))
        for _ in range(chance.randrange(1, 4)):
            packet[chance.randrange(len(packet))] = chance.randrange(256)
        del packet[chance.randrange(1, len(packet) + 1) :]
        await asyncio.get_running_loop().sock_sendall(phone.socket, bytes(packet))
        await asyncio.sleep(0)  # the machine reads, so that the socket's buffer drops none
    phone.socket.close()
    assert (await Phone(machine.port, first=10_000).ask("GET", "volume")).code == aiocoap.CONTENT
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_errors_go_inside(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    phone = Phone(machine.port)
    await phone.ask("GET", "x")
    crashed = await phone.ask("GET", "crash")
    assert (str(crashed.code), crashed.payload) == ("5.00 Internal Server Error", b"")
    assert "internals" in caplog.text
    unknown = aiocoap.Message(code=aiocoap.GET)
    unknown.opt.add_option(OpaqueOption(OptionNumber(65001), b"x"))
    unknown.opt.uri_path = ("volume",)
    protected, phone._bound = phone.protect(unknown)
    answer = phone.open(await phone.exchange(phone.pack(protected)))
    assert (str(answer.code), answer.payload) == ("4.02 Bad Option", b"option 65001")
    assert len(machine.done) == 2


async def test_long_answers_come_in_blocks(machine: Machine) -> None:
    phone = Phone(machine.port)
    await phone.ask("GET", "x")
    whole = b""
    for number in range(3):
        reply = await phone.ask("GET", "long", block2=(number, False, 6))
        whole += reply.payload
        assert reply.opt.block2.more == (number < 2)
    assert (whole, len(machine.done)) == (b"a" * 2500, 2)


async def test_an_observation_ends_with_the_key(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    phone = Phone(machine.port)
    assert (await phone.ask("GET", "volume", observe=0)).opt.observe is not None
    assert machine.watching == 1
    machine.context.is_revoked = True
    machine.changed.set()
    await until(lambda: machine.watching == 0)
    assert "an observation ends: its key is no longer valid" in caplog.text


async def test_who_is_not_let_in_gets_no_answer() -> None:
    machine, asked = Machine(), list[str]()

    def admit(address: str) -> bool:
        asked.append(address)
        return len(asked) > 3

    async with machine.running(admit) as port:
        phone = Phone(port)
        for _ in range(3):
            await asyncio.get_running_loop().sock_sendall(phone.socket, phone.packet("GET", "x"))
        assert phone.open(await phone.exchange(phone.packet("GET", "x"))).opt.echo is not None
    assert asked == ["127.0.0.1"] * 4
    with pytest.raises(BlockingIOError):
        phone.socket.recv(1, socket.MSG_DONTWAIT)


INSIDE: dict[str, tuple[bytes, str]] = {
    # what is encrypted in place of a request, and the answer
    "an answer": (b"\x45", "4.00 Bad Request"),
    "an option that is cut": (b"\x01\xd6", "4.02 Bad Option"),
    "a path that is no text": (b"\x01\xb1\xff", "4.02 Bad Option"),
    "nothing": (b"", "4.00 Bad Request"),
}


@pytest.mark.parametrize("case", INSIDE, ids=str)
async def test_what_is_no_request_inside_a_good_key_s_encryption_is_refused(
    machine: Machine, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, expected = INSIDE[case]
    phone = Phone(machine.port)
    await phone.ask("GET", "volume")

    def split(_message: aiocoap.Message, _request_id: object) -> tuple[aiocoap.Message, bytes]:
        return aiocoap.Message(code=aiocoap.POST), inside

    monkeypatch.setattr(phone, "_split_message", split)
    answer = await phone.exchange(phone.packet("GET", "volume"))
    code = phone.open(answer).code if answer.opt.oscore is not None else answer.code
    assert str(code) == expected
    assert len(machine.done) == 1


async def test_without_a_number_that_was_reserved_nothing_is_protected(machine: Machine) -> None:
    machine.context.sender_sequence_number = machine.context._reserved
    with pytest.raises(aiocoap.oscore.ContextUnavailable, match="no number is left"):
        machine.context.new_sequence_number()
