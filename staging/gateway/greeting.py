"""What the cloud asks a device right after its registration: its self-description; then its pending order goes out."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any

from staging.errors import DeviceRejectedError, DeviceSilentError
from staging.gateway.intake import Intake
from staging.gateway.orders import Orders
from staging.gateway.session import Session
from wire.codes import Code
from wire.datapoints import parse_self_description
from wire.errors import WireError
from wire.reports import DESCRIPTION_PATH

_log = logging.getLogger(__name__)


class Greeter:
    """Greets devices that have registered."""

    def __init__(self, intake: Intake, orders: Orders, changed: Callable[[str], None]) -> None:
        """Keep descriptions by ``intake`` and send ``orders``; ``changed`` is told of a device that was read."""
        self._intake = intake
        self._orders = orders
        self._changed = changed

    async def greet(self, session: Session) -> None:
        """Read a newly registered device's self-description, then send its pending order."""
        # Without an answer the stored self-description stays valid.
        with contextlib.suppress(DeviceSilentError, DeviceRejectedError):
            await self._read_description(session)
        await self._orders.send(session)

    async def _read_description(self, session: Session) -> None:
        answer = await session.request("GET", DESCRIPTION_PATH)
        description: dict[str, Any] | None = None
        if answer.code == Code.CONTENT:
            try:
                description = parse_self_description(answer.payload)
            except WireError as error:
                uuid = session.identity.uuid
                _log.warning("device %s: self-description not usable: %s", uuid, error)
        session.description = description
        await self._intake.keep_description(session, description)
        self._changed(session.identity.uuid)
