"""Which tests run a mutant's line, the likeliest to notice it first: what `tools.mutation` runs.

A test that does not run the changed line cannot notice it. Of those that do, the module's own go first, then the
quickest files, and in a file the quickest tests; the first failure ends a mutant's run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from tools.mutants import Mutant

Lines = Mapping[str, Mapping[int, frozenset[str]]]
"""The tests that run a line, by file and line."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run of a subject's tests without a mutant has shown.

    Attributes:
        seconds: how long each test took that passed; the others notice nothing.
        lines: which tests run which lines.
        own: files of tests that go first, by file.
    """

    seconds: Mapping[str, float]
    lines: Lines
    own: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def of(self, mutant: Mutant) -> list[str]:
        """Return the tests that run a mutant's place, in the order in which they are to run.

        What the import of a module runs, such as a constant, may be noticed by each test that runs something of
        the module; if none is known to, by each there is. A line that no test was seen to run may be run in a
        process of its own, out of coverage.py's sight: the module's own tests are tried.
        """
        lines, own = self.lines.get(mutant.file, {}), self.own.get(mutant.file, ())
        if mutant.lines:
            found = _all(lines.get(line, frozenset()) for line in mutant.lines)
            found = found or frozenset(test for test in self.seconds if _file(test) in own)
        else:
            found = _all(lines.values()) or frozenset(self.seconds)
        return self._ordered(found & self.seconds.keys(), own)

    def _ordered(self, tests: frozenset[str], own: Sequence[str]) -> list[str]:
        """Order tests by their files, which share fixtures, and in these by their seconds."""
        files: dict[str, float] = {}
        for test in tests:
            files[_file(test)] = files.get(_file(test), 0.0) + self.seconds[test]
        return sorted(
            tests,
            key=lambda test: (
                _file(test) not in own,
                files[_file(test)],
                _file(test),
                self.seconds[test],
                test,
            ),
        )


def _all(sets: Any) -> frozenset[str]:
    return frozenset().union(*sets)


def _file(test: str) -> str:
    return test.partition("::")[0]


def files_of(tests: Sequence[str]) -> list[str]:
    """Return the files of tests, in their order."""
    return list(dict.fromkeys(_file(test) for test in tests))


def read_lines(report: Mapping[str, Any]) -> Lines:
    """Return which tests run which lines by a report of ``coverage json --show-contexts``; "" is no test."""
    return {
        str(PurePath(file)): {
            int(line): frozenset(tests) - {""} for line, tests in found.get("contexts", {}).items()
        }
        for file, found in report["files"].items()
    }
