"""What an agent says that ends before it can log, kept where a failed trial's report finds it.

A release that cannot even be imported has no log of its own, and its end is all that tells why. Only
while an update is unfinished; beside `ota.trial.log`, which takes over once the updater is there.
Standard library only, since this has to work where the rest does not.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

# Of a system that is started again and again the first ends are enough; bytes.
FILE_MAX = 64 * 1024
_FINAL = {"SUCCESS", "FAILED"}


def keep(state: Path, text: str) -> None:
    """Append ``text`` to the log of the trial; nothing happens where there is none, or no room."""
    from ota.trial.log import trial_log_path  # noqa: PLC0415  # see above

    if not _is_updating(state):
        return
    with contextlib.suppress(OSError):  # the log serves people; the agent ends either way
        path = trial_log_path(state)
        if not path.exists() or path.stat().st_size < FILE_MAX:
            with path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(text.rstrip("\n") + "\n")


def _is_updating(state: Path) -> bool:
    """Whether task.json has an update that has not ended."""
    try:
        task = json.loads((state / "ota" / "task.json").read_bytes())
        return bool(task["state"] not in _FINAL)
    except (OSError, ValueError, LookupError, TypeError):
        return False


@contextlib.contextmanager
def last_words(state: Path) -> Iterator[None]:
    """Keep what ends the block: an exception, or the stack of a crash in a library (SIGSEGV, SIGABRT)."""
    import faulthandler  # noqa: PLC0415  # no cost to a start without an update

    if not _is_updating(state):
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
        except Exception:  # whatever it is, it goes on
            import traceback  # noqa: PLC0415  # no cost to a start that goes well

            keep(state, traceback.format_exc())
            raise
