"""The initial state of the power-cut proof: the cloud with its release, and the machine's first disks."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx

from staging.client import OpenApiClient, OpenApiError
from tests.vm.emulator import Images
from tests.vm.moments import Event
from tools.bench import Bench
from tools.processes import Service, command

OLD, NEW = "1.0.0", "1.1.0"
CONFIG = """\
[ota]
installer = "{installer}"
confirm_timeout_seconds = 300
{rate}
[link]
keepalive_seconds = 3
"""
# A few hundred kilobytes then take some seconds, so that cuts fall into the download too.
SLOTS_RATE = "max_bytes_per_second = 65536\n"
AGENTS_USER = "story-agent"

T = TypeVar("T")


class Site:
    """The cloud with its release, and the disks that every machine starts from."""

    def __init__(self, folder: Path, images: Path, installer: str, *, dead: bool = False) -> None:
        """Create all files in ``folder``; ``dead``: the new system's agent never starts."""
        self.folder = folder
        self.images = Images(images / "vmlinuz", images / "initrd", images / f"root-{OLD}.ext4")
        self.installer = installer
        self.bench = Bench(folder)
        self.lock = threading.Lock()
        self._built = images
        self._dead = dead
        self.client: OpenApiClient | None = None

    def open(self, devices: int) -> list[tuple[str, Path]]:
        """Start the cloud, release the new version; return each device's uuid and state disk."""
        self._start_cloud()
        self.client = self.bench.client()
        self._release()
        return [self._flash(number) for number in range(devices)]

    def _start_cloud(self) -> None:
        """Name the server localhost: in the machine, /etc/hosts maps this name to the host."""
        words = ["serve", "--data", str(self.bench.cloud_data), "--host", "localhost"]
        ports = ["--api-port", "0", "--device-port", "0"]
        self.bench.cloud = Service("story-cloud", [*words, *ports], self.folder / "cloud.log")
        ready = self.bench.cloud.wait_for_line(r"ready api=(\S+) device=(\S+)")
        self.bench.api, self.bench.device_address = ready.groups()

    def _release(self) -> None:
        if self.installer == "rauc":
            image = self._built / f"root-{NEW}.ext4"
            package = make_bundle(self._built, kill_agent(image) if self._dead else image)
        else:
            package = self.folder / f"{NEW}.tar.gz"
            command("story-release", "build", "--version", NEW, "--output", package)
        words = ["release", "add", str(package), "--version", NEW]
        self.bench.story_cloud(*words, *(["--installer", "rauc"] * (self.installer == "rauc")))
        strategy = self.bench.story_cloud(
            "strategy", "add", "--version", NEW, "--type", "passive", "--from", OLD
        )
        self.bench.story_cloud("strategy", "publish", str(strategy["strategyId"]))

    def _flash(self, number: int) -> tuple[str, Path]:
        """Create one device and the disk with its persistent data."""
        device = self.bench.story_cloud("device", "add")
        tree = self.folder / f"flash-{number}"
        (tree / "etc").mkdir(parents=True)
        (tree / "story-agent").mkdir()
        profile = self.bench.story_cloud("device", "profile", device["uuid"])
        (tree / "etc" / "profile.json").write_text(json.dumps(profile))
        rate = SLOTS_RATE if self.installer == "slots" else ""
        (tree / "etc" / "agent.toml").write_text(CONFIG.format(installer=self.installer, rate=rate))
        root = self.bench.cloud_data / "tuf" / "metadata" / "1.root.json"
        shutil.copyfile(root, tree / "story-agent" / "root.json")
        uid = uid_in(self.images.root)
        for path in (tree, *tree.rglob("*")):
            shutil.chown(path, uid, uid)
        disk = self.folder / f"state-{number}.ext4"
        disk.touch()
        subprocess.run(["truncate", "-s", "512M", str(disk)], check=True)
        make = ["mke2fs", "-q", "-t", "ext4", "-L", "state", "-d", str(tree), str(disk)]
        subprocess.run(make, check=True)
        return str(device["uuid"]), disk

    @property
    def database(self) -> Path:
        """The cloud's database."""
        return self.bench.cloud_data / "cloud.sqlite"

    def forget_updates(self, uuid: str) -> None:
        """Delete all updates in the cloud, since the machine's copy has none either."""
        with sqlite3.connect(self.database, timeout=30) as cloud:
            cloud.execute(
                "UPDATE devices SET os_version_id = (SELECT id FROM os_versions WHERE version = ?)"
                " WHERE uuid = ?",
                (OLD, uuid),
            )
            # An update that a bad run left in progress would cause the next order to be refused.
            cloud.execute(
                "UPDATE ota_tasks SET status = 'FAILED', failure = 'left by a bad run'"
                " WHERE status NOT IN ('SUCCESS', 'FAILED')"
                " AND device_id = (SELECT id FROM devices WHERE uuid = ?)",
                (uuid,),
            )
            # The copy numbers its reports as the run before did, which the cloud would take for repeats.
            cloud.execute(
                "DELETE FROM report_epochs WHERE device_id = (SELECT id FROM devices WHERE uuid = ?)",
                (uuid,),
            )

    def events(self, transaction: int) -> list[Event]:
        """Return an update's events in the cloud, with their percent (0..1)."""
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30) as cloud:
            rows = cloud.execute(
                "SELECT event, percent FROM ota_events WHERE task_id = ? AND event IS NOT NULL"
                " ORDER BY id",
                (transaction,),
            ).fetchall()
        return [Event(*row) for row in rows]

    def ask(self, call: Callable[[OpenApiClient], T]) -> T | None:
        """Call the open API; None while it cannot answer."""
        assert self.client is not None
        with self.lock:
            try:
                return call(self.client)
            except (OpenApiError, httpx.HTTPError):
                return None


def uid_in(image: Path) -> int:
    """Return the agent's user id in a root image: sysusers gives the next that is free, after those of its groups."""
    reading = ["debugfs", "-R", "cat /etc/passwd", str(image)]
    passwd = subprocess.run(reading, check=True, capture_output=True, text=True).stdout
    entries = dict(line.split(":", 1) for line in passwd.splitlines() if ":" in line)
    if AGENTS_USER not in entries:
        raise RuntimeError(f"{image}: /etc/passwd has no {AGENTS_USER}: build the image anew")
    return int(entries[AGENTS_USER].split(":")[1])


def kill_agent(image: Path) -> Path:
    """Return a copy of a root image in which the agent exits as soon as it is started."""
    dead = image.with_name("root-dead.ext4")
    shutil.copyfile(image, dead)
    program = "/opt/story-agent/bin/story-agent"
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as script:
        script.write("#!/bin/sh\nexit 1\n")
        script.flush()
        for order in (
            f"rm {program}", f"write {script.name} {program}",
            f"set_inode_field {program} mode 0100755",
        ):  # fmt: skip
            command_line = ["debugfs", "-w", "-R", order, str(dead)]
            subprocess.run(command_line, check=True, capture_output=True)
    return dead


def make_bundle(images: Path, image: Path) -> Path:
    """Sign a root image as the new version's verity bundle, unless it exists."""
    path = images / f"{image.stem.removeprefix('root-')}.raucb"
    if path.exists() and path.stat().st_mtime > image.stat().st_mtime:
        return path
    path.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=images) as folder:
        Path(folder, "rootfs.img").hardlink_to(image)
        Path(folder, "manifest.raucm").write_text(
            f"[update]\ncompatible=story-machine\nversion={NEW}\n[bundle]\nformat=verity\n"
            "[image.rootfs]\nfilename=rootfs.img\nadaptive=block-hash-index\n"
        )
        keys = [f"--cert={images}/keyring.pem", f"--key={images}/rauc.key"]
        # Small data blocks: for any change, the whole block must be fetched.
        words = [
            "rauc",
            *keys,
            "bundle",
            "--mksquashfs-args=-b 64k -no-fragments",
            folder,
            str(path),
        ]
        subprocess.run(words, check=True, capture_output=True)
    return path


def make_select(path: Path) -> Path:
    """Create the partition that the firmware reads."""
    subprocess.run(["truncate", "-s", "16M", str(path)], check=True)
    subprocess.run(["mkfs.vfat", "-n", "SELECT", str(path)], check=True, capture_output=True)
    text = "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n"
    copy = ["mcopy", "-i", str(path), "-", "::autoboot.txt"]
    subprocess.run(copy, input=text.encode(), check=True)
    return path
