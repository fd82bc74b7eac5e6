"""The bench of one cloud: its switches, what carries the faults out, and their end.

`Bench.set` and `Bench.clear` are what commands, the page and the advisor call.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from staging.bench.board import Board
from staging.bench.faults import Fault, Where, kind_of
from staging.bench.lines import Lines
from staging.bench.machines import Helpers, Machines
from staging.times import Monotonic

# Seconds between two looks at whose time is over.
TICK_SECONDS = 0.5

_log = logging.getLogger(__name__)


class Bench:
    """The faults that devices of this cloud have, and who makes them."""

    def __init__(self, folder: Path, monotonic: Monotonic = time.monotonic) -> None:
        """Start without faults; the machines' helpers are known from ``folder``."""
        self.board = Board(monotonic)
        self.lines = Lines(self.board)
        self.helpers = Helpers(folder)
        self.machines = Machines(self.helpers, self._ended)

    async def set(
        self, uuid: str, name: str, values: Mapping[str, object] | None = None
    ) -> tuple[Fault, str]:
        """Give a device a fault; returns it, and what its helper says ("" for a fault of the cloud's own).

        Args:
            uuid: the device.
            name: a name of `staging.bench.faults.KINDS`.
            values: values by name; what is missing has its default.

        Raises:
            FieldError: there is no such fault, or a value does not fit.
            NotSupportedError, StagingError: the machine's helper does not do it.
        """
        uuid, kind = uuid.lower(), kind_of(name)
        told = ""
        if kind.where is Where.MACHINE:
            told = await self.machines.begin(uuid, Fault(kind, kind.parse(values or {}), 0))
        fault = self.board.set(uuid, name, values)
        _log.warning("bench: device %s: %s", uuid, fault.shown)
        return fault, told

    async def clear(self, uuid: str, name: str | None = None) -> list[Fault]:
        """End a device's fault, or all of them; returns those that it had."""
        uuid = uuid.lower()
        ended = self.board.clear(uuid, name)
        for fault in ended:
            await self._let_go(uuid, fault)
        return ended

    async def run(self) -> None:
        """End the faults whose time is over, until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            for uuid, fault in self.board.expire():
                await self._let_go(uuid, fault)

    async def _let_go(self, uuid: str, fault: Fault) -> None:
        _log.warning("bench: device %s: %s is over", uuid, fault.name)
        if fault.kind.where is Where.MACHINE:
            await self.machines.end(uuid, fault.name)

    def _ended(self, uuid: str, name: str) -> None:
        self.board.clear(uuid, name)

    def package_faults_at(self, address: str) -> Mapping[str, Fault]:
        """Return the faults of packages of the devices at an IP address."""
        found: dict[str, Fault] = {}
        for uuid in self.lines.at(address):
            found |= self.board.of(uuid, Where.PACKAGE)
        return found

    def told_time_ms(self, uuid: str) -> int:
        """Return by how many milliseconds the time is wrong that a device is told."""
        fault = self.board.of(uuid, Where.CLOUD).get("cloud_time")
        return fault.number_of("minutes") * 60_000 if fault else 0

    async def close(self) -> None:
        """End all faults."""
        for uuid in self.board.devices:
            self.board.clear(uuid)
        await self.machines.close()
        self.lines.close()
