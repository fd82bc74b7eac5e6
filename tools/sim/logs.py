"""The log of a simulated process: its handlers are its own, as those of a process are, and its lines are counted.

A line counts if it goes past the limit of the product's own (`base.log_limit`), as into the journal. What it says is
written out nowhere, unless a handler of the process does (the trial's log).
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from base.log_limit import LogLimit
from tools.sim.life import CURRENT, Life

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = 3600.0
# Libraries of which the product logs errors alone (`agent.logs`, `staging.logs`).
QUIET = ("coap", "asyncio", "aiosqlite", "sqlalchemy", "uvicorn", "httpx")


class LogCount(logging.Handler):
    """Counts the lines of one machine's or cloud's log by the hour; it outlives its processes."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Count by the true time ``now``."""
        super().__init__(logging.INFO)
        self._now = now
        self._lines: Counter[int] = Counter()
        self._filters: dict[Life, LogLimit] = {}

    @property
    def most(self) -> int:
        """The lines of the worst hour."""
        return max(self._lines.values(), default=0)

    def handle(self, record: logging.LogRecord) -> bool:
        """Count a record of the process whose code runs."""
        life = CURRENT.get()
        if life is None or life.dead:
            return False
        limit = self._filters.get(life)
        if limit is None:
            limit = self._filters[life] = LogLimit()  # each process begins with its own
        if limit.filter(record):
            self._lines[int(self._now() // HOUR)] += 1
        return True


class Router(logging.Handler):
    """The one handler of the process that simulates: gives each record to the handlers of its life."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Hand it on; a machine without power logs nothing."""
        life = CURRENT.get()
        if life is None or life.dead:
            return False
        for handler in list(life.handlers):
            if record.levelno >= handler.level:
                handler.handle(record)
        return True


def install_logs() -> None:
    """Let each life have handlers of its own at the root, for the rest of the process."""
    root: Any = logging.getLogger()
    add, remove = root.addHandler, root.removeHandler

    def add_own(handler: logging.Handler) -> None:
        life = CURRENT.get()
        if life is None:
            add(handler)
        elif handler not in life.handlers:
            life.handlers.append(handler)

    def remove_own(handler: logging.Handler) -> None:
        life = CURRENT.get()
        if life is None:
            remove(handler)
        elif handler in life.handlers:
            life.handlers.remove(handler)

    root.addHandler, root.removeHandler = add_own, remove_own
    _configure_own(root)
    root.setLevel(logging.INFO)
    names: Any = logging
    names._srcfile = None  # noqa: SLF001  # where a line was written is nobody's question here
    names.logThreads = names.logProcesses = names.logMultiprocessing = False
    names.raiseExceptions = False  # a trial's log on a full card
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
    add(Router())


def _configure_own(root: Any) -> None:
    """Let what sets up the log of a process set up that of its life, for the rest of this one."""
    configure: Any = logging.basicConfig

    def configure_own(**words: Any) -> None:
        life = CURRENT.get()
        if life is None:
            configure(**words)
            return
        life.handlers[:] = words["handlers"]
        root.setLevel(words["level"])

    logging.basicConfig = configure_own
