"""A plugin of pytest (`-p tools.chosen_tests`) for `tools.mutation`: which test runs which lines, and the run of chosen ones.

With `TIMES` set to a file's name, each test is noted there with its seconds, if it passes, and coverage.py is told whose the
lines are that run. With `CHOSEN`, a file with a list of tests, these alone run, in the list's order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path

import pytest

TIMES = "MUTATION_TIMES"
CHOSEN = "MUTATION_CHOSEN"
# The test that runs now: coverage.py in the processes that it starts reads it as its context.
TEST = "MUTATION_TEST"

_seconds: dict[str, float] = {}
_unfit: set[str] = set()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the chosen tests alone, in their order."""
    if (name := os.environ.get(CHOSEN)) is not None:
        places = {test: at for at, test in enumerate(json.loads(Path(name).read_bytes()))}
        chosen = [item for item in items if item.nodeid in places]
        items[:] = sorted(chosen, key=lambda item: places[item.nodeid])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Say whose the lines are that run from here on: a test's fixtures, tasks and threads are its own too."""
    _switch(item.nodeid)
    try:
        return (yield)
    finally:
        _switch("")


def _switch(test: str) -> None:
    os.environ[TEST] = test
    if TIMES in os.environ:
        from coverage import Coverage  # noqa: PLC0415  # in a folder of its own, for this alone

        if (running := Coverage.current()) is not None:
            running.switch_context(test)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add a part of a test to its seconds; one that does not pass notices nothing."""
    _seconds[report.nodeid] = _seconds.get(report.nodeid, 0.0) + report.duration
    if not report.passed:
        _unfit.add(report.nodeid)


def pytest_sessionfinish() -> None:
    """Write the seconds of the tests that passed."""
    if (name := os.environ.get(TIMES)) is not None:
        passed = {test: took for test, took in _seconds.items() if test not in _unfit}
        Path(name).write_text(json.dumps(passed), encoding="utf-8")
