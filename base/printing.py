"""Runs a command whose output may be closed (``| head``), full or missing: one line or nothing, never a traceback."""

from __future__ import annotations

import errno
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

FAILED = 1


class OutputError(Exception):
    """Standard output takes nothing. No OSError: a command that catches those means its files, and would blame their disk."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror or str(error))
        self.error = error


class _Output(io.FileIO):
    """A descriptor whose errors are named as the output's."""

    def write(self, data: Any) -> int:
        """As in `io.FileIO`; raises OutputError, and BrokenPipeError where nobody reads."""
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(error) from error


def _english(error: OSError) -> str:
    return f"output: {error.strerror}"


Tell = Callable[[OSError], str]
"""Says why the output was not taken."""


def run_printing(program: str, run: Callable[[], int], tell: Tell = _english) -> int:
    """Run a command and flush what it printed; return its exit code, 1 if nobody could read all of it.

    Args:
        program: its name.
        run: the command; an error of its output is none of its own (`OutputError`).
        tell: says why the output was not taken, in the reader's language.

    Raises:
        SystemExit: the command's own, after the flush (argparse's help).
    """
    _open_closed()
    with _named_output():
        return _run(program, run, tell)


@contextmanager
def _named_output() -> Iterator[None]:
    """Let what fails at standard output be told from what fails at a file, while the context lasts."""
    before = sys.stdout
    # Not what a test, or who calls `main`, has put there.
    if type(before) is not io.TextIOWrapper or before.fileno() != 1:
        yield
        return
    raw = _Output(before.fileno(), "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        raw if before.write_through else io.BufferedWriter(raw),  # as `python -u` does
        encoding=before.encoding, errors=before.errors, newline="\n",
        line_buffering=before.line_buffering, write_through=before.write_through,
    )  # fmt: skip
    try:
        yield
    finally:
        sys.stdout = before


def _run(program: str, run: Callable[[], int], tell: Tell) -> int:
    for stream in (sys.stdout, sys.stderr):
        # A name in Chinese on a terminal that has no Chinese letters is shown by "?".
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace" if stream is sys.stderr else "replace")
    try:
        code = run()
    except BrokenPipeError:
        _discard()
        return FAILED
    except OutputError as error:
        return _refused(program, tell(error.error))
    except OSError as error:
        # What commands do with files has a name; standard error that is full has none.
        if error.filename is not None or error.errno not in {errno.ENOSPC, errno.EIO}:
            raise
        return _refused(program, tell(error))
    except SystemExit as end:
        if not _flush(program, tell) and not end.code:
            return FAILED
        raise
    return code if _flush(program, tell) else FAILED


def _open_closed() -> None:
    """Let /dev/null stand for each standard stream that was closed before the start (``>&-``).

    The next file that is opened would get its number, and what a library or a child prints there would go into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        opened = _fill(number)
        if getattr(sys, name) is None:
            stream = os.open(os.devnull, os.O_RDWR) if opened is None else opened
            setattr(sys, name, os.fdopen(stream, "w" if number else "r", encoding="utf-8"))


def _fill(number: int) -> int | None:
    """Open /dev/null as ``number`` and return that; None: it is open already."""
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        os.set_inheritable(number, True)  # os takes it by place
        return number
    return None


def wait_while_read(seconds: float) -> bool:
    """Wait, and return whether anybody still reads standard output; at once when nobody does.

    Whoever waits for news prints nothing meanwhile, and would hear of a closed pipe only by its next line.
    """
    try:
        number = sys.stdout.fileno()
    except (AttributeError, io.UnsupportedOperation):  # closed before the start, or in memory
        time.sleep(seconds)
        return True
    import select  # noqa: PLC0415  # the daemon's start does without it

    poll = select.poll()
    poll.register(number, 0)  # a broken pipe, and a terminal that has gone, are told unasked
    return not poll.poll(seconds * 1000)


def _flush(program: str, tell: Tell) -> bool:
    """Return whether the output was taken. At the interpreter's exit an error would be a traceback."""
    try:
        if sys.stdout is not None:  # closed before the start (``>&-``)
            sys.stdout.flush()
    except BrokenPipeError:
        _discard()
    except OutputError as error:
        _refused(program, tell(error.error))
    except OSError as error:
        _refused(program, tell(error))
    else:
        return True
    return False


def _refused(program: str, told: str) -> int:
    _discard()
    print(f"{program}: {told}", file=sys.stderr)
    return FAILED


def _discard() -> None:
    """Let what is still to be written go nowhere, where it cannot be written."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, OutputError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
