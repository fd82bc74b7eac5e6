"""The list of devices: a page of it, what it can be filtered by, and what of a shown page changes.

A stream follows the devices of one page. A list that fits on its page is shown anew when another device joins it; of a
longer one the page is told that it has moved, and does not jump under the reader's hand.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Collection, Iterator
from typing import Any

from starlette.responses import JSONResponse, Response, StreamingResponse

from staging import device_csv
from staging.console import shapes
from staging.console.call import Call
from staging.store import device_list, device_query, listings, overview, tags
from staging.store.device_query import Wanted
from staging.store.overview import DeviceRow

# Seconds between two looks at which devices a page has: of a list that fits on it, and of a longer one. A look takes a
# twentieth of the time at most.
LOOK_SECONDS, LONG_LOOK_SECONDS = 1.0, 30.0
LOOK_SHARE = 20.0
# Devices of a CSV, and of one look into the store while it is sent.
CSV_LIMIT, CSV_PIECE = 1_000_000, 500
# The id that a browser sends when it reconnects a stream.
_NOT_OURS = {"after"}

Event = tuple[str, dict[str, Any]]


def wanted_of(call: Call) -> Wanted:
    """Return what a request's address asks for; raises FieldError."""
    given: dict[str, list[str]] = {}
    for name, text in call.request.query_params.multi_items():
        if name not in _NOT_OURS:
            given.setdefault(name, []).append(text)
    return device_query.parse(given)


async def listing(call: Call) -> Response:
    """Return one page of the devices."""
    return JSONResponse(await View(call, wanted_of(call)).open())


async def filters(call: Call) -> Response:
    """Return what devices can be filtered by: products with their batches and versions, and tags."""
    database = call.services.database
    named = await database.read(listings.choices)
    counted = await database.read(tags.listing)
    return JSONResponse({"products": named, "tags": [tag.name for tag in counted]})


async def as_csv(call: Call) -> Response:
    """Return all devices that match as CSV, in the list's order."""
    wanted = wanted_of(call)  # before the answer begins, which could not say what is wrong with it
    online = call.services.gateway.sessions.ids()
    numbers = await call.services.database.read(
        device_list.numbers, wanted, call.session.viewer, online, limit=CSV_LIMIT
    )
    call.done.target = f"{len(numbers)} devices"
    headers = {
        "Content-Disposition": 'attachment; filename="devices.csv"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(
        _pieces(call, numbers), media_type="text/csv; charset=utf-8", headers=headers
    )


async def _pieces(call: Call, numbers: list[int]) -> AsyncIterator[str]:
    yield device_csv.HEAD
    for start in range(0, len(numbers), CSV_PIECE):
        piece = numbers[start : start + CSV_PIECE]
        seen = await call.services.database.read(device_list.seen, piece, call.session.viewer)
        asked = [number for number in piece if number in seen]
        rows = await call.services.database.read(overview.by_ids, asked)
        yield device_csv.to_csv(shape(call, row) for row in rows)


def shape(call: Call, row: DeviceRow) -> dict[str, Any]:
    """Return a device as the caller sees it."""
    gateway, uuid = call.services.gateway, row.device.uuid
    return shapes.device(
        row,
        online=gateway.is_online(uuid),
        viewer=call.session.viewer,
        twin=gateway.has_twin(uuid),
        now=call.services.clock(),
        unasked=gateway.sessions.unasked_since(uuid),
    )


class View:
    """One page of the list as its viewer sees it, and what the browser was told of it."""

    def __init__(self, call: Call, wanted: Wanted) -> None:
        """Show what is ``wanted`` to whoever calls."""
        self._call, self._wanted = call, wanted
        self._ids: list[int] = []
        self._shown: dict[str, dict[str, Any]] = {}
        self._numbers: dict[str, int] = {}
        self._total = 0
        self._told: tuple[int, bool] | None = None
        self._next_look = 0.0

    async def open(self) -> dict[str, Any]:
        """Look anew; return the page."""
        found = await self._look()
        self._ids, self._total, self._told = found.ids, found.total, None
        rows = await self._call.services.database.read(overview.by_ids, found.ids)
        self._numbers = {row.device.uuid: row.device.id for row in rows}
        self._shown = {row.device.uuid: shape(self._call, row) for row in rows}
        size = self._wanted.size
        return {
            "devices": list(self._shown.values()),
            "total": found.total,
            "page": self._wanted.page,
            "size": size,
            "pages": max(1, math.ceil(found.total / size)),
        }

    async def changes(self, touched: Collection[str] | None) -> list[Event]:
        """Return what the browser is to be told; ``touched``: the devices that changed, None: any may have."""
        events = list(await self._changed_rows(touched))
        joined = touched is None or any(uuid not in self._shown for uuid in touched)
        if joined and time.monotonic() >= self._next_look:
            events += await self._moved()
        return events

    async def _changed_rows(self, touched: Collection[str] | None) -> Iterator[Event]:
        known = self._numbers if touched is None else set(touched) & set(self._numbers)
        numbers = [self._numbers[uuid] for uuid in known]
        if not numbers:
            return iter(())
        call = self._call
        seen = await call.services.database.read(device_list.seen, numbers, call.session.viewer)
        rows = await call.services.database.read(overview.by_ids, sorted(seen))
        return self._compare(set(known), {row.device.uuid: shape(call, row) for row in rows})

    def _compare(self, asked: set[str], rows: dict[str, dict[str, Any]]) -> Iterator[Event]:
        for uuid, row in rows.items():
            if self._shown.get(uuid) != row:
                self._shown[uuid] = row
                yield "device", row
        for uuid in asked - rows.keys():
            del self._shown[uuid], self._numbers[uuid]
            yield "gone", {"uuid": uuid}

    async def _moved(self) -> list[Event]:
        """Look which devices the page has now."""
        found = await self._look()
        has_others = set(found.ids) != set(self._ids)
        if not has_others and found.total == self._total:
            return []
        if self._fits(found.total):
            return [("devices", await self.open())]
        if self._told == (found.total, has_others):
            return []
        self._told = (found.total, has_others)
        return [("moved", {"total": found.total, "others": has_others})]

    def _fits(self, total: int) -> bool:
        return self._wanted.page == 1 and max(total, self._total) <= self._wanted.size

    async def _look(self) -> device_list.Found:
        call, began = self._call, time.monotonic()
        found = await call.services.database.read(
            device_list.page,
            self._wanted,
            call.session.viewer,
            call.services.gateway.sessions.ids(),
        )
        took = time.monotonic() - began
        pause = LOOK_SECONDS if self._fits(found.total) else LONG_LOOK_SECONDS
        self._next_look = time.monotonic() + max(pause, took * LOOK_SHARE)
        return found
