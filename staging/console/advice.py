"""The advisor at the console: a device's runs (`staging.advise.desk`) and its reports (`staging.advise.shelf`)."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from starlette.responses import JSONResponse, Response

from staging.advise.compare import compare
from staging.advise.shelf import FORMS
from staging.console.call import Call, number_of, text_of
from staging.data_dir import DataDir
from wire.errors import FieldError, MissingFieldError

SEED_MAX = 2**31 - 1


async def listing(call: Call) -> Response:
    """Return the device's last run, its reports, and the suites that there are."""
    return JSONResponse(await _state(call))


async def _state(call: Call) -> dict[str, Any]:
    from staging.advise import catalogue  # noqa: PLC0415  # it loads all checks

    uuid = call.row.device.uuid
    run = call.console.desk.find(uuid)
    return {
        "run": None if run is None else run.to_json(),
        "reports": await asyncio.to_thread(call.console.shelf.list, uuid),
        "suites": [catalogue.QUICK, catalogue.FULL, *catalogue.SUITES],
    }


async def begin(call: Call) -> Response:
    """Begin a run of a suite, or of one check."""
    from staging.advise import catalogue  # noqa: PLC0415  # see above

    body = await call.body()
    suite, seed = text_of(body, "suite", limit=64), _seed(body)
    catalogue.select(suite)
    call.done.target = suite
    await call.console.desk.begin(call.row.device.uuid, suite, seed, call.session.user_name)
    return JSONResponse(await _state(call), 201)


def _seed(body: dict[str, Any]) -> int | None:
    seed = body.get("seed")
    if seed is None:
        return None
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 < seed <= SEED_MAX:
        raise FieldError("seed", seed, f"a whole number from 1 to {SEED_MAX}")
    return seed


async def cancel(call: Call) -> Response:
    """End the device's run; answers when the device was given back."""
    await call.console.desk.cancel(call.row.device.uuid)
    return JSONResponse(await _state(call))


async def shown(call: Call) -> Response:
    """Return a report without the records of its cases, which the file has, and whether this cloud signed it so."""
    made = await _read(call, number_of(call, "report"))
    signed = await asyncio.to_thread(_verified, call.console.data, made)
    told = {name: made[name] for name in made if name not in {"cases", "signature"}}
    return JSONResponse(told | signed)


def _verified(data: DataDir, made: dict[str, Any]) -> dict[str, str]:
    from staging.advise import sign  # noqa: PLC0415  # see above

    return sign.judged(made, data.ca)


async def _read(call: Call, number: int) -> dict[str, Any]:
    return await asyncio.to_thread(call.console.shelf.read, call.row.device.uuid, number)


async def compared(call: Call) -> Response:
    """Return what is another way in the report ``after`` than in the report ``before``."""
    numbers = {name: call.query_int(name) for name in ("before", "after")}
    for name, number in numbers.items():
        if number is None:
            raise MissingFieldError(name, "the number of a report")
    before, after = [await _read(call, number) for number in numbers.values() if number is not None]
    titles = {each["id"]: each.get("title") for made in (before, after) for each in made["checks"]}
    changes = [
        asdict(each) | {"kind": each.kind, "title": titles[each.id]}
        for each in compare(before, after)
    ]
    return JSONResponse({"changes": changes})


async def download(call: Call) -> Response:
    """Return a report as a file: ``report.json``, ``junit.xml`` or ``report.html``."""
    uuid, number, form = call.row.device.uuid, number_of(call, "report"), call.param("form")
    data = await asyncio.to_thread(call.console.shelf.bytes, uuid, number, form)
    call.done.target = f"{number} {form}"
    name = f'attachment; filename="{uuid}-{number}-{form}"'
    return Response(data, media_type=FORMS[form], headers={"Content-Disposition": name})
