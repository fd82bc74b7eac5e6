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

ASK_SECONDS = 120.0
# The kernel's line before a restart with an argument, for example `reboot "0 tryboot"`.
_TRYBOOT = re.compile(r"reboot: Restarting system with command '0 tryboot'")
_RESTART = re.compile(r"reboot: Restarting system")
_SLOTS = {2: "A", 3: "B"}
_WAV_HEAD = 44
# A clock that counts: each instruction takes 1 ns, so that the whole machine does 1000 million in a second, with one core. A
# Pi's core of 1.0 to 1.5 GHz does about as many, and it has four. While all wait for the card or the network, host time passes.
_COUNTED = ("-icount", "shift=0,sleep=on")
# The agent's lines reach the journal by its socket, so that a unit's journal+console does not show them.
_LOG = "systemd.journald.forward_to_console=1"
# A card of the application class A1 (1500 reads and 500 writes of 4 KiB a second) behind a Pi 3, whose bus takes 25 MB/s.
_CARD = "throttling.bps-total=20000000,throttling.iops-read=1500,throttling.iops-write=500"


@dataclass(frozen=True, slots=True)
class Machine:
    """What QEMU emulates for an architecture.

    Attributes:
        program: QEMU's.
        processors: how many.
        words: board, memory and devices but disk, sound and network.
        disk: what is added to the drive's words.
        network: the network card.
        sound: the sound card, of the audio device "sound"; none: the emulator has not that of the board.
        tree: the device tree on the boot partition, which a Pi's firmware would choose.
        console: words for the kernel, by which the bench reads a console that nobody reads in a home.
        counts: whether its clock counts instructions at every start.
        patience: how many times the bench's deadlines it gets.
    """

    program: str
    processors: int
    words: tuple[str, ...]
    disk: str
    network: str
    sound: tuple[str, ...] = ()
    tree: str = ""
    console: str = ""
    counts: bool = False
    patience: int = 1


MACHINES = {
    "amd64": Machine(
        "qemu-system-x86_64",
        2,
        ("-m", "512", "-no-user-config", "-nodefaults", "-device", "virtio-rng-pci", "-device", "i6300esb", "-action", "watchdog=reset"),
        "if=virtio",
        "virtio-net-pci",
        ("-device", "intel-hda", "-device", "hda-output,audiodev=sound"),
        console=_LOG,
    ),
    # Its Wi-Fi, its sound and its own network chip are not emulated: a USB one takes their place. The first serial port is the
    # radio's. Its watchdog resets at once where it is to begin to count (QEMU's bcm2835_powermgt), so that systemd gets none.
    "arm64": Machine(
        "qemu-system-aarch64",
        4,
        ("-M", "raspi3b", "-serial", "null"),
        "if=sd",
        "usb-net",
        tree="bcm2837-rpi-3-b.dtb",
        console="console=ttyS1,115200 loglevel=4 systemd.show_status=false systemd.watchdog_sec=off systemd.watchdog_device=/dev/null " + _LOG,
        # Nothing in this image is made for an emulator: with the host's clock a busy host lets systemd's waits for the card end
        # before the card has been looked at.
        counts=True,
        patience=8,
    ),
}  # fmt: skip


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

    def __init__(self, folder: Path, board: Board) -> None:
        """Use the card in ``folder``, of a run before, or the one that `flash` makes there."""
        self.folder = folder
        self.starts: list[str] = []
        self._partitions = {it.name: it for it in lay_out(board)}
        self._machine = MACHINES[board.architecture]
        self._process: subprocess.Popen[bytes] | None = None
        self._lost_power = True
        self.disk = folder / "card.raw"

    def flash(self, image: Path, size_mib: int) -> None:
        """Write ``image`` to a new card of ``size_mib``."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
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

    def names(self) -> list[str]:
        """Return what lies on the first partition, as a person with a card reader sees it; while it is off."""
        return self._mtools("mdir", "-b", "::").decode().split()

    def start(self, clock: str = "", *, counted: bool = False, words: str = "") -> None:
        """Switch it on.

        Args:
            clock: its real-time clock's time, such as "1970-01-01T00:00:00".
            counted: whether its clock counts instructions instead of the host's seconds; its card has limits then.
            words: more for the kernel, by which a start is made to fail.
        """
        asked = not self._lost_power and _TRYBOOT.search(self.serial())
        autoboot = self._mtools("mtype", "::autoboot.txt").decode()
        number = choose_partition(autoboot, tryboot=bool(asked))
        boot = "boot-" + _SLOTS[number].lower()
        config = self._mtools("mtype", "::config.txt", partition=boot).decode()
        chosen = choose_files(config, number)
        for name, target in ((chosen.kernel, "kernel"), (chosen.initramfs, "initramfs")):
            self._mtools("mcopy", "-o", f"::{name}", str(self.folder / target), partition=boot)
        line = self._mtools("mtype", f"::{chosen.cmdline}", partition=boot).decode().strip()
        if self._machine.tree:
            self._mtools("mcopy", "-o", f"::{self._machine.tree}", str(self.folder / "tree"), partition=boot)  # fmt: skip
        self._lost_power = False
        self.starts.append(_SLOTS[number])
        self._run(f"{line} {self._machine.console} {words}", ["-rtc", f"base={clock}"] if clock else [], counted=counted)  # fmt: skip

    def _run(self, line: str, more: list[str], *, counted: bool) -> None:
        number, machine = len(self.starts), self._machine
        for stale in ("shell", f"serial-{number}.log", f"sound-{number}.wav"):
            (self.folder / stale).unlink(missing_ok=True)
        counts = counted or machine.counts
        accelerator = "tcg,thread=single" if counts else "tcg,thread=multi"
        disk = f"file={self.disk},format=raw,{machine.disk},cache=writeback"
        command = [
            machine.program, *machine.words, "-accel", accelerator, *(_COUNTED if counts else ()),
            "-smp", "1" if counted else str(machine.processors), "-display", "none", "-no-reboot",
            "-serial", f"file:{self.folder}/serial-{number}.log",
            "-serial", f"unix:{self.folder}/shell,server=on,wait=off",
            "-kernel", str(self.folder / "kernel"), "-initrd", str(self.folder / "initramfs"), "-append", line,
            *(["-dtb", str(self.folder / "tree")] if machine.tree else []),
            "-drive", f"{disk},{_CARD}" if counted else disk,
            "-netdev", "user,id=net", "-device", f"{machine.network},netdev=net",
            *(["-audiodev", f"wav,id=sound,path={self.folder}/sound-{number}.wav", *machine.sound] if machine.sound else []),
            *more,
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
    def patience(self) -> int:
        """How many times the bench's deadlines this machine gets."""
        return self._machine.patience

    @property
    def has_ended(self) -> bool:
        """Whether it has restarted or powered off: QEMU exits then."""
        return self._process is None or self._process.poll() is not None

    def restart(self) -> None:
        """Ask for an orderly restart; QEMU may be gone before the shell has said its last."""
        with contextlib.suppress(ConnectionError):
            self.ask("sync; systemctl --no-block reboot")

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

    def loudness(self, since: int = 0) -> int:
        """Return the loudest sample, 0 to 32767, of what it has played since its start, or after ``since`` bytes of it."""
        # QEMU completes the header at its end only.
        data = (
            self._sound.read_bytes()[_WAV_HEAD + since // 2 * 2 :] if self._sound.exists() else b""
        )
        samples = memoryview(data[: len(data) // 2 * 2]).cast("h")
        return max((abs(it) for it in samples), default=0)

    @property
    def heard_bytes(self) -> int:
        """How many bytes of sound it has played since its start."""
        return max(0, self._sound.stat().st_size - _WAV_HEAD) if self._sound.exists() else 0

    @property
    def _sound(self) -> Path:
        return self.folder / f"sound-{len(self.starts)}.wav"

    def ask(self, command: str, seconds: float = ASK_SECONDS) -> str:
        """Run a command in its root shell and return the output; raises TimeoutError, or ConnectionError when it goes off."""
        with self._shell() as shell:
            shell.settimeout(seconds)
            shell.sendall(f"\nstty -echo -onlcr; echo be''gin; {command}\necho e''nd\n".encode())
            text, end = "", time.monotonic() + seconds
            while "end\n" not in text.partition("begin\n")[2]:
                if time.monotonic() > end:
                    raise TimeoutError(f"no answer to {command!r} in {seconds:g} s: {text[-500:]}")
                if not (data := shell.recv(65536)):
                    raise ConnectionError(f"the machine went off at {command!r}: {text[-500:]}")
                text += data.decode(errors="replace").replace("\r", "")
        return text.partition("begin\n")[2].rpartition("end\n")[0].strip()

    @contextlib.contextmanager
    def _shell(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as shell:
            shell.connect(str(self.folder / "shell"))
            yield shell
