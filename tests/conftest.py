"""What several folders' tests share: a PulseAudio server, tones to play, Hypothesis without deadlines, and a
process whose logging, environment and signals are, after each test, what they were before it."""

from __future__ import annotations

import ast
import functools
import gc
import locale
import logging
import math
import os
import shutil
import signal
import struct
import subprocess
import sys
import tracemalloc
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# pytest imports it when the first exception of a finaliser is told, and the collector may bring the next one in the middle
# of that import: "partially initialized module 'tracemalloc'", which fails whichever test runs.
assert tracemalloc
# Texts are compared in English; a test of the other language, or of the locale, says so itself.
os.environ["STORY_AGENT_LANG"] = os.environ["STORY_CLOUD_LANG"] = "en"
# A shell lets what it starts in the background ignore SIGINT, and every process of the tests would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The test machine is shared and sometimes slow, which is not a fault of the code under test.
# Half of Hypothesis' usual examples: they are other ones in each run, and `make fuzz` tries millions.
settings.register_profile(
    "shared machine",
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)
settings.load_profile("shared machine")

PULSE_START_TIMEOUT = 60

_parse = ast.parse


@functools.wraps(_parse)
def _parse_undisturbed(*given: Any, **named: Any) -> Any:
    """Parse while the collector waits, as `tools.syntax.parse` does: pytest parses each module of a plugin that is
    imported late, in a test or at the end, and Python up to 3.11.7 then fails now and then (gh-106905)."""
    collects = gc.isenabled()
    gc.disable()
    try:
        return _parse(*given, **named)
    finally:
        if collects:
            gc.enable()


ast.parse = _parse_undisturbed


def pytest_collection() -> None:
    """Keep the collector off while pytest compiles the tests: in CPython 3.11 a collection within a compilation
    may end it ("AST constructor recursion depth mismatch", gh-106905)."""
    gc.disable()


# Where `make test` keeps the names of the collection that it makes before the workers begin.
NAMES = "STORY_NAMES_OF_TESTS"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let the collector pass over what is there from the start: a tenth of the time of a whole run."""
    gc.collect()
    gc.freeze()
    gc.enable()
    if session.config.option.collectonly and NAMES in os.environ:
        Path(os.environ[NAMES]).write_text(names_of(session), "utf-8")


def names_of(session: pytest.Session) -> str:
    """Return the names of a collection, a line for each."""
    return "\n".join(sorted(item.nodeid for item in session.items))


# The console's tests share a browser, a cloud and an agent: two workers start them, not each that gets a file.
_CONSOLE = "tests/staging/console/"
_FILES_OF_FIRST = f"{_CONSOLE}test_i"


def _console_group(nodeid: str) -> str | None:
    """Return which of its two groups a test of the console is in; None: it is another test."""
    if not nodeid.startswith(_CONSOLE):
        return None
    return f"{_CONSOLE}{'first' if nodeid < _FILES_OF_FIRST else 'second'}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest groups begin first, so that no worker is alone with one at the end."""
    items.sort(key=lambda item: _console_group(item.nodeid) is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each worker whole files, and the console's in two groups."""
    from xdist.scheduler import LoadFileScheduling

    class ByGroup(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _console_group(nodeid) or super()._split_scope(nodeid)

    return ByGroup(config, log)


@pytest.fixture(autouse=True)
def _logging_ends_with_its_test() -> Iterator[None]:
    """Undo what a command's ``main()`` set up: its handler writes to a stderr that closes with the test, and
    each later record of another test would become a "Logging error" there."""
    root = logging.getLogger()
    before = list(root.handlers)
    levels = {logger: logger.level for logger in _loggers()}
    yield
    for handler in set(root.handlers) - set(before):
        if type(handler) is logging.StreamHandler:  # pytest's own are of derived classes
            root.removeHandler(handler)
    for logger in _loggers():
        if logger.level != (level := levels.get(logger, logging.NOTSET)):
            logger.setLevel(level)  # which asks every logger to forget what it has computed


class _Process:
    """What belongs to the whole process, and would change the tests after the one that changes it."""

    SIGNALS = (
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGCHLD,
        signal.SIGPIPE,
        signal.SIGUSR1,
    )
    OF_PYTEST = "PYTEST_CURRENT_TEST"

    def __init__(self) -> None:
        self.environment = dict(os.environ)
        self.folder = Path.cwd()
        self.mask = os.umask(0o077)
        os.umask(self.mask)
        self.signals = {number: signal.getsignal(number) for number in self.SIGNALS}
        self.locale = locale.setlocale(locale.LC_ALL)
        self.path = list(sys.path)
        self.depth = sys.getrecursionlimit()

    def restore(self) -> None:
        now = os.environ.get(self.OF_PYTEST)
        if {**os.environ, self.OF_PYTEST: ""} != {**self.environment, self.OF_PYTEST: ""}:
            os.environ.clear()
            os.environ.update(self.environment)
            if now is not None:
                os.environ[self.OF_PYTEST] = now
        os.chdir(self.folder)
        os.umask(self.mask)
        for number, handler in self.signals.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        if locale.setlocale(locale.LC_ALL) != self.locale:
            locale.setlocale(locale.LC_ALL, self.locale)
        sys.path[:] = self.path
        sys.setrecursionlimit(self.depth)


@pytest.fixture(autouse=True)
def _the_process_is_left_as_it_was() -> Iterator[None]:
    """Undo what a test, or a command's ``main()`` in it, did to the process; fixtures of files end later."""
    before = _Process()
    yield
    before.restore()


def _loggers() -> list[logging.Logger]:
    """Return the root logger and every logger that has been asked for."""
    root = logging.getLogger()
    named = [
        logger for logger in root.manager.loggerDict.values() if isinstance(logger, logging.Logger)
    ]
    return [root, *named]


def write_tone(
    path: Path, seconds: float = 1.0, rate: int = 8000, channels: int = 1, hertz: float = 440.0
) -> Path:
    """Write a 16-bit PCM WAV file with a sine tone."""
    count = int(seconds * rate)
    # Each second of a whole number of hertz is the same, and a story of minutes takes seconds to compute.
    period = min(count, rate) if float(hertz).is_integer() else count
    samples = (int(12000 * math.sin(2 * math.pi * hertz * n / rate)) for n in range(period))
    once = b"".join(struct.pack("<h", sample) * channels for sample in samples)
    frames = (once * math.ceil(count / max(period, 1)))[: 2 * channels * count]
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(frames)
    return path


@pytest.fixture(scope="session")
def pulse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a PulseAudio daemon with one null sink; yields its PULSE_SERVER address."""
    program = shutil.which("pulseaudio")
    assert program, "pulseaudio is missing: make setup installs it"
    folder = tmp_path_factory.mktemp("pulse")
    socket = folder / "native"
    environment = {
        **os.environ,
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "PULSE_RUNTIME_PATH": str(folder / "run"),
    }
    daemon = subprocess.Popen(
        [program, "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
         "--disable-shm=yes", "--log-level=error",
         "-L", f"module-native-protocol-unix socket={socket} auth-anonymous=1",
         "-L", "module-null-sink sink_name=bench"],
        env=environment, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"unix:{socket}"
    subprocess.run(
        ["bash", "-c", "until pactl info >/dev/null 2>&1; do sleep 0.05; done"],
        env={**environment, "PULSE_SERVER": address}, timeout=PULSE_START_TIMEOUT, check=True,
    )  # fmt: skip
    yield address
    daemon.terminate()
    daemon.wait(60)
