"""What a fleet measures, and how it is told. No I/O."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Figures:
    """The counts of one run; times in seconds unless the name says otherwise."""

    devices: int
    link: str
    connected: int = 0
    refused: int = 0
    connect_seconds: float = 0.0
    held: int = 0
    hold_seconds: float = 0.0
    reports: int = 0
    reports_lost: int = 0
    controls_lost: int = 0
    report_ms: list[float] = field(default_factory=list)
    control_ms: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)

    def note_error(self, error: BaseException) -> None:
        """Count an error by its words, of which only so many are kept."""
        words = f"{type(error).__name__}: {error}"[:120]
        if words in self.errors or len(self.errors) < 20:
            self.errors[words] = self.errors.get(words, 0) + 1

    def to_json(self) -> dict[str, object]:
        """Return the figures for a program."""
        return {
            "devices": self.devices,
            "link": self.link,
            "connected": self.connected,
            "connectSeconds": round(self.connect_seconds, 2),
            "connectPerSecond": round(self.connected / (self.connect_seconds or 1), 1),
            "held": self.held,
            "reports": self.reports,
            "reportsPerSecond": round(self.reports / (self.hold_seconds or 1), 1),
            "reportsLost": self.reports_lost,
            "reportMs": percentiles(self.report_ms),
            "controls": len(self.control_ms),
            "controlsLost": self.controls_lost,
            "controlMs": percentiles(self.control_ms),
            "errors": self.errors,
        }

    def lines(self) -> list[str]:
        """Return the figures for a person."""
        told = self.to_json()
        rate, reports = told["connectPerSecond"], told["reportsPerSecond"]
        connected = f"{self.connected} of {self.devices} devices connected over {self.link}"
        return [
            f"{connected} in {self.connect_seconds:.1f} s ({rate}/s), {self.held} held",
            f"{self.reports} reports in {self.hold_seconds:.0f} s ({reports}/s)",
            f"reports: {self.reports_lost} lost, ms {told['reportMs']}",
            f"requests of an app: {self.controls_lost} lost, ms {told['controlMs']}",
            *(f"{count} times: {words}" for words, count in self.errors.items()),
        ]


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p99 and the maximum; {} without values."""
    if len(values) < 2:
        return {}
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": round(cuts[49], 2), "p99": round(cuts[98], 2), "max": round(max(values), 2)}
