"""Cases that only PostgreSQL has: outages, passwords, a shared server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from staging.client import OpenApiClient, OpenApiError
from staging.errors import StagingError, StoreBusyError
from staging.store import Database, devices, outage
from tools.postgresql import SECURED, PostgresServer, postgresql

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
READ_THREADS = 4
STATEMENT_TIMEOUT_MS = 10_000


UUID = "01a800000072af"
COMMAND = (sys.executable, "-m", "staging.commands.cli")
PASSWORD = "correct-horse"
DEADLINE = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Run a server for this file, which is stopped and started, and whose commits survive that."""
    with postgresql(durable=True) as own:
        yield own


@pytest.fixture
async def store(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    monkeypatch.setattr(outage, "RETRY_SECONDS", 0.0)
    with server.connect() as connection:
        connection.execute("CREATE DATABASE cloud")
    with closing(Database(server.url("cloud"))) as opened:
        await opened.write(devices.add, UUID, 0)
        yield opened
    with server.connect() as connection:
        connection.execute("DROP DATABASE cloud WITH (FORCE)")


def break_connections(server: PostgresServer) -> None:
    with server.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'cloud'"
        )


async def test_a_restart_between_requests_is_not_noticed(
    store: Database, server: PostgresServer
) -> None:
    assert len(await store.read(devices.views)) == 1
    server.stop()
    server.start()
    assert len(await store.read(devices.views)) == 1
    await store.write(devices.add, None, 0)
    assert len(store.call(devices.views)) == 2


async def test_while_it_is_away_everything_is_busy_and_then_works(
    store: Database, server: PostgresServer
) -> None:
    server.stop(signal.SIGQUIT)
    for attempt in (
        lambda: store.read(devices.views),
        lambda: store.write(devices.add, None, 0),
        lambda: store.read(devices.views),
    ):
        with pytest.raises(StoreBusyError, match=r"postgresql://story@/cloud.*: "):
            await attempt()
    with pytest.raises(StoreBusyError):
        store.call(devices.views)
    server.start()
    assert len(await store.read(devices.views)) == 1
    await store.write(devices.add, None, 0)
    assert len(await store.read(devices.views)) == 2


async def test_a_connection_lost_in_the_middle_undoes_the_write(
    store: Database, server: PostgresServer
) -> None:
    def fail(session: Any) -> None:
        devices.add(session, None, 0)
        break_connections(server)
        devices.add(session, None, 0)

    with pytest.raises(StoreBusyError):
        await store.write(fail)
    assert len(await store.read(devices.views)) == 1
    await store.write(devices.add, None, 0)


async def test_a_read_that_lost_its_connection_is_done_again(
    store: Database, server: PostgresServer
) -> None:
    tries: list[int] = []

    def look(session: Any) -> int:
        tries.append(1)
        found = len(devices.views(session))
        if len(tries) == 1:
            break_connections(server)
            devices.views(session)
        return found

    assert await store.read(look) == 1
    assert len(tries) == 2


async def test_after_a_failed_connection_nobody_tries_for_a_while(
    store: Database, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "RETRY_SECONDS", 3600.0)
    server.stop()
    with pytest.raises(StoreBusyError, match="failed") as first:
        await store.read(devices.views)
    server.start()
    # Nothing was tried: it would have been done.
    with pytest.raises(StoreBusyError) as second:
        await store.write(devices.views)
    assert (str(second.value), second.value.zh) == (str(first.value), first.value.zh)


async def test_a_statement_that_does_not_end_is_ended(databases: Any) -> None:
    limit = text("SELECT setting FROM pg_settings WHERE name = 'statement_timeout'")
    with closing(Database(databases.shared())) as impatient:

        def sleep(session: Any) -> None:
            assert session.scalar(limit) == str(12 * STATEMENT_TIMEOUT_MS)  # `patient_stores`
            # Of this statement alone: the others may take their time on a busy machine.
            session.execute(text("SET LOCAL statement_timeout = 50"))
            session.execute(text("SELECT pg_sleep(300)"))

        with pytest.raises(StoreBusyError, match="statement timeout"):
            await impatient.read(sleep)
        with pytest.raises(StoreBusyError, match="statement timeout"):
            await impatient.write(sleep)
        assert await impatient.read(devices.views) == []


def test_connections_are_bounded(store: Database, server: PostgresServer) -> None:
    with server.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = 'cloud'"
        ).fetchone()
    assert row is not None
    assert 1 <= int(str(row[0])) <= READ_THREADS + 1
    assert store.shown.startswith("postgresql://story@/cloud?host=")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:correct-horse@host/name",
        "correct-horse",
        "postgresql://user:correct-horse@host:port/name",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_urls_of_no_use_are_named_without_their_password(url: str) -> None:
    with pytest.raises(StagingError, match=r"database: .*expected sqlite:////FILE") as caught:
        Database(url)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://{SECURED}:{PASSWORD}@/postgres",
        f"postgresql://{SECURED}@/postgres?password={PASSWORD}",
    ],
)
def test_a_wrong_password_is_one_line_without_it(server: PostgresServer, url: str) -> None:
    url = f"{url}{'&' if '?' in url else '?'}host={server.folder}"
    environment = {**os.environ, "STORY_CLOUD_DATABASE": url}
    for words in (("device", "list"), ("serve", "--api-port", "0", "--device-port", "0")):
        done = subprocess.run(
            (*COMMAND, *words, "--data", str(server.folder / "data-of-cloud")),
            capture_output=True, text=True, timeout=DEADLINE, check=False, env=environment,
        )  # fmt: skip
        assert done.returncode == 1
        assert "password authentication failed" in done.stderr
        assert "Traceback" not in done.stderr
        assert PASSWORD not in done.stderr + done.stdout


def wait_until_back(cloud: OpenApiClient, uuid: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        try:
            assert cloud.info(uuid)["uuid"] == uuid
        except OpenApiError as error:
            if error.http_status != 503:
                raise
            time.sleep(0.05)
        else:
            return
    pytest.fail("the cloud did not find its database again")


def test_server_and_commands_on_a_database_with_a_password(
    server: PostgresServer, tmp_path: Path
) -> None:
    with server.connect() as connection:
        connection.execute(f"CREATE ROLE {SECURED} LOGIN PASSWORD '{PASSWORD}'")
        connection.execute(f"CREATE DATABASE shared OWNER {SECURED}")
    url = f"postgresql://{SECURED}:{PASSWORD}@/shared?host={server.folder}"
    common = ("--data", str(tmp_path), "--database", url, "--json")

    def run(*words: str) -> dict[str, Any]:
        done = subprocess.run(
            (*COMMAND, *words, *common),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=True,
        )
        return dict(json.loads(done.stdout))

    process = subprocess.Popen(
        (*COMMAND, "serve", "--api-port", "0", "--device-port", "0", *common),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        api = json.loads(process.stdout.readline())["api"]
        device = run("device", "add")
        app = run("app", "add", "app", "--type", "web")
        token = run("token", "--app", str(app["appId"]), "--user", "tester")["access_token"]
        with OpenApiClient(api, app["apikey"], app["secret"], token) as cloud:
            cloud.bind(device["uuid"], device["bindToken"])
            server.stop()
            with pytest.raises(OpenApiError, match=r"no connection|failed|closed") as caught:
                cloud.info(device["uuid"])
            assert (caught.value.code, caught.value.http_status) == ("503", 503)
            server.start()
            wait_until_back(cloud, device["uuid"])
        assert run("device", "list")["devices"][0]["accountUuid"]
    finally:
        process.terminate()
        out, log = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    assert PASSWORD not in out + log
    assert not (tmp_path / "cloud.sqlite").exists()
