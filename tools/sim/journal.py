"""What a machine's event journal (`agent.event_journal`) says was done to it, as steps for a simulated one. Pure.

Of each line a step is made, or none: what has no value there (a free text, a refused order), and what the simulation
has no part for, is counted as left out. Times are seconds since the first line.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAME = "events.jsonl"
# Bytes of the journal in a bundle, and days between two lines that are believed: a machine's clock may be set.
SIZE_MAX, GAP_MAX = 8 * 1024 * 1024, 2 * 86400.0
# Bytes of a whole bundle, unpacked: those of machines have a tenth of it.
UNPACKED_MAX = 256 * 1024 * 1024
# Seconds before a start at which the process before it is killed; the service manager takes about so long.
RESTART_SECONDS = 2.0
_TITLE = re.compile(r"title (\d{1,6})")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done again: ``what`` is "order", "update", "cancel", "network", "kill", "power" or "stop".

    Attributes:
        words: of an order: by whom, its name and value; of an update: its version; of the network: "up" or "down".
    """

    at: float
    what: str
    words: tuple[str, ...] = ()


@dataclass(slots=True)
class Plan:
    """What is done again, for how many seconds, what not, and how often each key was reported."""

    steps: list[Step] = field(default_factory=list)
    seconds: float = 0.0
    left_out: Counter[str] = field(default_factory=Counter)
    reports: Counter[str] = field(default_factory=Counter)


def read_bundle(path: Path) -> list[str]:
    """Return the journal's lines of an archive of ``story-agent diag``, or of a journal's file itself.

    Raises ValueError if there is none, OSError.
    """
    data = path.read_bytes()
    if data[:2] != b"\x1f\x8b":
        return data[-SIZE_MAX:].decode("utf-8", "replace").splitlines()
    try:
        # To its end: the checksum stands there, and lines of a damaged archive are no journal.
        with gzip.open(io.BytesIO(data)) as packed:
            archive = packed.read(UNPACKED_MAX + 1)
        if len(archive) > UNPACKED_MAX:
            raise ValueError(
                f"{path}: more than {UNPACKED_MAX} bytes, expected an archive of story-agent diag"
            )
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for info in tar:
                if (
                    Path(info.name).name == NAME
                    and info.isreg()
                    and (file := tar.extractfile(info))
                ):
                    return file.read(SIZE_MAX).decode("utf-8", "replace").splitlines()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ValueError(
            f"{path}: no archive of story-agent diag, or a damaged one: {error}"
        ) from error
    raise ValueError(f"{path}: it has no {NAME}: made by an agent before the event journal")


def make_plan(lines: Iterable[str]) -> Plan:
    """Return what to do again."""
    plan, last, boot, ended = Plan(), None, "", True
    for line in _objects(lines, plan):
        at, what = float(line["at"]), str(line.get("what"))
        # Since the line before: a clock that was set is no time that has passed.
        gap = 0.0 if last is None else at - last
        plan.seconds += gap if 0 <= gap <= GAP_MAX else 0.0
        last = at
        if what == "start":
            if not ended:
                cut = "kill" if line.get("boot") == boot else "power"
                plan.steps.append(Step(max(0.0, plan.seconds - RESTART_SECONDS), cut))
            boot, ended = str(line.get("boot")), False
        elif what == "end":
            ended = True
            if not line.get("restart"):  # that of an update comes by itself
                plan.steps.append(Step(plan.seconds, "stop"))
        elif what == "report":
            plan.reports[str(line.get("key"))] += 1
        elif (step := _step(plan.seconds, what, line)) is not None:
            plan.steps.append(step)
        else:
            plan.left_out[_named(what, line)] += 1
    plan.steps.sort(key=lambda step: step.at)
    return plan


def _objects(lines: Iterable[str], plan: Plan) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict) and _is_time(found.get("at")):
            yield found
        elif isinstance(found, dict) and found.get("what") == "lost":
            plan.left_out["lost on the machine"] += 1
        elif line.strip():
            plan.left_out["a line that is none"] += 1


def _is_time(at: object) -> bool:
    return isinstance(at, int | float) and not isinstance(at, bool) and 0 <= at < 1e11


def _step(at: float, what: str, line: Mapping[str, Any]) -> Step | None:
    match what:
        case "link":
            return Step(at, "network", ("up" if line.get("up") else "down",))
        case "update" if line.get("code") == "2.04":
            return Step(at, "update", (str(line.get("version")),))
        case "cancel":
            return Step(at, "cancel")
        case "order" if isinstance(line.get("value"), str):
            return Step(at, "order", (str(line.get("by")), str(line.get("name")), line["value"]))
    return None


def _named(what: str, line: Mapping[str, Any]) -> str:
    words = {"order": "name", "button": "key", "listened": "end", "update": "code"}
    return f"{what} {line.get(words.get(what, ''), '')}".strip()[:80]


def title_number(value: str) -> int | None:
    """Return the number of "title 3", None for another value."""
    found = _TITLE.fullmatch(value)
    return int(found[1]) if found else None
