"""`make bench` prints what could be measured, whatever could not."""

from __future__ import annotations

import contextlib

import pytest

from benchmarks import run
from benchmarks.figures import Figure, figure


def test_one_that_fails_costs_no_other_its_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone(*_: object) -> list[Figure]:
        raise FileNotFoundError(2, "No such file or directory", "/proc/1/stat")

    def measured(*_: object) -> list[Figure]:
        return [figure("start to registered", "s", [0.2], "python", [0.1])]

    monkeypatch.setattr(run, "stage", lambda: contextlib.nullcontext(None))
    monkeypatch.setattr(run, "STAGED", (gone, measured))
    monkeypatch.setattr(run, "UNSTAGED", (measured, gone))
    monkeypatch.setattr("sys.argv", ["run"])
    assert run.main() == 1
    told = capsys.readouterr()
    assert told.out.count("| start to registered |") == 2
    assert told.err.count("not measured: ") == 2
    assert "/proc/1/stat" in told.err
