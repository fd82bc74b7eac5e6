"""Tells the server of a connection that somebody has proved who it is: such addresses keep their places in a flood."""

from __future__ import annotations

from starlette.requests import HTTPConnection

ADMIT = "admit"
"""The member of a request's state that `staging.api.http_server` sets."""


def admit(request: HTTPConnection) -> None:
    """Note that the request is by somebody who was recognised; without that server nothing happens."""
    found = getattr(request.state, ADMIT, None)
    if callable(found):
        found()
