"""STATE/ota/trial.log: the last lines that a version on trial logged, for the report of its failure.

A version may die before it can report why; the old version, which runs next, reads the file. The
handler gets a formatter that removes secrets, so none reaches the disk.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from base.files import make_folder

LINES = 200
# Limits of the log that is sent to the cloud: per line in characters, in total in bytes of JSON. A
# title in Chinese takes three bytes a character, and the cloud accepts reports of up to 64 KiB.
LINE_MAX = 400
TOTAL_MAX = 24 * 1024


def trial_log_path(state_dir: Path) -> Path:
    """Return the path of trial.log."""
    return state_dir / "ota" / "trial.log"


class TrialLog(logging.Handler):
    """A log handler that keeps the last lines in a file; the first record creates it."""

    def __init__(self, path: Path, formatter: logging.Formatter) -> None:
        """Write records, formatted by ``formatter``, to ``path`` after the lines already there."""
        super().__init__(logging.INFO)
        self.setFormatter(formatter)
        self._path = path
        self._lines = deque(read_lines(path), LINES)
        self._since = LINES  # the first line rewrites the file

    def emit(self, record: logging.LogRecord) -> None:
        """Append a record; after every `LINES` lines, cut the file to the last ones."""
        try:
            new = [line[:LINE_MAX] for line in self.format(record).splitlines() if line.strip()]
            self._lines.extend(new)
            self._since += len(new)
            if self._since >= LINES:
                make_folder(self._path.parent)
                self._path.write_text("\n".join([*self._lines, ""]), "utf-8", "replace")
                self._since = 0
            else:
                with self._path.open("a", encoding="utf-8", errors="replace") as file:
                    file.write("".join(f"{line}\n" for line in new))
        except Exception:  # noqa: BLE001  # a rule of the logging module: a handler never raises
            self.handleError(record)


def read_lines(path: Path, clean: Callable[[str], str] = str) -> list[str]:
    """Return the last lines that fit into a report; an empty list if there is no file.

    ``clean`` removes secrets. It runs before long lines are cut, which could split a secret in two.
    """
    try:
        lines = [clean(line) for line in path.read_text("utf-8", "replace").splitlines()[-LINES:]]
    except OSError:
        return []
    room = TOTAL_MAX
    kept: list[str] = []
    for line in reversed(lines):
        room -= len(json.dumps(line[:LINE_MAX], ensure_ascii=False).encode()) + 1  # and a comma
        if room < 0:
            break
        kept.append(line[:LINE_MAX])
    return kept[::-1]


def append_lines(state_dir: Path, lines: Sequence[str]) -> None:
    """Append what was found out of a failed version after its end; raises OSError."""
    path = trial_log_path(state_dir)
    make_folder(path.parent)
    with path.open("a", encoding="utf-8", errors="replace") as file:
        file.write("".join(f"{line}\n" for line in lines))


def discard_trial_log(state_dir: Path) -> None:
    """Remove the log of the last trial before the next one begins; raises OSError."""
    trial_log_path(state_dir).unlink(missing_ok=True)
