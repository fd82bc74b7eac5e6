"""A machine's process as its service manager starts it: ``story-agent run`` whole, in a thread of its own.

`agent.cli` and `agent.daemon` are the real ones: profile and settings are files, the state folder may be one in memory, the log
has its filters and its layout, signals and exit codes are the process's. Replaced is what a process asks its system for: the loop that it
turns, signals, the program that takes its place, and where its lines go.
"""

from __future__ import annotations

import contextvars
import faulthandler
import os
import shutil
import signal
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

import agent.cli
import agent.daemon
import agent.logs
from agent.app import Agent
from agent.settings import TABLES, Settings
from tools.sim.life import current
from tools.sim.loop import LOOP
from tools.sim.threads import Lock
from wire.profile import Profile, render_profile

if TYPE_CHECKING:
    from ota.launch.launch import LaunchDecision

HOUR = 3600.0
# Lines of the log that are kept, to tell why a process ended.
LAST_LINES = 5
# Of a process's log: what it has, and how it was left. A dense seed may have twenty starts in half an hour, of 14 to 17 lines.
START_LINES = 20
Seconds = Callable[[], float]


class Kill(NamedTuple):
    """One kill -9: in which boot of the machine, of which version, and when, in seconds of the loop."""

    boot: int
    version: str
    at: float


def often_killed(kills: Sequence[Kill]) -> set[str]:
    """Return the versions that were killed so often that a machine leaves them (`ota.launch.starts`): five times, each within 300 s of a start."""
    return {
        last.version
        for first, last in zip(kills, kills[4:], strict=False)
        if first[:2] == last[:2] and last.at - first.at < 5 * 300.0
    }


class Process(Protocol):
    """Whose code runs: a machine's, as far as its process is concerned."""

    running: str
    journal: Journal

    def enter(self, state: Path) -> LaunchDecision:
        """Choose what starts."""

    def exec_again(self) -> None:
        """Let the process be another one at once."""

    def note_agent(self, made: Any, state: Path) -> None:
        """Hear of the agent that has been made, and where it keeps what it keeps."""


class Journal:
    """The lines that the processes of one machine write, counted by the hour but for each one's first; it outlives them.

    Attributes:
        leaked: lines with something that nobody may read.
        last: the newest lines.
        by_process: how many the present process has written.
    """

    def __init__(self, now: Seconds, secrets: Sequence[str]) -> None:
        """Count by the true time ``now``."""
        self._now, self._secrets = now, secrets
        self._lines: Counter[int] = Counter()
        self.leaked: list[str] = []
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self.by_process = 0

    @property
    def most(self) -> int:
        """The lines of the worst hour, without those of starts."""
        return max(self._lines.values(), default=0)

    def begin(self) -> None:
        """Hear that a process starts."""
        self.by_process = 0
        self.last.clear()

    def write(self, text: str) -> None:
        """Take what a process writes."""
        count = text.count("\n")
        self.by_process += count
        self._lines[int(self._now() // HOUR)] += min(count, max(0, self.by_process - START_LINES))
        self.last.append(text.strip())
        if any(secret in text for secret in self._secrets):
            self.leaked.append("a secret of the profile is in the log")


class Etc:
    """What is on a machine's image, and not on its card: profile and settings."""

    def __init__(self, folder: Path, profile: Profile) -> None:
        """Write the profile into the new ``folder``."""
        folder.mkdir()
        self.profile, self.config = folder / "profile.json", folder / "agent.toml"
        self.profile.write_bytes(render_profile(profile))
        self.profile.chmod(0o400)

    def write(self, settings: Settings) -> None:
        """Write the settings."""
        self.config.write_text(render_settings(settings), "utf-8")

    def spoil(self) -> None:
        """Write settings that nobody can read."""
        self.config.write_text("[link]\nkeepalive_seconds = 0.5\n", "utf-8")


def render_settings(settings: Settings) -> str:
    """Return the settings file in which all is said that differs from the defaults."""
    parts = []
    for table, kind in TABLES.items():
        values, usual = getattr(settings, table), kind()
        told = [
            f"{each.name} = {_toml(getattr(values, each.name))}"
            for each in fields(kind)
            if getattr(values, each.name) != getattr(usual, each.name)
        ]
        if told:
            parts += [f"[{table}]", *told]
    return "\n".join([*parts, ""])


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"'


def run(state: Path, etc: Etc, memory: Path) -> int:
    """Run ``story-agent run`` until its end, in a thread; return its exit code.

    ``memory``: the unit's folder in memory, which is new at each start. Raises what the process would die of.
    """
    shutil.rmtree(memory, ignore_errors=True)
    memory.mkdir(mode=0o750)
    os.environ["RUNTIME_DIRECTORY"] = str(memory)
    words = [
        "run",
        "--state",
        str(state),
        "--profile",
        str(etc.profile),
        "--config",
        str(etc.config),
    ]
    return agent.cli._run_command(words)  # noqa: SLF001  # `main` sets the process's language and streams


class SimRunner:
    """As asyncio.Runner, of a process that is a thread here: the one loop turns while this waits."""

    def __init__(self, *, loop_factory: object) -> None:
        """Need no loop of its own."""
        del loop_factory

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Have nothing to close."""

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Let the loop do it, and wait for its end; raises what it raises."""
        ended = Lock()
        ended.acquire()
        context = contextvars.copy_context()
        task = LOOP.now.create_task(work, context=context)
        task.add_done_callback(lambda _task: ended.release(), context=context)
        ended.acquire()
        return task.result()


def bind_daemon(own: Callable[[], Process]) -> None:
    """Put the simulation in the place of what a process asks its system for, for the rest of this one; ``own``: whose code runs."""

    class Lines:
        """The process's standard error."""

        def write(self, text: str) -> None:
            own().journal.write(text)

        def flush(self) -> None:
            """Hold nothing back."""

    def made(profile: Profile, settings: Settings, state: Path, *rest: Any) -> Any:
        found = Agent(profile, settings, state, *rest)
        own().note_agent(found, state)
        return found

    streams, still = (
        SimpleNamespace(stderr=Lines()),
        SimpleNamespace(enable=_nothing, disable=_nothing),
    )
    daemon: Any = agent.daemon
    daemon.Agent, daemon.running_version = made, lambda: own().running
    daemon.asyncio, daemon.gc, daemon.sys = SimpleNamespace(Runner=SimRunner), still, streams
    command: Any = agent.cli
    command.gc, command.restart = still, lambda _words: own().exec_again()
    command.enter_active_release = lambda state, *_words: own().enter(state)
    logs: Any = agent.logs
    logs.sys = streams
    faults: Any = faulthandler
    faults.enable = faults.disable = _nothing
    _bind_signals()


def _nothing(*_words: object) -> None:
    """Do nothing: collector and crash handler are the whole process's."""


def _bind_signals() -> None:
    set_handler = signal.signal

    def set_own(number: int, handler: Any) -> Any:
        life = current()
        if life is None:
            return set_handler(number, handler)
        before = life.signals.get(number, signal.SIG_DFL)
        life.signals[number] = handler
        return before

    signal.signal = set_own  # type: ignore[assignment]
