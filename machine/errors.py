"""Why a data point could not do what was asked, split by whose fault it is."""

from __future__ import annotations


class ResourceError(Exception):
    """A request to a data point failed; the text is for the asker."""


class RefusedError(ResourceError):
    """The value is well-formed but cannot be carried out: the asker's fault (4.00)."""


class UnavailableError(ResourceError):
    """The machine cannot do it now: no device, or a back end that fails (5.03)."""
