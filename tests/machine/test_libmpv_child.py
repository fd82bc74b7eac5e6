"""libmpv as a program; that it plays and dies with the agent is tested with the player."""

from __future__ import annotations

import subprocess
import sys

from machine.mpv_program import LIBMPV_CHILD


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", LIBMPV_CHILD, *options],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_an_option_that_libmpv_does_not_know_is_named() -> None:
    done = run("--config=no", "--no-such-option=1")
    assert done.returncode == 1
    assert done.stderr == "mpv: --no-such-option=1: option not found\n"


def test_it_ends_when_mpv_has_nothing_left_to_do() -> None:
    assert run("--config=no", "--idle=no", "--terminal=no").returncode == 0
