"""`story-cloud diag`: a scripted server's pieces become one file, or none."""

from __future__ import annotations

import argparse
import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from staging.commands import diagnoses
from staging.errors import StagingError

ARCHIVE = b"an archive in two pieces"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], Path]:
    def script(last: dict[str, Any]) -> Path:
        def ask(_root: Path, work: str, told: dict[str, Any]) -> dict[str, Any]:
            if work == "device.diag":
                return {"state": "gathering", "done": 0, "parts": None}
            if work == "diag.look":
                return last
            piece = ARCHIVE[told["at"] : told["at"] + 15] if last.get("whole", True) else b""
            return {"data": base64.b64encode(piece).decode()}

        monkeypatch.setattr(diagnoses, "ask", ask)
        monkeypatch.setattr(diagnoses, "LOOK_SECONDS", 0)
        file = tmp_path / "diag.tar.gz"
        diagnoses._diag(argparse.Namespace(uuid="0083000000000a", file=file, data=tmp_path))
        return file

    return script


def test_the_pieces_are_one_private_file(run: Callable[[dict[str, Any]], Path]) -> None:
    file = run({"state": "ready", "size": len(ARCHIVE)})
    assert file.read_bytes() == ARCHIVE
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("last", "says"),
    [
        ({"state": "failed", "message": "is off line"}, "is off line"),
        ({"state": "ready", "size": len(ARCHIVE), "whole": False}, "another diagnosis was begun"),
    ],
)
def test_what_did_not_come_leaves_no_file(
    run: Callable[[dict[str, Any]], Path], tmp_path: Path, last: dict[str, Any], says: str
) -> None:
    with pytest.raises(StagingError, match=says):
        run(last)
    assert not list(tmp_path.glob("diag*"))
