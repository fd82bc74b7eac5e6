"""What the commands ``story-cloud fault …`` ask of the running server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from staging.bench.bench import Bench
from staging.bench.board import BenchOffError
from staging.bench.faults import Fault, catalogue
from staging.recognition.lookup import look_up
from staging.store import Database
from wire.fields import get_object, get_string

Work = Callable[[Mapping[str, object]], Awaitable[Mapping[str, object]]]


class FaultWorks:
    """The server's side of the commands."""

    def __init__(self, bench: Bench | None, database: Database) -> None:
        """Use ``bench``; without one only the list of what there is can be asked for."""
        self._bench = bench
        self._database = database

    @property
    def changes(self) -> Mapping[str, Work]:
        """Those that change something; ``shown`` in an outcome is for the audit log."""
        return {"fault.set": self._set, "fault.clear": self._clear, "fault.helper": self._helper}

    @property
    def reads(self) -> Mapping[str, Work]:
        """Those that change nothing."""
        return {"fault.list": self._list}

    async def _list(self, wanted: Mapping[str, object]) -> Mapping[str, object]:
        bench = self._bench
        if "uuid" not in wanted:
            running = (
                {uuid: bench.board.to_json(uuid) for uuid in bench.board.devices} if bench else {}
            )
            return {"on": bench is not None, "kinds": catalogue(), "devices": running}
        return await state(bench, await self._uuid(wanted))

    async def _set(self, wanted: Mapping[str, object]) -> Mapping[str, object]:
        bench, uuid = self._there(), await self._uuid(wanted)
        values = get_object(wanted, "values") if "values" in wanted else {}
        fault, told = await bench.set(uuid, get_string(wanted, "name"), values)
        return await state(bench, uuid) | {"shown": fault.shown, "told": told}

    async def _clear(self, wanted: Mapping[str, object]) -> Mapping[str, object]:
        bench, uuid = self._there(), await self._uuid(wanted)
        name = get_string(wanted, "name") if "name" in wanted else None
        ended = await bench.clear(uuid, name)
        shown = ", ".join(fault.name for fault in ended)
        return await state(bench, uuid) | {
            "ended": [_name(fault) for fault in ended],
            "shown": shown,
        }

    async def _helper(self, wanted: Mapping[str, object]) -> Mapping[str, object]:
        bench, uuid = self._there(), await self._uuid(wanted)
        address = get_string(wanted, "address")
        bench.helpers.set(uuid, address, get_string(wanted, "token", secret=True))
        return await state(bench, uuid) | {"shown": address}

    def _there(self) -> Bench:
        if self._bench is None:
            raise BenchOffError
        return self._bench

    async def _uuid(self, wanted: Mapping[str, object]) -> str:
        uuid = get_string(wanted, "uuid").lower()
        await self._database.read(look_up, uuid)
        return uuid


async def state(bench: Bench | None, uuid: str) -> dict[str, Any]:
    """Return a device's faults, and whether its machine has a helper, as commands and the page see them."""
    if bench is None:
        return {"on": False, "uuid": uuid, "faults": [], "helper": False}
    return {
        "on": True,
        "uuid": uuid,
        "faults": bench.board.to_json(uuid),
        "helper": bench.machines.has(uuid),
    }


def _name(fault: Fault) -> str:
    return fault.name
