"""The part that has arrived: hashed again, resumed, and limited by the disk."""

from __future__ import annotations

import errno
import hashlib
from dataclasses import replace
from typing import Any

import pytest

from ota.errors import FetchError, NoSpaceError, StoppedError
from ota.fetch.partial import PartialFile
from tests.ota.fetch.rig import DATA, FAST, DownloadRig, cut_at, status


def test_a_later_start_hashes_what_is_there_and_asks_for_the_rest(rig: DownloadRig) -> None:
    rig.script(cut_at(500_000), status(503), status(503))
    with pytest.raises(FetchError, match="HTTP 503"):
        rig.run()
    have = rig.part.stat().st_size
    assert 0 < have <= 500_000
    rig.server.requests.clear()
    rig.progress.clear()
    assert rig.run().path.read_bytes() == DATA
    assert rig.ranges == [f"bytes={have}-"]
    assert rig.progress[0] == (have, len(DATA))


def test_a_complete_file_needs_no_server(rig: DownloadRig) -> None:
    rig.run()
    rig.server.requests.clear()
    assert rig.run().md5 == hashlib.md5(DATA).hexdigest()
    assert not rig.server.requests


def test_a_part_that_was_damaged_on_disk_is_fetched_again(rig: DownloadRig) -> None:
    rig.run()
    rig.part.write_bytes(b"\0" * len(DATA))
    assert rig.run().path.read_bytes() == DATA


def test_too_little_space_is_said_before_the_first_request(rig: DownloadRig) -> None:
    with pytest.raises(NoSpaceError) as caught:
        rig.run(replace(FAST, free_space=lambda _path: 1000))
    assert str(caught.value) == f"no space: needs {len(DATA) + FAST.reserve} bytes, has 1000"
    assert not rig.server.requests


def test_a_disk_that_fills_up_meanwhile(rig: DownloadRig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: Any, _chunk: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(PartialFile, "_write", full)
    with pytest.raises(NoSpaceError, match="no space: needs"):
        rig.run()


def test_another_fault_of_the_disk_is_left_as_it_is(
    rig: DownloadRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: Any, _chunk: bytes) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(PartialFile, "_write", broken)
    with pytest.raises(OSError, match="Input/output"):
        rig.run()


def test_stopping_keeps_what_arrived(rig: DownloadRig) -> None:
    def stop_then_send(handler: Any, data: bytes, start: int) -> None:
        rig.stop.set()
        handler.send_file(data, start)

    rig.script(cut_at(500_000), stop_then_send)
    with pytest.raises(StoppedError):
        rig.run()
    assert rig.part.stat().st_size > 0


def test_another_download_in_the_folder_is_removed(rig: DownloadRig) -> None:
    rig.folder.mkdir()
    (rig.folder / "old.part").write_bytes(b"x")
    rig.run()
    assert not (rig.folder / "old.part").exists()
