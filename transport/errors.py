"""What can go wrong between two ends of a stream: transport faults, as opposed to bad content."""

from __future__ import annotations


class TransportError(Exception):
    """The exchange failed on its way; the same request may work later."""


class StreamClosedError(TransportError):
    """The connection ended before the answer came."""


class RequestTimeoutError(TransportError):
    """The other side did not answer within the deadline."""


class RequestRejectedError(TransportError):
    """The other side reset the exchange or answered with something that is not CoAP."""
