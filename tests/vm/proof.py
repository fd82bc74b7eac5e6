"""Power cuts on a real system: an emulated Debian machine is killed in each phase of an update.

    python -m tests.vm.proof --images DIR [--installer slots|rauc] [--runs N] [--jobs N]
                             [--phases NAME,NAME] [--write FILE]
    python -m tests.vm.proof --images DIR --dead [--write FILE]

A machine is booted once and saved when it has registered; every run starts from a copy of it. A first
update runs to its end to measure the duration of its phases. Then each run orders the update,
cuts the power some seconds after its phase was detected, starts the machine again and waits
for the end. A run is good if the machine ends on the old or the new version, the cloud has exactly
one final report that agrees with it, and its disk is consistent. The exit code is 0 only if all runs are good.
"""

# ruff: noqa: T201  # a command line prints

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic as now
from typing import Any, TypeVar

from tests.vm.emulator import Emulator
from tests.vm.moments import OVER, PHASES, Aim, Signs, Watch, finals, spread
from tests.vm.site import NEW, OLD, Site, make_select
from tools.processes import command
from wire.ota import OtaEvent

# Emulation on a busy host is ten times slower than on an idle one.
BOOT_SECONDS, ORDER_SECONDS, UPDATE_SECONDS = 600.0, 120.0, 1800.0
POLL_SECONDS = 0.5
REGISTERED = "agent.link.reconnect: link: registered with"
# Between two checks of the update's phase.
WATCH_SECONDS = 0.05
PROGRAMS = ("qemu-system-x86_64", "qemu-img", "mke2fs", "debugfs", "rauc", "mkfs.vfat", "mtype")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result:
    """One run: the moment of the cut, the update's state at that moment, and how it ended."""

    run: int
    aim: str
    cut_at: float
    phase: str
    status_at_cut: str
    percent_at_cut: float | None
    slots_started: str
    status: str
    failure: str | None
    running: str
    finals: int
    seconds: float
    fault: str


class Run:
    """One machine, from its first start to the end of its update."""

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
        return self._is_back() and self.version() == OLD

    def _is_back(self) -> bool:
        """Whether it is online since its last start; the cloud may not have noticed that it was offline."""
        online = self.site.ask(lambda client: client.online([self.uuid]))
        return REGISTERED in self.machine.serial() and bool(online and online[self.uuid])

    def version(self) -> str:
        """Return the version that runs according to the cloud."""
        info = self.site.ask(lambda client: client.info(self.uuid))
        return str(info["osVersion"]) if info else ""

    def order(self) -> int:
        """Order the update; return its transaction."""
        offer: Any = self._wait(
            "offer",
            lambda: self.site.ask(lambda client: client.new_version(self.uuid)),
            ORDER_SECONDS,
        )
        words = (self.uuid, offer["packageId"], offer["strategyId"])
        self._wait(
            "order", lambda: self.site.ask(lambda client: client.update(*words)), ORDER_SECONDS
        )
        return int(self.status()["transaction"])

    def status(self) -> dict[str, Any]:
        """Return the cloud's view of the update."""
        task = self.site.ask(lambda client: client.update_status(self.uuid))
        if task is not None:
            task["transaction"] = task.get("otaTaskId") or task.get("taskId") or task.get("id")
        return task or {"status": "?", "transaction": 0}

    def finish(self) -> dict[str, Any]:
        """Run the machine until its update has ended and the device is back online."""

        def ended() -> dict[str, Any] | None:
            if self.machine.has_ended:
                self.machine.start()
            task = self.status()
            return task if self._is_back() and task["status"] in {"SUCCESS", "FAILED"} else None

        return self._wait("end of the update", ended, UPDATE_SECONDS)

    def watch(self, transaction: int, aim: Aim) -> Watch:
        """Run the machine, with its own restarts, until the ``aim`` is reached."""
        watch = Watch()
        deadline = now() + UPDATE_SECONDS
        while True:
            watch.look(Signs(self.site.events(transaction), self.machine.console()), now())
            if aim.is_reached(watch, now()):
                return watch
            if now() > deadline:
                raise TimeoutError(
                    f"still at {watch.phase} after {UPDATE_SECONDS:g} s: {self._tail()}"
                )
            self.live(WATCH_SECONDS)

    def live(self, seconds: float) -> None:
        """Run the machine, with its own restarts, for some seconds."""
        end = now() + seconds
        while now() < end:
            if self.machine.has_ended:
                self.machine.start()
            time.sleep(min(0.05, max(0.0, end - now())))

    def _wait(self, what: str, look: Callable[[], T | None], timeout: float) -> T:
        deadline = now() + timeout
        while not (found := look()):
            if now() > deadline:
                raise TimeoutError(f"no {what} in {timeout:g} s; {self._tail()}")
            time.sleep(POLL_SECONDS)
        return found

    def _tail(self) -> str:
        return f"the machine said: {self.machine.serial()[-600:]}"


def saved_machine(site: Site, uuid: str, state: Path) -> Path:
    """Boot a machine, save it when it has registered, and return its folder."""
    folder = site.folder / f"saved-{uuid}"
    if not folder.exists():
        run = Run(site, uuid, state, folder.name)
        try:
            run.boot()
            run.live(10.0)  # for the reports and writes that follow a registration
            run.machine.save()
        finally:
            run.machine.cut_power()
    return folder


def learn(site: Site, uuid: str, state: Path) -> dict[str, float]:
    """Run one update without a cut; return the duration in seconds of each phase."""
    run = Run(site, uuid, state, "run-0", saved_machine(site, uuid, state))
    try:
        run.boot()
        watch = run.watch(run.order(), Aim(OVER, 0.0))
        task = run.finish()
        if task["status"] != "SUCCESS":
            raise RuntimeError(f"the update without a cut failed: {task}")
        return watch.lengths()
    finally:
        run.machine.cut_power()


def cut(site: Site, uuid: str, state: Path, number: int, aim: Aim | None) -> Result:
    """Run one update, with a power cut at the ``aim`` if there is one; return the result."""
    run = Run(site, uuid, state, f"run-{number}", saved_machine(site, uuid, state))
    began = now()
    at, phase = 0.0, "?"
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    ends: list[int] = []
    running = fault = ""
    try:
        run.boot()
        transaction, ordered = run.order(), now()
        if aim is not None:
            phase = run.watch(transaction, aim).phase
            run.machine.cut_power()
            at = now() - ordered
            before = run.status()
            run.machine.start()
        run.finish()
        run.live(3.0)  # time for a wrong second final report, or another version
        after, running, ends = run.status(), run.version(), finals(site.events(transaction))
        run.machine.cut_power()
        fault = "; ".join([*judge(after, running, ends), *judge_disks(after, run.machine)])
    except Exception as error:  # noqa: BLE001  # a run that breaks is a result too
        fault = f"{type(error).__name__}: {error}"
    finally:
        run.machine.cut_power()
    return Result(
        number, f"{aim.phase} + {aim.offset:.2f} s" if aim else "nothing", round(at, 2), phase,
        str(before.get("status")), before.get("percent"), " ".join(run.machine.starts),
        str(after.get("status")), after.get("failure"), running, len(ends),
        round(now() - began, 1), fault,
    )  # fmt: skip


def judge(task: dict[str, Any], running: str, ends: list[int]) -> list[str]:
    """Return the faults in the cloud's records of the end."""
    expected, is_new = (NEW, True) if task["status"] == "SUCCESS" else (OLD, False)
    checks = {
        f"{task['status']}, and {running} runs": running == expected,
        f"final events {ends}": len(ends) == 1 and (ends[0] == OtaEvent.INSTALLED) == is_new,
    }
    return [text for text, right in checks.items() if not right]


def judge_disks(task: dict[str, Any], machine: Emulator) -> list[str]:
    """Return the faults on the disks of the machine, which is switched off."""
    folder = "/story-agent/ota"
    texts = machine.read_state(f"{folder}/task.json", f"{folder}/rauc.json")
    kept, rauc = (json.loads(text) if text else {} for text in texts)
    following, running = machine.chosen(), machine.starts[-1]
    checks = {
        f"task.json says {kept.get('state')}": kept.get("state") == task["status"],
        f"rauc.json has a trial: {rauc.get('trial')}": rauc.get("trial") is None,
        f"slot {following} starts next, {running} runs": following == running,
    }
    return [text for text, right in checks.items() if not right]


def table(results: list[Result], lengths: Mapping[str, float], installer: str) -> str:
    """Render the results as Markdown."""
    good = [result for result in results if not result.fault]
    new = sum(result.status == "SUCCESS" for result in good)
    head = f"### `{installer}`: {len(results)} power cuts, {len(good)} good"
    lines = [
        f"{head} ({new} ended on {NEW}, {len(good) - new} on {OLD})",
        "",
        f"An update without a cut took {sum(lengths.values()):.1f} s from order to end: "
        + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in lengths.items())
        + ".",
        "",
        "| run | aimed at | cut in | after the order | cloud said | slots started | ended | runs | final reports | fault |",
        "|---:|---|---|---:|---|---|---|---|---:|---|",
    ]
    for r in results:
        percent = "" if r.percent_at_cut is None else f" {r.percent_at_cut:.0%}"
        ended = r.status + (f": {r.failure}" if r.failure else "")
        fault = r.fault.replace("\n", " ").replace("|", "/")[:300]
        lines.append(
            f"| {r.run} | {r.aim} | {r.phase} | {r.cut_at:.1f} s | {r.status_at_cut}{percent}"
            f" | {r.slots_started} | {ended} | {r.running} | {r.finals} | {fault} |"
        )
    return "\n".join(lines) + "\n"


def open_site(site: Site, jobs: int) -> list[tuple[str, Path]]:
    """Create the devices of ``jobs`` machines, bound to the app; return their uuids and state disks."""
    flashed = site.open(jobs)
    assert site.client is not None
    for uuid, _disk in flashed:
        device = json.loads(
            command("story-cloud", "device", "profile", uuid, "--data", site.bench.cloud_data)
        )
        site.client.bind(uuid, device["bindToken"])
    if site.installer == "rauc":
        make_select(site.folder / "select.img")
    return flashed


def leave_dead_system(site: Site) -> tuple[str, bool]:
    """Update one machine to a system whose agent never starts; return the result, and if it is good."""
    result = cut(site, *open_site(site, 1)[0], 1, None)
    good = not result.fault and result.status == "FAILED"
    text = (
        f"A system whose agent never starts: {result.status}: {result.failure}; slots started:"
        f" {result.slots_started}; {result.running} runs; final reports: {result.finals};"
        f" {result.seconds:.0f} s in all. {result.fault}\n"
    )
    return text, good


def prove(
    site: Site, runs: int, jobs: int, phases: Sequence[str], keep: Callable[[str], None]
) -> tuple[list[Result], str]:
    """Measure the phases, then cut ``runs`` times, with ``jobs`` machines at a time; return the results and their table.

    ``keep`` gets the table of what is done after each run, so that a proof that is broken off leaves its results.
    """
    flashed = open_site(site, jobs)
    lengths = learn(site, *flashed[0])
    print("an update without a cut:", json.dumps(lengths), flush=True)
    aims = spread({name: lengths[name] for name in lengths if name in phases}, runs)
    results: list[Result] = []
    lock = threading.Lock()

    def work(slot: int) -> None:
        uuid, disk = flashed[slot]
        for number in range(slot, runs, jobs):
            result = cut(site, uuid, disk, number + 1, aims[number])
            print(json.dumps(asdict(result), ensure_ascii=False), flush=True)
            with lock:
                results.append(result)
                results.sort(key=lambda it: it.run)
                keep(table(results, lengths, site.installer))

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(work, range(jobs)))
    return results, table(results, lengths, site.installer)


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
        "--phases",
        type=lambda text: text.split(","),
        default=list(PHASES),
        help=f"cut in these alone, of {', '.join(PHASES)}",
    )
    parser.add_argument(
        "--dead", action="store_true", help="no cuts: the new system's agent never starts"
    )
    parser.add_argument("--write", type=Path, help="file that the table goes to")
    options = parser.parse_args()
    # Ctrl-C ends everything at once, the machines and the cloud too, without waiting for a run.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        print(f"proof: not installed: {', '.join(missing)}", file=sys.stderr)
        return 2
    installer = "rauc" if options.dead else options.installer
    folder = (options.images / f"proof-{installer}{'-dead' * options.dead}").absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    site = Site(folder, options.images.absolute(), installer, dead=options.dead)

    def keep(text: str) -> None:
        if options.write:
            options.write.write_text(text, "utf-8")

    try:
        if options.dead:
            text, good = leave_dead_system(site)
            keep(text)
        else:
            results, text = prove(site, options.runs, options.jobs, options.phases, keep)
            good = not any(result.fault for result in results)
    finally:
        site.bench.stop()
    print(text)
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
