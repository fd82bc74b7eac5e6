"""The release tool is tested with the updater's repository, server and devices."""

from __future__ import annotations

from tests.ota.conftest import added, helpers, order, repository, rig, server

__all__ = ["added", "helpers", "order", "repository", "rig", "server"]
