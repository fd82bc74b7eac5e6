"""mpv is the program, or the library where only that is installed."""

from __future__ import annotations

import pytest

from machine.mpv_program import LIBMPV_CHILD, find_program
from machine.player import MpvPlayer, find_player


def test_libmpv_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that was set up for an earlier version has no program mpv."""
    assert find_program()[0].endswith("/mpv")
    monkeypatch.setattr("machine.mpv_program.find_on_path", lambda _name: None)
    assert find_program()[-1] == LIBMPV_CHILD
    assert isinstance(find_player(), MpvPlayer)
    monkeypatch.setattr("ctypes.util.find_library", lambda _name: None)
    assert find_program() == []
