"""One emulated machine: its disks, its firmware's choice of a slot, and its power supply."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.processes import die_with_parent

MEMORY_MIB = 384
# The name of the snapshot, in its disks, of a machine that has booted and registered.
READY = "ready"
SAVE_SECONDS = 120.0
# The kernel's line before a restart with an argument, for example `reboot "0 tryboot"`.
_TRYBOOT = re.compile(r"reboot: Restarting system with command '0 tryboot'")
_SECTION = re.compile(r"\[(all|tryboot)\][^\[]*?boot_partition=(\d+)", re.DOTALL)
_SLOTS = {"2": "A", "3": "B"}


@dataclass(frozen=True, slots=True)
class Images:
    """The files that a machine is started from: kernel, initrd, and each slot's first root image."""

    kernel: Path
    initrd: Path
    root: Path


class Emulator:
    """A machine with its files in ``folder``; killing it is a power cut.

    With ``slots`` it has both root slots and a partition for the firmware, and this class acts as the
    firmware: at each start it reads autoboot.txt and whether the last restart requested a try.
    """

    def __init__(
        self,
        folder: Path,
        images: Images,
        state: Path,
        select: Path | None,
        saved: Path | None = None,
    ) -> None:
        """Make fresh disks: ``state`` and ``select`` (None: one root only) are copied on write.

        ``saved``: the folder of a machine that was saved by `save`; this one continues from there.
        """
        self.folder = folder
        self.log = folder / "serial.log"
        self.starts: list[str] = []
        self._lost_power = True
        self._images = images
        self._process: subprocess.Popen[bytes] | None = None
        self._two_slots = select is not None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._saved = saved is not None
        if saved is not None:
            for disk in saved.glob("*.qcow2"):
                shutil.copyfile(disk, folder / disk.name)
            return
        self._overlay(state, "state", "raw")
        if select is not None:
            self._overlay(images.root, "root-a", "raw")
            self._overlay(images.root, "root-b", "raw")
            self._overlay(select, "select", "raw")

    def _overlay(self, base: Path, name: str, form: str) -> None:
        command = [
            "qemu-img",
            "create",
            "-q",
            "-f",
            "qcow2",
            "-F",
            form,
            "-b",
            str(base.absolute()),
        ]
        subprocess.run([*command, str(self.folder / f"{name}.qcow2")], check=True)

    def start(self) -> None:
        """Switch it on."""
        slot = self._firmware()
        self._lost_power = False
        self.starts.append(slot)
        root = "/dev/vda" if slot == "A" else "/dev/vdb"
        words = f"root={root} ro console=ttyS0 rauc.slot={slot} loglevel=4 panic=5 systemd.show_status=false"
        # The agent's lines reach the journal by its socket, so that a unit's journal+console does not show them.
        words += " systemd.journald.forward_to_console=1"
        goes_on = ["-loadvm", READY] if self._saved and len(self.starts) == 1 else []
        command = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-smp", "2", "-m", str(MEMORY_MIB),
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-serial", f"file:{self.folder}/serial-{len(self.starts)}.log",
            "-kernel", str(self._images.kernel), "-initrd", str(self._images.initrd), "-append", words,
            "-device", "virtio-rng-pci", "-nic", "user,model=virtio-net-pci",
            "-qmp", f"unix:{self.folder}/qmp,server=on,wait=off", *self._drives(), *goes_on,
        ]  # fmt: skip
        with (self.folder / "qemu.log").open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # the machine ends with the proof
            )

    def _drives(self) -> list[str]:
        root = [f"file={self._images.root},format=raw,readonly=on"]
        if self._two_slots:
            root = [f"file={self.folder}/root-{name}.qcow2,format=qcow2" for name in "ab"]
        state = f"file={self.folder}/state.qcow2,format=qcow2"
        select = [f"file={self.folder}/select.qcow2,format=qcow2"] * self._two_slots
        return [
            word for disk in (*root, state, *select) for word in ("-drive", f"{disk},if=virtio")
        ]

    def _firmware(self) -> str:
        # The Pi's firmware keeps the request in a register, which a power cut clears.
        asked = not self._lost_power and _TRYBOOT.search(self.serial())
        return self.chosen("tryboot" if asked else "all")

    def chosen(self, section: str = "all") -> str:
        """Return the slot that a section of autoboot.txt names; "all" is for starts without a try."""
        if not self._two_slots:
            return "A"
        raw = self._raw("select")
        text = subprocess.run(
            ["mtype", "-i", str(raw), "::autoboot.txt"], check=True, capture_output=True, text=True
        ).stdout
        raw.unlink()
        return _SLOTS[dict(_SECTION.findall(text.replace("\r", "")))[section]]

    def console(self) -> str:
        """Return the serial output since the machine's first start."""
        return "".join(self.serial(number + 1) for number in range(len(self.starts)))

    def serial(self, number: int | None = None) -> str:
        """Return the serial output since the machine's last start, or since start ``number``."""
        path = self.folder / f"serial-{number or len(self.starts)}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def save(self) -> None:
        """Save memory and disks of the running machine, for others to continue from, and end it."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(SAVE_SECONDS)
            monitor.connect(str(self.folder / "qmp"))
            lines = monitor.makefile("rw")
            lines.readline()
            for order in (
                {"execute": "qmp_capabilities"},
                {
                    "execute": "human-monitor-command",
                    "arguments": {"command-line": f"savevm {READY}"},
                },
            ):
                lines.write(json.dumps(order) + "\n")
                lines.flush()
                while "return" not in (answer := json.loads(lines.readline())):
                    if "error" in answer:
                        raise RuntimeError(f"the machine cannot be saved: {answer}")
                if answer["return"]:
                    raise RuntimeError(f"the machine cannot be saved: {answer['return']}")
        self.cut_power()

    @property
    def has_ended(self) -> bool:
        """Whether the machine has restarted: QEMU exits then, and `start` acts as the firmware."""
        return self._process is not None and self._process.poll() is not None

    def cut_power(self) -> None:
        """SIGKILL the emulator: data that the guest had not written to its disk is lost."""
        self._lost_power = True
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def _raw(self, name: str) -> Path:
        disk, raw = self.folder / f"{name}.qcow2", self.folder / f"{name}.raw"
        subprocess.run(["qemu-img", "convert", "-O", "raw", str(disk), str(raw)], check=True)
        return raw

    def read_state(self, *paths: str) -> list[str]:
        """Return files of the state disk, after a journal replay and a check; '' for a missing one."""
        raw = self._raw("state")
        check = subprocess.run(
            ["e2fsck", "-p", str(raw)], capture_output=True, text=True, check=False
        )
        if check.returncode > 1:
            raise RuntimeError(f"the state disk is damaged: {check.stdout}{check.stderr}")
        texts = []
        for path in paths:
            read = ["debugfs", "-R", f"cat {path}", str(raw)]
            texts.append(subprocess.run(read, check=True, capture_output=True, text=True).stdout)
        raw.unlink()
        return texts
