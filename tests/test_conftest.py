"""What a test does to its process is undone after it (tests/conftest.py)."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

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
