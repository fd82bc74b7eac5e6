"""The results of benchmarks: figures with their spread, the reference measurement, and the aim.

Every figure is measured in turns with its reference ("beside"), so that other load on the machine
affects both. The ratio is computed for each turn, and its median is compared with the aim.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import httpx

from agent.local.client import AgentUnreachableError
from staging.client import OpenApiError
from tools.processes import BenchError


@dataclass(frozen=True, slots=True)
class Spread:
    """The range of a repeated measurement."""

    minimum: float
    median: float
    maximum: float
    repeats: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise ``values``, of which there is at least one."""
        return cls(min(values), statistics.median(values), max(values), len(values))

    def __str__(self) -> str:
        middle, low, high = (number(v) for v in (self.median, self.minimum, self.maximum))
        return middle if low == high else f"{middle} ({low}-{high})"


@dataclass(frozen=True, slots=True)
class Aim:
    """The target for the median of the figure itself (``ours``), or of its ratio."""

    of: Literal["ours", "ratio"]
    sign: Literal["<", "≥"]
    limit: float

    def is_met(self, value: float) -> bool:
        """Return whether ``value`` meets the aim."""
        return value < self.limit if self.sign == "<" else value >= self.limit


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table; ``ratio`` is ours / beside, for each turn."""

    name: str
    unit: str
    ours: Spread
    beside_name: str
    beside: Spread
    ratio: Spread
    aim: Aim | None

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None if there is none."""
        if self.aim is None:
            return None
        return self.aim.is_met(self.ours.median if self.aim.of == "ours" else self.ratio.median)

    def to_json(self) -> dict[str, Any]:
        """Return the object for ``--json``."""
        return asdict(self) | {"met": self.met}

    def cells(self) -> list[str]:
        """Return the cells of the table's row."""
        aim, met = "", ""
        if self.aim is not None:
            unit = f" {self.unit}" if self.aim.of == "ours" else "x"
            aim = f"{self.aim.sign} {number(self.aim.limit)}{unit}"
            met = "met" if self.met else "NOT MET"
        beside = f"{self.beside} {self.unit}: {self.beside_name}"
        return [self.name, f"{self.ours} {self.unit}", beside, str(self.ratio), aim, met]


def figure(
    name: str,
    unit: str,
    ours: Sequence[float],
    beside_name: str,
    beside: Sequence[float],
    aim: Aim | None = None,
) -> Figure:
    """Make a figure from the turns of both sides, which are paired in order."""
    ratios = [own / other for own, other in zip(ours, beside, strict=True)]
    return Figure(
        name, unit, Spread.of(ours), beside_name, Spread.of(beside), Spread.of(ratios), aim
    )


def number(value: float) -> str:
    """Format with three significant digits and no exponent."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def table(figures: Sequence[Figure]) -> str:
    """Format as a Markdown table."""
    head = ["figure", "ours: median (min-max)", "beside", "ratio", "aim", "aim met"]
    rows = [head, *(each.cells() for each in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    )


def machine() -> dict[str, str]:
    """Describe the machine, without anything that identifies its owner."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith(("model name", "Model"))
    ]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": "Linux " + ".".join(platform.release().split(".")[:2]),
        "python": platform.python_version(),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def report(figures: Sequence[Figure], *, as_json: bool) -> None:
    """Print the figures and the machine that they were measured on."""
    if as_json:
        everything = {"machine": machine(), "figures": [each.to_json() for each in figures]}
        print(json.dumps(everything, ensure_ascii=False, indent=2))
        return
    print(table(figures))
    print("\n" + ", ".join(f"{name} {value}" for name, value in machine().items()))


# What makes a measurement impossible: a step of the bench that failed, a process that has gone.
FAULTS = (BenchError, OpenApiError, AgentUnreachableError, httpx.HTTPError, OSError)


def command_line(about: str | None, measure: Callable[[], list[Figure]]) -> int:
    """Parse the options, measure and print; returns the exit code, which ignores missed aims."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)  # so that child processes are ended
    try:
        report(measure(), as_json=options.json)
    except FAULTS as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmark: interrupted", file=sys.stderr)
        return 130
    return 0


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt
