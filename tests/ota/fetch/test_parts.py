"""Chunks of a package: which are fetched together, and that they are on the disk. Whole updates of them are in test_delta.py."""

from __future__ import annotations

import random
import threading
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ota.fetch.bundle_map import CHUNK
from ota.fetch.parts import Fetcher, SparseFile, runs_of
from ota.fetch.source import DownloadSettings
from tests.base.recorded import SYNC, Recorder


def test_every_chunk_is_in_one_and_there_are_no_more_than_allowed() -> None:
    chance = random.Random(5)
    for most in (1, 3, 50):
        chunks = set(chance.sample(range(5000), 400))
        runs = runs_of(chunks, most)
        assert len(runs) <= most
        assert chunks <= {chunk for run in runs for chunk in run}
        assert all(a.stop < b.start for a, b in pairwise(runs))


def test_neighbours_and_single_gaps_are_one_run() -> None:
    assert runs_of([5, 1, 2, 9]) == [range(1, 3), range(5, 6), range(9, 10)]
    assert runs_of([1, 3]) == [range(1, 4)]
    assert runs_of([]) == []


def test_what_was_fetched_is_on_the_disk_before_anything_is_made_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(tmp_path, monkeypatch)
    bundle: Any = SimpleNamespace(
        chunks=[b"", b"", b""], length=3 * CHUNK,
        span=lambda chunk: (chunk * CHUNK, CHUNK), fits=lambda _chunk, data: any(data),
    )  # fmt: skip

    def ask(fetcher: Fetcher, run: range) -> None:
        for chunk in run:
            fetcher.sparse.write(chunk, b"x" * CHUNK)
            recorder.calls.append(("written", chunk))

    monkeypatch.setattr(Fetcher, "_ask", ask)
    nothing: Any = None
    stop = threading.Event()
    with SparseFile(tmp_path / "part", bundle, stop) as sparse:
        fetcher = Fetcher(nothing, sparse, bundle, nothing, nothing, DownloadSettings(), stop)
        fetcher.fetch([0, 2])
    assert recorder.calls == [*(("written", n) for n in (0, 1, 2)), (SYNC, "part", 3 * CHUNK)]
