"""Freed memory goes back to the machine; a machine without glibc is no error."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from base.memory import ARENAS, give_back, share_arenas

GROWN = """
import ctypes, re
from pathlib import Path
from base.memory import give_back

def megabytes():
    return int(re.search(r"Rss: *(\\d+)", Path("/proc/self/smaps_rollup").read_text())[1]) / 1024

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
blocks = [libc.malloc(60_000) for _ in range(300)]
for block in blocks:
    ctypes.memset(ctypes.c_void_p(block), 1, 60_000)
for block in blocks[:-1]:
    libc.free(block)  # the last one holds the heap's end
before = megabytes()
give_back()
print(before - megabytes())
"""


def test_what_is_freed_below_something_in_use_goes_back() -> None:
    run = subprocess.run([sys.executable, "-c", GROWN], capture_output=True, text=True, check=True)
    assert float(run.stdout) > 10.0


def test_another_libc_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    give_back()
    share_arenas()


ARENAS_USED = """
import ctypes, sys, threading
from base.memory import share_arenas

if sys.argv[1] == "shared":
    share_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
ready = threading.Barrier(7)

def hold():
    libc.malloc(60_000)
    ready.wait()
    ready.wait()

for _ in range(6):
    threading.Thread(target=hold, daemon=True).start()
ready.wait()
libc.malloc_stats()
ready.wait()
"""


@pytest.mark.parametrize(("how", "few"), [("shared", True), ("default", False)])
def test_threads_share_two_arenas(how: str, *, few: bool) -> None:
    words = [sys.executable, "-c", ARENAS_USED, how]
    run = subprocess.run(words, capture_output=True, text=True, check=True)
    assert (run.stderr.count("Arena ") <= ARENAS) is few
