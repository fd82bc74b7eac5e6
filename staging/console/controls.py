"""Reads and sets the data points of a device."""

from __future__ import annotations

import time

from starlette.responses import JSONResponse, Response

from staging.console.call import Call, text_of
from staging.errors import ErrorCode, RefusedError
from wire.errors import FieldError, MissingFieldError

CONTENT_LIMIT = 4096


async def control(call: Call) -> Response:
    """Read or set a data point; returns the device's answer, even an error (open API 3.4)."""
    row, body = call.row, await call.body()
    method, name = text_of(body, "method"), text_of(body, "name")
    if method not in {"GET", "PUT"}:
        raise RefusedError(ErrorCode.METHOD_INVALID, f"got {method!r}, expected GET or PUT")
    content = body.get("content", "") if method == "PUT" else ""
    if method == "PUT" and "content" not in body:
        raise MissingFieldError("content", "the value to set")
    if not isinstance(content, str) or len(content) > CONTENT_LIMIT:
        raise FieldError("content", content, f"text of at most {CONTENT_LIMIT} characters")
    call.done.target, call.done.reads = f"{method} {name}", method == "GET"
    began = time.monotonic()
    code, text = await call.services.gateway.control(row.device.uuid, name, method, content)
    took = round((time.monotonic() - began) * 1000)
    return JSONResponse({"code": code, "content": text, "name": name, "ms": took})
