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
mode = sys.argv[1]
out = sys.stdout
def answer(value): print(json.dumps(value), flush=True)
if mode == "no-start":
    answer({"error": "no model"}); sys.exit(1)
if mode == "mute-start":
    time.sleep(600)
answer({"ready": 0.1})
while line := sys.stdin.buffer.readline():
    request = json.loads(line)
    sys.stdin.buffer.read(request.get("bytes", 0))
    if mode == "hang": time.sleep(600)
    if mode == "die": sys.exit(3)
    if mode == "rubbish": print("not JSON", flush=True); continue
    if mode == "wrong": answer({"hypotheses": 1, "scores": 1}); continue
    if mode == "short" and "score" in request: answer({"scores": [1.0]}); continue
    if mode == "refuse": answer({"error": "ValueError: bad sound"}); continue
    text, confidence, silence, *scores = json.loads('["下一首", -0.3, 0.1]' if mode == "short" else mode)
    if "score" in request:
        answer({"scores": [scores[0].get(p, -9.0) for p in request["score"]] if scores else None})
        continue
    answer({"hypotheses": [[text, confidence]] if text else [], "silence": silence})
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
