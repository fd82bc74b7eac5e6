"""Whole updates with RAUC: the updater over any number of starts of one machine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from base.files import write_atomically
from ota.errors import MachineError
from ota.install.installer import Installer
from ota.install.rauc import (
    RaucRecord,
    parse_record,
)
from ota.order.recovery import NOT_RESTARTED
from ota.order.states import State, Step
from ota.order.task import Task
from ota.trial.given_up import FailedTrials, load_given_up
from ota.updater import Updater, UpdaterSettings
from tests.ota.install.rauc_rig import RaucRig, install, needs_rauc, prepared, target
from tests.ota.updater_rig import NotedRestarts, Surroundings
from wire.ota import OtaOrder

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
RESTARTS = 3


@needs_rauc
async def test_the_updater_with_rauc_from_order_to_restart_to_success(rauc_rig: RaucRig) -> None:
    """A whole update with this installer; only the signed entry is given directly."""
    agent = await Agent.at_switch(rauc_rig)
    await agent.run_to_restart()
    assert rauc_rig.boot("primary") == "B"
    rauc_rig.reboot()
    new = agent.updater("1.1.0")
    assert new.on_trial
    await new.confirm()
    assert new.status()["state"] == State.SUCCESS
    assert agent.finals == ["77"]


@pytest.mark.parametrize("left", [None, b"", b"\0" * 200])
@needs_rauc
async def test_a_version_whose_trial_is_lost_with_its_record_has_to_prove_itself(
    rauc_rig: RaucRig, left: bytes | None
) -> None:
    """If it counted as confirmed, the next restart would leave it, and SUCCESS would be false."""
    agent = await Agent.at_switch(rauc_rig)
    await agent.run_to_restart()
    rauc_rig.reboot()
    record = rauc_rig.state / "ota" / "rauc.json"
    record.unlink()
    if left is not None:
        record.write_bytes(left)
    calls = rauc_rig.root / "boot" / "calls"
    calls.unlink()
    new = agent.updater("1.1.0")
    assert new.on_trial
    await new.confirm()
    assert (new.status()["state"], agent.finals) == (State.SUCCESS, ["77"])
    assert "set-state B good" in calls.read_text().splitlines()
    assert parse_record(record.read_bytes()) == RaucRecord()


@needs_rauc
async def test_an_agent_killed_before_the_machine_restarted_restarts_it_again(
    rauc_rig: RaucRig,
) -> None:
    agent = await Agent.at_switch(rauc_rig)
    await agent.run_to_restart()
    await agent.run_to_restart()
    rauc_rig.reboot()
    new = agent.updater("1.1.0")
    assert new.on_trial
    await new.confirm()
    assert (new.status()["state"], agent.finals) == (State.SUCCESS, ["77"])


@needs_rauc
async def test_a_fall_back_while_rauc_is_not_up_yet_is_reported_when_it_is(
    rauc_rig: RaucRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: asyncio.Queue[str] = asyncio.Queue()
    monkeypatch.setattr("ota.updater.RETRY_SECONDS", 0.01)
    monkeypatch.setattr("ota.updater._log.error", lambda text, *_: said.put_nowait(text))
    agent = await Agent.at_switch(rauc_rig)
    await agent.run_to_restart()
    rauc_rig.reboot("A")
    rauc_rig.stop_service()
    old = agent.updater("1.0.0")
    ended = asyncio.create_task(run_until(old, agent.ended))
    async with asyncio.timeout(20):
        assert "cannot be continued" in await said.get()
    await asyncio.to_thread(rauc_rig.start_service)
    await ended
    assert (old.status()["state"], rauc_rig.boot("state.B")) == (State.FAILED, "bad")
    assert "started slot rootfs.0 again" in str(old.status()["failure"])
    assert [entry.times for entry in load_given_up(rauc_rig.state).packages] == [1]


@needs_rauc
async def test_a_machine_that_does_not_restart_is_given_up_for_that_reason(
    rauc_rig: RaucRig,
) -> None:
    agent = await Agent.at_switch(rauc_rig)
    for _ in range(RESTARTS):
        await agent.run_to_restart()
    old = agent.updater("1.0.0")
    await run_until(old, agent.ended)
    assert (old.status()["state"], rauc_rig.boot("primary")) == (State.FAILED, "A")
    assert NOT_RESTARTED in str(old.status()["failure"])
    assert load_given_up(rauc_rig.state) == FailedTrials()  # there was no trial
    assert rauc_rig.boot("state.B") == "bad"


@needs_rauc
async def test_a_confirmed_image_that_keeps_dying_is_left_and_the_older_one_says_so(
    rauc_rig: RaucRig,
) -> None:
    agent = await Agent.that_dies(rauc_rig)
    rauc_rig.reboot("B")  # a power cut: the boot loader tried the older one once, or not at all
    assert rauc_rig.installer("1.1.0").is_confirmed()
    assert not agent.updater("1.1.0").busy
    await asyncio.to_thread(rauc_rig.installer("1.1.0").leave, "it keeps dying", "1.0.0")
    rauc_rig.reboot()
    old = agent.updater("1.0.0")
    assert old.on_trial
    assert not rauc_rig.installer().is_confirmed()
    await old.confirm()
    assert (rauc_rig.boot("primary"), rauc_rig.boot("state.A")) == ("A", "good")
    assert rauc_rig.boot("state.B") == "bad"
    assert old.status()["left"] == "version 1.1.0 was left: it keeps dying"
    for _start in range(2):
        again = agent.updater("1.0.0")
        assert (again.on_trial, again.status()["left"]) == (False, old.status()["left"])
        await run_until(again, agent.looked)
    assert agent.finals == ["77"]  # the order's own end, once
    assert [entry.times for entry in load_given_up(rauc_rig.state).packages] == [1]
    with pytest.raises(MachineError, match=r"rootfs.1 holds nothing to go back to .*1.1.0, bad"):
        await asyncio.to_thread(rauc_rig.installer().leave, "it dies too", "")


@needs_rauc
async def test_the_older_one_is_kept_though_it_lacks_the_cloud(rauc_rig: RaucRig) -> None:
    """The other one does not even live: a router that is off must not bring it back."""
    agent = await Agent.that_dies(rauc_rig)
    rauc_rig.reboot()
    old = agent.updater("1.0.0", confirm_timeout=0.0)
    await run_until(old, agent.looked)
    assert not old.on_trial
    assert (rauc_rig.boot("primary"), rauc_rig.boot("state.B")) == ("A", "bad")
    assert agent.finals == ["77"]


class Agent:
    """Updaters on one rauc_rig, one after the other, and what they reported last."""

    def __init__(self, rauc_rig: RaucRig) -> None:
        self.rauc_rig = rauc_rig
        self.finals: list[str] = []
        self.ended = asyncio.Event()
        self.restarting = asyncio.Event()
        self.looked = asyncio.Event()

    @classmethod
    async def that_dies(cls, rauc_rig: RaucRig) -> Agent:
        """Update to a version that is confirmed, and left."""
        agent = await cls.at_switch(rauc_rig)
        await agent.run_to_restart()
        rauc_rig.reboot()
        await agent.updater("1.1.0").confirm()
        leave = rauc_rig.installer("1.1.0").leave
        assert await asyncio.to_thread(leave, "it keeps dying", "1.0.0") == "1.0.0"
        assert rauc_rig.boot("primary") == "A"
        return agent

    @classmethod
    async def at_switch(cls, rauc_rig: RaucRig) -> Agent:
        """Start at the point where the bundle is installed and the switch is next."""
        path = rauc_rig.bundle()
        order = OtaOrder("77", "1.1.0", "1.0.0", "http://h/x", path.stat().st_size, "0" * 32)
        task = Task(order).at(Step.CHECK).at(Step.SWITCH, target(path))
        write_atomically(prepared(rauc_rig.state), task.to_bytes())
        await asyncio.to_thread(install, rauc_rig, path)
        return cls(rauc_rig)

    def updater(self, running: str, *, confirm_timeout: float = 120.0) -> Updater:
        root = self.rauc_rig.root / "root.json"
        settings = UpdaterSettings(
            "p", "http://h", root, self.rauc_rig.state, confirm_timeout=confirm_timeout
        )
        installer: Installer = self.rauc_rig.installer(running)
        restarter = NotedRestarts(Surroundings(), self.restarting)
        return Updater(settings, installer, self._report, restarter, running)

    async def run_to_restart(self) -> None:
        self.restarting.clear()
        await run_until(self.updater("1.0.0"), self.restarting)

    async def _report(
        self, key: str, value: Mapping[str, object], *, once: str | None = None
    ) -> None:
        assert key
        assert value
        if once and once.endswith(":final"):
            self.finals.append(once.removesuffix(":final").partition(".")[0])
            self.ended.set()
        if once and once.endswith(":left"):
            self.looked.set()


async def run_until(updater: Updater, done: asyncio.Event) -> None:
    running = asyncio.create_task(updater.run())
    async with asyncio.timeout(20):
        await done.wait()
    running.cancel()
    await asyncio.wait([running])
