"""The release tool as a process: its answer is checked, and its error becomes one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from staging.data_dir import DataDir
from staging.errors import StagingError
from staging.releases import tool
from staging.store.releases import Target

ANSWER = {"path": "targets/p/a b.tar", "size": 5, "md5": "m", "sha256": "s"}


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    made = DataDir(tmp_path / "data").create()
    (made.tuf / "targets" / "p").mkdir(parents=True)
    (made.tuf / "targets" / "p" / "a b.tar").write_bytes(b"12345")
    (made.tuf / "secret").write_bytes(b"12345")
    return made


def stand_in(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(tool, "COMMAND", (sys.executable, "-c", program))


def answer(monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    stand_in(monkeypatch, f"print({json.dumps(value)!r})")


def test_a_package_is_named_below_targets_and_quoted_for_a_url(
    data: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, ANSWER)
    file = data.tuf / "secret"
    assert tool.add(data, file, "p", "1.0") == Target("p/a%20b.tar", 5, "m", "s")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"path": "targets/../secret"}, "path: got"),
        ({"path": "targets/none"}, "path: got"),
        ({"size": 0}, "story-release add: size: got 0"),
        ({"md5": None}, "story-release add: md5"),
    ],
)
def test_an_answer_that_cannot_be_served_is_refused(
    data: DataDir, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], message: str
) -> None:
    answer(monkeypatch, ANSWER | changed)
    with pytest.raises(StagingError, match=message):
        tool.add(data, data.tuf / "secret", "p", "1.0")


def test_the_tools_last_line_is_the_reason(data: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "raise SystemExit('warning\\nstory-release: the key is not there')")
    with pytest.raises(StagingError, match=r"^story-release refresh: the key is not there$"):
        tool.refresh(data)
    stand_in(monkeypatch, "raise SystemExit(3)")
    with pytest.raises(StagingError, match=r"^story-release refresh: exit code 3$"):
        tool.refresh(data)
    monkeypatch.setattr(tool, "COMMAND", ("/no/such/program",))
    with pytest.raises(StagingError, match=r"^story-release refresh: .*No such file"):
        tool.refresh(data)


def test_a_missing_file_starts_no_process(data: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "COMMAND", ("/no/such/program",))
    with pytest.raises(StagingError, match="none: there is no such file"):
        tool.add(data, data.root / "none", "p", "1.0")


def test_a_repository_that_is_there_is_kept(data: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "COMMAND", ("/no/such/program",))
    with pytest.raises(StagingError, match="story-release init"):
        tool.ensure_repository(data)
    data.tuf_root.parent.mkdir()
    data.tuf_root.write_text("{}")
    tool.ensure_repository(data)
