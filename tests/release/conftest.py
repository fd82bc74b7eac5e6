"""The release tool is tested with the updater's repository, server and devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.ota.conftest import added, helpers, order, repository, rig, server
from tests.release.ceremony import Ceremony
from tests.release.tool import PACKAGES, Tool

__all__ = ["added", "helpers", "order", "repository", "rig", "server"]


@pytest.fixture
def ceremony(server: Any, tmp_path: Path, helpers: Any) -> Ceremony:
    return Ceremony(server, tmp_path, helpers)


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    for name in PACKAGES:
        (tmp_path / "src" / name / "__pycache__").mkdir(parents=True)
        (tmp_path / "src" / name / "__init__.py").write_text(f"NAME = {name!r}\n")
        (tmp_path / "src" / name / "__pycache__/x.pyc").write_bytes(b"x")
    return Tool(tmp_path)
