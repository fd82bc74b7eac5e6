"""The last log lines of a trial: which are stored, which fit into a report, and when it is sent."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from ota.order.states import State
from ota.trial.log import TrialLog, read_lines
from ota.updater import Hooks
from tests.ota.updater_rig import UpdaterRig, live
from wire.reports import report_payload

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
LINES = 200
LINE_MAX = 400
TOTAL_MAX = 24_576
BODY_LIMIT = 65_536


async def test_the_last_lines_of_a_failed_trial_are_reported_once(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    rig.hooks = Hooks(log_lines=lambda: ["one", "two"])
    await live(rig, order())
    await live(rig, None, prove="no link")
    await live(rig, None)
    logs = [value for key, value in rig.outbox.taken if key == "ota_log"]
    assert logs == [{"transaction": "77", "version": "1.1.0", "lines": ["one", "two"]}]


def test_the_trial_log_keeps_the_end(tmp_path: Path) -> None:
    path = tmp_path / "ota/trial.log"
    handler = TrialLog(path, logging.Formatter("%(message)s"))
    for number in range(LINES * 3 + 7):
        handler.emit(logging.makeLogRecord({"msg": f"line {number}"}))
    assert read_lines(path) == [f"line {n}" for n in range(LINES * 2 + 7, LINES * 3 + 7)]
    assert len(path.read_text().splitlines()) < 2 * LINES
    again = TrialLog(path, logging.Formatter("%(message)s"))
    again.emit(logging.makeLogRecord({"msg": "x" * 1000 + "\nsecond"}))
    assert read_lines(path)[-2:] == ["x" * LINE_MAX, "second"]
    for _number in range(LINES):
        again.emit(logging.makeLogRecord({"msg": "y" * LINE_MAX}))
    assert sum(len(line) + 1 for line in read_lines(path)) <= TOTAL_MAX
    assert read_lines(tmp_path / "none") == []


def test_a_line_that_cannot_be_written_ends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ota").touch()  # a file in the folder's place
    handler = TrialLog(tmp_path / "ota/trial.log", logging.Formatter("%(message)s"))
    handler.emit(logging.makeLogRecord({"msg": "a line"}))
    assert "--- Logging error ---" in capsys.readouterr().err
    (tmp_path / "ota").unlink()
    handler.emit(logging.makeLogRecord({"msg": "another"}))
    assert read_lines(tmp_path / "ota/trial.log") == ["a line", "another"]


@pytest.mark.parametrize("character", ["故", "\x00", '"', "🐻"])
def test_a_log_fits_into_a_report_whatever_it_says(tmp_path: Path, character: str) -> None:
    path = tmp_path / "trial.log"
    path.write_text(f"{character * LINE_MAX}\n" * LINES, "utf-8")
    lines = read_lines(path)
    assert lines
    assert len(report_payload({"ota_log": lines})) < BODY_LIMIT / 2


async def test_a_new_trial_begins_with_an_empty_log(
    rig: UpdaterRig, order: Callable[..., bytes]
) -> None:
    path = rig.settings.state_dir / "ota/trial.log"
    path.parent.mkdir(parents=True)
    path.write_text("of another version\n")
    await live(rig, order())
    assert rig.task.state is State.INSTALLED
    assert not path.exists()
