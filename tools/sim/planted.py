"""Bugs that are put into the product on purpose, by name: each must be found (docs/simulation.md).

    python -m tools.sim.planted [--only NAME] [--seeds N] [--write FILE]

Each is a change of one module's text, applied when that is imported, in a process of its own; nothing is written to
the tree. The exhaustive cuts of `tools.sim.storage` look for it, or the seeds of `tools.sim`. Exit code 0 only if
all are found.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import os
import re
import subprocess
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "SIM_PLANTED"


@dataclass(frozen=True, slots=True)
class Plant:
    """A bug: in ``module``, ``old`` becomes ``new``; ``by`` is "storage KIND LENGTH" or "seeds"."""

    name: str
    module: str
    old: str
    new: str
    by: str


PLANTS = (
    Plant("no fsync of a record", "base.files", "                    os.fsync(self._file.fileno())\n", "", "storage task 1"),
    Plant("no fsync of a record's folder", "base.files", "            fsync_path(self._path.parent)", "            pass", "storage task 1"),
    Plant("no fsync of a new folder's parent", "base.files", "    for path in reversed(missing):\n        fsync_path(path.parent)", "", "storage task 1"),
    Plant("a record is written in its place", "base.files", 'path.with_name(f".{path.name}.tmp")\n        self._mode', "path\n        self._mode", "storage task 2"),
    Plant("boot.json is written in its place", "ota.launch.boot", 'write_atomically(folder / "boot.json", text.encode(errors="replace"))', '(folder / "boot.json").write_bytes(text.encode(errors="replace"))', "storage launcher's record 2"),
    Plant("the task's folder is made without a sync", "ota.order.task", "    make_folder(path.parent)\n", "    path.parent.mkdir(parents=True, exist_ok=True)\n", "storage task 1"),
    Plant("the outbox does not sync its log", "agent.link.outbox_file", "PRAGMA synchronous=FULL", "PRAGMA synchronous=NORMAL", "storage outbox 1"),
    Plant("the outbox does not commit", "agent.link.outbox_file", "        with self._db as db:\n            ids =", "        for db in (self._db,):\n            ids =", "storage outbox 1"),
    Plant("`once` is not remembered", "agent.link.outbox_file", '            db.execute("INSERT OR IGNORE INTO once (name) VALUES (?)", (once,))\n            db.execute("DELETE', '            db.execute("DELETE', "storage outbox 1"),
    Plant("what is finished stays on the disk", "agent.link.outbox_store", "(at_once or len", "(len", "storage outbox 2"),
    Plant("salvage takes a torn page for the newest", "agent.link.sqlite_pages", "if end else {}", "if not log else {}", "storage outbox 2"),
    Plant("places are not synced", "resources.playing.position_store", "synchronous=FULL", "synchronous=NORMAL", "storage positions 1"),
    Plant("places are not committed", "resources.playing.position_store", "        with self._open_db as db:\n            for key, heard", "        for db in (self._open_db,):\n            for key, heard", "storage positions 1"),
    Plant("a beat is not synced", "resources.playing.beat_file", " | os.O_DSYNC", "", "storage positions 1"),
    Plant("both beats share a sector", "resources.playing.beat_file", "turn % 2 * BLOCK", "0 * turn", "storage positions 2"),
    Plant("a forgotten title keeps its beat", "resources.playing.position_store", "            self._beats.clear()", "            pass", "storage positions 2"),
    Plant("the floor of time is written in its place", "base.clock", "write_atomically(self._path, ", "self._path.write_bytes(", "storage trusted time 1"),
    Plant("a report is finished before it is sent", "agent.link.delivery", "        await _send(link, batch)\n        await outbox.finish(batch, at_once=False)", "        await outbox.finish(batch, at_once=False)\n        await _send(link, batch)", "seeds"),
    Plant("a dead peer is waited for 1000 times as long", "transport.liveness", "PATIENCE_SECONDS = 7.0", "PATIENCE_SECONDS = 7000.0", "seeds"),
    Plant("the link waits 1000 times as long", "agent.link.pace", "        return min(seconds, TRIAL_SECONDS) if self._on_trial() else seconds", "        return 1000 * seconds", "seeds"),
    Plant("the outbox is not delivered after a busy cloud", "agent.link.delivery", "            if await _ends_within(link, _wait_after(error, backoff)):", "            return\n            if await _ends_within(link, _wait_after(error, backoff)):", "seeds"),
    Plant("a knob is looked at 1000 times as rarely", "agent.watch", "WATCH_SECONDS = 60.0", "WATCH_SECONDS = 60000.0", "seeds"),
    Plant("a crashing version is tried 1000 times as often", "ota.launch.launch", "TRIAL_ATTEMPTS = 3", "TRIAL_ATTEMPTS = 3000", "seeds"),
    Plant("the microphone stays open when it is told to be off", "machine.microphone_switch", "            if self.close_first is not None:\n                await self.close_first(on=on)\n            if not on:", "            if not on:", "seeds"),
    Plant("a command has no deadline", "agent.link.guard", "        if remaining is None:", "        if remaining != 0.5:", "seeds"),
    Plant("the rules forbid nothing", "wire.rules", "        if self.begin < self.end:", "        if self.begin >= 0:\n            return False\n        if self.begin < self.end:", "seeds"),
    Plant("a change's nonce is kept in memory alone", "staging.store.nonces", "            return await self._database.write(apps.claim_nonce, used)", "            return True", "seeds"),
)  # fmt: skip


class Planter(importlib.abc.MetaPathFinder):
    """Changes one module's text at its import."""

    def __init__(self, plant: Plant) -> None:
        """Put ``plant`` in."""
        self._plant = plant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find the planted module alone; raises SystemExit if its text is not as expected."""
        del target
        if fullname != self._plant.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is None or spec.origin is None:
            return None
        text = Path(spec.origin).read_text("utf-8")
        if text.count(self._plant.old) != 1:
            raise SystemExit(f"planted: {self._plant.name}: {spec.origin} has another text now")
        spec.loader = _Changed(
            fullname, spec.origin, text.replace(self._plant.old, self._plant.new)
        )
        return spec


class _Changed(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> types.CodeType:
        del fullname
        code: types.CodeType = compile(self._text, self.path, "exec")
        return code


def plant_from_environment() -> None:
    """Put in the bug that the environment names, if it names one."""
    name = os.environ.get(VARIABLE, "")
    for plant in PLANTS:
        if plant.name == name:
            sys.meta_path.insert(0, Planter(plant))


def _command(plant: Plant, seeds: int) -> list[str]:
    kind, _, rest = plant.by.partition(" ")
    if kind == "seeds":
        return [
            "-m",
            "tools.sim",
            "--seeds",
            str(seeds),
            "--hours",
            "0.1",
            "--density",
            "40",
            "--settle",
            "600",
            "--stop",
        ]
    subject, _, length = rest.rpartition(" ")
    return ["-m", "tools.sim.storage", "--only", subject, "--length", length]


def look_for(plant: Plant, seeds: int) -> tuple[bool, str]:
    """Return whether a bug is found, and how."""
    environment = {**os.environ, VARIABLE: plant.name}
    done = subprocess.run(
        [sys.executable, *_command(plant, seeds)], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    if plant.by == "seeds":
        found = next((line for line in lines if re.match(r"seed \d+ fails", line)), "")
        return bool(found), found
    found = next((line.strip() for line in lines if line.startswith("  ")), "")
    return bool(found), found or done.stderr[-200:]


def main() -> int:
    """Look for all; write a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", default="", help="a part of the names")
    parser.add_argument("--seeds", type=int, default=500, help="at most")
    parser.add_argument("--write", type=Path, help="a file for the table")
    options = parser.parse_args()
    rows, missed = ["| bug | found by | how |", "|---|---|---|"], 0
    for plant in PLANTS:
        if options.only not in plant.name:
            continue
        is_found, how = look_for(plant, options.seeds)
        missed += not is_found
        text = how[:160].replace("|", "/") if is_found else "**not found** " + how[:160]
        rows.append(f"| {plant.name} | {plant.by} | {text} |")
        print(rows[-1], flush=True)
    if options.write:
        options.write.write_text("\n".join([*rows, ""]), "utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
