"""The installer for images: with a real `rauc service`, and what its record means."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from base.files import write_atomically
from ota.errors import ContentError, MachineError, StoppedError
from ota.install.installer import Standing
from ota.install.rauc import (
    RaucInstaller,
    RaucRecord,
    SlotTrial,
    find_pair,
    interpret,
    may_start,
    parse_record,
)
from ota.install.rauc_bus import (
    RaucError,
    RaucRefusedError,
    Slot,
)
from ota.launch.boot import Rollback, Trial
from ota.order.recovery import Action, recover
from ota.order.states import Step
from ota.order.task import Task
from ota.trust.target import Target
from tests.authority import write_signer
from tests.ota.install.rauc_rig import IMAGE, RaucRig, install, needs_rauc, prepared, target
from wire.errors import WireError
from wire.ota import OtaOrder


@needs_rauc
class TestRealService:
    def test_a_bundle_goes_into_the_other_slot_and_the_boot_loader_stays(
        self, rauc_rig: RaucRig
    ) -> None:
        seen = install(rauc_rig, rauc_rig.bundle())
        assert (rauc_rig.root / "b.img").read_bytes() == IMAGE
        assert not any((rauc_rig.root / "a.img").read_bytes())
        assert rauc_rig.boot("primary") == "A"
        assert seen == sorted(seen)
        assert (seen[0], seen[-1]) == (0.0, 1.0)
        assert len(set(seen)) > 3

    def test_the_running_image_is_the_booted_slots_device(self, rauc_rig: RaucRig) -> None:
        assert rauc_rig.installer().running_image() == rauc_rig.root / "a.img"
        rauc_rig.reboot("B")
        assert rauc_rig.installer().running_image() == rauc_rig.root / "b.img"

    def test_what_rauc_noted_of_the_slot_is_on_disk_before_anything_relies_on_it(
        self, rauc_rig: RaucRig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced: list[str] = []
        monkeypatch.setattr(
            os, "sync", lambda: synced.append((rauc_rig.root / "status").read_text())
        )
        install(rauc_rig, rauc_rig.bundle())
        assert "status=ok" in synced[-1]

    def test_a_whole_update_to_its_confirmation(self, rauc_rig: RaucRig) -> None:
        install(rauc_rig, rauc_rig.bundle())
        rauc_rig.installer().activate("1.1.0", "77")
        assert rauc_rig.boot("primary") == "B"
        rauc_rig.reboot()
        new = rauc_rig.installer("1.1.0")
        trial = new.standing().trial
        assert trial is not None
        assert (trial.version, trial.transaction) == ("1.1.0", "77")
        new.confirm()
        new.confirm()  # a repeat after a crash
        assert new.standing().trial is None
        assert new.standing().last_rollback is None
        assert rauc_rig.calls[-1] == "set-state B good"

    def test_a_failed_trial_goes_back_and_marks_the_slot_bad(self, rauc_rig: RaucRig) -> None:
        install(rauc_rig, rauc_rig.bundle())
        rauc_rig.installer().activate("1.1.0", "77")
        rauc_rig.reboot()
        rauc_rig.installer("1.1.0").roll_back("no chime")
        assert (rauc_rig.boot("primary"), rauc_rig.boot("state.B")) == ("A", "bad")
        rauc_rig.reboot()
        old = rauc_rig.installer()
        rollback = old.standing().last_rollback
        assert old.standing().trial is None
        assert rollback is not None
        assert (rollback.version, rollback.reason, rollback.transaction) == (
            "1.1.0",
            "no chime",
            "77",
        )

    def test_a_boot_loader_that_fell_back_is_seen_and_tidied(self, rauc_rig: RaucRig) -> None:
        install(rauc_rig, rauc_rig.bundle())
        rauc_rig.installer().activate("1.1.0", "77")
        assert (
            rauc_rig.installer().standing().last_rollback is None
        )  # the machine has not restarted yet
        rauc_rig.reboot("A")
        old = rauc_rig.installer()
        assert old.standing().trial is None
        rollback = old.standing().last_rollback
        assert rollback is not None
        assert rollback.reason == "the machine started slot rootfs.0 again, not rootfs.1"
        old.roll_back("as it says")
        assert (rauc_rig.boot("primary"), rauc_rig.boot("state.B")) == ("A", "bad")

    def test_the_next_update_after_a_confirmed_one_goes_the_other_way(
        self, rauc_rig: RaucRig
    ) -> None:
        install(rauc_rig, rauc_rig.bundle())
        rauc_rig.installer().activate("1.1.0", "77")
        rauc_rig.reboot()
        rauc_rig.installer("1.1.0").confirm()
        other = IMAGE[::-1]
        install(rauc_rig, rauc_rig.bundle("1.2.0", other), "1.2.0")
        assert (rauc_rig.root / "a.img").read_bytes() == other
        rauc_rig.installer("1.1.0").activate("1.2.0", "78")
        assert rauc_rig.boot("primary") == "A"

    def test_activating_again_after_a_crash_is_counted_within_one_boot(
        self, rauc_rig: RaucRig
    ) -> None:
        install(rauc_rig, rauc_rig.bundle())
        installer = rauc_rig.installer()
        assert installer.standing().restarts == 0
        for count in (1, 2):
            installer.activate("1.1.0", "77")
            assert installer.standing().restarts == count
        rauc_rig.reboot("A")
        assert rauc_rig.installer().standing().restarts == 0
        rauc_rig.reboot("B")
        assert rauc_rig.installer("1.1.0").standing().restarts == 0

    def test_a_slot_with_another_version_is_not_activated(self, rauc_rig: RaucRig) -> None:
        install(rauc_rig, rauc_rig.bundle())
        with pytest.raises(MachineError, match=r"rootfs.1 holds 1.1.0 \(ok\), expected 1.2.0"):
            rauc_rig.installer().activate("1.2.0", "77")
        assert rauc_rig.boot("primary") == "A"

    def test_a_bundle_signed_by_somebody_else_is_refused(self, rauc_rig: RaucRig) -> None:
        write_signer(rauc_rig.root / "stranger.pem", rauc_rig.root / "stranger.key")
        with pytest.raises(ContentError, match=r"refused by RAUC: .*signature verification failed"):
            install(rauc_rig, rauc_rig.bundle(cert="stranger"))
        assert not any((rauc_rig.root / "b.img").read_bytes())

    def test_a_bundle_for_another_machine_is_refused(self, rauc_rig: RaucRig) -> None:
        with pytest.raises(ContentError, match=r"refused by RAUC: .*[Cc]ompatible"):
            install(rauc_rig, rauc_rig.bundle(compatible="toaster"))

    def test_a_bundle_of_another_version_than_was_signed_is_refused(
        self, rauc_rig: RaucRig
    ) -> None:
        with pytest.raises(ContentError, match=r"wrong release: the bundle holds 1.0.9, 1.1.0 was"):
            install(rauc_rig, rauc_rig.bundle("1.0.9"))

    def test_a_file_that_is_no_bundle_is_refused(self, rauc_rig: RaucRig) -> None:
        path = rauc_rig.root / "x.raucb"
        path.write_bytes(b"\0" * 100_000)
        with pytest.raises(ContentError, match="refused by RAUC"):
            install(rauc_rig, path)

    def test_an_image_larger_than_its_slot_leaves_the_old_one_bootable(
        self, rauc_rig: RaucRig
    ) -> None:
        (rauc_rig.root / "b.img").unlink()
        (rauc_rig.root / "b.img").symlink_to("/dev/full")
        with pytest.raises(MachineError, match="RAUC: "):
            install(rauc_rig, rauc_rig.bundle())
        assert (rauc_rig.boot("primary"), rauc_rig.boot("state.A")) == ("A", "good")
        assert rauc_rig.boot("state.B") == "bad"

    def test_a_boot_loader_script_that_fails_is_named(self, rauc_rig: RaucRig) -> None:
        install(rauc_rig, rauc_rig.bundle())
        (rauc_rig.root / "boot" / "broken").touch()
        with pytest.raises(MachineError, match="RAUC: "):
            rauc_rig.installer().activate("1.1.0", "77")

    def test_a_boot_loader_script_that_hangs_is_left(self, rauc_rig: RaucRig) -> None:
        install(rauc_rig, rauc_rig.bundle())
        (rauc_rig.root / "boot" / "hang").touch()
        with pytest.raises(MachineError, match=r"no answer in 0.3 s"):
            rauc_rig.installer(call=0.3).activate("1.1.0", "77")

    def test_no_service_is_said(self, rauc_rig: RaucRig) -> None:
        rauc_rig.stop_service()
        with pytest.raises(MachineError, match=r"RAUC: Get: .*not provided by any"):
            install(rauc_rig, rauc_rig.bundle())

    def test_a_service_killed_while_installing_is_said_and_a_repeat_installs(
        self, rauc_rig: RaucRig
    ) -> None:
        path, service = rauc_rig.bundle(), rauc_rig.service
        assert service is not None

        def seen(done: int, _total: int) -> None:
            if done:
                service.kill()

        with pytest.raises(MachineError, match="went away"):
            rauc_rig.installer().install(path, target(path), threading.Event(), seen)
        rauc_rig.drop_mount(path)
        assert rauc_rig.boot("primary") == "A"
        rauc_rig.reboot()
        install(rauc_rig, path)
        assert (rauc_rig.root / "b.img").read_bytes() == IMAGE

    def test_a_stop_leaves_rauc_to_finish_and_the_next_call_waits_for_it(
        self, rauc_rig: RaucRig
    ) -> None:
        path, stop = rauc_rig.bundle(), threading.Event()

        def seen(done: int, _total: int) -> None:
            if done:
                stop.set()

        with pytest.raises(StoppedError):
            rauc_rig.installer().install(path, target(path), stop, seen)
        install(rauc_rig, path)
        assert (rauc_rig.root / "b.img").read_bytes() == IMAGE


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


@pytest.mark.parametrize(
    ("booted", "boot_status", "status", "starts"),
    [
        ("ok", "good", "ok", True),
        ("ok", "good", "", True),  # the factory's, from which the booted one was installed
        ("", "good", "ok", True),
        ("", "good", "", False),  # a card with one system
        ("ok", "good", "pending", False),
        ("ok", "bad", "ok", False),
        ("ok", "", "ok", False),
    ],
)
def test_a_slot_to_go_back_to_has_run_here(
    booted: str, boot_status: str, status: str, *, starts: bool
) -> None:
    one = Slot("rootfs.1", "B", "booted", "good", booted, "1.1.0")
    assert may_start(one, Slot("rootfs.0", "A", "inactive", boot_status, status, "")) is starts
