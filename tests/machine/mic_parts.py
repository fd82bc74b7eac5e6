"""What tests of the microphone share: a server with a virtual one, and what a test may leave behind."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from machine.capture_back_ends import find_back_end
from machine.capture_kinds import BackEndKind
from machine.microphone import BackEnd
from tests.extras import EXTRAS, require
from tools.pulse import MIC_SOURCE, MicServer

DEADLINE = 60.0


def back_end(kind: str, device: str | None = None) -> BackEnd:
    """Return what records from ``device``, else from the virtual microphone."""
    if kind in EXTRAS:
        require(kind)
    device = device or ("pulse" if kind == "arecord" else MIC_SOURCE)
    return find_back_end(device, BackEndKind(kind))


@contextmanager
def mic_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MicServer]:
    """Start a server of this test's own; this process and its children use it."""
    server = MicServer(folder)
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def children() -> set[int]:
    """Return this process's children."""
    own = os.getpid()
    return {int(c) for c in Path(f"/proc/{own}/task/{own}/children").read_text("ascii").split()}


def descriptors() -> int:
    """Return how many files this process has open and still uses."""
    gc.collect()  # a test before may have left some to the collector, which comes at any time
    return len(list(Path("/proc/self/fd").iterdir()))
