"""The bench on real sockets and real TLS: each certificate is what its name says, and a slow way is slow.

Tests staging.advise.papers, staging.advise.web, staging.advise.helper and staging.advise.mqtt_peer too.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from staging.advise import mqtt_packets as mqtt
from staging.advise.bench import AbsentError, HelplessError, Manner, Paper, Serving
from staging.advise.helper import MachineHelper
from staging.advise.host import RealBench
from staging.advise.mqtt_peer import MqttPeer
from staging.advise.papers import Papers
from staging.advise.record import Known, LineSeen, Trace
from staging.bench.machines import Helpers
from staging.identity import ca
from wire.bench_helper import Told, Wanted, encode_told, parse_wanted
from wire.topics import Kind, State, Topic, parse_state, state_payload

UUID, TOKEN = "0123456789abcd", "secret"
WRONG = [paper for paper in Paper if paper not in {Paper.GOOD, Paper.LONG}]


@pytest.fixture(scope="module")
def papers(certificates: ca.Certificates) -> Papers:
    return Papers(certificates)


@asynccontextmanager
async def bench(papers: Papers, hand: str = "") -> AsyncIterator[tuple[RealBench, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    async with RealBench(listener, papers, "coap", hand) as made, asyncio.timeout(30):
        yield made, port


def trusting(certificates: ca.Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificates.ca))


async def client(port: int, context: ssl.SSLContext | None) -> tuple[str, bytes]:
    """Connect as a device does; return its error, and what it is sent after its hello."""
    name = "127.0.0.1" if context else None
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=name
        )
        writer.write(b"hello")
        data = await reader.read(100)
        writer.close()
    except (OSError, ssl.SSLError) as error:
        return str(error), b""
    return "", data


async def meet(
    made: RealBench, port: int, manner: Manner, context: ssl.SSLContext | None
) -> tuple[str, bytes]:
    """Return a client's error, and what the advisor heard."""
    device = asyncio.create_task(client(port, context))
    line = await made.accept(manner, 10)
    heard = await line.read() if line.seen.handshake else b""
    line.close()
    return (await device)[0], heard


async def test_who_came_and_has_gone_is_not_taken_though_it_said_something(
    papers: Papers, certificates: ca.Certificates
) -> None:
    async with bench(papers) as (made, port):
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port)) as impatient:
                impatient.sendall(b"\x16\x03\x01 the beginning of a handshake")
        assert await meet(made, port, Manner(), trusting(certificates)) == ("", b"hello")


async def test_a_device_without_a_handshake_has_ended(papers: Papers) -> None:
    async with bench(papers) as (made, port):
        device = asyncio.create_task(client(port, ssl.create_default_context()))
        line = await made.accept(Manner(), 10)
        peer = MqttPeer(made, line, Known(UUID, TOKEN), Trace())
        peer.start()
        assert await peer.wait_ended(20)
        assert line.seen.fault
        await peer.stop()
        await device


async def test_a_careful_device_takes_the_right_papers_and_no_others(
    papers: Papers, certificates: ca.Certificates
) -> None:
    async with bench(papers) as (made, port):
        for manner in (Manner(), Manner(Paper.LONG), Manner(tls="1.2"), Manner(tls="1.3")):
            assert await meet(made, port, manner, trusting(certificates)) == ("", b"hello"), manner
        for paper in WRONG:
            error, heard = await meet(made, port, Manner(paper), trusting(certificates))
            assert "certificate" in error.lower(), (paper, error)
            assert heard == b"", paper


async def test_a_careless_device_takes_all_of_them(papers: Papers) -> None:
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
    async with bench(papers) as (made, port):
        for paper in Paper:
            assert await meet(made, port, Manner(paper), careless) == ("", b"hello"), paper


async def test_without_tls_the_first_bytes_are_answered_by_a_page(papers: Papers) -> None:
    async with bench(papers) as (made, port):
        device = asyncio.create_task(client(port, None))
        line = await made.accept(Manner(clear=b"HTTP/1.1 200 OK\r\n\r\n"), 10)
        assert await line.read() == b"hello"
        assert (await device)[1].startswith(b"HTTP/1.1 200")


async def test_a_slow_way_carries_everything(papers: Papers, certificates: ca.Certificates) -> None:
    async with bench(papers) as (made, port):
        slow = Manner(pace=100_000, delay=0.01)
        assert await meet(made, port, slow, trusting(certificates)) == ("", b"hello")


async def test_who_has_gone_is_not_taken_for_a_device_and_nobody_is_absent(papers: Papers) -> None:
    async with bench(papers) as (made, port):
        socket.create_connection(("127.0.0.1", port)).close()
        with pytest.raises(AbsentError):
            await made.accept(Manner(), 0.05)


@pytest.mark.parametrize(
    ("hand", "did"), [("", False), ("true", True), ("false", False), ("/no/such", False)]
)
async def test_a_hand_does_what_it_can(papers: Papers, hand: str, did: bool) -> None:  # noqa: FBT001
    async with bench(papers, hand) as (made, _):
        assert await made.hand("restart") is did


async def test_who_speaks_is_the_hand_else_the_tester_else_nobody(papers: Papers) -> None:
    asked: list[float] = []

    async def ask() -> None:
        asked.append(made.lead)

    listener = socket.create_server(("127.0.0.1", 0))
    for hand, asks, spoke, lead in (
        ("true", ask, True, 0.0), ("false", ask, True, 3.0), ("", ask, True, 3.0), ("false", None, False, 0.0),
    ):  # fmt: skip
        made = RealBench(listener, papers, "coap", hand, asks)
        assert (await made.speak(), made.lead) == (spoke, lead)
    listener.close()
    assert asked == [3.0, 3.0]


async def fetch(url: str, headers: str = "", method: str = "GET") -> bytes:
    host, _, path = url.removeprefix("http://").partition("/")
    reader, writer = await asyncio.open_connection(*host.rsplit(":", 1))
    writer.write(f"{method} /{path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
    data = await reader.read()
    writer.close()
    return data


async def test_files_are_cut_continued_hidden_and_redirected(papers: Papers) -> None:
    async with bench(papers) as (made, _):
        await made.open_web("127.0.0.1")
        cut = Serving(b"0123456789", cut=4)
        url = made.serve("/cut", cut)
        assert (await fetch(url)).endswith(b"\r\n\r\n0123")
        rest = await fetch(url, "Range: bytes=4-\r\n")
        assert b"206 Partial" in rest
        assert rest.endswith(b"4567")
        assert cut.asked == [0, 4]
        pieces = Serving(b"0123456789")
        part = await fetch(made.serve("/pieces", pieces), "Range: bytes=2-4\r\n")
        assert (part[-7:], b"Content-Range: bytes 2-4/10" in part) == (b"\r\n\r\n234", True)
        assert b"416" in await fetch(made.serve("/pieces", pieces), "Range: bytes=10-\r\n")
        assert b" 200 OK" in await fetch(made.serve("/pieces", pieces), "Range: bytes=-3\r\n")
        head = await fetch(made.serve("/pieces", pieces), method="HEAD")
        assert head.endswith(
            b"Content-Length: 10\r\nAccept-Ranges: bytes\r\nConnection: close\r\n\r\n"
        )
        assert pieces.asked == [2, 10, 0]
        whole = Serving(b"0123456789", ranges=False)
        assert b" 200 OK" in await fetch(made.serve("/whole", whole), "Range: bytes=4-\r\n")
        assert b"302" in await fetch(made.serve("/loop", Serving(b"", status=302)))
        assert b"Log in" in await fetch(made.serve("/page", Serving(b"x", page=True)))
        assert b"404" in await fetch(made.serve("/none", Serving(b"")) + "x")


@asynccontextmanager
async def helper(told: Told) -> AsyncIterator[tuple[int, list[Wanted]]]:
    """Stand beside a machine; return the port, and what was asked for."""
    asked: list[Wanted] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(parse_wanted(await reader.readline()))
        writer.write(encode_told(told))
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], asked


async def test_a_helper_makes_faults_and_says_why_it_does_not(tmp_path: Path) -> None:
    helpers = Helpers(tmp_path)
    hand = MachineHelper(helpers, UUID)
    with pytest.raises(HelplessError, match="no helper stands beside the machine"):
        hand.check()
    async with helper(Told(done=True, text="it stands still")) as (port, asked):
        helpers.set(UUID, f"127.0.0.1:{port}", TOKEN * 4)
        hand.check()
        assert await hand.strike("freeze", {"seconds": 5}) == "it stands still"
        await hand.ease("freeze")
        with pytest.raises(HelplessError, match="seconds: got 0"):
            await hand.strike("freeze", {"seconds": 0})
        assert [(each.name, dict(each.values)) for each in asked] == [("freeze", {"seconds": 5})]
        await hand.close()
    async with helper(Told(done=False, text="no agent runs")) as (port, _):
        helpers.set(UUID, f"127.0.0.1:{port}", TOKEN * 4)
        with pytest.raises(HelplessError, match="no agent runs"):
            await hand.strike("kill", {})


class Script:
    """A line whose device is a list of bytes."""

    def __init__(self, *said: bytes) -> None:
        self.seen = LineSeen(0.0)
        self._said = list(said)
        self.written = b""

    async def read(self) -> bytes:
        return self._said.pop(0) if self._said else b""

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None: ...

    hold = reset = close


async def test_a_device_behind_the_advisors_broker_registers(papers: Papers) -> None:
    connect = mqtt.packet(
        mqtt.CONNECT,
        b"\0\4MQTT\5\xc2\0\x0f\0" + b"".join(map(mqtt.field, (UUID.encode(), UUID.encode(), TOKEN.encode()))),
    )  # fmt: skip
    answers = str(Topic(UUID, Kind.CLOUD_ANSWER))
    register = mqtt.write_publish(
        mqtt.Publish(
            str(Topic(UUID, Kind.REGISTER)), b"{}", 1, 1, response=answers, correlation=b"c"
        )
    )
    state = mqtt.write_publish(
        mqtt.Publish(
            str(Topic(UUID, Kind.STATE)), state_payload(State(online=True)), 1, 2, retain=True
        )
    )
    async with bench(papers) as (made, _):
        line, trace = Script(connect, register, state), Trace()
        peer = MqttPeer(made, line, Known(UUID, TOKEN, "mqtt"), trace)
        peer.start()
        assert await peer.wait_registered(5)
        await peer.wait_ended(5)
    assert [each.kind for each in trace.arrivals] == ["register", "state"]
    assert parse_state(trace.arrivals[1].payload).online
    packets = mqtt.PacketDecoder().feed(line.written)
    assert [each.kind for each in packets] == [
        mqtt.CONNACK, mqtt.PUBACK, mqtt.PUBLISH, mqtt.PUBACK,
    ]  # fmt: skip
    assert mqtt.read_publish(packets[2]).users == (("code", "2.05"),)
    assert trace.faults == []
