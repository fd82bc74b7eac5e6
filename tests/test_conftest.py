"""What a test does to its process is undone after it (tests/conftest.py)."""

from __future__ import annotations

import ast
import gc
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.conftest import NAMES, names_of

BEFORE = (Path.cwd(), list(sys.path), sys.getrecursionlimit(), signal.getsignal(signal.SIGHUP))


def state() -> tuple[object, ...]:
    return Path.cwd(), list(sys.path), sys.getrecursionlimit(), signal.getsignal(signal.SIGHUP)


def test_a_test_changes_the_process(tmp_path: Path) -> None:
    os.environ["STORY_LEFT_BEHIND"] = "1"
    os.chdir(tmp_path)
    os.umask(0o111)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sys.path.insert(0, str(tmp_path))
    sys.setrecursionlimit(sys.getrecursionlimit() + 1)


def test_and_the_next_one_does_not_see_it(tmp_path: Path) -> None:
    assert state() == BEFORE
    assert "STORY_LEFT_BEHIND" not in os.environ
    (tmp_path / "new").touch()
    assert (tmp_path / "new").stat().st_mode & 0o777 != 0o666 & ~0o111


class _ParsesAtItsEnd:
    """Garbage of a circle, which the collector alone ends; what it ends may format a traceback, which parses."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        ast.parse("[a for b in c]")


def test_sources_are_parsed_whatever_the_collector_ends() -> None:
    before = gc.get_threshold()
    gc.set_threshold(50, 1, 1)
    try:
        garbage = [_ParsesAtItsEnd() for _ in range(20)]
        garbage.clear()
        tree = ast.parse("x = f([a, b])\n" * 300)
    finally:
        gc.set_threshold(*before)
    assert (len(tree.body), gc.isenabled()) == (300, True)


def test_the_names_of_tests_depend_on_no_clock_and_no_chance(
    request: pytest.FixtureRequest,
) -> None:
    """Else two workers collect other tests now and then, when a second ends between them, and none is run.

    `make test` collects once before its workers: another time, other hashes of strings, another process.
    """
    earlier = Path(os.environ.get(NAMES, ""))
    if earlier.is_file():
        before, now = earlier.read_text("utf-8").split("\n"), names_of(request.session).split("\n")
        assert len(now) > 1000
        assert set(before) ^ set(now) == set()
