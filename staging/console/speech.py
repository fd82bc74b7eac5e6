"""The utterances of a device: their list with waveforms and stages, their sound, and the wish for one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

from staging.console import stages
from staging.console.call import Call, ConsoleError, number_of, text_of
from staging.gateway.ear import Ear
from staging.store import utterances
from staging.store.overview import DeviceRow
from staging.store.utterances import Utterance
from wire.answers import LISTEN_CANCEL, LISTEN_START
from wire.errors import FieldError

UTTERANCES_PAGE = 10
# The store of outcomes keeps twice as many of a device.
OUTCOMES_LIMIT = 100


async def listing(call: Call) -> Response:
    """Return a page of utterances, newest first, with waveforms."""
    row, before = call.row, call.query_int("before")
    found, following = await call.services.database.read(
        utterances.page, row.device.id, before, UTTERANCES_PAGE
    )
    timed = await _stages(call, row, found)
    decoded = await call.console.waveforms.shown(row.device.id, found)
    shown = [each | {"stages": timed[each["start"]]} for each in decoded]
    return JSONResponse({"utterances": shown, "next": following})


async def _stages(
    call: Call, row: DeviceRow, found: Sequence[Utterance]
) -> dict[int, list[dict[str, Any]]]:
    """Return each utterance's stages by its start."""
    if not found:
        return {}
    since = min(spoken.start for spoken in found)
    reports = await call.services.database.read(utterances.times, row.device.id, since)
    recognition = call.services.recognition
    recent: list[dict[str, Any]] = []
    if recognition is not None:
        recent = await asyncio.to_thread(
            recognition.outcomes.recent, row.device.uuid, OUTCOMES_LIMIT
        )
    told = stages.read_told(reports)
    return {spoken.start: stages.stages(spoken, told, recent) for spoken in found}


async def listen(call: Call) -> Response:
    """Let the machine listen, or end it; returns its answer, also a refusal, as a control does."""
    row = call.row
    action = text_of(await call.body(), "action")
    if action not in {LISTEN_START, LISTEN_CANCEL}:
        raise FieldError("action", action, f"{LISTEN_START} or {LISTEN_CANCEL}")
    code, text = await Ear(call.services.gateway.sessions).listen(row.device.uuid, action)
    return JSONResponse({"code": code, "content": text})


async def audio(call: Call) -> Response:
    """Return an utterance as WAV, or a byte range of it."""
    row = call.row
    start, number = number_of(call, "start"), number_of(call, "number")
    spoken = await call.services.database.read(utterances.find, row.device.id, start, number)
    if spoken is None:
        raise ConsoleError(404, "not_found", f"utterance {number}: there is none")
    body = await call.console.waveforms.wav(spoken)
    # Not cached: more segments may still arrive.
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "no-store"}
    try:
        wanted = byte_range(call.request.headers.get("range"), len(body))
    except ValueError:
        headers["Content-Range"] = f"bytes */{len(body)}"
        return Response(status_code=416, headers=headers)
    if wanted is None:
        return Response(body, headers=headers, media_type="audio/wav")
    low, high = wanted
    headers["Content-Range"] = f"bytes {low}-{high}/{len(body)}"
    return Response(body[low : high + 1], 206, headers, media_type="audio/wav")


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Parse a Range header (RFC 9110, 14.1.2) with one range.

    Returns:
        The positions of the first and the last byte; None: send the whole file.

    Raises:
        ValueError: the range is outside of the ``size`` bytes.
    """
    unit, _, text = (header or "").partition("=")
    first, dash, last = text.strip().partition("-")
    digits = all(part == "" or (part.isascii() and part.isdigit()) for part in (first, last))
    if unit.strip().lower() != "bytes" or not dash or not digits or not (first or last):
        return None  # several ranges, other units: a server may ignore the header
    if not first:
        low, high = max(0, size - int(last)), size - 1
    else:
        low, high = int(first), min(size - 1, int(last) if last else size - 1)
    if low >= size or low > high or (not first and int(last) == 0):
        raise ValueError(f"range: got {header}, expected one within {size} bytes")
    return low, high
