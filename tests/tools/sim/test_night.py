"""The running total of simulated days, and the night that adds to it."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tools.marked_table import TableError
from tools.sim import night
from tools.sim.night import Batch, batches, main, run_batch
from tools.sim.nights import BEGIN, END, HEAD, Night, next_seed, read, with_night

EMPTY = f"before\n\n{BEGIN}\n{HEAD}\n{END}\n\nafter | all |\n"
FIRST = Night("2026-11-27", "0123abcd", 1, 40, 24.0, (), 160.0)
SHORT = Night("2026-11-28", "4567cdef", 1, 96, 0.25, (7, 9), 5.0)


def test_a_night_is_a_row_and_the_total_is_of_all() -> None:
    document = with_night(with_night(EMPTY, FIRST), SHORT)
    rows = document.splitlines()[5:8]
    assert rows == [
        "| 2026-11-27 | 0123abcd | 1 to 40 | 24 | 40.0 | 0 | 4.00 s |",
        "| 2026-11-28 | 4567cdef | 1 to 96 | 0.25 | 1.0 | 7, 9 | 5.00 s |",
        "| all | | | | 41.0 | 2 | 4.02 s |",
    ]
    assert read(document) == [FIRST, SHORT]
    assert document.endswith("after | all |\n")
    many = Night("2026-11-29", "89ab0123", 41, 20_040, 24.0, (), 60_000.0)
    assert read(with_night(document, many)) == [FIRST, SHORT, many]


def test_the_document_has_the_table() -> None:
    document = night.DOCUMENT.read_text("utf-8")
    assert with_night(document, FIRST).count("\n| 2026-11-27 | 0123abcd | 1 to 40 |") == 1


def test_the_next_night_begins_behind_the_last_of_so_many_hours() -> None:
    nights = read(with_night(with_night(EMPTY, FIRST), SHORT))
    assert [next_seed(nights, hours) for hours in (24.0, 0.25, 6.0)] == [41, 97, 1]


@pytest.mark.parametrize(
    "document",
    ["", f"{BEGIN}\n{HEAD}\n", f"{BEGIN}\n| a |\n{END}", f"{BEGIN}\n{HEAD}\n| 2026 | x |\n{END}"],
)
def test_a_document_without_its_table_is_refused(document: str) -> None:
    with pytest.raises(TableError, match=r"docs/simulation\.md: no "):
        with_night(document, FIRST)


def test_batches_are_all_seeds_once() -> None:
    assert list(batches(5, 7, 3)) == [Batch(5, 7), Batch(8, 10), Batch(11, 11)]


class Simulated:
    """Batches that are run by nobody: some fail, some end otherwise."""

    def __init__(self, failed: tuple[int, ...] = (), ends: int = 0) -> None:
        self.failed, self.ends = failed, ends
        self.run: list[Batch] = []

    def __call__(self, batch: Batch, hours: float) -> tuple[int, ...]:
        assert hours == 24.0
        self.run.append(batch)
        if batch.first <= self.ends <= batch.last:
            raise OSError(f"seed {self.ends} ended the process")
        return tuple(seed for seed in self.failed if batch.first <= seed <= batch.last)


def sim_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, simulated: Simulated, *words: str
) -> Any:
    document = tmp_path / "simulation.md"
    if not document.exists():
        document.write_text(EMPTY, "utf-8")
    monkeypatch.setattr(night, "run_batch", simulated)
    code = main(["--jobs", "1", *words], document)
    return code, [
        (each.first, each.last, each.failed) for each in read(document.read_text("utf-8"))
    ]


def test_nights_go_on_where_the_last_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sim_night(tmp_path, monkeypatch, Simulated(), "--days", "25") == (0, [(1, 25, ())])
    told = sim_night(tmp_path, monkeypatch, Simulated(failed=(26, 31)), "--days", "10")
    assert told == (1, [(1, 25, ()), (26, 35, (26, 31))])


def test_what_follows_a_batch_that_ended_otherwise_is_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sim_night(tmp_path, monkeypatch, Simulated(ends=25), "--days", "90") == (
        0,
        [(1, 20, ())],
    )
    assert "seed 25 ended the process" in capsys.readouterr().err
    simulated = Simulated(ends=21)
    assert sim_night(tmp_path, monkeypatch, simulated, "--days", "90") == (1, [(1, 20, ())])
    assert simulated.run == [Batch(21, 30)]


@pytest.mark.parametrize(
    "words", [("--days", "0"), ("--days", "nan"), ("--jobs", "-1"), ("--minutes", "0"), ("--hours", "inf")]
)  # fmt: skip
def test_nothing_is_run_for_numbers_that_mean_nothing(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    simulated = Simulated()
    with pytest.raises(SystemExit):
        sim_night(tmp_path, monkeypatch, simulated, *words)
    assert f"argument {words[0]}: got {words[1]!r}, expected" in capsys.readouterr().err
    assert not simulated.run


@pytest.mark.parametrize(
    ("code", "told", "failed"),
    [
        (0, "10 of 10\n", ()),
        (1, "seed 3 fails after 5 s: x\n  make sim\nseed 12 fails after 1 s: y\n", (3, 12)),
    ],
)
def test_the_seeds_that_failed_are_what_the_simulation_says(
    code: int, told: str, failed: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert words[1:] == ["-m", "tools.sim", "--first", "3", "--seeds", "10", "--hours", "24.0"]
        return subprocess.CompletedProcess(words, code, told, "a traceback")

    monkeypatch.setattr("tools.sim.night.subprocess.run", run)
    assert run_batch(Batch(3, 12), 24.0) == failed


@pytest.mark.parametrize(("code", "told"), [(1, ""), (-9, ""), (0, "seed 3 fails after 5 s: x")])
def test_a_process_that_ended_otherwise_is_no_result(
    code: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, code, told, "a traceback")

    monkeypatch.setattr("tools.sim.night.subprocess.run", run)
    with pytest.raises(OSError, match=rf"seeds 3 to 12: exit code {code}: a traceback"):
        run_batch(Batch(3, 12), 24.0)


def test_a_night_that_is_told_to_end_counts_what_was_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended(Simulated):
        def __call__(self, batch: Batch, hours: float) -> tuple[int, ...]:
            signal.raise_signal(signal.SIGTERM)
            return super().__call__(batch, hours)

    before = signal.getsignal(signal.SIGTERM)
    assert sim_night(tmp_path, monkeypatch, Ended(), "--days", "90") == (0, [(1, 10, ())])
    assert signal.getsignal(signal.SIGTERM) is before
