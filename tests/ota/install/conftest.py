"""Fixtures of the installers' tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ota.install.rauc_rig import RaucRig


@pytest.fixture
def rauc_rig(tmp_path: Path) -> Iterator[RaucRig]:
    with contextlib.closing(RaucRig(tmp_path)) as instance:
        instance.start_service()
        yield instance
