"""The error of the release tool."""

from __future__ import annotations


class ReleaseToolError(Exception):
    """A release command cannot be carried out; the message is shown to the user."""
