"""Work that the server repeats every few hours: old rows, repository signatures, the certificate."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from staging.data_dir import DataDir
from staging.errors import StagingError, StoreBusyError
from staging.gateway import tls
from staging.identity import ca
from staging.releases import tool
from staging.store import Database, apps, audit
from staging.times import now_ms

# TUF's timestamp is valid for days; four signatures a day leave room for failures.
UPKEEP_SECONDS = 6 * 3600.0

_log = logging.getLogger(__name__)


class Upkeep:
    """Repeats the work; a part that fails is logged and tried again next time."""

    def __init__(
        self,
        data: DataDir,
        database: Database,
        context: ssl.SSLContext,
        names: tuple[str, ...],
        renewed: Callable[[], None] = lambda: None,
    ) -> None:
        """Keep up these parts; ``context`` gets the renewed certificate, which has ``names``.

        ``renewed()`` is called when the certificate may be another one.
        """
        self._data = data
        self._database = database
        self._context = context
        self._names = names
        self._renewed = renewed

    async def run(self) -> None:
        """Purge at once; then again every `UPKEEP_SECONDS`, with the other work, until cancelled."""
        while True:
            await self._purge()
            await asyncio.sleep(UPKEEP_SECONDS)
            await asyncio.to_thread(prepare_repository, self._data)
            self._renew_certificate()

    async def _purge(self) -> None:
        try:
            await self._database.write(apps.purge, now_ms())
            await self._database.write(audit.purge, now_ms())
        except (StoreBusyError, SQLAlchemyError) as error:
            _log.warning("old nonces and audit entries were not purged: %s", error)

    def _renew_certificate(self) -> None:
        try:
            certificates = ca.ensure(self._data.ca, self._names)
            tls.load_certificates(self._context, certificates)
            self._renewed()
        except (StagingError, OSError) as error:
            _log.error("the gateway's certificate was not renewed: %s", error)


def prepare_repository(data: DataDir) -> None:
    """Create or refresh the update repository; without it everything but updates works."""
    try:
        tool.ensure_repository(data)
        tool.refresh(data)
    except StagingError as error:
        _log.error("update repository: %s", error)
