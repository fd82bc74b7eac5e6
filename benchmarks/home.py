"""What OSCORE on the home network costs, and whether it holds: a real agent, a real aiocoap client, kill -9, a flood.

``python -m benchmarks.home``; a minute. Round trips on both CoAP ports in alternation, the agent's memory with
and without the port, a recorded request after each of some kills, and ten seconds of packets from many addresses.
Exit code 1 if a request was lost, or carried out twice.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import statistics
import struct
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiocoap

from benchmarks.memory import memory
from benchmarks.stage import agent, stage
from tools.bench import Bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TURNS, REQUESTS = 20, 30
KILLS = 10
FLOOD_SECONDS, FLOOD_SOCKETS = 10.0, 200
DEADLINE = 30.0
# The volume that nobody sets but the request that was caught.
CAUGHT = b"16"


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def switch_on(bench: Bench) -> tuple[str, str]:
    """Write the two ports into the settings; return the addresses of the plain and the protected one."""
    plain, protected = free_port(), free_port()
    path = bench.folder / "agent.toml"
    path.write_text(
        f"{path.read_text()}\n[local]\ncoap_port = {plain}\noscore_port = {protected}\n"
        'oscore_address = "127.0.0.1"\n'
    )
    return f"coap://127.0.0.1:{plain}", f"coap://127.0.0.1:{protected}"


@asynccontextmanager
async def client(keys: Path, base: str) -> AsyncIterator[Any]:
    made = await aiocoap.Context.create_client_context()
    made.client_credentials.load_from_dict({f"{base}/*": {"oscore": {"basedir": str(keys)}}})
    yield made
    await made.shutdown()
    for kept in made.client_credentials.values():
        kept._destroy()  # noqa: SLF001  # as the end of its program does


async def ask(made: Any, code: Any, uri: str, payload: bytes = b"") -> Any:
    async with asyncio.timeout(DEADLINE):
        return await made.request(aiocoap.Message(code=code, uri=uri, payload=payload)).response


async def compare(keys: Path, plain: str, protected: str) -> str:
    times: dict[str, list[float]] = {plain: [], protected: []}
    async with client(keys, protected) as made:
        await ask(made, aiocoap.GET, f"{protected}/volume")
        for _ in range(TURNS):
            for base, found in times.items():
                for _ in range(REQUESTS):
                    started = time.perf_counter()
                    await ask(made, aiocoap.GET, f"{base}/volume")
                    found.append(1000 * (time.perf_counter() - started))
                await asyncio.sleep(
                    0.2
                )  # whoever asks without a pause is slowed down: transport.flood
    shown = [f"{statistics.median(each):.2f}" for each in times.values()]
    late = [f"{statistics.quantiles(each, n=100)[98]:.1f}" for each in times.values()]
    return f"GET volume, plain / OSCORE: p50 {' / '.join(shown)} ms, p99 {' / '.join(late)} ms"


async def survive(bench: Bench, keys: Path, base: str) -> tuple[str, bool]:
    """Set a value before each kill, and send what was recorded after it."""
    answered = replayed = 0
    numbers: list[int] = []
    for number in range(KILLS):
        async with client(keys, base) as made:
            value = str(number % 16).encode()
            answered += (await ask(made, aiocoap.PUT, f"{base}/volume", value)).code.is_successful()
            recorded = record(made, base, CAUGHT)
        assert bench.agent is not None
        bench.agent.kill()
        stored = json.loads(next((bench.state / "lan").glob("*.number")).read_text())
        numbers.append(stored["below"])
        bench.start_agent()
        send(recorded, base)
        async with client(keys, base) as made:
            replayed += (await ask(made, aiocoap.GET, f"{base}/volume")).payload == CAUGHT
    rising = numbers == sorted(set(numbers))
    text = (
        f"kill -9: {answered} of {KILLS} set, {replayed} carried out late, numbers rise: {rising}"
    )
    return text, answered == KILLS and not replayed and rising


def record(made: Any, base: str, value: bytes) -> bytes:
    """Return a protected request that was never sent: one that was caught on the way."""
    message = aiocoap.Message(code=aiocoap.PUT, payload=value)
    message.opt.uri_path = ("volume",)
    message.direction = aiocoap.message.Direction.OUTGOING
    protected, _ = made.client_credentials[f"{base}/*"].protect(message)
    protected.mtype, protected.mid, protected.token = aiocoap.CON, random.randrange(65536), b"R"
    return bytes(protected.encode())


def send(packet: bytes, base: str) -> None:
    host, _, port = base.removeprefix("coap://").partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.sendto(packet, (host, int(port)))


async def flood(keys: Path, base: str, pid: int) -> str:
    """Send without end, three of four with the client's id and a wrong key; the client asks meanwhile."""
    client_id = bytes.fromhex(json.loads((keys / "secret.json").read_text())["sender-id_hex"])
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(FLOOD_SOCKETS)]
    for number, each in enumerate(sockets):
        each.bind((f"127.0.1.{number + 1}", 0))
        each.setblocking(False)
    before, burned = memory(pid).rss, cpu(pid)
    ending = asyncio.get_running_loop().time() + FLOOD_SECONDS
    target = ("127.0.0.1", int(base.rpartition(":")[2]))
    sent, waits = 0, list[float]()

    async def send_on() -> None:
        nonlocal sent
        while asyncio.get_running_loop().time() < ending:
            for _ in range(20):
                try:
                    random.choice(sockets).sendto(noise(client_id), target)
                    sent += 1
                except OSError:
                    break
            await asyncio.sleep(0.001)

    sending = asyncio.create_task(send_on())
    async with client(keys, base) as made:
        while not sending.done():
            started = time.perf_counter()
            await ask(made, aiocoap.GET, f"{base}/volume")
            waits.append(time.perf_counter() - started)
            await asyncio.sleep(0.2)
    await sending
    for each in sockets:
        each.close()
    return (
        f"flood: {sent:,} packets of {FLOOD_SOCKETS} addresses in {FLOOD_SECONDS:.0f} s: memory "
        f"{before:.1f} -> {memory(pid).rss:.1f} MB, {cpu(pid) - burned:.1f} s of CPU; the client had "
        f"{len(waits)} answers, the slowest after {max(waits):.2f} s"
    )


def noise(client_id: bytes) -> bytes:
    if random.random() < 0.25:
        return random.randbytes(random.randrange(1, 200))
    option = b"\x09" + random.randbytes(1) + client_id
    head = struct.pack("!BBH", 0x44, 2, random.randrange(65536)) + random.randbytes(4)
    return head + bytes([0x90 | len(option)]) + option + b"\xff" + random.randbytes(20)


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Run, and print a line for each figure."""
    with stage() as bench:
        with agent(bench) as pid:
            time.sleep(5)
            without = memory(pid).rss
        plain, protected = switch_on(bench)
        keys = bench.folder / "keys"
        keys.mkdir()
        with agent(bench) as pid:
            told = bench.local().request("PUT", "/lan/bench").body
            (keys / "secret.json").write_bytes(told)
            time.sleep(5)
            print(f"idle agent: {without:.1f} MB, with both CoAP ports {memory(pid).rss:.1f} MB")
            print(asyncio.run(compare(keys, plain, protected)))
            print(asyncio.run(flood(keys, protected, pid)))
            text, good = asyncio.run(survive(bench, keys, protected))
            print(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
