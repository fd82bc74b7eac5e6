"""The release tool's tests have the updater's repository, server and devices."""

from __future__ import annotations

from tests.ota.conftest import added, box, helpers, order, repository, server

__all__ = ["added", "box", "helpers", "order", "repository", "server"]
