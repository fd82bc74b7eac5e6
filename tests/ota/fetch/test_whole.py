"""Downloads from a real server with scripted faults: which resume, start over, or fail."""

from __future__ import annotations

import errno
import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ota.errors import ContentError, FetchError, NoSpaceError, StoppedError
from ota.fetch.folder import discard
from ota.fetch.pace import LowSpeed, Pacer
from ota.fetch.partial import Downloaded, PartialFile
from ota.fetch.responses import BodyUse, interpret
from ota.fetch.retry import Attempts, RetryPolicy
from ota.fetch.source import DownloadSettings, Source
from ota.fetch.web import WebSettings, show_url
from ota.fetch.whole import download
from wire.ota import OtaEvent

DATA = bytes(range(256)) * 8000
SHA256 = hashlib.sha256(DATA).hexdigest()
FAST = DownloadSettings(
    web=WebSettings(connect_timeout=5, read_timeout=5),
    retry=RetryPolicy(attempts=3, total=20, first=0.001, longest=0.002),
    free_space=lambda _path: 2**40,
)


class Rig:
    """One download and the files that it leaves."""

    def __init__(self, server: Any, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.source = Source(f"{server.url}/p.tar.gz", len(DATA), SHA256)
        self.stop = threading.Event()
        self.progress: list[tuple[int, int]] = []
        (server.root / "p.tar.gz").write_bytes(DATA)

    def script(self, *faults: Callable[[Any, bytes, int], None]) -> None:
        self.server.script.extend(faults)

    def run(self, settings: DownloadSettings = FAST, **changes: Any) -> Downloaded:
        def seen(done: int, total: int) -> None:
            self.progress.append((done, total))

        source = replace(self.source, **changes)
        return download(source, self.folder, settings, self.stop, seen)

    @property
    def part(self) -> Path:
        return self.folder / f"{SHA256}.part"

    @property
    def ranges(self) -> list[str | None]:
        return [asked for _path, asked in self.server.requests]


@pytest.fixture
def rig(server: Any, tmp_path: Path) -> Rig:
    return Rig(server, tmp_path / "download")


def cut_at(size: int) -> Callable[[Any, bytes, int], None]:
    return lambda handler, data, start: handler.send_file(data, start, cut=size)


def status(code: int) -> Callable[[Any, bytes, int], None]:
    return lambda handler, _data, _start: handler.answer(code, b"")


def test_a_whole_file(rig: Rig) -> None:
    done = rig.run()
    assert done.path.read_bytes() == DATA
    assert done.md5 == hashlib.md5(DATA).hexdigest()
    assert rig.progress[0] == (0, len(DATA))
    assert rig.progress[-1] == (len(DATA), len(DATA))


def test_a_broken_connection_goes_on_where_it_broke(rig: Rig) -> None:
    rig.script(cut_at(700_000), lambda h, _d, _s: h.break_off(reset=True), cut_at(300_000))
    assert rig.run().path.read_bytes() == DATA
    assert rig.ranges[0] is None
    offsets = [int((asked or "bytes=0-")[6:-1]) for asked in rig.ranges]
    assert offsets == sorted(offsets)
    assert 0 < offsets[1] == offsets[2] < offsets[3]


def test_a_later_start_hashes_what_is_there_and_asks_for_the_rest(rig: Rig) -> None:
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


def test_a_complete_file_needs_no_server(rig: Rig) -> None:
    rig.run()
    rig.server.requests.clear()
    assert rig.run().md5 == hashlib.md5(DATA).hexdigest()
    assert not rig.server.requests


def test_a_part_that_was_damaged_on_disk_is_fetched_again(rig: Rig) -> None:
    rig.run()
    rig.part.write_bytes(b"\0" * len(DATA))
    assert rig.run().path.read_bytes() == DATA


def test_a_server_without_ranges_starts_over(rig: Rig) -> None:
    rig.script(cut_at(500_000), lambda h, d, _s: h.send_file(d, 0))
    assert rig.run().path.read_bytes() == DATA


def test_a_server_without_etag_is_not_asked_for_a_range(rig: Rig) -> None:
    def plain(handler: Any, data: bytes, _start: int) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:500_000])
        handler.break_off()

    rig.script(plain)
    assert rig.run().path.read_bytes() == DATA
    assert rig.ranges == [None, None]


def test_a_file_that_changed_meanwhile_starts_over(rig: Rig) -> None:
    rig.script(cut_at(500_000), status(503), status(503))
    with pytest.raises(FetchError):
        rig.run()
    sidecar = rig.folder / f"{SHA256}.json"
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"etag": '"of-yesterday"'}))
    assert rig.run().path.read_bytes() == DATA


@pytest.mark.parametrize(
    "content_range", ["bytes 5-6/7", f"bytes 0-{len(DATA) - 1}/{len(DATA)}", "nonsense", ""]
)
def test_a_wrong_content_range_starts_over(rig: Rig, content_range: str) -> None:
    def wrong(handler: Any, data: bytes, start: int) -> None:
        handler.answer(206, data[start:], [("Content-Range", content_range)])

    rig.script(cut_at(500_000), wrong)
    if content_range.endswith("/7"):
        with pytest.raises(ContentError, match="wrong length"):
            rig.run()
    else:
        assert rig.run().path.read_bytes() == DATA
        assert rig.ranges[-1] is None


@pytest.mark.parametrize(
    ("code", "here", "content_range", "content_length", "use"),
    [
        (200, 0, None, "1000", BodyUse.WHOLE),
        (200, 0, None, None, BodyUse.WHOLE),
        (200, 10, None, "1000", BodyUse.WHOLE),
        (206, 10, "bytes 10-999/1000", "990", BodyUse.APPEND),
        (206, 10, "bytes 11-999/1000", "989", BodyUse.ASK_AGAIN),
        (206, 10, "bytes 10-500/1000", "491", BodyUse.ASK_AGAIN),
        (206, 10, None, "990", BodyUse.ASK_AGAIN),
        (416, 10, "bytes */1000", "0", BodyUse.ASK_AGAIN),
    ],
)
def test_what_an_answer_means(
    code: int, here: int, content_range: str | None, content_length: str | None, use: BodyUse
) -> None:
    assert interpret(code, content_range, content_length, here, 1000) is use


@pytest.mark.parametrize("code", [404, 410, 401, 403, 301, 302, 304, 416])
def test_an_answer_for_good_ends_at_once(rig: Rig, code: int) -> None:
    rig.script(status(code))
    with pytest.raises(ContentError, match=f"HTTP {code}") as caught:
        rig.run()
    assert caught.value.event is OtaEvent.DOWNLOAD_FAIL
    assert len(rig.server.requests) == 1


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_a_passing_answer_is_tried_again_but_not_for_ever(rig: Rig, code: int) -> None:
    rig.script(status(code))
    assert rig.run().path.read_bytes() == DATA
    discard(rig.folder)
    rig.server.requests.clear()
    rig.script(*[status(code)] * 3)
    with pytest.raises(FetchError, match="gave up after 3 attempts"):
        rig.run()
    assert len(rig.server.requests) == 3


def test_a_server_that_always_breaks_off_after_a_little_is_given_up(rig: Rig) -> None:
    rig.script(*[cut_at(70_000)] * 40)
    with pytest.raises(FetchError, match="gave up after 20 attempts"):
        rig.run()


def test_nobody_listens(rig: Rig) -> None:
    with pytest.raises(FetchError, match="refused"):
        rig.run(url="http://127.0.0.1:1/p.tar.gz")


def test_a_url_that_is_none(rig: Rig) -> None:
    with pytest.raises(ContentError, match="bad URL"):
        rig.run(url="http://[/p.tar.gz")


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1])
def test_a_file_of_another_length(rig: Rig, size: int) -> None:
    (rig.server.root / "p.tar.gz").write_bytes((DATA + b"x")[:size])
    with pytest.raises(ContentError, match="wrong length"):
        rig.run()


def test_a_body_without_end_is_cut_at_the_signed_length(rig: Rig) -> None:
    def endless(handler: Any, data: bytes, _start: int) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(data + b"x" * 1_000_000)
        handler.break_off()

    rig.script(endless)
    with pytest.raises(ContentError, match="goes on after"):
        rig.run()
    assert rig.part.stat().st_size <= len(DATA)


def test_wrong_bytes_of_the_right_length(rig: Rig) -> None:
    (rig.server.root / "p.tar.gz").write_bytes(DATA[::-1])
    with pytest.raises(ContentError, match="wrong hash") as caught:
        rig.run()
    assert caught.value.event is OtaEvent.CHECKSUM_FAIL
    assert len(rig.server.requests) == 1


def test_a_stalled_server_is_left(rig: Rig) -> None:
    release = threading.Event()

    def stall(handler: Any, data: bytes, _start: int) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:1000])
        handler.wfile.flush()
        release.wait(20)
        handler.break_off()

    rig.script(*[stall] * 3)
    try:
        with pytest.raises(FetchError, match="no answer in time"):
            rig.run(replace(FAST, web=WebSettings(read_timeout=0.05)))
    finally:
        release.set()


def test_low_speed_is_measured_over_a_window() -> None:
    meter = LowSpeed(low_speed=100, window=10.0, now=0.0)
    meter.add(999, 9.9)
    meter.add(1, 10.0)
    meter.add(500, 19.0)
    with pytest.raises(FetchError, match="500 bytes in 10 s"):
        meter.add(0, 20.0)


def test_a_rate_is_kept_on_the_average() -> None:
    pacer = Pacer(max_rate=1000, now=0.0)
    assert pacer.piece == 100
    assert pacer.add(100, 0.0) == pytest.approx(0.1)
    assert pacer.add(100, 0.1) == pytest.approx(0.1)
    assert pacer.add(100, 5.0) == 0.0
    assert Pacer(max_rate=0, now=0.0).add(10**9, 0.0) == 0.0


def test_too_little_space_is_said_before_the_first_request(rig: Rig) -> None:
    with pytest.raises(NoSpaceError) as caught:
        rig.run(replace(FAST, free_space=lambda _path: 1000))
    assert str(caught.value) == f"no space: needs {len(DATA) + FAST.reserve} bytes, has 1000"
    assert not rig.server.requests


def test_a_disk_that_fills_up_meanwhile(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: Any, _chunk: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(PartialFile, "_write", full)
    with pytest.raises(NoSpaceError, match="no space: needs"):
        rig.run()


def test_another_fault_of_the_disk_is_left_as_it_is(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: Any, _chunk: bytes) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(PartialFile, "_write", broken)
    with pytest.raises(OSError, match="Input/output"):
        rig.run()


def test_stopping_keeps_what_arrived(rig: Rig) -> None:
    def stop_then_send(handler: Any, data: bytes, start: int) -> None:
        rig.stop.set()
        handler.send_file(data, start)

    rig.script(cut_at(500_000), stop_then_send)
    with pytest.raises(StoppedError):
        rig.run()
    assert rig.part.stat().st_size > 0


def test_another_download_in_the_folder_is_removed(rig: Rig) -> None:
    rig.folder.mkdir()
    (rig.folder / "old.part").write_bytes(b"x")
    rig.run()
    assert not (rig.folder / "old.part").exists()


def test_back_off_doubles_up_to_its_cap_and_starts_afresh_after_progress() -> None:
    class Half:
        def uniform(self, _low: float, high: float) -> float:
            return high

    policy = RetryPolicy(attempts=100, total=100, first=1.0, longest=8.0)
    waits: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0)
            return False

    attempts = Attempts(policy, Stop(), Half())  # type: ignore[arg-type]
    for progressed in (False, False, False, False, False, True, False):
        attempts.failed(FetchError("x"), progressed=progressed)
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0, 1.0, 2.0]


def test_messages_show_no_secret_of_a_url() -> None:
    assert show_url("https://user:pass@h.example/a/b?token=t#f") == "https://h.example/a/b"
