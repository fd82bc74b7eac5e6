"""Downloads from a real server with scripted faults: which resume, start over, or fail."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ota.errors import ContentError, FetchError
from ota.fetch.folder import discard
from ota.fetch.retry import RetryPolicy
from ota.fetch.source import WebSettings
from tests.ota.fetch.rig import DATA, FAST, SHA256, DownloadRig, cut_at, fetch, status
from wire.ota import OtaEvent


def test_a_whole_file(rig: DownloadRig) -> None:
    done = rig.run()
    assert done.path.read_bytes() == DATA
    assert done.md5 == hashlib.md5(DATA).hexdigest()
    assert rig.progress[0] == (0, len(DATA))
    assert rig.progress[-1] == (len(DATA), len(DATA))


def test_a_broken_connection_goes_on_where_it_broke(rig: DownloadRig) -> None:
    rig.script(cut_at(700_000), lambda h, _d, _s: h.break_off(reset=True), cut_at(300_000))
    assert rig.run().path.read_bytes() == DATA
    assert rig.ranges[0] is None
    offsets = [int((asked or "bytes=0-")[6:-1]) for asked in rig.ranges]
    assert offsets == sorted(offsets)
    assert 0 < offsets[1] == offsets[2] < offsets[3]


def test_a_server_without_ranges_sends_what_is_here_once_more(rig: DownloadRig) -> None:
    rig.script(cut_at(500_000), lambda h, d, _s: h.answer(200, d))
    assert rig.run().path.read_bytes() == DATA
    assert [done for done, _all in rig.progress] == sorted(done for done, _all in rig.progress)


def without(*names: str, cut: int | None = None) -> Callable[[Any, bytes, int], None]:
    """Answer as a server does that knows ranges, without these headers and cut after ``cut`` bytes."""

    def answer(handler: Any, data: bytes, start: int) -> None:
        headers = {
            "ETag": '"of-this-node"',
            "Last-Modified": "Thu, 26 Nov 2026 10:00:00 GMT",
            "Content-Length": str(len(data) - start),
        }
        handler.send_response(206 if start else 200)
        for name, value in headers.items():
            if name not in names:
                handler.send_header(name, value)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.end_headers()
        handler.wfile.write(data[start:][:cut])
        if cut is not None:
            handler.break_off()

    return answer


@pytest.mark.parametrize("names", [(), ("ETag",), ("ETag", "Last-Modified")], ids=str)
def test_it_goes_on_whatever_the_validator_says(rig: DownloadRig, names: tuple[str, ...]) -> None:
    """As behind two nodes with ETags of their own, or with a server that has none."""
    rig.script(*[without(*names, cut=600_000)] * 3)
    assert rig.run().path.read_bytes() == DATA
    starts = [int((asked or "bytes=0-")[6:-1]) for asked in rig.ranges]
    assert starts[0] == 0 < starts[1] < starts[2] < starts[3]


def test_a_part_of_another_file_is_dropped_when_the_whole_does_not_match(rig: DownloadRig) -> None:
    rig.folder.mkdir()
    rig.part.write_bytes(b"of another file" * 10_000)
    assert rig.run().path.read_bytes() == DATA
    assert rig.ranges == ["bytes=150000-", None]


PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


def page(
    body: bytes = PAGE, kind: str = "text/html; charset=utf-8"
) -> Callable[[Any, bytes, int], None]:
    return lambda handler, _data, _start: handler.answer(200, body, [("Content-Type", kind)])


@pytest.mark.parametrize(
    "answer",
    [
        page(),
        page(kind="application/octet-stream"),
        page(b"\xef\xbb\xbf \r\n<html>"),
        page(b"Please log in"),
        page(b""),
        page(PAGE.ljust(len(DATA))),
        page(PAGE.ljust(len(DATA) + 5)),
        page(b"Please log in", "text/plain"),
        page(b'{"login": "http://gate/"}', "Application/JSON"),
        page(b"location = '/login'", "application/javascript"),
        page(b"", "application/gzip"),
        lambda handler, _data, _start: handler.answer(204, b"", []),
    ],
)
def test_a_page_in_place_of_the_package_passes(
    rig: DownloadRig, answer: Callable[[Any, bytes, int], None]
) -> None:
    rig.script(cut_at(500_000), answer)
    assert rig.run().path.read_bytes() == DATA
    assert int((rig.ranges[-1] or "")[6:-1]) > 0  # what was here before the page is kept


def out_of_range(handler: Any, data: bytes, _start: int) -> None:
    handler.answer(416, b"", [("Content-Range", f"bytes */{len(data)}")])


def from_elsewhere(handler: Any, data: bytes, start: int) -> None:
    at = start // 2
    told = f"bytes {at}-{len(data) - 1}/{len(data)}"
    handler.answer(206, data[at:], [("Content-Range", told)])


@pytest.mark.parametrize("odd", [out_of_range, from_elsewhere])
def test_what_is_here_outlives_a_node_that_cannot_go_on(
    rig: DownloadRig, odd: Callable[[Any, bytes, int], None]
) -> None:
    """It is asked for the whole, and breaks off; another node goes on where that one did."""
    rig.script(cut_at(700_000), odd, odd, cut_at(900_000))
    assert rig.run().path.read_bytes() == DATA
    starts = [-1 if asked is None else int(asked[6:-1]) for asked in rig.ranges]
    assert starts[0] == starts[3] == -1
    assert 0 < starts[1] == starts[2] < starts[4]
    assert [done for done, _all in rig.progress] == sorted(done for done, _all in rig.progress)


@pytest.mark.parametrize("odd", [out_of_range, from_elsewhere])
def test_of_two_nodes_that_take_turns_one_cannot_go_on(
    rig: DownloadRig, odd: Callable[[Any, bytes, int], None]
) -> None:
    """Each answer is cut: asked for the whole at once, the good node never got to send the rest."""
    rig.script(*[without(cut=250_000), odd] * 4)
    assert rig.run().path.read_bytes() == DATA
    starts = [int((asked or "bytes=0-")[6:-1]) for asked in rig.ranges]
    assert starts == sorted(starts)


def test_a_server_that_sends_a_part_at_a_time(rig: DownloadRig) -> None:
    def a_part(handler: Any, data: bytes, start: int) -> None:
        part = data[start : start + 300_000]
        told = f"bytes {start}-{start + len(part) - 1}/{len(data)}"
        handler.answer(206, part, [("Content-Range", told)])

    rig.script(cut_at(100_000), a_part, a_part)
    assert rig.run().path.read_bytes() == DATA
    starts = [int((asked or "bytes=0-")[6:-1]) for asked in rig.ranges]
    assert starts[2] - starts[1] == starts[3] - starts[2] == 300_000


@pytest.mark.parametrize("code", [200, 206])
def test_a_compressed_answer_passes_and_is_no_part_of_the_file(rig: DownloadRig, code: int) -> None:
    """A proxy that compresses what nobody asked it to: its bytes are at no offset of the file."""

    def packed(handler: Any, data: bytes, start: int) -> None:
        told = f"bytes {start}-{len(data) - 1}/{len(data)}"
        body = gzip.compress(data[start:], 1)
        handler.answer(code, body, [("Content-Encoding", "gzip"), ("Content-Range", told)])

    rig.script(cut_at(500_000), packed)
    assert rig.run().path.read_bytes() == DATA
    starts = [int((asked or "bytes=0-")[6:-1]) for asked in rig.ranges]
    assert starts[1] == starts[2] > 0


def test_an_answer_that_says_to_be_plain_is_plain_in_any_letters(rig: DownloadRig) -> None:
    rig.script(
        lambda handler, data, _: handler.answer(200, data, [("Content-Encoding", "Identity")])
    )
    assert rig.run().path.read_bytes() == DATA
    assert len(rig.ranges) == 1


def test_a_page_that_does_not_pass_is_named(rig: DownloadRig) -> None:
    rig.script(*[page()] * 3)
    with pytest.raises(FetchError, match=r"a web page came instead .*gave up after 3 attempts"):
        rig.run()
    assert rig.part.stat().st_size == 0


@pytest.mark.parametrize(
    "content_range", ["bytes 5-6/7", f"bytes 0-{len(DATA) - 1}/{len(DATA)}", "nonsense", ""]
)
def test_after_a_wrong_content_range_the_whole_is_asked_for(
    rig: DownloadRig, content_range: str
) -> None:
    def wrong(handler: Any, data: bytes, start: int) -> None:
        handler.answer(206, data[start:], [("Content-Range", content_range)])

    rig.script(cut_at(500_000), wrong, wrong)
    if content_range.endswith("/7"):
        with pytest.raises(ContentError, match="wrong length"):
            rig.run()
    else:
        assert rig.run().path.read_bytes() == DATA
        assert rig.ranges[-1] is None


@pytest.mark.parametrize("code", [404, 410, 401, 403, 301, 302, 304, 416])
def test_an_answer_for_good_ends_at_once(rig: DownloadRig, code: int) -> None:
    rig.script(status(code))
    with pytest.raises(ContentError, match=f"HTTP {code}") as caught:
        rig.run()
    assert caught.value.event is OtaEvent.DOWNLOAD_FAIL
    assert len(rig.server.requests) == 1


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_a_passing_answer_is_tried_again_but_not_for_ever(rig: DownloadRig, code: int) -> None:
    rig.script(status(code))
    assert rig.run().path.read_bytes() == DATA
    discard(rig.folder)
    rig.server.requests.clear()
    rig.script(*[status(code)] * 3)
    with pytest.raises(FetchError, match="gave up after 3 attempts"):
        rig.run()
    assert len(rig.server.requests) == 3


def test_a_server_that_always_breaks_off_after_a_little_is_given_up(rig: DownloadRig) -> None:
    rig.script(*[cut_at(70_000)] * 40)
    with pytest.raises(FetchError, match="gave up after 20 attempts"):
        rig.run()


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1])
def test_a_file_of_another_length(rig: DownloadRig, size: int) -> None:
    (rig.server.root / "p.tar.gz").write_bytes((DATA + b"x")[:size])
    with pytest.raises(ContentError, match="wrong length"):
        rig.run()


def test_a_body_without_end_is_cut_at_the_signed_length(rig: DownloadRig) -> None:
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


def test_wrong_bytes_of_the_right_length(rig: DownloadRig) -> None:
    (rig.server.root / "p.tar.gz").write_bytes(DATA[::-1])
    with pytest.raises(ContentError, match="wrong hash") as caught:
        rig.run()
    assert caught.value.event is OtaEvent.CHECKSUM_FAIL
    assert len(rig.server.requests) == 1


def test_a_stalled_server_is_left(rig: DownloadRig) -> None:
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


def test_it_goes_on_at_another_address(server: Any, url: str, tmp_path: Path) -> None:
    server.script.append(cut_at(500_000))
    with pytest.raises(FetchError):
        fetch(url, tmp_path / "d", retry=RetryPolicy(attempts=1))
    have = (tmp_path / "d" / f"{SHA256}.part").stat().st_size
    server.requests.clear()
    other = url.replace("127.0.0.1", "localhost")
    assert fetch(other, tmp_path / "d").path.read_bytes() == DATA
    assert [asked for _path, asked in server.requests] == [f"bytes={have}-"]
