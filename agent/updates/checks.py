"""The machine's own health checks: a folder of programs, each of which must exit with 0.

The maker of an image adds product-specific checks there (the lamp answers, the card is mounted).
The programs run as the agent's user, one after the other in the order of their names.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from pathlib import Path
from typing import Self

# Characters of a program's output that go into the reason.
OUTPUT_MAX = 200
READ_MAX = 64 * 1024
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_log = logging.getLogger(__name__)


class CheckFolder:
    """The programs in one folder; no programs, or no folder, counts as passed."""

    def __init__(self, folder: Path, timeout: float) -> None:
        """Run the programs in ``folder``, each for at most ``timeout`` seconds."""
        self._folder = folder
        self._timeout = timeout

    async def run(self) -> str | None:
        """Run the programs until one fails; return its name and reason, None if all pass."""
        try:
            programs = await asyncio.to_thread(self._programs)
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"{self._folder}: {error.strerror}"
        for program in programs:
            if (reason := await self._ask(program)) is not None:
                return f"{program.name}: {reason}"
        return None

    def _programs(self) -> list[Path]:
        """Return the executable files, sorted by name; log a warning for other files."""
        found = sorted(path for path in self._folder.iterdir() if path.is_file())
        programs = [path for path in found if os.access(path, os.X_OK)]
        for path in set(found) - set(programs):
            _log.warning("health check %s is not executable, and not run", path)
        return programs

    async def _ask(self, program: Path) -> str | None:
        with _Output() as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    program,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output.inlet,
                    stderr=output.inlet,
                    env={"PATH": PATH, "LANG": "C.UTF-8"},  # inherit nothing: no secrets
                    start_new_session=True,
                )
            except OSError as error:
                return f"cannot be started: {error.strerror}"
            try:
                async with asyncio.timeout(self._timeout):
                    code = await process.wait()
            except TimeoutError:
                return f"no end within {self._timeout:g} s"
            finally:
                _kill(process)
            return None if code == 0 else f"exit code {code}: {output.last_line()}"


class _Output:
    """A program's output. Our own pipe, because a child left running may keep it open."""

    def __init__(self) -> None:
        self._outlet, self.inlet = os.pipe()
        os.set_blocking(self._outlet, False)
        self._kept = b""

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._outlet, self._take)
        return self

    def __exit__(self, *_error: object) -> None:
        asyncio.get_running_loop().remove_reader(self._outlet)
        os.close(self._outlet)
        os.close(self.inlet)

    def _take(self) -> None:
        # The inlet stays open here, so there is no end of file, and an empty pipe raises.
        with contextlib.suppress(BlockingIOError):
            self._kept = (self._kept + os.read(self._outlet, READ_MAX))[-READ_MAX:]

    def last_line(self) -> str:
        """Return the start of the last line that is not empty."""
        self._take()  # a pipe holds at most READ_MAX bytes
        lines = self._kept.decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return last[:OUTPUT_MAX]


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill the program's process group, with any children left running."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
