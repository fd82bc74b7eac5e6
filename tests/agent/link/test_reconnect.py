"""The loop that every kind of link shares, with a scripted kind: states, waits, what is logged."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import pytest

import agent.link.reconnect
from agent.link import (
    CloudBusyError,
    ConnectError,
    LinkError,
    LinkState,
    LostError,
    OutOfDateError,
    RegisterError,
    RegistrationRefusedError,
    ResolveError,
    TlsError,
    UntrustedError,
)
from agent.link.reconnect import ReconnectingLink
from agent.settings import LinkSettings
from tests.agent.parts import DEADLINE, until

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
TRIAL_SECONDS = 5.0

pytestmark = pytest.mark.usefixtures("no_blocking")

QUICK = LinkSettings(retry_max_seconds=0.02, refused_retry_seconds=3600)


class ScriptedSession:
    """A session that ends when the test says why."""

    def __init__(self) -> None:
        self.end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.reports: list[Mapping[str, object]] = []
        self.payloads: list[bytes] = []
        self.is_open = True
        self.cloud_abilities = frozenset({"number"})
        self.warning = "another machine"

    async def report(self, data: Mapping[str, object]) -> None:
        self.reports.append(data)

    async def send(self, payload: bytes) -> bytes:
        self.payloads.append(payload)
        return b"answer"

    async def run(self) -> str:
        return await self.end


class ScriptedConnector:
    """Raises the given errors, one a try, and connects after the last."""

    server = "scripted:1"

    def __init__(self, *errors: LinkError) -> None:
        self.errors = list(errors)
        self.sessions: list[ScriptedSession] = []

    @contextlib.asynccontextmanager
    async def connect(self, enter: Callable[[LinkState], None]) -> AsyncIterator[ScriptedSession]:
        enter(LinkState.REGISTERING)
        if self.errors:
            raise self.errors.pop(0)
        session = ScriptedSession()
        self.sessions.append(session)
        try:
            yield session
        finally:
            session.is_open = False


Run = Callable[..., Awaitable[ReconnectingLink]]


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    """Run a link in the background; it is cancelled when the test ends."""
    tasks: list[asyncio.Task[None]] = []

    async def start(
        connector: ScriptedConnector, settings: LinkSettings = QUICK, secrets: tuple[str, ...] = ()
    ) -> ReconnectingLink:
        link = ReconnectingLink(connector, settings, secrets)
        tasks.append(asyncio.create_task(link.run()))
        await asyncio.sleep(0)
        return link

    yield start
    for task in tasks:
        task.cancel()
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_reports_go_to_the_session_and_to_none_after_its_end(run: Run) -> None:
    connector = ScriptedConnector()
    link = await run(connector, LinkSettings(retry_max_seconds=3600))
    await link.registered.wait()
    assert link.status.to_json()["state"] == "online"
    assert not link.ended.is_set()
    await link.report({"volume": 1})
    assert await link.send(b"{}") == b"answer"
    session = connector.sessions[0]
    assert session.reports == [{"volume": 1}]
    assert link.cloud_abilities == {"number"}
    assert link.status.to_json()["warning"] == "another machine"
    session.end.set_result("closed by the other side")
    await until(lambda: link.status.state is LinkState.WAITING)
    assert (link.registered.is_set(), session.is_open) == (False, False)
    assert link.ended.is_set()  # whoever waits with reports goes on with the next link
    assert link.cloud_abilities == frozenset()
    assert link.status.to_json()["warning"] is None
    assert link.status.last_error == "closed by the other side"
    with pytest.raises(LostError, match="the link to the cloud is down"):
        await link.report({"volume": 2})


async def test_before_the_first_connection_a_report_is_lost() -> None:
    link = ReconnectingLink(ScriptedConnector(), QUICK, ())
    assert link.status.to_json()["state"] == "stopped"
    assert link.ended.is_set()
    with pytest.raises(LostError):
        await link.report({"volume": 1})


@pytest.mark.parametrize(
    ("kind", "slow"),
    [
        (ResolveError, False), (ConnectError, False), (TlsError, False), (UntrustedError, True), (RegisterError, False),
        (RegistrationRefusedError, True), (LostError, False), (CloudBusyError, False),
    ],
)  # fmt: skip
async def test_the_error_decides_how_long_to_wait(
    run: Run, kind: type[LinkError], *, slow: bool
) -> None:
    settings = LinkSettings(retry_max_seconds=60, refused_retry_seconds=3600)
    link = await run(ScriptedConnector(kind("why")), settings)
    await until(lambda: link.status.state is LinkState.WAITING)
    status = link.status.to_json()
    assert status["last_error"] == "why"
    seconds = status["next_try_seconds"]
    assert isinstance(seconds, float)
    assert seconds > 1000 if slow else seconds <= 0.5


async def test_an_error_without_words_still_has_a_reason_a_phase_and_a_remedy(run: Run) -> None:
    link = await run(ScriptedConnector(TlsError("")), LinkSettings())
    await until(lambda: link.status.state is LinkState.WAITING)
    status = link.status.to_json()
    assert (status["last_error"], status["phase"]) == ("TlsError", "tls")
    assert status["remedy"] == TlsError.remedy


async def test_while_a_version_is_on_trial_no_wait_is_long() -> None:
    link = ReconnectingLink(
        ScriptedConnector(UntrustedError("why")), LinkSettings(), (), lambda: True
    )
    task = asyncio.create_task(link.run())
    await until(lambda: link.status.state is LinkState.WAITING)
    assert link.status.next_try is not None
    assert link.status.next_try - time.monotonic() <= TRIAL_SECONDS
    task.cancel()
    await asyncio.wait([task])


async def test_a_certificate_out_of_date_is_tried_again_when_the_clock_is_set(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift = [0.0]
    monkeypatch.setattr(agent.link.reconnect, "CLOCK_POLL_SECONDS", 0.01)
    monkeypatch.setattr(agent.link.reconnect, "wall_clock", lambda: time.monotonic() + shift[0])
    link = await run(ScriptedConnector(OutOfDateError("why")), LinkSettings())
    await until(lambda: link.status.state is LinkState.WAITING)
    shift[0] = 50 * 365 * 86400.0
    async with asyncio.timeout(DEADLINE):
        await link.registered.wait()


async def test_the_first_failure_is_news_its_repetitions_are_not(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "agent.link.reconnect")
    errors = [ConnectError("down"), ConnectError("down"), ConnectError("down"), LostError("gone")]
    link = await run(ScriptedConnector(*errors))
    await link.registered.wait()
    levels = [r.levelno for r in caplog.records if "next try" in r.getMessage()]
    assert levels == [logging.WARNING, logging.DEBUG, logging.DEBUG, logging.WARNING]
    assert link.status.tries == 5


async def test_a_secret_in_an_error_is_shown_nowhere(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    error = RegistrationRefusedError('4.01 "token s3cr3t"')
    link = await run(ScriptedConnector(error), secrets=("s3cr3t",))
    await until(lambda: link.status.state is LinkState.WAITING)
    assert link.status.last_error.startswith("4.01")
    assert "s3cr3t" not in str(link.status.to_json()) + caplog.text


async def test_a_link_that_is_stopped_closes_its_session_and_can_be_run_again() -> None:
    connector = ScriptedConnector()
    link = ReconnectingLink(connector, QUICK, ())
    for _ in range(2):
        task = asyncio.create_task(link.run())
        await link.registered.wait()
        task.cancel()
        await asyncio.wait([task])
        assert not link.registered.is_set()
        assert link.status.state is LinkState.STOPPED
    assert [session.is_open for session in connector.sessions] == [False, False]
