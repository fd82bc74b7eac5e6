"""A machine with RAUC: two slots, the firmware's choice between them, the services, power cuts.

The agent, `rauc service`, D-Bus and the boot-selection script systemd/rauc/tryboot are real. The
firmware (it starts the slot that autoboot.txt names; the one of [tryboot] after an orderly restart
that requested it), systemd (it restarts services that exited) and logind are simulated. Each boot
has its own boot id, which the agent sees through a mount. RAUC's mounts are in a namespace that
ends with its process, as at a power cut.
"""

from __future__ import annotations

import re
import shutil
import signal
import sys
import uuid
from pathlib import Path
from typing import Any

from tools.bench import Bench
from tools.kill_proof.bus import PrivateBus, rauc_status
from tools.kill_proof.device import Device
from tools.kill_proof.images import COMPATIBLE, SLOT_BYTES, Images
from tools.processes import BenchError, Service

TRYBOOT = Path(__file__).parents[2] / "systemd" / "rauc" / "tryboot"
PARTITIONS = {"A": 2, "B": 3}
AUTOBOOT = "[all]\ntryboot_a_b=1\nboot_partition={}\n[tryboot]\nboot_partition={}\n"
SYSTEM = """\
[system]
compatible={compatible}
bootloader=custom
activate-installed=false
statusfile={folder}/rauc.status
mountprefix={folder}/mnt
bundle-formats=plain
[handlers]
bootloader-custom-backend={tryboot}
[keyring]
path={certificate}
[slot.rootfs.0]
device={folder}/A.img
type=raw
bootname=A
[slot.rootfs.1]
device={folder}/B.img
type=raw
bootname=B
"""
# Mounts the file "$1" over the kernel's boot id; the mount ends with the process.
WITH_BOOT_ID = 'mount --bind "$1" /proc/sys/kernel/random/boot_id && shift && exec "$@"'
RAUC_SECONDS = 20.0
# Share of the kills that are power cuts. A cut in a trial ends it, so with more cuts few updates
# would get to SUCCESS.
POWER_CUTS = 0.35


def other(slot: str) -> str:
    """Return the name of the other slot."""
    return "B" if slot == "A" else "A"


class Firmware:
    """The files that a Raspberry Pi's firmware reads, and the kernel's command line."""

    def __init__(self, folder: Path) -> None:
        """Use ``folder``/select as boot partition, and ``folder``/run for volatile files."""
        self._select, self._run = folder / "select", folder / "run"
        self._states, self._cmdline = folder / "rauc.slots", folder / "cmdline"
        self._config = folder / "tryboot.conf"
        self._config.write_text("".join(f"{name} {n}\n" for name, n in PARTITIONS.items()))

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that configure the boot-selection script."""
        return {
            "TRYBOOT_FOLDER": str(self._select),
            "TRYBOOT_STATES": str(self._states),
            "TRYBOOT_CONFIG": str(self._config),
            "TRYBOOT_REBOOT_PARAM": str(self._parameter),
            "TRYBOOT_CMDLINE": str(self._cmdline),
            "TRYBOOT_DEVICE_TREE": str(self._run / "no-device-tree"),
        }

    @property
    def _parameter(self) -> Path:
        return self._run / "reboot-param"

    def flash(self, slot: str) -> None:
        """Reset everything, with ``slot`` as the default."""
        for folder in (self._select, self._run):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        self._states.unlink(missing_ok=True)
        text = AUTOBOOT.format(PARTITIONS[slot], PARTITIONS[other(slot)])
        (self._select / "autoboot.txt").write_text(text)

    def choose(self, *, orderly: bool) -> str:
        """Return the slot that starts, after an orderly restart or after a power cut."""
        tried = orderly and self.is_try_pending()
        shutil.rmtree(self._run)
        self._run.mkdir()
        slot = self.named("tryboot" if tried else "all")
        self._cmdline.write_text(f"root=/dev/none rauc.slot={slot} quiet\n")
        return slot

    def named(self, section: str) -> str:
        """Return the slot that a section of autoboot.txt names; raises BenchError."""
        text = (self._select / "autoboot.txt").read_text()
        found = re.search(rf"\[{section}\][^\[]*^boot_partition=(\d)$", text, re.MULTILINE)
        if found is None:
            raise BenchError(f"the machine does not start: autoboot.txt has {text!r}")
        return {str(number): name for name, number in PARTITIONS.items()}[found[1]]

    def is_try_pending(self) -> bool:
        """Return whether an orderly restart would try the other slot."""
        return self._parameter.is_file() and self._parameter.read_text() == "0 tryboot\n"


class RaucDevice(Device):
    """A device with RAUC, on a simulated machine."""

    installer = "rauc"
    kills = (2, 6)

    def __init__(self, bench: Bench, number: int, images: Images) -> None:
        """Set up the device and its bus; the slots are written when an update begins."""
        super().__init__(bench, number)
        self._images = images
        self._bus = PrivateBus(self.folder)
        self._firmware = Firmware(self.folder)
        self._system = self.folder / "system.conf"
        self._rauc: Service | None = None
        self._restarting = False
        self._first = self._booted = "A"
        places = {"folder": self.folder, "certificate": images.certificate, "tryboot": TRYBOOT}
        self._system.write_text(SYSTEM.format(compatible=COMPATIBLE, **places))

    def switch_on(self) -> None:
        """Flash the old version into one slot, zero the other, and boot."""
        self._first = self.chance.choice("AB")
        (self.folder / f"{self._first}.img").write_bytes(self._images.old)
        (self.folder / f"{other(self._first)}.img").write_bytes(bytes(SLOT_BYTES))
        (self.folder / "rauc.status").unlink(missing_ok=True)
        self._firmware.flash(self._first)
        self._boot(orderly=False)

    def _boot(self, *, orderly: bool) -> None:
        """Start RAUC and the agent in the slot that the firmware chooses."""
        self._restarting = False
        self._bus.reboot_asked.clear()
        self._booted = self._firmware.choose(orderly=orderly)
        (self.folder / "boot_id").write_text(f"{uuid.UUID(int=self.chance.getrandbits(128))}\n")
        self._start_rauc()
        self.agent = self.start_agent()

    def _start_rauc(self) -> None:
        words: list[str | Path] = ["--mount", "rauc", "-c", self._system]
        words += [f"--override-boot-slot={self._booted}", "service"]
        log = self.folder / "rauc.log"
        bus = {"DBUS_SYSTEM_BUS_ADDRESS": self._bus.address}
        environment = self._firmware.environment | bus
        self._rauc = Service("/usr/bin/unshare", words, log, environment)
        self._rauc.wait_for("rauc service", lambda: self._bus.has_rauc() or None, RAUC_SECONDS)

    def start_agent(self) -> Service:
        """Start the version whose image is in the booted slot."""
        lib = self._images.unpack(self.folder / f"{self._booted}.img")
        shell: list[str | Path] = [
            "--mount",
            "sh",
            "-c",
            WITH_BOOT_ID,
            "sh",
            self.folder / "boot_id",
        ]
        words = [*shell, sys.executable, "-P", "-m", "agent.cli", *self.words]
        environment = {"PYTHONPATH": str(lib), "DBUS_SYSTEM_BUS_ADDRESS": self._bus.address}
        return Service("/usr/bin/unshare", words, self.folder / "agent.log", environment)

    def tend(self) -> None:
        """Carry out a restart requested from logind; otherwise restart an agent that exited."""
        if self._bus.reboot_asked.is_set():
            self._bus.reboot_asked.clear()
            self._restarting = True
            if self.agent is not None:
                self.agent.process.send_signal(signal.SIGTERM)
        if not self._restarting:
            super().tend()
        elif self.agent is not None and self.agent.process.poll() is not None:
            self._power_off()
            self._boot(orderly=True)

    def kill(self) -> str:
        """Kill the agent, or cut the power."""
        if self.chance.random() < POWER_CUTS:
            self._cut_power()
            return "power"
        self._kill_agent()
        return "agent"

    def _kill_agent(self) -> None:
        if not self._restarting:
            self.kill_agent()
        elif self.agent is not None:  # during a shutdown systemd restarts nothing
            self.agent.kill()

    def note_kill(self) -> None:
        """Do nothing: killing the agent alone excuses no failure, as the machine keeps running."""

    def _cut_power(self) -> None:
        self._power_off()
        self.excused |= self.read_json("ota/rauc.json").get("trial") is not None
        self._boot(orderly=False)

    def _power_off(self) -> None:
        """Kill all processes at once; the disks keep their content."""
        for service in (self.agent, self._rauc):
            if service is not None:
                service.kill()
        self.agent = self._rauc = None

    def stop(self) -> None:
        """Stop the processes of the update; the bus keeps running."""
        super().stop()
        self._power_off()

    def close(self) -> None:
        """Stop the bus, and what each device has."""
        self._bus.close()
        super().close()

    def faults(self, *, succeeded: bool) -> dict[str, bool]:
        """Check the record, the boot selection, RAUC's status, and the running slot's bytes."""
        new = other(self._first)
        runs, left = (new, self._first) if succeeded else (self._first, new)
        default = self._firmware.named("all")
        trial = self.read_json("ota/rauc.json").get("trial")
        image = self._images.new if succeeded else self._images.old
        download = list((self.state / "ota" / "download").glob("*"))
        found = {
            f"slot {self._booted} runs": self._booted != runs,
            f"slot {default} starts next": default != runs,
            "another slot is to be tried": self._firmware.is_try_pending(),
            f"still on trial: {trial}": trial is not None,
            f"slot {runs} has other bytes": (self.folder / f"{runs}.img").read_bytes() != image,
            f"left behind: {download}": bool(download),
        }
        return found | self._status_faults(runs, left, succeeded=succeeded)

    def _status_faults(self, runs: str, left: str, *, succeeded: bool) -> dict[str, bool]:
        status = rauc_status(self._bus.address, self._system)
        slots: dict[str, dict[str, Any]] = {
            slot["bootname"]: slot for row in status["slots"] for slot in row.values()
        }
        states = {name: (slot["state"], slot["boot_status"]) for name, slot in slots.items()}
        # RAUC marks a slot bad before it writes to it. One that the update failed before, as on a full disk, is bad if RAUC
        # had begun and good if not; it was never tried.
        tried = self.read_json("ota/rauc.json").get("last_rollback") is not None
        marks = {"good"} if succeeded else {"bad"} if tried else {"good", "bad"}
        expected = [{runs: ("booted", "good"), left: ("inactive", mark)} for mark in marks]
        return {
            f"RAUC has {states}, expected {expected}": states not in expected,
            f"RAUC has {status['booted']} booted": status["booted"] != runs,
        }
