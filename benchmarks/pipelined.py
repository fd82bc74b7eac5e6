"""Measures what one device does to a cloud that sends 60,000 reports without waiting for answers.

The reports go out as fast as the connection takes them, while an app asks for another device by ``info/by_uuid`` as
before. The reference is the same app before the flood. A report beyond those that may wait is answered 5.03, and the
device has it still. The lines that the cloud logs meanwhile are counted.
"""

from __future__ import annotations

import asyncio
import ssl
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import Aim, Figure, command_line, figure
from benchmarks.fleet import Address, FleetDevice, add_devices, post
from benchmarks.load import INFO, Caller, Connection, bind, caller_of
from benchmarks.stage import on_stage
from tools.bench import Bench
from tools.processes import BenchError
from wire.framing import encode_frame
from wire.reports import REPORT_PATH, Credentials, report_payload, report_query

REPORTS = 60_000
# Seconds of the app's requests before the flood.
BEFORE_SECONDS = 3.0
# Between two of them.
PAUSE_SECONDS = 0.02
DEADLINE = 300.0
# Lines that a flood may add to the log, and how much longer an app may wait meanwhile.
LINES_LIMIT, SLOWER = 10.0, 20.0
_CREATED, _BUSY = 2, 5


@dataclass(slots=True)
class Counts:
    """The answers: taken, and refused for now."""

    taken: int = 0
    refused: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, code: int) -> None:
        """Count an answer's code."""
        if code >> 5 == _CREATED:
            self.taken += 1
        elif code >> 5 == _BUSY:
            self.refused += 1
        else:
            raise BenchError(f"the cloud answered {code >> 5}.{code & 31:02}")
        if self.taken + self.refused == REPORTS:
            self.done.set()


class Flooder(FleetDevice):
    """A device that sends `REPORTS` reports, each with an id of its own."""

    def __init__(self, credentials: Credentials) -> None:
        super().__init__(credentials)
        payload = report_payload({"volume": 8})
        self._alive = post(REPORT_PATH, payload, report_query(credentials))
        self.counts = Counts()
        self._number = 0
        self._room = asyncio.Event()
        self._room.set()

    def pause_writing(self) -> None:
        """Stop: the cloud reads no faster."""
        self._room.clear()

    def resume_writing(self) -> None:
        """Go on."""
        self._room.set()

    def _send(self, request: bytes) -> None:
        """Send with a token of its own: a second request of the same token takes the first one's place."""
        if self._transport is not None:
            self._number += 1
            mid, token = (self._number & 0xFFFF).to_bytes(2, "big"), self._number.to_bytes(4, "big")
            head = bytes((request[0] | len(token), request[1]))
            self._transport.write(encode_frame(head + mid + token + request[4:]))

    def _note_answer(self, code: int) -> None:
        if self.registered.done():
            self.counts.note(code)
        else:
            super()._note_answer(code)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the flood: nothing more is answered."""
        super().connection_lost(exc)
        self._room.set()
        self.counts.done.set()

    async def flood(self) -> float:
        """Send everything; return the seconds until the last answer."""
        started = time.perf_counter()
        for _ in range(REPORTS):
            if not self._room.is_set():
                await self._room.wait()
            self.keep_alive()
        async with asyncio.timeout(DEADLINE):
            await self.counts.done.wait()
        if not self.connected:
            answered = self.counts.taken + self.counts.refused
            raise BenchError(f"the cloud dropped the device after {answered} answers")
        return time.perf_counter() - started


def measure(bench: Bench) -> list[Figure]:
    """Flood the cloud of ``bench``, and ask it meanwhile."""
    assert bench.cloud is not None
    where = bench.cloud_data / "cloud.sqlite"
    flooding, other = add_devices(where, 2)
    bind(where, [other])
    host, _, port = bench.device_address.rpartition(":")
    address = Address(host, int(port), str(bench.cloud_data / "ca" / "ca.crt"))
    lines = _lines(bench.cloud.log)
    before, during, took, counts = asyncio.run(_run(address, flooding, caller_of(bench, [other])))
    told = _lines(bench.cloud.log) - lines
    name = f"{REPORTS:,} pipelined reports of one device"
    return [
        figure(
            f"{name}, an app's p50", "ms", [during], "before", [before], Aim("ratio", "<", SLOWER)
        ),
        figure(
            f"{name}, lines of the log",
            "",
            [told],
            "reports",
            [REPORTS],
            Aim("ours", "<", LINES_LIMIT),
        ),
        figure(f"{name}, answered", "/s", [REPORTS / took], "taken", [counts.taken / took]),
    ]


def _lines(log: Path) -> int:
    return log.read_bytes().count(b"\n")


async def _run(
    address: Address, who: Credentials, caller: Caller
) -> tuple[float, float, float, Counts]:
    loop = asyncio.get_running_loop()
    before = await _ask(caller, time.perf_counter() + BEFORE_SECONDS)
    context = ssl.create_default_context(cafile=address.ca)
    _, device = await loop.create_connection(
        lambda: Flooder(who), address.host, address.port, ssl=context
    )
    device.register()
    await device.registered
    asking = asyncio.create_task(_ask(caller, time.perf_counter() + DEADLINE, device.counts.done))
    took = await device.flood()
    during = await asking
    return before, during, took, device.counts


async def _ask(caller: Caller, end: float, over: asyncio.Event | None = None) -> float:
    """Ask one after the other until ``end``, or until it is ``over``; return the p50 in milliseconds."""
    times: list[float] = []
    while time.perf_counter() < end and not (over is not None and over.is_set()):
        _, asked = await asyncio.get_running_loop().create_connection(
            lambda: Connection(caller, INFO, 0, 0.0), caller.host, caller.port
        )
        async with asyncio.timeout(DEADLINE):
            await asked.done
        times += asked.times
        await asyncio.sleep(PAUSE_SECONDS)
    return statistics.median(times) * 1000


if __name__ == "__main__":
    sys.exit(command_line(__doc__, on_stage(measure)))
