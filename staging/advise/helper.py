"""The helper beside the machine (``story-agent bench-helper``), as cases use it: one-time faults, and lasting ones with an end."""

from __future__ import annotations

import time
from collections.abc import Mapping

from staging.advise.bench import HelplessError
from staging.bench.faults import Fault, kind_of
from staging.bench.machines import Helpers, Machines
from staging.errors import GatewayError, StagingError
from wire.errors import FieldError

NONE = "no helper stands beside the machine: story-agent advise-helper there, and story-cloud fault helper or --helper here"


class MachineHelper:
    """The helper of one device, which the cloud's data folder names."""

    def __init__(self, helpers: Helpers, uuid: str) -> None:
        """Ask the helper of ``uuid``."""
        self._machines = Machines(helpers, lambda _uuid, _name: None)
        self._uuid = uuid

    def check(self) -> None:
        """Raise HelplessError if there is none."""
        if not self._machines.has(self._uuid):
            raise HelplessError(NONE)

    async def strike(self, name: str, values: Mapping[str, int | str]) -> str:
        """Have it make a fault; return what it says. Raises HelplessError."""
        try:
            kind = kind_of(name)
            fault = Fault(kind, kind.parse(dict(values)), time.monotonic())
            return await self._machines.begin(self._uuid, fault)
        except (StagingError, GatewayError, FieldError) as error:
            raise HelplessError(str(error)) from error

    async def ease(self, name: str) -> None:
        """End a lasting fault."""
        await self._machines.end(self._uuid, name)

    async def close(self) -> None:
        """End all lasting faults."""
        await self._machines.close()
