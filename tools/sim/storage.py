"""All sequences of up to three of our own storage operations, each cut everywhere, with each loss.

    python -m tools.sim.storage [--length 3] [--only outbox,task] [--each N] [--limit N]

The power goes at each call that changes the disk. For each cut, what was not synced survives in every way of
`tools.sim.disk.ways` (nothing, all, the first calls, all but one, one alone; renames among them), for all files
and folders combined, up to ``--limit`` of them; the write under way may be torn at each sector. Then the
product's own code opens the store again, and what it had acknowledged must be there (`tools.sim.subjects`).
Cuts in the operations before the last are the shorter sequences' business. Exit code 0 only without a fault.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import gc
import hashlib
import itertools
import logging
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.amounts import whole
from tools.ending import folders, leave_nothing
from tools.sim.planted import plant_from_environment

plant_from_environment()  # before the product's modules are imported

from tools.sim import calls as system  # noqa: E402
from tools.sim.calls import Calls, Mount, bury, lay_out  # noqa: E402
from tools.sim.disk import (  # noqa: E402
    SECTOR,
    Change,
    Disk,
    File,
    Folder,
    Left,
    Write,
    after_cut,
    describe,
    split,
    survivals,
)
from tools.sim.sqlite_disk import SqliteDisk  # noqa: E402
from tools.sim.subjects import SUBJECTS, Subject  # noqa: E402


@dataclass(slots=True)
class Total:
    """What was tried of one subject."""

    sequences: int = 0
    cuts: int = 0
    states: int = 0
    seen: set[bytes] = dataclasses.field(default_factory=set)
    faults: list[str] = dataclasses.field(default_factory=list)


class Bench:
    """One disk, used again and again."""

    def __init__(self) -> None:
        """Replace the system's calls for the rest of the process."""
        self.calls: Calls = system.install()
        self.sqlite = SqliteDisk(self.calls, random.Random(1))  # noqa: S311  # a simulation
        self.root = Path(tempfile.mkdtemp(prefix="sim-storage-", dir=_memory()))
        folders.add(str(self.root))
        self.mount = Mount(str(self.root))
        self.calls.mounts.append(self.mount)

    def renew(self, left: Left) -> Path:
        """Begin with what a cut has left; return the folder."""
        self.sqlite.forget(self.mount)
        bury(self.calls, self.mount)
        self.mount.dead = True
        self.mount = lay_out(self.calls, self.mount, left)
        return self.root

    def close(self) -> None:
        """Remove the folder."""
        self.calls.mounts.clear()
        shutil.rmtree(self.root)


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # a folder of our own in there


NOTHING = Left({}, [], {}, {})


@dataclass(slots=True)
class Cut:
    """One moment at which the power may go: the disk then, and what was promised until then."""

    where: str
    disk: Disk
    subject: Subject


def cuts_in(bench: Bench, kind: str, names: Sequence[str]) -> list[Cut]:
    """Do operations once; return the moment of each call of the last one that changes the disk, and the end.

    What the product does after a cut reaches no disk, so a copy of both at the call is all that a run that ends
    there would leave.
    """
    bench.sqlite.rng = random.Random(1)  # noqa: S311  # a simulation
    subject = SUBJECTS[kind](bench.renew(NOTHING))
    steps = [subject.open, *(subject.operations[name] for name in names)]
    for step in steps[:-1]:
        step()
    found: list[Cut] = []
    mount = bench.mount
    mount.watch = lambda _what, _path: found.append(
        Cut(f"cut at call {len(found) + 1}", copy.deepcopy(mount.disk), _copied(subject))
    )
    steps[-1]()
    mount.watch = None
    return [*found, Cut("cut after the last call", copy.deepcopy(mount.disk), _copied(subject))]


def _copied(subject: Subject) -> Subject:
    """Return a subject that later operations do not change."""
    made: Subject = copy.copy(subject)
    for name, value in vars(subject).items():
        if isinstance(value, dict | set | list):
            setattr(made, name, value.copy())
    return made


def _promises(subject: Any) -> str:
    """Return all that a check compares with."""
    told = {
        name: sorted(value, key=repr) if isinstance(value, set) else value
        for name, value in vars(subject).items()
        if not callable(value) and (not name.startswith("_") or name == "_turn")
    }
    return repr(told)


def keepers(disk: Disk, limit: int) -> Iterator[dict[int, list[Write | Change]]]:
    """Yield, by node, what of the unsynced changes is on the disk."""
    nodes = dict(disk.unsynced())
    for way in survivals(disk, limit):
        yield {
            id(nodes[path]): [nodes[path].pending[n] for n in kept] for path, kept in way.items()
        }
    yield from _torn(nodes)


def _torn(nodes: dict[str, File | Folder]) -> Iterator[dict[int, list[Write | Change]]]:
    """Yield the last write of each file with each of its first sectors alone, and without its first one."""
    everything = {id(node): list[Write | Change](node.pending) for node in nodes.values()}
    for node in nodes.values():
        if isinstance(node, File) and node.pending:
            parts = split(node.pending[-1])
            for kept in [*(parts[:n] for n in range(1, len(parts))), parts[1:]]:
                if kept:
                    yield {**everything, id(node): [*node.pending[:-1], *kept]}
            # The sector that was being written may hold anything, where a sector is a unit of its own.
            if len(parts) == 1 and parts[0].data is not None and len(parts[0].data) == SECTOR:
                spoilt = Write(parts[0].at, b"\xa5" * SECTOR)
                yield {**everything, id(node): [*node.pending[:-1], spoilt]}


def lefts(disk: Disk, limit: int) -> Iterator[tuple[Left, str]]:
    """Yield what a cut may leave, each once, with what was lost in words."""
    seen = set()
    for kept in keepers(disk, limit):
        left = after_cut(disk, lambda _path, node, kept=kept: kept.get(id(node), []))  # type: ignore[misc]
        key = (tuple(left.files.items()), tuple(left.folders), tuple(left.links.items()))
        if key not in seen:
            seen.add(key)
            yield left, _lost(disk, kept)


def _lost(disk: Disk, kept: dict[int, list[Write | Change]]) -> str:
    found = []
    for path, node in disk.unsynced():
        there = {id(change) for change in kept.get(id(node), [])}
        found += [f"{path or '/'}: {describe(c)}" for c in node.pending if id(c) not in there]
    return "; ".join(found) or "nothing"


def try_sequence(bench: Bench, kind: str, names: Sequence[str], total: Total, limit: int) -> None:
    """Try all cuts in the last operation of a sequence; what was tried before, with the same promises, is not again."""
    total.sequences += 1
    for cut in cuts_in(bench, kind, names):
        total.cuts += 1
        promises = _promises(cut.subject)
        for left, lost in lefts(cut.disk, limit):
            total.states += 1
            key = _digest(left, promises)
            if key in total.seen:
                continue
            total.seen.add(key)
            bench.renew(left)
            found = _checked(_copied(cut.subject))
            if found:
                what = " + ".join(names) or "open"
                total.faults.append(
                    f"{kind}: {what}, {cut.where}, lost: {lost}: {'; '.join(found)}"
                )


def _digest(left: Left, promises: str) -> bytes:
    made = hashlib.blake2b(promises.encode(), digest_size=16)
    for path, data in sorted(left.files.items()):
        made.update(f"\0{path}\0{len(data)}\0".encode() + data)
    made.update(repr((sorted(left.folders), sorted(left.links.items()))).encode())
    return made.digest()


def _checked(subject: Subject) -> list[str]:
    try:
        return subject.check()
    except Exception as error:  # noqa: BLE001  # a store that raises is a fault as well
        return [f"{type(error).__name__}: {error}"]


def sequences(kind: str, length: int) -> Iterator[tuple[str, ...]]:
    """Yield the sequences of a subject's operations, the short ones first."""
    names = list(SUBJECTS[kind](Path("/nowhere")).operations)
    for count in range(length + 1):
        yield from itertools.product(names, repeat=count)


def main() -> int:
    """Try what the command line says; print the totals."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--length", type=whole(1), default=3, help="operations in a sequence, at most"
    )
    parser.add_argument("--only", default="", help="subjects, with commas")
    parser.add_argument("--each", type=whole(1), default=1, help="every N-th sequence")
    parser.add_argument("--limit", type=whole(1), default=400, help="states for each cut, at most")
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else list(SUBJECTS)
    if unknown := sorted({*chosen} - {*SUBJECTS}):
        parser.error(f"--only: got {', '.join(unknown)}, expected some of {', '.join(SUBJECTS)}")
    logging.disable(logging.CRITICAL)
    gc.disable()
    bench, began, faults = Bench(), time.process_time(), 0
    for kind in chosen:
        total = Total()
        for names in itertools.islice(sequences(kind, options.length), 0, None, options.each):
            try_sequence(bench, kind, names, total, options.limit)
            if total.sequences % 20 == 0:
                gc.collect()
        print(f"{kind}: {total.sequences} sequences, {total.cuts} cuts, {total.states} states ({len(total.seen)} unlike),"
              f" {len(total.faults)} faults, {time.process_time() - began:.0f} s of CPU", flush=True)  # fmt: skip
        for fault in total.faults[:20]:
            print(f"  {fault}")
        faults += len(total.faults)
    bench.close()
    return 1 if faults else 0


if __name__ == "__main__":
    leave_nothing()
    code = main()
    sys.stdout.flush()
    os._exit(code)  # connections of the dead are open still, and must not be closed now
