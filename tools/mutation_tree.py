"""A copy of the tree in which one file at a time is changed, and the tests that run in it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tools import chosen_tests
from tools.mutants import Mutant
from tools.mutation_tests import Ran, files_of, read_lines

ROOT = Path(__file__).resolve().parent.parent
COPIED = (
    "wire", "audio", "base", "transport", "machine", "resources", "ota", "release", "agent", "staging", "cloud", "tools",
    "tests", "docs", "examples", "systemd", "pyproject.toml", "README.md", "README.zh-CN.md", "Makefile",
)  # fmt: skip
# Where `make mutation` puts coverage.py, which is no package of the house's.
COVERAGE = ROOT / "build" / "coverage" / "lib"
# Seconds of one run of tests: so many times what it takes without a mutant, within these; what hangs is noticed too.
PATIENCE = 5.0
PATIENCE_MIN, PATIENCE_MAX = 40.0, 600.0
# Seconds of one test, in the same way: a mutant that hangs is to cost no more.
TEST_PATIENCE, TEST_MIN = 10.0, 20.0
# Seconds for all tests of a subject, while each line that they run is noted.
RECORD_MAX = 1800.0
_PASSED, _NO_TESTS = 0, 5  # pytest's exit codes
_FAILED = re.compile(r"^(?:FAILED|ERROR) (tests/.*?)(?: - .*)?$", re.MULTILINE)
_PYTEST = (
    sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider",
)  # fmt: skip
# A second store shows nothing more of what is mutated, and takes several times as long.
_ONE_STORE = ("-k", "not postgresql")
_QUICK = ("-m", "not long", *_ONE_STORE)
_CONFIG = """[run]
parallel = true
data_file = {data}
context = ${{{test}-}}
patch = _exit, execv
disable_warnings = no-data-collected,module-not-imported,module-not-measured,already-imported,couldnt-parse
include =
{files}
"""


class Copy:
    """A copy of the tree, in which one file at a time is changed."""

    def __init__(self, folder: Path) -> None:
        """Copy what the tests need."""
        self._folder = folder
        self._scratch = folder.with_name(
            "s"
        )  # short: a socket of a test has 108 bytes for its path
        self._scratch.mkdir()
        self._beside = folder.with_name("beside")
        self._beside.mkdir()
        self._said = self._beside / "said"
        # Tests that pass without a mutant, and the seconds that they are given.
        self._sound: dict[tuple[str, ...], float] = {}
        ignored = shutil.ignore_patterns("__pycache__", ".git")
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=ignored, symlinks=True)
            else:
                shutil.copy(source, folder / name)

    @property
    def said(self) -> str:
        """What the last run of tests said."""
        return self._said.read_text(errors="replace")

    def recorded(self, tests: Sequence[str], files: Sequence[str]) -> Ran:
        """Run all tests without a mutant; return which of them run which lines of ``files``, and for how long.

        Raises:
            FileNotFoundError: coverage.py is not there.
        """
        if not COVERAGE.is_dir():
            raise FileNotFoundError(f"{COVERAGE}: no coverage.py, expected as of `make mutation`")
        times, site, config = (self._beside / name for name in ("times", "site", "config"))
        shutil.rmtree(site, ignore_errors=True)
        site.mkdir()
        (site / "sitecustomize.py").write_text("import coverage\ncoverage.process_startup()\n")
        places = "\n".join(f"  {self._folder / file}" for file in files)
        data = site / "data"
        config.write_text(_CONFIG.format(data=data, test=chosen_tests.TEST, files=places))
        words = {
            "PYTHONPATH": f"{self._folder}:{COVERAGE}:{site}", "COVERAGE_PROCESS_START": str(config),
            "PYTHONDONTWRITEBYTECODE": "", chosen_tests.TIMES: str(times),
        }  # fmt: skip
        times.write_text("{}")
        command = [*_PYTEST, *_QUICK, "-p", "tools.chosen_tests", *tests]
        self._run(command, RECORD_MAX, words)
        return Ran(json.loads(times.read_bytes()), self._lines(config, site / "report"))

    def _lines(self, config: Path, report: Path) -> Mapping[str, Mapping[int, frozenset[str]]]:
        """Return which tests run which lines, by what coverage.py has noted."""
        environment = {**os.environ, "PYTHONPATH": str(COVERAGE)}
        for words in (["combine", "-q"], ["json", "-q", "--show-contexts", "-o", str(report)]):
            command = [sys.executable, "-m", "coverage", words[0], f"--rcfile={config}", *words[1:]]
            subprocess.run(command, cwd=self._folder, env=environment, check=True)
        return read_lines(json.loads(report.read_bytes()))

    def noticed_by(self, mutant: Mutant, tests: Mapping[str, float]) -> str | None:
        """Return which of ``tests`` fails first with a mutant; None: all pass.

        They run in their order; each is with the seconds that it takes without a mutant.
        """
        chosen = self._beside / "chosen"
        chosen.write_text(json.dumps(list(tests)), encoding="utf-8")
        hangs = max(TEST_MIN, TEST_PATIENCE * max(tests.values()))
        command = [
            *_PYTEST, "-x", "-o", f"timeout={hangs:.0f}", "-p", "tools.chosen_tests", *files_of(list(tests)),
        ]  # fmt: skip
        words = {chosen_tests.CHOSEN: str(chosen)}
        with self._changed(mutant):
            code = self._run(command, _patience(sum(tests.values())), words)
        if code in {_PASSED, _NO_TESTS}:
            return None
        failed = _FAILED.search(self.said)
        return "its time was over" if code is None else failed[1] if failed else f"pytest: {code}"

    def passes_unchanged(self, tests: Sequence[str]) -> bool:
        """Return whether files of tests pass without a mutant; keeps the bytecode, and notes how long it takes."""
        key = tuple(tests)
        if key not in self._sound:
            began = time.monotonic()
            command = [*_PYTEST, *_ONE_STORE, "-x", *tests]
            if self._run(command, PATIENCE_MAX, {"PYTHONDONTWRITEBYTECODE": ""}):
                return False
            self._sound[key] = time.monotonic() - began
        return True

    def passes_with(self, mutant: Mutant, tests: Sequence[str]) -> bool:
        """Return whether files of tests, which pass unchanged, pass though the source was changed."""
        with self._changed(mutant):
            command = [*_PYTEST, *_ONE_STORE, "-x", *tests]
            return self._run(command, _patience(self._sound[tuple(tests)])) == 0

    @contextlib.contextmanager
    def _changed(self, mutant: Mutant) -> Iterator[None]:
        path = self._folder / mutant.file
        before, times = path.read_bytes(), path.stat()
        path.write_text(mutant.source, encoding="utf-8")
        try:
            yield
        finally:
            path.write_bytes(before)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def _run(
        self, command: Sequence[str], seconds: float, words: Mapping[str, str] | None = None
    ) -> int | None:
        """Run a command of tests in the copy; return its exit code, None if its time was over."""
        environment = {
            **os.environ, "PYTHONPATH": str(self._folder), "TMPDIR": str(self._scratch), "PYTHONDONTWRITEBYTECODE": "1",
            **(words or {}),
        }  # fmt: skip
        with self._said.open("wb") as said:
            process = subprocess.Popen(
                command, cwd=self._folder, env=environment, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(process)
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch.mkdir(exist_ok=True)


def _patience(seconds: float) -> float:
    return min(PATIENCE_MAX, max(PATIENCE_MIN, PATIENCE * seconds))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the tests and what they started and left, as a mutant does."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
