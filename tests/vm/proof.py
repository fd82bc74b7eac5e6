"""Power cuts on a real system: an emulated Debian machine is killed at spread moments of an update.

    python -m tests.vm.proof --images DIR [--installer slots|rauc] [--runs N] [--jobs N] [--write FILE]

A machine is booted once and saved when it has registered; every run goes on from a copy of it. A first
update is watched to its end to learn how long it takes. Then each run orders the update, cuts the power at its moment, switches the machine on again and waits for the end.
A run is good when the machine ends on the old or the new version, says so at the cloud in exactly one
final report that agrees with what runs, and its disk is consistent. Exit code 0 only if all are.
"""

# ruff: noqa: T201  # a command line prints

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from staging.client import OpenApiClient, OpenApiError
from tests.vm.emulator import Emulator, Images
from tools.bench import Bench
from tools.processes import Service, command

OLD, NEW = "1.0.0", "1.1.0"
BOOT_SECONDS, UPDATE_SECONDS = 240.0, 600.0
POLL_SECONDS = 0.5
# wire.ota: begin, downloading, downloaded and installing do not end an update.
UNDER_WAY = {0, 4, 5, 7}
CONFIG = """\
[ota]
installer = "{installer}"
confirm_timeout_seconds = 300
{rate}
[link]
keepalive_seconds = 3
"""
# A few hundred kilobytes in some seconds, so that cuts fall into the download too.
SLOTS_RATE = "max_bytes_per_second = 65536\n"
UID = 996
PROGRAMS = ("qemu-system-x86_64", "qemu-img", "mke2fs", "debugfs", "rauc", "mkfs.vfat", "mtype")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result:
    """One run: when the power went, what the update was doing, and how it ended."""

    run: int
    cut_at: float
    status_at_cut: str
    percent_at_cut: float | None
    slots_started: str
    status: str
    failure: str | None
    running: str
    finals: int
    seconds: float
    fault: str


class Site:
    """The cloud with its release, and the disks that every machine starts from."""

    def __init__(self, folder: Path, images: Path, installer: str) -> None:
        """Use ``folder`` for everything that is made here."""
        self.folder = folder
        self.images = Images(images / "vmlinuz", images / "initrd", images / f"root-{OLD}.ext4")
        self.installer = installer
        self.bench = Bench(folder)
        self.lock = threading.Lock()
        self.span: tuple[float, float] | None = None
        self._built = images
        self.client: OpenApiClient | None = None

    def open(self, devices: int) -> list[tuple[str, Path]]:
        """Start the cloud, release the new version; return each device's uuid and state disk."""
        self._start_cloud()
        self.client = self.bench.client()
        self._release()
        return [self._flash(number) for number in range(devices)]

    def _start_cloud(self) -> None:
        """Name it localhost: in the machine that is the host, as its /etc/hosts says."""
        words = ["serve", "--data", str(self.bench.cloud_data), "--host", "localhost"]
        ports = ["--api-port", "0", "--device-port", "0"]
        self.bench.cloud = Service("story-cloud", [*words, *ports], self.folder / "cloud.log")
        ready = self.bench.cloud.wait_for_line(r"ready api=(\S+) device=(\S+)")
        self.bench.api, self.bench.device_address = ready.groups()

    def _release(self) -> None:
        if self.installer == "rauc":
            package = make_bundle(self._built)
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
        """Make one device and the disk that holds what stays."""
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
        for path in (tree, *tree.rglob("*")):
            shutil.chown(path, UID, UID)
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
        """Have the cloud believe in the old version again, as the machine does that goes on from its copy."""
        with sqlite3.connect(self.database, timeout=30) as cloud:
            cloud.execute(
                "UPDATE devices SET os_version_id = (SELECT id FROM os_versions WHERE version = ?)"
                " WHERE uuid = ?",
                (OLD, uuid),
            )

    def finals(self, transaction: int) -> list[int]:
        """Return the final events that the cloud holds for an update."""
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30) as cloud:
            rows = cloud.execute(
                "SELECT event FROM ota_events WHERE task_id = ? AND event IS NOT NULL",
                (transaction,),
            ).fetchall()
        return [event for (event,) in rows if event not in UNDER_WAY]

    def ask(self, call: Callable[[OpenApiClient], T]) -> T | None:
        """Ask the open API; None while it cannot answer."""
        assert self.client is not None
        with self.lock:
            try:
                return call(self.client)
            except (OpenApiError, httpx.HTTPError):
                return None


def make_bundle(images: Path) -> Path:
    """Sign the new root image into a verity bundle, unless that was done."""
    image, path = images / f"root-{NEW}.ext4", images / f"{NEW}.raucb"
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
        # Small data blocks: a change costs the whole of the one it is in.
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
    """Make the partition that the firmware reads."""
    subprocess.run(["truncate", "-s", "16M", str(path)], check=True)
    subprocess.run(["mkfs.vfat", "-n", "SELECT", str(path)], check=True, capture_output=True)
    text = "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n"
    copy = ["mcopy", "-i", str(path), "-", "::autoboot.txt"]
    subprocess.run(copy, input=text.encode(), check=True)
    return path


class Run:
    """One machine's life from its first start to the end of its update."""

    def __init__(
        self, site: Site, uuid: str, state: Path, name: str, saved: Path | None = None
    ) -> None:
        """Prepare fresh disks, or those of the ``saved`` machine."""
        self.site = site
        self.uuid = uuid
        self._saved = saved is not None
        select = site.folder / "select.img" if site.installer == "rauc" else None
        self.machine = Emulator(site.folder / name, site.images, state, select, saved)

    def boot(self) -> None:
        """Start and wait until the cloud sees the old version."""
        if self._saved:
            self.site.forget_updates(self.uuid)
        self.machine.start()
        self._wait("registration of the old version", self._is_old, BOOT_SECONDS)

    def _is_old(self) -> bool:
        online = self.site.ask(lambda client: client.online([self.uuid]))
        return bool(online and online[self.uuid]) and self.version() == OLD

    def version(self) -> str:
        """Return the version that the cloud believes to run."""
        info = self.site.ask(lambda client: client.info(self.uuid))
        return str(info["osVersion"]) if info else ""

    def order(self) -> int:
        """Order the update; return its transaction."""
        offer: Any = self._wait(
            "offer", lambda: self.site.ask(lambda client: client.new_version(self.uuid)), 30.0
        )
        words = (self.uuid, offer["packageId"], offer["strategyId"])
        self._wait("order", lambda: self.site.ask(lambda client: client.update(*words)), 30.0)
        return int(self.status()["transaction"])

    def status(self) -> dict[str, Any]:
        """Return the cloud's view of the update."""
        task = self.site.ask(lambda client: client.update_status(self.uuid))
        if task is not None:
            task["transaction"] = task.get("otaTaskId") or task.get("taskId") or task.get("id")
        return task or {"status": "?", "transaction": 0}

    def finish(self) -> dict[str, Any]:
        """Keep the machine on until its update has ended and the device is back online."""

        def ended() -> dict[str, Any] | None:
            if self.machine.has_ended:
                self.machine.start()
            task = self.status()
            online = self.site.ask(lambda client: client.online([self.uuid]))
            if task["status"] not in {"SUCCESS", "FAILED"} or not (online and online[self.uuid]):
                return None
            return task

        return self._wait("end of the update", ended, UPDATE_SECONDS)

    def live(self, seconds: float) -> None:
        """Let the machine go on for a while; a restart of its own is carried out."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.machine.has_ended:
                self.machine.start()
            time.sleep(min(0.05, max(0.0, end - time.monotonic())))

    def _wait(self, what: str, look: Callable[[], T | None], timeout: float) -> T:
        deadline = time.monotonic() + timeout
        while not (found := look()):
            if time.monotonic() > deadline:
                tail = self.machine.serial()[-600:]
                raise TimeoutError(f"no {what} in {timeout:g} s; the machine said: {tail}")
            time.sleep(POLL_SECONDS)
        return found


def saved_machine(site: Site, uuid: str, state: Path) -> Path:
    """Boot a machine once and keep it as it is when it has registered; return where."""
    folder = site.folder / f"saved-{uuid}"
    if not folder.exists():
        run = Run(site, uuid, state, folder.name)
        try:
            run.boot()
            run.live(10.0)  # what follows a registration is told and written
            run.machine.save()
        finally:
            run.machine.cut_power()
    return folder


def learn(site: Site, uuid: str, state: Path) -> float:
    """Watch one update without a cut; return the seconds from order to end."""
    run = Run(site, uuid, state, "run-0", saved_machine(site, uuid, state))
    try:
        run.boot()
        run.order()
        began = time.monotonic()
        task = run.finish()
        took = time.monotonic() - began
        if task["status"] != "SUCCESS":
            raise RuntimeError(f"the update without a cut failed: {task}")
        return took
    finally:
        run.machine.cut_power()


def cut(site: Site, uuid: str, state: Path, number: int, at: float) -> Result:
    """Cut the power ``at`` seconds after the order, and see how it ends."""
    run = Run(site, uuid, state, f"run-{number}", saved_machine(site, uuid, state))
    began = time.monotonic()
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    finals: list[int] = []
    running = fault = ""
    try:
        run.boot()
        transaction = run.order()
        run.live(at)
        run.machine.cut_power()
        before = run.status()
        run.machine.start()
        after = run.finish()
        run.live(3.0)  # a second final report, or another version, would come now
        after, running, finals = run.status(), run.version(), site.finals(transaction)
        run.machine.cut_power()
        fault = judge(after, running, finals, run.machine.read_state("/story-agent/ota/task.json"))
    except Exception as error:  # noqa: BLE001  # a run that breaks is a result too
        fault = f"{type(error).__name__}: {error}"
    finally:
        run.machine.cut_power()
    return Result(
        number, round(at, 2), str(before.get("status")), before.get("percent"),
        " ".join(run.machine.starts), str(after.get("status")), after.get("failure"), running,
        len(finals), round(time.monotonic() - began, 1), fault,
    )  # fmt: skip


def judge(task: dict[str, Any], running: str, finals: list[int], record: str) -> str:
    """Say what is wrong with the end of a run; '' when nothing is."""
    expected = {"SUCCESS": (NEW, 10), "FAILED": (OLD, None)}[task["status"]]
    kept = json.loads(record) if record else {}
    checks = {
        f"{task['status']}, and {running} runs": running == expected[0],
        f"final events {finals}": len(finals) == 1 and (finals[0] == 10) == (expected[1] == 10),
        f"task.json says {kept.get('state')}": kept.get("state") == task["status"],
    }
    return "; ".join(text for text, right in checks.items() if not right)


def table(results: list[Result], took: float, installer: str) -> str:
    """Render the results as Markdown."""
    good = [result for result in results if not result.fault]
    new = sum(result.status == "SUCCESS" for result in good)
    head = f"### `{installer}`: {len(results)} power cuts, {len(good)} good"
    lines = [
        f"{head} ({new} ended on {NEW}, {len(good) - new} on {OLD})",
        "",
        f"An update without a cut took {took:.1f} s from order to end.",
        "",
        "| run | cut after | update was | slots started | ended | runs | final reports | fault |",
        "|---:|---:|---|---|---|---|---:|---|",
    ]
    for r in results:
        percent = "" if r.percent_at_cut is None else f" {r.percent_at_cut:.0%}"
        ended = r.status + (f": {r.failure}" if r.failure else "")
        fault = r.fault.replace("\n", " ").replace("|", "/")[:300]
        lines.append(
            f"| {r.run} | {r.cut_at:.2f} s | {r.status_at_cut}{percent} | {r.slots_started} | {ended}"
            f" | {r.running} | {r.finals} | {fault} |"
        )
    return "\n".join(lines) + "\n"


def prove(site: Site, runs: int, jobs: int) -> tuple[list[Result], float]:
    """Learn how long it takes, then cut ``runs`` times, ``jobs`` machines at a time."""
    flashed = site.open(jobs)
    assert site.client is not None
    for uuid, _disk in flashed:
        device = json.loads(
            command("story-cloud", "device", "profile", uuid, "--data", site.bench.cloud_data)
        )
        site.client.bind(uuid, device["bindToken"])
    if site.installer == "rauc":
        make_select(site.folder / "select.img")
    took = learn(site, *flashed[0])
    print(f"an update without a cut: {took:.1f} s", flush=True)
    low, high = site.span or (0.0, took * 1.02)
    moments = [low + (high - low) * (number + 0.5) / runs for number in range(runs)]

    def work(slot: int) -> list[Result]:
        uuid, disk = flashed[slot]
        results = []
        for number in range(slot, runs, jobs):
            result = cut(site, uuid, disk, number + 1, moments[number])
            print(json.dumps(asdict(result), ensure_ascii=False), flush=True)
            results.append(result)
        return results

    with ThreadPoolExecutor(jobs) as pool:
        parts = list(pool.map(work, range(jobs)))
    return sorted((result for part in parts for result in part), key=lambda r: r.run), took


def main() -> int:
    """Run the proof; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm.proof", description=__doc__)
    parser.add_argument(
        "--images", type=Path, required=True, help="what tools/vm/build_image.sh made"
    )
    parser.add_argument("--installer", choices=("slots", "rauc"), default="slots")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--span",
        type=float,
        nargs=2,
        help="seconds after the order to cut between, if not all of it",
    )
    parser.add_argument("--write", type=Path, help="file that the table goes to")
    options = parser.parse_args()
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        print(f"proof: not installed: {', '.join(missing)}", file=sys.stderr)
        return 2
    folder = (options.images / f"proof-{options.installer}").absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    site = Site(folder, options.images.absolute(), options.installer)
    site.span = options.span and tuple(options.span)
    try:
        results, took = prove(site, options.runs, options.jobs)
    finally:
        site.bench.stop()
    text = table(results, took, options.installer)
    print(text)
    if options.write:
        options.write.write_text(text, "utf-8")
    return int(any(result.fault for result in results))


if __name__ == "__main__":
    sys.exit(main())
