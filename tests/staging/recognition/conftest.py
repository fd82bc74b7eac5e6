"""Fixtures that the tests of recognition share: a store with a device, and a scripted recogniser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from staging.data_dir import DataDir
from staging.store import Database, devices

UUID = "01a800000072af"
# Only turns a hang into a failure.
DEADLINE = 60.0

# Implements the worker's side of the protocol, with the fault that the mode selects.
_WORKER = """
import json, sys, time
mode, cache = sys.argv[1], sys.argv[2]
out = sys.stdout
def answer(value): print(json.dumps(value), flush=True)
if mode == "no-start":
    answer({"error": "no model"}); sys.exit(1)
if mode == "mute-start":
    time.sleep(600)
answer({"ready": 0.1})
while line := sys.stdin.buffer.readline():
    request = json.loads(line)
    sys.stdin.buffer.read(request["bytes"])
    if mode == "hang": time.sleep(600)
    if mode == "die": sys.exit(3)
    if mode == "rubbish": print("not JSON", flush=True); continue
    if mode == "wrong": answer({"text": 1}); continue
    if mode == "refuse": answer({"error": "ValueError: bad sound"}); continue
    text, confidence, silence = json.loads(mode)
    answer({"text": text or request["prompt"], "confidence": confidence, "silence": silence})
"""


@pytest.fixture
def worker(tmp_path: Path) -> tuple[str, str]:
    """Return the scripted recogniser's command, without its mode."""
    path = tmp_path / "worker.py"
    path.write_text(_WORKER)
    return sys.executable, str(path)


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path / "data").create()


@pytest.fixture
def database(data: DataDir) -> Iterator[Database]:
    opened = Database(data.database)
    opened.call(devices.add, UUID, 1_495_000_000_000)
    yield opened
    opened.close()
