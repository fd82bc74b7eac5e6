"""One emulated machine with one card: its firmware's choice of a slot, its root shell, its sound, and its power supply.

The firmware is the Raspberry Pi's, as far as it is documented: it reads autoboot.txt from the first partition, and
config.txt, the kernel and its command line from the boot partition named there.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.image.board import Board
from tools.image.card import MIB, lay_out
from tools.processes import die_with_parent

MEMORY_MIB = 512
ASK_SECONDS = 120.0
# The kernel's line before a restart with an argument, for example `reboot "0 tryboot"`.
_TRYBOOT = re.compile(r"reboot: Restarting system with command '0 tryboot'")
_RESTART = re.compile(r"reboot: Restarting system")
_SLOTS = {2: "A", 3: "B"}


@dataclass(frozen=True, slots=True)
class Start:
    """What the firmware starts: file names on the boot partition, and its number."""

    partition: int
    kernel: str
    initramfs: str
    cmdline: str


def choose_partition(autoboot: str, *, tryboot: bool) -> int:
    """Return the partition that autoboot.txt names: its last that applies."""
    return int(_settings(autoboot, {"all", *(["tryboot"] if tryboot else [])})["boot_partition"])


def choose_files(config: str, partition: int) -> Start:
    """Return what config.txt names for a partition."""
    values = _settings(config, {"all", f"boot_partition={partition}"})
    initramfs = values["initramfs"].split()[0]
    return Start(partition, values["kernel"], initramfs, values.get("cmdline", "cmdline.txt"))


def _settings(text: str, filters: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    applies = True
    for line in text.splitlines():
        if header := re.fullmatch(r"\s*\[(.+)\]\s*", line):
            applies = header[1] in filters
        elif applies and (pair := re.fullmatch(r"\s*([a-z_0-9]+)[ =](.*)", line)):
            found[pair[1]] = pair[2].strip()
    return found


class Card:
    """A machine that has been switched off; `start` switches it on, and `cut_power` is a power cut."""

    def __init__(self, folder: Path, board: Board, image: Path, size_mib: int) -> None:
        """Flash ``image`` to a card of ``size_mib``, in ``folder``."""
        self.folder = folder
        self.starts: list[str] = []
        self._partitions = {it.name: it for it in lay_out(board)}
        self._process: subprocess.Popen[bytes] | None = None
        self._lost_power = True
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.disk = folder / "card.raw"
        subprocess.run(["cp", "--sparse=always", str(image), str(self.disk)], check=True)
        with self.disk.open("r+b") as file:
            file.truncate(size_mib * MIB)

    def put(self, name: str, data: bytes) -> None:
        """Write a file to the first partition, as a person with a card reader."""
        self._mtools("mcopy", "-o", "-", f"::{name}", data=data)

    def _mtools(self, *words: str, partition: str = "select", data: bytes = b"") -> bytes:
        where = f"{self.disk}@@{self._partitions[partition].offset}"
        command = [words[0], "-i", where, *words[1:]]
        return subprocess.run(command, input=data, check=True, capture_output=True).stdout

    def start(self, clock: str = "") -> None:
        """Switch it on; ``clock`` is its real-time clock's time."""
        asked = not self._lost_power and _TRYBOOT.search(self.serial())
        autoboot = self._mtools("mtype", "::autoboot.txt").decode()
        number = choose_partition(autoboot, tryboot=bool(asked))
        boot = "boot-" + _SLOTS[number].lower()
        config = self._mtools("mtype", "::config.txt", partition=boot).decode()
        chosen = choose_files(config, number)
        for name, target in ((chosen.kernel, "kernel"), (chosen.initramfs, "initramfs")):
            self._mtools("mcopy", "-o", f"::{name}", str(self.folder / target), partition=boot)
        line = self._mtools("mtype", f"::{chosen.cmdline}", partition=boot).decode().strip()
        self._lost_power = False
        self.starts.append(_SLOTS[number])
        self._run(line, ["-rtc", f"base={clock}"] if clock else [])

    def _run(self, line: str, more: list[str]) -> None:
        number = len(self.starts)
        command = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-smp", "2", "-m", str(MEMORY_MIB),
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-serial", f"file:{self.folder}/serial-{number}.log",
            "-serial", f"unix:{self.folder}/shell,server=on,wait=off",
            "-kernel", str(self.folder / "kernel"), "-initrd", str(self.folder / "initramfs"), "-append", line,
            "-drive", f"file={self.disk},format=raw,if=virtio,cache=writeback",
            "-device", "virtio-rng-pci", "-nic", "user,model=virtio-net-pci",
            "-device", "i6300esb", "-action", "watchdog=reset",
            "-audiodev", f"wav,id=sound,path={self.folder}/sound-{number}.wav",
            "-device", "intel-hda", "-device", "hda-output,audiodev=sound", *more,
        ]  # fmt: skip
        with (self.folder / "qemu.log").open("ab") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # the machine ends with the proof
            )  # fmt: skip

    def serial(self, number: int | None = None) -> str:
        """Return the console's output since the last start, or since start ``number``."""
        path = self.folder / f"serial-{number or len(self.starts)}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def has_ended(self) -> bool:
        """Whether it has restarted or powered off: QEMU exits then."""
        return self._process is not None and self._process.poll() is not None

    @property
    def wants_restart(self) -> bool:
        """Whether it ended for a restart, so that the firmware would start it again."""
        return self.has_ended and bool(_RESTART.search(self.serial()))

    def cut_power(self) -> None:
        """SIGKILL the emulator: data that the guest had not written to its card is lost."""
        self._lost_power = True
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def loudness(self) -> int:
        """Return the loudest sample, 0 to 32767, of what it has played since its start."""
        path = self.folder / f"sound-{len(self.starts)}.wav"
        # QEMU completes the header at its end only.
        data = path.read_bytes()[44:] if path.exists() else b""
        samples = memoryview(data[: len(data) // 2 * 2]).cast("h")
        return max((abs(it) for it in samples), default=0)

    def ask(self, command: str, seconds: float = ASK_SECONDS) -> str:
        """Run a command in its root shell and return the output; raises TimeoutError."""
        with self._shell() as shell:
            shell.settimeout(seconds)
            shell.sendall(f"\nstty -echo -onlcr; echo be''gin; {command}\necho e''nd\n".encode())
            text, end = "", time.monotonic() + seconds
            while "end\n" not in text.partition("begin\n")[2]:
                if time.monotonic() > end:
                    raise TimeoutError(f"no answer to {command!r} in {seconds:g} s: {text[-500:]}")
                text += shell.recv(65536).decode(errors="replace").replace("\r", "")
        return text.partition("begin\n")[2].rpartition("end\n")[0].strip()

    @contextlib.contextmanager
    def _shell(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as shell:
            shell.connect(str(self.folder / "shell"))
            yield shell
