"""Carries the faults of machines out, by ``story-agent bench-helper`` beside the agent.

A helper listens on loopback: of a machine elsewhere its port is brought here by ``ssh -L``. A lasting fault lasts as
long as its connection, so that every fault of a machine ends with the cloud.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from base.files import write_atomically
from staging.bench.faults import Fault
from staging.data_dir import SECRET_MODE
from staging.errors import NotSupportedError, StagingError
from wire.bench_helper import LINE_LIMIT, TOKEN_MIN, Told, Wanted, encode_wanted, parse_told
from wire.errors import FieldError, WireError
from wire.fields import get_object, get_string, parse_object

HELPERS = "bench-helpers.json"
# Seconds for the helper's answer: to fill a small card takes some.
DEADLINE = 20.0

Ended = Callable[[str, str], None]
"""Is told the device and the name of a fault that ended without being asked to."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Helper:
    """Where a machine's helper listens, and what proves the bench to it."""

    host: str
    port: int
    token: str = field(repr=False)


def parse_helper(address: str, token: str) -> Helper:
    """Return the helper at ``address``, ``IP:PORT`` of loopback; raises FieldError."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not (is_loopback and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        expected = (
            "127.0.0.1:PORT or [::1]:PORT; a helper elsewhere: ssh -L PORT:127.0.0.1:PORT MACHINE"
        )
        raise FieldError("address", address, expected)
    if len(token) < TOKEN_MIN:
        raise FieldError("token", token, f"at least {TOKEN_MIN} characters", secret=True)
    return Helper(host, int(port), token)


class Helpers:
    """The helpers of machines, kept in a file of the data folder that its owner alone reads."""

    def __init__(self, folder: Path) -> None:
        """Keep them in ``folder``."""
        self._path = folder / HELPERS

    def find(self, uuid: str) -> Helper | None:
        """Return a machine's helper, None if it has none; raises StagingError."""
        told = self._read().get(uuid)
        return None if told is None else parse_helper(told["address"], told["token"])

    def set(self, uuid: str, address: str, token: str) -> Helper:
        """Keep a machine's helper; raises FieldError or StagingError."""
        helper = parse_helper(address, token)
        known = self._read() | {uuid: {"address": address, "token": token}}
        try:
            write_atomically(self._path, json.dumps(known).encode(), mode=SECRET_MODE)
        except OSError as error:
            raise StagingError(f"{self._path}: {error.strerror}") from error
        return helper

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            source = parse_object(self._path.read_bytes(), HELPERS)
            names = {uuid: get_object(source, uuid) for uuid in source}
            return {
                uuid: {name: get_string(told, name, secret=True) for name in ("address", "token")}
                for uuid, told in names.items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, WireError) as error:
            raise StagingError(f"{self._path}: {error}") from error


class Machines:
    """The lasting faults of machines, each a connection to its helper."""

    def __init__(self, helpers: Helpers, ended: Ended) -> None:
        """Ask ``helpers``; ``ended`` is called when a helper ends a fault by itself, or dies."""
        self._helpers = helpers
        self._ended = ended
        self._writers: dict[tuple[str, str], asyncio.StreamWriter] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def has(self, uuid: str) -> bool:
        """Return whether a machine has a helper."""
        return self._helpers.find(uuid) is not None

    async def begin(self, uuid: str, fault: Fault) -> str:
        """Have a machine's helper make a fault; returns what it says.

        Raises:
            NotSupportedError: there is no helper, or it refuses.
            StagingError: it does not answer.
        """
        helper = self._helpers.find(uuid)
        if helper is None:
            raise NotSupportedError(
                f"device {uuid}: {fault.name} needs story-agent bench-helper beside the agent, and "
                "story-cloud fault helper UUID ADDRESS here"
            )
        await self.end(uuid, fault.name)
        reader, writer = await self._connect(uuid, helper)
        try:
            told = await self._exchange(
                reader, writer, Wanted(fault.name, fault.values, helper.token)
            )
        except (OSError, TimeoutError, WireError) as error:
            writer.close()
            reason = str(error) or f"no answer within {DEADLINE:g} s"
            raise StagingError(f"device {uuid}: its bench helper: {reason}") from error
        if not told.done or not fault.kind.is_lasting:
            writer.close()
        if not told.done:
            raise NotSupportedError(f"device {uuid}: its bench helper: {told.text}")
        if fault.kind.is_lasting:
            self._keep(uuid, fault.name, reader, writer)
        return told.text

    async def _connect(
        self, uuid: str, helper: Helper
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(DEADLINE):
                return await asyncio.open_connection(helper.host, helper.port, limit=LINE_LIMIT)
        except (OSError, TimeoutError) as error:
            text = f"device {uuid}: no bench helper answers at {helper.host}:{helper.port}: start it anew"
            raise StagingError(text) from error

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wanted: Wanted
    ) -> Told:
        writer.write(encode_wanted(wanted))
        async with asyncio.timeout(DEADLINE):
            await writer.drain()
            return parse_told(await reader.readline())

    def _keep(
        self, uuid: str, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._writers[uuid, name] = writer
        task = asyncio.create_task(self._follow(uuid, name, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(
        self, uuid: str, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Wait until the helper ends a fault's connection."""
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()
        if self._writers.get((uuid, name)) is writer:
            del self._writers[uuid, name]
            _log.info("device %s: its bench helper ended %s", uuid, name)
            self._ended(uuid, name)

    async def end(self, uuid: str, name: str) -> None:
        """End a fault, if the machine has it."""
        writer = self._writers.pop((uuid, name), None)
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(DEADLINE):
                    await writer.wait_closed()

    async def close(self) -> None:
        """End all faults."""
        for uuid, name in list(self._writers):
            await self.end(uuid, name)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
