"""The table of planted bugs: its rows and its place in the page; what some of them need of the world."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tools.marked_table import TableError
from tools.sim import planted
from tools.sim.invariants import END_CHECKS, STEP_CHECKS
from tools.sim.planted import PLANTS
from tools.sim.planted_table import Row, of_page, read, render, with_rows
from tools.sim.repository import VERSIONS, Repository

PAGE = Path(__file__).parents[3] / "docs" / "simulation.md"
FOUND = Row("no lock", "seeds", "seed 7 fails after 60 s: done_is_done: it is not", "12345678")
LOST = Row("no bound", "mqtt", "**not found** in seeds 1 to 9", "12345678")


def test_rows_are_read_as_they_were_written() -> None:
    rows = {row.name: row for row in (FOUND, LOST)}
    assert read(render(rows, rows)) == rows
    assert (FOUND.seed, FOUND.is_found) == (7, True)
    assert (LOST.seed, LOST.is_found) == (None, False)
    long = Row("a", "storage task 1", "task: " + "a | b " * 100, "1")
    assert len(read(str(long))["a"].how) <= 160


def test_new_rows_take_the_place_of_old_ones_in_the_order_of_the_bugs() -> None:
    page = f"# Page\n\n<!-- planted: begin -->\n{render(['no lock'], {'no lock': FOUND})}\n<!-- planted: end -->\nrest\n"
    newer = Row("no lock", "seeds", "seed 9 fails", "87654321")
    told = with_rows(page, ["no bound", "no lock"], {"no bound": LOST, "no lock": newer})
    assert list(read(of_page(told)).values()) == [LOST, newer]
    assert told.endswith("<!-- planted: end -->\nrest\n")
    assert with_rows(page, ["no lock"], {}) == page


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(TableError, match="no table"):
        of_page("# Page")
    with pytest.raises(TableError, match="no row of a planted bug"):
        read("| a | b |")


# Invariants by which no planted bug was found yet, or not on the latest world: there are none.
UNPROVEN: set[str] = set()


def test_the_page_has_rows_of_planted_bugs_alone_and_an_invariant_finds_one() -> None:
    rows = read(of_page(PAGE.read_text("utf-8")))
    kinds = {each.name: each.by for each in PLANTS}
    assert {name: kinds.get(name) for name in rows} == {name: row.by for name, row in rows.items()}
    told = " ".join(row.how for row in rows.values() if row.is_found)
    checks = {check.__name__ for check in (*STEP_CHECKS, *END_CHECKS)}
    assert {name for name in checks if f" s: {name}: " not in told} <= UNPROVEN


def test_another_build_of_a_version_is_as_long_whole_and_different() -> None:
    repository = Repository()
    assert len(repository.others) == len(VERSIONS)
    for path, other in repository.others.items():
        signed = repository.files[path]
        assert len(other) == len(signed)
        assert gzip.decompress(other) != gzip.decompress(signed)


def test_a_name_that_no_bug_has_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", ["planted", "--only", "nosuch", "--write", str(tmp_path / "x")])
    with pytest.raises(SystemExit):
        planted.main()
    assert "--only: got 'nosuch', expected a part of a bug's name" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
