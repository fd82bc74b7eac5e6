"""What the mutation runner changes: each kind of place, one at a time, and nothing else."""

from __future__ import annotations

import ast

import pytest

from tools.mutation import SUBJECTS, mutants
from tools.numbers import ROOT


@pytest.mark.parametrize(
    ("source", "change", "becomes"),
    [
        ("x = a < b", "Lt becomes LtE", "x = a <= b"),
        ("x = a is None", "Is becomes IsNot", "x = a is not None"),
        ("if a:\n    b = 1", "the condition is turned", "if not a:\n    b = 1"),
        ("x = a and b", "and becomes or", "x = a or b"),
        ("raise ValueError", "nothing is raised", "pass"),
        ("os.fsync(file)", "the call is left out", "pass"),
        ("with lock:\n    a = b", "the block has no context", "a = b"),
        ("TIMEOUT = 2.0", "TIMEOUT is 1000 times as large", "TIMEOUT = 2000.0"),
    ],
)
def test_one_place_is_changed(source: str, change: str, becomes: str) -> None:
    (mutant,) = mutants("m.py", source)
    assert (mutant.line, mutant.change, mutant.source) == (1, change, becomes)


def test_each_place_is_a_mutant_of_its_own() -> None:
    found = list(mutants("m.py", "def f(a):\n    if a > 1 or a == 0:\n        raise E\n    g(a)"))
    assert sorted(mutant.line for mutant in found) == [2, 2, 2, 2, 3, 4]
    assert len({mutant.source for mutant in found}) == len(found)


@pytest.mark.parametrize(
    "source", ["x = 1", "def f():\n    'text'", "with open(a) as b:\n    c = d", "DEBUG = True"]
)
def test_what_says_nothing_of_behaviour_is_left(source: str) -> None:
    assert list(mutants("m.py", source)) == []


@pytest.mark.parametrize("name", SUBJECTS)
def test_the_subjects_files_and_tests_are_there(name: str) -> None:
    files, tests = SUBJECTS[name]
    assert all((ROOT / path).exists() for path in (*files, *tests))
    assert all(ast.parse((ROOT / file).read_text(encoding="utf-8")).body for file in files)
