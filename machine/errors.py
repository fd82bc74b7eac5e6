"""Errors of data points: one for a bad request, one for an unavailable back end."""

from __future__ import annotations


class ResourceError(Exception):
    """A request to a data point failed; the message is sent to the client."""


class RefusedError(ResourceError):
    """The value is well-formed but cannot be applied: a client error (4.00)."""


class UnavailableError(ResourceError):
    """The request cannot be served now: no device, or its back end failed (5.03)."""
