"""``GET /metrics`` on the agent's socket: the state as Prometheus' text format 0.0.4 has it.

What follows names, units and types: https://prometheus.io/docs/practices/naming/; the ``process_`` names are those of
Prometheus' own clients.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from agent.local.http import respond
from agent.local.web import Request, Response, Route
from agent.vitals import Counts, member
from wire.codes import Code
from wire.exchange import Answer

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
GAUGE, COUNTER = "gauge", "counter"
PROC, THERMAL = Path("/proc/self"), Path("/sys/class/thermal")
UPDATE_STATES = ("CREATED", "RUNNING", "INSTALLED", "SUCCESS", "FAILED")

Read = Callable[[str], Awaitable[str | None]]
"""Reads a data point; None: it cannot be read now."""


class Metric(NamedTuple):
    """One family; ``samples`` are pairs of labels and value."""

    name: str
    kind: str
    text: str
    samples: Sequence[tuple[Mapping[str, str], float]]


def render(metrics: Iterator[Metric]) -> str:
    """Return the text; a family without samples is left out."""
    lines: list[str] = []
    for metric in metrics:
        if not metric.samples:
            continue
        lines += [f"# HELP {metric.name} {metric.text}", f"# TYPE {metric.name} {metric.kind}"]
        for labels, value in metric.samples:
            told = ",".join(f'{name}="{_escape(text)}"' for name, text in labels.items())
            lines.append(
                f"{metric.name}{{{told}}} {value:g}" if told else f"{metric.name} {value!r}"
            )
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def of_status(status: Mapping[str, object], counts: Counts) -> Iterator[Metric]:
    """Yield what ``status`` and the counts tell."""
    version = str(member(status, "version") or "")
    yield Metric("story_agent_info", GAUGE, "The running version.", [({"version": version}, 1)])
    up = member(status, "link", "state") == "online"
    yield _one("story_agent_link_up", GAUGE, "Whether the cloud accepts reports.", up)
    yield _one(
        "story_agent_link_online_seconds", GAUGE, "Time since the last registration.",
        member(status, "link", "online_seconds") if up else 0,
    )  # fmt: skip
    yield _one(
        "story_agent_link_tries_total", COUNTER, "Tries to connect since the start.",
        member(status, "link", "tries"),
    )  # fmt: skip
    yield _one(
        "story_agent_reports_waiting", GAUGE, "Reports that the cloud has not answered.",
        member(status, "outbox", "waiting"),
    )  # fmt: skip
    yield _one(
        "story_agent_reports_dropped_total", COUNTER, "Reports dropped for want of room.",
        member(status, "outbox", "dropped"),
    )  # fmt: skip
    playing = member(status, "play", "state") == "playing"
    yield _one("story_agent_playing", GAUGE, "Whether a story plays.", playing)
    yield _one(
        "story_agent_play_seconds_total", COUNTER, "Playing time since the start.",
        round(counts.play_seconds, 3),
    )  # fmt: skip
    yield Metric(
        "story_agent_utterances_total", COUNTER, "Times it listened, by how that ended.",
        [({"end": end}, number) for end, number in sorted(counts.utterances.items())],
    )  # fmt: skip
    yield from _of_update(status)
    faults = member(status, "faults")
    yield _one(
        "story_agent_faults", GAUGE, "Parts that failed and are begun again.",
        len(faults) if isinstance(faults, Mapping) else None,
    )  # fmt: skip


def _of_update(status: Mapping[str, object]) -> Iterator[Metric]:
    now = member(status, "update", "state")
    yield Metric(
        "story_agent_update_state", GAUGE, "The last update's state: 1 for the present one.",
        [({"state": state}, float(state == now)) for state in UPDATE_STATES] if now else [],
    )  # fmt: skip
    yield _one(
        "story_agent_update_progress_ratio", GAUGE, "How much of a running update is done.",
        member(status, "update", "percent"),
    )  # fmt: skip


def of_process(proc: Path = PROC, thermal: Path = THERMAL) -> Iterator[Metric]:
    """Yield what the kernel tells of this process and its board; what it does not tell is left out."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    yield _one("process_resident_memory_bytes", GAUGE, "Memory in use.", _memory(proc))
    yield _one("process_open_fds", GAUGE, "Open file descriptors.", _descriptors(proc))
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    yield _one("process_max_fds", GAUGE, "Limit of open file descriptors.", limit)
    yield _one(
        "process_cpu_seconds_total", COUNTER, "Processor time since the start.",
        round(used.ru_utime + used.ru_stime, 3),
    )  # fmt: skip
    yield _one(
        "story_agent_temperature_celsius", GAUGE, "The board's temperature.", _temperature(thermal)
    )


def _memory(proc: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int((proc / "statm").read_text().split()[1]) * resource.getpagesize()
    return None


def _descriptors(proc: Path) -> int | None:
    with contextlib.suppress(OSError):
        return len(os.listdir(proc / "fd"))  # noqa: PTH208  # no objects for what is only counted
    return None


def _temperature(thermal: Path) -> float | None:
    with contextlib.suppress(OSError, ValueError):
        return int((thermal / "thermal_zone0" / "temp").read_text()) / 1000
    return None


def _one(name: str, kind: str, text: str, value: object) -> Metric:
    samples: list[tuple[Mapping[str, str], float]] = []
    if isinstance(value, int | float):
        samples.append(({}, float(value)))
    return Metric(name, kind, text, samples)


async def _of_points(read: Read) -> list[Metric]:
    """Return the volume and the battery's charge."""
    metrics = []
    for point, name, text in (
        ("volume", "story_agent_volume_level", "The volume's level, from 0 to 16."),
        ("power", "story_agent_battery_percent", "The battery's charge; 100 on mains."),
    ):
        told = await read(point)
        with contextlib.suppress(TypeError, ValueError):
            metrics.append(_one(name, GAUGE, text, float(told or "")))
    return metrics


def metrics_routes(
    status: Callable[[], Awaitable[Mapping[str, object]]], counts: Counts, read: Read
) -> list[Route]:
    """Return the route; on the socket only, because a child's habits are nobody's on the home network."""

    async def show(request: Request) -> Response:
        if request.client is not None:
            return respond(Answer(Code.FORBIDDEN, b"metrics: only over the agent's socket"))
        told = [*of_status(await status(), counts), *await _of_points(read), *of_process()]
        return Response(render(iter(told)), media_type=MEDIA_TYPE)

    return [Route("/metrics", show, methods=["GET"])]
