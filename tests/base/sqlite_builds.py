"""SQLite as others build it."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest


def as_built_with_normal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SQLite sync its log at checkpoints alone where nothing else is asked, as some builds do in WAL mode."""
    connect = sqlite3.connect

    def connected(*words: Any, **named: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = connect(*words, **named)
        made.execute("PRAGMA synchronous=NORMAL")
        return made

    monkeypatch.setattr(sqlite3, "connect", connected)
