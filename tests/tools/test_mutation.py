"""What the mutation runner changes: each kind of place, one at a time, and nothing else."""

from __future__ import annotations

import ast

import pytest

from tools.mutants import KINDS, mutants
from tools.mutation import PRODUCT, SUBJECTS, own_tests
from tools.numbers import ROOT


@pytest.mark.parametrize(
    ("source", "change", "becomes"),
    [
        ("x = a < b", "Lt becomes LtE", "x = a <= b"),
        ("x = a is None", "Is becomes IsNot", "x = a is not None"),
        ("if a:\n    b = 1", "the condition is turned", "if not a:\n    b = 1"),
        ("x = a and b", "and becomes or", "x = a or b"),
        ("raise ValueError", "nothing is raised", "pass"),
        ("os.fsync(file)", "the call is left out: os.fsync(file)", "pass"),
        ("with lock:\n    a = b", "the block has no context", "a = b"),
        ("TIMEOUT = 2.0", "TIMEOUT is 1000 times as large", "TIMEOUT = 2.0 * 1000"),
        ("_DAY = 24 * 60", "_DAY is 1000 times as large", "_DAY = 24 * 60 * 1000"),
        ("idle: float = 5", "idle is 1000 times as large", "idle: float = 5 * 1000"),
    ],
)
def test_one_place_is_changed(source: str, change: str, becomes: str) -> None:
    (mutant,) = mutants("m.py", source)
    assert (mutant.line, mutant.change, mutant.source) == (1, change, becomes)


def test_each_place_is_a_mutant_of_its_own() -> None:
    found = list(mutants("m.py", "def f(a):\n    if a > 1 or a == 0:\n        raise E\n    g(a)"))
    assert sorted(mutant.line for mutant in found) == [2, 2, 2, 2, 3, 4]
    assert len({mutant.source for mutant in found}) == len(found)


def test_each_default_of_a_function_is_a_mutant_of_its_own() -> None:
    found = list(mutants("m.py", "def f(a, b=0, c=2, *, d, e=3.5, g='x'): ...", KINDS["numbers"]))
    assert [mutant.source for mutant in found] == [
        "def f(a, b=0, c=2 * 1000, *, d, e=3.5, g='x'):\n    ...",
        "def f(a, b=0, c=2, *, d, e=3.5 * 1000, g='x'):\n    ...",
    ]


def test_syncs_alone_are_chosen() -> None:
    source = (
        "os.fsync(a)\nasyncio.run(b)\nfsync_path(c)\nfoo(d)\ndb.execute('PRAGMA synchronous=FULL')"
    )
    assert [mutant.line for mutant in mutants("m.py", source, KINDS["sync"])] == [1, 3, 5]


def test_each_module_that_syncs_has_tests() -> None:
    syncing = [
        str(path.relative_to(ROOT))
        for room in PRODUCT
        for path in sorted((ROOT / room).rglob("*.py"))
        if "fsync" in path.read_text(encoding="utf-8")
    ]
    assert len(syncing) > 20
    for file in syncing:
        assert own_tests(file), file
        assert all((ROOT / test).is_file() for test in own_tests(file))


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
