"""The setup for benchmarks of a running agent: a staging cloud, and a device bound to an app."""

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

    The agent is started and stopped once before. Its bytecode, its state folder and the page cache
    are then as they are on a machine at any start but the first.
    """
    # With this variable every start would compile the sources, unlike an installed agent's.
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
def agent(bench: Bench, *, is_asked: bool = True) -> Iterator[int]:
    """Run an agent that is registered; yields its process id. ``is_asked``: by its local API, which it loads then."""
    bench.start_agent(is_asked=is_asked)
    assert bench.agent is not None
    try:
        yield bench.agent.process.pid
    finally:
        bench.agent.stop()


def on_stage(measure: Callable[[Bench], list[Figure]]) -> Callable[[], list[Figure]]:
    """Return ``measure`` with a stage of its own."""

    def staged() -> list[Figure]:
        with stage() as bench:
            return measure(bench)

    return staged
