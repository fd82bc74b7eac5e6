"""What was done to a family's devices and account: an endpoint of ours beside the document's.

A parent sees who did what to theirs and when: their own apps, and the roles of others, whose names they do not
learn. What was done to a device before it was theirs is not shown, because it was done to somebody else.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from staging.api import schema
from staging.api.audited import AuditedRoute
from staging.api.auth import Served, SignedRequest, authenticate
from staging.api.envelope import OK
from staging.api.failures import errors
from staging.api.params import LimitQuery, OptionalUuidQuery, PageQuery
from staging.errors import ErrorCode, RefusedError
from staging.identity.oauth import Scope
from staging.store import audit
from staging.store.audit import Filter
from staging.store.models import AuditEntry
from staging.times import iso

router = APIRouter(prefix="/device/data", route_class=AuditedRoute)
LIMIT_DEFAULT = 20


@router.get(
    "/audit",
    response_model=schema.Audit,
    responses=errors(ErrorCode.QUERY_PARAMS_INVALID, ErrorCode.DEVICE_UUID_INVALID),
)
async def get_audit(
    services: Served,
    signed: SignedRequest,
    uuid: OptionalUuidQuery = None,
    before: PageQuery = None,
    limit: Annotated[LimitQuery, Query()] = LIMIT_DEFAULT,
) -> JSONResponse:
    """Ours: return what was done to the caller's devices and account, newest first."""
    found = await authenticate(services, signed, Scope.DATA)
    if found.account_id is None:
        raise RefusedError(ErrorCode.ACCOUNT_NOT_FOUND)
    await services.audit.save()
    wanted = Filter(device=uuid or "", subject_id=found.account_id, before=before)
    entries = await services.database.read(audit.page, wanted, limit + 1)
    page = entries[:limit]
    return JSONResponse(
        {
            "data": [_shown(entry, found.account_id) for entry in page],
            "code": OK,
            "message": "",
            "nextPage": page[-1].id if len(entries) > limit else None,
            "limit": limit,
        }
    )


def _shown(entry: AuditEntry, account_id: int) -> dict[str, object]:
    mine = entry.actor_id == account_id
    return {
        "time": iso(entry.ts),
        "deviceUuid": entry.device or None,
        "action": entry.action,
        "by": entry.role or entry.source,
        "you": mine,
        "app": entry.app or None,
        "source": entry.source,
        "target": entry.target if mine else "",
        "outcome": entry.outcome,
    }
