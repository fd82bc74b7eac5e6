"""The server's upkeep: the first purge is at once, and a failure does not end it."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from staging import upkeep
from staging.data_dir import DataDir
from staging.errors import StagingError
from staging.gateway import tls
from staging.identity import ca
from staging.releases import tool
from staging.store import Database, apps
from staging.store.apps import TOKEN_LIFETIME_S, AppType, Nonce
from staging.store.models import UsedNonce

pytestmark = pytest.mark.one_database


class Work:
    """Notes what the upkeep does beside the purge; `run` ends it after a number of rounds."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.done: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

        def renewed() -> None:
            self.done.append("broker")

        self._upkeep = upkeep.Upkeep(DataDir(folder), database, context, ("127.0.0.1",), renewed)
        self._rounds = asyncio.Semaphore(0)

    def fake(self, what: str) -> Callable[..., str]:
        def run(*_given: object) -> str:
            self.done.append(what)
            return what

        return run

    def end_of_round(self, *_given: object) -> None:
        """Take the place of the last step, which runs in the event loop."""
        self.done.append("load")
        self._rounds.release()

    async def run(self, rounds: int) -> None:
        task = asyncio.create_task(self._upkeep.run())
        async with asyncio.timeout(30):
            for _ in range(rounds):
                await self._rounds.acquire()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.fixture
async def work(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    made = Work(database, tmp_path)
    monkeypatch.setattr(upkeep, "UPKEEP_SECONDS", 0)
    monkeypatch.setattr(tool, "ensure_repository", made.fake("ensure"))
    monkeypatch.setattr(tool, "refresh", made.fake("refresh"))
    monkeypatch.setattr(ca, "ensure", made.fake("certificate"))
    monkeypatch.setattr(tls, "load_certificates", made.end_of_round)
    return made


async def test_old_nonces_go_and_the_rest_is_renewed(
    work: Work, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = database.call(apps.add_app, "a", AppType.WEB, None, 0)
    database.call(apps.remember_nonces, [Nonce(app.id, "old", 0)])
    monkeypatch.setattr(upkeep, "now_ms", lambda: TOKEN_LIFETIME_S * 1000 + 1)
    await work.run(2)
    assert work.done[:5] == ["ensure", "refresh", "certificate", "load", "broker"]

    def left(session: Any) -> list[str]:
        return list(session.scalars(select(UsedNonce.nonce)))

    assert database.call(left) == []


async def test_a_failure_is_logged_and_the_work_goes_on(
    work: Work, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = iter([StagingError("no key"), StagingError("no CA")])

    def fail(*_given: object) -> str:
        error = next(failures, None)
        if error is not None:
            raise error
        return "certificate"

    monkeypatch.setattr(tool, "refresh", fail)
    monkeypatch.setattr(ca, "ensure", fail)
    caplog.set_level(logging.ERROR)
    await work.run(1)
    assert "update repository: no key" in caplog.text
    assert "the gateway's certificate was not renewed: no CA" in caplog.text
