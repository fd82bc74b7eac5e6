"""RAUC over D-Bus: a real `rauc service` on a private bus, with two slots that are files.

The boot loader is a script that keeps its choice in a folder; a restart of the machine is a restart
of the service from the slot that the script would start. Bundles are of the plain format here:
verity needs device-mapper, which containers rarely have; the VM proof (tests/vm) uses it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from base.files import write_atomically
from ota.errors import ContentError, MachineError, StoppedError
from ota.install.installer import Installer, Standing
from ota.install.rauc import (
    RaucInstaller,
    RaucRecord,
    SlotTrial,
    find_pair,
    interpret,
    parse_record,
)
from ota.install.rauc_bus import (
    RaucBundleError,
    RaucDeadlines,
    RaucError,
    RaucRefusedError,
    Slot,
    parse_slots,
    rauc_bus,
    refusal_of,
)
from ota.launch.boot import Rollback, Trial
from ota.order.recovery import NOT_RESTARTED, RESTARTS, Action, recover
from ota.order.states import State, Step
from ota.order.task import Task
from ota.trial.given_up import load_history
from ota.trust.client import Target
from ota.updater import Updater, UpdaterSettings
from tests.authority import write_signer
from tests.ota.box import NotedRestarts, Surroundings
from wire.errors import WireError
from wire.ota import OtaOrder

needs_rauc = pytest.mark.skipif(
    not all(map(shutil.which, ("rauc", "dbus-daemon", "mksquashfs"))),
    reason="needs Debian's rauc, dbus and squashfs-tools",
)

IMAGE = bytes(range(256)) * 12_000
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={bus}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow own="*"/><allow user="*"/>
<allow receive_sender="*"/></policy>
</busconfig>"""
SYSTEM = """[system]
compatible=story-machine-test
bootloader=custom
activate-installed=false
statusfile={root}/status
mountprefix={root}/mnt
bundle-formats=plain verity
[handlers]
bootloader-custom-backend={root}/backend
[keyring]
path={root}/cert.pem
[slot.rootfs.0]
device={root}/a.img
type=raw
bootname=A
[slot.rootfs.1]
device={root}/b.img
type=raw
bootname=B
"""
BACKEND = """#!/bin/sh
cd {root}/boot || exit 1
echo "$*" >> calls
[ ! -e hang ] || sleep 20
[ ! -e broken ] || exit 1
case $1 in
get-primary) cat primary ;;
set-primary) echo "$2" > primary ;;
get-state) cat "state.$2" ;;
set-state) echo "$3" > "state.$2" ;;
get-current) cat current ;;
esac
"""


class Machine:
    """A machine with RAUC: its bus, its service, its boot loader's folder, and the agent's STATE."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "state"
        self.boots = 1
        self.address = f"unix:path={root}/bus"
        self.environment = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": self.address}
        self.service: subprocess.Popen[bytes] | None = None
        (root / "boot").mkdir()
        for name, text in {
            "primary": "A",
            "current": "A",
            "state.A": "good",
            "state.B": "good",
        }.items():
            (root / "boot" / name).write_text(text + "\n")
        for name in ("a.img", "b.img"):
            (root / name).write_bytes(bytes(len(IMAGE)))
        (root / "bus.conf").write_text(BUS.format(bus=root / "bus"))
        (root / "system.conf").write_text(SYSTEM.format(root=root))
        (root / "backend").write_text(BACKEND.format(root=root))
        (root / "backend").chmod(0o755)
        write_signer(root / "cert.pem", root / "cert.key")
        command = [
            "dbus-daemon",
            f"--config-file={root / 'bus.conf'}",
            "--nofork",
            "--print-address",
        ]
        self.daemon = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.daemon.stdout is not None
        self.daemon.stdout.readline()

    def start_service(self) -> None:
        slot = self.boot("current")
        command = [
            "rauc",
            "-c",
            f"{self.root}/system.conf",
            f"--override-boot-slot={slot}",
            "service",
        ]
        log = (self.root / "rauc.log").open("ab")
        self.service = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        log.close()
        ask = "dbus-send --system --print-reply --dest=org.freedesktop.DBus / "
        ask += "org.freedesktop.DBus.GetNameOwner string:de.pengutronix.rauc"
        for _ in range(200):
            done = subprocess.run(
                ask.split(), env=self.environment, capture_output=True, check=False
            )
            if done.returncode == 0:
                return
            time.sleep(0.02)
        pytest.fail("rauc service did not come up: " + (self.root / "rauc.log").read_text())

    def stop_service(self) -> None:
        if self.service is not None:
            self.service.kill()
            self.service.wait()

    def reboot(self, slot: str | None = None) -> None:
        """Restart in the slot that the boot loader chooses; ``slot``: the slot it fell back to."""
        self.stop_service()
        self.boots += 1
        (self.root / "boot" / "current").write_text((slot or self.boot("primary")) + "\n")
        self.start_service()

    def boot(self, name: str) -> str:
        return (self.root / "boot" / name).read_text().strip()

    @property
    def calls(self) -> list[str]:
        return (self.root / "boot" / "calls").read_text().splitlines()

    def bundle(self, version: str = "1.1.0", image: bytes = IMAGE, **changes: str) -> Path:
        folder = self.root / "content"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "rootfs.img").write_bytes(image)
        fields = {"compatible": "story-machine-test", "format": "plain", "cert": "cert"} | changes
        (folder / "manifest.raucm").write_text(
            f"[update]\ncompatible={fields['compatible']}\nversion={version}\n"
            f"[bundle]\nformat={fields['format']}\n[image.rootfs]\nfilename=rootfs.img\n"
        )
        path = self.root / f"{version}-{fields['cert']}-{fields['compatible']}.raucb"
        path.unlink(missing_ok=True)
        key = self.root / f"{fields['cert']}.key"
        cert = self.root / f"{fields['cert']}.pem"
        command = ["rauc", f"--cert={cert}", f"--key={key}", "bundle", str(folder), str(path)]
        subprocess.run(command, check=True, capture_output=True)
        return path

    def installer(self, running: str = "1.0.0", *, call: float = 10.0) -> RaucInstaller:
        return RaucInstaller(
            self.state,
            running,
            deadlines=RaucDeadlines(call=call, stall=20.0, install=40.0),
            address=self.address,
            boot_id=lambda: f"boot-{self.boots}",
        )

    def drop_mount(self, bundle: Path) -> None:
        """Remove the mount of a killed service, and the loop device below it."""
        subprocess.run(["umount", "-q", str(self.root / "mnt" / "bundle")], check=False)
        find = ["losetup", "--noheadings", "--output", "NAME", "--associated", str(bundle)]
        for name in subprocess.run(
            find, capture_output=True, text=True, check=False
        ).stdout.split():
            subprocess.run(["losetup", "--detach", name], check=False)

    def close(self) -> None:
        self.stop_service()
        self.daemon.kill()
        self.daemon.wait()
        assert self.daemon.stdout is not None
        self.daemon.stdout.close()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with contextlib.closing(Machine(tmp_path)) as instance:
        instance.start_service()
        yield instance


def target(path: Path, version: str = "1.1.0") -> Target:
    return Target(f"p/{version}.raucb", path.stat().st_size, "0" * 64, version, "p")


def install(machine: Machine, path: Path, version: str = "1.1.0") -> list[float]:
    seen: list[float] = []
    machine.installer().install(
        path,
        target(path, version),
        threading.Event(),
        lambda done, total: seen.append(done / total),
    )
    return seen


@needs_rauc
class TestRealService:
    def test_a_bundle_goes_into_the_other_slot_and_the_boot_loader_stays(
        self, machine: Machine
    ) -> None:
        seen = install(machine, machine.bundle())
        assert (machine.root / "b.img").read_bytes() == IMAGE
        assert not any((machine.root / "a.img").read_bytes())
        assert machine.boot("primary") == "A"
        assert seen == sorted(seen)
        assert (seen[0], seen[-1]) == (0.0, 1.0)
        assert len(set(seen)) > 3

    def test_the_running_image_is_the_booted_slots_device(self, machine: Machine) -> None:
        assert machine.installer().running_image() == machine.root / "a.img"
        machine.reboot("B")
        assert machine.installer().running_image() == machine.root / "b.img"

    def test_what_rauc_noted_of_the_slot_is_on_disk_before_anything_relies_on_it(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced: list[str] = []
        monkeypatch.setattr(
            os, "sync", lambda: synced.append((machine.root / "status").read_text())
        )
        install(machine, machine.bundle())
        assert "status=ok" in synced[-1]

    def test_a_whole_update_to_its_confirmation(self, machine: Machine) -> None:
        install(machine, machine.bundle())
        machine.installer().activate("1.1.0", "77")
        assert machine.boot("primary") == "B"
        machine.reboot()
        new = machine.installer("1.1.0")
        trial = new.standing().trial
        assert trial is not None
        assert (trial.version, trial.transaction) == ("1.1.0", "77")
        new.confirm()
        new.confirm()  # a repeat after a crash
        assert new.standing().trial is None
        assert new.standing().last_rollback is None
        assert machine.calls[-1] == "set-state B good"

    def test_a_failed_trial_goes_back_and_marks_the_slot_bad(self, machine: Machine) -> None:
        install(machine, machine.bundle())
        machine.installer().activate("1.1.0", "77")
        machine.reboot()
        machine.installer("1.1.0").roll_back("no chime")
        assert (machine.boot("primary"), machine.boot("state.B")) == ("A", "bad")
        machine.reboot()
        old = machine.installer()
        rollback = old.standing().last_rollback
        assert old.standing().trial is None
        assert rollback is not None
        assert (rollback.version, rollback.reason, rollback.transaction) == (
            "1.1.0",
            "no chime",
            "77",
        )

    def test_a_boot_loader_that_fell_back_is_seen_and_tidied(self, machine: Machine) -> None:
        install(machine, machine.bundle())
        machine.installer().activate("1.1.0", "77")
        assert (
            machine.installer().standing().last_rollback is None
        )  # the machine has not restarted yet
        machine.reboot("A")
        old = machine.installer()
        assert old.standing().trial is None
        rollback = old.standing().last_rollback
        assert rollback is not None
        assert rollback.reason == "the machine started slot rootfs.0 again, not rootfs.1"
        old.roll_back("as it says")
        assert (machine.boot("primary"), machine.boot("state.B")) == ("A", "bad")

    def test_the_next_update_after_a_confirmed_one_goes_the_other_way(
        self, machine: Machine
    ) -> None:
        install(machine, machine.bundle())
        machine.installer().activate("1.1.0", "77")
        machine.reboot()
        machine.installer("1.1.0").confirm()
        other = IMAGE[::-1]
        install(machine, machine.bundle("1.2.0", other), "1.2.0")
        assert (machine.root / "a.img").read_bytes() == other
        machine.installer("1.1.0").activate("1.2.0", "78")
        assert machine.boot("primary") == "A"

    def test_activating_again_after_a_crash_is_counted_within_one_boot(
        self, machine: Machine
    ) -> None:
        install(machine, machine.bundle())
        installer = machine.installer()
        assert installer.standing().restarts == 0
        for count in (1, 2):
            installer.activate("1.1.0", "77")
            assert installer.standing().restarts == count
        machine.reboot("A")
        assert machine.installer().standing().restarts == 0
        machine.reboot("B")
        assert machine.installer("1.1.0").standing().restarts == 0

    def test_a_slot_with_another_version_is_not_activated(self, machine: Machine) -> None:
        install(machine, machine.bundle())
        with pytest.raises(MachineError, match=r"rootfs.1 holds 1.1.0 \(ok\), expected 1.2.0"):
            machine.installer().activate("1.2.0", "77")
        assert machine.boot("primary") == "A"

    def test_a_bundle_signed_by_somebody_else_is_refused(self, machine: Machine) -> None:
        write_signer(machine.root / "stranger.pem", machine.root / "stranger.key")
        with pytest.raises(ContentError, match=r"refused by RAUC: .*signature verification failed"):
            install(machine, machine.bundle(cert="stranger"))
        assert not any((machine.root / "b.img").read_bytes())

    def test_a_bundle_for_another_machine_is_refused(self, machine: Machine) -> None:
        with pytest.raises(ContentError, match=r"refused by RAUC: .*[Cc]ompatible"):
            install(machine, machine.bundle(compatible="toaster"))

    def test_a_bundle_of_another_version_than_was_signed_is_refused(self, machine: Machine) -> None:
        with pytest.raises(ContentError, match=r"wrong release: the bundle holds 1.0.9, 1.1.0 was"):
            install(machine, machine.bundle("1.0.9"))

    def test_a_file_that_is_no_bundle_is_refused(self, machine: Machine) -> None:
        path = machine.root / "x.raucb"
        path.write_bytes(b"\0" * 100_000)
        with pytest.raises(ContentError, match="refused by RAUC"):
            install(machine, path)

    def test_an_image_larger_than_its_slot_leaves_the_old_one_bootable(
        self, machine: Machine
    ) -> None:
        (machine.root / "b.img").unlink()
        (machine.root / "b.img").symlink_to("/dev/full")
        with pytest.raises(MachineError, match="RAUC: "):
            install(machine, machine.bundle())
        assert (machine.boot("primary"), machine.boot("state.A")) == ("A", "good")
        assert machine.boot("state.B") == "bad"

    def test_a_boot_loader_script_that_fails_is_named(self, machine: Machine) -> None:
        install(machine, machine.bundle())
        (machine.root / "boot" / "broken").touch()
        with pytest.raises(MachineError, match="RAUC: "):
            machine.installer().activate("1.1.0", "77")

    def test_a_boot_loader_script_that_hangs_is_left(self, machine: Machine) -> None:
        install(machine, machine.bundle())
        (machine.root / "boot" / "hang").touch()
        with pytest.raises(MachineError, match=r"no answer in 0.3 s"):
            machine.installer(call=0.3).activate("1.1.0", "77")

    def test_no_service_is_said(self, machine: Machine) -> None:
        machine.stop_service()
        with pytest.raises(MachineError, match=r"RAUC: Get: .*not provided by any"):
            install(machine, machine.bundle())

    def test_a_service_killed_while_installing_is_said_and_a_repeat_installs(
        self, machine: Machine
    ) -> None:
        path, service = machine.bundle(), machine.service
        assert service is not None

        def seen(done: int, _total: int) -> None:
            if done:
                service.kill()

        with pytest.raises(MachineError, match="went away"):
            machine.installer().install(path, target(path), threading.Event(), seen)
        machine.drop_mount(path)
        assert machine.boot("primary") == "A"
        machine.reboot()
        install(machine, path)
        assert (machine.root / "b.img").read_bytes() == IMAGE

    def test_a_stop_leaves_rauc_to_finish_and_the_next_call_waits_for_it(
        self, machine: Machine
    ) -> None:
        path, stop = machine.bundle(), threading.Event()

        def seen(done: int, _total: int) -> None:
            if done:
                stop.set()

        with pytest.raises(StoppedError):
            machine.installer().install(path, target(path), stop, seen)
        install(machine, path)
        assert (machine.root / "b.img").read_bytes() == IMAGE

    async def test_slots_as_dataclasses(self, machine: Machine) -> None:
        async with rauc_bus(RaucDeadlines(), machine.address) as rauc:
            booted, other = find_pair(await rauc.slots())
            assert await rauc.operation() == "idle"
        a, b = str(machine.root / "a.img"), str(machine.root / "b.img")
        assert booted == Slot("rootfs.0", "A", "booted", "good", "", "", a)
        assert other == Slot("rootfs.1", "B", "inactive", "good", "", "", b)

    async def test_the_updater_with_rauc_from_order_to_restart_to_success(
        self, machine: Machine
    ) -> None:
        """A whole update with this installer; only the signed entry is given directly."""
        agent = await Agent.at_switch(machine)
        await agent.run_to_restart()
        assert machine.boot("primary") == "B"
        machine.reboot()
        new = agent.updater("1.1.0")
        assert new.on_trial
        await new.confirm()
        assert new.status()["state"] == State.SUCCESS
        assert agent.finals == ["77:final"]

    @pytest.mark.parametrize("left", [None, b"", b"\0" * 200])
    async def test_a_version_whose_trial_is_lost_with_its_record_has_to_prove_itself(
        self, machine: Machine, left: bytes | None
    ) -> None:
        """If it counted as confirmed, the next restart would leave it, and SUCCESS would be false."""
        agent = await Agent.at_switch(machine)
        await agent.run_to_restart()
        machine.reboot()
        record = machine.state / "ota" / "rauc.json"
        record.unlink()
        if left is not None:
            record.write_bytes(left)
        calls = machine.root / "boot" / "calls"
        calls.unlink()
        new = agent.updater("1.1.0")
        assert new.on_trial
        await new.confirm()
        assert (new.status()["state"], agent.finals) == (State.SUCCESS, ["77:final"])
        assert "set-state B good" in calls.read_text().splitlines()
        assert parse_record(record.read_bytes()) == RaucRecord()

    async def test_an_agent_killed_before_the_machine_restarted_restarts_it_again(
        self, machine: Machine
    ) -> None:
        agent = await Agent.at_switch(machine)
        await agent.run_to_restart()
        await agent.run_to_restart()
        machine.reboot()
        new = agent.updater("1.1.0")
        assert new.on_trial
        await new.confirm()
        assert (new.status()["state"], agent.finals) == (State.SUCCESS, ["77:final"])

    async def test_a_fall_back_while_rauc_is_not_up_yet_is_reported_when_it_is(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said: asyncio.Queue[str] = asyncio.Queue()
        monkeypatch.setattr("ota.updater.RETRY_SECONDS", 0.01)
        monkeypatch.setattr("ota.updater._log.error", lambda text, *_: said.put_nowait(text))
        agent = await Agent.at_switch(machine)
        await agent.run_to_restart()
        machine.reboot("A")
        machine.stop_service()
        old = agent.updater("1.0.0")
        ended = asyncio.create_task(run_until(old, agent.ended))
        async with asyncio.timeout(20):
            assert "cannot be continued" in await said.get()
        await asyncio.to_thread(machine.start_service)
        await ended
        assert (old.status()["state"], machine.boot("state.B")) == (State.FAILED, "bad")
        assert "started slot rootfs.0 again" in str(old.status()["failure"])
        assert [entry.times for entry in load_history(machine.state)] == [1]

    async def test_a_machine_that_does_not_restart_is_given_up_for_that_reason(
        self, machine: Machine
    ) -> None:
        agent = await Agent.at_switch(machine)
        for _ in range(RESTARTS):
            await agent.run_to_restart()
        old = agent.updater("1.0.0")
        await run_until(old, agent.ended)
        assert (old.status()["state"], machine.boot("primary")) == (State.FAILED, "A")
        assert NOT_RESTARTED in str(old.status()["failure"])
        assert load_history(machine.state) == ()  # there was no trial
        assert machine.boot("state.B") == "bad"


class Agent:
    """Successive updaters on one machine, and their last reports."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.finals: list[str] = []
        self.ended = asyncio.Event()
        self.restarting = asyncio.Event()

    @classmethod
    async def at_switch(cls, machine: Machine) -> Agent:
        """Start at the point where the bundle is installed and the switch is next."""
        path = machine.bundle()
        order = OtaOrder("77", "1.1.0", "1.0.0", "http://h/x", path.stat().st_size, "0" * 32)
        task = Task(order).at(Step.CHECK).at(Step.SWITCH, target(path))
        write_atomically(prepared(machine.state), task.to_bytes())
        await asyncio.to_thread(install, machine, path)
        return cls(machine)

    def updater(self, running: str) -> Updater:
        root = self.machine.root / "root.json"
        settings = UpdaterSettings("p", "http://h", root, self.machine.state)
        installer: Installer = self.machine.installer(running)
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
            self.finals.append(once)
            self.ended.set()


async def run_until(updater: Updater, done: asyncio.Event) -> None:
    running = asyncio.create_task(updater.run())
    async with asyncio.timeout(20):
        await done.wait()
    running.cancel()
    await asyncio.wait([running])


def prepared(state: Path) -> Path:
    (state / "ota").mkdir(parents=True)
    return state / "ota" / "task.json"


def test_no_bus_is_said(tmp_path: Path) -> None:
    installer = RaucInstaller(tmp_path, "1.0.0", address=f"unix:path={tmp_path}/nobody")
    package = tmp_path / "p"
    package.touch()
    with pytest.raises(MachineError, match="RAUC: D-Bus: "):
        installer.install(package, target(package), threading.Event(), lambda _done, _all: None)


def test_nothing_on_trial_needs_no_bus(tmp_path: Path) -> None:
    write_atomically(prepared(tmp_path).with_name("rauc.json"), RaucRecord().to_bytes())
    installer = RaucInstaller(tmp_path, "1.0.0", address=f"unix:path={tmp_path}/nobody")
    installer.confirm()
    installer.roll_back("no matter")
    installer.collect("1.0.0")
    assert installer.standing().trial is None
    assert installer.standing().last_rollback is None


def test_a_roll_back_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    record = RaucRecord(SlotTrial("1.1.0", "77", "rootfs.1", "rootfs.0", "x"))
    (tmp_path / "ota").mkdir()
    (tmp_path / "ota" / "rauc.json").write_bytes(record.to_bytes())
    installer = RaucInstaller(tmp_path, "1.1.0", address=f"unix:path={tmp_path}/nobody")
    with pytest.raises(RaucError, match="D-Bus"):
        installer.roll_back("no matter")
    assert parse_record((tmp_path / "ota" / "rauc.json").read_bytes()) == record


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"trial": 5}, "trial"),
        ({"trial": {"version": "1"}}, "trial.transaction"),
        (
            {
                "trial": dict.fromkeys(
                    ["version", "transaction", "slot", "old_slot", "boot_id"], "x"
                )
                | {"restarts": 0}
            },
            "trial.restarts",
        ),
        ({"last_rollback": {"version": "1", "reason": 5}}, "last_rollback.reason"),
        ({"last_rollback": {"version": "1", "reason": "x", "transaction": 5}}, "transaction"),
    ],
)
def test_a_damaged_record_names_the_member(change: dict[str, object], name: str) -> None:
    with pytest.raises(WireError, match=name):
        parse_record(json.dumps(change).encode())


@pytest.mark.parametrize("left", [None, "{"])
def test_a_missing_or_damaged_record_is_lost(tmp_path: Path, left: str | None) -> None:
    (tmp_path / "ota").mkdir()
    if left is not None:
        (tmp_path / "ota" / "rauc.json").write_text(left)
    assert RaucInstaller(tmp_path, "1.0.0").standing() == Standing(record_lost=True)


BEFORE = Rollback("1.0.9", "no chime", "70")
WAITING = SlotTrial("1.1.0", "77", "rootfs.1", "rootfs.0", "boot-1", restarts=2)
FELL_BACK = Rollback("1.1.0", "the machine started slot rootfs.0 again, not rootfs.1", "77")
# The record, the running version, the boot id, and the state that they mean together.
STANDINGS = {
    "nothing": (RaucRecord(), "1.0.0", "boot-1", Standing()),
    "rolled back long ago": (RaucRecord(None, BEFORE), "1.0.0", "boot-1", Standing(None, BEFORE)),
    "not restarted": (RaucRecord(WAITING, BEFORE), "1.0.0", "boot-1", Standing(None, BEFORE, 2)),
    "fallen back": (RaucRecord(WAITING, BEFORE), "1.0.0", "boot-2", Standing(None, FELL_BACK)),
    "on trial": (
        RaucRecord(WAITING, BEFORE), "1.1.0", "boot-2", Standing(Trial("1.1.0", 1, "77"), BEFORE),
    ),
    "given up, not restarted": (
        RaucRecord(None, BEFORE, "boot-2"), "1.0.9", "boot-2", Standing(None, BEFORE, given_up=True),
    ),
    "given up, restarted": (
        RaucRecord(None, BEFORE, "boot-2"), "1.0.0", "boot-3", Standing(None, BEFORE),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", STANDINGS, ids=str)
def test_what_a_record_means_in_this_boot(case: str) -> None:
    record, running, boot, standing = STANDINGS[case]
    assert interpret(record, running, boot) == standing


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("signature verification failed: Verify error: self-signed certificate", RaucBundleError),
        ("Compatible mismatch: Expected 'a' but bundle manifest has 'b'", RaucBundleError),
        ("Failed updating slot rootfs.1: Input/output error", RaucRefusedError),
    ],
)
def test_a_fault_of_the_bundle_is_told_from_one_of_the_machine(text: str, kind: type) -> None:
    assert type(refusal_of(text)) is kind


@pytest.mark.parametrize("body", [None, 5, [("x",)], [("x", 5)], [(5, {})]])
def test_a_slot_status_of_another_shape_is_refused_by_name(body: object) -> None:
    with pytest.raises(RaucRefusedError, match="slot status"):
        parse_slots(body)


def test_more_than_a_pair_of_slots_is_refused_by_name() -> None:
    slots = tuple(Slot(f"rootfs.{n}", "ABC"[n], "inactive", "good", "", "") for n in range(3))
    with pytest.raises(RaucRefusedError, match="expected one booted and one other"):
        find_pair(slots)


def test_a_fall_back_is_reported_as_failed_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "ota").mkdir()
    record = RaucRecord(SlotTrial("1.1.0", "77", "rootfs.1", "rootfs.0", "boot-1"))
    (tmp_path / "ota" / "rauc.json").write_bytes(record.to_bytes())
    installer = RaucInstaller(tmp_path, "1.0.0", boot_id=lambda: "boot-2")
    order = OtaOrder("77", "1.1.0", "1.0.0", "http://h/x", 5, "0" * 32)
    task = Task(order).at(Step.CHECK).at(Step.SWITCH, Target("p", 5, "0" * 64, "1.1.0", "p"))
    verdict = recover(task, installer.standing(), "1.0.0")
    assert verdict.action is Action.FAIL
    assert "started slot rootfs.0 again" in verdict.reason
