"""What the mutation runner changes: each kind of place, one at a time, and nothing else."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any, cast

import pytest

from tools import chosen_tests
from tools.mutants import KINDS, Mutant, mutants
from tools.mutation import GUARDS, PRODUCT, SUBJECTS, _chosen, _of_kinds, own_tests
from tools.mutation_tests import Ran, files_of, read_lines
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
        ("with lock:\n    a = b", "the block has no context: lock", "a = b"),
        (
            "with open(a) as f, g.lock, open(b) as h:\n    c",
            "the block has no context: g.lock",
            "with open(a) as f, open(b) as h:\n    c",
        ),
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


@pytest.mark.parametrize(
    ("source", "becomes"),
    [
        ("TIMEOUT = 2.0", "TIMEOUT = 0.002"),
        ("LIMIT = 4 * 1024", "LIMIT = 4"),
        ("idle: int = 5", "idle: int = 1"),
        ("def f(*, a=-3.5): ...", "def f(*, a=-0.0035):\n    ..."),
    ],
)
def test_a_number_becomes_a_thousandth_that_is_not_zero(source: str, becomes: str) -> None:
    (mutant,) = mutants("m.py", source, KINDS["smaller"])
    assert (mutant.source, mutant.change[-11:]) == (becomes, "is a 1000th")


def test_locks_alone_are_chosen() -> None:
    source = "with a.lock:\n    b\nwith suppress(c):\n    d\nasync def f():\n    async with e._locked():\n        g"
    assert [mutant.line for mutant in mutants("m.py", source, KINDS["locks"])] == [1, 6]


def test_a_lock_is_one_whatever_it_is_called() -> None:
    source = (
        "class A:\n    def __init__(self):\n        self._gate = asyncio.Lock()\n        self._turn = Semaphore(2)\n"
        "        self._files = Files()\n    async def f(self):\n        async with self._gate:\n            with self._files:\n"
        "                with self._turn:\n                    with suppress(BlockingIOError):\n                        b"
    )
    found = list(mutants("m.py", source, KINDS["locks"]))
    assert [mutant.change for mutant in found] == [
        "the block has no lock: self._gate",
        "the block has no lock: self._turn",
    ]


def test_numbers_side_by_side_are_changed_one_at_a_time() -> None:
    source = "A, b, C = 2.0, 3, 4 * 5\nD, E = f()\nF, G = (7, 'x')"
    found = list(mutants("m.py", source, KINDS["numbers"]))
    assert [mutant.source.splitlines()[0] for mutant in found] == [
        "A, b, C = (2.0 * 1000, 3, 4 * 5)",
        "A, b, C = (2.0, 3, 4 * 5 * 1000)",
        "A, b, C = (2.0, 3, 4 * 5)",
    ]
    assert found[2].source.splitlines()[2] == "F, G = (7 * 1000, 'x')"
    assert [mutant.line for mutant in found] == [1, 1, 3]


def test_each_room_that_has_a_lock_has_its_guards() -> None:
    rooms = {place.file.partition("/")[0] for place in _of_kinds(["locks"], PRODUCT)}
    assert rooms == set(GUARDS)
    assert all((ROOT / test).is_file() for test in GUARDS.values())


def test_a_sample_of_kinds_is_of_all_folders_and_the_same_for_a_seed() -> None:
    every = _of_kinds(["locks", "sync"], ["base", "staging/store"])
    assert len(every) > 10
    files = _chosen(every, 10, 5)
    assert files == _chosen(every, 10, 5) != _chosen(every, 10, 6)
    assert sum(map(len, files.values())) == 10
    assert all(mutant.file == file for file, found in files.items() for mutant in found)
    assert sum(map(len, _chosen(every, None, 5).values())) == len(every)


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


@pytest.mark.parametrize(
    ("source", "change", "lines"),
    [
        (
            "def f(a):\n    if (\n        a\n        or b\n    ):\n        c",
            "the condition",
            [3, 4],
        ),
        (
            "def f(a):\n    if a:\n        raise E(\n            a\n        )",
            "nothing is",
            [3, 4, 5],
        ),
        ("async def f():\n    async with a:\n        b\n        c", "the block", [2]),
        ("class A:\n    def f(self):\n        g(\n            self)", "the call", [3, 4]),
        ("def f(a=2):\n    b", "a is 1000", []),  # a call that gives ``a`` does not run it
        ("A = 2", "A is 1000", []),
        ("class A:\n    idle: float = 5", "idle is 1000", []),
    ],
)
def test_a_mutant_has_the_lines_that_run_its_place(
    source: str, change: str, lines: list[int]
) -> None:
    (mutant,) = mutants("m.py", source, change)
    assert list(mutant.lines) == lines


def mutant_of(file: str, *lines: int) -> Mutant:
    return Mutant(file, 1, "", "", range(lines[0], lines[-1] + 1) if lines else range(0))


SECONDS = {"own.py::a": 9.0, "own.py::b": 1.0, "slow.py::a": 5.0, "slow.py::b": 0.1, "q.py::a": 3.0}
RAN = Ran(
    SECONDS,
    {
        "m.py": {
            3: frozenset({"own.py::a", "slow.py::a", "q.py::a", "own.py::b", "broken.py::a"}),
            4: frozenset({"slow.py::b"}),
            6: frozenset(),
        }
    },
    {"m.py": ["own.py"]},
)


def test_a_module_s_own_tests_go_first_then_the_quickest_file_and_in_it_the_quickest() -> None:
    assert RAN.of(mutant_of("m.py", 3, 4)) == [
        "own.py::b",
        "own.py::a",
        "q.py::a",
        "slow.py::b",
        "slow.py::a",
    ]


def test_tests_that_do_not_run_the_line_are_left_and_so_are_those_that_fail_without_a_mutant() -> (
    None
):
    assert RAN.of(mutant_of("m.py", 4)) == ["slow.py::b"]
    assert "broken.py::a" not in RAN.of(mutant_of("m.py", 3))


@pytest.mark.parametrize("line", [6, 7])
def test_a_line_that_no_test_is_seen_to_run_is_tried_by_the_module_s_own(line: int) -> None:
    assert RAN.of(mutant_of("m.py", line)) == ["own.py::b", "own.py::a"]
    assert Ran(SECONDS, RAN.lines).of(mutant_of("m.py", line)) == []


def test_what_an_import_runs_is_tried_by_each_test_of_the_module() -> None:
    assert set(RAN.of(mutant_of("m.py"))) == set(SECONDS)
    only = Ran(SECONDS, {"m.py": {3: frozenset({"q.py::a"})}})
    assert only.of(mutant_of("m.py")) == ["q.py::a"]
    assert set(only.of(mutant_of("other.py"))) == set(SECONDS)  # nothing of it is called


def test_the_report_of_coverage_is_read_and_no_test_has_what_runs_between_them() -> None:
    report = {
        "meta": {},
        "files": {"wire/m.py": {"contexts": {"1": [""], "7": ["", "t.py::a", "t.py::b[x|y]"]}}},
    }
    assert read_lines(report) == {"wire/m.py": {1: set(), 7: {"t.py::a", "t.py::b[x|y]"}}}


def test_files_are_run_in_the_order_of_their_tests() -> None:
    assert files_of(["b.py::x", "a.py::y[a::b]", "b.py::z"]) == ["b.py", "a.py"]


class Item:
    def __init__(self, nodeid: str) -> None:
        self.nodeid = nodeid


def test_the_chosen_tests_alone_run_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = tmp_path / "chosen"
    chosen.write_text(json.dumps(["b::2", "a::1", "gone::1"]))
    items = [Item("a::1"), Item("a::2"), Item("b::2")]
    chosen_tests.pytest_collection_modifyitems(cast("Any", items))
    assert len(items) == 3  # nothing was chosen
    monkeypatch.setenv(chosen_tests.CHOSEN, str(chosen))
    chosen_tests.pytest_collection_modifyitems(cast("Any", items))
    assert [item.nodeid for item in items] == ["b::2", "a::1"]
