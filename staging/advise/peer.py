"""The cloud's end of one connection with the device under test, whatever link it speaks.

It answers what the device asks as the case wants it, asks the device, and writes all of it into the record.
`staging.advise.framed` and `staging.advise.mqtt_peer` know the bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace

from base.tasks import ended
from staging.advise.bench import Bench, Line
from staging.advise.record import ENDED, SILENT, Arrival, Known, Probe, Trace
from wire.abilities import NUMBER, PING
from wire.codes import Code
from wire.exchange import Answer
from wire.reports import KEY_DEVICE_INFO, KEYS_VOICE, registration_answer

# Seconds for an answer, as an app waits for it.
ANSWER_SECONDS = 10.0
# What the advisor says that it reads: reports one by one, so that each has an answer of its own.
READS = frozenset({NUMBER, PING})
# A wrong clock may be behind, which does no harm; one that is ahead would teach a device a wrong time for good.
YEAR_1999_MS = 920_000_000_000

Policy = Callable[[Arrival], Answer | None]
"""Answers a request of the device; None: it gets no answer."""


class Peer(ABC):
    """One connection of the device under test."""

    torn = b"\xbe\xef\xde\xad\0\0\0\x40\x40"
    """The beginning of a message."""

    def __init__(self, bench: Bench, line: Line, known: Known, trace: Trace) -> None:
        """Use `start`; ``trace`` is that of the case which runs, and is replaced with the next one."""
        self.bench, self.line, self.known = bench, line, known
        self.trace = trace
        self.policy: Policy = self.as_a_cloud
        self.year_1999 = False
        """Whether the cloud's clock is wrong by years."""
        self.registered = asyncio.Event()
        self.ended = asyncio.Event()
        self.number = len(trace.lines)
        self.taken: list[Arrival] = []
        """What came on this connection, also in cases before this one."""
        self.held: list[Callable[[Answer], None]] = []
        """Answers the requests that the policy left without an answer, in order."""
        self._news = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        trace.lines.append(line.seen)

    def start(self) -> None:
        """Begin to read."""
        self._reading = asyncio.create_task(self._read())

    def belong_to(self, trace: Trace) -> None:
        """Write into another case's record from now on."""
        self.trace, self.number = trace, len(trace.lines)
        trace.lines.append(self.line.seen)
        self.policy = self.as_a_cloud

    async def _read(self) -> None:
        try:
            while data := await self.line.read():
                self.take(data)
        except OSError as error:
            self.line.seen.fault = self.line.seen.fault or str(error)
        finally:
            self.line.seen.closed = self.bench.now()
            self.ended.set()
            self.fail_waiting()
            self._news.set()

    async def stop(self) -> None:
        """End the connection, if it is open, and the reading."""
        if not self.ended.is_set():
            self.line.close()
        await self.forget()

    async def forget(self) -> None:
        """End the reading without a word to the device."""
        if self._reading is not None:
            await ended(self._reading)

    # What a cloud answers.

    def as_a_cloud(self, arrival: Arrival) -> Answer | None:
        """Answer as a cloud that accepts everything."""
        if arrival.kind == "register":
            return Answer(Code.CONTENT, registration_answer(self.time_ms(), READS))
        if arrival.kind in {"report", "voice", "state"}:
            return Answer(Code.CHANGED)
        return Answer(Code.NOT_FOUND)

    def time_ms(self) -> int:
        """Return the time that the device is told (Unix, milliseconds)."""
        return YEAR_1999_MS if self.year_1999 else self.bench.wall_ms()

    def arrive(self, arrival: Arrival) -> Answer | None:
        """Note a request of the device, and return its answer."""
        self.trace.arrivals.append(arrival)
        self.taken.append(arrival)
        self._learn(arrival)
        answer = self.policy(arrival)
        if arrival.kind == "register" and answer is not None and answer.code == Code.CONTENT:
            self.registered.set()
        self._news.set()
        return answer

    def _learn(self, arrival: Arrival) -> None:
        data = arrival.data
        info = data.get(KEY_DEVICE_INFO)
        if isinstance(info, dict):
            reads = info.get("reads")
            if isinstance(reads, list):
                self.known.reads = frozenset(str(name) for name in reads)
            self._learn_version(info.get("firmwareVersion"))
        package = data.get("package_info")
        if isinstance(package, dict) and isinstance(package.get("os"), dict):
            self._learn_version(package["os"].get("version"))
            self.known.product = str(package.get("product") or self.known.product)
        self._learn_update(arrival, data)

    def _learn_version(self, told: object) -> None:
        if not told:
            return
        self.known.version = str(told)
        if self.known.versions[-1:] != [self.known.version]:
            self.known.versions.append(self.known.version)

    def _learn_update(self, arrival: Arrival, data: Mapping[str, object]) -> None:
        found = {"ota_event": self.known.events, "ota_state": self.known.states}
        if not found.keys() & data.keys():
            return
        if arrival.number is not None:
            this = (arrival.number, arrival.payload)
            if this in self.known.counted:
                return
            self.known.counted.add(this)
        for key, told in found.items():
            value = data.get(key)
            if isinstance(value, dict):
                told.append((arrival.at, value))

    @staticmethod
    def kind_of_report(arrival: Arrival) -> Arrival:
        """Return a report as what it is: of voice or of something else."""
        if KEYS_VOICE & arrival.data.keys():
            return replace(arrival, kind="voice")
        return arrival

    # Waiting.

    async def wait_for(
        self, wanted: Callable[[Arrival], bool], within: float, start: int | None = None
    ) -> Arrival | None:
        """Return the next request of the device that is wanted; None: none came in time.

        ``start``: how many of them were there before; None: all that came until now.
        """
        start = len(self.taken) if start is None else start
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while True:
                    for arrival in self.taken[start:]:
                        if wanted(arrival):
                            return arrival
                    if self.ended.is_set():
                        return None
                    start = len(self.taken)
                    self._news.clear()
                    await self._news.wait()
        return None

    async def wait_ended(self, within: float) -> bool:
        """Return whether the device ends the connection within so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self.ended.wait()
        return self.ended.is_set()

    async def wait_registered(self, within: float) -> bool:
        """Return whether the device is registered within so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not (self.registered.is_set() or self.ended.is_set()):
                    self._news.clear()
                    await self._news.wait()
        return self.registered.is_set()

    # Asking.

    def keep(self, probe: Probe) -> Probe:
        """Put a probe into the record."""
        self.trace.probes[probe.name] = probe
        return probe

    def lost(self, name: str, since: float) -> Probe:
        """Return the probe of a request without an answer."""
        outcome = ENDED if self.ended.is_set() else SILENT
        return Probe(name, outcome, seconds=self.bench.now() - since)

    @abstractmethod
    def take(self, data: bytes) -> None:
        """Read what has come."""

    @abstractmethod
    def fail_waiting(self) -> None:
        """End the waits for answers, because the connection has ended."""

    @abstractmethod
    async def ask(
        self,
        name: str,
        method: str,
        path: tuple[str, ...],
        payload: bytes = b"",
        query: tuple[str, ...] = (),
        *,
        within: float = ANSWER_SECONDS,
        until_ms: int | None = None,
        key: bytes = b"",
    ) -> Probe:
        """Send a request and record its answer under ``name``.

        ``until_ms`` and ``key`` are the deadline and the id for a device that reads them.
        """
