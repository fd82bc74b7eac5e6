"""The connection to the sound server: real ones, and one that says what the test wants."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import machine.pulse
from machine.errors import UnavailableError
from machine.pulse import NoSuchSinkError, PulseConnection, addresses, is_there, read_cookie
from machine.pulse_wire import HEAD, Command, read_server, read_sinks
from tests.machine.parts import PulseServer, until

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
COOKIE_BYTES = 256


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({"PULSE_SERVER": "unix:/a/native"}, ["/a/native"]),
        ({"PULSE_SERVER": "{0123}unix:/a tcp:host:1"}, ["/a", "tcp:host:1"]),
        ({"PULSE_RUNTIME_PATH": "/r"}, ["/r/native", "/run/pulse/native"]),
        ({"XDG_RUNTIME_DIR": "/x"}, ["/x/pulse/native", "/run/pulse/native"]),
    ],
)
def test_where_a_server_is_looked_for(environment: dict[str, str], found: list[str]) -> None:
    assert addresses(environment) == found


def test_a_server_may_be_where_its_socket_is(tmp_path: Path) -> None:
    assert is_there("tcp:host")
    assert not is_there(str(tmp_path / "native"))
    assert is_there(str(tmp_path))


def test_the_cookie_is_the_users_and_zeros_without_one(tmp_path: Path) -> None:
    assert read_cookie({"HOME": str(tmp_path)}) == bytes(COOKIE_BYTES)
    (tmp_path / ".pulse-cookie").write_bytes(b"c" * COOKIE_BYTES)
    assert read_cookie({"HOME": str(tmp_path)}) == b"c" * COOKIE_BYTES
    (tmp_path / "own").write_bytes(b"short")
    own = {"HOME": str(tmp_path), "PULSE_COOKIE": str(tmp_path / "own")}
    assert read_cookie(own) == b"c" * COOKIE_BYTES


async def test_a_real_server_answers_tells_of_changes_and_of_its_end(tmp_path: Path) -> None:
    server = PulseServer(tmp_path)
    server.start()
    changes: list[None] = []
    connection = await PulseConnection.open(str(tmp_path / "native"), lambda: changes.append(None))
    try:
        asked = (Command.GET_SERVER_INFO, Command.GET_SINK_INFO_LIST)
        answers = await connection.request(*map(connection.message, asked))
        assert read_server(answers[0]).default_sink == "bench"
        (sink,) = read_sinks(answers[1])
        assert (sink.name, sink.level) == ("bench", 1.0)
        server.pactl("load-module", "module-null-sink", "sink_name=usb")
        await until(lambda: changes)
        gone = connection.message(Command.SET_SINK_MUTE).word(77).text(None).flag(value=True)
        with pytest.raises(NoSuchSinkError):
            await connection.request(gone)
        changes.clear()
        server.kill()
        await until(lambda: changes)
        assert not connection.alive
        with pytest.raises(UnavailableError, match="sound server: has ended"):
            await connection.request(connection.message(Command.GET_SERVER_INFO))
    finally:
        server.kill()
        await connection.close()


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def refusal_of(talk: Talk, path: Path) -> str:
    async with await asyncio.start_unix_server(talk, path):
        with pytest.raises(UnavailableError) as told:
            await PulseConnection.open(str(path), lambda: None)
    return str(told.value)


async def hear(reader: asyncio.StreamReader) -> int:
    """Read a message and return its tag."""
    size = HEAD.unpack(await reader.readexactly(HEAD.size))[0]
    return int.from_bytes((await reader.readexactly(size))[6:10], "big")


def answer(command: Command, tag: int, rest: bytes = b"") -> bytes:
    words = b"".join(b"L" + value.to_bytes(4, "big") for value in (command, tag))
    return HEAD.pack(len(words + rest), 0xFFFFFFFF, 0, 0, 0) + words + rest


async def test_a_server_that_hangs_refuses_or_babbles_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(Command.ERROR, await hear(reader), b"L\0\0\0\1"))
        await reader.read()
        writer.close()

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hear(reader)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()
        writer.close()

    path = tmp_path / "native"
    assert "access denied" in await refusal_of(refuse, path)
    assert "cannot be understood" in await refusal_of(babble, path)
    monkeypatch.setattr(machine.pulse, "ANSWER_SECONDS", 0.2)
    assert "no answer in 0.2 s" in await refusal_of(hang, path)


async def test_no_server_is_unavailable(tmp_path: Path) -> None:
    for address in (str(tmp_path / "none"), "tcp:127.0.0.1:1", "tcp:127.0.0.1:port"):
        with pytest.raises(UnavailableError, match=f"sound server {address}: "):
            await PulseConnection.open(address, lambda: None)


def test_a_server_in_a_folder_that_is_closed_to_us_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As /run/user is to the agent's unit (ProtectHome=yes): on such a machine it did not start."""

    def closed(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", closed)
    assert not is_there("/run/user/994/pulse/native")
    assert is_there("tcp:host:4713")
