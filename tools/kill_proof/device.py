"""A device of the proof: its disk, its agent, its kills, and the checks after an update."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from agent.local import SOCKET_NAME
from agent.local.client import AgentUnreachableError, LocalClient
from ota.launch.launch import TRIAL_ATTEMPTS
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
# Seconds between calls of `Device.tend`.
TICK = 0.01


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
        self.agent: Service | None = None
        self.chance = random.Random(number)  # noqa: S311  # for timing, not secrets
        self.excused = False
        """Whether a kill hit a moment after which the update may end in FAILED."""
        self.endings: list[str] = []
        """The exits of the agent that were neither requested nor kills."""

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
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.copytree(self._fresh, self.state)
        with sqlite3.connect(database, timeout=30) as cloud:
            cloud.execute(
                "UPDATE devices SET os_version_id = (SELECT id FROM os_versions WHERE version = ?)"
                " WHERE uuid = ? AND os_version_id IN (SELECT id FROM os_versions WHERE version = ?)",
                (OLD, self.uuid, NEW),
            )
        self.chance, self.excused, self.endings = chance, False, []
        self.switch_on()

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

    @abstractmethod
    def close(self) -> None:
        """Stop what runs across updates."""

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

    def start_agent(self) -> Service:
        """Start the base installation, which runs the active release."""
        return Service("story-agent", self.words, self.folder / "agent.log")

    def note_kill(self) -> None:
        """Excuse the update if this killed the last start of its trial, which causes a rollback."""
        trial = self.read_json("slots/boot.json").get("trial")
        self.excused |= trial is not None and trial["attempts"] >= TRIAL_ATTEMPTS

    def close(self) -> None:
        """Do nothing: the agent is stopped after each update."""

    def faults(self, *, succeeded: bool) -> dict[str, bool]:
        """Check boot.json, the releases and the download."""
        boot = self.read_json("slots/boot.json")
        releases = self.state / "slots" / "releases"
        broken = [entry for entry in releases.glob("*") if not (entry / "release.json").is_file()]
        left = [*broken, *(self.state / "ota" / "download").glob("*")]
        return {
            f"still on trial: {boot.get('trial')}": boot.get("trial") is not None,
            f"active is {boot.get('active')}": boot.get("active") != (NEW if succeeded else None),
            f"left behind: {left}": bool(left),
        }
