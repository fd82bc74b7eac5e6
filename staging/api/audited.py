"""Writes what an app's request has changed into the audit log.

A route's row in `staging.identity.rights.API` says whether it changes something and what that is called. The
checks of the request (`staging.api.auth`) leave who asked in the request's trail; here it becomes an entry, if
the endpoint did not refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from staging.identity.rights import API, Rule
from staging.services import Services
from staging.store.access import Access
from staging.store.audit import Entry, Source

# A control request does not wait for its entry.
_QUICK = {"device.control"}
_ERRORS_FROM = 400


@dataclass(slots=True)
class Trail:
    """Who asks, as far as it is known, and what the endpoint adds."""

    account_id: int | None = None
    user_name: str = ""
    role: str = ""
    app: str = ""
    device: str = ""
    owner_id: int | None = None
    target: str = ""
    reads: bool = False
    """Whether it changed nothing in spite of what the route says."""

    def note(self, found: Access, uuid: str | None) -> None:
        """Take over who an authenticated request is from, and whose the device is."""
        self.account_id, self.user_name = found.account_id, found.user_name or ""
        self.role, self.app = found.role or "", found.app_name
        self.device, self.owner_id = uuid or "", found.owner_id


def rule_of(request: Request) -> Rule | None:
    """Return the rule of a request's route, None if the table has no row for it."""
    path = getattr(request.scope.get("route"), "path", "")
    return API.get((request.method, path.removeprefix("/v1")))


class AuditedRoute(APIRoute):
    """A route whose changes are logged."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, and the entry after it."""
        handler = super().get_route_handler()

        async def audited(request: Request) -> Response:
            response = await handler(request)
            rule, trail = rule_of(request), getattr(request.state, "trail", None)
            if rule and rule.action and trail and response.status_code < _ERRORS_FROM:
                await _note(request.state.services, rule.action, trail)
            return response

        return audited


async def _note(services: Services, action: str, trail: Trail) -> None:
    if trail.account_id is None or trail.reads:
        return
    entry = Entry(
        services.clock(),
        Source.API,
        trail.user_name,
        action,
        actor_id=trail.account_id,
        role=trail.role,
        app=trail.app,
        device=trail.device,
        subject_id=trail.owner_id if trail.device else trail.account_id,
        target=trail.target,
    )
    if action in _QUICK:
        services.audit.note(entry)
    else:
        await services.audit.add(entry)
