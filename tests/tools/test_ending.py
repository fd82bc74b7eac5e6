"""Proofs that are told to end."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Each tells itself to end, so that there is nothing to wait for.
BY_ITSELF = """
import os, sys, tempfile
from tools.ending import run_main

def main():
    with tempfile.TemporaryDirectory(dir=sys.argv[1]):
        try:
            os.kill(os.getpid(), {sign})
            print("goes on")
        finally:
            os.kill(os.getpid(), {sign})  # as one who is impatient does
    return 0

run_main(main)
"""
AT_ONCE = """
import os, sys, tempfile, threading
from tools.ending import folders, leave_nothing

leave_nothing()
for name in ("a", "b c"):
    folders.add(tempfile.mkdtemp(prefix=name, dir=sys.argv[1]))
threading.Thread(target=threading.Event().wait).start()  # nobody ends it
os.kill(os.getpid(), {sign})
print("goes on")
"""


@pytest.mark.parametrize("program", [BY_ITSELF, AT_ONCE])
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_one_that_is_told_to_end_says_so_and_leaves_nothing(
    program: str, sign: signal.Signals, tmp_path: Path
) -> None:
    words = [sys.executable, "-c", program.format(sign=int(sign)), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (128 + sign, "", "ended before its end\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("code", [0, 1])
def test_one_that_is_left_alone_has_its_own_exit_code(code: int) -> None:
    words = [sys.executable, "-c", f"from tools.ending import run_main; run_main(lambda: {code})"]
    assert subprocess.run(words, capture_output=True, check=False).returncode == code
