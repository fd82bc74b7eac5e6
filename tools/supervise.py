"""Runs a program and starts it again whenever it ends, as systemd does with ``Restart=always``.

    python -P tools/supervise.py PROGRAM [ARGUMENT]…

A version on trial that dies is started again then, counted and at last rolled back by the launcher; without a
supervisor it would stay INSTALLED for ever. SIGTERM and SIGINT end the program and this one. Standard
library only.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence

# Seconds; systemd/story-agent.service has RestartSec=3, for a machine with nobody before it.
RESTART_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1


class Supervisor:
    """Keeps one program running until it is told to end."""

    def __init__(self, words: Sequence[str]) -> None:
        """Run ``words``, a program and its arguments."""
        self._words = words
        self._over = False
        # A signal ends the wait: time.sleep would go on after it.
        self._outlet, self._inlet = os.pipe()
        self._child: subprocess.Popen[bytes] | None = None

    def end(self, *_signal: object) -> None:
        """End the program, and start it no more."""
        self._over = True
        os.write(self._inlet, b"!")
        if self._child is not None:
            self._child.terminate()

    def run(self, seconds: float = RESTART_SECONDS) -> int:
        """Start the program again ``seconds`` after each end; return its last exit code."""
        while True:
            self._child = subprocess.Popen(self._words, preexec_fn=_die_with_parent)  # noqa: PLW1509
            if self._over:  # the signal came before there was a child to end
                self._child.terminate()
            code = self._child.wait()
            if not self._over:
                sys.stderr.write(
                    f"supervise: {self._words[0]} ended with {code}, and starts again\n"
                )
                sys.stderr.flush()
                select.select([self._outlet], [], [], seconds)
            if self._over:
                return code


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def main() -> int:
    """Run the command line's program; return its last exit code, or 2 without one."""
    if len(sys.argv) < 2:
        sys.stderr.write("usage: python -P tools/supervise.py PROGRAM [ARGUMENT]…\n")
        return 2
    supervisor = Supervisor(sys.argv[1:])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, supervisor.end)
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
