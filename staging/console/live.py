"""Streams of server-sent events: the list of devices, and one device with its reports.

A stream ends with its session, or when the server stops. The browser reconnects by itself, after
the time in the first line.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.responses import Response, StreamingResponse

from staging.console import device, devices, gate, heard, shapes
from staging.console.call import Call, ConsoleError
from staging.console.watchers import TooManyWatchersError, Watcher
from staging.store import history

# Well under the one minute after which proxies close an idle connection.
BEAT_SECONDS = 15.0
# Changes by another process (a command-line command) are seen after at most this time.
REFRESH_SECONDS = 5.0
RETRY_MS = 2000
STREAMS_PER_SESSION = 12
REPORTS_AT_ONCE = 100
REPORTS_FIRST = 30

Produce = Callable[[Watcher], AsyncIterator[bytes]]


async def all_devices(call: Call) -> Response:
    """Stream a page of the list: first all of it, then each of its devices that changed."""
    view = devices.View(call, devices.wanted_of(call))
    return _stream(call, None, lambda watcher: _list_events(call, watcher, view))


async def one_device(call: Call) -> Response:
    """Stream one device: its state at each change, and every report exactly once."""
    uuid = call.row.device.uuid
    return _stream(call, uuid, lambda watcher: _device_with_sentences(call, watcher, uuid))


def _stream(call: Call, uuid: str | None, produce: Produce) -> Response:
    account_id = call.session.account_id
    if call.session.streams >= STREAMS_PER_SESSION or call.console.hub.is_full(account_id):
        raise ConsoleError(503, "busy", "too many live pages are open", retry_after=RETRY_MS / 1000)

    async def body() -> AsyncIterator[bytes]:
        call.session.streams += 1
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            # Of several that were asked for at once, the last ones end here: the browser tries again.
            with (
                contextlib.suppress(TooManyWatchersError),
                call.console.hub.watch(uuid, account_id) as watcher,
            ):
                async for piece in produce(watcher):
                    yield piece
        finally:
            call.session.streams -= 1

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(body(), media_type="text/event-stream", headers=headers)


async def _ticks(call: Call, watcher: Watcher) -> AsyncIterator[bool]:
    """Yield whenever to poll, until the stream ends; True: something is known to have changed."""
    yield True
    while True:
        await watcher.wait(REFRESH_SECONDS)
        if watcher.closed or not call.console.sessions.is_alive(call.session):
            return
        yield bool(watcher.dirty or watcher.everything)


async def _list_events(call: Call, watcher: Watcher, view: devices.View) -> AsyncIterator[bytes]:
    silent = 0.0
    first = True
    async for changed in _ticks(call, watcher):
        taken = watcher.take()
        if first:
            yield event("devices", await view.open())
            first = False
            continue
        news = await view.changes(taken if changed else None)
        for name, value in news:
            yield event(name, value)
        silent = 0.0 if news else silent + REFRESH_SECONDS
        if silent >= BEAT_SECONDS:
            silent = 0.0
            yield event("beat", {"time": call.services.clock()})


async def _device_with_sentences(call: Call, watcher: Watcher, uuid: str) -> AsyncIterator[bytes]:
    with heard.listening(call.services.recognition, watcher, uuid) as sentences:
        async for piece in _device_events(call, watcher, uuid, sentences):
            yield piece


async def _device_events(
    call: Call, watcher: Watcher, uuid: str, sentences: heard.News
) -> AsyncIterator[bytes]:
    shown: dict[str, Any] | None = None
    # The header is set when the browser reconnects, the parameter when the page reopens the stream.
    header = call.request.headers.get("last-event-id") or call.query("after")
    after = last_event_id(header)
    silent = 0.0
    async for _ in _ticks(call, watcher):
        watcher.take()
        row = await gate.find(call, uuid)
        if not gate.sees(call, row):
            return
        state = await device.state(call, row)
        news = [] if state == shown else [event("state", state)]
        shown = state
        if state["device"]["mine"]:
            reports, after = await _reports(call, row.device.id, after)
            news += reports
            if sentences.take():
                news.append(event("heard", {"time": call.services.clock()}))
            if len(reports) >= REPORTS_AT_ONCE:
                watcher.note(row.device.uuid)  # there is more: do not wait
        for piece in news:
            yield piece
        silent = 0.0 if news else silent + REFRESH_SECONDS
        if silent >= BEAT_SECONDS:
            silent = 0.0
            yield event("beat", {"time": call.services.clock()})


async def _reports(call: Call, device_id: int, after: int | None) -> tuple[list[bytes], int]:
    """Return the reports after ``after`` as events, and the time to continue from.

    Those of a page that has just opened are marked: they may be older than what the device answers.
    """
    limit = REPORTS_FIRST if after is None else REPORTS_AT_ONCE
    found = await call.services.database.read(history.reports, device_id, after, limit)
    mark = {"earlier": True} if after is None else {}
    events = [event("report", shapes.report(entry) | mark, entry.ts) for entry in found]
    return events, found[-1].ts if found else after or 0


def event(name: str, data: object, event_id: int | None = None) -> bytes:
    """Format one server-sent event (WHATWG HTML, 9.2); JSON contains no line breaks."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    head = "" if event_id is None else f"id: {event_id}\n"
    return f"{head}event: {name}\ndata: {text}\n\n".encode()


def last_event_id(header: str | None) -> int | None:
    """Parse the Last-Event-ID header of a browser that reconnects; None if it is not a number."""
    text = (header or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
