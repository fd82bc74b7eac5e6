"""Labels of chosen devices as a PDF to print: each has the QR code that binds its machine."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from staging.console.bulk import chosen
from staging.console.call import Call
from staging.errors import StagingError
from staging.store import label_rows
from staging.store.audit import Entry, Source

# Forty pages; a larger batch is handed out by `story-cloud batch export`.
LABELS_LIMIT = 1000


async def sheet(call: Call) -> Response:
    """Return the labels of the devices of the body's ``query`` or ``uuids``; raises StagingError: none can be had.

    The header ``X-Story-Left-Out`` says how many of them have none. Each label's device is in the audit log.
    """
    from staging.labels.sheet import sheets  # noqa: PLC0415  # the code's library, for this alone

    ids = await chosen(call, await call.body(), LABELS_LIMIT)
    labels = await call.services.database.read(label_rows.of, ids, call.session.viewer)
    if not labels:
        raise StagingError(f"labels: none of {len(ids)} devices has one that is yours to print")
    content = await asyncio.to_thread(sheets, labels, "labels")
    for label in labels:
        call.services.audit.note(_entry(call, label.uuid))
    call.done.target = f"{len(labels)} devices"
    headers = {
        "Content-Disposition": 'attachment; filename="labels.pdf"',
        "Cache-Control": "no-store",
        "X-Story-Left-Out": str(len(ids) - len(labels)),
    }
    return Response(content, headers=headers, media_type="application/pdf")


def _entry(call: Call, uuid: str) -> Entry:
    session = call.session
    return Entry(
        call.services.clock(), Source.CONSOLE, session.user_name, "device.label",
        actor_id=session.account_id, role=session.role.value, device=uuid,
    )  # fmt: skip
