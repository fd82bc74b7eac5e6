"""What the figures of a running agent are measured on: a staging cloud, and a device bound to an app."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import Figure
from tools.bench import Bench


@contextmanager
def stage() -> Iterator[Bench]:
    """Start a cloud and flash a device; no agent runs yet.

    The agent was started once before: its bytecode, its state folder and the page cache are then as
    they are on a machine at any start but its first.
    """
    # With it every start would compile the sources, which an installed agent does not.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(prefix="story-bench-") as name:
        bench = Bench(Path(name))
        try:
            bench.start_cloud(0, 0)
            bench.flash_device()
            with bench.client() as client:
                client.bind(bench.device["uuid"], bench.device["bindToken"])
            with agent(bench):
                pass
            yield bench
        finally:
            bench.stop()


@contextmanager
def agent(bench: Bench) -> Iterator[int]:
    """Run an agent that is registered; gives its process id."""
    bench.start_agent()
    assert bench.agent is not None
    try:
        yield bench.agent.process.pid
    finally:
        bench.agent.stop()


def on_stage(measure: Callable[[Bench], list[Figure]]) -> Callable[[], list[Figure]]:
    """Give a measurement a stage of its own."""

    def staged() -> list[Figure]:
        with stage() as bench:
            return measure(bench)

    return staged
