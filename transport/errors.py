"""Transport errors, as opposed to errors in a message's content (`wire.errors`)."""

from __future__ import annotations


class TransportError(Exception):
    """The exchange failed in transit; the same request may succeed later."""


class StreamClosedError(TransportError):
    """The connection ended before the answer arrived."""


class NotSentError(StreamClosedError):
    """The connection had ended before the request was sent, so it did not reach the other side."""


class RequestTimeoutError(TransportError):
    """The other side did not answer within the deadline."""


class RequestRejectedError(TransportError):
    """The other side reset the exchange, or its answer is not valid CoAP."""
