"""Whether a new version works: what it must show before the old one is let go of.

Registered with the cloud, and the self-description served on the agent's own socket. The audio path
joins them with the update work of the next release (docs/ota.md).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from agent.client import AgentUnreachableError, LocalClient
from wire.datapoints import parse_self_description
from wire.errors import WireError

# The socket answers within milliseconds; a machine that has just booted may be busy.
CHECK_INTERVAL = 1.0


async def wait_until_proven(registered: asyncio.Event, socket_path: Path) -> None:
    """Return when this version has proven itself; the caller sets the deadline."""
    await registered.wait()
    while not await asyncio.to_thread(_serves_description, socket_path):  # noqa: ASYNC110  # polls a socket
        await asyncio.sleep(CHECK_INTERVAL)


def _serves_description(socket_path: Path) -> bool:
    try:
        answer = LocalClient(socket_path).request("GET", "/resource")
        return answer.status == 200 and bool(_resources(answer.body))
    except (AgentUnreachableError, WireError):
        return False


def _resources(body: bytes) -> Any:
    return parse_self_description(body)["resources"]
