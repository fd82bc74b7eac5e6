"""Stores the error of an agent that ends before it can log, for a failed trial's report.

A release that cannot be imported has no log of its own; its exception is the only clue. Errors are
stored only while an update is unfinished, or after an early death of a confirmed release, in the file of `ota.trial.log`, which takes over once the
updater runs. Standard library only, because this must work where the rest does not.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

# Bytes. Of a system that restarts again and again, the first errors are enough.
FILE_MAX = 64 * 1024
_FINAL = {"SUCCESS", "FAILED"}


def keep(state: Path, text: str) -> None:
    """Append ``text`` to the trial log; does nothing without a trial, or if the log is full."""
    from ota.trial.log import trial_log_path  # noqa: PLC0415  # see above

    if not _is_watched(state):
        return
    with contextlib.suppress(OSError):  # the log is for people only; the agent ends anyway
        path = trial_log_path(state)
        if not path.exists() or path.stat().st_size < FILE_MAX:
            with path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(text.rstrip("\n") + "\n")


def _is_watched(state: Path) -> bool:
    """Return whether an update is unfinished, or the release died soon after its last start."""
    is_updating = _member(state / "ota" / "task.json", "state") not in {None, *_FINAL}
    died = (_member(state / place / "starts.json", "early") for place in ("slots", "ota"))
    return is_updating or any(died)


def _member(path: Path, name: str) -> object:
    """Return a member of a JSON file, None if it cannot be read."""
    try:
        value: object = json.loads(path.read_bytes())[name]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return value if isinstance(value, str | int) else None


@contextlib.contextmanager
def last_words(state: Path) -> Iterator[None]:
    """Store what ends the block: an exception, or the stack of a crash (SIGSEGV, SIGABRT)."""
    import faulthandler  # noqa: PLC0415  # no cost to a start without an update

    if not _is_watched(state):
        yield
        return
    from ota.trial.log import trial_log_path  # noqa: PLC0415  # see above

    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            file = stack.enter_context(trial_log_path(state).open("a", encoding="utf-8"))
            faulthandler.enable(file)
            stack.callback(faulthandler.disable)
        try:
            yield
        except Exception:  # re-raised below
            import traceback  # noqa: PLC0415  # no cost to a start that goes well

            keep(state, traceback.format_exc())
            raise
