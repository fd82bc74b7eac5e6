"""Whom the MQTT link trusts and what a broker denies, with a real mosquitto: reason, phase, remedy, pace."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import agent.link.reconnect
import staging.broker.process
from agent.link import CloudBusyError, Link, LinkState, LostError
from agent.link.build import build_link
from agent.settings import LinkKind, LinkSettings
from base.clock import EARLIEST, TrustedTime
from staging.broker.process import Mosquitto
from staging.broker.settings import ACCESS
from tests.agent.parts import DEADLINE, TOKEN, UUID, make_profile, until
from tests.authority import HOUR, Authority
from tests.broker import MqttCloud, broker
from wire.codes import Code
from wire.exchange import Answer, Request

pytestmark = pytest.mark.usefixtures("no_blocking")

YEAR = 365 * 86400.0
# Seconds: what is slow waits at least half of it, what passes at most QUICK.
SLOW, QUICK = 3600.0, 1.0
WRITE, READ = "pattern write story/%u/up/#", "pattern read story/%u/down/#"


async def refuse(_request: Request) -> Answer:
    return Answer(Code.NOT_FOUND)


@asynccontextmanager
async def linked(
    made: Mosquitto, authority: Authority, clock: TrustedTime | None = None, **settings: Any
) -> AsyncIterator[Link]:
    """Run a link to a broker."""
    chosen: Mapping[str, Any] = {
        "kind": LinkKind.MQTT, "mqtt_port": made.listeners.port, "retry_max_seconds": QUICK,
        "refused_retry_seconds": SLOW, "connect_timeout_seconds": 10, **settings,
    }  # fmt: skip
    profile = make_profile(1, authority.pem)
    link = build_link(profile, LinkSettings(**chosen), refuse, clock or TrustedTime())
    task = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def behind(made: Mosquitto, authority: Authority) -> AsyncIterator[MqttCloud]:
    """Run a cloud behind a broker, which accepts everything."""
    cloud = MqttCloud(made, authority.client_context())
    await cloud.start()
    try:
        yield cloud
    finally:
        await cloud.stop()


async def told(link: Link) -> dict[str, Any]:
    """Return the status of a link that waits."""
    await until(lambda: link.status.state is LinkState.WAITING)
    return link.status.to_json()


def check(status: Mapping[str, Any], phase: str, error: str, remedy: str, *, slow: bool) -> None:
    assert (status["phase"], error in status["last_error"]) == (phase, True), status
    assert remedy in status["remedy"]
    assert TOKEN not in str(status)
    seconds = status["next_try_seconds"]
    assert (SLOW / 2 - 5 <= seconds <= SLOW) if slow else seconds <= QUICK


SERVER_ADDR, CLOCK = "serverAddr and rsaCaCrt", "set the machine's clock right"


@pytest.mark.parametrize(
    ("host", "start", "end", "error", "remedy"),
    [
        ("127.0.0.1", -HOUR, -HOUR / 2, "certificate has expired", CLOCK),
        ("127.0.0.1", HOUR / 2, HOUR, "certificate is not yet valid", CLOCK),
        ("127.0.0.2", -HOUR, HOUR, "not valid for '127.0.0.1'", SERVER_ADDR),
        ("other.example", -HOUR, HOUR, "not valid for '127.0.0.1'", SERVER_ADDR),
    ],
)
async def test_a_broker_that_is_not_the_profiles(
    authority: Authority, tmp_path: Path, host: str, start: dt.timedelta, end: dt.timedelta,
    error: str, remedy: str,
) -> None:  # fmt: skip
    leaf = authority.leaf(host, start=start, end=end)
    async with (
        broker(tmp_path, authority, {UUID: TOKEN}, leaf) as made,
        linked(made, authority) as link,
    ):
        check(await told(link), "tls", error, remedy, slow=True)


async def test_a_broker_of_another_ca(authority: Authority, tmp_path: Path) -> None:
    other = Authority()
    async with (
        broker(tmp_path, other, {UUID: TOKEN}) as made,
        linked(made, authority) as link,
    ):
        check(await told(link), "tls", "certificate is refused", SERVER_ADDR, slow=True)


async def test_a_machine_that_wakes_in_1970_registers(authority: Authority, tmp_path: Path) -> None:
    async with (
        broker(tmp_path, authority, {UUID: TOKEN}) as made,
        behind(made, authority),
        linked(made, authority, TrustedTime(wall=lambda: 0.0)) as link,
    ):
        await until(link.registered.is_set)


async def test_a_certificate_that_the_floor_outlived_is_refused_at_any_clock(
    authority: Authority, tmp_path: Path
) -> None:
    clock = TrustedTime(wall=lambda: 0.0)
    clock.note_cloud(EARLIEST + 25 * YEAR)
    async with (
        broker(tmp_path, authority, {UUID: TOKEN}) as made,
        linked(made, authority, clock) as link,
    ):
        check(await told(link), "tls", "certificate has expired", CLOCK, slow=True)


async def test_the_wait_ends_when_the_clock_is_set(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = [7200.0]

    class Wrong(TrustedTime):
        def certificate_time(self) -> float:
            return time.time() + wrong[0]

    monkeypatch.setattr(agent.link.reconnect, "CLOCK_POLL_SECONDS", 0.01)
    monkeypatch.setattr(agent.link.reconnect, "wall_clock", lambda: time.time() + wrong[0])
    async with (
        broker(tmp_path, authority, {UUID: TOKEN}) as made,
        behind(made, authority),
        linked(made, authority, Wrong()) as link,
    ):
        check(await told(link), "tls", "certificate has expired", CLOCK, slow=True)
        wrong[0] = 0.0
        await until(link.registered.is_set)


async def test_a_renewed_certificate_is_taken_at_the_next_try_and_ends_no_connection(
    authority: Authority, tmp_path: Path
) -> None:
    async with (
        broker(tmp_path, authority, {UUID: TOKEN}) as made,
        behind(made, authority),
        linked(made, authority) as link,
    ):
        await until(link.registered.is_set)
        authority.leaf().private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
        (tmp_path / "server.key").write_bytes((tmp_path / "server.pem").read_bytes())
        made.reload()
        await link.report({"volume": 1})
        assert link.status.tries == 1
        link._session._connection.abort("the network is gone")  # type: ignore[attr-defined]
        await until(lambda: link.status.tries == 2 and link.registered.is_set())


# What the broker's access list denies, though it lets the device in.


@pytest.mark.parametrize(
    ("rules", "error", "remedy", "slow"),
    [
        ([READ], "Not authorized (135)", "write below story/{uuid}/up", True),
        (["pattern write story/%u/up/register", READ], "(135)", "access list", True),
        ([WRITE], "did not answer in time", "read below story/{uuid}/down", False),
    ],
    ids=["nothing may be written", "its state may not be written", "nothing may be read"],
)
async def test_a_registration_that_the_broker_denies(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: list[str],
    error: str, remedy: str, *, slow: bool,
) -> None:  # fmt: skip
    for_devices = [line for line in ACCESS.splitlines() if not line.startswith("pattern")]
    monkeypatch.setattr(staging.broker.process, "ACCESS", "\n".join([*for_devices, *rules]) + "\n")
    timeout = 10.0 if slow else 0.3
    async with (
        broker(tmp_path, authority, {UUID: TOKEN}) as made,
        behind(made, authority),
        linked(made, authority, connect_timeout_seconds=timeout) as link,
    ):
        check(await told(link), "register", error, remedy, slow=slow)


async def test_without_a_cloud_behind_the_broker(authority: Authority, tmp_path: Path) -> None:
    async with (
        broker(tmp_path, authority, {UUID: TOKEN}) as made,
        linked(made, authority) as link,
    ):
        await until(lambda: link.status.last_error)
        assert "no cloud listens at the broker" in link.status.last_error


async def test_reports_that_the_broker_denies_are_kept_and_shown_until_they_pass(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        broker(tmp_path, authority, {UUID: TOKEN}) as made,
        behind(made, authority) as cloud,
        linked(made, authority) as link,
    ):
        await until(link.registered.is_set)

        async def allow(rules: str, outcome: type[Exception] | None) -> None:
            """Give the broker an access list, and report until that shows."""
            (made._folder / "acl").write_text(rules)
            made.reload()
            async with asyncio.timeout(DEADLINE):
                while True:
                    found: type[Exception] | None = None
                    try:
                        await link.report({"volume": 5})
                    except (CloudBusyError, LostError) as error:
                        found = type(error)
                    if found is outcome:
                        return

        await allow(ACCESS.replace(WRITE, ""), CloudBusyError)
        assert "the broker denies reports, which are kept" in link.status.warning
        assert "access list" in link.status.warning
        assert caplog.text.count("reports are kept") == 1
        await allow(ACCESS, None)
        assert link.status.warning == ""
        assert {"volume": 5} in cloud.reports
