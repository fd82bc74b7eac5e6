"""Trusted time is tested with the updater's repository and its server."""

from __future__ import annotations

from tests.ota.conftest import added, helpers, repository, server

__all__ = ["added", "helpers", "repository", "server"]
