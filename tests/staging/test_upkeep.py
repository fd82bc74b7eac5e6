"""The server's upkeep: the first purge is at once, and a failure does not end it.

Tests staging.store.retention too.
"""

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
from staging.store import Database, apps, devices, history
from staging.store.apps import AppType, Nonce
from staging.store.fleet_models import FleetSample
from staging.store.history import HistoryPoint
from staging.store.models import OsVersion, Report, UsedNonce

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
TOKEN_LIFETIME_S = 5_184_000
STEP_ROWS = 500

pytestmark = pytest.mark.one_database


DAY_MS = 86_400_000
REPORT_DAYS = 100


class Work:
    """Notes what the upkeep does beside the purge; `run` ends it after a number of rounds."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.done: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

        def renewed() -> None:
            self.done.append("broker")

        self.data = DataDir(folder)
        self._database, self._context, self._renewed = database, context, renewed
        self._rounds = asyncio.Semaphore(0)

    def believe(self, monkeypatch: pytest.MonkeyPatch, now: int, noted: int | None = None) -> None:
        """Let the clock show ``now``, after it was believed at ``noted`` (the same, if None)."""
        upkeep.note_time(self.data, now if noted is None else noted)
        monkeypatch.setattr(upkeep, "now_ms", lambda: now)

    def fake(self, what: str) -> Callable[..., str]:
        def run(*_given: object) -> str:
            self.done.append(what)
            return what

        return run

    def end_of_round(self, *_given: object) -> None:
        """Take the place of the last step, which runs in the event loop."""
        self.done.append("load")
        self._rounds.release()

    def make(self) -> upkeep.Upkeep:
        names = ("127.0.0.1",)
        return upkeep.Upkeep(
            self.data, self._database, self._context, names, self._renewed, REPORT_DAYS
        )

    async def run(self, rounds: int) -> None:
        task = asyncio.create_task(self.make().run())
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


def sample(session: Any, now: int) -> None:
    session.add(FleetSample(ts=now, devices=1, online=1, updating=0))


async def test_old_nonces_go_and_the_rest_is_renewed(
    work: Work, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = database.call(apps.add_app, "a", AppType.WEB, None, 0)
    database.call(apps.remember_nonces, [Nonce(app.id, "old", 0)])
    database.call(sample, 0)
    work.believe(monkeypatch, TOKEN_LIFETIME_S * 1000 + 1)
    await work.run(2)
    assert work.done[:5] == ["ensure", "refresh", "certificate", "load", "broker"]

    def left(session: Any) -> list[str]:
        return list(session.scalars(select(UsedNonce.nonce)))

    assert database.call(left) == []
    assert database.call(lambda session: session.query(FleetSample).count()) == 0


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
    assert "a certificate was not renewed, the one in use stays: no CA" in caplog.text


async def test_a_clock_that_is_nine_years_ahead_deletes_nothing(
    work: Work, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_790_000_000_000
    app = database.call(apps.add_app, "a", AppType.WEB, None, now)
    database.call(apps.issue_token, app.id, "tester", now)
    database.call(apps.remember_nonces, [Nonce(app.id, "used", now)])
    database.call(sample, now)
    work.believe(monkeypatch, now + 9 * 365 * DAY_MS, noted=now)
    await work.run(2)
    assert database.call(lambda session: session.query(UsedNonce).count()) == 1
    assert database.call(lambda session: session.query(FleetSample).count()) == 1
    assert upkeep.read_noted(work.data) == now


async def test_old_reports_go_and_the_present_state_stays(
    work: Work, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_790_000_000_000

    def fill(session: Any) -> None:
        device = devices.add(session, None, now)
        many = [HistoryPoint("power", n) for n in range(STEP_ROWS + 3)]
        history.append(session, device, many, now - 400 * DAY_MS)
        for days, key in (
            (300, "only once"),
            (300, "voice_control"),
            (150, "power"),
            (50, "power"),
        ):
            history.append(session, device, [HistoryPoint(key, days)], now - days * DAY_MS)
        session.add(OsVersion(product_id=device.product_id, version="9.9"))

    database.call(fill)
    monkeypatch.setattr(upkeep, "STEP_SECONDS", 0)
    work.believe(monkeypatch, now)
    await work.run(1)

    def left(session: Any) -> list[Any]:
        return list(session.execute(select(Report.key, Report.ts).order_by(Report.ts)).all())

    kept = [(key, round((now - ts) / DAY_MS)) for key, ts in database.call(left)]
    assert kept == [("only once", 300), ("voice_control", 300), ("power", 50)]
    assert database.call(lambda session: session.query(OsVersion.version).all()) == [("0.0.0.0",)]
