"""Authentication (headers, signature, nonce, token) and authorization of requests.

The dependencies are coroutines although they await nothing: FastAPI runs plain functions in a
thread, and the two thread switches cost more than the look-up.

The order of the checks: headers (401), app and signature (401), nonce (401), token (404, 426), account
(1211), scope and role (1218), then device (1209), app and product (1223), binding (1212). Before
the signature is verified, a response reveals nothing of the store.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from staging.api.admission import admit
from staging.api.audited import Trail, rule_of
from staging.api.failures import ApiError
from staging.errors import ErrorCode, RefusedError
from staging.identity import signature
from staging.identity.oauth import Scope, covers
from staging.identity.rights import Rule
from staging.identity.signature import Signature
from staging.services import Services
from staging.store import access
from staging.store.access import Access
from staging.store.apps import TOKEN_LIFETIME_S, token_digest
from staging.store.lookups import Lookup
from staging.store.models import ENABLE
from wire.errors import FieldError

# Longer than any key or token of ours; bounds the size of a look-up.
HEADER_LIMIT = 128
# How far this machine's clock may be set back before tokens of before count as issued in the future.
CLOCK_SLACK_MS = 86_400_000
# Compared with when the app is unknown, so that both refusals take the same path.
_NO_SECRET = "unknown app"  # noqa: S105  # stands for the absence of one


@dataclass(frozen=True, slots=True)
class Signed:
    """A request's three headers: well formed, but not verified yet."""

    apikey: str
    token: str = field(repr=False)
    signature: Signature = field(repr=False)
    changes: bool = True
    """Whether the HTTP method is one that changes something."""
    rule: Rule | None = None
    """Who may use the route; None: it has no row in the table, so that nobody may."""
    trail: Trail = field(default_factory=Trail)
    """Takes who asks, for the audit log."""
    admit: Callable[[], None] = lambda: None
    """Tells the connection's server that the request is by somebody."""


async def read_headers(request: Request) -> Signed:
    """Return the three headers; raises ApiError 401 that names a missing or malformed one."""
    apikey = _header(request, "X-IOT-APP")
    header = _header(request, "X-IOT-Signature")
    token = _header(request, "X-IOT-Token")
    try:
        parsed = signature.parse(header)
    except FieldError as error:
        raise unauthorized(str(error)) from error
    trail = request.state.trail = Trail()
    return Signed(
        apikey, token, parsed, request.method != "GET", rule_of(request), trail,
        functools.partial(admit, request),
    )  # fmt: skip


SignedRequest = Annotated[Signed, Depends(read_headers)]


async def services_of(request: Request) -> Services:
    """Return the services that the application was created with."""
    services = request.state.services
    if not isinstance(services, Services):
        raise TypeError("the application has no services")
    return services


Served = Annotated[Services, Depends(services_of)]


async def authenticate(
    services: Services,
    signed: Signed,
    scope: Scope | None,
    uuid: str | None = None,
    *,
    changes: bool | None = None,
    lookup: Lookup = access.LOOK_UP,
) -> Access:
    """Verify app, signature, nonce and token; the result also describes the device ``uuid``.

    ``scope`` is the scope that the token must have; None requires no scope. ``changes``: whether
    the request changes something, so that it must not be repeated after a kill or elsewhere; by
    default every one but a GET does. ``lookup``: `access.WITH_VIEW` also finds what is shown.

    Raises:
        ApiError: 401 names the header at fault; 404 and 426 are about the token.
        RefusedError: 1211 is about its account, 1218 about its scope.
        StoreBusyError: the nonce of a change cannot be stored.
    """
    digest = token_digest(signed.token)
    nonce = signed.signature.nonce
    row = await services.database.find(
        lookup, apikey=signed.apikey, nonce=nonce, digest=digest, uuid=uuid
    )
    found = None if row is None else access.read(row)
    secret = _NO_SECRET if found is None else found.secret
    right = signature.matches(signed.signature, signed.apikey, secret, signed.token)
    if found is None:
        raise unauthorized("X-IOT-APP: no such app")
    if not right:
        raise unauthorized("X-IOT-Signature: wrong signature")
    changes = signed.changes if changes is None else changes
    if found.nonce_used or not await _is_first(services, found.app_id, nonce, changes=changes):
        raise unauthorized("X-IOT-Signature: this nonce was used already")
    _check_token(found, scope, services.clock())
    _check_role(found, signed.rule)
    signed.trail.note(found, uuid)
    signed.admit()
    return found


async def authorize(
    services: Services,
    signed: Signed,
    scope: Scope,
    uuid: str,
    *,
    changes: bool | None = None,
    lookup: Lookup = access.LOOK_UP,
) -> tuple[Access, int]:
    """Authenticate a ★ endpoint: the device must be bound to the caller's account.

    ``changes`` and ``lookup`` as for `authenticate`.

    Returns the access, and the device's numeric id.

    Raises:
        ApiError: as `authenticate`.
        RefusedError: also 1209, 1223 and 1212.
    """
    found = await authenticate(services, signed, scope, uuid, changes=changes, lookup=lookup)
    device_id = check_device(found, uuid)
    if found.owner_id is None or found.owner_id != found.account_id:
        raise RefusedError(ErrorCode.NOT_BOUND, uuid)
    return found, device_id


async def _is_first(services: Services, app_id: int, nonce: str, *, changes: bool) -> bool:
    """Record a nonce; return whether it was not used before."""
    if changes:
        return await services.nonces.claim(app_id, nonce)
    return services.nonces.use(app_id, nonce)


def check_device(found: Access, uuid: str) -> int:
    """Return the device's id; raises RefusedError 1209 (no device) or 1223 (app not bound)."""
    if found.device_id is None:
        raise RefusedError(ErrorCode.DEVICE_NOT_EXIST, uuid)
    if not found.app_bound:
        raise RefusedError(ErrorCode.APP_NOT_BOUND, uuid)
    return found.device_id


def unauthorized(message: str) -> ApiError:
    """Return the error for a request that is not authentic."""
    return ApiError("401", 401, message)


def _check_token(found: Access, scope: Scope | None, now: int) -> None:
    if found.token_expire_time is None:
        raise ApiError("404", 404, "X-IOT-Token: no such access_token")
    # One from a time when this machine's clock was ahead would otherwise be valid for years.
    ahead = found.token_expire_time > now + TOKEN_LIFETIME_S * 1000 + CLOCK_SLACK_MS
    if found.token_expire_time <= now or ahead:
        raise ApiError("426", 426, "X-IOT-Token: the access_token expired, authorize again")
    if found.account_status != ENABLE:
        raise RefusedError(ErrorCode.ACCOUNT_NOT_FOUND)
    if scope is not None and not covers((found.scope or "").split(","), scope):
        detail = f"the access_token is for {found.scope}, this needs {scope}"
        raise RefusedError(ErrorCode.NO_PERMISSION, detail)


def _check_role(found: Access, rule: Rule | None) -> None:
    """Refuse what the account's role may not do, and a route that no row speaks of."""
    if rule is None or rule.roles is None or found.role not in rule.roles:
        raise RefusedError(ErrorCode.NO_PERMISSION, f"not for the role {found.role}")


def _header(request: Request, name: str) -> str:
    value = request.headers.get(name, "")
    if not value:
        raise unauthorized(f"{name}: missing")
    if len(value) > HEADER_LIMIT:
        raise unauthorized(f"{name}: longer than {HEADER_LIMIT} characters")
    return value
