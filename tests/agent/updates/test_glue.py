"""Updates in the agent: their set-up and health checks; whole updates.

The last tests run the real cloud and the real agent, with a story on a real sound server.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx
import pytest

from agent.app import Agent
from agent.link.outbox import Outbox
from agent.settings import OtaSettings, Settings
from agent.updates.glue import Updates
from agent.updates.health import Health
from base.clock import TrustedTime
from ota.launch import boot
from ota.trial.log import trial_log_path
from tests.agent.memory_link import MemoryLink
from tests.agent.parts import make_profile
from tests.agent.updates.test_checks import program
from tests.authority import Authority
from tests.conftest import write_tone
from tests.moved_clock import on_moved_clock
from tests.resources.parts import Bench as PlayBench
from tools.bench import Bench
from tools.processes import command
from wire.codes import Code

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
LINE_MAX = 400

OLD, NEW = "1.0.0", "1.1.0"

UPDATE_SECONDS = 90.0


class Parts:
    """Updates of a machine with a scripted player."""

    def __init__(self, folder: Path, settings: Settings, play: Any = None, at: str = "") -> None:
        self.play = PlayBench(folder / "media", "a")
        wall = datetime.fromisoformat(f"2026-11-22T{at}").timestamp() if at else time.time()
        self.ends: list[bool] = []
        (folder / "ota").mkdir()
        self.outbox = Outbox(folder / "outbox.sqlite", 65536)
        self.outbox.emptied.set()
        self.updates = Updates(
            make_profile(1, ""), settings, folder, OLD,
            clock=TrustedTime(None, 0.0, wall=lambda: wall, ticks=lambda: 0.0, boot="b"),
            outbox=self.outbox, play=play or self.play.point, end=self._end,
        )  # fmt: skip

    def _end(self, *, restart: bool) -> None:
        self.ends.append(restart)


async def test_a_machine_without_its_card_takes_no_order_and_knows_of_no_end(
    tmp_path: Path,
) -> None:
    """An update may be on the card that is away: told as unknown it would be over for the cloud, and be done later."""
    updates = Parts(tmp_path, Settings()).updates
    updates.lost = "state folder /var/lib/story-agent: Input/output error"
    told = [await updates.take_order(b"{}"), await updates.cancel("77")]
    for answer in told:
        assert answer.code is Code.SERVICE_UNAVAILABLE
        assert answer.text.endswith(f": {updates.lost}")
    updates.lost = None
    assert (await updates.cancel("77")).code is Code.NOT_FOUND
    assert (await updates.take_order(b"{}")).code is Code.BAD_REQUEST


async def test_an_agent_whose_state_is_in_memory_says_so_to_its_updates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LinkError(Exception):
        """As far as the start is looked at."""

    monkeypatch.setattr("agent.app.build_link", Mock(side_effect=LinkError))
    agent = Agent(make_profile(1, ""), Settings(), tmp_path, OLD, "the card is away")
    with pytest.raises(LinkError):
        await agent._start()
    assert agent._updates.lost == "the card is away"


class Asked(Agent):
    """An agent that serves its socket for one request: a cancellation, as ``story-agent update cancel`` makes it."""

    async def _work(self, bound: socket.socket) -> None:
        server = self._make_local_server()
        bound.listen()
        serving = asyncio.create_task(server.serve([bound]))
        transport = httpx.AsyncHTTPTransport(uds=bound.getsockname())
        async with httpx.AsyncClient(transport=transport, base_url="http://agent") as http:
            self.answer = await http.delete("/newfirmware?transaction=77", timeout=60.0)
        server.stop()
        await serving


@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        (None, 404, "there is no update 77"),
        ("the card is away", 503, "what is known of updates is not there: the card is away"),
    ],
)
async def test_a_cancellation_on_the_machine_is_answered_as_the_cloud_s(
    tmp_path: Path, authority: Authority, fault: str | None, status: int, told: str
) -> None:
    agent = Asked(make_profile(1, authority.pem), Settings(), tmp_path, OLD, fault)
    await agent._outbox.open()
    try:
        await agent._start()
    finally:
        await agent._outbox.close()
    assert (agent.answer.status_code, agent.answer.text.strip()) == (status, told)


WINDOW = Settings(ota=OtaSettings(window="22:00-05:00"))


@pytest.mark.parametrize(
    ("settings", "at", "why"),
    [
        (Settings(), "12:00", None), (WINDOW, "23:30", None), (WINDOW, "04:59", None),
        (WINDOW, "05:00", "outside of the window from 22:00 to 05:00"),
    ],
)  # fmt: skip
def test_the_window_is_local_time(
    tmp_path: Path, settings: Settings, at: str, why: str | None
) -> None:
    assert Parts(tmp_path, settings, at=at).updates.restarter.find_reason_to_wait() == why


async def test_what_is_logged_after_the_trial_is_not_of_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot.store(tmp_path, boot.BootRecord(OLD, None, boot.Trial(OLD, 1, "77")))
    parts = Parts(tmp_path, Settings())
    monkeypatch.setattr("agent.updates.glue.build_health", lambda *_parts: Health([]))
    logging.getLogger().error("while on trial")
    assert "while on trial" in trial_log_path(tmp_path).read_text()
    await parts.outbox.open()
    await parts.updates.confirm_when_healthy(MemoryLink(is_up=False))
    logging.getLogger().error("the next update begins")
    await parts.outbox.close()
    assert not parts.updates.updater.on_trial
    assert not trial_log_path(tmp_path).exists()


@on_moved_clock
async def test_a_version_that_nothing_proves_is_given_up_after_120_s(tmp_path: Path) -> None:
    """docs/ota.md; no setting is made."""
    boot.store(tmp_path, boot.BootRecord(OLD, None, boot.Trial(OLD, 1, "77")))
    parts = Parts(tmp_path, Settings())
    await parts.outbox.open()
    running = asyncio.create_task(parts.updates.updater.run())
    await asyncio.sleep(119.4)
    assert boot.load(tmp_path).trial is not None
    await asyncio.sleep(1.2)
    assert boot.load(tmp_path).trial is None
    running.cancel()
    await asyncio.wait([running])
    await parts.outbox.close()


async def test_what_waits_for_the_cloud_waits_for_its_registration(tmp_path: Path) -> None:
    parts, link = Parts(tmp_path, Settings()), MemoryLink(is_up=False)
    proving = asyncio.create_task(parts.updates.confirm_when_healthy(link))
    hooks = parts.updates.updater._hooks
    reached = asyncio.ensure_future(hooks.reached_cloud())
    await asyncio.sleep(0)
    assert (reached.done(), hooks.all_told()) == (False, True)
    link.registered.set()
    await asyncio.wait([proving, reached])
    parts.outbox.emptied.clear()
    assert (hooks.all_told(), hooks.lacks_cloud_only()) == (False, False)


@pytest.mark.parametrize(
    ("failed", "at_once"),
    [
        (set(), True),
        ({"resolve"}, True),  # the machine's own Wi-Fi may come up later than its agent
        ({"connect"}, False),
        ({"resolve", "tls"}, False),
        ({"register"}, False),
        ({"serve"}, False),  # the cloud was busy
    ],
)
async def test_what_a_version_sees_of_an_outage_before_it_registers(
    tmp_path: Path, failed: set[str], *, at_once: bool
) -> None:
    parts, link = Parts(tmp_path, Settings()), MemoryLink()
    link.status.failed |= failed
    await parts.updates.confirm_when_healthy(link)
    assert await parts.updates.updater._hooks.reached_cloud() is at_once


async def test_a_trial_that_lacks_the_cloud_says_what_the_link_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot.store(tmp_path, boot.BootRecord(OLD, None, boot.Trial(OLD, 1, "77")))
    parts, link = Parts(tmp_path, Settings()), MemoryLink(is_up=False)
    health = Health([("registration", asyncio.Event().wait)])  # type: ignore[list-item]  # never returns
    monkeypatch.setattr("agent.updates.glue.build_health", lambda *_parts: health)
    proving = asyncio.create_task(parts.updates.confirm_when_healthy(link))
    await asyncio.sleep(0)
    missing = parts.updates.updater._hooks.missing_checks
    assert missing() == "registration: not known yet"
    link.status.last_error = "cannot connect: Connection refused"
    assert missing() == "registration: cannot connect: Connection refused"
    proving.cancel()
    await asyncio.wait([proving])


async def test_a_secret_at_the_end_of_what_a_line_may_have_is_cut_out_whole(tmp_path: Path) -> None:
    parts = Parts(tmp_path, Settings())
    token = make_profile(1, "").token
    path = trial_log_path(tmp_path)
    path.write_text("x" * (LINE_MAX - len(token) // 2) + token + "\n")  # for example a traceback
    (line,) = parts.updates.updater._hooks.log_lines()
    assert line.endswith("x[secret]"[: len(token) // 2])
    assert token[:4] not in line


async def test_who_stops_the_agent_does_not_see_it_come_back_for_an_update(tmp_path: Path) -> None:
    made = Agent(make_profile(1, ""), Settings(), tmp_path, OLD)
    made._ended.set()  # as SIGTERM does
    made._end_for_update(restart=True)
    assert not made.restart_wanted


class Cloud:
    """A real cloud with a release."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder)
        self.bench.start_cloud(0, 0)
        self.client = self.bench.client()
        package = folder / f"{NEW}.tar.gz"
        command("story-release", "build", "--version", NEW, "--output", package)
        self.bench.story_cloud("release", "add", package, "--version", NEW)
        words = ("strategy", "add", "--version", NEW, "--type", "passive", "--from", OLD)
        strategy = self.bench.story_cloud(*words)
        self.bench.story_cloud("strategy", "publish", str(strategy["strategyId"]))


class OrderedAgent:
    """A real agent that gets an order for the release."""

    def __init__(self, cloud: Cloud, folder: Path, settings: str) -> None:
        self.client = cloud.client
        self.bench = Bench(folder)
        self.bench.cloud_data = cloud.bench.cloud_data
        self.bench.flash_device()
        (folder / "agent.toml").write_text(settings)
        write_tone(self.bench.state / "media" / "故事.wav", seconds=600)
        self.bench.start_agent()
        self.uuid = self.bench.device["uuid"]
        self.client.bind(self.uuid, self.bench.device["bindToken"])

    def order(self) -> None:
        # The cloud offers nothing before the device has reported its version.
        offer = self.until("offer", lambda: self.client.new_version(self.uuid))
        self.client.update(self.uuid, offer["packageId"], offer["strategyId"])

    def until(self, what: str, look: Callable[[], Any]) -> Any:
        assert self.bench.agent
        return self.bench.agent.wait_for(what, lambda: look() or None, UPDATE_SECONDS)

    def end(self) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            task = self.client.update_status(self.uuid)
            return task if task["status"] in {"SUCCESS", "FAILED"} else None

        return dict(self.until("end of the update", ended))

    def runs(self, version: str) -> bool:
        return self.bench.agent_status().get("version") == version

    def log(self) -> str:
        return (self.bench.folder / "agent.log").read_text()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    made = Cloud(tmp_path_factory.mktemp("cloud"))
    yield made
    made.bench.stop()


@pytest.fixture
def machine(
    cloud: Cloud, tmp_path: Path, pulse_server: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], OrderedAgent]]:
    monkeypatch.setenv("PULSE_SERVER", pulse_server)
    made: list[OrderedAgent] = []

    def make(settings: str) -> OrderedAgent:
        made.append(OrderedAgent(cloud, tmp_path, settings))
        return made[0]

    yield make
    for each in made:
        each.bench.stop()


@pytest.mark.timeout(240)  # real processes; includes creating the cloud for both tests
def test_an_update_waits_for_the_end_of_the_story_and_is_heard(
    machine: Callable[[str], OrderedAgent],
) -> None:
    one = machine('[health]\nsound = "device"\n')
    one.client.send(one.uuid, "PUT", "play", "故事")
    one.order()
    one.until("wait", lambda: "waits: a story is being played" in one.log())
    assert one.client.update_status(one.uuid)["status"] == "RUNNING"
    assert one.runs(OLD)
    one.client.send(one.uuid, "PUT", "play", "停止")
    assert one.end()["status"] == "SUCCESS"
    assert one.runs(NEW)
    assert one.log().index("passed: sound") < one.log().index("passed: checks")


@pytest.mark.timeout(240)
def test_a_new_version_that_fails_a_check_of_the_machine_is_rolled_back_with_the_reason(
    machine: Callable[[str], OrderedAgent], tmp_path: Path
) -> None:
    program(tmp_path / "checks", "10-lamp", "echo the lamp stays dark; exit 1")
    one = machine(
        "[ota]\nconfirm_timeout_seconds = 12\n"
        f'[health]\nsound = "off"\nchecks_folder = "{tmp_path}/checks"\n'
    )
    one.order()
    task = one.end()
    assert task["status"] == "FAILED"
    expected = "not proven within 12 s: checks: 10-lamp: exit code 1: the lamp stays dark"
    assert expected in str(task)
    one.until("old version", lambda: one.runs(OLD))
