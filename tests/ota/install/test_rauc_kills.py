"""The updater with the rauc installer, killed before and after each write and each call to RAUC.

RAUC and the firmware are simulated here, so that every point is reached quickly; the real ones
are killed by `tools.kill_proof --installer rauc`. The steps before the installation do not depend on the
installer: tests/ota/test_updater.py kills them.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import ota.install.rauc
from ota.install.rauc import RaucInstaller, parse_record
from ota.install.rauc_bus import BundleInfo, Slot
from ota.order.states import State, Step
from ota.order.task import Task, save_task
from ota.trust.target import Target
from ota.updater import Updater, UpdaterSettings
from release.package_files import AddedTarget
from tests.ota.updater_rig import DEADLINE, Kills, NotedRestarts, Outbox, UpdaterRig, live_through
from wire.ota import InstallerKind, OtaEvent

OLD, NEW = "1.0.0", "1.1.0"


class Pi:
    """Simulates RAUC's bus and the firmware behind systemd/rauc/tryboot: two slots, a default, a try."""

    def __init__(self, kills: Kills) -> None:
        self.kills = kills
        self.versions = {"A": OLD, "B": ""}
        self.status = {"A": "ok", "B": ""}
        self.good = {"A": "good", "B": "good"}
        self.default = self.booted = "A"
        self.tried = ""
        self.boots = 1

    def boot(self, *, orderly: bool) -> None:
        self.booted = self.tried if orderly and self.tried else self.default
        self.tried = ""
        self.boots += 1

    async def slots(self) -> tuple[Slot, ...]:
        def slot(name: str) -> Slot:
            state = "booted" if name == self.booted else "inactive"
            good, status, version = self.good[name], self.status[name], self.versions[name]
            return Slot(name, name, state, good, status, version)

        return slot("A"), slot("B")

    async def info(self, _bundle: Path) -> BundleInfo:
        return BundleInfo("story-machine-test", NEW)

    async def wait_until_idle(self, _stop: threading.Event) -> None:
        """Do nothing: an installation ends at once."""

    async def install(
        self, _bundle: Path, _stop: threading.Event, percent: Callable[[int], None]
    ) -> None:
        slot = "B" if self.booted == "A" else "A"
        self.kills.point()
        self.status[slot], self.good[slot] = "pending", "bad"
        percent(50)
        self.kills.point()
        self.status[slot], self.versions[slot] = "ok", NEW
        self.kills.point()

    async def mark(self, state: str, slot: str) -> None:
        self.kills.point()
        self._mark(state, slot)
        self.kills.point()

    def _mark(self, state: str, slot: str) -> None:
        if state == "active":
            self.tried = "" if slot == self.default else slot
            self.good[slot] = "good"
        else:
            self.good[slot] = state
            if state == "good" and slot == self.booted:
                self.default = slot
            elif state == "bad" and slot != self.default:
                self.tried = ""


class RaucUpdaterRig(UpdaterRig):
    """A machine with RAUC; `power_cut`: a kill of the updater also switches the machine off and on."""

    def __init__(self, settings: UpdaterSettings, kills: Kills, *, power_cut: bool) -> None:
        super().__init__(settings, kills)
        self.power_cut = power_cut
        self.flash()

    def flash(self) -> None:
        shutil.rmtree(self.settings.state_dir, ignore_errors=True)
        self.pi, self.outbox = Pi(self.kills), Outbox(self.kills)
        self.died = self.died_on_trial = False
        self.restarts.clear()

    @property
    def on_trial(self) -> bool:
        path = self.settings.state_dir / "ota" / "rauc.json"
        return path.exists() and parse_record(path.read_bytes()).trial is not None

    def start(self) -> Updater:
        died = self.kills.at is not None and self.kills.seen > self.kills.at and not self.died
        if died:
            self.died, self.died_on_trial = True, self.on_trial
        if self.restarts.is_set() or (died and self.power_cut):
            self.pi.boot(orderly=not died)
        self.restarts.clear()
        self.running = self.pi.versions[self.pi.booted]
        state = self.settings.state_dir
        installer = RaucInstaller(state, self.running, boot_id=lambda: f"boot-{self.pi.boots}")
        restart = NotedRestarts(self.host, self.restarts)
        return Updater(self.settings, installer, self.outbox, restart, self.running)


@pytest.fixture(params=[False, True], ids=["agent killed", "power cut"])
def rig(
    request: pytest.FixtureRequest, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> RaucUpdaterRig:
    settings = UpdaterSettings(
        product="story-machine",
        repository=server.url,
        root_file=tmp_path / "root.json",
        state_dir=tmp_path / "state",
        confirm_timeout=DEADLINE,
        percent_interval=DEADLINE,
        installer=InstallerKind.RAUC,
    )
    kills = Kills()
    instance = RaucUpdaterRig(settings, kills, power_cut=request.param)
    monkeypatch.setattr("ota.order.record.save_task", kills.around(save_task))
    monkeypatch.setattr(RaucInstaller, "_store", kills.around(RaucInstaller._store))

    @contextlib.asynccontextmanager
    async def bus(_deadlines: Any, _address: Any) -> AsyncIterator[Pi]:
        yield instance.pi

    monkeypatch.setattr(ota.install.rauc, "rauc_bus", bus)
    return instance


@pytest.fixture
def task(added: AddedTarget, server: Any, helpers: Any) -> Task:
    """Store a checked order, whose package is to be downloaded."""
    target = Target(added.target, added.size, added.sha256, added.version, added.product)
    order = replace(helpers.order_for(added, server.url), old_version=OLD)
    return Task(order).at(Step.CHECK).at(Step.DOWNLOAD, target)


async def update(rig: RaucUpdaterRig, task: Task, prove: str, kill_at: int | None) -> int:
    """Carry out the update on a newly flashed machine; return how often it was killed."""
    rig.flash()
    save_task(rig.settings.state_dir, task)
    rig.kills.seen, rig.kills.at = 0, kill_at
    killed = await live_through(rig, b"", prove=prove)
    await start_again(rig)  # the kill may have been between the report and the restart
    while rig.restarts.is_set():
        await start_again(rig)
    rig.kills.at = None
    return killed


async def start_again(rig: RaucUpdaterRig) -> None:
    """Start an agent whose update has ended, and let it finish pending work."""
    await rig.start()._recover()


@pytest.mark.long
@pytest.mark.parametrize("prove", ["", "no link"], ids=["confirmed", "failed trial"])
@pytest.mark.timeout(240)
async def test_killed_at_each_write_and_call_it_ends_old_or_new_with_one_true_report(
    rig: RaucUpdaterRig, task: Task, prove: str
) -> None:
    await update(rig, task, prove, None)
    points = rig.kills.seen
    assert points > 30
    meant = State.FAILED if prove else State.SUCCESS
    ends = set()
    for point in range(points):
        killed = await update(rig, task, prove, point)
        where = f"killed at point {point} of {points}: {rig.task.failure}"
        assert killed == 1, where
        ends.add(rig.task.state)
        # A machine that loses power during a trial falls back; only this excuses a failure.
        assert rig.task.state is meant or (rig.power_cut and rig.died_on_trial), where
        await assert_at_rest(rig, where)
    assert meant in ends


async def assert_at_rest(rig: RaucUpdaterRig, where: str) -> None:
    """Check that the reported version runs, now and after a power cut, and that no try is pending."""
    succeeded = rig.task.state is State.SUCCESS
    event = OtaEvent.INSTALLED if succeeded else OtaEvent.IMAGE_INVALID
    runs = "B" if succeeded else "A"
    for _start in range(2):
        assert rig.running == (NEW if succeeded else OLD), where
        assert (rig.pi.default, rig.pi.booted, rig.pi.tried) == (runs, runs, ""), where
        assert rig.pi.good == {"A": "good", "B": "good" if succeeded else "bad"}, where
        assert not rig.on_trial, where
        assert [final["event"] for final in rig.outbox.finals()] == [event], where
        assert not rig.settings.download_dir.exists(), where
        rig.pi.boot(orderly=False)
        await start_again(rig)
