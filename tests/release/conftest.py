"""The release tool is tested with the updater's repository, server and devices."""

from __future__ import annotations

from tests.ota.conftest import added, box, helpers, order, repository, server

__all__ = ["added", "box", "helpers", "order", "repository", "server"]
