"""What the command ``story-cloud wire`` and the page ask of the wire log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from staging.store import Database
from staging.wirelog.log import LOOK_SECONDS, ON_SECONDS_MAX, Entry, WireLog
from staging.wirelog.secrets import secrets_of
from wire.fields import get_int, get_string

# Bytes of hex and text in one answer of the command socket, which has more around it.
ANSWER_BYTES = 128 * 1024

Work = Callable[[Mapping[str, object]], Awaitable[Mapping[str, object]]]


class WireWorks:
    """Reads and switches the wire log."""

    def __init__(self, log: WireLog, database: Database) -> None:
        """Use ``log``; ``database`` has the devices' secrets."""
        self._log = log
        self._database = database

    @property
    def reads(self) -> Mapping[str, Work]:
        """Those that are not worth an entry of the audit log each: a look that follows asks every second."""
        return {"wirelog.read": self._read}

    @property
    def changes(self) -> Mapping[str, Work]:
        """Those that are: whose frames are kept."""
        return {"wirelog.on": self._on, "wirelog.off": self._off}

    async def look(self, uuid: str, after: int, *, seconds: float = LOOK_SECONDS) -> dict[str, Any]:
        """Return a device's entries behind the number ``after``, and keep it watched for ``seconds``.

        Raises:
            NotFoundError: there is no such device.
            StagingError: too many devices are watched.
        """
        secrets = await self._database.read(secrets_of, uuid)
        self._log.watch(uuid, secrets, seconds)
        shown = first_of(self._log.entries(uuid, after))
        return {
            "uuid": uuid,
            "entries": shown,
            "left": self._log.left(uuid),
            "dropped": self._log.dropped(uuid),
        }

    async def _read(self, wanted: Mapping[str, object]) -> Mapping[str, object]:
        after = get_int(wanted, "after") if "after" in wanted else 0
        return await self.look(get_string(wanted, "uuid").lower(), after)

    async def _on(self, wanted: Mapping[str, object]) -> Mapping[str, object]:
        seconds = get_int(wanted, "seconds", low=1, high=ON_SECONDS_MAX)
        found = await self.look(get_string(wanted, "uuid").lower(), 0, seconds=float(seconds))
        return {"uuid": found["uuid"], "left": found["left"], "shown": f"seconds={seconds}"}

    async def _off(self, wanted: Mapping[str, object]) -> Mapping[str, object]:
        uuid = get_string(wanted, "uuid").lower()
        await self._database.read(secrets_of, uuid)
        self._log.unwatch(uuid)
        return {"uuid": uuid, "left": self._log.left(uuid), "shown": ""}


def first_of(entries: list[Entry], limit: int = ANSWER_BYTES) -> list[dict[str, object]]:
    """Return entries as JSON, the first ones that fit into ``limit`` bytes, at least one."""
    shown: list[dict[str, object]] = []
    for entry in entries:
        # Hex, and the same again as text, of which a character may be six (``\\u0000``).
        limit -= 400 + 2 * len(entry.data) + 2 * len(entry.data)
        if limit < 0 and shown:
            break
        shown.append(entry.to_json())
    return shown
