"""Starts, watches and stops the bench's processes; none outlives the process that started it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

BIN = Path(sys.executable).parent
SUPERVISOR = Path(__file__).with_name("supervise.py")
# The cloud makes an RSA key at its first start, which takes a busy Pi half a minute.
READY_TIMEOUT = 60.0
# Ctrl-C must stop everything within 5 s.
STOP_TIMEOUT = 4.0
POLL_SECONDS = 0.05
COMMAND_TIMEOUT = 120.0
_PR_SET_PDEATHSIG = 1

T = TypeVar("T")


class BenchError(Exception):
    """A step of the bench failed; the message says which, and where to look."""


def die_with_parent() -> None:
    """Request SIGTERM on the parent's death (prctl(2)), so that its kill -9 leaves no process."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Service:
    """A long-running program with its output in a log file."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start the program in a session of its own, so that Ctrl-C does not reach it directly.

        Args:
            name: a program of the project, or the absolute path of another one.
            arguments: the program's arguments.
            log: the file that its stdout and stderr are appended to.
            environment: variables in addition to this process's.
        """
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [BIN / name, *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=os.environ | dict(environment or {}),
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # one thread here
            )

    def wait_for(self, what: str, look: Callable[[], T | None], timeout: float) -> T:
        """Poll ``look`` until it returns a value, and return that.

        Raises:
            BenchError: the program ended, or ``timeout`` seconds passed without the ``what``.
        """
        deadline = time.monotonic() + timeout
        while True:
            found = look()
            if found is not None:
                return found
            if self.process.poll() is not None:
                raise BenchError(f"{self.name} ended with {self.process.returncode}: {self.tail()}")
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name}: no {what} within {timeout:g} s, see {self.log}")
            time.sleep(POLL_SECONDS)

    def wait_for_line(self, pattern: str) -> re.Match[str]:
        """Wait for a match of ``pattern`` in the log and return it; raises BenchError."""
        return self.wait_for(
            f"line {pattern!r}",
            lambda: re.search(pattern, self.log.read_text(errors="replace")),
            READY_TIMEOUT,
        )

    def tail(self) -> str:
        """Return the last line that the program wrote."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "(no output)"

    def kill(self) -> None:
        """Kill the program and its session at once, as a power cut does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Stop the program with SIGTERM, then its session with SIGKILL."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_TIMEOUT)
        self.kill()


def supervise(
    name: str,
    arguments: Sequence[str | Path],
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> Service:
    """Start a program of the project as `Service` does, and again whenever it ends (`tools.supervise`)."""
    words = ["-P", SUPERVISOR, BIN / name, *arguments]
    service = Service(sys.executable, words, log, environment)
    service.name = name
    return service


def command(*words: str | Path) -> str:
    """Run one command of the project to its end and return its stdout; raises BenchError."""
    result = subprocess.run(
        [BIN / words[0], *words[1:]],
        capture_output=True, text=True, timeout=COMMAND_TIMEOUT, check=False,
    )  # fmt: skip
    if result.returncode:
        raise BenchError(f"{words[0]} {words[1]}: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


def free_port() -> int:
    """Return a port of loopback that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def choose_port(wanted: int, variable: str) -> int:
    """Return ``wanted`` if it is free on loopback, else another port, and print that."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            probe.bind(("127.0.0.1", 0))
            other = int(probe.getsockname()[1])
            print(
                f"port {wanted}: {error.strerror}; taking {other}"
                f" (choose one yourself: make run {variable}=N)"
            )
            return other
    return wanted


@contextlib.contextmanager
def ended_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Have SIGINT and SIGTERM call ``stop`` within the block, for work that ends in good order."""
    signs = (signal.SIGINT, signal.SIGTERM)
    before = {sign: signal.signal(sign, lambda *_: stop()) for sign in signs}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
