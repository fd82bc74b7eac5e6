"""A device of the proof: its disk, its agent, its kills, and the checks after an update."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import shutil
import sqlite3
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from agent.local import SOCKET_NAME
from agent.local.client import AgentUnreachableError, LocalClient
from ota.launch.launch import TRIAL_ATTEMPTS
from ota.launch.signed import find_difference
from tools.bench import Bench
from tools.processes import BenchError, Service

OLD, NEW = "1.0.0", "1.1.0"
# At this rate the download takes about a second, so that some kills hit it.
CONFIG = """\
[ota]
installer = "{installer}"
max_bytes_per_second = 393216
[link]
retry_max_seconds = 2
"""
# Of STATE: some releases and downloads of a megabyte, and the reserve that an update leaves.
DISK_BYTES = 48 * 2**20
_CLONE_NEWNS = 0x20000
# Seconds between calls of `Device.tend`.
TICK = 0.01


def mount_small_disk(folder: Path) -> bool:
    """Mount a disk of `DISK_BYTES` on ``folder``, in this process's own mount namespace; False without root."""
    folder.mkdir(exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0750", "tmpfs", str(folder)]
    done = subprocess.run(words, capture_output=True, check=False)
    return done.returncode == 0


def enter_namespace() -> None:
    """Give this process mounts of its own, which end with it; must come before any thread."""
    if os.geteuid() == 0 and ctypes.CDLL(None).unshare(_CLONE_NEWNS) == 0:
        subprocess.run(["mount", "--make-rprivate", "/"], check=False)


class Device(ABC):
    """One device; each update begins with the state that it was flashed with."""

    installer: str
    kills = (1, 4)
    """Minimum and maximum number of kills in an update."""

    def __init__(self, bench: Bench, number: int) -> None:
        """Add the device to the cloud and flash it, in a folder below ``bench``'s."""
        self.folder = bench.folder / f"device-{number}"
        self.folder.mkdir()
        made = bench.story_cloud("device", "add")
        self.uuid, self.bind_token = made["uuid"], made["bindToken"]
        profile = bench.story_cloud("device", "profile", self.uuid)
        (self.folder / "profile.json").write_text(json.dumps(profile))
        (self.folder / "agent.toml").write_text(CONFIG.format(installer=self.installer))
        self._fresh = self.folder / "fresh"
        self._fresh.mkdir(mode=0o750)
        root = bench.cloud_data / "tuf" / "metadata" / "1.root.json"
        shutil.copyfile(root, self._fresh / "root.json")
        # Beside the settings: the base starts what this root vouches for alone (docs/adr/0045).
        shutil.copyfile(root, self.folder / "root.json")
        self.small_disk = mount_small_disk(self.state)
        """Whether STATE is a disk of its own, which `fill_disk` can fill."""
        self.agent: Service | None = None
        self.chance = random.Random(number)  # noqa: S311  # for timing, not secrets
        self.excused = False
        """Whether a kill hit a moment after which the update may end in FAILED."""
        self.endings: list[str] = []
        """The exits of the agent that were neither requested nor kills."""
        self.dies = False
        """Whether the agent may end by itself: its release was damaged."""
        self.was_full = False
        """Whether its disk was full in this update."""

    @property
    def state(self) -> Path:
        """The agent's STATE folder of the running update."""
        return self.folder / "state"

    @property
    def words(self) -> list[str | Path]:
        """The agent's command line."""
        words: list[str | Path] = ["run", "--profile", self.folder / "profile.json"]
        return [*words, "--config", self.folder / "agent.toml", "--state", self.state]

    def begin(self, database: Path, chance: random.Random) -> None:
        """Restore the initial state of the device, in the cloud too, and switch the machine on."""
        for entry in self.state.iterdir() if self.state.exists() else ():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        shutil.copytree(self._fresh, self.state, dirs_exist_ok=True)
        with sqlite3.connect(database, timeout=30) as cloud:
            cloud.execute(
                "UPDATE devices SET os_version_id = (SELECT id FROM os_versions WHERE version = ?)"
                " WHERE uuid = ? AND os_version_id IN (SELECT id FROM os_versions WHERE version = ?)",
                (OLD, self.uuid, NEW),
            )
        self.chance, self.excused, self.endings, self.dies = chance, False, [], False
        self.was_full = False
        self.switch_on()

    @property
    def tells_its_version(self) -> bool:
        """Whether the cloud hears which version runs after each start."""
        return True

    def live(self, seconds: float) -> None:
        """Let the machine run for ``seconds``."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.tend()
            time.sleep(min(TICK, left))

    def status(self) -> dict[str, Any]:
        """Return the agent's status, or {} while it does not answer."""
        try:
            answer = LocalClient(self.state / SOCKET_NAME).request("GET", "/status")
        except AgentUnreachableError:
            return {}
        return dict(json.loads(answer.body))

    def step(self) -> str:
        """Return the update's on-disk step, "" before the first."""
        return str(self.read_json("ota/task.json").get("step", ""))

    def read_json(self, name: str) -> dict[str, Any]:
        """Return a JSON file of STATE, or {} if it does not exist."""
        try:
            return dict(json.loads((self.state / name).read_bytes()))
        except FileNotFoundError:
            return {}

    def tend(self) -> None:
        """Do what the machine does by itself: restart an agent that exited, as systemd does."""
        if self.agent is not None and self.agent.process.poll() is not None:
            if not self.dies:
                self.endings.append(f"the agent ended with {self.agent.process.returncode}")
            self.agent = self.start_agent()

    def kill_agent(self) -> None:
        """Kill the agent with SIGKILL and start it again."""
        if self.agent is None:
            raise BenchError("no agent to kill")
        self.agent.process.kill()
        self.agent.process.wait()
        self.note_kill()
        self.agent = self.start_agent()

    def fill_disk(self) -> str:
        """Fill STATE's disk to the last byte for a while, half of the time with a kill in it."""
        ballast = self.state / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            for size in (2**20, 4096):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)):
                        continue
        self.excused = True  # an update that finds no room may fail, with that reason
        self.was_full = True
        self.live(self.chance.uniform(0.3, 4.0))
        if self.chance.random() < 0.5:
            self.kill()
            self.live(self.chance.uniform(0.3, 2.0))
        ballast.unlink(missing_ok=True)
        return "full disk"

    def damage(self) -> str | None:
        """Damage the release that runs, and kill the agent; return what was damaged, None if nothing can be."""
        return None

    @abstractmethod
    def note_kill(self) -> None:
        """Set `excused` if the update may end in FAILED; called before anything is restarted."""

    def kill(self) -> str:
        """Kill something and start it again; returns what was killed."""
        self.kill_agent()
        return "agent"

    def stop(self) -> None:
        """Stop the processes of the update."""
        if self.agent is not None:
            self.agent.stop()
            self.agent = None

    def close(self) -> None:
        """Stop what runs across updates."""
        if self.small_disk:
            subprocess.run(["umount", "-l", str(self.state)], capture_output=True, check=False)

    def describe(self) -> str:
        """Describe the update's step and the agent's last line, for an error message."""
        tail = self.agent.tail() if self.agent is not None else "(no agent)"
        return f"step {self.step()!r}, {self.endings}, the agent's last line: {tail}"

    @abstractmethod
    def start_agent(self) -> Service:
        """Start the agent in the version that must run now."""

    def switch_on(self) -> None:
        """Start the processes of a newly flashed machine."""
        self.agent = self.start_agent()

    @abstractmethod
    def faults(self, *, succeeded: bool) -> dict[str, bool]:
        """Check the disk after an update: for each possible fault, whether it is there."""


class SlotsDevice(Device):
    """A device whose releases are folders of the agent."""

    installer = "slots"

    def __init__(self, bench: Bench, number: int) -> None:
        """Set up the device; every second one has no root beside its settings."""
        super().__init__(bench, number)
        self.is_anchored = number % 2 == 0
        if not self.is_anchored:
            (self.folder / "root.json").unlink()

    def start_agent(self) -> Service:
        """Start the base installation, which runs the active release."""
        return Service("story-agent", self.words, self.folder / "agent.log")

    def damage(self) -> str | None:
        """Empty, cut or change one of the release's files; without a root beside the settings, one that it starts by."""
        lib = self.state / "slots" / "releases" / NEW / "lib"
        files = [path for path in sorted(lib.rglob("*.py")) if path.stat().st_size > 1]
        cuts = [0.0, 0.5]
        if not self.is_anchored:  # nobody looks before it dies
            files, cuts = (
                [lib / "agent" / name for name in ("cli.py", "daemon.py", "app.py")],
                [0.0],
            )
        path = self.chance.choice(files)
        data = path.read_bytes()
        cut = data[: int(len(data) * self.chance.choice(cuts))]
        changed = self.chance.choice([cut, b"\0" * len(data)])
        path.write_bytes(changed)
        self.dies = True
        self.kill_agent()
        return f"{path.relative_to(lib)} ({len(changed)} of {len(data)} bytes)"

    def note_kill(self) -> None:
        """Excuse the update if this killed the last start of its trial, which causes a rollback."""
        trial = self.read_json("slots/boot.json").get("trial")
        self.excused |= trial is not None and trial["attempts"] >= TRIAL_ATTEMPTS

    def faults(self, *, succeeded: bool) -> dict[str, bool]:
        """Check boot.json, the releases and the download."""
        boot = self.read_json("slots/boot.json")
        releases = self.state / "slots" / "releases"
        broken = [entry for entry in releases.glob("*") if not (entry / "release.json").is_file()]
        left = [*broken, *(self.state / "ota" / "download").glob("*")]
        release = releases / NEW
        other = succeeded and find_difference(release, NEW, release / "signed" / "package.tar.gz")
        return {
            f"the release: {other}": bool(other),
            f"still on trial: {boot.get('trial')}": boot.get("trial") is not None,
            f"active is {boot.get('active')}": boot.get("active") != (NEW if succeeded else None),
            f"left behind: {left}": bool(left),
        }
